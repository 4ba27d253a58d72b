from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pregen.gates.detector.case import Case
from pregen.gates.detector.clues import Clue
from pregen.gates.detector.holes import Holes, judge_holes
from pregen.gates.detector.verdict import Verdict
from storage.history import IssuerHistory
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Register,
    Rhythm,
    case_of,
    export,
    lags_of,
    make_issuers,
    publish,
    watch_for,
    work,
)

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())


def issued(per_day: float = 1_000, rhythm: Rhythm = "automated", *, postdated: float = 0) -> Register:
    habits = (Habits(per_day=per_day, rhythm=rhythm, postdated=postdated),)
    return work(habits, AS_OF - 60 * DAY, AS_OF + 40 * DAY, np.random.default_rng(8))


def without(rows: Register, start: int, end: int) -> Register:
    return rows.where((rows.issued_at < start) | (rows.issued_at >= end))


def holes_of(case: Case) -> Holes:
    return judge_holes(case, case.events())


def sequence(rows: Register, runs: list[int], *, accepts: bool = False) -> list[list[Clue]]:
    """Return what each run says after a good one of a day before; those with an error publish only if accepted."""
    issuers = make_issuers(1)
    history = publish(export(rows, AS_OF - DAY), AS_OF - DAY, issuers, None)
    said = []
    for as_of in runs:
        seen = export(rows, as_of)
        watch = watch_for(seen, as_of, 1)
        clues, found = holes_of(case_of(seen, watch, history))
        said.append(list(clues))
        if accepts or all(clue.severity == "warning" for clue in clues):
            history = publish(seen, as_of, issuers, history, Verdict(holes=found))
    return said


@pytest.mark.parametrize("postdated", [0, 0.01])
def test_hours_that_a_copy_lost_are_an_error_though_its_newest_are_there(postdated: float) -> None:
    lost = without(issued(postdated=postdated), AS_OF - 12 * HOUR, AS_OF - 4 * HOUR)
    ((clue,),) = sequence(lost, [AS_OF])

    assert (clue.code, clue.severity, clue.count, clue.shift_s) == ("time.hole", "error", 1, None)
    assert 'nothing of "r1" was issued for 8h 5m up to 2026-07-01T05:0' in clue.text
    assert clue.examples[0].startswith('nothing of "r1" was issued from 2026-06-30T2')


def test_a_hole_is_refused_until_it_is_filled_and_accepted_once() -> None:
    lost = without(issued(), AS_OF - 12 * HOUR, AS_OF - 4 * HOUR)
    days = [AS_OF, AS_OF + DAY, AS_OF + 2 * DAY]

    assert [[clue.severity for clue in said] for said in sequence(lost, days)] == [["error"]] * 3
    assert [[clue.severity for clue in said] for said in sequence(lost, days, accepts=True)] == [["error"], [], []]
    assert sequence(issued(), days) == [[]] * 3


def test_a_hole_that_was_published_makes_no_stop_usual() -> None:
    lost = without(issued(), AS_OF - 12 * HOUR, AS_OF - 4 * HOUR)
    stopped = lost.where(lost.issued_at < AS_OF + DAY)
    history = None
    for as_of in (AS_OF - DAY, AS_OF, AS_OF + DAY):
        history = publish(export(stopped, as_of), as_of, make_issuers(1), history)
    assert history is not None
    seen = export(stopped, AS_OF + DAY + 9 * HOUR)
    watch = watch_for(seen, AS_OF + DAY + 9 * HOUR, 1)

    (clue,) = lags_of(seen, watch, history).clues
    assert clue.severity == "error"


@pytest.mark.parametrize(("hours", "severities"), [(1, []), (4, ["warning"]), (10, ["error"])])
def test_what_is_a_hole_depends_on_the_usual_silences(hours: int, severities: list[str]) -> None:
    """At 400 a day, an hour or so is nothing at night."""
    lost = without(issued(400), AS_OF - 12 * HOUR, AS_OF - (12 - hours) * HOUR)

    assert [clue.severity for clue in sequence(lost, [AS_OF])[0]] == severities


def test_a_copy_that_skips_hours_each_day_is_told_for_a_week() -> None:
    lost = issued()
    for day in range(14):
        lost = without(lost, AS_OF + day * DAY - 6 * HOUR, AS_OF + day * DAY - 4 * HOUR)
    said = sequence(lost, [AS_OF + day * DAY for day in range(12)])

    assert [[clue.severity for clue in some] for some in said] == [["warning"]] * 7 + [[]] * 5


def test_holes_that_grow_hide_nothing() -> None:
    lost, hours = issued(10_000), (2.75, 2.75, 5, 5, 9, 9)
    for at, hole in enumerate(hours):
        end = AS_OF + at * DAY - 3 * HOUR
        lost = without(lost, int(end - hole * HOUR), end)
    said = sequence(lost, [AS_OF + at * DAY for at in range(len(hours))], accepts=True)

    assert [some[0].severity for some in said] == ["warning"] * 2 + ["error"] * 4


