import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pregen.config.sections import ValidityConfig, parse_duration
from pregen.errors import ConfigError, GateError, InputError, UsageError
from pregen.validity import (
    PROFILES,
    ValidityWindow,
    check_run_times,
    check_still_timely,
    duration_text,
    plan_window,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=s) for s in (1, 60, 3_600, 86_400))
NOTHING = timedelta(0)


def plan(
    profile: str = "strict",
    *,
    lifetime: timedelta = 4 * DAY,
    backdate: timedelta = NOTHING,
    as_of: datetime = NOW,
    started: datetime = NOW,
    cap: datetime = FAR,
) -> ValidityWindow:
    return plan_window(profile=profile, lifetime=lifetime, backdate=backdate, as_of=as_of, started=started, cap=cap)


def check(
    profile: str = "strict",
    *,
    as_of: datetime = NOW,
    started: datetime = NOW,
    clock_now: datetime = NOW,
    current_as_of: datetime | None = None,
) -> None:
    check_run_times(profile=profile, as_of=as_of, started=started, clock_now=clock_now, current_as_of=current_as_of)


def test_a_window_begins_when_the_snapshot_was_right_and_ends_one_second_early() -> None:
    window = plan(as_of=NOW - 6 * HOUR, backdate=HOUR)

    assert window.produced_at == NOW
    assert window.this_update == NOW - 7 * HOUR
    assert window.next_update == NOW - 7 * HOUR + 4 * DAY - SECOND


def test_a_snapshot_slightly_ahead_of_the_clock_does_not_move_the_window_into_the_future() -> None:
    assert plan(as_of=NOW + 4 * MINUTE).this_update == NOW


@pytest.mark.parametrize(
    ("lifetime", "after_start"),
    [
        (16 * HOUR, 8 * HOUR - SECOND),  # 8 h before the end
        (16 * HOUR + 2 * SECOND, 8 * HOUR + SECOND),  # both bounds meet
        (2 * DAY, DAY),  # half of the window
        (7 * DAY, timedelta(days=3.5)),
    ],
)
def test_strict_windows_are_refreshed_at_half_and_eight_hours_before_the_end(
    lifetime: timedelta, after_start: timedelta
) -> None:
    assert plan(lifetime=lifetime).refresh_by == NOW + after_start


def test_a_profile_with_longer_windows_is_refreshed_after_four_days() -> None:
    longer = dataclasses.replace(PROFILES["strict"], longest=10 * DAY)

    assert longer.refresh_by(NOW, NOW + 10 * DAY - SECOND) == NOW + 4 * DAY


def test_lab_windows_are_refreshed_at_half_alone() -> None:
    assert plan("lab", lifetime=3 * SECOND).refresh_by == NOW + SECOND
    assert plan("lab", lifetime=60 * DAY).refresh_by == NOW + 30 * DAY


@pytest.mark.parametrize("lifetime", [16 * HOUR, 7 * DAY])
def test_strict_takes_lifetimes_up_to_both_bounds(lifetime: timedelta) -> None:
    window = plan(lifetime=lifetime)

    assert window.next_update - window.this_update == lifetime - SECOND


