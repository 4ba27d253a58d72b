from dataclasses import replace
from pathlib import Path

import pytest

from bench.cluster import measure_cluster
from bench.figure import Figure
from bench.sizes import QUICK_SIZES


@pytest.mark.slow  # four clusters are started
def test_workers_of_a_cluster_are_held_against_local_ones(tmp_path: Path) -> None:
    found = list(measure_cluster(replace(QUICK_SIZES, worker_rows=4_000, rsa_rows=200), tmp_path, rounds=1, many=200))
    assert [one.name for one in found] == [
        f"cluster.{one}" for one in ("p256-sha256", "one-file", "rsa2048-sha256", "memory")
    ]
    assert all(isinstance(one, Figure) and one.value > 0 for one in found)
    assert list(tmp_path.iterdir()) == []
