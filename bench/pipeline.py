"""`pregen run`, the whole way from Parquet to a commit, against the raw rate of the engine that it uses.

The run is a process of its own and reports on itself: CPU seconds of all its processes, start-up and read-back
included, all octets put, memory of the largest process. The raw rate is the mean of one measured immediately before and
one immediately after.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.figure import PER_CPU_SECOND, BenchError, Detail, Figure, Finding, Sizes, Skipped, Target
from bench.raw import LOOPS, signing_rate
from bench.workload import RECORD_BYTES, Workload, make_workload
from pregen.signers import AUTO, ENGINES, P256_SHA256, Engine

OVERHEAD = Target(must=1.5, wish=0.5, at_most=True)
MEMORY = Target(must=450, wish=250, at_most=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run to measure.

    Attributes:
        name: of its figures, after ``pipeline.``.
        engine: which engine signs.
        rows: size of the snapshot.
        ratio: what is asked of its rate over the raw one; None where the rate is not what the run is for.
        memory: what is asked of its memory.
    """

    name: str
    engine: str
    rows: int
    ratio: Target | None = None
    memory: Target | None = None


class RunReport(msgspec.Struct, frozen=True):
    """What is needed of the object that `pregen run --json` prints."""

    responses: int
    engine: str
    workers: int
    cpu_seconds: float
    stored_bytes: int
    peak_rss_mib: float

    @property
    def rate(self) -> float:
        """Responses a second of CPU time."""
        return self.responses / self.cpu_seconds


def pipeline_rows(sizes: Sizes) -> tuple[Row, ...]:
    """Return the runs that are measured."""
    return (
        Row(
            name="p256.multibuffer",
            engine="multibuffer",
            rows=sizes.multibuffer_rows,
            ratio=Target(must=0.68, wish=0.80),
            memory=MEMORY,
        ),
        Row(name="p256.software", engine="software", rows=sizes.software_rows, ratio=Target(must=0.80, wish=0.90)),
        Row(name="p256.small", engine=AUTO, rows=sizes.memory_rows, memory=MEMORY),
    )


def measure_pipeline(sizes: Sizes, folder: Path) -> Iterator[Finding]:
    """Yield the figures of all runs."""
    for row in pipeline_rows(sizes):
        yield from measure_row(row, sizes.raw_s, folder)


def measure_row(row: Row, raw_s: float, folder: Path, engines: Sequence[Engine] = ENGINES) -> Iterator[Finding]:
    """Yield the figures of one run, or why it is skipped; its folder is gone afterwards.

    Args:
        row: what to run.
        raw_s: how long each raw loop is measured.
        folder: where to work.
        engines: those that there are.
    """
    reason = next((engine.unavailable() for engine in engines if engine.name == row.engine), None)
    if reason is not None:
        yield Skipped(name=f"pipeline.{row.name}", group=_group(row), title="all of it", reason=reason)
        return
    workload = make_workload(folder / row.name, row.rows)
    try:
        if row.ratio is None:
            yield from figures_of_run(row, publish(workload, row.engine), ())
        else:
            loop = LOOPS[row.engine, P256_SHA256.name]()
            before = signing_rate(loop, raw_s)
            report = publish(workload, row.engine)
            yield from figures_of_run(row, report, (before, signing_rate(loop, raw_s)))
    finally:
        shutil.rmtree(workload.folder)


def publish(workload: Workload, engine: str) -> RunReport:
    """Run `pregen run` on a workload in a process of its own and return its report.

    Raises:
        BenchError: it failed, or did something else than it was asked for.
    """
    run = ("run", str(workload.config), "--json", "--workers", "1", "--engine", engine)
    code, out = run_apart((sys.executable, "-m", "pregen", *run))
    if code:
        raise BenchError(f"pregen run on {workload.rows:,} rows ended with exit code {code}: {out.strip()}")
    report = msgspec.json.decode(out, type=RunReport)
    check_report(report, workload.rows, engine)
    return report


def check_report(report: RunReport, rows: int, engine: str) -> None:
    """See that a run did what it was asked for.

    Raises:
        BenchError: other rows, workers or another engine.
    """
    if (report.responses, report.workers) != (rows, 1) or engine not in {AUTO, report.engine}:
        raise BenchError(f"pregen run on {rows:,} rows by one worker and {engine} did something else: {report}")


def figures_of_run(row: Row, report: RunReport, raw: Sequence[float]) -> Iterator[Figure]:
    """Yield what a run's report says.

    Args:
        row: what was run.
        report: what it says.
        raw: rates of the same engine's raw loop, measured around it.
    """
    figure = functools.partial(Figure, group=_group(row))
    name, rate = f"pipeline.{row.name}", report.rate
    detail: Detail = {"rows": row.rows, "engine": report.engine, "cpu_seconds": report.cpu_seconds}
    yield figure(name=f"{name}.rate", title="responses", value=rate, unit=PER_CPU_SECOND, detail=detail)
    if raw:
        mean = sum(raw) / len(raw)
        yield figure(name=f"{name}.ratio", title="responses / raw signatures", value=rate / mean, target=row.ratio)
        title = "raw signatures, before and after"
        yield figure(name=f"{name}.raw", title=title, value=mean, unit=PER_CPU_SECOND, samples=tuple(raw))
    yield figure(
        name=f"{name}.overhead",
        title="stored a response, beyond serial and signature",
        value=report.stored_bytes / report.responses - RECORD_BYTES,
        unit="octets",
        target=OVERHEAD,
        detail={"stored_bytes": report.stored_bytes},
    )
    title = "memory of the largest process"
    yield figure(name=f"{name}.memory", title=title, value=report.peak_rss_mib, unit="MiB", target=row.memory)


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


def _group(row: Row) -> str:
    return f"pregen run, P-256, {row.engine}, {row.rows:,} rows"