def test_a_working_day_that_an_office_lost_is_a_warning() -> None:
    day = AS_OF // DAY * DAY + DAY  # a Thursday
    lost = without(issued(rhythm="office"), day, day + DAY)
    said = sequence(lost, [AS_OF + at * DAY for at in range(4)])

    assert [[clue.severity for clue in some] for some in said] == [[], [], ["warning"], []]


@pytest.mark.parametrize("left", [0, 0.03])
@pytest.mark.parametrize(("per_day", "postdated"), [(8_000, 0.03), (8_000, 0.0)])
def test_a_few_rows_are_no_issuance_of_a_large_ca(per_day: float, postdated: float, left: float) -> None:
    rows = issued(per_day, postdated=postdated)
    lost = (rows.issued_at > AS_OF - 24 * HOUR) & (rows.issued_at < AS_OF - 4 * HOUR)
    kept = np.random.default_rng(4).random(len(rows)) < left
    (clues,) = sequence(rows.where(~lost | kept), [AS_OF])

    assert clues[0].severity == "error"


@pytest.mark.parametrize("validity_days", [8, 10, 14])
def test_certificates_that_live_for_days_are_judged_too(validity_days: int) -> None:
    habits = (Habits(per_day=2_000, validity_days=validity_days),)
    rows = work(habits, AS_OF - 60 * DAY, AS_OF + DAY, np.random.default_rng(8))
    ((clue,),) = sequence(without(rows, AS_OF - 20 * HOUR, AS_OF - 4 * HOUR), [AS_OF])

    assert clue.severity == "error"


def test_nights_weekends_and_small_authorities_have_no_holes() -> None:
    for rows in (issued(rhythm="office"), issued(rhythm="nightly"), issued(5)):
        assert sequence(rows, [AS_OF + day * DAY for day in range(14)]) == [[]] * 14


def test_a_lost_week_of_an_office_is_a_warning() -> None:
    lost = without(issued(rhythm="office"), AS_OF, AS_OF + 7 * DAY)

    assert [clue.severity for clue in sequence(lost, [AS_OF + 8 * DAY])[0]] == ["warning"]


def test_the_end_of_a_stop_that_was_accepted_is_a_warning() -> None:
    rested = without(issued(), AS_OF - 10 * HOUR, AS_OF + 5 * HOUR)
    issuers = make_issuers(1)
    history = publish(export(rested, AS_OF - 9 * HOUR), AS_OF - 9 * HOUR, issuers, None)
    stopped = replace(history.issuers[1], stopped_s=5 * HOUR)
    seen = export(rested, AS_OF + 8 * HOUR)
    watch = watch_for(seen, AS_OF + 8 * HOUR, 1)

    (clue,) = holes_of(case_of(seen, watch, replace(history, issuers={1: stopped}))).clues
    assert (clue.severity, "for 15h" in clue.text) == ("warning", True)
    for other in (history.issuers[1], replace(stopped, stopped_s=4 * HOUR)):
        (clue,) = holes_of(case_of(seen, watch, replace(history, issuers={1: other}))).clues
        assert clue.severity == "error"


def test_what_was_accepted_as_a_lag_is_no_hole_when_issuance_goes_on() -> None:
    """A few rows are later already when the lag is accepted."""
    lost, issuers = without(issued(), AS_OF - 9 * HOUR, AS_OF - HOUR // 2), make_issuers(1)
    history, said = publish(export(lost, AS_OF - DAY), AS_OF - DAY, issuers, None), []
    for as_of in (AS_OF, AS_OF + 6 * HOUR):
        seen = export(lost, as_of)
        watch = watch_for(seen, as_of, 1)
        lags = lags_of(seen, watch, history)
        clues, found = holes_of(case_of(seen, watch, history))
        said.append([(clue.code, clue.severity) for clue in (*lags.clues, *clues)])
        history = publish(seen, as_of, issuers, history, Verdict(odd=lags.odd, holes=found))

    assert said == [[("time.lag-shift", "error")], []]


@pytest.mark.parametrize(("issuers", "severities"), [(10, ["warning"]), (11, [])])
def test_of_many_issuers_one_is_silent_by_chance(issuers: int, severities: list[str]) -> None:
    lost = without(issued(), AS_OF - 12 * HOUR, AS_OF - 12 * HOUR + 75 * 60)
    before = publish(export(lost, AS_OF - DAY), AS_OF - DAY, make_issuers(1), None)
    others = {number: IssuerHistory(1, 0, 0, (60,)) for number in range(2, issuers + 1)}
    idle = {number: IssuerHistory(0, None) for number in range(50, 60)}
    history = replace(before, issuers={**before.issuers, **others, **idle})
    seen = export(lost, AS_OF)
    watch = watch_for(seen, AS_OF, 1)

    found = holes_of(case_of(seen, watch, history))
    assert [clue.severity for clue in found.clues] == severities


def test_several_holes_are_one_clue() -> None:
    lost = without(without(issued(), AS_OF - 21 * HOUR, AS_OF - 16 * HOUR), AS_OF - 9 * HOUR, AS_OF - 3 * HOUR)
    ((clue,),) = sequence(lost, [AS_OF])

    assert (clue.count, len(clue.examples)) == (2, 2)
    assert ", and in 1 more" in clue.text
