import re
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.config.columns import Ambiguous, Nonexistent
from pregen.snapshot.column import Column
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.times.instants import Instants, read_instants

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
offsets = st.integers(-(23 * 60 + 59), 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30), timezones=offsets)  # noqa: DTZ001 hypothesis wants bounds so


def seconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(seconds=1)


def declared(
    encoding: str | None = None,
    zone: str | None = None,
    ambiguous: Ambiguous = "error",
    nonexistent: Nonexistent = "error",
    time_of_day: str | None = None,
) -> Column:
    return Column(
        "revoked_at",
        "REVOKED",
        explicit=True,
        encoding=encoding,
        zone=zone,
        ambiguous=ambiguous,
        nonexistent=nonexistent,
        time_of_day=time_of_day,
    )


def texts_of(found: Instants) -> list[str | None]:
    """Return instants as texts, None where none is given."""
    shown = [str(np.datetime64(second, "s")) for second in found.seconds.tolist()]
    return [text if given_ else None for text, given_ in zip(shown, found.given.tolist(), strict=True)]


def faults(column: ArrowArray, source: Column | None = None) -> list[str | None]:
    by_row: list[str | None] = [None] * len(column)
    for fault in read_instants(column, source).faults:
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
        ("2026-01-01T00:00:00,5Z", None),
        ("2026-01-01T00:00:00,Z", "malformed"),
        ("2026-01-01T00:00:00,.5Z", "malformed"),
        ("2026-01-01T00:00Z", "malformed"),
        ("20260101T000000Z", None),
        ("20260101t000000.5+0530", None),
        ("20260101T000000", "not-utc"),
        ("20260101 000000Z", "malformed"),
        ("20260101T00:00:00Z", "malformed"),
        ("2026-01-01T000000Z", "malformed"),
        ("20260101T240000Z", "malformed"),
        ("20260229T000000Z", "malformed"),
        ("20260101T0000Z", "malformed"),
        ("20260101000000Z", "malformed"),
        ("2026-W48-2T00:00:00Z", "malformed"),
        ("2026-328T00:00:00Z", "malformed"),
        ("9999-12-31T23:59:59-00:01", "out-of-range"),
        ("0000-01-01T00:00:00+00:01", "out-of-range"),
        ("2026-01-01T00:00:00+24:00", "malformed"),
        ("2026-01-01T00:00:00+05:60", "malformed"),
        ("2026-01-01T00:00:00+5:30", "malformed"),
        ("2026-01-01T00:00:00 UTC", None),
        ("2026-01-01 00:00:00.123456 UTC", None),
        ("2026-01-01T00:00:00utc", None),
        ("2026-01-01 00:00:00 Z", None),
        ("2026-01-01 00:00:00 +00", None),
        ("2026-01-01 00:00:00.5 +0000", None),
        ("2026-01-01 00:00:00.123 -05:30", None),
        ("20260101T000000 UTC", None),
        ("2026-01-01 00:00:00  UTC", "malformed"),
        ("2026-01-01 00:00:00. UTC", "malformed"),
        ("2026-01-01 00:00:00 UTCZ", "malformed"),
        ("2026-01-01 00:00:00 Z UTC", "malformed"),
        ("2026-01-01 00:00:00 +00:00 UTC", "malformed"),
        ("2026-01-01 00:00:00 CET", "malformed"),
        ("2026-01-01 00:00 UTC", "malformed"),
        ("2026-01-01 UTC", "malformed"),
        ("UTC", "malformed"),
        (" UTC", "malformed"),
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
            assert second == seconds(datetime.fromisoformat(re.sub(r" (?=(Z|[+-]\S+)$)", "", text.strip())))


def test_an_offset_behind_a_space_means_what_it_says() -> None:
    texts = [
        "2026-11-24 00:00:00 UTC",
        "2026-11-24 05:30:00.9 +05:30",
        "2026-11-23 17:00:00 -07",
        "2026-11-24T00:00:00 Z",
    ]

    found = read_instants(pa.array(texts), declared(zone="America/Denver"))

    assert found.seconds.tolist() == [1_795_478_400] * 4
    assert found.own_zone is not None
    assert found.own_zone.all()


def test_a_column_without_any_value_is_no_trouble() -> None:
    for column in (pa.nulls(2), pa.nulls(2, pa.string()), pa.array(["", ""]), pa.nulls(2, pa.timestamp("ms", "UTC"))):
        found = read_instants(column)
        assert not found.given.any()
        assert found.seconds.tolist() == [0, 0]
    assert read_instants(pa.array([], pa.string())).seconds.tolist() == []


