"""What grows: rows, issuers, workers, answers a certificate; each run between two smaller or simpler ones.

A run is held against the mean of the two around it, so that a machine which drifts meanwhile drifts for both.
"""

import functools
import operator
import os
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.figure import PER_CPU_SECOND, Detail, Figure, Result, Skipped, Target
from bench.parallel import raw_spans, total_rate
from bench.pipeline import MEMORY, missing_engine
from bench.raw import bench_key
from bench.runs import RunReport, publish, removed
from bench.sizes import Sizes
from bench.workload import CertIdLayout, Workload, make_many_issuers, make_workload
from pregen.signers import AUTO, P256_SHA256, choose_engine

LAYOUTS = Target(must=1.8, wish=1.95)
WORKERS = Target(must=0.92, wish=0.98)
LARGE = Target(must=0.95, wish=1.0)
ISSUERS = Target(must=0.5, wish=0.8)
FILES = 4  # of the snapshot that two workers share
ENGINE = "multibuffer"
_PER_SECOND = "/s"

RateOf = Callable[[RunReport], float]
RESPONSES: RateOf = operator.attrgetter("rate")


class Runs(NamedTuple):
    """One run, between two of what it is held against."""

    before: RunReport
    run: RunReport
    after: RunReport

    def around(self, rate: RateOf) -> tuple[float, float]:
        """Return the rates of the two."""
        return rate(self.before), rate(self.after)

    def ratio(self, rate: RateOf) -> float:
        """Return the rate of the one over the mean of the two."""
        return rate(self.run) / statistics.fmean(self.around(rate))


class Raw(NamedTuple):
    """Raw signatures a second of wall-clock time, of one process and of two together."""

    one: float
    two: float

    @property
    def ratio(self) -> float:
        """What the second process adds: 2.0 where they do not get in each other's way."""
        return self.two / self.one


def measure_scale(sizes: Sizes, folder: Path, cpus: int | None = None) -> Iterator[Result]:
    """Yield the figures of all four.

    Args:
        sizes: how much.
        folder: where to work.
        cpus: how many this process may use; None: as it is.
    """
    yield from measure_layouts(sizes, folder)
    yield from measure_workers(sizes, folder, cpus or len(os.sched_getaffinity(0)))
    yield from measure_issuers(sizes, folder)
    yield from measure_large(sizes, folder)


