"""What is said on the way: a bar on a terminal, plain lines elsewhere, and on stdout nothing but the result."""

import json
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from pregen.cli.progress import progress
from tests.pregen.cli.ca import GOOD, Ca, Program


def on_a_terminal(folder: Path, *words: object) -> tuple[int, str, str]:
    """Run the program with stderr on a terminal and stdout in a file; return its exit code and both."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "30"}
    with (folder / "stdout").open("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "pregen", *map(str, words)], cwd=folder, stdout=out, stderr=theirs, env=environment
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65_536)
            except OSError:  # Linux says so at the end of a terminal
                break
            if not part:
                break
            shown += part
        os.close(ours)
        code = process.wait(60)
        out.seek(0)
        return code, out.read(), shown.decode()


def test_a_terminal_shows_a_bar_with_rate_and_time_left_and_stdout_stays_whole(ca: Ca) -> None:
    ca.export_many(5_000)

    code, out, shown = on_a_terminal(ca.folder, "run", ca.config, "--json")

    assert code == 0
    assert json.loads(out)["rows_in"] == 5_000
    assert "read" in shown
    assert "sign" in shown
    assert "5000/5000" in shown
    assert "━" in shown
    assert "/s" in shown
    assert "0:00:00" in shown


def test_an_error_stands_below_the_bar(ca: Ca) -> None:
    ca.export(serial=None)

    code, out, shown = on_a_terminal(ca.folder, "run", ca.config)

    assert (code, out) == (3, "")
    assert "error: the snapshot cannot be used" in shown


def test_the_demo_prints_to_stdout_though_a_terminal_shows_bars(tmp_path: Path) -> None:
    code, out, shown = on_a_terminal(tmp_path, "demo", "--dir", "demo", "--rows", "500", "--workers", "1")

    assert code == 0
    assert "published commit 1" in out
    assert "openssl ocsp -url http://127.0.0.1:8080" in out
    assert max(map(len, out.splitlines())) > 100, "commands are not folded to the width of the terminal"
    assert "published" not in shown
    assert "━" in shown


def test_elsewhere_a_short_run_says_nothing_on_the_way(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).err == ""


def test_elsewhere_a_long_run_says_nothing_on_the_way_either(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cron would mail every good night."""
    instants = iter([100.0, 105.0, 111.0, 112.0, 125.0])
    monkeypatch.setattr("time.monotonic", lambda: next(instants))

    with progress() as show:
        for done in range(1_000, 5_000, 1_000):
            show("read", done, 5_000)

    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "pregen.toml"),
        ("check", "pregen.toml"),
        ("verify", "--config", "pregen.toml"),
        ("import", "pregen.toml", "--out", "canonical"),
        ("demo", "--dir", "demo", "--rows", "100", "--workers", "1"),
        ("lookup", "store", "--issuer", "issuer.pem", "--serial", f"{GOOD:x}"),
        ("inspect", "store"),
        ("status", "store"),
        ("decode", "30030a0106"),
        ("engines",),
    ],
    ids=" ".join,
)
def test_quiet_says_nothing_of_a_success_not_even_on_a_terminal(
    ca: Ca, pregen: Program, words: tuple[str, ...]
) -> None:
    assert pregen("run", ca.config).code == 0

    assert on_a_terminal(ca.folder, *words, "--quiet") == (0, "", "")


def test_quiet_keeps_warnings_errors_and_the_object_that_was_asked_for(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"profile": "lab"})
    then = ca.now + timedelta(hours=30)

    warned = pregen("check", ca.config, "--quiet", "--now", then.isoformat())
    asked = pregen("check", ca.config, "--quiet", "--json")
    refused = pregen("check", ca.config, "--quiet", "--snapshot", "nowhere")

    assert (warned.code, warned.out) == (0, "")
    assert warned.err.startswith("warning now.far-from-clock: ")
    assert asked.document["rows_in"] == 3
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.startswith("error: ")


def test_quiet_is_not_quiet_about_an_exit_code_that_is_not_zero(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0

    warned = pregen("status", ca.store, "--quiet", "--warn", "9d")
    unknown = pregen("status", ca.folder / "nowhere", "--quiet")

    assert (warned.code, warned.out[:14]) == (1, "PREGEN WARNING")
    assert (unknown.code, unknown.out[:15]) == (2, "PREGEN CRITICAL")
