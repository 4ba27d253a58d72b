from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.gates.detector.ahead import Part, dense_stretch, judge_ahead
from pregen.gates.detector.clues import Clue
from pregen.gates.detector.observation import DISTANCES, HALF
from pregen.gates.detector.witnesses import Witnessed
from pregen.gates.history import WITNESS, History
from storage.history import IssuerHistory
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Register,
    case_of,
    export,
    make_issuers,
    publish,
    watch_for,
    work,
)

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())
NOBODY, FIRST = (0,), (3,)


def witnessed(agree: tuple[int, ...], issuers: int) -> Witnessed:
    """What witnesses say of the first issuers: how many agree."""
    return Witnessed((), np.array([*agree, *[0] * (issuers - len(agree))]), np.zeros(issuers, np.int64))


def register(per_day: float = 1_000, **habits: float) -> Register:
    habit = Habits(per_day=per_day, postdated=habits.get("postdated", 0), backdate_s=int(habits.get("backdate_s", 0)))
    return work((habit,), AS_OF - 20 * DAY, AS_OF + DAY, np.random.default_rng(3))


def judged(
    rows: Register,
    *dates: str,
    proved: tuple[int, ...] = NOBODY,
    lag_s: int | None = None,
    listed_as_of: int | None = None,
) -> list[Clue]:
    watch = replace(watch_for(rows, AS_OF, 1), listed_as_of=listed_as_of)
    history = None
    if lag_s is not None:
        history = History(AS_OF - DAY, 9, {1: IssuerHistory(9, None, lags=(lag_s,))}, np.empty(0, WITNESS), frozenset())
    return list(judge_ahead(case_of(rows, watch, history, *dates), witnessed(proved, 1)))


def shifted(rows: Register, shift_s: int) -> Register:
    return replace(rows, not_before=rows.not_before + shift_s)


@pytest.mark.parametrize("shift_s", [HOUR, 19_800, 20_700, 14 * HOUR])
def test_times_that_go_on_as_densely_after_as_of_are_read_too_late(shift_s: int) -> None:
    (clue,) = judged(shifted(export(register(), AS_OF), shift_s))

    assert (clue.code, clue.severity, clue.canonical) == ("time.ahead-of-as-of", "error", "not_before")
    assert clue.shift_s == shift_s
    assert clue.count > 10
    assert "in UTC" in clue.examples[0]


def test_the_hour_by_which_a_ca_backdates_is_added_where_it_is_known() -> None:
    rows = shifted(export(register(backdate_s=HOUR), AS_OF), 6 * HOUR)

    assert judged(rows)[0].shift_s == 5 * HOUR
    assert judged(rows, lag_s=HOUR + 60)[0].shift_s == 6 * HOUR


def test_a_few_postdated_certificates_are_a_warning() -> None:
    (clue,) = judged(export(register(postdated=0.02), AS_OF))

    assert (clue.severity, clue.shift_s) == ("warning", None)
    assert clue.count > 10


def test_a_batch_that_is_valid_from_tomorrow_is_a_warning() -> None:
    rows = export(register(), AS_OF)
    tomorrow = np.where(rows.issued_at > AS_OF - 3 * HOUR, AS_OF + 10 * HOUR, rows.not_before)
    (clue,) = judged(replace(rows, not_before=tomorrow))

    assert clue.severity == "warning"


def test_what_is_issued_while_rows_are_read_by_serial_is_a_warning() -> None:
    (clue,) = judged(export(register(5_000), AS_OF, scan="by-serial", runs_s=HOUR), proved=FIRST)

    assert clue.severity == "warning"


def test_an_export_in_the_order_of_issuance_is_no_mistake_where_earlier_rows_are_proved() -> None:
    rows = export(register(5_000), AS_OF, scan="by-issuance", runs_s=HOUR)

    assert [clue.severity for clue in judged(rows, proved=FIRST)] == ["warning"]
    assert [clue.severity for clue in judged(rows)] == ["error"]


def test_the_latest_rows_alone_can_be_wrong_and_leave_a_hole() -> None:
    rows = export(register(5_000), AS_OF)
    late = np.where(rows.issued_at > AS_OF - 3 * HOUR, rows.not_before + 5 * HOUR, rows.not_before)
    (clue,) = judged(replace(rows, not_before=late), proved=FIRST)

    assert (clue.severity, clue.shift_s) == ("error", 5 * HOUR)


