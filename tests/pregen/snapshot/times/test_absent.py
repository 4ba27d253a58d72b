import datetime as dt

import pyarrow as pa
import pytest

from pregen.snapshot.times.absent import may_be_absent, without_absent

UTC_MS = pa.timestamp("ms", "UTC")


@pytest.mark.parametrize(
    ("column", "absent", "kept"),
    [
        (pa.array(["-1", " - ", "0", None]), ["-1", "-"], ["0"]),
        (pa.array(["NULL", "null"], pa.large_string()), ["NULL"], ["null"]),
        (pa.array([-1, 0, 1, None]), ["-1", "0"], [1]),
        (pa.array([0, 1, 255], pa.uint8()), ["-1", "256", "255"], [0, 1]),
        (pa.array([2**64 - 1, 5], pa.uint64()), ["18446744073709551615"], [5]),
        (pa.array([0, 1], UTC_MS).cast(pa.int64()), ["1970-01-01"], [0, 1]),
        (pa.array([0, 86_400_000], pa.date64()), ["1970-01-02"], [dt.date(1970, 1, 1)]),
        (pa.array([-719_162, 0], pa.date32()), ["0001-01-01"], [dt.date(1970, 1, 1)]),
    ],
)
def test_values_that_are_named_are_none(
    column: "pa.Array[pa.Scalar[pa.DataType]]", absent: list[str], kept: list[object]
) -> None:
    for start in range(2):
        left = without_absent(pa.concat_arrays([column.slice(0, 1), column]).slice(1 - start), absent)
        assert left.type == column.type
        values = [value.as_py() for value in left]
        assert [value for value in values[start:] if value is not None] == kept


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/Denver"])
def test_timestamps_are_named_as_messages_show_them(unit: str, zone: str | None) -> None:
    column = pa.array([0, -1, 5, None], pa.int64()).cast(pa.timestamp(unit, zone))
    spellings = ["1970-01-01", "1970-01-01T00:00:00", "1970-01-01 00:00:00Z", "1970-01-01T00:00:00.000+00:00"]

    for text in spellings:
        assert without_absent(column, [text]).cast(pa.int64()).to_pylist() == [None, -1, 5, None]
    assert without_absent(column, ["9999-12-31", "1970-01-01T00:00:00.000000001"]).null_count == 1


def test_a_fraction_counts() -> None:
    column = pa.array([-1, 1], UTC_MS)

    assert without_absent(column, ["1969-12-31T23:59:59.999Z"]).cast(pa.int64()).to_pylist() == [None, 1]
    assert without_absent(column, ["1970-01-01T00:00:00.0015"]).cast(pa.int64()).to_pylist() == [-1, 1]


@pytest.mark.parametrize(
    ("text", "kind", "may"),
    [
        ("-1", pa.int64(), True),
        ("-", pa.int64(), False),
        ("1970-01-01", pa.int32(), False),
        ("0", UTC_MS, False),
        ("1970-13-01", UTC_MS, False),
        ("0000-00-00 00:00:00", pa.date32(), False),
        ("0000-00-00 00:00:00", pa.string(), True),
    ],
)
def test_what_no_value_can_be_is_told(text: str, kind: pa.DataType, may: bool) -> None:
    assert may_be_absent(text, kind) is may
