from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.gates.detector.sightings import SIGHTING, Sightings
from pregen.gates.detector.witnesses import Witnessed, judge_loss, judge_witnesses
from pregen.gates.history import WITNESS
from pregen.snapshot import NO_ISSUANCE
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    columns,
    export,
    make_issuers,
    misread,
    observe,
    publish,
    watch_for,
    work,
)

JULY = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp())


def published(count: int, *, revoked: int = 0) -> NDArray[np.void]:
    """Witnesses of a year, of which the first ones are revoked."""
    witnesses = np.zeros(count, WITNESS)
    witnesses["key"] = np.arange(count) * 7 + 1
    witnesses["not_before"] = np.linspace(JULY - 360 * DAY, JULY - DAY, count)
    witnesses["revoked_at"][:revoked] = witnesses["not_before"][:revoked] + HOUR
    return witnesses


def seen_again(witnesses: NDArray[np.void]) -> Sightings:
    """The rows of witnesses, unchanged."""
    rows = np.zeros(len(witnesses), SIGHTING)
    for name in ("key", "not_before", "revoked_at"):
        rows[name] = witnesses[name]
    rows["size"], rows["serial"][:, 0] = 1, 0x7F
    return rows


def judged(witnesses: NDArray[np.void], rows: Sightings, **zones: str) -> Witnessed:
    return judge_witnesses(witnesses, rows, columns(**zones), make_issuers(1))


def test_unchanged_times_prove_the_issuances_of_each_issuer_that_has_several() -> None:
    witnesses = published(10, revoked=5)
    rows = seen_again(witnesses)
    rows["issuer"] = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
    rows["not_before"][9] += HOUR

    witnessed = judge_witnesses(witnesses, rows, columns(), make_issuers(4))
    assert witnessed.clues == ()
    assert [witnessed.prove(issuer) for issuer in range(4)] == [True, False, False, False]
    assert witnessed.prove(np.array([False, True, False, True])) is False
    rows["issuer"][2] = 3
    assert judge_witnesses(witnesses, rows, columns(), make_issuers(4)).prove(np.array([True, False, False, True]))


def test_one_constant_is_named_with_serial_value_and_what_it_would_be() -> None:
    witnesses = published(50)
    rows = seen_again(witnesses)
    rows["not_before"] -= 7 * HOUR
    (clue,) = judged(witnesses, rows).clues

    assert (clue.code, clue.severity, clue.canonical) == ("time.history-mismatch", "error", "not_before")
    assert (clue.shift_s, clue.count) == (-7 * HOUR, 50)
    assert "50 of 50" in clue.text
    assert clue.examples[0] == ('issuer "r1", serial 7f, NOT_BEFORE 2025-07-05T17:00:00Z, in UTC 2025-07-06T00:00:00Z')


def test_only_the_column_that_is_wrong_is_blamed() -> None:
    witnesses = published(200, revoked=200)
    rows = seen_again(witnesses)
    rows["revoked_at"] += 2 * HOUR
    witnessed = judged(witnesses, rows)

    assert [clue.canonical for clue in witnessed.clues] == ["revoked_at"]
    assert witnessed.prove(0)


def test_an_hour_in_one_half_of_the_year_is_noticed() -> None:
    witnesses = published(400)
    rows = seen_again(witnesses)
    rows["not_before"] = misread(witnesses["not_before"], "America/Denver", "America/Phoenix")
    (clue,) = judged(witnesses, rows, not_before="America/Phoenix").clues

    assert 200 < clue.count < 300
    assert {sample.offset_s for sample in clue.samples} == {-7 * HOUR, -6 * HOUR}


def test_single_corrections_are_legal() -> None:
    witnesses = published(400)
    rows = seen_again(witnesses)
    rows["not_before"][:2] -= HOUR
    rows["not_before"][9:12] += 4_321

    assert judged(witnesses, rows).clues == ()


def test_many_differences_that_no_zone_explains_are_an_error_without_zones() -> None:
    witnesses = published(100)
    rows = seen_again(witnesses)
    rows["not_before"][:40] += np.arange(40) * 1_111 + 2_000
    (clue,) = judged(witnesses, rows).clues

    assert clue.severity == "error"
    assert clue.shift_s is None
    assert "--accept time.history-mismatch" in clue.advice


def test_a_key_that_two_rows_have_is_no_witness() -> None:
    witnesses = published(3)
    rows = seen_again(witnesses)
    rows["not_before"] += HOUR
    rows["key"][1] = rows["key"][0]

    assert judged(witnesses, rows).clues == ()


@pytest.mark.parametrize(("count", "errors"), [(1, 0), (2, 1)])
def test_the_smallest_history_that_can_tell_has_two_witnesses(count: int, errors: int) -> None:
    witnesses = published(count)
    rows = seen_again(witnesses)
    rows["not_before"] += HOUR

    assert len(judged(witnesses, rows).clues) == errors


def test_times_that_were_not_given_then_or_now_are_not_compared() -> None:
    witnesses = published(10)
    rows = seen_again(witnesses)
    rows["not_before"][1:] = NO_ISSUANCE
    rows["revoked_at"] = JULY

    assert judged(witnesses, rows).clues == ()


def test_a_column_of_dates_is_compared_by_the_day() -> None:
    witnesses = published(100)
    rows = seen_again(witnesses)
    rows["not_before"] = rows["not_before"] // DAY * DAY

    assert judge_witnesses(witnesses, rows, columns("not_before"), make_issuers(1)).clues == ()
    rows["not_before"] -= 2 * DAY
    (clue,) = judge_witnesses(witnesses, rows, columns("not_before"), make_issuers(1)).clues
    assert (clue.severity, clue.shift_s, clue.count) == ("error", None, 100)
    assert "by a day or more" in clue.text


@pytest.mark.parametrize(("odd", "errors"), [(4, 0), (5, 1)])
def test_from_a_twentieth_on_differences_of_any_kind_are_an_error(odd: int, errors: int) -> None:
    witnesses = published(100)
    rows = seen_again(witnesses)
    rows["not_before"][:odd] += np.arange(odd) * 1_111 + 2_000

    assert len(judged(witnesses, rows).clues) == errors


def test_that_issuance_is_not_exported_any_more_is_a_warning() -> None:
    """Of one issuer of two, and in every run: what is remembered of it stays."""
    rng = np.random.default_rng(5)
    rows = export(work((Habits(per_day=50), Habits(per_day=50)), JULY - 20 * DAY, JULY, rng), JULY)
    history = publish(rows, JULY, make_issuers(2), None)
    lost = replace(rows, not_before=np.where(rows.issuer == 1, NO_ISSUANCE, rows.not_before))
    for _ in range(2):
        watch = watch_for(lost, JULY, 2)
        assert judge_loss(observe(rows, watch), make_issuers(2), history.issuers) == ()
        (clue,) = judge_loss(observe(lost, watch), make_issuers(2), history.issuers)
        assert (clue.code, clue.severity, clue.canonical) == ("time.evidence-lost", "warning", "not_before")
        assert clue.examples == ("r2",)
        history = publish(lost, JULY, make_issuers(2), history)
