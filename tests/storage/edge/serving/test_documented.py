"""What docs/edge.md tells operators to write into files, tried."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.judges.conftest import make_authority
from tests.judges.programs import judge
from tests.storage.edge.processes import start

DOCUMENT = (Path(__file__).parents[4] / "docs" / "edge.md").read_text()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_authority(tmp_path_factory.mktemp("authority")).store


def test_the_unit_starts_an_edge(store: Path, tmp_path: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", DOCUMENT, re.MULTILINE)
    python, *words = shlex.split(line)
    ours = {"s3://bucket/ocsp": str(store), "8080": "PORT", "/var/log/pregen-edge/requests.jsonl": f"{tmp_path}/log"}
    assert python == "/opt/pregen/bin/python"
    assert ours.keys() <= set(words)

    with start(tmp_path, *(ours.get(word, word) for word in words)) as edge:
        assert edge.get(b"/readyz").status == 200
        assert edge.stop() == 0


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


def test_the_unit_is_one_that_systemd_reads(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    (unit,) = re.findall(r"```ini\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "pregen-edge.service").write_text(unit.replace("/opt/pregen/bin/python", judge("openssl")))
    subprocess.run([judge("systemd-analyze"), "verify", str(tmp_path / "pregen-edge.service")], check=True, timeout=60)
