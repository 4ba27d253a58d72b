"""What docs/edge.md tells operators to write into files, tried."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judges.conftest import make_authority
from tests.judges.programs import judge
from tests.storage.edge.processes import ServerProcess

DOCUMENT = (Path(__file__).parents[4] / "docs" / "edge.md").read_text()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("authority")).store


UNIT = re.findall(r"```ini\n(.*?)```", DOCUMENT, re.DOTALL)[0]
"""The unit of systemd."""


def documented_command(store: str, socket: Path, log: Path) -> list[str]:
    """Return the arguments of the unit's command, with our store and our files."""
    (line,) = re.findall(r"^ExecStart=(.*)$", UNIT, re.MULTILINE)
    python, *words = shlex.split(line)
    ours = {
        "s3://bucket/ocsp": store,
        "/run/pregen-edge/http": str(socket),
        "/var/log/pregen-edge/requests.jsonl": str(log),
    }
    assert python == "/opt/pregen/bin/python"
    assert ours.keys() <= set(words)
    return [ours.get(word, word) for word in words]


def test_the_unit_starts_an_edge(store: Path, tmp_path: Path) -> None:
    command = [sys.executable, *documented_command(str(store), tmp_path / "http", tmp_path / "log")]
    with ServerProcess(command, tmp_path, tmp_path / "http", {}) as edge:
        assert edge.get(b"/readyz").status == 200
        assert edge.stop() == 0


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_the_unit_lets_an_edge_do_what_it_does(where: str, store: Path, tmp_path: Path) -> None:
    strace, allowed = judge("strace"), system_calls_of_the_unit()
    # Of a bucket, there need be none: what asks for it makes the calls.
    address = str(store) if where == "folder" else "s3://bucket/ocsp"
    aws = {"AWS_ENDPOINT_URL": "http://localhost:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    edge_command = documented_command(address, tmp_path / "http", tmp_path / "log")
    command = [strace, "-f", "-qq", "-o", str(tmp_path / "calls"), sys.executable, *edge_command]
    with ServerProcess(command, tmp_path, tmp_path / "http", aws) as edge:
        edge.get(b"/readyz")
        edge.get(b"/MEI")
        edge.terminate_group()
    lines = re.sub(r"^\d+ +", "", (tmp_path / "calls").read_text(), flags=re.MULTILINE).splitlines()

    called = {found[1] for line in lines if (found := re.match(r"([a-z0-9_]+)\(", line))}
    assert "epoll_wait" in called
    assert called - allowed == set()
    assert [line for line in lines if {"PROT_WRITE", "PROT_EXEC"} <= set(re.findall("PROT_[A-Z]+", line))] == []
    assert [line for line in lines if line.startswith("mprotect(") and "PROT_EXEC" in line] == []
    families = {found[1] for line in lines if (found := re.match(r"socket\((AF_[A-Z0-9]+)", line))}
    assert families <= {*re.findall("AF_[A-Z0-9]+", UNIT), "AF_NETLINK"}, "glibc does without AF_NETLINK"


def system_calls_of_the_unit() -> set[str]:
    """Return the names of the system calls that its filters leave."""
    allowed = set[str]()
    for words in re.findall(r"^SystemCallFilter=(.*)$", UNIT, re.MULTILINE):
        is_taken_away, names = words.startswith("~"), words.removeprefix("~").split()
        calls = {call for name in names for call in calls_in(name)}
        allowed = allowed - calls if is_taken_away else allowed | calls
    return allowed


def calls_in(group: str) -> set[str]:
    """Return the system calls of a group of systemd's, with those of the groups in it."""
    said = subprocess.check_output([judge("systemd-analyze"), "syscall-filter", group], text=True, timeout=60)
    names = {line.strip() for line in said.splitlines()[1:]}
    return {call for name in names for call in (calls_in(name) if name.startswith("@") else {name})}


def test_the_script_copies_all_of_a_store_and_commits_last(store: Path, tmp_path: Path) -> None:
    (script,) = re.findall(r"```sh\n(#!/bin/sh -e\n.*?)```", DOCUMENT, re.DOTALL)
    (names,) = re.findall(r"for name in (.*); do", script)
    in_use = {path.name for path in store.iterdir()} - {"runs"}  # marks of publishers at work are of no use elsewhere
    assert set(names.split()) == in_use | {"keys", "removals"}
    assert names.split().index("manifests") == names.split().index("commits") - 1
    if shutil.which("rsync") is None:
        return
    copy = tmp_path / "copy"
    copy.mkdir()
    ours = script.replace("/var/lib/pregen/$name", f"{store}/$name").replace("siteb:/var/lib/pregen/", f"{copy}/")
    subprocess.run(["sh", "-ec", ours], check=True, timeout=60)

    assert files_of(copy) == files_of(store)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_unit_is_one_that_systemd_reads_and_calls_safe(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    unit = tmp_path / "pregen-edge.service"
    unit.write_text(UNIT.replace("/opt/pregen/bin/python", judge("openssl")))
    subprocess.run([judge("systemd-analyze"), "verify", str(unit)], check=True, timeout=60)
    command = [judge("systemd-analyze"), "security", "--offline=true", "--threshold=20", str(unit)]  # 2.0
    subprocess.run(command, check=True, timeout=60, capture_output=True)
