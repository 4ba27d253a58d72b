"""Where windows end that end with their certificates."""

from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pregen.clock import seconds
from pregen.generation.making.plan import stored_window
from pregen.generation.rows.endings import Endings, as_today
from pregen.validity import PROFILES, Fit, Validity, ValidityWindow, fit, plan_window, window_problem, window_until

STARTED = datetime(2026, 11, 24, 12, 34, 56, tzinfo=UTC)
STARTED_S = seconds(STARTED)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
DAY_S = 86_400
FAR = datetime(9999, 1, 1, tzinfo=UTC)


def spans(*not_after: int, lifetime_s: int = 4 * DAY_S) -> list[int]:
    """Return the spans of certificates that end so long after the start of the run."""
    endings = Endings(STARTED_S, np.array([STARTED_S + lifetime_s - 1]))
    ends = np.array(not_after, np.int64) + STARTED_S
    return [int(span) for span in endings.spans(np.zeros(len(ends), np.int64), ends.astype(np.uint32))]


@given(st.lists(st.integers(1, 4 * DAY_S - 2), min_size=1, max_size=50))
def test_they_end_at_or_before_not_after_and_lose_a_sixteenth_at_most(left: list[int]) -> None:
    for span, rest in zip(spans(*left), left, strict=True):
        assert 1 <= span <= rest
        assert (rest - span) * 16 <= rest + 1


def test_those_of_a_whole_hour_lose_nothing() -> None:
    for hours in (3, 50, 90):
        hour = -STARTED_S % 3_600 + hours * 3_600
        assert spans(hour - 1) == [hour - 1], "the last second of the hour is the certificate's last one"


def test_there_are_few_of_them() -> None:
    assert len(set(spans(*range(1, 4 * DAY_S - 1)))) <= 512
    year_s = 365 * DAY_S
    assert len(set(spans(*range(1, year_s - 1, 7), lifetime_s=year_s))) <= 1_024


def test_others_have_the_usual_window() -> None:
    assert spans(0, -1, 4 * DAY_S - 1, 4 * DAY_S, 2**32 - 1 - STARTED_S) == [0] * 5
    off = Endings(STARTED_S, np.array([-1, STARTED_S + 9]))
    ends = np.array([STARTED_S + 5] * 2, np.uint32)
    assert off.spans(np.array([0, 1]), ends).tolist() == [0, 5]
    assert off.undated(np.array([0, 1]), np.array([2**32 - 1] * 2, np.uint32)) == 1


def test_without_the_option_nobody_looks() -> None:
    usual, _ = planned("strict", 4 * DAY_S, 0)
    assert Endings.of([Validity(PROFILES["strict"], 4 * DAY, 0 * DAY)], [usual]) is None


def planned(profile: str, lifetime_s: int, age_s: int) -> tuple[ValidityWindow, Validity]:
    """Return the usual window of an issuer and its validity."""
    validity = Validity(PROFILES[profile], timedelta(seconds=lifetime_s), timedelta(0), ends_with_certificate=True)
    usual = plan_window(
        profile=profile,
        lifetime=validity.lifetime,
        backdate=validity.backdate,
        as_of=STARTED - timedelta(seconds=age_s),
        started=STARTED,
        cap=FAR,
    )
    return usual, validity


@given(st.sampled_from(sorted(PROFILES)), st.integers(17 * 3_600, 7 * DAY_S), st.integers(0, 3_600), st.data())
def test_each_of_them_obeys_its_profile_whatever_is_left(
    profile: str, lifetime_s: int, age_s: int, data: st.DataObject
) -> None:
    usual, validity = planned(profile, lifetime_s, age_s)
    endings = Endings.of([validity], [usual])
    assert endings is not None
    left = data.draw(st.integers(1, lifetime_s))
    not_after = np.array([STARTED_S + left], np.uint32)

    window = window_until(usual, validity, int(endings.spans(np.zeros(1, np.int64), not_after)[0]))

    ends = STARTED + timedelta(seconds=left)
    assert window.next_update <= max(ends, min(usual.next_update, ends))
    assert window.length >= PROFILES[profile].shortest
    assert window.this_update <= usual.this_update
    assert window.refresh_by == usual.refresh_by
    problem = window_problem(
        profile=profile,
        this_update=window.this_update,
        next_update=window.next_update,
        produced_at=window.produced_at,
        cap=ends if ends < usual.next_update else FAR,
        refresh_by=window.refresh_by,
        ends_with_certificate=window != usual,
    )
    assert problem is None


@given(
    before=st.integers(-DAY_S, 6 * DAY_S) | st.none(),
    after=st.integers(-DAY_S, 6 * DAY_S) | st.none(),
    close=st.integers(-3, 3) | st.none(),
    age_s=st.integers(0, 12 * 3_600),
)
def test_a_window_is_as_today_where_the_end_of_its_certificate_would_make_the_same_one(
    before: int | None, after: int | None, close: int | None, age_s: int
) -> None:
    """The other notAfter is any, or close to that which the window was made for."""
    usual, without = planned("strict", 4 * DAY_S, age_s)
    validity = Validity(without.profile, without.lifetime, without.backdate, ends_with_certificate=True)
    endings = Endings.of([validity], [usual])
    assert endings is not None

    def made(left: int | None) -> tuple[ValidityWindow, NDArray[np.uint32]]:
        not_after = np.array([2**32 - 1 if left is None else STARTED_S + left], np.uint32)
        return window_until(usual, validity, int(endings.spans(np.zeros(1, np.int64), not_after)[0])), not_after

    other = before + close if before is not None and close is not None else after
    window, _ = made(before)
    expected, not_after = made(other)
    one = stored_window(window)
    fits = np.array([fit(one, validity, seconds(FAR))], np.int8)

    assert fits[0] in {Fit.USUAL, Fit.OWN}
    found = as_today(fits, np.array([one.produced_at]), np.array([one.next_update]), not_after)
    assert bool(found[0]) is (window == expected)
