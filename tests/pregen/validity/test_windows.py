from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pregen.config import parse_duration
from pregen.errors import ConfigError, GateError
from pregen.validity import PROFILES, ValidityWindow, plan_window, window_problem

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
SECOND, HOUR, DAY = (timedelta(seconds=s) for s in (1, 3_600, 86_400))
MINUTE = 60 * SECOND
HOUR_S, DAY_S = 3_600, 86_400
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


def test_a_window_begins_when_the_snapshot_was_right_and_ends_one_second_early() -> None:
    window = plan(as_of=NOW - 6 * HOUR, backdate=HOUR)

    assert window.produced_at == NOW
    assert window.this_update == NOW - 7 * HOUR
    assert window.next_update == NOW - 7 * HOUR + 4 * DAY - SECOND


def test_a_snapshot_slightly_ahead_of_the_clock_does_not_move_the_window_into_the_future() -> None:
    assert plan(as_of=NOW + 4 * MINUTE).this_update == NOW


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
    with pytest.raises(ConfigError, match="a backdate of 172801s uses up the 2d after which profile strict"):
        plan(backdate=2 * DAY + SECOND)
    assert plan("lab", backdate=2 * DAY + SECOND).refresh_by == NOW - SECOND


def test_the_longest_lifetime_does_not_run_over_the_end_of_the_calendar() -> None:
    late = datetime(9990, 1, 1, tzinfo=UTC)

    assert plan("lab", lifetime=parse_duration("36525d"), as_of=late, started=late).next_update == FAR


# The standards once more, in seconds: may a window of `length`, both ends included, be replaced `age` after thisUpdate?


def tls(length: int, age: int) -> bool:
    left = length - 1 - age  # from then to nextUpdate
    if length < 16 * HOUR_S:
        return length >= 8 * HOUR_S and left > length / 2
    return length <= 10 * DAY_S and left >= 8 * HOUR_S and age <= 4 * DAY_S


def every_four_days(length: int, age: int) -> bool:
    return 2 <= length <= 10 * DAY_S and age <= 4 * DAY_S


def microsoft(length: int, age: int) -> bool:
    in_time = length - 1 - age >= 8 * HOUR_S and (length <= 16 * HOUR_S or age <= length / 2)
    return 8 * HOUR_S <= length <= 7 * DAY_S and in_time


def strict(length: int, age: int) -> bool:
    everywhere = tls(length, age) and every_four_days(length, age) and microsoft(length, age)
    return length >= 16 * HOUR_S and age <= length / 2 and everywhere


def offline(length: int, age: int) -> bool:
    in_time = age <= length / 2 if length < 28 * DAY_S else length - 1 - age >= 14 * DAY_S
    return 2 <= length <= 365 * DAY_S and in_time


