"""How many nights a cycle has, and which lifetimes would give more."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pregen.clock import seconds
from pregen.config import parse_duration
from pregen.validity import PROFILES, Refreshing, Validity, duration_text, plan_window, takes_s
from pregen.validity.cycles import Cycle, cycle_of

START = datetime(2026, 11, 24, 2, tzinfo=UTC)
FAR = datetime(2090, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def cycle(
    profile: str,
    lifetime: str,
    *,
    every: str = "1d",
    missed_runs: int = 1,
    age: timedelta = timedelta(0),
    cap: datetime = FAR,
) -> Cycle:
    validity = Validity(PROFILES[profile], parse_duration(lifetime), timedelta(0))
    window = plan_window(
        profile=profile, lifetime=validity.lifetime, backdate=timedelta(0), as_of=START - age, started=START, cap=cap
    )
    every_s = int(parse_duration(every).total_seconds())
    refreshing = Refreshing(
        every_s=every_s, missed_runs=missed_runs, spread=True, now=seconds(START), takes_s=takes_s(every_s, None)
    )
    return cycle_of(refreshing, validity, window, seconds(cap))


def longer(found: Cycle) -> list[tuple[str, int]]:
    return [(duration_text(lifetime), nights) for lifetime, nights in found.longer]


@pytest.mark.parametrize(
    ("profile", "lifetime", "nights", "expected"),
    [
        ("strict", "4d", 1, [("5d", 2), ("7d", 3)]),
        ("strict", "5d", 2, [("7d", 3)]),
        ("strict", "7d", 3, []),
        ("strict", "16h", 1, [("5d", 2), ("7d", 3)]),
        ("cabf-tls", "4d", 2, [("5d", 3)]),
        ("mozilla", "10d", 3, []),  # a newer answer is due after four days, whatever the lifetime
        ("lab", "4d", 1, [("5d", 2), ("7d", 3), ("9d", 4)]),
        ("offline-ca", "364d", 349, [("365d", 350)]),
    ],
)
def test_the_shortest_lifetimes_that_give_more_nights_are_named(
    profile: str, lifetime: str, nights: int, expected: list[tuple[str, int]]
) -> None:
    found = cycle(profile, lifetime)

    assert (found.nights, longer(found)) == (nights, expected)


def test_who_runs_more_often_has_lifetimes_of_hours() -> None:
    assert longer(cycle("strict", "16h", every="1h")) == [("17h", 8), ("19h", 9), ("21h", 10)]
    assert cycle("strict", "16h", every="1h").nights == 7


def test_an_answer_that_does_not_last_until_the_next_run_is_said_to_be_late() -> None:
    assert not cycle("strict", "16h").is_in_time
    assert cycle("strict", "3d").is_in_time
    assert cycle("strict", "4d", age=22 * HOUR).is_in_time
    assert not cycle("strict", "4d", age=24 * HOUR).is_in_time
    assert not cycle("strict", "4d", missed_runs=3).is_in_time


def test_no_lifetime_helps_where_a_certificate_ends() -> None:
    capped = cycle("strict", "4d", cap=START + 3 * DAY)

    assert (capped.nights, longer(capped)) == (1, [])


@given(
    profile=st.sampled_from(sorted(PROFILES)),
    hours=st.integers(1, 24 * 30),
    every=st.sampled_from(["1h", "6h", "1d", "7d"]),
    missed_runs=st.integers(0, 3),
)
def test_what_is_named_is_allowed_and_gives_as_many_nights(
    profile: str, hours: int, every: str, missed_runs: int
) -> None:
    assume(PROFILES[profile].lifetime_problem(hours * HOUR) is None)
    found = cycle(profile, f"{hours}h", every=every, missed_runs=missed_runs)

    before = found.nights
    for lifetime, nights in found.longer:
        assert lifetime > hours * HOUR
        assert nights > before
        assert cycle(profile, duration_text(lifetime), every=every, missed_runs=missed_runs).nights == nights
        before = nights
