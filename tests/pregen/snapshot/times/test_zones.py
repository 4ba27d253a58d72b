"""Local times as instants, against zoneinfo; what a gap means is found by halving, as zoneinfo has no word for it."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pregen.config.columns import Ambiguous, Nonexistent
from pregen.snapshot.times.tzif import Transitions
from pregen.snapshot.times.zones import local_to_utc, wall_segments, wall_table
from pregen.zones import zone, zone_names

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 of wall clocks
FIRST, LAST = -62_135_596_800 + 100_000, 253_402_300_799 - 100_000  # what datetime can say, with room for offsets
QUARTER = 900


class Meaning(NamedTuple):
    """What a local time means: the instants when clocks showed it; of a gap, none, and the instant of the change."""

    instants: tuple[int, ...]
    change: int | None


def clock_at(instant: int, rules: ZoneInfo) -> int:
    """Return what a clock shows, in seconds since 1970 as if it were UTC."""
    shown = (EPOCH + timedelta(seconds=instant)).replace(tzinfo=UTC).astimezone(rules)
    return (shown.replace(tzinfo=None) - EPOCH) // timedelta(seconds=1)


def meaning(local: int, rules: ZoneInfo) -> Meaning:
    moment = EPOCH + timedelta(seconds=local)
    candidates = {
        (moment.replace(tzinfo=rules, fold=fold).astimezone(UTC).replace(tzinfo=None) - EPOCH) // timedelta(seconds=1)
        for fold in (0, 1)
    }
    instants = tuple(sorted(instant for instant in candidates if clock_at(instant, rules) == local))
    if instants:
        return Meaning(instants, None)
    before, after = min(candidates) - 1, max(candidates) + 1
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if clock_at(middle, rules) < local else (before, middle)
    return Meaning((), after)


def check(local: NDArray[np.int64], name: str) -> tuple[int, int]:
    """Compare all policies with what times mean; return how many of them were folds and gaps."""
    meant = [meaning(second, zone(name)) for second in local.tolist()]
    folds = [len(one.instants) > 1 for one in meant]
    gaps = [one.change is not None for one in meant]
    earliest: tuple[Ambiguous, int] = ("earliest", 0)
    forward: tuple[Nonexistent, int] = ("shift-forward", 0)
    for ambiguous, at in (earliest, ("latest", -1)):
        for nonexistent, shift in (forward, ("shift-backward", -1)):
            found = local_to_utc(local, name, ambiguous, nonexistent)
            expected = [one.instants[at] if one.change is None else one.change + shift for one in meant]
            assert found.seconds.tolist() == expected
            assert found.ambiguous.tolist() == folds
            assert found.nonexistent.tolist() == gaps
    return sum(folds), sum(gaps)


def some_times(name: str, count: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Return local times of all years, every second one within seconds of where a gap or a fold begins or ends."""
    breaks = wall_table(name).breaks
    breaks = breaks[(breaks > FIRST) & (breaks < LAST)]
    anywhere = random.integers(FIRST, LAST, count)
    if not len(breaks):
        return anywhere
    recent = breaks[breaks < 4_000_000_000]
    near = random.choice(np.concatenate([random.choice(breaks, 40), recent]), count) + random.integers(-2, 3, count)
    return np.where(random.random(count) < 0.5, anywhere, near)