@pytest.mark.parametrize("interval_s", [12 * HOUR, 23 * HOUR, DAY, 25 * HOUR, 3 * DAY])
@pytest.mark.parametrize("shift_s", [2 * HOUR, 19_800, 7 * HOUR])
def test_all_that_is_new_since_the_last_generation_can_be_wrong(interval_s: int, shift_s: int) -> None:
    """The hours of the day before, with which they are compared, are those that the copy lacks."""
    rows = export(register(), AS_OF)
    issuers = make_issuers(1)
    before = AS_OF - interval_s
    history = publish(export(rows, before), before, issuers, None)
    late = replace(rows, not_before=np.where(rows.issued_at > before, rows.not_before + shift_s, rows.not_before))
    watch = watch_for(late, AS_OF, 1)
    (clue,) = judge_ahead(case_of(late, watch, history), witnessed(FIRST, 1))

    assert (clue.severity, clue.shift_s) == ("error", shift_s)


def test_that_one_issuer_is_read_rightly_says_nothing_of_another() -> None:
    """A new issuer's rows are all in local time: no hole is before them, and no older row of it is known."""
    rng = np.random.default_rng(5)
    rows = export(work((Habits(per_day=1_000), Habits(per_day=1_000)), AS_OF - 20 * DAY, AS_OF, rng), AS_OF)
    both = replace(rows, not_before=rows.not_before + np.where(rows.issuer == 1, 5 * HOUR, 0))
    watch = watch_for(both, AS_OF, 2)
    (clue,) = judge_ahead(case_of(both, watch), witnessed(FIRST, 2))

    assert (clue.severity, clue.shift_s) == ("error", 5 * HOUR)


def test_issuers_with_few_issuances_are_judged_together() -> None:
    rng = np.random.default_rng(6)
    rows = export(work((Habits(per_day=30),) * 40, AS_OF - 20 * DAY, AS_OF, rng), AS_OF)
    shifted_rows = shifted(rows, 5 * HOUR)
    watch = watch_for(shifted_rows, AS_OF, 40)
    (clue,) = judge_ahead(case_of(shifted_rows, watch), witnessed(NOBODY, 40))

    assert (clue.severity, clue.shift_s) == ("error", 5 * HOUR)


def test_a_few_witnesses_of_several_small_issuers_prove_all_of_them() -> None:
    rng = np.random.default_rng(6)
    register_ = work((Habits(per_day=12),) * 100, AS_OF - 20 * DAY, AS_OF + DAY, rng)
    rows = export(register_, AS_OF, scan="by-issuance", runs_s=2 * HOUR)
    watch = watch_for(rows, AS_OF, 100)
    for agree, severity in ((NOBODY, "error"), ((1, 1, 1), "warning")):
        (clue,) = judge_ahead(case_of(rows, watch), witnessed(agree, 100))
        assert clue.severity == severity


def test_revocations_after_as_of_name_the_offset_too() -> None:
    rows = export(register(), AS_OF)
    recent = np.linspace(AS_OF - 2 * DAY, AS_OF - 120, len(rows)).astype(np.int64)
    (clue,) = judged(replace(rows, revoked_at=recent + 7 * HOUR))

    assert (clue.canonical, clue.severity, clue.shift_s) == ("revoked_at", "error", 7 * HOUR)


def test_times_within_the_allowance_say_nothing() -> None:
    rows = export(register(), AS_OF)

    assert judged(shifted(rows, 200)) == []


def test_without_rows_before_as_of_nothing_is_dense() -> None:
    counts = np.zeros(DISTANCES, np.int64)
    counts[HALF : HALF + 40] = 9

    assert dense_stretch(Part(counts), 300) is None


def days(times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times as dates tell them, with the last second of the day."""
    return times // DAY * DAY + DAY - 1


def test_of_dates_today_is_not_ahead_and_a_later_day_is_a_warning() -> None:
    rows = export(register(), AS_OF)

    assert judged(replace(rows, not_before=days(rows.not_before)), "not_before") == []
    (clue,) = judged(replace(rows, not_before=days(rows.not_before) + 3 * DAY), "not_before")
    assert (clue.severity, clue.shift_s) == ("warning", None)
    assert "by more than 1d 5m" in clue.text


def test_where_crls_tell_revocations_issuance_is_judged_by_the_list_and_revocations_are_not() -> None:
    """The oldest CRL is of yesterday, the list of certificates of now."""
    rows = export(register(), AS_OF + DAY)
    recent = np.linspace(AS_OF - 2 * DAY, AS_OF + 200, len(rows)).astype(np.int64)
    seen = replace(rows, revoked_at=recent)

    assert [clue.canonical for clue in judged(seen)] == ["not_before"]
    assert judged(seen, listed_as_of=AS_OF + DAY) == []
    (clue,) = judged(shifted(seen, 5 * HOUR), listed_as_of=AS_OF + DAY)
    assert (clue.canonical, clue.severity, clue.shift_s) == ("not_before", "error", 5 * HOUR)
    assert "ahead of the list of certificates (2026-07-02T" in clue.text
