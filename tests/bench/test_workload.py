from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.workload import GROUP_ROWS, SERIAL_BYTES, disk_bytes, make_workload
from pregen.snapshot import REVOKED

ROWS = 20_000


def test_the_certificates_are_the_same_every_time(tmp_path: Path) -> None:
    one, other = (
        pq.read_table(make_workload(tmp_path / name, ROWS).snapshot, columns=["serial", "status", "reason"])
        for name in ("one", "other")
    )
    assert one.equals(other)


def test_serials_have_one_size_and_two_percent_are_revoked_with_time_and_reason(tmp_path: Path) -> None:
    table = pq.read_table(make_workload(tmp_path / "one", ROWS).snapshot)
    assert pc.unique(pc.binary_length(table["serial"])).to_pylist() == [SERIAL_BYTES]
    assert len(pc.unique(table["serial"])) == ROWS
    revoked = table.filter(pc.equal(table["status"], pa.scalar(REVOKED, pa.uint8())))
    assert 0.015 < len(revoked) / ROWS < 0.025
    assert revoked["revoked_at"].null_count == revoked["reason"].null_count == 0
    good = ROWS - len(revoked)
    assert (table["revoked_at"].null_count, table["reason"].null_count) == (good, good)


def test_a_large_snapshot_is_written_in_row_groups(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "one", GROUP_ROWS + 1)
    metadata = pq.read_metadata(workload.snapshot)
    assert (metadata.num_rows, metadata.num_row_groups) == (GROUP_ROWS + 1, 2)
    assert workload.snapshot.stat().st_size < disk_bytes(workload.rows) / 5