DENVER = ["2026-11-01T01:30:00", "2026-03-08T02:30:00", "2026-07-01T00:00:00", None, "2026-11-24T00:00:00"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.timestamp("s"), pa.timestamp("ns")])
def test_local_times_follow_the_declared_policies(kind: pa.DataType) -> None:
    column = pa.array(DENVER, pa.string()).cast(kind)
    clear = ["2026-07-01T06:00:00", None, "2026-11-24T07:00:00"]

    refused = read_instants(column, declared(zone="America/Denver"))
    first = read_instants(column, declared(zone="America/Denver", ambiguous="earliest", nonexistent="shift-forward"))
    last = read_instants(column, declared(zone="America/Denver", ambiguous="latest", nonexistent="shift-backward"))

    assert texts_of(refused) == [None, None, *clear]
    assert faults(column, declared(zone="America/Denver")) == ["ambiguous", "nonexistent", None, None, None]
    assert texts_of(first) == ["2026-11-01T07:30:00", "2026-03-08T09:00:00", *clear]
    assert texts_of(last) == ["2026-11-01T08:30:00", "2026-03-08T08:59:59", *clear]


def test_one_policy_does_not_stand_for_the_other() -> None:
    column = pa.array(DENVER[:2])

    assert faults(column, declared(zone="America/Denver", ambiguous="latest")) == [None, "nonexistent"]
    assert faults(column, declared(zone="America/Denver", nonexistent="shift-forward")) == ["ambiguous", None]


def test_an_offset_that_is_written_wins_over_the_declared_zone() -> None:
    column = pa.array(
        ["2026-07-01T00:00:00", "2026-07-01T00:00:00Z", "2026-07-01 00:00:00+05:30", "20260701T000000", "no", None]
    )

    found = read_instants(column, declared("iso8601", zone="Asia/Tokyo"))

    assert texts_of(found) == [
        "2026-06-30T15:00:00",
        "2026-07-01T00:00:00",
        "2026-06-30T18:30:00",
        "2026-06-30T15:00:00",
        None,
        None,
    ]
    assert faults(column, declared("iso8601", zone="Asia/Tokyo")) == [*[None] * 4, "malformed", None]


def test_a_local_time_is_never_taken_for_utc_when_no_zone_is_declared() -> None:
    column = pa.array([0, None], pa.timestamp("ms"))

    assert faults(column) == faults(column, declared()) == ["not-utc", None]
    assert texts_of(read_instants(column)) == [None, None]


def test_local_times_at_both_ends_of_what_four_digits_can_say() -> None:
    column = pa.array(["9999-12-31T23:59:59", "0000-01-01T00:00:00", "9999-12-31T16:59:59"])

    assert faults(column, declared(zone="America/Denver")) == ["out-of-range", None, None]
    assert faults(column, declared(zone="Asia/Tokyo")) == [None, "out-of-range", None]
    assert texts_of(read_instants(column, declared(zone="America/Denver")))[2] == "9999-12-31T23:59:59"
    ends = pa.array([-(2**63), 2**63 - 1, 253_402_300_800 + 7 * 3_600], pa.timestamp("s"))
    assert faults(ends, declared(zone="America/Denver")) == ["out-of-range"] * 3


def test_a_fraction_of_a_local_time_is_cut_towards_the_past() -> None:
    source = declared(zone="Asia/Kolkata")

    found = read_instants(pa.array([-1, 19_800_001, 19_799_999], pa.timestamp("ms")), source)
    texts = read_instants(pa.array(["1969-12-31T23:59:59.999", "1970-01-01T05:30:00,001"]), source)

    assert found.seconds.tolist() == [-19_801, 0, -1]
    assert texts.seconds.tolist() == [-19_801, 0]


@settings(max_examples=50)
@given(st.lists(st.one_of(st.none(), st.integers(-700_000, 2_900_000)), max_size=20), st.integers(0, 3))
def test_dates_are_the_stated_time_of_day_in_the_declared_zone(days: list[int | None], start: int) -> None:
    source = declared("date", zone="Etc/GMT+7", time_of_day="23:59:59")
    milliseconds = [None if day is None else day * 86_400_000 for day in days]

    for column in (pa.array(days, pa.int32()).cast(pa.date32()), pa.array(milliseconds, pa.int64()).cast(pa.date64())):
        found = read_instants(column.slice(start), source)
        assert found.given.tolist() == [day is not None for day in days[start:]]
        assert found.seconds.tolist() == [
            0 if day is None else day * 86_400 + 86_399 + 7 * 3_600 for day in days[start:]
        ]


def test_dates_as_text() -> None:
    column = pa.array(["2026-11-24", " 2028-02-29 ", "2026-02-29", "2026-11-24T00:00:00", "24.11.2026", "", None])
    source = declared("date", zone="UTC", time_of_day="12:00:00")

    assert texts_of(read_instants(column, source)) == ["2026-11-24T12:00:00", "2028-02-29T12:00:00", *[None] * 5]
    assert faults(column, source) == [None, None, *["malformed"] * 3, None, None]


