import numpy as np
import pytest

from pregen.gates.detector.observation import BIN_S, BINS, Observation
from pregen.gates.detector.rhythm import Bins, ages_of, is_long, missed, rhythm, silences_factor
from pregen.gates.detector.sightings import NO_SIGHTINGS

DAY = 86_400 // BIN_S
BACK = 11  # bins until issuance is dense again: of 40, twelve must be used
NOTHING = np.empty(0, np.int64)


@pytest.mark.parametrize(("bins", "days", "is_busy"), [(200, 7, True), (199, 7, False), (200, 6.9, False)])
def test_two_hundred_bins_in_a_week_are_enough(bins: int, days: float, is_busy: bool) -> None:
    ages = np.linspace(0, days * DAY, bins).round().astype(np.int64)

    assert rhythm(ages).busy is is_busy
    assert (rhythm(ages).lag_s is not None) is is_busy


@pytest.mark.parametrize(("days", "silence"), [(14, 90 + BACK), (16, 50 + BACK)])
def test_the_longest_silence_is_left_out_where_two_weeks_are_known(days: int, silence: int) -> None:
    ages = np.arange(days * DAY)
    ages = ages[((ages < 500) | (ages >= 589)) & ((ages < 900) | (ages >= 949))]

    assert rhythm(ages).silence_s == silence * BIN_S


@pytest.mark.parametrize(("holes", "silence"), [(6, 1), (7, 31 + BACK)])
def test_holes_are_no_usual_silence_before_they_are_a_habit(holes: int, silence: int) -> None:
    ages = np.arange(30 * DAY)
    gaps = [Bins(at * 3 * DAY + 99, at * 3 * DAY + 130) for at in range(holes)]
    for gap in gaps:
        ages = ages[(ages <= gap.newer) | (ages >= gap.older)]

    assert rhythm(ages, gaps).silence_s == silence * BIN_S
    assert rhythm(ages).silence_s == (31 + BACK) * BIN_S


@pytest.mark.parametrize(("rows", "used"), [(9, False), (10, True)])
def test_a_tenth_of_the_usual_rows_is_use(rows: int, used: bool) -> None:
    bins = BINS + np.arange(5)
    observation = Observation(
        NO_SIGHTINGS, bins, np.array([100, 100, rows, 100, 100]), NOTHING, NOTHING, NOTHING, NO_SIGHTINGS
    )

    assert ages_of(observation, 1).tolist() == ([0, 1, 2, 3, 4] if used else [0, 1, 3, 4])
    assert ages_of(observation, 0).tolist() == []


@pytest.mark.parametrize(("weeks", "count"), [((1, 2, 3), 10), ((1, 2, 3, 4), 10), ((2, 3, 4), 10), ((1, 2), 0)])
def test_missed_is_what_was_used_in_three_of_four_weeks(weeks: tuple[int, ...], count: int) -> None:
    ages = np.concatenate([[0], *(week * 7 * DAY + np.arange(20, 30) for week in weeks)])

    assert missed(ages, 0, 100) == count
    assert missed(ages, 24, 100) == (5 if count else 0)


def test_what_is_long_and_how_often_chance_is_asked() -> None:
    assert [is_long(silence, 600) for silence in (10_799, 10_800)] == [False, True]
    assert [is_long(silence, 3_600) for silence in (21_599, 21_600)] == [False, True]
    assert [silences_factor(issuers) for issuers in (1, 10, 11)] == [2.0, 2.0, 3.0]