def measure_layouts(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield how many certificates are served by combined answers, against two answers each."""
    layouts: tuple[CertIdLayout, ...] = ("separate", "combined", "separate")
    made = (make_workload(folder / layout, sizes.layout_rows, cert_ids=layout) for layout in layouts)
    yield from figures_of_layouts(sizes, Runs(*map(_published, made)))


def figures_of_layouts(sizes: Sizes, runs: Runs) -> Iterator[Figure]:
    """Yield what runs with separate, combined and separate answers say."""
    group = f"combined against separate answers, P-256, {sizes.layout_rows:,} rows"
    note = f"by {runs.run.engine}"
    figure = functools.partial(Figure, group=group, unit="certificates/CPU-s", note=note)
    samples, combined = runs.around(_certificates), _certificates(runs.run)
    name, title = "scale.layouts.separate", "separate, before and after"
    yield figure(name=name, title=title, value=statistics.fmean(samples), samples=samples)
    yield figure(name="scale.layouts.combined", title="combined", value=combined, detail=_detail(runs.run))
    ratio, title = runs.ratio(_certificates), "combined / separate"
    yield Figure(name="scale.layouts.ratio", group=group, title=title, value=ratio, target=LAYOUTS)


def measure_workers(sizes: Sizes, folder: Path, cpus: int) -> Iterator[Result]:
    """Yield what two workers make of two CPUs, against what raw loops in two processes make of them."""
    if cpus < 2:
        reason = f"needs two CPUs, and this process may use {cpus}"
        yield Skipped(name="scale.workers", group=_workers_group(sizes), title="all of it", reason=reason)
        return
    engine = choose_engine(AUTO, P256_SHA256, lambda: bench_key(P256_SHA256.key)).engine

    def raw() -> Raw:
        return Raw(*(total_rate(raw_spans(engine, P256_SHA256, count, sizes.reference_s)) for count in (1, 2)))

    before = raw()
    with removed(make_workload(folder / "workers", sizes.worker_rows, files=FILES)) as workload:
        runs = Runs(*(_first_generation(workload, engine, workers) for workers in (1, 2, 1)))
    yield from figures_of_workers(sizes, runs, (before, raw()))


def figures_of_workers(sizes: Sizes, runs: Runs, raw: Sequence[Raw]) -> Iterator[Figure]:
    """Yield what runs by one worker, two and one say.

    Args:
        sizes: how much was measured.
        runs: the three.
        raw: measured before the runs and after them.
    """
    figure = functools.partial(Figure, group=_workers_group(sizes))
    samples, raw_ratios = runs.around(_wall_rate), tuple(one.ratio for one in raw)
    one, two, raw_ratio = statistics.fmean(samples), _wall_rate(runs.run), statistics.fmean(raw_ratios)
    name, title = "scale.workers.one", "responses, one worker, before and after"
    yield figure(name=name, title=title, value=one, unit=_PER_SECOND, samples=samples)
    name, title, detail = "scale.workers.two", "responses, two workers", _detail(runs.run)
    yield figure(name=name, title=title, value=two, unit=_PER_SECOND, detail=detail)
    name, title = "scale.workers.raw", "raw signatures, two processes / one, before and after"
    yield figure(name=name, title=title, value=raw_ratio, samples=raw_ratios, note=f"by {runs.run.engine}")
    ratio, title = runs.ratio(_wall_rate) / raw_ratio, "two workers / one, over that"
    yield figure(name="scale.workers.ratio", title=title, value=ratio, target=WORKERS)


def measure_issuers(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the rate of many issuers that sign for themselves, against that of one which does, with as many rows."""
    if (reason := missing_engine(ENGINE, P256_SHA256)) is not None:
        yield Skipped(name="scale.issuers", group=_issuers_group(sizes), title="all of it", reason=reason)
        return
    rows, counts = sizes.issuers * sizes.issuer_rows, (1, sizes.issuers, 1)
    made = (make_many_issuers(folder / "issuers", issuers, rows // issuers) for issuers in counts)
    yield from figures_of_issuers(sizes, Runs(*(_published(workload, ENGINE) for workload in made)))


def figures_of_issuers(sizes: Sizes, runs: Runs) -> Iterator[Figure]:
    """Yield what runs for one issuer, many and one say."""
    figure = functools.partial(Figure, group=_issuers_group(sizes))
    samples = runs.around(RESPONSES)
    name, title, one = "scale.issuers.one", "responses, 1 issuer, before and after", statistics.fmean(samples)
    yield figure(name=name, title=title, value=one, unit=PER_CPU_SECOND, samples=samples)
    title = f"responses, {sizes.issuers:,} issuers"
    yield figure(
        name="scale.issuers.many", title=title, value=runs.run.rate, unit=PER_CPU_SECOND, detail=_detail(runs.run)
    )
    title = "memory of the largest process, many issuers"
    yield figure(name="scale.issuers.memory", title=title, value=runs.run.peak_rss_mib, unit="MiB")
    ratio, title = runs.ratio(RESPONSES), "many issuers / one"
    yield figure(name="scale.issuers.ratio", title=title, value=ratio, target=ISSUERS)


def measure_large(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the rate and the memory of a very large snapshot, against a usual one."""
    if not sizes.large_rows:
        reason = "takes minutes and gigabytes: measured without --quick alone"
        yield Skipped(name="scale.large", group="a very large snapshot, P-256", title="all of it", reason=reason)
        return
    made = (make_workload(folder / "large", n) for n in (sizes.medium_rows, sizes.large_rows, sizes.medium_rows))
    yield from figures_of_large(sizes, Runs(*map(_published, made)))


def figures_of_large(sizes: Sizes, runs: Runs) -> Iterator[Figure]:
    """Yield what runs on a usual snapshot, a very large and a usual one say."""
    figure = functools.partial(Figure, group=f"{sizes.large_rows:,} rows against {sizes.medium_rows:,}, P-256")
    large, samples = runs.run, runs.around(RESPONSES)
    name, title, note = "scale.large.rate", f"responses, {sizes.large_rows:,} rows", f"by {large.engine}"
    yield figure(name=name, title=title, value=large.rate, unit=PER_CPU_SECOND, note=note, detail=_detail(large))
    title, medium = f"responses, {sizes.medium_rows:,} rows, before and after", statistics.fmean(samples)
    yield figure(name="scale.large.medium", title=title, value=medium, unit=PER_CPU_SECOND, samples=samples)
    ratio, title = runs.ratio(RESPONSES), "large / usual"
    yield figure(name="scale.large.ratio", title=title, value=ratio, target=LARGE)
    title = f"memory of the largest process, {sizes.large_rows:,} rows"
    yield figure(name="scale.large.memory", title=title, value=large.peak_rss_mib, unit="MiB", target=MEMORY)


def _detail(report: RunReport) -> Detail:
    return {
        "responses": report.responses,
        "workers": report.workers,
        "cpu_seconds": report.cpu_seconds,
        "wall_seconds": report.wall_seconds,
        "seconds": report.seconds,
    }


def _certificates(report: RunReport) -> float:
    return report.certificates / report.cpu_seconds


def _wall_rate(report: RunReport) -> float:
    return report.responses / report.wall_seconds


def _workers_group(sizes: Sizes) -> str:
    return f"two workers against one, P-256, {sizes.worker_rows:,} rows in {FILES} files, wall-clock rates"


def _issuers_group(sizes: Sizes) -> str:
    rows = sizes.issuers * sizes.issuer_rows
    return f"{sizes.issuers:,} issuers against one, P-256, {ENGINE}, sha1, {rows:,} rows"


def _first_generation(workload: Workload, engine: str, workers: int) -> RunReport:
    """Publish, and remove the store: else the gates of the next run would have something to compare with."""
    report = publish(workload, engine, workers)
    shutil.rmtree(workload.store)
    return report


def _published(made: Workload, engine: str = AUTO) -> RunReport:
    with removed(made) as workload:
        return publish(workload, engine)