Rule = Callable[[int, int], bool]
RULES: Mapping[str, Rule] = {
    "strict": strict,
    "cabf-tls": tls,
    "cabf-smime": tls,
    "cabf-cs": every_four_days,
    "mozilla": every_four_days,
    "microsoft": microsoft,
    "offline-ca": offline,
    "lab": lambda length, age: length >= 2 and age <= length / 2,
}
BOUNDS_S = [2, 8 * HOUR_S, 16 * HOUR_S, 2 * DAY_S, 4 * DAY_S, 7 * DAY_S, 8 * DAY_S, 10 * DAY_S, 28 * DAY_S, 365 * DAY_S]
near_bounds = st.builds(lambda bound, off: max(1, bound + off), st.sampled_from(BOUNDS_S), st.integers(-2, 2))
lengths = near_bounds | st.integers(1, 11 * DAY_S)
spans = st.just(0) | st.integers(0, 2 * HOUR_S) | st.builds(lambda length: length // 2, near_bounds) | lengths


def latest(rule: Rule, length: int) -> int | None:
    """Return the greatest age that a rule allows, by trying; None: the rule allows none."""
    allowed = bisect_left(range(length), True, key=lambda age: not rule(length, age))
    return allowed - 1 if allowed else None


@given(st.sampled_from(sorted(PROFILES)), lengths, spans, st.integers(-300, 300) | spans, st.just(10**8) | spans)
@example("strict", 7 * DAY_S, 0, 0, 10**8)
@example("strict", 16 * HOUR_S, 0, 8 * HOUR_S - 1, 10**8)
@example("cabf-tls", 16 * HOUR_S - 1, 0, 8 * HOUR_S - 2, 10**8)
@example("cabf-tls", 10 * DAY_S, 0, 4 * DAY_S, 10**8)
@example("cabf-cs", 10 * DAY_S, 4 * DAY_S, 0, 10**8)
@example("microsoft", 8 * HOUR_S + 1, 0, 0, 10**8)
@example("microsoft", 9 * HOUR_S, 0, 0, 8 * HOUR_S)
@example("microsoft", 9 * HOUR_S, 0, 0, 8 * HOUR_S - 1)
def test_a_window_is_planned_exactly_when_the_standards_allow_it(
    profile: str, lifetime_s: int, backdate_s: int, age_s: int, left_s: int
) -> None:
    rule, is_public = RULES[profile], profile != "lab"
    before_s = backdate_s + max(age_s, 0)  # from thisUpdate to the run
    length = min(lifetime_s, before_s + left_s + 1)
    refreshed = None if length < 1 or latest(rule, lifetime_s) is None else latest(rule, length)
    expected = refreshed is not None and before_s < length and (not is_public or before_s <= refreshed)

    try:
        window = plan(
            profile,
            lifetime=lifetime_s * SECOND,
            backdate=backdate_s * SECOND,
            as_of=NOW - age_s * SECOND,
            cap=NOW + left_s * SECOND,
        )
    except (ConfigError, GateError):
        assert not expected
        return

    assert expected
    assert refreshed is not None
    assert window == ValidityWindow(
        produced_at=NOW,
        this_update=NOW - before_s * SECOND,
        next_update=NOW + (length - 1 - before_s) * SECOND,
        refresh_by=NOW + (refreshed - before_s) * SECOND,
        backdate=backdate_s * SECOND,
    )
    signed = {"profile": profile, "this_update": window.this_update, "produced_at": NOW}
    cap = NOW + left_s * SECOND
    assert window_problem(**signed, next_update=window.next_update, cap=cap, refresh_by=window.refresh_by) is None  # type: ignore[arg-type]


@given(st.sampled_from(sorted(PROFILES)), lengths, spans, spans, st.integers(-2, 2))
@example("strict", 7 * DAY_S, 0, 4 * DAY_S, 0)
@example("strict", 7 * DAY_S + 1, 0, 0, 0)
def test_what_was_signed_is_judged_by_the_same_standards(
    profile: str, length: int, made_s: int, age_s: int, beyond_s: int
) -> None:
    rule, is_public = RULES[profile], profile != "lab"
    allowed = latest(rule, length)
    right = allowed is not None and made_s < length and beyond_s <= 0
    right = right and (not is_public or max(made_s, age_s) <= (allowed or 0))
    next_update = NOW + (length - 1) * SECOND

    problem = window_problem(
        profile=profile,
        this_update=NOW,
        next_update=next_update,
        produced_at=NOW + made_s * SECOND,
        cap=next_update - beyond_s * SECOND,
        refresh_by=NOW + age_s * SECOND,
    )

    assert (problem is None) == right


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"next_update": NOW + 7 * DAY}, "is 604801s long, both ends included: profile strict allows 16h to 7d"),
        ({"next_update": NOW + 16 * HOUR - 2 * SECOND}, "is 57599s long"),
        (
            {"cap": NOW + 4 * DAY - 2 * SECOND},
            "outlives the certificate of its signer or issuer, which ends at 2026-11-28",
        ),
        ({"produced_at": NOW - SECOND}, "does not include its producedAt, 2026-11-24T11:59:59Z"),
        ({"produced_at": NOW + 2 * DAY + SECOND}, "had to be replaced by 2026-11-26T12:00:00Z"),
        ({"refresh_by": NOW + 2 * DAY + SECOND}, "has to be replaced by 2026-11-26T12:00:00Z"),
    ],
)
def test_what_is_wrong_with_a_signed_window_is_said_with_its_numbers(changes: dict[str, datetime], text: str) -> None:
    right = {"this_update": NOW, "next_update": NOW + 4 * DAY - SECOND, "produced_at": NOW, "cap": FAR}
    assert window_problem(profile="strict", refresh_by=NOW + 2 * DAY, **right) is None  # type: ignore[arg-type]

    given = {"refresh_by": NOW + 2 * DAY} | right | changes
    problem = window_problem(profile="strict", **given)  # type: ignore[arg-type]

    assert text in (problem or "")
    assert (problem or "").startswith("2026-11-24T12:00:00Z .. ")


def test_a_certificate_that_leaves_too_little_time_for_the_replacement_is_to_be_renewed() -> None:
    with pytest.raises(ConfigError, match=r"too short for a newer answer to be there in time.*renew the certificate"):
        plan("microsoft", lifetime=DAY, cap=NOW + 8 * HOUR - SECOND)
    with pytest.raises(GateError, match="or renew the certificate that ends at 2026-11-24T19:00:00Z"):
        plan("microsoft", lifetime=DAY, as_of=NOW - 2 * HOUR, cap=NOW + 7 * HOUR)


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
        {"refresh_by": NOW - SECOND},
        {"next_update": (NOW + 2 * DAY).replace(tzinfo=None)},
        {"next_update": (NOW + 2 * DAY).astimezone(timezone(HOUR))},
        {"refresh_by": NOW + timedelta(microseconds=1)},
    ],
)
def test_a_window_that_contradicts_itself_cannot_be_made(changes: dict[str, datetime]) -> None:
    right = ValidityWindow(produced_at=NOW, this_update=NOW, next_update=NOW + 2 * DAY, refresh_by=NOW + DAY)

    with pytest.raises(ValueError, match=r"window|outside|before it begins|whole UTC second"):
        replace(right, **changes)  # type: ignore[arg-type]  # none of them is the backdate