def test_a_date_far_outside_is_out_of_range() -> None:
    column = pa.array([2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32())

    assert faults(column, declared(zone="UTC", time_of_day="00:00:00")) == ["out-of-range"] * 2


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@settings(max_examples=40)
@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-(10**12), 10**12)), max_size=20))
def test_counts_since_1970_mean_their_unit_and_nothing_else(unit: str, counts: list[int | None]) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    source = declared(f"epoch-{unit}")
    whole = [None if count is None else count // per_second for count in counts]
    inside = [second is not None and -62_167_219_200 <= second <= 253_402_300_799 for second in whole]

    numbers = pa.array(counts, pa.int64())
    texts = pa.array(
        [None if count is None else f" {count:+d} " if at % 2 else str(count) for at, count in enumerate(counts)]
    )
    for column in (numbers, texts.cast(pa.string())):
        found = read_instants(column, source)
        assert found.given.tolist() == inside
        assert found.seconds.tolist() == [second if good else 0 for second, good in zip(whole, inside, strict=True)]
        assert faults(column, source) == [
            None if second is None or good else "out-of-range" for second, good in zip(whole, inside, strict=True)
        ]


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]
)
def test_counts_may_be_of_any_width(kind: pa.DataType) -> None:
    column = pa.array([100, None, 127], kind)

    assert read_instants(column, declared("epoch-s")).seconds.tolist() == [100, 0, 127]
    assert read_instants(column.slice(1), declared("epoch-ms")).seconds.tolist() == [0, 0]
    if kind == pa.uint64():
        assert faults(pa.array([2**64 - 1, 1], kind), declared("epoch-ns")) == ["out-of-range", None]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1795478400", None),
        ("-1", None),
        ("+1", None),
        ("", None),
        ("0000000001795478400", None),
        ("99999999999999999999", "out-of-range"),
        ("9999999999999999999", "out-of-range"),
        ("-9223372036854775809", "out-of-range"),
        ("1795478400.5", "malformed"),
        ("1e9", "malformed"),
        ("-", "malformed"),
        ("--1", "malformed"),
        ("1-", "malformed"),
        ("0x10", "malformed"),
        ("1 000", "malformed"),
        ("2026-11-24", "malformed"),
    ],
)
def test_counts_as_text(text: str, fault: str | None) -> None:
    column = pa.array(["7", text, "-8"])

    assert faults(column, declared("epoch-s")) == [None, fault, None]
    found = read_instants(column, declared("epoch-s")).seconds.tolist()
    assert found == [7, 0 if fault or not text else int(text), -8]


@pytest.mark.parametrize(
    ("text", "utctime", "generalizedtime"),
    [
        ("261124000000Z", "2026-11-24T00:00:00", None),
        ("500101000000Z", "1950-01-01T00:00:00", None),
        ("491231235959Z", "2049-12-31T23:59:59", None),
        ("000229120000Z", "2000-02-29T12:00:00", None),
        ("20261124000000Z", None, "2026-11-24T00:00:00"),
        ("99991231235959Z", None, "9999-12-31T23:59:59"),
        ("19491231235959Z", None, "1949-12-31T23:59:59"),
        ("00000101000000Z", None, "0000-01-01T00:00:00"),
        ("2611240000Z", None, None),  # without seconds, BER alone
        ("202611240000Z", None, None),
        ("261124000000+0000", None, None),
        ("20261124000000-0700", None, None),
        ("20261124000000.5Z", None, None),
        ("20261124000000", None, None),
        ("261124000000", None, None),
        ("261124000000z", None, None),
        ("20260229000000Z", None, None),
        ("20261124240000Z", None, None),
        ("20261124235960Z", None, None),
        ("2026112400000xZ", None, None),
        ("x61124000000Z", None, None),
        ("Z", None, None),
    ],
)
def test_times_of_certificates(text: str, utctime: str | None, generalizedtime: str | None) -> None:
    either = utctime or generalizedtime
    for encoding, expected in (("utctime", utctime), ("generalizedtime", generalizedtime), ("asn1", either)):
        column = pa.array([None, text, ""])
        assert texts_of(read_instants(column, declared(encoding))) == [None, expected, None]
        assert faults(column, declared(encoding)) == [None, None if expected else "malformed", None]


def test_the_ends_of_64_bits_are_counts_too() -> None:
    ends = [-(2**63), 2**63 - 1]

    for column in (pa.array(ends), pa.array(list(map(str, ends)))):
        assert read_instants(column, declared("epoch-ns")).seconds.tolist() == [end // 10**9 for end in ends]
    assert faults(pa.array([str(2**63), str(-(2**63) - 1)]), declared("epoch-ns")) == ["out-of-range"] * 2


def test_both_types_of_certificate_times_in_one_column() -> None:
    column = pa.array(["491231235959Z", "20500101000000Z", "500101000000Z"] * 2)

    found = read_instants(column, declared("asn1"))

    assert texts_of(found) == ["2049-12-31T23:59:59", "2050-01-01T00:00:00", "1950-01-01T00:00:00"] * 2


@settings(max_examples=50)
@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)), max_size=20))  # noqa: DTZ001 as above
def test_every_second_of_a_certificate_comes_back(times: list[datetime]) -> None:
    times = [time.replace(microsecond=0, tzinfo=UTC) for time in times]
    texts = [f"{time.year:04d}{time:%m%d%H%M%S}Z" for time in times]
    short = [text[2:] if 1950 <= time.year <= 2049 else text for text, time in zip(texts, times, strict=True)]

    for encoding, column in (("generalizedtime", texts), ("asn1", short)):
        found = read_instants(pa.array(column, pa.string()), declared(encoding))
        assert found.given.all()
        assert found.seconds.tolist() == [seconds(time) for time in times]
