from pathlib import Path

import pytest

from bench.figure import BenchError
from bench.overlaid import OVERLAYS, check_overlays, figures_of_overlaid, revoke
from bench.runs import publish
from bench.workload import make_workload
from storage.reader import open_reader
from storage.stores import LocalStore


def test_a_store_without_its_overlays_is_no_figure(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "overlaid", 60)
    publish(workload)
    with pytest.raises(BenchError, match="and has fewer"):
        check_overlays(open_reader(LocalStore(workload.store)))
    for number in range(OVERLAYS):
        revoke(workload, 3, number * 3)
    check_overlays(open_reader(LocalStore(workload.store)))


def test_the_ratio_is_that_of_harmonic_means() -> None:
    figures = {one.name: one.value for one in figures_of_overlaid([100.0, 100.0], [50.0, 150.0], 1.0, 7)}
    assert figures == {
        "overlaid.rate": pytest.approx(75.0),
        "overlaid.ratio": pytest.approx(0.75),
        "overlaid.ranged_gets": 1.0,
    }
