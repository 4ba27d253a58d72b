"""`pregen run` as a process of its own, and what it reports.

It reports on itself: CPU seconds of all its processes, start-up and read-back included, all octets put, memory of the
largest process. Wall-clock time is taken here: its own begins after all imports.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.figure import BenchError
from bench.workload import Workload
from pregen.signers import AUTO

COMPARING = "shrink"  # the gate that looks for every certificate of the generation before


class Gate(msgspec.Struct, frozen=True):
    """What is needed of what one gate said."""

    outcome: str


class RunReport(msgspec.Struct, frozen=True):
    """What is needed of the object that `pregen run --json` prints, and how long the whole process took."""

    certificates: int
    responses: int
    engine: str
    workers: int
    seconds: float
    wall_seconds: float
    cpu_seconds: float
    stored_bytes: int
    peak_rss_mib: float
    carried: int = 0
    kept: int = 0
    cpu_by_step: Mapping[str, float] = {}
    gates: Mapping[str, Gate] = {}

    @property
    def rate(self) -> float:
        """Responses a second of CPU time."""
        return self.responses / self.cpu_seconds


@contextlib.contextmanager
def removed(workload: Workload) -> Iterator[Workload]:
    """Give a workload; its folder is gone afterwards, whatever happens."""
    try:
        yield workload
    finally:
        shutil.rmtree(workload.folder)


def publish(workload: Workload, engine: str = AUTO, workers: int = 1) -> RunReport:
    """Run `pregen run` on a workload in a process of its own and return its report.

    Raises:
        BenchError: it failed, or did something else than it was asked for.
    """
    report = run_workload(workload, "--full", "--workers", str(workers), "--engine", engine)
    check_report(report, workload.responses, engine, workers)
    return report


def publish_day_before(workload: Workload) -> RunReport:
    """Publish what was known of a dated workload a day before, so that the next run has something to compare with.

    Raises:
        BenchError: it failed.
    """
    return run_workload(workload, "--snapshot", str(workload.day_before))


def run_workload(workload: Workload, *options: str) -> RunReport:
    """Run `pregen run` on a workload with any options.

    Raises:
        BenchError: it failed.
    """
    started = time.perf_counter()
    code, out = run_apart((sys.executable, "-m", "pregen", "run", str(workload.config), "--json", *options))
    wall_seconds = time.perf_counter() - started
    if code:
        raise BenchError(f"pregen run on {workload.rows:,} rows ended with exit code {code}: {out.strip()}")
    return msgspec.convert({**msgspec.json.decode(out), "wall_seconds": wall_seconds}, RunReport)


def check_report(report: RunReport, responses: int, engine: str, workers: int) -> None:
    """See that a run did what it was asked for.

    Raises:
        BenchError: other responses, workers or another engine.
    """
    if (report.responses, report.workers) != (responses, workers) or engine not in {AUTO, report.engine}:
        asked = f"{responses:,} responses by {workers} worker(s) and {engine}"
        raise BenchError(f"pregen run was to make {asked}, and did something else: {report}")


def check_compared(report: RunReport) -> None:
    """See that the gates of a run compared it with a generation before, and found nothing wrong.

    Raises:
        BenchError: they did not, so what they cost means nothing.
    """
    gate = report.gates.get(COMPARING)
    outcome = "not asked" if gate is None else gate.outcome
    if outcome != "passed":
        raise BenchError(f"the gate {COMPARING} was to compare this run with the generation before, but was {outcome}")


def with_stdin(file: Path, command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that reads a file on its stdin."""
    return ("/bin/sh", "-c", 'file="$0"; exec "$@" < "$file"', str(file), *command)


def run_apart(command: Sequence[str]) -> tuple[int, str]:
    """Run a command and return its exit code and what it wrote to stdout; it ends when this process is interrupted.

    Linux counts the memory of a process from before its exec, when it still was its parent. So a shell stands between,
    which is small: else the peak memory of `command` could never be less than the bench's own.
    """
    shell = ("/bin/sh", "-c", '"$@"; exit $?', "sh", *command)
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True, process_group=0) as process:  # noqa: S603 - our words
        assert process.stdout is not None
        try:
            out = process.stdout.read()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.stdout.read()  # its end: the command has removed its files, and is gone
            raise
    return process.returncode, out
