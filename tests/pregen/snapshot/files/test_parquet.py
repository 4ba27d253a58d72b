"""Times of every physical type of Parquet, at the bounds of what it can hold: right, or refused."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.config import ColumnConfig
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
