from collections import Counter
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench.runs import publish
from bench.workload import ALMOST_A_DAY, GROUP_ROWS, SERIAL_BYTES, disk_bytes, make_many_issuers, make_workload
from pregen.config import load_config
from pregen.snapshot import AS_OF_KEY, RowStatus

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

ROWS = 20_000


def test_the_certificates_are_the_same_every_time(tmp_path: Path) -> None:
    one, other = (
        pq.read_table(make_workload(tmp_path / name, ROWS).snapshots, columns=["serial", "status", "reason"])
        for name in ("one", "other")
    )
    assert one.equals(other)


def test_serials_have_one_size_and_two_percent_are_revoked_with_time_and_reason(tmp_path: Path) -> None:
    table = pq.read_table(make_workload(tmp_path / "one", ROWS).snapshots)
    assert pc.unique(pc.binary_length(table["serial"])).to_pylist() == [SERIAL_BYTES]
    assert len(pc.unique(table["serial"])) == ROWS
    revoked = table.filter(pc.equal(table["status"], pa.scalar(REVOKED, pa.uint8())))
    assert 0.015 < len(revoked) / ROWS < 0.025
    assert revoked["revoked_at"].null_count == revoked["reason"].null_count == 0
    good = ROWS - len(revoked)
    assert (table["revoked_at"].null_count, table["reason"].null_count) == (good, good)


def test_a_large_snapshot_is_written_in_row_groups(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "one", GROUP_ROWS + 1)
    metadata = pq.read_metadata(workload.snapshots[0])
    assert (metadata.num_rows, metadata.num_row_groups) == (GROUP_ROWS + 1, 2)
    assert workload.snapshots[0].stat().st_size < disk_bytes(workload.rows) / 5


def test_several_files_hold_what_one_would(tmp_path: Path) -> None:
    one = make_workload(tmp_path / "one", ROWS)
    four = make_workload(tmp_path / "four", ROWS, files=4)
    rows = [pq.read_metadata(path).num_rows for path in four.snapshots]
    assert rows == [ROWS // 4] * 4
    assert len(one.snapshots) == 1
    serials = pq.read_table(four.snapshots, columns=["serial"])["serial"]
    assert len(pc.unique(serials)) == ROWS


def dated(folder: Path, files: int = 1) -> tuple[pa.Table, pa.Table]:
    """The snapshot of a dated workload, and that of the day before, with its instant as metadata."""
    workload = make_workload(folder / f"dated-{files}", ROWS, dated=True, files=files)
    before = sorted(workload.folder.glob(workload.day_before.name))
    assert len(before) == len(workload.snapshots) == files
    return pq.read_table(workload.snapshots), pq.read_table(before)


def as_of(table: pa.Table) -> datetime:
    assert table.schema.metadata is not None
    return datetime.fromisoformat(table.schema.metadata[AS_OF_KEY].decode())


def test_dated_certificates_are_valid_and_were_revoked_after_they_were_issued(tmp_path: Path) -> None:
    table, _ = dated(tmp_path)
    now = pa.scalar(as_of(table), pa.timestamp("ms", "UTC"))
    assert pc.all(pc.less_equal(table["not_before"], now)).as_py()
    assert pc.all(pc.greater_equal(table["not_after"], now)).as_py()
    revoked = table.filter(pc.equal(table["status"], pa.scalar(REVOKED, pa.uint8())))
    assert 0.015 < len(revoked) / ROWS < 0.025
    assert pc.all(pc.greater_equal(revoked["revoked_at"], revoked["not_before"])).as_py()
    assert pc.all(pc.less_equal(revoked["revoked_at"], now)).as_py()
    assert revoked["reason"].null_count == 0
    assert table["revoked_at"].null_count == table["reason"].null_count == ROWS - len(revoked)


@pytest.mark.parametrize("files", [1, 3])
def test_the_day_before_nothing_was_known_of_what_was_issued_or_revoked_since(tmp_path: Path, files: int) -> None:
    table, before = dated(tmp_path, files)
    then = as_of(before)
    assert as_of(table) - then == ALMOST_A_DAY
    instant = pa.scalar(then, pa.timestamp("ms", "UTC"))
    issued = table.filter(pc.less_equal(table["not_before"], instant))
    assert 0.97 < len(issued) / ROWS < 0.999
    assert before.select(["serial", "not_before", "not_after"]).equals(
        issued.select(["serial", "not_before", "not_after"])
    )
    known = pc.coalesce(pc.less_equal(issued["revoked_at"], instant), pa.scalar(False))
    assert before["status"].equals(pc.if_else(known, pa.scalar(REVOKED, pa.uint8()), pa.scalar(GOOD, pa.uint8())))
    for name in ("revoked_at", "reason"):
        assert before[name].equals(pc.if_else(known, issued[name], pa.scalar(None, issued[name].type)))
    assert pc.sum(table["status"]).as_py() > pc.sum(issued["status"]).as_py() > pc.sum(before["status"]).as_py() > 0


def test_separate_answers_are_two_a_certificate(tmp_path: Path) -> None:
    assert make_workload(tmp_path / "separate", 100, cert_ids="separate").responses == 200
    assert make_workload(tmp_path / "combined", 100, cert_ids="combined").responses == 100


def test_many_issuers_sign_for_themselves_and_have_as_many_certificates_each(tmp_path: Path) -> None:
    workload = make_many_issuers(tmp_path / "many", 7, 11)
    prepared = load_config(workload.config)
    assert len({one.certificates for one in prepared.issuer}) == 7
    assert all(one.responder_certificate is None for one in prepared.issuer)
    counts = Counter(pq.read_table(workload.snapshots)["issuer"].to_pylist())
    assert counts == {one.names[0]: 11 for one in prepared.issuer}
    report = publish(workload)
    assert report.responses == 77
