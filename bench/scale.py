"""What grows: rows, issuers, workers, answers a certificate; each run against a smaller or simpler one beside it."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from bench.figure import PER_CPU_SECOND, Figure, Finding, Skipped, Target
from bench.parallel import raw_rate
from bench.pipeline import MEMORY, missing_engine
from bench.runs import RunReport, publish, removed
from bench.sizes import Sizes
from bench.workload import CertIds, make_many_issuers, make_workload
from pregen.signers import P256_SHA256

LAYOUTS = Target(must=1.8, wish=1.95)
WORKERS = Target(must=0.92, wish=0.98)
LARGE = Target(must=0.95, wish=1.0)
ISSUERS = Target(must=0.5, wish=0.8)
FILES = 4  # of the snapshot that two workers share
ENGINE = "multibuffer"
PER_SECOND = "/s"


def measure_scale(sizes: Sizes, folder: Path, cpus: int | None = None) -> Iterator[Finding]:
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


def measure_layouts(sizes: Sizes, folder: Path) -> Iterator[Finding]:
    """Yield how many certificates are served by combined answers, against two answers each."""
    group = f"combined against separate answers, P-256, {sizes.layout_rows:,} rows"
    figure = functools.partial(Figure, group=group, unit="certificates/CPU-s")
    rates = {}
    layouts: tuple[CertIds, ...] = ("separate", "combined")
    for layout in layouts:
        with removed(make_workload(folder / layout, sizes.layout_rows, cert_ids=layout)) as workload:
            report = publish(workload)
        rates[layout] = report.certificates / report.cpu_seconds
        note = f"by {report.engine}"
        yield figure(name=f"scale.layouts.{layout}", title=layout, value=rates[layout], note=note)
    ratio, title = rates["combined"] / rates["separate"], "combined / separate"
    yield Figure(name="scale.layouts.ratio", group=group, title=title, value=ratio, target=LAYOUTS)


def measure_workers(sizes: Sizes, folder: Path, cpus: int) -> Iterator[Finding]:
    """Yield what two workers make of two CPUs, against what raw loops in two processes make of them."""
    group = f"two workers against one, P-256, {sizes.worker_rows:,} rows in {FILES} files"
    if cpus < 2:
        reason = f"needs two CPUs, and this process may use {cpus}"
        yield Skipped(name="scale.workers", group=group, title="all of it", reason=reason)
        return
    figure = functools.partial(Figure, group=group)
    with removed(make_workload(folder / "workers", sizes.worker_rows, files=FILES)) as workload:
        runs = [publish(workload, workers=count) for count in (1, 2)]
    # A second publication is a second commit beside the first: nothing of it is read again.
    alone, together = (raw_rate(runs[0].engine, P256_SHA256, count, sizes.reference_s) for count in (1, 2))
    one, two = (report.responses / report.seconds for report in runs)
    yield figure(name="scale.workers.one", title="responses, one worker", value=one, unit=PER_SECOND)
    yield figure(name="scale.workers.two", title="responses, two workers", value=two, unit=PER_SECOND)
    title = "raw signatures, two processes / one"
    yield figure(name="scale.workers.raw", title=title, value=together / alone, note=f"by {runs[0].engine}")
    title = "two workers / one, over that"
    yield figure(name="scale.workers.ratio", title=title, value=two / one / (together / alone), target=WORKERS)


def measure_issuers(sizes: Sizes, folder: Path) -> Iterator[Finding]:
    """Yield the rate of many issuers that sign for themselves, against that of one which does, with as many rows."""
    rows = sizes.issuers * sizes.issuer_rows
    group = f"{sizes.issuers:,} issuers against one, P-256, {ENGINE}, sha1, {rows:,} rows"
    if (reason := missing_engine(ENGINE, P256_SHA256)) is not None:
        yield Skipped(name="scale.issuers", group=group, title="all of it", reason=reason)
        return
    figure = functools.partial(Figure, group=group)
    rates = {}
    for name, issuers in (("one", 1), ("many", sizes.issuers)):
        with removed(make_many_issuers(folder / name, issuers, rows // issuers)) as workload:
            report = publish(workload, ENGINE)
        rates[name] = report.rate
        title = f"responses, {issuers:,} issuer{'s' * (issuers > 1)}"
        yield figure(name=f"scale.issuers.{name}", title=title, value=report.rate, unit=PER_CPU_SECOND)
    title = "memory of the largest process, many issuers"
    yield figure(name="scale.issuers.memory", title=title, value=report.peak_rss_mib, unit="MiB")
    ratio = rates["many"] / rates["one"]
    yield figure(name="scale.issuers.ratio", title="many issuers / one", value=ratio, target=ISSUERS)


def measure_large(sizes: Sizes, folder: Path) -> Iterator[Finding]:
    """Yield the rate and the memory of a very large snapshot, against a usual one before it and after it."""
    if not sizes.large_rows:
        reason = "takes minutes and gigabytes: measured without --quick alone"
        yield Skipped(name="scale.large", group="a very large snapshot, P-256", title="all of it", reason=reason)
        return
    group = f"{sizes.large_rows:,} rows against {sizes.medium_rows:,}, P-256"
    figure = functools.partial(Figure, group=group)
    before, large, after = (_run(folder, rows) for rows in (sizes.medium_rows, sizes.large_rows, sizes.medium_rows))
    medium = 2 * sizes.medium_rows / (before.cpu_seconds + after.cpu_seconds)
    note, samples = f"by {large.engine}", (before.rate, after.rate)
    title = f"responses, {sizes.large_rows:,} rows"
    yield figure(name="scale.large.rate", title=title, value=large.rate, unit=PER_CPU_SECOND, note=note)
    title = f"responses, {sizes.medium_rows:,} rows, before and after"
    yield figure(name="scale.large.medium", title=title, value=medium, unit=PER_CPU_SECOND, samples=samples)
    yield figure(name="scale.large.ratio", title="large / usual", value=large.rate / medium, target=LARGE)
    title = f"memory of the largest process, {sizes.large_rows:,} rows"
    yield figure(name="scale.large.memory", title=title, value=large.peak_rss_mib, unit="MiB", target=MEMORY)


def _run(folder: Path, rows: int) -> RunReport:
    with removed(make_workload(folder / "large", rows)) as workload:
        return publish(workload)
