from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.gates.detector.lag import Shift, lag_of, lag_shift
from pregen.gates.detector.observation import BIN_S, BINS
from pregen.gates.detector.offsets import possible_shifts
from pregen.gates.detector.recollection import remembered
from pregen.gates.detector.rhythm import rhythm
from storage.history import IssuerHistory
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Rhythm,
    columns,
    export,
    lags_of,
    make_issuers,
    publish,
    watch_for,
    work,
)

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())
AGES = np.arange(BINS)
SHIFTS = frozenset(shift for shift in possible_shifts(columns()["not_before"], AS_OF) if shift < 0)
BUSY = AGES[AGES % 2 == 0]  # something each ten minutes


def judged(ages: NDArray[np.int64], lags: tuple[int, ...], *, newest: int | None = None) -> Shift | None:
    """Judge an issuer whose newest certificate of the last generation, a day ago, was `newest`."""
    newest = AS_OF - DAY - lags[0] if newest is None else newest
    before = IssuerHistory(1_000, newest, newest, lags)
    return lag_shift(AS_OF - int(ages[0]) * BIN_S, rhythm(ages), before, as_of=AS_OF, shifts=lambda: SHIFTS)


def later_than(hours: float) -> NDArray[np.int64]:
    """A busy issuer of whom nothing is known for some hours."""
    return np.arange(round(hours * 12), BINS, 2)


def test_a_busy_issuer_whose_newest_is_hours_behind_is_read_too_early_by_that_offset() -> None:
    assert judged(later_than(7), (120,)) == Shift("shift", -7 * HOUR, 7 * HOUR, 120, 600, is_certain=True)


@pytest.mark.parametrize("backdate_s", [HOUR, DAY])
def test_constant_backdating_is_no_shift(backdate_s: int) -> None:
    backdated = later_than(backdate_s / HOUR)

    assert judged(backdated, (backdate_s + 60,)) is None
    both = judged(later_than(backdate_s / HOUR + 5), (backdate_s + 60,))
    assert both is not None
    assert (both.kind, both.shift_s) == ("shift", -5 * HOUR)


def test_a_few_postdated_certificates_do_not_hide_a_silence() -> None:
    ages = np.union1d(later_than(8), [3])

    assert rhythm(ages).lag_s == 8 * HOUR
    found = judged(ages, (120,))
    assert found is not None
    assert (found.shift_s, found.is_certain) == (-8 * HOUR, True)


