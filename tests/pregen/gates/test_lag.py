from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.gates.evidence import BIN_S, BINS
from pregen.gates.history import IssuerHistory
from pregen.gates.lag import Shift, _hours, lag_of, lag_shift, remembered, rhythm
from pregen.gates.offsets import possible_shifts
from tests.pregen.gates.authorities import DAY, HOUR, columns

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())
AGES = np.arange(BINS)
SHIFTS = frozenset(shift for shift in possible_shifts(columns()["not_before"], AS_OF) if shift < 0)
BUSY = AGES[AGES % 2 == 0]  # something each ten minutes


def judged(ages: NDArray[np.int64], lags: tuple[int, ...], *, newest: int | None = None) -> Shift | None:
    """Judge an issuer whose newest certificate of the last generation, a day ago, was `newest`."""
    before = IssuerHistory(1_000, AS_OF - DAY - lags[0] if newest is None else newest, lags)
    return lag_shift(AS_OF - int(ages[0]) * BIN_S, ages, before, as_of=AS_OF, shifts=lambda: SHIFTS)


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


def test_a_silence_that_was_there_before_is_usual() -> None:
    ages = later_than(7)
    nights = ages[(ages * BIN_S // HOUR) % 24 >= 4]  # four hours each night without any

    assert judged(later_than(7), (7 * HOUR, 120)) is None
    assert judged(nights[nights >= 7 * 12], (120,)) is None


@pytest.mark.parametrize(("hours", "is_hole"), [(0.6, False), (13.2, True)])
def test_a_lag_that_is_no_zones_offset_is_an_error_where_the_issuer_was_never_silent_nearly_as_long(
    hours: float, *, is_hole: bool
) -> None:
    found = judged(later_than(hours), (120,))

    assert found is not None
    assert (found.kind, found.shift_s, found.is_certain) == ("odd", None, is_hole)


def test_issuance_that_stopped_is_said_once() -> None:
    ages = later_than(8)
    newest = AS_OF - int(ages[0]) * BIN_S
    first = judged(ages, (120,), newest=newest)

    assert first is not None
    assert (first.kind, first.is_certain, first.shift_s) == ("stop", True, -8 * HOUR)
    accepted = remembered(IssuerHistory(9, newest, (120,)), newest, 8 * HOUR, is_odd=True)
    assert (accepted.lags, accepted.odd) == ((120,), 1)
    later = lag_shift(newest, ages, accepted, as_of=AS_OF, shifts=lambda: SHIFTS)
    assert later is None
    assert remembered(accepted, newest, 9 * HOUR, is_odd=False) == accepted


def test_an_accepted_lag_hides_nothing_in_the_next_generation() -> None:
    before = IssuerHistory(9, AS_OF - DAY, (120,))
    accepted = remembered(before, AS_OF - 7 * HOUR, 7 * HOUR, is_odd=True)

    assert (accepted.newest, accepted.lags, accepted.odd) == (AS_OF - 7 * HOUR, (120,), 1)
    again = lag_shift(AS_OF - 6 * HOUR, later_than(6), accepted, as_of=AS_OF, shifts=lambda: SHIFTS)
    assert again is not None
    assert again.is_certain
    right = remembered(accepted, AS_OF - 60, 60, is_odd=False)
    assert (right.lags, right.odd) == ((60, 120), 0)


def test_a_lag_that_was_accepted_three_times_in_a_row_is_the_usual_one() -> None:
    known = IssuerHistory(9, AS_OF - 9 * DAY, (120, 60))
    for day in (2, 1, 0):
        known = remembered(known, AS_OF - day * DAY - 7 * HOUR, 7 * HOUR, is_odd=True)

    assert (known.lags, known.odd) == ((7 * HOUR,), 0)


def test_of_an_issuer_without_issuances_what_was_known_is_kept() -> None:
    known = IssuerHistory(9, AS_OF - DAY, (120,), 1)

    assert remembered(known, None, None, is_odd=False) == IssuerHistory(9, None, (120,), 1)


def test_durations_are_hours_and_minutes_however_long() -> None:
    assert [_hours(seconds) for seconds in (59, 5_430, 400 * HOUR, -5_430)] == ["00:00", "01:30", "400:00", "-01:30"]


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
    assert lag_of(AS_OF - 4_000, np.array([13]), AS_OF) == 4_000
    assert lag_of(AS_OF - 130, BUSY, AS_OF) == 130
