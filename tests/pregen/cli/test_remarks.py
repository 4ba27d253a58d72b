"""A `--now` that is far from the clock is said with whatever else is said."""

from datetime import timedelta

import pytest

from pregen.cli.outcome import failure_of
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import RemarkedError
from pregen.errors import Finding, InputError, SigningError
from storage.errors import ChecksumError
from tests.pregen.cli.ca import Ca, Program

FAR = Finding("now.far-from-clock", "warning", "far")


def codes(document: dict[str, object]) -> list[str]:
    findings = document.get("findings", [])
    assert isinstance(findings, list)
    return [str(one["code"]) for one in findings]


@pytest.mark.parametrize("command", ["run", "check", "import"])
def test_a_now_far_from_the_clock_is_said_with_another_error(ca: Ca, pregen: Program, command: str) -> None:
    words = (command, ca.config, *(("--out", ca.folder / "out") if command == "import" else ()))
    now = (ca.now + timedelta(days=400)).isoformat()
    (ca.folder / "snapshot.parquet").write_bytes(b"nonsense")

    plain, dated = pregen(*words, "--json"), pregen(*words, "--now", now, "--json")

    assert plain.code != 0
    assert "--now" not in plain.err
    assert dated.code != 0
    assert codes(dated.error)[0] == "now.far-from-clock"
    assert len(codes(dated.error)) > 1
    assert "everything is judged as if it were that instant" in dated.err


def test_what_lab_signs_for_another_time_is_said_too(ca: Ca, pregen: Program) -> None:
    then = ca.now + timedelta(days=3)
    ca.export(as_of=then)
    ca.configure(validity={"profile": "lab"})

    for words in (("check", ca.config), ("import", ca.config, "--out", ca.folder / "out"), ("run", ca.config)):
        ended = pregen(*words, "--now", then.isoformat(), "--json")
        assert ended.code == 0
        assert "now.far-from-clock" in codes(ended.document)
        assert "warning now.far-from-clock: --now " in ended.err


def test_an_error_about_now_itself_says_it_once(ca: Ca, pregen: Program) -> None:
    ended = pregen("run", ca.config, "--now", (ca.now + timedelta(minutes=6)).isoformat(), "--json")

    assert (ended.code, ended.error["code"], codes(ended.error)) == (2, "usage", [])
    assert ended.err.count("--now") == 1


def test_a_now_that_is_near_is_no_matter(ca: Ca, pregen: Program) -> None:
    assert clock_remarks(None) == ()
    assert clock_remarks(ca.now - timedelta(minutes=4)) == ()
    assert "now.far-from-clock" not in pregen("check", ca.config, "--now", ca.now.isoformat()).err


@pytest.mark.parametrize(
    "error",
    [
        InputError("bad rows", [Finding("row.serial.null", "error", "is null")]),
        SigningError("no lane"),
        ChecksumError("packs/a", "is damaged"),
        PermissionError("no credentials"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_remark_changes_nothing_else_of_an_error(error: InputError) -> None:
    with pytest.raises(RemarkedError) as caught, remarked((FAR,)):
        raise error

    plain, told = failure_of(error), failure_of(caught.value)
    assert told == plain._replace(findings=(FAR, *plain.findings))


def test_no_remark_and_no_reader_leave_an_error_as_it_is() -> None:
    with pytest.raises(InputError), remarked(()):
        raise InputError("bad rows")
    with pytest.raises(BrokenPipeError), remarked((FAR,)):
        raise BrokenPipeError