def test_quiet_offices_nightly_batches_and_small_authorities_are_never_certain() -> None:
    hour, day = (AGES * BIN_S // HOUR) % 24, AGES * BIN_S // DAY
    office = AGES[(hour >= 15) & (day % 7 < 5)]
    nightly = AGES[(AGES * BIN_S % DAY) // 600 == 50]
    monthly = np.array([4_000, 9_000])
    for ages in (office, nightly, monthly):
        found = judged(ages, (120,))
        assert found is None or not found.is_certain


def test_a_lag_is_usual_only_where_silences_explain_it() -> None:
    ages = later_than(7)
    nights = ages[(ages * BIN_S // HOUR) % 24 >= 4]  # four hours each night without any

    late = judged(ages, (7 * HOUR, 120))  # the last generation was late too
    assert late is not None
    assert late.is_certain
    assert judged(nights[nights >= 7 * 12], (120,)) is None


@pytest.mark.parametrize(("hours", "is_hole"), [(0.6, False), (13.2, True)])
def test_a_lag_that_is_no_zones_offset_is_an_error_where_the_issuer_was_never_silent_nearly_as_long(
    hours: float, *, is_hole: bool
) -> None:
    found = judged(later_than(hours), (120,))

    assert found is not None
    assert (found.kind, found.shift_s, found.is_certain) == ("odd", None, is_hole)


def copied(
    per_day: float,
    stops_at: int,
    runs: list[int],
    *,
    postdated: float = 0.0,
    rhythm: Rhythm = "automated",
    validity_days: int = 200,
    creeps_s: int = 0,
) -> list[tuple[str, bool] | None]:
    """Return what each run of a sequence says whose copy gets nothing new after an instant; errors publish nothing."""
    habits = (Habits(per_day=per_day, postdated=postdated, rhythm=rhythm, validity_days=validity_days),)
    rows = work(habits, AS_OF - 60 * DAY, stops_at, np.random.default_rng(3))
    history, said = None, list[tuple[str, bool] | None]()
    for number, as_of in enumerate([AS_OF - DAY, *runs]):
        seen = export(rows, as_of, behind_s=number * creeps_s)
        if history is not None:
            watch = watch_for(seen, as_of, 1)
            clues = lags_of(seen, watch, history).clues
            said.append((clues[0].severity, "nothing is newer" in clues[0].text) if clues else None)
        if not said or said[-1] is None or said[-1][0] == "warning":
            history = publish(seen, as_of, make_issuers(1), history)
    return said


@pytest.mark.parametrize("postdated", [0, 0.001, 0.02])
def test_a_copy_that_stopped_is_refused_however_often_somebody_looks(postdated: float) -> None:
    """Each lag is only 20 minutes longer than that of the run before."""
    said = copied(1_000, AS_OF, [AS_OF + minutes * 60 for minutes in range(0, 200, 20)], postdated=postdated)

    assert said[:3] == [None, None, None]
    assert said[-2:] == [("error", True)] * 2


def test_a_stop_of_a_ca_with_a_nightly_break_is_a_warning_and_then_an_error() -> None:
    days = copied(1_000, AS_OF, [AS_OF + day * DAY for day in range(20)], rhythm="office")

    assert days[0] is None
    assert days.index(("warning", True)) < days.index(("error", True)) <= 17


def test_an_office_that_does_nothing_on_a_working_day_is_a_warning_the_same_evening() -> None:
    evening = AS_OF + 9 * HOUR  # of a Wednesday
    said = copied(1_000, AS_OF - 4 * HOUR, [AS_OF - 3 * HOUR, evening], rhythm="office")

    assert said == [None, ("warning", True)]


@pytest.mark.parametrize("validity_days", [8, 10, 14])
def test_a_stop_of_a_ca_whose_certificates_live_for_days_is_refused(validity_days: int) -> None:
    runs = [AS_OF, AS_OF + DAY, AS_OF + 3 * DAY]

    assert copied(2_000, AS_OF, runs, validity_days=validity_days) == [None, *[("error", True)] * 2]


def test_a_stop_of_a_large_ca_is_not_hidden_by_those_that_become_valid_later() -> None:
    runs = [AS_OF + day * DAY for day in range(5)]

    assert copied(8_000, AS_OF, runs, postdated=0.03) == [None, *[("error", True)] * 4]


@pytest.mark.parametrize(("every_s", "creeps_s"), [(HOUR, 1_200), (DAY, 1_200), (6 * HOUR, 1_440)])
def test_a_copy_that_falls_behind_little_by_little_is_refused(every_s: int, creeps_s: int) -> None:
    runs = [AS_OF + number * every_s for number in range(20)]
    said = copied(1_000, AS_OF + 40 * DAY, runs, creeps_s=creeps_s)

    assert "error" in [severity for one in said if one for severity in one]
    assert all(said[6:])


def test_a_small_ca_that_stopped_is_a_warning() -> None:
    assert ("warning", True) in copied(5, AS_OF, [AS_OF + day * DAY for day in range(20)])


def test_a_stop_is_still_told_when_hardly_anything_is_left_of_the_35_days() -> None:
    assert copied(1_000, AS_OF, [AS_OF, AS_OF + 34 * DAY])[-1] == ("error", True)


def test_issuance_that_stopped_is_a_warning_once_it_was_accepted() -> None:
    ages = later_than(8)
    newest = AS_OF - int(ages[0]) * BIN_S
    first = judged(ages, (120,), newest=newest)

    assert first is not None
    assert (first.kind, first.is_certain, first.shift_s) == ("stop", True, -8 * HOUR)
    accepted = remembered(IssuerHistory(9, newest, newest, (120,)), newest, ages, AS_OF, is_odd=True)
    assert (accepted.lags, accepted.accepted, accepted.stopped_s) == ((120,), 0, 8 * HOUR - 120)
    later = lag_shift(newest, rhythm(ages), accepted, as_of=AS_OF, shifts=lambda: SHIFTS)
    assert later == replace(first, is_certain=False)
    assert remembered(accepted, newest, ages, AS_OF, is_odd=False) == accepted
    assert remembered(accepted, AS_OF, BUSY, AS_OF, is_odd=False).stopped_s == 0
    long = lag_shift(newest, rhythm(later_than(25)), accepted, as_of=AS_OF + 17 * HOUR, shifts=lambda: SHIFTS)
    assert long is not None
    assert (long.kind, long.is_certain) == ("stop", True), "three times as long was not accepted"


def test_an_accepted_lag_hides_nothing_in_the_next_generation() -> None:
    before = IssuerHistory(9, AS_OF - DAY, AS_OF - DAY, (120,))
    accepted = remembered(before, AS_OF - 7 * HOUR, later_than(7), AS_OF, is_odd=True)

    assert (accepted.newest, accepted.lags, accepted.accepted) == (AS_OF - 7 * HOUR, (120,), 1)
    again = lag_shift(AS_OF - 6 * HOUR, rhythm(later_than(6)), accepted, as_of=AS_OF, shifts=lambda: SHIFTS)
    assert again is not None
    assert again.is_certain
    right = remembered(accepted, AS_OF - 60, BUSY, AS_OF, is_odd=False)
    assert (right.lags, right.accepted) == ((60, 120), 0)


def test_a_stop_after_an_accepted_lag_is_an_error_of_its_own() -> None:
    before = IssuerHistory(9, AS_OF - DAY, AS_OF - DAY, (120,))
    accepted = remembered(before, AS_OF - 7 * HOUR, later_than(7), AS_OF, is_odd=True)
    stopped = lag_shift(
        AS_OF - 7 * HOUR, rhythm(later_than(17)), accepted, as_of=AS_OF + 10 * HOUR, shifts=lambda: SHIFTS
    )

    assert stopped is not None
    assert (stopped.kind, stopped.is_certain) == ("stop", True)


def test_a_lag_that_was_accepted_three_times_in_a_row_is_the_usual_one() -> None:
    known = IssuerHistory(9, AS_OF - 9 * DAY, AS_OF - 9 * DAY, (120, 60))
    for day in (2, 1, 0):
        as_of = AS_OF - day * DAY
        known = remembered(known, as_of - 7 * HOUR, later_than(7), as_of, is_odd=True)

    assert (known.lags, known.accepted) == ((7 * HOUR,), 0)


def test_of_an_issuer_without_issuances_what_was_known_is_kept() -> None:
    known = IssuerHistory(9, AS_OF - DAY, AS_OF - DAY, (120,), accepted=1)

    assert remembered(known, None, np.empty(0, np.int64), AS_OF, is_odd=False) == known


def test_a_newest_that_goes_back_is_told_apart() -> None:
    found = judged(later_than(7), (120,), newest=AS_OF - HOUR)

    assert found is not None
    assert (found.kind, found.is_certain) == ("back", True)
    quiet = judged(np.array([7_000]), (120,), newest=AS_OF - HOUR)
    assert quiet is not None
    assert (quiet.kind, quiet.is_certain) == ("back", False)


def test_a_young_issuer_has_not_shown_its_weekends() -> None:
    week = BUSY[(BUSY >= 7 * 12) & (BUSY < 7 * 288)]

    found = judged(week, (120,))
    assert found is None


def test_the_lag_of_an_issuer_that_is_not_busy_is_that_of_its_newest() -> None:
    assert lag_of(AS_OF - 4_000, rhythm(np.array([13])), AS_OF) == 4_000
    assert lag_of(AS_OF - 130, rhythm(BUSY), AS_OF) == 130
