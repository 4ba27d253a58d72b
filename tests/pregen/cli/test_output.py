"""The object of --json always says when, where and on what; and a stdout that is lost does not change what was done."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pregen import __version__, clock
from tests.pregen.cli.ca import ABSENT, ALWAYS, GOOD, Ca, Program, octets

WARNING = "warning output.lost: "


def test_a_success_says_when_where_and_on_what(ca: Ca, pregen: Program) -> None:
    before = clock.text(clock.now())
    ran = pregen("run", ca.config, "--json").document

    assert list(ran)[: len(ALWAYS)] == list(ALWAYS)
    assert before <= str(ran["started_at"]) <= str(ran["finished_at"]) <= clock.text(clock.now())
    assert (ran["version"], ran["host"]) == (__version__, os.uname().nodename)
    published = {"store": ca.store.as_uri(), "as_of": clock.text(ca.now), "commit": 1}
    assert {name: ran[name] for name in published} == published
    assert ran["configuration"] == str(ca.config)

    checked = pregen("check", ca.config, "--json").document
    assert {name: checked[name] for name in published} == published | {"commit": None}
    ask = ("lookup", ca.store, "--issuer", ca.pem, "--serial")
    for words in (
        (*ask, f"{GOOD:x}"),
        ("inspect", "--config", ca.config),
        ("verify", ca.store),
    ):
        document = pregen(*words, "--json").document
        assert {name: document[name] for name in published} == published, words
        assert document["configuration"] == (str(ca.config) if "--config" in words else None)
    imported = pregen("import", ca.config, "--out", ca.folder / "out", "--json").document
    assert [imported[name] for name in ("configuration", "as_of", "commit")] == [
        str(ca.config),
        clock.text(ca.now),
        None,
    ]
    assert set(ALWAYS) <= set(pregen("engines", "--json").document)
    missed = pregen(*ask, f"{ABSENT:x}", "--json")
    assert (missed.code, {name: missed.document[name] for name in published}) == (4, published)


def test_a_failure_says_as_much_as_it_knows(ca: Ca, pregen: Program) -> None:
    ca.export(serial=octets(GOOD, GOOD, 0xFF))  # one certificate, good and revoked
    for command in ("run", "check"):
        refused = pregen(command, ca.config, "--json")
        assert refused.code == 3
        assert set(refused.document) == {*ALWAYS, "error"}
        assert refused.document["store"] == ca.store.as_uri()
        assert refused.document["as_of"] == clock.text(ca.now)
        assert refused.document["configuration"] == str(ca.config)
        assert refused.document["commit"] is None
        assert str(refused.document["started_at"]) <= str(refused.document["finished_at"])

    usage = pregen("run", ca.config, "--frobnicate", "--json").document
    assert set(usage) == {*ALWAYS, "error"}
    assert usage["version"] == __version__
    ca.config.write_text("[publish]\nstore = 7\n")
    mistaken = pregen("run", ca.config, "--json").document
    assert (mistaken["configuration"], mistaken["store"], mistaken["as_of"]) == (str(ca.config), None, None)


def gone() -> int:
    """Return a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    """Return a disk that is full."""
    return os.open("/dev/full", os.O_WRONLY)


Made = Callable[[], int]


def program(folder: Path, stdout: int, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pregen", *words]
    try:
        return subprocess.run(
            command, cwd=folder, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )
    finally:
        os.close(stdout)


@pytest.mark.parametrize("stdout", [gone, full])
@pytest.mark.parametrize("how", [(), ("--json",)], ids=["text", "json"])
def test_a_run_whose_report_is_lost_is_published_and_says_so(ca: Ca, stdout: Made, how: tuple[str, ...]) -> None:
    ended = program(ca.folder, stdout(), "run", "pregen.toml", *how)

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.startswith(WARNING)
    assert ended.stderr.endswith("so its report is lost; commit 1 is published\n")
    assert ended.stderr.count("\n") == 1
    assert len(ca.published()) > 1


@pytest.mark.parametrize("stdout", [gone, full])
def test_files_that_were_written_are_worth_the_same(ca: Ca, stdout: Made) -> None:
    imported = program(ca.folder, stdout(), "import", "pregen.toml", "--out", "canonical")
    assert program(ca.folder, os.open(os.devnull, os.O_WRONLY), "run", "pregen.toml").returncode == 0
    found = program(
        ca.folder, stdout(), "lookup", "store", "--issuer", "issuer.pem", "--serial", f"{GOOD:x}", "--out", "answer.der"
    )

    assert (imported.returncode, found.returncode) == (0, 0)
    assert "3 rows were written to " in imported.stderr
    assert "the response is in answer.der" in found.stderr


@pytest.mark.parametrize(("stdout", "code"), [(gone, 128 + signal.SIGPIPE), (full, 5)])
@pytest.mark.parametrize(
    "words", [("check", "pregen.toml"), ("check", "pregen.toml", "--json"), ("--help",), ("run", "--help")]
)
def test_what_only_had_something_to_say_fails_with_stdout(
    ca: Ca, stdout: Made, code: int, words: tuple[str, ...]
) -> None:
    ended = program(ca.folder, stdout(), *words)

    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    assert ("No space left on device" in ended.stderr) == (code == 5)


@pytest.mark.parametrize("stdout", [gone, full])
def test_a_failure_keeps_its_exit_code_and_its_message(ca: Ca, stdout: Made) -> None:
    ended = program(ca.folder, stdout(), "run", "pregen.toml", "--snapshot", "nowhere", "--json")

    assert ended.returncode == 3
    assert ended.stderr.startswith("error: ")
    assert ca.published() == {}


@pytest.mark.parametrize(
    ("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">&- 2>&-", 0), ("2>/dev/full", 0), ("2>&1 >&- | true", 0)]
)
def test_closed_descriptors_and_a_full_stderr_publish_as_well(ca: Ca, redirection: str, code: int) -> None:
    ca.configure(validity={"profile": "lab"})
    now = clock.text(ca.now)
    line = f"set -o pipefail; {sys.executable} -m pregen run pregen.toml --now {now} {redirection}"

    ended = subprocess.run(["bash", "-c", line], cwd=ca.folder, capture_output=True, timeout=60, check=False)

    assert ended.returncode == code
    assert len(ca.published()) > 1


def test_names_that_stdout_cannot_write_are_escaped(ca: Ca) -> None:
    ca.configure(issuer={"name": ["r1", "münchen"]})
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "pregen"]

    def said(*words: str) -> bytes:
        return subprocess.run(
            [*command, *words], cwd=ca.folder, env=environment, capture_output=True, timeout=60, check=True
        ).stdout

    assert json.loads(said("run", "pregen.toml", "--json"))["commit"] == 1
    assert json.loads(said("inspect", "store", "--json"))["issuers"][0]["names"][1] == "münchen"
