from datetime import UTC, datetime, timedelta

import pytest

from pregen.errors import GateError, InputError, UsageError
from pregen.validity import ValidityWindow, check_run_times, check_still_timely, check_store_clock

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECOND, MINUTE, DAY = (timedelta(seconds=s) for s in (1, 60, 86_400))


def window(lifetime: timedelta) -> ValidityWindow:
    end = NOW + lifetime - SECOND
    return ValidityWindow(produced_at=NOW, this_update=NOW, next_update=end, refresh_by=NOW + lifetime / 2)


def check(
    *,
    is_public: bool = True,
    as_of: datetime = NOW,
    started: datetime = NOW,
    clock_now: datetime = NOW,
    current_as_of: datetime | None = None,
) -> None:
    check_run_times(is_public=is_public, as_of=as_of, started=started, clock_now=clock_now, current_as_of=current_as_of)


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
    check(is_public=False, started=started + sign * SECOND, as_of=NOW - DAY)


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
    check_still_timely(started=NOW, clock_now=NOW - 5 * MINUTE, windows=[window(2 * DAY)])
    with pytest.raises(GateError, match="the clock went back during this run"):
        check_still_timely(started=NOW, clock_now=NOW - 5 * MINUTE - SECOND, windows=[window(2 * DAY)])


def test_what_was_signed_by_a_run_that_took_too_long_is_refused() -> None:
    both = [window(4 * DAY), window(2 * DAY)]
    check_still_timely(started=NOW, clock_now=NOW + DAY, windows=both)
    with pytest.raises(GateError, match="its answers had to be replaced by 2026-11-25T12:00:00Z"):
        check_still_timely(started=NOW, clock_now=NOW + DAY + SECOND, windows=both)


def test_a_run_without_a_public_profile_is_always_timely() -> None:
    for away in (-DAY, 100 * DAY):
        check_still_timely(started=NOW, clock_now=NOW + away, windows=[])


@pytest.mark.parametrize("ahead_s", [-60, -1, 0.5, 60])
def test_clocks_may_be_a_minute_apart(ahead_s: float) -> None:
    assert check_store_clock(ahead_s, "s3://bucket") == ()


@pytest.mark.parametrize(
    ("ahead_s", "told"), [(61, "1m 1s ahead of that of s3://bucket"), (-7200.4, "2h behind that of s3://bucket")]
)
def test_a_clock_that_is_not_the_stores_is_refused_and_the_remedy_is_told(ahead_s: float, told: str) -> None:
    with pytest.raises(GateError) as refused:
        check_store_clock(ahead_s, "s3://bucket")
    (finding,) = refused.value.findings
    assert (finding.code, finding.severity) == ("clock.store", "error")
    assert told in finding.message
    assert "chrony" in finding.message


def test_a_store_that_does_not_say_what_time_it_is_is_a_warning() -> None:
    (finding,) = check_store_clock(None, "s3://bucket")
    assert (finding.code, finding.severity) == ("clock.unchecked", "warning")
