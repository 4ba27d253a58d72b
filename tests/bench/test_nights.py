from pathlib import Path

import pyarrow.parquet as pq

from bench.figure import Figure
from bench.nights import measure_nights, write_day_before
from bench.workload import make_workload
from pregen.snapshot import RowStatus
from tests.bench.conftest import TINY

REVOKED = RowStatus.REVOKED


def test_a_night_carries_two_thirds_over(tmp_path: Path) -> None:
    figure = next(measure_nights(TINY, tmp_path, rounds=1))  # the others would prove the same

    assert isinstance(figure, Figure)
    assert 500 < int(figure.detail["carried"]) < 800  # of 1,000, of which 990 were there and a third is in the slot


def test_the_night_before_had_fewer_certificates_and_fewer_revocations(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "nights", 10_000)
    now, before = (pq.read_table(path) for path in (workload.snapshots[0], write_day_before(workload)))

    assert before["serial"].equals(now["serial"].slice(0, 9_900))
    was, is_now = ((table["status"].to_numpy()[:9_900] == REVOKED) for table in (before, now))
    assert was.sum() == is_now.sum() - 10
    assert (was == before["revoked_at"].is_valid().to_numpy()).all()