def compare(names: Sequence[str], each: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    counts = np.array([check(some_times(name, each, random), name) for name in names])
    assert (counts.sum(axis=0) > len(names) * each // 50).all()  # folds and gaps were among them


def test_a_sample_of_zones_says_what_zoneinfo_says() -> None:
    names = np.random.default_rng(7).choice(np.array(zone_names()), 50, replace=False).tolist()

    compare(names, 40, seed=8)


@pytest.mark.slow
def test_100_000_local_times_of_all_zones_mean_what_zoneinfo_says() -> None:
    compare(zone_names(), 100_000 // len(zone_names()) + 1, seed=9)


class Case(NamedTuple):
    """A local time of a zone, and what it is in UTC: one instant, two, or the change that skipped it."""

    zone: str
    local: str
    utc: str
    later: str = ""
    gap: bool = False


CASES = [
    Case("America/Denver", "2026-11-01T01:30:00", "2026-11-01T07:30:00", "2026-11-01T08:30:00"),
    Case("America/Denver", "2026-11-01T00:59:59", "2026-11-01T06:59:59"),
    Case("America/Denver", "2026-11-01T01:00:00", "2026-11-01T07:00:00", "2026-11-01T08:00:00"),
    Case("America/Denver", "2026-11-01T02:00:00", "2026-11-01T09:00:00"),
    Case("America/Denver", "2026-03-08T02:30:00", "2026-03-08T09:00:00", gap=True),
    Case("America/Denver", "2026-03-08T02:00:00", "2026-03-08T09:00:00", gap=True),
    Case("America/Denver", "2026-03-08T03:00:00", "2026-03-08T09:00:00"),
    Case("Australia/Lord_Howe", "2026-04-05T01:45:00", "2026-04-04T14:45:00", "2026-04-04T15:15:00"),
    Case("Australia/Lord_Howe", "2026-10-04T02:15:00", "2026-10-03T15:30:00", gap=True),
    Case("Australia/Lord_Howe", "2026-10-04T02:30:00", "2026-10-03T15:30:00"),
    Case("Pacific/Chatham", "2026-04-05T03:00:00", "2026-04-04T13:15:00", "2026-04-04T14:15:00"),
    Case("Pacific/Chatham", "2026-09-27T03:00:00", "2026-09-26T14:00:00", gap=True),
    Case("Asia/Kathmandu", "2026-06-01T05:45:00", "2026-06-01T00:00:00"),
    Case("Asia/Kathmandu", "1986-01-01T00:10:00", "1985-12-31T18:30:00", gap=True),
    Case("Pacific/Apia", "2011-12-29T23:59:59", "2011-12-30T09:59:59"),
    Case("Pacific/Apia", "2011-12-30T00:00:00", "2011-12-30T10:00:00", gap=True),
    Case("Pacific/Apia", "2011-12-30T23:59:59", "2011-12-30T10:00:00", gap=True),
    Case("Pacific/Apia", "2011-12-31T00:00:00", "2011-12-30T10:00:00"),
    Case("Africa/Casablanca", "2024-03-10T02:30:00", "2024-03-10T01:30:00", "2024-03-10T02:30:00"),
    Case("Africa/Casablanca", "2024-04-14T02:30:00", "2024-04-14T02:00:00", gap=True),
    Case("Africa/Casablanca", "2024-03-20T12:00:00", "2024-03-20T12:00:00"),
    Case("Europe/Dublin", "2026-07-01T12:00:00", "2026-07-01T11:00:00"),
    Case("Europe/Dublin", "2026-10-25T01:30:00", "2026-10-25T00:30:00", "2026-10-25T01:30:00"),
    Case("Europe/Dublin", "2045-03-26T01:30:00", "2045-03-26T01:00:00", gap=True),
    Case("America/New_York", "1969-07-20T16:17:40", "1969-07-20T20:17:40"),
    Case("America/New_York", "1883-11-18T11:00:00", "1883-11-18T15:56:02"),  # local mean time, 4:56:02 behind
    Case("America/New_York", "0001-01-01T00:00:00", "0001-01-01T04:56:02"),
    Case("America/Denver", "2039-07-01T12:00:00", "2039-07-01T18:00:00"),
    Case("America/Denver", "2040-01-01T12:00:00", "2040-01-01T19:00:00"),
    Case("Australia/Sydney", "2039-01-01T12:00:00", "2039-01-01T01:00:00"),
    Case("Australia/Sydney", "2039-07-01T12:00:00", "2039-07-01T02:00:00"),
    Case("Europe/Berlin", "9999-07-01T12:00:00", "9999-07-01T10:00:00"),
    Case("Australia/Sydney", "9999-12-31T23:59:59", "9999-12-31T12:59:59"),
    Case("America/Denver", "9999-12-31T16:59:59", "9999-12-31T23:59:59"),
    Case("UTC", "9999-12-31T23:59:59", "9999-12-31T23:59:59"),
    Case("Etc/GMT+7", "2026-07-01T00:00:00", "2026-07-01T07:00:00"),
]


def seconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(seconds=1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.zone} {case.local}")
def test_named_times(case: Case) -> None:
    local = np.array([seconds(case.local)])

    def converted(ambiguous: Ambiguous, nonexistent: Nonexistent) -> int:
        found = local_to_utc(local, case.zone, ambiguous, nonexistent)
        assert found.ambiguous.tolist() == [bool(case.later)]
        assert found.nonexistent.tolist() == [case.gap]
        return int(found.seconds[0])

    assert converted("error", "error") == seconds(case.utc)
    assert converted("earliest", "shift-forward") == seconds(case.utc)
    assert converted("latest", "shift-forward") == seconds(case.later or case.utc)
    assert converted("earliest", "shift-backward") == seconds(case.utc) - case.gap


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(-40, 40), unique=True, max_size=8).map(sorted),
    st.lists(st.integers(-8, 8), min_size=9, max_size=9),
)
def test_changes_in_a_row_mean_what_trying_every_instant_says(changes: list[int], offsets: list[int]) -> None:
    at = np.array(changes, np.int64)
    offset = np.array(offsets[: len(changes) + 1], np.int64)
    table = wall_segments(Transitions(at * QUARTER, offset * QUARTER))
    instants = np.arange(-80, 81)
    shown = instants + offset[at.searchsorted(instants, "right")]

    for local in range(-60, 61):
        segment = table.breaks.searchsorted(local * QUARTER, "right")
        found = instants[shown == local] * QUARTER
        assert table.kinds[segment] == (2 if not len(found) else 1 if len(found) > 1 else 0)
        if len(found):
            assert local * QUARTER - table.earliest[segment] == found[0]
            assert local * QUARTER - table.latest[segment] == found[-1]
        else:
            assert table.gap_ends[segment] == instants[shown > local][0] * QUARTER


def test_long_columns_are_converted_as_short_ones_are() -> None:
    local = np.random.default_rng(3).integers(0, 2_000_000_000, 270_001)
    local[::27_000] = seconds("2026-11-01T01:30:00")
    local[1::27_000] = seconds("2026-03-08T02:30:00")

    whole = local_to_utc(local, "America/Denver", "latest", "shift-backward")
    parts = [local_to_utc(part, "America/Denver", "latest", "shift-backward") for part in np.array_split(local, 9)]

    for column in range(3):
        assert np.array_equal(whole[column], np.concatenate([part[column] for part in parts]))
    assert whole.ambiguous.sum() >= 11
    assert whole.nonexistent.sum() >= 11


def test_no_rows_are_converted_to_none() -> None:
    for name in ("UTC", "America/Denver"):
        assert [len(column) for column in local_to_utc(np.zeros(0, np.int64), name)] == [0, 0, 0]


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'America/Denver'"):
        local_to_utc(np.zeros(1, np.int64), "America/Denvr")


def cpu_s(work: Callable[[], object]) -> float:
    start = time.thread_time()  # not the wall clock: other processes take turns
    work()
    return time.thread_time() - start


@pytest.mark.parametrize("name", ["America/Denver", "Asia/Tokyo", "Asia/Pyongyang"])
@pytest.mark.parametrize("order", ["random", "sorted"])
def test_the_rate_is_near_that_of_one_bare_search(name: str, order: str) -> None:
    local = np.random.default_rng(2).integers(0, 2_000_000_000, 131_072)
    if order == "sorted":
        local.sort()
    table = wall_table(name)
    np.ones(2**21)  # once so much was freed, the allocator keeps memory: getting it anew costs more than a search

    # the least of many, taken in turn: whatever else runs on the machine makes a time longer, never shorter
    bare, converted = [], []
    for _ in range(60):
        bare.append(cpu_s(lambda: table.earliest.take(table.breaks.searchsorted(local, "right"))))
        converted.append(cpu_s(lambda: local_to_utc(local, name)))
        if len(bare) >= 10 and min(bare) / min(converted) >= 0.7:
            break

    assert min(bare) / min(converted) >= 0.7
