"""Processes that are killed in the middle: what they leave behind, and what they say if they still can."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest

from pregen.__main__ import main
from pregen.generation.rows.sharding import SHARD_ROWS
from pregen.snapshot.files.base import USUAL_ROW_BYTES
from tests.faults.processes import RunningProgram, group
from tests.pregen.cli.ca import GOOD, Ca, Outcome, Program, Value
from tests.storage.edge.processes import wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")

ROWS, SHARDS = 64_000, 16  # of about a tenth of a second each
FEW = "few.parquet"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    """A CA with a small current generation, and a snapshot that takes seconds to sign."""
    ca = Ca(tmp_path_factory.mktemp("original"))
    any_size = {"share": 1.0, "count": 1_000_000}
    gates: dict[str, Value] = {"shrink": any_size, "growth": any_size, "unrevoke": 1}
    ca.configure(issuer={"cert_ids": "sha1"}, gates=gates)
    assert main(["run", str(ca.config)]) == 0
    ca.export(to=FEW)
    ca.configure(issuer={"cert_ids": "sha1"}, gates=gates, snapshot={"path": export_in_shards(ca)})
    return ca


def export_in_shards(ca: Ca) -> str:
    """Write a snapshot that looks as if it had many rows, so that there are many shards, each of which is small."""
    table = pa.table(
        {
            "serial": pa.array([(1 << 40 | number).to_bytes(6, "big") for number in range(ROWS)], pa.binary()),
            "revoked_at": pa.nulls(ROWS, pa.timestamp("ms", "UTC")),
            "padding": pa.array([bytes(SHARDS * SHARD_ROWS * USUAL_ROW_BYTES // ROWS)] * ROWS, pa.binary()),
        }
    )
    path = ca.folder.with_suffix(".arrow")  # beside the folder, so that it is not copied for each test
    with pa.ipc.new_file(str(path), table.schema.with_metadata({"pregen.as_of": ca.now.isoformat()})) as file:
        file.write_table(table)
    return str(path)


@pytest.fixture
def ca(original: Ca, tmp_path: Path) -> Ca:
    return original.copied_to(tmp_path)


def in_the_middle(ca: Ca, running: RunningProgram) -> None:
    """Wait until a shard is stored and others are not."""
    packs = len(list((ca.store / "packs").iterdir()))
    running.wait_until(lambda: len([p for p in (ca.store / "packs").iterdir() if p.suffix != ".tmp"]) > packs)


def assert_nothing_published(ca: Ca, before: dict[str, bytes]) -> None:
    after = ca.stored()
    assert {name: after.get(name) for name in before} == before
    left = {name.partition("/")[0] for name in after.keys() - before.keys()}
    assert left <= {"packs", "tables", "windows", "history", "runs"}, "only what no commit names may be left"


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
@pytest.mark.parametrize(
    ("send", "workers"),
    [
        pytest.param(os.kill, 2, id="to the program alone, 2 workers"),
        pytest.param(os.killpg, 1, id="to all its processes, 1 worker"),
        pytest.param(os.kill, 1, id="to the program alone, 1 worker", marks=pytest.mark.slow),
        pytest.param(os.killpg, 2, id="to all its processes, 2 workers", marks=pytest.mark.slow),
    ],
)
def test_a_signal_in_the_middle_cleans_up_and_publishes_nothing(
    ca: Ca, number: signal.Signals, code: int, word: str, send: Callable[[int, int], None], workers: int
) -> None:
    before = ca.stored()
    with RunningProgram(ca.folder, "run", ca.config, "--json", "--workers", workers) as running:
        in_the_middle(ca, running)
        send(running.pid, number)
        ended = running.end()

    signed = [name for name in ca.stored().keys() - before.keys() if name.startswith("packs/")]
    assert 0 < len(signed) < SHARDS, "the rest is not signed first; by the clock, a busy machine would be blamed"
    assert ended.code == code
    assert ended.err == f"error: {word}: nothing was published\n"
    assert ended.error == {"code": word, "message": f"{word}: nothing was published", "findings": []}
    assert_nothing_published(ca, before)
    ca.assert_clean()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_second_signal_does_not_break_into_the_cleaning_up(ca: Ca, workers: int) -> None:
    before = ca.stored()
    with RunningProgram(ca.folder, "run", ca.config, "--workers", workers) as running:
        in_the_middle(ca, running)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            if running.process.poll() is None:
                os.kill(running.pid, number)
            time.sleep(0.002)
        ended = running.end()

    assert ended.code in (130, 143)
    assert "Traceback" not in ended.err
    assert_nothing_published(ca, before)
    ca.assert_clean()


@pytest.mark.parametrize(
    "after_s", [0.0, 0.2, 0.4, *(pytest.param(after_s, marks=pytest.mark.slow) for after_s in (0.1, 0.3, 0.6))]
)
def test_ctrl_c_at_any_moment_of_the_beginning_shows_no_traceback(ca: Ca, after_s: float) -> None:
    """Before, during and after the start of the workers: Ctrl-C on a terminal reaches all processes at once."""
    before = ca.stored()
    with RunningProgram(ca.folder, "run", ca.config, "--workers", 2) as running:
        running.wait_until(lambda: "libarrow" in Path(f"/proc/{running.pid}/maps").read_text())
        time.sleep(after_s)
        os.killpg(running.pid, signal.SIGINT)
        ended = running.end()

    assert ended.code == 130
    assert ended.err == "error: interrupted: nothing was published\n"
    assert_nothing_published(ca, before)
    ca.assert_clean()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_fails_the_run_and_its_shard_is_named(ca: Ca, number: signal.Signals) -> None:
    before = ca.stored()
    with RunningProgram(ca.folder, "run", ca.config, "--json", "--workers", 2) as running:
        in_the_middle(ca, running)
        worker, _ = running.workers()
        os.kill(worker, number)
        ended = running.end()

    assert ended.code == 6
    assert ended.error["code"] == "worker"
    assert re.search(rf"the worker process of (overlay, )?shard \d+ was killed by {number.name}", ended.err)
    assert ("when memory runs out" in ended.err) == (number == signal.SIGKILL)
    assert "the current generation is what it was" in ended.err
    assert_nothing_published(ca, before)
    ca.assert_spool_is_clean()


def test_a_killed_program_takes_its_workers_along_and_the_next_run_clears_its_spool_away(
    ca: Ca, pregen: Program
) -> None:
    before = ca.stored()
    with RunningProgram(ca.folder, "run", ca.config, "--workers", 2) as running:
        in_the_middle(ca, running)
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()
        wait_until(lambda: not group(running.pid))

    (abandoned,) = ca.spool.glob("pregen-spool-*")
    assert abandoned.stat().st_mode & 0o777 == 0o700
    assert_nothing_published(ca, before)
    (ca.spool / "of-someone-else").mkdir()
    ended = pregen("run", ca.config, "--snapshot", ca.folder / FEW, "--json")
    assert (ended.code, ended.document["commit"]) == (0, 2)
    assert [path.name for path in ca.spool.iterdir()] == ["of-someone-else"]


def signalled_after_the_commit(ca: Ca, number: signal.Signals, after_s: float, *words: object) -> Outcome:
    """Return how a command ended that got a signal when its commit was there."""
    latest = ca.store / "LATEST"
    before = latest.read_bytes()
    with RunningProgram(ca.folder, *words) as running:
        while latest.read_bytes() == before:
            time.sleep(0.0005)
        time.sleep(after_s)
        os.kill(running.pid, number)
        return running.end()


@pytest.mark.parametrize(
    ("number", "after_s"),
    [
        (signal.SIGTERM, 0.0),
        (signal.SIGINT, 0.01),
        (signal.SIGTERM, 0.03),
        pytest.param(signal.SIGINT, 0.0, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 0.01, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 0.03, marks=pytest.mark.slow),
    ],
)
def test_a_signal_after_the_commit_no_longer_says_that_nothing_was_published(
    ca: Ca, number: signal.Signals, after_s: float
) -> None:
    ended = signalled_after_the_commit(ca, number, after_s, "run", ca.config, "--snapshot", ca.folder / FEW, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.document["commit"] == 2


def test_nor_does_one_after_the_commit_of_an_urgent_change_or_a_rollback(ca: Ca) -> None:
    for commit, words in (
        (2, ("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}")),
        (3, ("rollback", ca.config, "--to", "1", "--reason", "test")),
    ):
        ended = signalled_after_the_commit(ca, signal.SIGINT, 0, *words, "--json")

        assert (ended.code, ended.err) == (0, "")
        assert ended.document["commit"] == commit


def test_a_run_does_not_take_the_spool_of_another_that_works(ca: Ca, pregen: Program) -> None:
    with RunningProgram(ca.folder, "run", ca.config, "--json") as running:
        in_the_middle(ca, running)
        assert pregen("check", ca.config).code == 0
        ended = running.end()

    assert ended.code == 0
    assert ended.document["certificates"] == ROWS
