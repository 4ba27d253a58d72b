"""Exit codes and the form of errors: what the shell, cron and monitoring see."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from pregen.__main__ import main
from pregen.cli.outcome import Failure, failure_of
from pregen.errors import Finding, InputError
from pregen.exit_codes import ExitCode
from pregen.interruption import Terminated
from storage.errors import ChecksumError, CommitRefusedError, CommitUnknownError, NothingPublishedError, StorageError
from tests.faults.processes import RunningProgram
from tests.pregen.cli.ca import ABSENT, GOOD, Ca, Program

ANY_ISSUER = ("--issuer", "issuer.pem")


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("run",),
        ("run", "pregen.toml", "--frob"),
        ("run", "pregen.toml", "--workers", "many"),
        ("run", "pregen.toml", "--workers", "-1"),
        ("run", "pregen.toml", "--as-of", "yesterday"),
        ("run", "pregen.toml", "--as-of", "2026-11-24T00:00:00"),
        ("run", "pregen.toml", "--now", "2026-11-24"),
        ("run", "pregen.toml", "--now", "2020-01-01T00:00:00Z"),
        ("run", "pregen.toml", "--engine", "abacus"),
        ("run", "pregen.toml", "--accept", "shrink"),
        ("run", "nowhere.toml"),
        ("check",),
        ("lookup", "store"),
        ("lookup", "store", *ANY_ISSUER),
        ("lookup", "store", *ANY_ISSUER, "--serial", "11", "--cert", "issuer.pem"),
        ("lookup", "store", *ANY_ISSUER, "--serial", "eleven"),
        ("lookup", "store", *ANY_ISSUER, "--serial", "1_0"),
        ("lookup", "store", *ANY_ISSUER, "--serial", "٣"),
        ("lookup", "store", *ANY_ISSUER, "--serial", ""),
        ("lookup", "store", *ANY_ISSUER, "--serial", "1" + 42 * "0"),
        ("lookup", "store", *ANY_ISSUER, "--serial", "11", "--hash", "md5"),
        ("lookup", *ANY_ISSUER, "--serial", "11"),
        ("lookup", "store", *ANY_ISSUER, "--serial", "11", "--config", "pregen.toml"),
        ("lookup", "store", "--issuer", "ocsp.key", "--serial", "11"),
        ("lookup", "memory:", *ANY_ISSUER, "--serial", "11"),
        ("lookup", "ftp://host/path", *ANY_ISSUER, "--serial", "11"),
        ("inspect",),
        ("inspect", "memory:"),
        ("inspect", "memory://"),
        ("inspect", ""),
        ("verify",),
        ("verify", "memory:"),
        ("verify", "store", "--sample", "-1"),
        ("verify", "store", "--issuer", "nowhere.pem"),
        ("engines", "--frob"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2_and_one_line(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(ca.folder)

    ended = pregen(*words, "--json")

    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert "Traceback" not in ended.err
    assert ended.error["code"] in ("usage", "configuration")
    assert ended.err.startswith(f"error: {ended.error['message']}")
    assert not ca.store.exists()


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (("frobnicate",), "pregen"),
        (("--frob",), "pregen"),
        (("run",), "pregen run"),
        (("check", "pregen.toml", "--frob"), "pregen check"),
        (("import", "pregen.toml"), "pregen import"),
        (("lookup", "store", "--issuer", "issuer.pem", "--serial", "11", "--hash", "md5"), "pregen lookup"),
        (("serve", "store", "--port", "many"), "pregen serve"),
        (("engines", "surplus"), "pregen engines"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_line_that_is_not_understood_points_to_the_help_of_its_own_command(
    pregen: Program, words: tuple[str, ...], command: str
) -> None:
    ended = pregen(*words)

    assert ended.code == 2
    assert ended.err.endswith(f"; {command} --help shows what there is\n")


@pytest.mark.parametrize("mistake", [("--bogus",), ("--json", "--sample", "x")], ids=" ".join)
def test_a_mistake_of_the_command_line_hides_neither_configuration_nor_store(
    ca: Ca, pregen: Program, mistake: tuple[str, ...]
) -> None:
    ended = pregen("verify", ca.store, "--config", ca.config, *mistake, "--json")

    assert ended.error["code"] == "usage"
    assert ended.document["configuration"] == str(ca.config)
    assert ended.document["store"] == str(ca.store)


def test_a_store_that_is_named_twice_is_told_as_such(ca: Ca, pregen: Program) -> None:
    ended = pregen("inspect", ca.store, "--config", ca.config)

    assert ended.code == 2
    assert f"its address {ca.store}, or --config {ca.config}, and not both" in ended.err


@pytest.mark.parametrize(
    "words", [("serve", "memory:"), ("serve",), ("serve", "store", "--workers", "0")], ids=" ".join
)
def test_serve_refuses_a_wrong_command_line_too(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(ca.folder)

    ended = pregen(*words)

    assert ended.code == 2
    assert ended.err.startswith("error: ")


def test_a_configuration_with_a_memory_store_is_refused(ca: Ca, pregen: Program) -> None:
    ca.configure(publish={"store": "memory:"})

    ended = pregen("inspect", "--config", ca.config, "--json")

    assert ended.code == 2
    assert "memory: is no kind of store" in ended.err


@pytest.mark.parametrize(
    ("store", "s3"),
    [("s3://x", {}), ("s3://bucket/a//b", {}), ("s3://bucket/prefix", {"endpoint": "http://user:word@127.0.0.1:1"})],
)
def test_an_address_that_only_the_store_can_judge_is_a_mistake_of_the_configuration(
    ca: Ca, pregen: Program, s3_environment: object, store: str, s3: dict[str, str]
) -> None:
    ca.configure(publish={"store": store, "s3": s3})

    for command in ("run", "check"):
        ended = pregen(command, ca.config, "--json")
        assert (ended.code, ended.error["code"]) == (2, "configuration")
    assert pregen("inspect", "--config", ca.config).code == 2
    assert "word" not in ended.err


def test_help_and_version_are_no_errors(pregen: Program) -> None:
    for words in ((), ("--help",), ("run", "--help"), ("--version",)):
        ended = pregen(*words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.out
    assert "143 terminated (SIGTERM); nothing was published" in " ".join(pregen("--help").out.split())


def test_a_traceback_is_shown_for_debug_alone(ca: Ca, pregen: Program) -> None:
    plain, debug = pregen("inspect", ca.store), pregen("inspect", ca.store, "--debug")

    assert "Traceback" not in plain.err
    assert "Traceback (most recent call last)" in debug.err
    assert debug.err.endswith(plain.err)
    assert plain.code == debug.code == 4


def test_failures_of_workers_show_the_traceback_of_the_worker_for_debug(ca: Ca, pregen: Program) -> None:
    ca.store.mkdir(exist_ok=True)
    (ca.store / "packs").write_text("a file where workers want a folder")

    assert "in _signed" not in pregen("run", ca.config).err
    assert "in _signed" in pregen("run", ca.config, "--debug").err


def program(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pregen", *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_the_process_ends_with_the_exit_code(ca: Ca, pregen: Program) -> None:
    """0 to 7, by two processes for all, which end with what `main` returns; 130 and 143 are in test_signals.py."""
    assert pregen("run", ca.config).code == 0
    assert program(ca.folder, "run", "nowhere.toml").returncode == 2
    assert pregen("run", ca.config, "--snapshot", "nowhere").code == 3
    absent = program(ca.folder, "lookup", "store", *ANY_ISSUER, "--serial", f"{ABSENT:x}")
    assert (absent.returncode, absent.stdout) == (4, "")
    assert absent.stderr.count("\n") == 1
    other = Ca(_made(ca.folder / "other"))
    assert pregen("verify", ca.store, "--issuer", other.pem).code == 6

    pack = next((ca.store / "packs").iterdir())
    damaged = bytearray(pack.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    pack.write_bytes(damaged)
    assert pregen("verify", ca.store).code == 5


def test_a_lost_race_ends_the_process_with_7(ca: Ca, pregen: Program) -> None:
    """A process is stopped when it has planned from the head, and goes on when another one has published."""
    ca.export_many(20_000)
    with RunningProgram(ca.folder, "run", ca.config, "--json") as loser:
        loser.wait_until(lambda: any(ca.spool.glob("pregen-journal-*")))
        os.killpg(loser.pid, signal.SIGSTOP)
        assert ca.published() == {}
        won = pregen("run", ca.config)
        os.killpg(loser.pid, signal.SIGCONT)
        lost = loser.end()

    assert (won.code, lost.code) == (0, 7), (won, lost)
    assert lost.error["code"] == "commit-refused"
    assert "run again" in lost.err
    assert list((ca.store / "commits").iterdir()) == [ca.store / "commits" / f"{1:020d}"]


def test_a_defect_ends_the_process_with_1(ca: Ca) -> None:
    """A module of ours raises what nobody foresaw."""
    code = (
        "import sys, pregen.config\n"
        "def broken(path): raise RuntimeError('the clock stands still')\n"
        "pregen.config.load_config = broken\n"
        "from pregen.__main__ import main\n"
        "sys.exit(main(['run', 'pregen.toml', '--json']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ca.folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "internal"
    assert "the clock stands still; run again with --debug and report what it shows" in error["message"]
    assert ended.stderr == f"error: {error['message']}\n"


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (KeyError("x"), (1, "internal")),
        (NothingPublishedError("file:///s"), (4, "not-found")),
        (CommitRefusedError(2, "ab"), (7, "commit-refused")),
        (CommitUnknownError(2, "ab", "no answer"), (5, "storage")),
        (ChecksumError("packs/a", "is damaged"), (5, "storage")),
        (PermissionError("no credentials"), (5, "storage")),
        (KeyboardInterrupt(), (130, "interrupted")),
        (Terminated(), (143, "terminated")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_exit_code(error: BaseException, failure: tuple[int, str]) -> None:
    assert failure_of(error)[:2] == failure


def test_findings_come_along() -> None:
    finding = Finding("row.serial.empty", "error", "empty", 3, ("a.csv, row 1",))

    assert failure_of(InputError("bad rows", [finding])) == Failure(ExitCode.REFUSED, "input", "bad rows", (finding,))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "interrupted; commit 3 is there"),
        (Terminated(), "terminated; commit 3 is there"),
        (StorageError("x: is no folder"), "x: is no folder; commit 3 is there"),
    ],
)
def test_a_command_that_fails_after_it_has_done_something_says_so(error: BaseException, message: str) -> None:
    assert failure_of(error).beside("commit 3 is there").message == message


@pytest.mark.parametrize("words", [("inspect", "store"), ("--help",), ("run", "--help")], ids=" ".join)
def test_a_reader_that_goes_away_is_no_defect(ca: Ca, words: tuple[str, ...]) -> None:
    """`pregen inspect | head -1`: the rest of the text has nobody to go to."""
    if "inspect" in words:
        assert main(["run", str(ca.config)]) == 0
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pregen", *words]
    with os.fdopen(writing, "wb") as pipe:
        ended = subprocess.run(
            command, cwd=ca.folder, stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60, check=False
        )

    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    assert ended.returncode == 128 + signal.SIGPIPE


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_serial_may_have_what_people_write(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)

    for text in (f"{GOOD:x}", f"0x{GOOD:X}", f"+{GOOD:x}", f"00:{GOOD:02x}", f" {GOOD:x} "):
        assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", text).code == 0, text


def test_an_import_may_be_dated_as_a_run_may(ca: Ca, pregen: Program) -> None:
    then = ca.now + timedelta(days=3)
    ca.export(as_of=then)
    words = ("import", ca.config, "--out", ca.folder / "out", "--json")

    assert pregen(*words).code == 3, "as_of lies in the future"
    refused = pregen(*words, "--now", then.isoformat())
    assert (refused.code, refused.error["code"]) == (2, "usage")
    assert "only profile lab, for tests" in refused.err
    ca.configure(validity={"profile": "lab"})
    assert pregen(*words, "--now", then.isoformat()).code == 0


@pytest.mark.parametrize(
    ("count", "examples", "lines"),
    [
        (5, 5, []),
        (6, 6, ["    ... 6 in all (--json lists 6)"]),
        (300, 20, ["    ... 300 in all (--json lists 20)"]),
        (300, 2, ["    ... 300 in all"]),
    ],
)
def test_findings_as_text_show_five_examples_and_count_the_rest(count: int, examples: int, lines: list[str]) -> None:
    text = str(Finding("row.serial.null", "error", "is null", count, tuple(f"row {at}" for at in range(examples))))

    _, *shown = text.split("\n")
    listed = [line for line in shown if "... " not in line]
    assert listed == [f"    row {at}" for at in range(min(examples, 5))]
    assert [line for line in shown if "... " in line] == lines
