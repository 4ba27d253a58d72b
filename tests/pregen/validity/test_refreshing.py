"""What is signed again tonight: the rules one by one, and many nights of a small CA."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pregen.clock import seconds
from pregen.config import parse_duration
from pregen.validity import (
    PROFILES,
    Fit,
    Refreshing,
    Validity,
    ValidityWindow,
    fit,
    longest_s,
    plan_window,
    takes_s,
    window_until,
)
from storage.key import KEY32
from storage.tables import Window

HOUR_S, DAY_S = 3_600, 86_400
START = datetime(2026, 11, 24, 2, tzinfo=UTC)
START_S = seconds(START)
FAR = datetime(2090, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEVER = 1 << 40


def nightly(
    now: int = START_S, *, every_s: int = DAY_S, missed_runs: int = 1, spread: bool = True, takes: int | None = None
) -> Refreshing:
    expected = takes_s(every_s, takes)
    return Refreshing(every_s=every_s, missed_runs=missed_runs, spread=spread, now=now, takes_s=expected)


def validity_of(profile: str, lifetime: str, backdate: str = "0s", *, ends: bool = False) -> Validity:
    return Validity(PROFILES[profile], parse_duration(lifetime), parse_duration(backdate), ends)


def window_of(
    validity: Validity, started: datetime = START, *, as_of: datetime | None = None, cap: datetime = FAR
) -> ValidityWindow:
    return plan_window(
        profile=validity.profile.name,
        lifetime=validity.lifetime,
        backdate=validity.backdate,
        as_of=as_of or started,
        started=started,
        cap=cap,
    )


def stored(window: ValidityWindow, *, says_backdate: bool = True) -> Window:
    backdate = window.backdate if says_backdate else None
    return Window(
        produced_at=seconds(window.produced_at),
        this_update=seconds(window.this_update),
        next_update=seconds(window.next_update),
        refresh_by=seconds(window.refresh_by),
        backdate=None if backdate is None else int(backdate.total_seconds()),
    )


def cycle_of(profile: str, lifetime: str, backdate: str = "0s", refreshing: Refreshing | None = None) -> int:
    window = stored(window_of(validity_of(profile, lifetime, backdate)))
    return (refreshing or nightly()).cycle(window.refresh_by, window.next_update)


@pytest.mark.parametrize(
    ("profile", "lifetime", "cycle"),
    [
        ("strict", "2d", 1),
        ("strict", "4d", 1),
        ("strict", "5d", 2),
        ("strict", "6d", 2),
        ("strict", "7d", 3),
        ("microsoft", "7d", 3),
        ("cabf-tls", "3d", 1),
        ("cabf-tls", "4d", 2),  # a run may be missed before nextUpdate
        ("cabf-tls", "5d", 3),
        ("cabf-tls", "10d", 3),  # four days after thisUpdate
        ("cabf-cs", "10d", 3),
        ("mozilla", "10d", 3),
        ("lab", "30d", 14),
        ("offline-ca", "365d", 350),
    ],
)
def test_how_many_nights_a_cycle_has(profile: str, lifetime: str, cycle: int) -> None:
    assert cycle_of(profile, lifetime) == cycle


def test_more_missed_runs_make_a_cycle_shorter_and_more_frequent_ones_longer() -> None:
    assert [cycle_of("strict", "7d", refreshing=nightly(missed_runs=missed)) for missed in (0, 2, 3, 4, 5)] == [
        3, 3, 3, 2, 1,
    ]  # fmt: skip
    assert cycle_of("strict", "7d", refreshing=nightly(every_s=6 * HOUR_S)) == 13
    assert cycle_of("strict", "7d", refreshing=nightly(every_s=2 * DAY_S)) == 1


def test_a_backdate_uses_up_the_cycle() -> None:
    assert cycle_of("strict", "7d", "10h") == 3
    assert cycle_of("strict", "7d", "12h") == 2


def test_a_run_that_takes_long_uses_up_the_cycle() -> None:
    assert cycle_of("strict", "7d", refreshing=nightly(takes=11 * HOUR_S)) == 3
    assert cycle_of("strict", "7d", refreshing=nightly(takes=13 * HOUR_S)) == 2


@pytest.mark.parametrize(("lifetime", "nights"), [("4d", 1), ("5d", 2), ("7d", 3)])
def test_a_record_is_due_in_the_last_night_of_its_cycle_and_not_before(lifetime: str, nights: int) -> None:
    window = stored(window_of(validity_of("strict", lifetime), as_of=START - 10 * MINUTE))

    due = [nightly(START_S + night * DAY_S).due(window.refresh_by, window.next_update) for night in range(nights + 1)]

    assert due == [False] * nights + [True]


def test_numbers_and_arrays_get_the_same_answers() -> None:
    refreshing = nightly()
    refresh_by = refreshing.next_commit + np.array([-1, 0, 1])
    next_update = refreshing.next_commit + DAY_S + np.array([[-1], [0]])

    due = refreshing.due(*np.broadcast_arrays(refresh_by, next_update))

    assert due.tolist() == [[True, True, True], [True, False, False]]
    for (row, column), expected in np.ndenumerate(due):
        assert refreshing.due(int(refresh_by[column]), int(next_update[row, 0])) is bool(expected)


def test_where_no_later_end_can_be_had_nothing_is_signed_for_it() -> None:
    refreshing = nightly()
    ends = np.full(3, refreshing.now + HOUR_S)

    due = refreshing.due(np.full(3, NEVER), ends, ends + np.array([-1, 0, 1]))

    assert due.tolist() == [False, False, True]
    assert refreshing.due(refreshing.now, int(ends[0]), int(ends[0]))


def test_what_was_made_earlier_in_this_period_was_made_in_it() -> None:
    midnight = START_S // DAY_S * DAY_S

    made = nightly(midnight + 23 * HOUR_S).made_now(midnight + np.array([-1, 0, 22 * HOUR_S]))

    assert made.tolist() == [False, True, True]


@given(cycle=st.integers(1, 400), period=st.integers(0, 10**5), keys=st.lists(st.integers(0, KEY32 - 1), min_size=1))
def test_each_key_has_one_slot_in_a_cycle(cycle: int, period: int, keys: list[int]) -> None:
    key32 = np.array([0, KEY32 - 1, *keys], np.uint32)

    nights = [nightly((period + night) * DAY_S).in_slot(key32, cycle) for night in range(cycle)]

    assert np.sum(nights, axis=0).tolist() == [1] * len(key32)
    slots = key32.astype(np.uint64) * np.uint64(cycle) >> np.uint64(32)
    assert (nights[0] == (slots == period % cycle)).all()


@given(cycle=st.integers(1, 10**6), now=st.integers(0, 2**33), every_s=st.integers(60, 366 * DAY_S))
def test_slots_differ_in_size_by_one_key_at_most(cycle: int, now: int, every_s: int) -> None:
    low, high = nightly(now, every_s=every_s).slot(cycle)

    assert 0 <= low < high <= KEY32
    assert high - low in {KEY32 // cycle, KEY32 // cycle + 1}


def test_what_a_run_takes_is_the_longest_of_the_last_ones_and_forgotten_by_and_by() -> None:
    longest: int | None = None
    for took in (600, 30_000, 600, 600, 600):
        longest = longest_s(took, longest)

    assert longest == 12_656
    assert takes_s(DAY_S, longest) == 12_656
    assert takes_s(DAY_S, 600) == HOUR_S


# Windows that are as today's.

lifetimes = st.integers(16, 168).map(lambda hours: hours * HOUR)
backdates = st.integers(0, 300).map(lambda minutes: minutes * MINUTE)
ages = st.integers(0, 12 * 3_600).map(lambda age: timedelta(seconds=age))


@st.composite
def validities(draw: st.DrawFn) -> Validity:
    profile = PROFILES[draw(st.sampled_from(["strict", "cabf-tls", "mozilla", "microsoft", "lab"]))]
    validity = Validity(profile, draw(lifetimes), draw(backdates), draw(st.booleans()))
    assume(not profile.lifetime_problem(validity.lifetime))
    assume(validity.backdate + 12 * HOUR <= profile.refresh_span(validity.lifetime))
    return validity


@given(validity=validities(), age=ages, rest=st.none() | st.integers(50, 200), says=st.booleans())
def test_a_window_is_as_today_as_long_as_nothing_else_is_configured(
    validity: Validity, age: timedelta, rest: int | None, says: bool
) -> None:
    cap = FAR if rest is None else START + rest * HOUR
    window = window_of(validity, as_of=START - age, cap=cap)

    expected = Fit.USUAL if validity.ends_with_certificate else Fit.ANY
    assert fit(stored(window, says_backdate=says), validity, seconds(cap)) is expected


@given(validity=validities(), age=ages, span_s=st.integers(120, 7 * DAY_S), rest=st.none() | st.integers(50, 200))
def test_a_window_that_ends_with_its_certificate_is_as_today_where_windows_do(
    validity: Validity, age: timedelta, span_s: int, rest: int | None
) -> None:
    assume(validity.ends_with_certificate)
    cap = FAR if rest is None else START + rest * HOUR
    usual = window_of(validity, as_of=START - age, cap=cap)
    assume(START + timedelta(seconds=span_s) < usual.next_update)
    window = stored(window_until(usual, validity, span_s))

    assert fit(window, validity, seconds(cap)) is Fit.OWN
    without = Validity(validity.profile, validity.lifetime, validity.backdate)
    assert fit(window, without, seconds(cap)) is Fit.NONE


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (("strict", "4d"), ("strict", "5d")),
        (("strict", "5d"), ("strict", "4d")),
        (("strict", "4d"), ("strict", "4d", "1h")),
        (("strict", "4d", "1h"), ("strict", "4d")),
        (("strict", "7d"), ("mozilla", "7d")),  # another instant at which newer answers are due
        (("lab", "4d"), ("cabf-tls", "4d")),
    ],
)
@pytest.mark.parametrize("age", [timedelta(0), 3 * HOUR])
@pytest.mark.parametrize("ends", [False, True])
def test_another_lifetime_backdate_or_profile_is_noticed(
    before: tuple[str, ...], now: tuple[str, ...], age: timedelta, ends: bool
) -> None:
    validity = validity_of(*before, ends=ends)
    usual = window_of(validity, as_of=START - age)

    assert fit(stored(usual), validity_of(*now, ends=ends), seconds(FAR)) is Fit.NONE
    if ends:
        own = stored(window_until(usual, validity, 40 * HOUR_S))
        assert fit(own, validity_of(*now, ends=ends), seconds(FAR)) is Fit.NONE


def test_another_end_of_a_certificate_is_noticed_where_a_window_ends_by_it() -> None:
    validity = validity_of("strict", "4d")
    near, later = START + 2 * DAY, START + 3 * DAY
    capped, uncapped = window_of(validity, cap=near), window_of(validity)

    assert fit(stored(capped), validity, seconds(near)) is Fit.ANY
    assert fit(stored(capped), validity, seconds(later)) is Fit.NONE
    assert fit(stored(capped), validity, seconds(FAR)) is Fit.NONE
    assert fit(stored(uncapped), validity, seconds(later)) is Fit.NONE
    assert fit(stored(uncapped), validity, seconds(START + 5 * DAY)) is Fit.ANY


def test_a_window_of_a_store_that_says_no_backdate_must_leave_room_for_it() -> None:
    validity = validity_of("strict", "4d", "1h")

    old, older = (stored(window_of(validity), says_backdate=False) for _ in range(2))
    assert fit(old, validity, seconds(FAR)) is Fit.ANY
    assert fit(older, validity_of("strict", "4d", "2h"), seconds(FAR)) is Fit.NONE


# Many nights: the keys of a small CA, and what each run signs of them.

KEYS = 4_000


@dataclass
class Ca:
    """Certificates of one issuer, and the window of each; what runs signed is noted."""

    validity: Validity
    key32: NDArray[np.int64] = field(
        default_factory=lambda: np.random.default_rng(14).integers(0, KEY32, KEYS)  # the keys are hashes
    )
    windows: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def run(self, now: int, refreshing: Refreshing, *, age_s: int = 600) -> NDArray[np.bool_]:
        """Sign what is due or in the slot; return what was signed."""
        started = datetime.fromtimestamp(now, UTC)
        window = stored(window_of(self.validity, started, as_of=started - timedelta(seconds=age_s)))
        made = {name: getattr(window, name) for name in ("produced_at", "next_update", "refresh_by")}
        if not self.windows:
            self.windows = {name: np.full(KEYS, value) for name, value in made.items()}
            return np.ones(KEYS, np.bool_)
        old = self.windows
        signed = refreshing.due(old["refresh_by"], old["next_update"])
        if refreshing.spread:
            cycle = refreshing.cycle(window.refresh_by, window.next_update)
            signed |= refreshing.in_slot(self.key32, cycle) & ~refreshing.made_now(old["produced_at"])
        self.windows = {name: np.where(signed, value, old[name]) for name, value in made.items()}
        return signed


@pytest.mark.parametrize(
    ("profile", "lifetime", "every_s", "cycle"),
    [
        ("strict", "4d", DAY_S, 1),
        ("strict", "5d", DAY_S, 2),
        ("strict", "7d", DAY_S, 3),
        ("cabf-tls", "10d", DAY_S, 3),
        ("strict", "7d", 6 * HOUR_S, 13),
        ("lab", "30d", DAY_S, 14),
    ],
)
def test_in_a_thousand_nights_each_has_as_much_to_do_and_nothing_is_overdue(
    profile: str, lifetime: str, every_s: int, cycle: int
) -> None:
    ca, loads = Ca(validity_of(profile, lifetime)), []
    times = np.zeros(KEYS, np.int64)
    for night in range(1_000):
        now = START_S + night * every_s
        committed = now + 1_800
        if night:
            assert (ca.windows["refresh_by"] >= committed).all(), "what is served until then is overdue"
        signed = ca.run(now, nightly(now, every_s=every_s))
        loads.append(int(signed.sum()))
        if night >= cycle:
            times += signed

    steady = loads[cycle:]
    expected = KEYS / cycle
    assert max(abs(load - expected) for load in steady) < 6 * (expected * (1 - 1 / cycle)) ** 0.5 + 1
    assert times.max() - times.min() <= 1  # each key once in each cycle
    assert loads[1:cycle] == pytest.approx([expected] * (cycle - 1), rel=0.25)  # from the second night on


def test_without_spreading_all_is_signed_when_it_is_due() -> None:
    ca = Ca(validity_of("strict", "7d"))

    loads = [int(ca.run(now, nightly(now, spread=False)).sum()) for now in range(START_S, START_S + 9 * DAY_S, DAY_S)]

    assert loads == [KEYS, 0, 0] * 3


def test_runs_of_one_period_count_as_one() -> None:
    ca = Ca(validity_of("strict", "7d"))
    ca.run(START_S, nightly())
    tonight = START_S + DAY_S

    first, second, third = (int(ca.run(now, nightly(now)).sum()) for now in (tonight, tonight + 60, tonight + 20_000))

    assert first > KEYS / 4
    assert (second, third) == (0, 0)


@settings(max_examples=40)
@given(
    data=st.data(),
    profile=st.sampled_from(["strict", "cabf-tls", "mozilla", "microsoft"]),
    lifetime_days=st.integers(4, 7),
    missed_runs=st.integers(0, 2),
)
def test_whatever_happens_no_answer_runs_out(
    data: st.DataObject, profile: str, lifetime_days: int, missed_runs: int
) -> None:
    """Runs fail, up to `missed_runs` in a row, several take place in one night, start late, and cycles change."""
    lifetime_s = lifetime_days * DAY_S
    assume((missed_runs + 2) * DAY_S < lifetime_s)
    ca = Ca(validity_of(profile, f"{lifetime_days}d"))
    failed = 0
    now, committed = START_S, 0
    for night in range(30):
        drawn = data.draw(st.sampled_from(["runs", "fails", "runs twice", "is late", "has another lifetime"]))
        now = START_S + night * DAY_S + (2_400 if drawn == "is late" else 0)
        if drawn == "fails" and night and failed < missed_runs:
            failed += 1
            continue
        committed = now + 1_000
        if night:
            assert (ca.windows["next_update"] >= committed).all(), "an answer has run out"
            assert failed or (ca.windows["refresh_by"] >= committed).all(), "an answer is overdue"
        failed = 0
        if drawn == "has another lifetime":
            ca.validity = validity_of(profile, f"{data.draw(st.integers(missed_runs + 3, 7))}d")
        for again in range(1 + (drawn == "runs twice")):
            ca.run(now + again * 5_000, nightly(now + again * 5_000, missed_runs=missed_runs))


def test_after_missed_nights_and_another_cycle_the_load_is_even_again_in_one_cycle() -> None:
    ca = Ca(validity_of("strict", "7d"))
    loads = {}
    for night in range(40):
        if night in {10, 11, 23}:
            continue
        if night == 30:
            ca.validity = validity_of("strict", "5d")
        now = START_S + night * DAY_S
        loads[night] = int(ca.run(now, nightly(now)).sum())

    third, half = pytest.approx(KEYS / 3, rel=0.15), pytest.approx(KEYS / 2, rel=0.15)
    assert [loads[night] for night in (*range(15, 23), *range(26, 30))] == [third] * 12
    assert [loads[night] for night in range(32, 40)] == [half] * 8