@pytest.mark.parametrize(
    ("lifetime", "text"),
    [(16 * HOUR - SECOND, "at least 16h, not 57599s"), (7 * DAY + SECOND, "at most 7d, not 604801s")],
)
def test_strict_refuses_lifetimes_one_second_beyond(lifetime: timedelta, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        plan(lifetime=lifetime)


def test_a_window_of_one_second_is_refused_everywhere() -> None:
    with pytest.raises(ConfigError, match="at least 2s"):
        plan("lab", lifetime=SECOND)


def test_no_window_outlives_its_certificates() -> None:
    assert plan(cap=NOW + 2 * DAY).next_update == NOW + 2 * DAY
    assert plan(cap=NOW + 2 * DAY).refresh_by == NOW + DAY


def test_what_the_cap_leaves_must_be_long_enough_to_the_second() -> None:
    assert plan(cap=NOW + 16 * HOUR - SECOND).next_update == NOW + 16 * HOUR - SECOND
    with pytest.raises(ConfigError, match=r"end at 2026-11-25T03:59:58Z.*renew"):
        plan(cap=NOW + 16 * HOUR - 2 * SECOND)


def test_a_cap_before_the_window_is_refused_under_lab_too() -> None:
    with pytest.raises(ConfigError, match="renew"):
        plan("lab", cap=NOW - DAY)


def test_a_window_that_ended_before_the_run_is_refused_to_the_second() -> None:
    last = NOW - 4 * DAY + SECOND
    assert plan("lab", as_of=last).next_update == NOW
    with pytest.raises(GateError, match="newer snapshot"):
        plan("lab", as_of=last - SECOND)


def test_strict_refuses_answers_whose_replacement_is_due_to_the_second() -> None:
    last = NOW - 2 * DAY
    assert plan(as_of=last).refresh_by == NOW
    with pytest.raises(GateError, match="had to be replaced by 2026-11-24T11:59:59Z"):
        plan(as_of=last - SECOND)
    assert plan("lab", as_of=last - SECOND).refresh_by == NOW - SECOND


def test_backdating_consumes_the_lifetime() -> None:
    assert plan(backdate=2 * DAY).refresh_by == NOW
    with pytest.raises(GateError, match="had to be replaced"):
        plan(backdate=2 * DAY + SECOND)


def test_the_longest_lifetime_does_not_run_over_the_end_of_the_calendar() -> None:
    late = datetime(9990, 1, 1, tzinfo=UTC)

    assert plan("lab", lifetime=parse_duration("36525d"), as_of=late, started=late).next_update == FAR


@given(
    profile=st.sampled_from(sorted(PROFILES)),
    lifetime_s=st.integers(2, 8 * 86_400),
    backdate_s=st.integers(0, 43_200),
    age_s=st.integers(-300, 86_400),
    left_s=st.integers(0, 20 * 86_400),
)
def test_whatever_is_planned_obeys_its_profile(
    profile: str, lifetime_s: int, backdate_s: int, age_s: int, left_s: int
) -> None:
    rules, as_of, cap = PROFILES[profile], NOW - age_s * SECOND, NOW + left_s * SECOND
    try:
        window = plan(profile, lifetime=lifetime_s * SECOND, backdate=backdate_s * SECOND, as_of=as_of, cap=cap)
    except (ConfigError, GateError):
        return  # refused, which the tests above judge to the second

    length = window.next_update - window.this_update + SECOND
    assert rules.shortest <= length <= min(rules.longest or length, lifetime_s * SECOND)
    assert window.this_update <= min(as_of, NOW)
    assert window.this_update <= window.produced_at == NOW <= window.next_update <= cap
    assert window.refresh_by - window.this_update <= length / 2
    if profile == "strict":
        assert NOW <= window.refresh_by <= window.next_update - 8 * HOUR
        assert window.refresh_by <= window.this_update + 4 * DAY


@given(age_s=st.integers(0, 86_400), lifetime_s=st.integers(16 * 3_600, 7 * 86_400))
def test_an_older_snapshot_never_lives_longer(age_s: int, lifetime_s: int) -> None:
    lifetime = lifetime_s * SECOND
    assume(age_s < lifetime_s)

    fresh = plan("lab", lifetime=lifetime)
    stale = plan("lab", lifetime=lifetime, as_of=NOW - age_s * SECOND)

    assert fresh.next_update - stale.next_update == fresh.refresh_by - stale.refresh_by == age_s * SECOND


@pytest.mark.parametrize(
    "changes",
    [
        {"next_update": NOW},
        {"this_update": NOW + SECOND},
        {"produced_at": NOW + 3 * DAY},
        {"refresh_by": NOW + 3 * DAY},
        {"refresh_by": NOW - SECOND},
        {"next_update": (NOW + 2 * DAY).replace(tzinfo=None)},
        {"next_update": (NOW + 2 * DAY).astimezone(timezone(HOUR))},
        {"refresh_by": NOW + timedelta(microseconds=1)},
    ],
)
def test_a_window_that_contradicts_itself_cannot_be_made(changes: dict[str, datetime]) -> None:
    right = {"produced_at": NOW, "this_update": NOW, "next_update": NOW + 2 * DAY, "refresh_by": NOW + DAY}
    ValidityWindow(**right)

    with pytest.raises(ValueError, match=r"window|outside|whole UTC second"):
        ValidityWindow(**(right | changes))


def test_a_snapshot_from_the_future_is_refused_beyond_five_minutes() -> None:
    check(as_of=NOW + 5 * MINUTE)
    with pytest.raises(InputError, match="local zone"):
        check(as_of=NOW + 5 * MINUTE + SECOND)


def test_a_snapshot_from_before_1970_is_refused() -> None:
    check(as_of=datetime(1970, 1, 1, tzinfo=UTC))
    with pytest.raises(InputError, match="before 1970"):
        check(as_of=datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC))


