"""The whole way from Parquet to a commit, against the raw rate of the engine that signs.

The raw rate is the mean of one measured immediately before the run and one immediately after. Where the engine is not
named, it is that of the engine which is fastest here.

The P-256 runs against raw loops are the usual case for the gates: a second generation, over that of the day before, of
certificates that have a validity. So their rates, ratios and memory contain what gates cost: taking notes of every row
(step ``observe``), reading the history, comparing, judging, and writing the history (step ``gates``). What that costs a
row is the same for every engine: g us a row are a share of g / (g + w) of a run that takes w us a row for all else.
Reading the column not_before, which nobody but the gates needs, is a part of ``read`` and not among them, nor is the
index of the history, which ``prepare`` reads. The other runs are first generations, without validity: there is nothing
to compare.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figure import PER_CPU_SECOND, BenchError, Detail, Figure, Result, Skipped, Target
from bench.raw import RawLoop, open_loop, signing_rate
from bench.runs import RunReport, check_compared, publish, publish_day_before, removed
from bench.sizes import Sizes
from bench.workload import SERIAL_BYTES, make_workload
from pregen.signers import ALGORITHMS, AUTO, ENGINES, P256_SHA256, RSA2048_SHA256, Algorithm, Engine

OVERHEAD = Target(must=1.5, wish=0.5, at_most=True)
MEMORY = Target(must=450, wish=250, at_most=True)
GATES_SHARE = Target(must=0.10, wish=0.10, at_most=True)
GATE_STEPS = ("observe", "gates")
SIGN = "sign"  # the step that the raw rate is a part of
CHOICE_S = 0.2  # of each engine, to find the fastest


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run to measure.

    Attributes:
        name: of its figures, after ``pipeline.``.
        algorithm: of the responder's key.
        engine: which engine signs.
        rows: size of the snapshot.
        ratio: what is asked of its rate over the raw one; None where the rate is not what the run is for.
        memory: what is asked of its memory.
        steps: whether it is shown where the CPU time went.
        gated: whether it follows a generation of the day before, and it is shown what gates cost.
    """

    name: str
    algorithm: Algorithm = P256_SHA256
    engine: str
    rows: int
    ratio: Target | None = None
    memory: Target | None = None
    steps: bool = False
    gated: bool = False

    @property
    def group(self) -> str:
        """What its figures belong to."""
        return f"pregen run, {self.algorithm.name}, {self.engine}, {self.rows:,} rows"


def pipeline_rows(sizes: Sizes) -> tuple[Row, ...]:
    """Return the runs that are measured."""
    return (
        Row(
            name="p256.multibuffer",
            engine="multibuffer",
            rows=sizes.multibuffer_rows,
            ratio=Target(must=0.72, wish=0.82),
            memory=MEMORY,
            steps=True,
            gated=True,
        ),
        Row(name="p256.awslc", engine="awslc", rows=sizes.awslc_rows, ratio=Target(must=0.83, wish=0.90), gated=True),
        Row(
            name="p256.software",
            engine="software",
            rows=sizes.software_rows,
            ratio=Target(must=0.80, wish=0.90),
            gated=True,
        ),
        Row(
            name="p384.multibuffer",
            algorithm=ALGORITHMS["p384-sha384"],
            engine="multibuffer",
            rows=sizes.p384_rows,
            ratio=Target(must=0.85, wish=0.92),
        ),
        Row(
            name="rsa2048",
            algorithm=RSA2048_SHA256,
            engine=AUTO,
            rows=sizes.rsa_rows,
            ratio=Target(must=0.93, wish=0.97),
        ),
        Row(name="p256.small", engine=AUTO, rows=sizes.memory_rows, memory=MEMORY),
    )


