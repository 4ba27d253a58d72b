from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.figure import Figure, Skipped
from bench.parallel import raw_spans
from bench.runs import RunReport
from bench.scale import (
    Raw,
    Runs,
    figures_of_issuers,
    figures_of_large,
    figures_of_layouts,
    figures_of_workers,
    measure_large,
    measure_workers,
)
from pregen.signers import P256_SHA256
from tests.bench.conftest import TINY


def report(responses: int, cpu_s: float, wall_s: float, memory_mib: float) -> RunReport:
    return RunReport(
        certificates=responses // 2,
        responses=responses,
        engine="software",
        workers=1,
        seconds=0.1,
        wall_seconds=wall_s,
        cpu_seconds=cpu_s,
        stored_bytes=1,
        peak_rss_mib=memory_mib,
    )


# A CPU second: 2000 responses, then 6000, then 4000; a second of the clock: 1000, 4500, 2000.
RUNS = Runs(report(1000, 0.5, 1.0, 100), report(9000, 1.5, 2.0, 300), report(2000, 0.5, 1.0, 200))


def values(figures: Iterable[Figure]) -> dict[str, object]:
    return {one.name.removeprefix("scale."): pytest.approx(one.value) for one in figures}


def samples(figures: Iterable[Figure]) -> dict[str, tuple[float, ...]]:
    return {one.name.removeprefix("scale."): one.samples for one in figures if one.samples}


def test_combined_answers_are_held_against_the_mean_of_the_separate_ones() -> None:
    figures = list(figures_of_layouts(TINY, RUNS))
    assert values(figures) == {"layouts.separate": 1500, "layouts.combined": 3000, "layouts.ratio": 2}
    assert samples(figures) == {"layouts.separate": (1000, 2000)}


def test_two_workers_are_held_against_the_mean_of_one_by_the_clock_and_over_raw_processes() -> None:
    figures = list(figures_of_workers(TINY, RUNS, (Raw(1000, 1800), Raw(1000, 2200))))
    assert values(figures) == {"workers.one": 1500, "workers.two": 4500, "workers.raw": 2, "workers.ratio": 1.5}
    assert samples(figures) == {"workers.one": (1000, 2000), "workers.raw": (1.8, 2.2)}
    assert all("wall-clock rates" in one.group for one in figures)


def test_many_issuers_are_held_against_the_mean_of_one() -> None:
    figures = list(figures_of_issuers(TINY, RUNS))
    assert values(figures) == {
        "issuers.one": 3000,
        "issuers.many": 6000,
        "issuers.memory": 300,
        "issuers.ratio": 2,
    }
    assert samples(figures) == {"issuers.one": (2000, 4000)}


def test_a_very_large_snapshot_is_held_against_the_mean_of_the_usual_ones() -> None:
    figures = list(figures_of_large(TINY, RUNS))
    assert values(figures) == {"large.rate": 6000, "large.medium": 3000, "large.ratio": 2, "large.memory": 300}
    assert samples(figures) == {"large.medium": (2000, 4000)}


def test_two_workers_are_not_measured_on_one_cpu(tmp_path: Path) -> None:
    (skipped,) = measure_workers(TINY, tmp_path, cpus=1)
    assert isinstance(skipped, Skipped)
    assert (skipped.name, skipped.reason) == ("scale.workers", "needs two CPUs, and this process may use 1")
    assert not list(tmp_path.iterdir())


def test_in_a_hurry_the_very_large_snapshot_is_skipped(tmp_path: Path) -> None:
    (skipped,) = measure_large(replace(TINY, large_rows=0), tmp_path)
    assert isinstance(skipped, Skipped)
    assert "without --quick" in skipped.reason
    assert not list(tmp_path.iterdir())


def test_raw_loops_in_two_processes_sign_at_the_same_time() -> None:
    one, other = raw_spans("software", P256_SHA256, 2, 0.1)
    assert max(one.began, other.began) < min(one.ended, other.ended)
    assert min(span.ended - span.began for span in (one, other)) >= 0.1
