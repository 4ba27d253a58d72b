"""Times of every physical type of Parquet, at the bounds of what it can hold: right, or refused; and parts of files."""

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import Reading
from pregen.snapshot.files import BATCH_ROWS, open_file
from pregen.snapshot.files.footer import read_footer
from tests.pregen.snapshot.desk import AS_OF, Desk, table

LAST = 253_402_300_799  # 9999-12-31T23:59:59Z
FIRST = -62_135_596_800  # 0001-01-01T00:00:00Z
IN_UTC: dict[str, str | ColumnConfig] = {"not_after": ColumnConfig(zone="UTC")}


def written(desk: Desk, micros: list[int], kind: pa.DataType, **options: bool) -> None:
    data = table(len(micros), revoked_at=None, not_after=pa.array(micros, kind))
    pq.write_table(data, desk.folder / "s.parquet", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("second", [FIRST, -1, 0, 7_258_118_400, 9_223_372_037, LAST])
def test_a_time_of_int96_is_right_in_any_year(desk: Desk, second: int) -> None:
    """Spark, Hive and Impala write it; 9999-12-31 stands for certificates that do not expire (RFC 5280, 4.1.2.5)."""
    written(desk, [second * 10**6, second * 10**6 + 999_999], pa.timestamp("us"), use_deprecated_int96_timestamps=True)

    snapshot = desk.open(desk.folder / "s.parquet", IN_UTC, as_of=AS_OF)

    assert [batch.not_after.tolist() for batch in snapshot.batches()] == [[second, second]]
    assert {one.code for one in snapshot.findings()} <= {"time.stands-for-none"}  # so those before 1994 seem


@pytest.mark.parametrize("micros", [(LAST + 1) * 10**6, 2**63 - 1 - 10**7, -(2**63) + 10**12])
def test_a_time_of_int96_outside_of_four_digits_is_refused(desk: Desk, micros: int) -> None:
    written(desk, [micros], pa.timestamp("us"), use_deprecated_int96_timestamps=True)

    snapshot = desk.open(desk.folder / "s.parquet", IN_UTC, as_of=AS_OF)
    list(snapshot.batches())

    assert [finding.code for finding in snapshot.findings()] == ["row.time.out-of-range"]


@pytest.mark.parametrize("second", [FIRST, -1, 0, LAST, LAST + 1])
@pytest.mark.parametrize(
    ("kind", "factor"), [(pa.timestamp("ms", "UTC"), 10**3), (pa.timestamp("us", "UTC"), 10**6)], ids=["ms", "us"]
)
def test_timestamps_are_right_at_the_bounds_whatever_the_unit(
    desk: Desk, kind: pa.DataType, factor: int, second: int
) -> None:
    written(desk, [second * factor], kind)

    snapshot = desk.open(desk.folder / "s.parquet", as_of=AS_OF)
    [batch] = snapshot.batches()

    if second > LAST:
        assert [finding.code for finding in snapshot.findings()] == ["row.time.out-of-range"]
    else:
        assert batch.not_after.tolist() == [second]


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()], ids=str)
def test_dates_are_right_at_the_bounds(desk: Desk, kind: pa.DataType) -> None:
    days = [FIRST // 86_400, LAST // 86_400, LAST // 86_400 + 1, 2**31 - 2, -(2**31)]
    dates = pa.array(days, pa.int32()).cast(pa.date32()).cast(kind)
    pq.write_table(table(len(days), not_after=dates), desk.folder / "s.parquet")
    declared = ColumnConfig(zone="UTC", time_of_day="23:59:59")

    snapshot = desk.open(desk.folder / "s.parquet", {"not_after": declared}, as_of=AS_OF)
    [batch] = snapshot.batches()

    assert batch.not_after.tolist() == [FIRST + 86_399, LAST]
    codes = {finding.code: finding.count for finding in snapshot.findings()}
    assert codes == {"row.time.out-of-range": 3, "time.stands-for-none": 1}


def test_a_certificate_that_never_expires_is_answered_as_of_today(desk: Desk) -> None:
    """In nanoseconds, 9999-12-31 is 1816-03-30, and such a certificate had expired long ago."""
    assert datetime.fromtimestamp(LAST - 2**64 // 10**9, UTC).year == 9415
    written(desk, [LAST * 10**6], pa.timestamp("us"), use_deprecated_int96_timestamps=True)

    [batch] = desk.open(desk.folder / "s.parquet", IN_UTC, as_of=AS_OF).batches()

    assert len(batch) == 1
    assert batch.not_after[0] > 2**32


def test_a_damaged_footer_is_not_called_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    table = pa.table({"serial": pa.array([b"\x05", b"\x06"]), "status": pa.array(["good", None])})
    pq.write_table(table.replace_schema_metadata({"pregen.as_of": "2026-11-24T00:00:00Z"}), path)
    octets = path.read_bytes()
    footer = int.from_bytes(octets[-8:-4], "little") + 8
    damaged = 0
    for bit in range(8 * footer):
        changed = bytearray(octets)
        changed[-1 - bit // 8] ^= 1 << bit % 8
        try:
            assert not read_footer(pa.BufferReader(bytes(changed))).is_encrypted, bit
        except pa.ArrowInvalid:
            damaged += 1
    assert damaged > footer
    for magic in (b"PARE", b"PAR2"):
        with pytest.raises(pa.ArrowInvalid):
            read_footer(pa.BufferReader(octets[:-4] + magic))


def parts(rows: int, group_rows: int, folder: Path) -> list[tuple[int, int]]:
    """Return the first row of each part of a file, and how many rows it has."""
    path = folder / f"{rows}-{group_rows}.parquet"
    pq.write_table(pa.table({"n": pa.array(range(rows), pa.int32())}), path, row_group_size=group_rows)
    file = open_file(path)
    read = [[n for batch in part.batches(["n"]) for n in batch.column("n").to_pylist()] for part in file.parts]
    assert [n for numbers in read for n in numbers] == list(range(rows))
    assert [numbers[0] for numbers in read if numbers] == [part.first_row for part in file.parts if part.row_estimate]
    return [(part.first_row, part.row_estimate) for part in pickle.loads(pickle.dumps(file)).parts]


def test_a_file_is_cut_at_its_row_groups_and_tiny_ones_stay_together(tmp_path: Path) -> None:
    half = BATCH_ROWS // 2
    assert parts(0, 1, tmp_path) == [(0, 0)]
    assert parts(3, 3, tmp_path) == [(0, 3)]
    assert parts(3_000, 1, tmp_path) == [(0, 3_000)]
    assert parts(2 * BATCH_ROWS, 2 * BATCH_ROWS, tmp_path) == [(0, 2 * BATCH_ROWS)]
    assert parts(2 * BATCH_ROWS, half, tmp_path) == [(0, BATCH_ROWS), (BATCH_ROWS, BATCH_ROWS)]
    assert parts(half + 3, half + 1, tmp_path) == [(0, half + 3)]
    assert parts(2 * half + 3, half + 1, tmp_path) == [(0, half + 1), (half + 1, half + 2)]


def test_of_a_file_that_is_read_in_parts_rows_and_damage_are_where_they_are_in_the_file(desk: Desk) -> None:
    half, rows = BATCH_ROWS // 2 + 1, BATCH_ROWS + 2
    status = pa.array([0] * (rows - 1) + [9], pa.uint8())
    path = desk.write("issuer=r1/s.parquet", table(rows, status=status), group_rows=half)
    (desk.folder / "as_of").write_text("2026-11-24T00:00:00Z")
    config = SnapshotConfig(partitioning="hive", as_of_file="as_of")
    snapshot = Desk(desk.folder, issuers={"r1": 0}).open(str(desk.folder / "issuer=*"), config=config)

    batches = list(snapshot.batches())

    assert [(int(batch.row[0]), len(batch)) for batch in batches] == [(0, half), (half, half - 1)]
    assert snapshot.rows_in == rows
    [finding] = snapshot.findings()
    assert finding.examples == (f"{path}, row {rows}, status, 9",)

    chunk = pq.read_metadata(path).row_group(1).column(0)
    octets = bytearray(path.read_bytes())
    at = chunk.data_page_offset
    octets[at : at + 40] = bytes(40)
    path.write_bytes(octets)
    damaged = desk.open(path, as_of=AS_OF)
    assert sum(map(len, damaged.read(0, Reading(), 0))) == half
    for reading in (damaged.read(0, Reading(), 1), damaged.batches()):
        with pytest.raises(InputError) as caught:
            list(reading)
        [found] = caught.value.findings
        assert (found.code, "row group 2, column 'serial'" in found.message) == ("file.damaged", True)


def test_each_part_of_a_file_looks_whether_it_is_still_the_same(desk: Desk) -> None:
    path = desk.write("s.parquet", table(BATCH_ROWS + 2), group_rows=BATCH_ROWS // 2 + 1)
    snapshot = desk.open(path)
    list(snapshot.read(0, Reading(), 0))
    path.write_bytes(path.read_bytes() + b" ")

    with pytest.raises(InputError) as caught:
        list(snapshot.read(0, Reading(), 1))
    assert [finding.code for finding in caught.value.findings] == ["file.changed"]