@pytest.mark.parametrize("sign", [-1, 1])
def test_another_time_than_the_clocks_needs_lab(sign: int) -> None:
    started = NOW + sign * 5 * MINUTE
    check(started=started, as_of=NOW - DAY)
    with pytest.raises(UsageError, match=r"--now .* profile lab"):
        check(started=started + sign * SECOND, as_of=NOW - DAY)
    check("lab", started=started + sign * SECOND, as_of=NOW - DAY)


def test_a_snapshot_older_than_the_current_commit_is_refused() -> None:
    check(current_as_of=NOW)
    with pytest.raises(GateError, match="take back newer revocations"):
        check(as_of=NOW - SECOND, current_as_of=NOW)


def test_a_commit_from_the_future_cannot_be_replaced_by_a_newer_snapshot_and_the_text_says_so() -> None:
    with pytest.raises(GateError, match="take a newer snapshot"):
        check(as_of=NOW - DAY, current_as_of=NOW + 5 * MINUTE)
    with pytest.raises(GateError, match="publish into a new store"):
        check(as_of=NOW, current_as_of=NOW + 5 * MINUTE + SECOND)


def test_what_was_signed_while_the_clock_went_back_is_refused() -> None:
    window = plan("strict")
    for profile, ago in (("strict", 5 * MINUTE), ("lab", DAY)):
        check_still_timely(profile=profile, started=NOW, clock_now=NOW - ago, windows=[window])
    with pytest.raises(GateError, match="the clock went back during this run"):
        check_still_timely(profile="strict", started=NOW, clock_now=NOW - 5 * MINUTE - SECOND, windows=[window])


def test_what_was_signed_by_a_run_that_took_too_long_is_refused() -> None:
    window, longer = plan("strict", lifetime=2 * DAY), plan("strict", lifetime=4 * DAY)
    check_still_timely(profile="strict", started=NOW, clock_now=window.refresh_by, windows=[longer, window])
    late = window.refresh_by + SECOND
    check_still_timely(profile="lab", started=NOW, clock_now=late, windows=[longer, window])
    with pytest.raises(GateError, match="its answers had to be replaced by"):
        check_still_timely(profile="strict", started=NOW, clock_now=late, windows=[longer, window])


def test_the_configuration_knows_exactly_the_profiles() -> None:
    assert set(get_args(ValidityConfig.__annotations__["profile"])) == set(PROFILES)


@given(st.integers(0, 36_525 * 86_400))
def test_durations_are_read_as_they_are_written(span_s: int) -> None:
    assert parse_duration(duration_text(span_s * SECOND)) == span_s * SECOND