def measure_pipeline(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the figures of all runs."""
    for row in pipeline_rows(sizes):
        yield from measure_row(row, sizes.reference_s, folder)


def measure_row(row: Row, reference_s: float, folder: Path, engines: Sequence[Engine] = ENGINES) -> Iterator[Result]:
    """Yield the figures of one run, or why it is skipped; its folder is gone afterwards.

    Args:
        row: what to run.
        reference_s: how long each raw loop is measured.
        folder: where to work.
        engines: those that there are.
    """
    reason = missing_engine(row.engine, row.algorithm, engines)
    if reason is not None:
        yield Skipped(name=f"pipeline.{row.name}", group=row.group, title="all of it", reason=reason)
        return
    with removed(make_workload(folder / row.name, row.rows, row.algorithm, dated=row.gated)) as workload:
        if row.gated:
            publish_day_before(workload)
        if row.ratio is None:
            yield from figures_of_run(row, publish(workload, row.engine), ())
            return
        loop = reference(row.engine, row.algorithm, engines)
        before = signing_rate(loop, reference_s)
        report = publish(workload, row.engine)
        if row.gated:
            check_compared(report)
        yield from figures_of_run(row, report, (before, signing_rate(loop, reference_s)))


def missing_engine(name: str, algorithm: Algorithm, engines: Sequence[Engine] = ENGINES) -> str | None:
    """Return why an engine cannot sign with an algorithm here; None where it can, or is ``auto``."""
    engine = next((engine for engine in engines if engine.name == name), None)
    if engine is None:
        return None
    reason = engine.unavailable()
    if reason is None and not engine.supports(algorithm):
        return f"on this CPU, {name} does not sign {algorithm.name}"
    return reason


def reference(engine: str, algorithm: Algorithm, engines: Sequence[Engine] = ENGINES) -> RawLoop:
    """Return the raw loop of an engine; of ``auto``, the fastest one of those that work here."""
    if engine != AUTO:
        return open_loop(engine, algorithm)
    able = [one for one in engines if one.supports(algorithm) and one.unavailable() is None]
    return max((open_loop(one.name, algorithm) for one in able), key=lambda loop: signing_rate(loop, CHOICE_S))


def figures_of_run(row: Row, report: RunReport, raw: Sequence[float]) -> Iterator[Figure]:
    """Yield what a run's report says.

    Args:
        row: what was run.
        report: what it says.
        raw: rates of the same engine's raw loop, measured around it.
    """
    figure = functools.partial(Figure, group=row.group)
    name, rate = f"pipeline.{row.name}", report.rate
    detail: Detail = {"rows": row.rows, "engine": report.engine, "cpu_seconds": report.cpu_seconds}
    note = f"by {report.engine}" if row.engine == AUTO else ""
    yield figure(name=f"{name}.rate", title="responses", value=rate, unit=PER_CPU_SECOND, detail=detail, note=note)
    if raw:
        mean = sum(raw) / len(raw)
        yield figure(name=f"{name}.ratio", title="responses / raw signatures", value=rate / mean, target=row.ratio)
        title = "raw signatures, before and after"
        yield figure(name=f"{name}.raw", title=title, value=mean, unit=PER_CPU_SECOND, samples=tuple(raw))
        if row.steps:
            yield from figures_of_steps(row, report, mean)
    if row.gated:
        yield from figures_of_gates(row, report)
    yield figure(
        name=f"{name}.overhead",
        title="stored a response, beyond serial and signature",
        value=report.stored_bytes / report.responses - SERIAL_BYTES - row.algorithm.signature_bytes,
        unit="octets",
        target=OVERHEAD,
        detail={"stored_bytes": report.stored_bytes},
    )
    title = "memory of the largest process"
    yield figure(name=f"{name}.memory", title=title, value=report.peak_rss_mib, unit="MiB", target=row.memory)


def figures_of_gates(row: Row, report: RunReport) -> Iterator[Figure]:
    """Yield what the gates of a run cost: their share of its CPU time, and what that is a row.

    Raises:
        BenchError: the run does not say so.
    """
    missing = [step for step in GATE_STEPS if step not in report.cpu_by_step]
    if missing:
        raise BenchError(f"pregen run does not say what {', '.join(missing)} took: what gates cost is unknown")
    parts = {step: report.cpu_by_step[step] for step in GATE_STEPS}
    spent = sum(parts.values())
    figure, name = functools.partial(Figure, group=row.group), f"pipeline.{row.name}"
    title, detail = "gates / all CPU time", {**parts, "cpu_seconds": report.cpu_seconds}
    share = spent / report.cpu_seconds
    yield figure(name=f"{name}.gates_share", title=title, value=share, target=GATES_SHARE, detail=detail)
    note = ", ".join(f"{step} {seconds / row.rows * 1e6:.3f}" for step, seconds in parts.items())
    yield figure(
        name=f"{name}.gates_us_a_row",
        title="CPU time of the gates",
        value=spent / row.rows * 1e6,
        unit="us a row",
        note=note,
    )


def figures_of_steps(row: Row, report: RunReport, raw: float) -> Iterator[Figure]:
    """Yield where the CPU time of a run went, the largest part first: all of it, and no part twice.

    Args:
        row: what was run.
        report: of the run.
        raw: raw signatures a second; what the step `sign` takes beyond them is hashing, ephemeral keys and copies.
    """
    parts = {step: spent for step, spent in report.cpu_by_step.items() if spent > 0}
    if not parts:
        return
    if SIGN in parts:
        signing = min(parts[SIGN], report.responses / raw)
        parts |= {"sign: raw signatures": signing, "sign: all else": parts[SIGN] - signing}
        del parts[SIGN]
    parts["outside of all steps"] = max(report.cpu_seconds - sum(parts.values()), 0.0)
    for part, spent in sorted(parts.items(), key=lambda item: -item[1]):
        yield Figure(
            name=f"pipeline.{row.name}.cpu.{part.replace(': ', '.').replace(' ', '_')}",
            group=f"{row.group}: where the CPU time went",
            title=part,
            value=spent / report.responses * 1e6,
            unit="us a response",
            detail={"cpu_seconds": round(spent, 3)},
            note=f"{spent / report.cpu_seconds:.1%}",
        )
