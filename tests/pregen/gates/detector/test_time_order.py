from dataclasses import replace
from datetime import UTC, datetime
from math import comb

import numpy as np
import pytest

from pregen.gates.detector.clues import Clue
from pregen.gates.detector.time_order import ORDER_CHANCE, chance_of, judge_order
from tests.pregen.gates.detector.authorities import DAY, HOUR, Register, case_of, watch_for

JULY = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())


def judged(
    delays: list[int], *dates: str, not_after: list[int] | None = None, from_crls: bool = False
) -> tuple[Clue, ...]:
    """Judge certificates that were revoked so long after issuance."""
    count = len(delays)
    issued = np.full(count, JULY - 30 * DAY)
    ends = issued + 90 * DAY if not_after is None else issued + np.array(not_after)
    revoked = issued + np.array(delays) if not_after is None else np.zeros(count, np.int64)
    key = np.arange(1, count + 1, dtype=np.uint64)
    rows = Register(issued, issued, ends, revoked, np.zeros(count, np.int32), key, np.full((count, 16), 7, np.uint8))
    watch = replace(watch_for(rows, JULY, 1), listed_as_of=JULY if from_crls else None)
    return judge_order(case_of(rows, watch, None, *dates))


def uniform(low_s: int, high_s: int, count: int) -> list[int]:
    return [round(delay) for delay in np.linspace(low_s, high_s, count)]


@pytest.mark.parametrize(("count", "among"), [(1, 10), (3, 40), (9, 100)])
def test_the_chance_is_the_binomial_tail(count: int, among: int) -> None:
    tail = sum(comb(among, k) * ORDER_CHANCE**k * (1 - ORDER_CHANCE) ** (among - k) for k in range(count, among + 1))

    assert chance_of(count, among) == pytest.approx(tail, rel=1e-9)


def test_many_revoked_up_to_an_offset_before_issuance_name_the_offset() -> None:
    (clue,) = judged(uniform(-6 * HOUR + 300, -60, 150) + uniform(60, 20 * DAY, 850))

    assert (clue.code, clue.severity, clue.canonical) == ("time.order", "error", "revoked_at")
    assert (clue.shift_s, clue.count) == (-6 * HOUR, 150)
    assert "150 of 1,000" in clue.text
    assert clue.examples[0] == (
        'issuer "r1", serial 7070707070707070707070707070707, '
        "NOT_BEFORE 2026-06-01T00:00:00Z, REVOKED_AT 2026-05-31T18:05:00Z"
    )


def test_a_few_are_a_warning() -> None:
    (clue,) = judged(uniform(-6 * HOUR, -60, 10) + uniform(60, 20 * DAY, 990))

    assert (clue.severity, clue.shift_s) == ("warning", None)


def test_withdrawn_postdated_certificates_are_a_warning_as_they_go_beyond_any_zone() -> None:
    (clue,) = judged(uniform(-7 * DAY, -60, 60) + uniform(60, 20 * DAY, 940))

    assert clue.severity == "warning"


def test_columns_in_the_wrong_order_are_an_error_without_an_offset() -> None:
    (clue,) = judged(uniform(-20 * DAY, -60, 1_000))

    assert (clue.severity, clue.shift_s) == ("error", None)


def test_certificates_that_are_issued_after_they_expire_are_counted_too() -> None:
    (clue,) = judged([0] * 100, not_after=uniform(-3 * HOUR + 200, -10, 60) + [DAY] * 40)

    assert (clue.canonical, clue.severity, clue.shift_s, clue.count) == ("not_after", "error", -3 * HOUR, 60)


def test_right_order_says_nothing() -> None:
    assert judged(uniform(0, 20 * DAY, 1_000)) == ()


def test_which_comes_first_on_one_day_dates_do_not_say() -> None:
    delays = uniform(-DAY + 600, -60, 300) + uniform(60, 20 * DAY, 700)

    assert judged(delays, "revoked_at") == judged(delays, "not_before") == ()
    (clue,) = judged([-3 * DAY] * 4 + delays, "revoked_at")
    assert (clue.severity, clue.shift_s, clue.count, len(clue.examples)) == ("warning", None, 4, 4)
    assert "by a day or more" in clue.text


def test_issuance_is_blamed_where_crls_tell_revocations() -> None:
    (clue,) = judged(uniform(-6 * HOUR + 300, -60, 150) + uniform(60, 20 * DAY, 850), from_crls=True)

    assert (clue.canonical, clue.severity, clue.shift_s) == ("not_before", "error", 6 * HOUR)
    assert "NOT_BEFORE" in clue.examples[0]


def test_what_goes_beyond_any_zone_is_no_error_from_a_tenth_of_the_odd_rows_on() -> None:
    odd = uniform(-6 * HOUR + 300, -60, 90)

    assert judged([-9 * DAY] * 9 + odd + [DAY] * 901)[0].severity == "error"
    assert judged([-9 * DAY] * 10 + odd[1:] + [DAY] * 901)[0].severity == "warning"
