from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import ValidityConfig, parse_duration
from pregen.validity import PROFILES, duration_text

SECOND, HOUR, DAY = (timedelta(seconds=s) for s in (1, 3_600, 86_400))


@pytest.mark.parametrize(
    ("profile", "shortest", "longest"),
    [
        ("strict", 16 * HOUR, 7 * DAY),
        ("cabf-tls", 8 * HOUR, 10 * DAY),
        ("cabf-smime", 8 * HOUR, 10 * DAY),
        ("offline-ca", 2 * SECOND, 365 * DAY),
        ("cabf-cs", 2 * SECOND, 10 * DAY),
        ("mozilla", 2 * SECOND, 10 * DAY),
        ("microsoft", 8 * HOUR + SECOND, 7 * DAY),  # of 8 hours: it had to be replaced a second before it begins
    ],
)
def test_lifetimes_are_allowed_between_both_bounds_to_the_second(
    profile: str, shortest: timedelta, longest: timedelta
) -> None:
    rules = PROFILES[profile]

    assert rules.lifetime_problem(shortest) is None
    assert rules.lifetime_problem(longest) is None
    assert "lengthen lifetime" in (rules.lifetime_problem(shortest - SECOND) or "")
    assert "shorten lifetime" in (rules.lifetime_problem(longest + SECOND) or "")


@pytest.mark.parametrize("profile", [name for name, rules in PROFILES.items() if rules.is_public])
@pytest.mark.parametrize(
    "lifetime", [SECOND, 2 * SECOND, 8 * HOUR, 15 * HOUR, 7 * DAY + SECOND, 10 * DAY, 11 * DAY, 366 * DAY]
)
def test_a_forbidden_lifetime_is_sent_to_the_public_profiles_that_allow_it_and_never_to_lab(
    profile: str, lifetime: timedelta
) -> None:
    problem = PROFILES[profile].lifetime_problem(lifetime)
    if problem is None:
        return
    _, _, advice = problem.partition("en lifetime")  # shorten, lengthen
    words = set(advice.replace(",", " ").split())
    fitting = {name for name, rules in PROFILES.items() if rules.is_public and rules.lifetime_problem(lifetime) is None}
    for_all = fitting - {"offline-ca"}

    assert words & set(PROFILES) == (for_all or fitting)
    assert ("no public profile allows" in advice) == (not fitting)
    assert ("for certificates of CAs alone" in advice) == (fitting == {"offline-ca"})


def test_lab_allows_everything_that_is_a_window() -> None:
    assert PROFILES["lab"].lifetime_problem(2 * SECOND) is None
    assert PROFILES["lab"].lifetime_problem(36_525 * DAY) is None
    assert PROFILES["lab"].lifetime_problem(SECOND) == "profile lab allows at least 2s, not 1s: lengthen lifetime"
    assert not PROFILES["lab"].is_public


@pytest.mark.parametrize(
    ("profile", "lifetime", "span"),
    [
        ("strict", 16 * HOUR, 8 * HOUR - SECOND),  # 8 h before the end
        ("strict", 16 * HOUR + 2 * SECOND, 8 * HOUR + SECOND),  # both bounds meet
        ("strict", 2 * DAY, DAY),  # half of the window
        ("strict", 7 * DAY, 84 * HOUR),
        ("cabf-tls", 8 * HOUR, 4 * HOUR - 2 * SECOND),  # half would be 4 h - 1 s after the start
        ("cabf-tls", 8 * HOUR + SECOND, 4 * HOUR - SECOND),  # half would be in the middle of the next second
        ("cabf-tls", 16 * HOUR - SECOND, 8 * HOUR - 2 * SECOND),
        ("cabf-tls", 16 * HOUR, 8 * HOUR - SECOND),
        ("cabf-tls", 2 * DAY, 40 * HOUR - SECOND),
        ("cabf-tls", 10 * DAY, 4 * DAY),
        ("cabf-cs", 4 * DAY, 4 * DAY - SECOND),  # its own end
        ("cabf-cs", 10 * DAY, 4 * DAY),
        ("mozilla", 10 * DAY, 4 * DAY),
        ("microsoft", 8 * HOUR + SECOND, timedelta(0)),
        ("microsoft", 16 * HOUR, 8 * HOUR - SECOND),
        ("microsoft", 16 * HOUR + SECOND, 8 * HOUR),
        ("microsoft", 7 * DAY, 84 * HOUR),
        ("offline-ca", 28 * DAY, 14 * DAY - SECOND),
        ("offline-ca", 28 * DAY - SECOND, 14 * DAY - SECOND),
        ("offline-ca", 365 * DAY, 351 * DAY - SECOND),
        ("lab", 3 * SECOND, SECOND),
    ],
)
def test_newer_answers_are_due_to_the_second(profile: str, lifetime: timedelta, span: timedelta) -> None:
    assert PROFILES[profile].refresh_span(lifetime) == span


@given(st.integers(16 * 3_600, 7 * 86_400))
def test_whatever_strict_allows_is_allowed_everywhere(length_s: int) -> None:
    length = length_s * SECOND
    due = PROFILES["strict"].refresh_span(length)

    for rules in PROFILES.values():
        assert rules.lifetime_problem(length) is None
        assert due <= rules.refresh_span(length)


def test_a_backdate_must_leave_time_until_the_newer_answer_is_due() -> None:
    mozilla = PROFILES["mozilla"]

    assert mozilla.backdate_problem(10 * DAY, 4 * DAY) is None
    assert "shorten backdate" in (mozilla.backdate_problem(10 * DAY, 4 * DAY + SECOND) or "")
    assert PROFILES["lab"].backdate_problem(10 * DAY, 9 * DAY) is None


def test_the_configuration_knows_exactly_the_profiles() -> None:
    assert set(get_args(ValidityConfig.__annotations__["profile"])) == set(PROFILES)


@given(st.integers(0, 36_525 * 86_400))
def test_durations_are_read_as_they_are_written(span_s: int) -> None:
    assert parse_duration(duration_text(span_s * SECOND)) == span_s * SECOND
