from dataclasses import replace
from pathlib import Path

from bench.figure import Skipped
from bench.parallel import raw_rate
from bench.raw import open_loop, signing_rate
from bench.scale import measure_large, measure_workers
from pregen.signers import P256_SHA256
from tests.bench.conftest import TINY


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
    alone = signing_rate(open_loop("software", P256_SHA256), 0.1)
    assert raw_rate("software", P256_SHA256, 2, 0.1) > alone / 5
