from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.snapshot.instants import read_instants

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
offsets = st.integers(-(23 * 60 + 59), 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30), timezones=offsets)  # noqa: DTZ001 hypothesis wants bounds so


def seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def faults(column: "pa.Array[pa.Scalar[pa.DataType]]") -> list[str | None]:
    by_row: list[str | None] = [None] * len(column)
    for fault in read_instants(column).faults:
        for at in np.flatnonzero(fault.rows):
            by_row[at] = fault.code.removeprefix("row.time.")
    return by_row


@settings(max_examples=60)
@given(st.lists(moments, min_size=1, max_size=30), st.data())
def test_text_with_any_offset_is_the_instant_that_python_reads(times: list[datetime], data: st.DataObject) -> None:
    texts = []
    for moment in times:
        text = moment.isoformat()
        text = text.replace("T", data.draw(st.sampled_from("Tt ")), 1)
        if moment.utcoffset() == timedelta(0):
            text = text[:-6] + data.draw(st.sampled_from(["Z", "z", "+00:00", "-00:00", "+00", "+0000"]))
        texts.append(text)

    found = read_instants(pa.array(texts))

    assert found.given.all()
    assert found.seconds.tolist() == [seconds(moment) for moment in times]


@given(st.lists(st.one_of(st.none(), st.integers(-(10**15), 10**15)), max_size=30), st.integers(0, 3))
def test_timestamps_of_every_unit_are_cut_towards_the_past(milliseconds: list[int | None], start: int) -> None:
    inside = [
        None if value is None or not -62_167_219_200_000 <= value <= 253_402_300_799_999 else value
        for value in milliseconds[start:]
    ]
    for kind, factor in ((pa.timestamp("ms", "Asia/Kolkata"), 1), (pa.timestamp("us", "UTC"), 10**3)):
        column = pa.array([None if value is None else value * factor for value in milliseconds], kind)
        found = read_instants(column.slice(start))
        assert found.seconds.tolist() == [0 if value is None else value // 1000 for value in inside]
        assert found.given.tolist() == [value is not None for value in inside]


def test_a_fraction_is_cut_towards_the_past_before_1970_too() -> None:
    assert read_instants(pa.array([-1, 1], pa.timestamp("ns", "UTC"))).seconds.tolist() == [-1, 0]
    texts = pa.array(["1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00.999999999Z", "2026-11-24T01:30:00.9+05:30"])
    assert read_instants(texts).seconds.tolist() == [-1, 0, 1_795_464_000]


def test_the_last_second_of_9999_is_a_time() -> None:
    last = 253_402_300_799
    assert read_instants(pa.array(["9999-12-31T23:59:59Z"])).seconds.tolist() == [last]
    assert read_instants(pa.array([last], pa.timestamp("s", "UTC"))).seconds.tolist() == [last]
    assert faults(pa.array([last + 1, 2**63 - 1], pa.timestamp("s", "UTC"))) == ["out-of-range"] * 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("2026-11-24T00:00:00", "not-utc"),
        ("2026-11-24 00:00:00.123", "not-utc"),
        ("2026-11-24", "malformed"),
        ("2026-02-29T00:00:00Z", "malformed"),
        ("2100-02-29T00:00:00Z", "malformed"),
        ("2026-13-01T00:00:00Z", "malformed"),
        ("2026-00-01T00:00:00Z", "malformed"),
        ("2026-01-00T00:00:00Z", "malformed"),
        ("2026-01-01T24:00:00Z", "malformed"),
        ("2026-01-01T23:60:00Z", "malformed"),
        ("2026-01-01T23:59:60Z", "malformed"),
        ("2026-01-01T00:00:00.Z", "malformed"),
        ("2026-01-01T00:00:00.1x2Z", "malformed"),
        ("2026-01-01T00:00:00,5Z", "malformed"),
        ("2026-01-01T00:00:00+24:00", "malformed"),
        ("2026-01-01T00:00:00+05:60", "malformed"),
        ("2026-01-01T00:00:00+5:30", "malformed"),
        ("2026-01-01T00:00:00 UTC", "malformed"),
        ("2026-01-01T00:00:00ZZ", "malformed"),
        ("2026-01-01X00:00:00Z", "malformed"),
        ("20x6-01-01T00:00:00Z", "malformed"),
        ("24.11.2026 00:00:00Z", "malformed"),
        ("Z", "malformed"),
        ("NULL", "malformed"),
        ("1795478400", "malformed"),
        ("2028-02-29T00:00:00Z", None),
        ("2000-02-29T00:00:00Z", None),
        ("", None),
        ("  ", None),
        (None, None),
    ],
)
def test_odd_texts(text: str | None, fault: str | None) -> None:
    column = pa.array(["2026-11-24T00:00:00Z", text, "2026-11-24 00:00:00-07"], pa.string())

    assert faults(column) == [None, fault, None]
    assert read_instants(column).given.tolist() == [True, fault is None and bool(text and text.strip()), True]
    assert read_instants(column).seconds.tolist()[::2] == [1_795_478_400, 1_795_503_600]


@given(st.lists(st.text("0123456789-:TZ+. ", max_size=30), max_size=20))
def test_what_is_accepted_python_accepts_with_the_same_result(texts: list[str]) -> None:
    found = read_instants(pa.array(texts, pa.string()))
    for text, given_, second in zip(texts, found.given, found.seconds, strict=True):
        if given_:
            assert second == seconds(datetime.fromisoformat(text.strip()))


def test_a_column_without_any_value_is_no_trouble() -> None:
    for column in (pa.nulls(2), pa.nulls(2, pa.string()), pa.array(["", ""]), pa.nulls(2, pa.timestamp("ms", "UTC"))):
        found = read_instants(column)
        assert not found.given.any()
        assert found.seconds.tolist() == [0, 0]
    assert read_instants(pa.array([], pa.string())).seconds.tolist() == []
