"""Rows of precertificates beside those of final certificates, as the worker of their shard sees them."""

from itertools import permutations
from pathlib import Path

import pytest

from pregen.generation.rows.counts import Pair, RowCounts, RowNumber
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.generation.rows.rows import ShardRows
from pregen.snapshot import NO_EXPIRY, NO_REASON, RowStatus
from tests.pregen.generation.workshop import Row, load, plain_rows

GOOD, REVOKED, UNKNOWN = RowStatus

DAY_S = 86_400
FINAL = Row(b"\x05")
EARLY = FINAL._replace(precertificate=True)
AT = 1_700_000_000
HOLD, COMPROMISE = 6, 1


def revoked(row: Row, at: int = AT, reason: int = NO_REASON) -> Row:
    return row._replace(status=REVOKED, revoked_at=at, reason=reason)


def answer(rows: ShardRows) -> tuple[str, int, int]:
    """Return status, time and reason of the only certificate."""
    (code,) = rows.codes.tolist()
    return RESPONSE_KINDS[Group.of_code(code).kind][0], int(rows.revoked_at[0]), int(rows.reason[0])


def test_a_precertificate_alone_gets_an_answer(tmp_path: Path) -> None:
    rows = load(tmp_path, [EARLY, *plain_rows(3)])
    assert len(rows.codes) == 4
    assert Group(0, 1, 0) in rows.groups()
    assert rows.counts == RowCounts(alone=1)


@pytest.mark.parametrize("order", [1, -1])
def test_a_pair_is_one_certificate_and_no_repetition(tmp_path: Path, order: int) -> None:
    rows = load(tmp_path, [EARLY, FINAL][::order])
    assert (len(rows.codes), rows.counts.repeated, rows.counts.conflicting) == (1, 0, 0)
    assert rows.examples.repetitions == ()
    assert rows.counts == RowCounts(joined=1)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("other", [EARLY, FINAL])
@pytest.mark.parametrize(("at", "reason"), [(AT, COMPROMISE), (AT, NO_REASON)])
def test_what_one_of_a_pair_says_is_revoked_is_revoked(
    tmp_path: Path, order: int, other: Row, at: int, reason: int
) -> None:
    one = FINAL if other is EARLY else EARLY
    rows = load(tmp_path, [revoked(one, at, reason), other][::order])

    assert answer(rows) == ("revoked", at, reason)
    assert rows.counts.conflicting == 0
    assert (rows.counts.joined, rows.counts.differing, len(rows.examples.differing)) == (1, 1, 1)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("early", "final", "wins"),
    [
        ((AT, COMPROMISE), (AT + 9, COMPROMISE), (AT, COMPROMISE)),
        ((AT + 9, 4), (AT, COMPROMISE), (AT, COMPROMISE)),
        ((AT, NO_REASON), (AT, COMPROMISE), (AT, COMPROMISE)),
        ((AT, COMPROMISE), (AT, NO_REASON), (AT, COMPROMISE)),
        ((AT, 4), (AT, COMPROMISE), (AT, COMPROMISE)),
        # a hold may end, a revocation does not
        ((AT, HOLD), (AT + 9, COMPROMISE), (AT + 9, COMPROMISE)),
        ((AT + 9, COMPROMISE), (AT, HOLD), (AT + 9, COMPROMISE)),
        ((AT, HOLD), (AT + 9, HOLD), (AT, HOLD)),
    ],
)
def test_of_two_revocations_the_earlier_one_counts(
    tmp_path: Path, order: int, early: tuple[int, int], final: tuple[int, int], wins: tuple[int, int]
) -> None:
    rows = load(tmp_path, [revoked(EARLY, *early), revoked(FINAL, *final)][::order])
    assert answer(rows) == ("revoked", *wins)
    assert rows.counts.differing == 1


def test_a_revoked_pair_that_agrees_is_not_worth_a_word(tmp_path: Path) -> None:
    rows = load(tmp_path, [revoked(EARLY, AT, 4), revoked(FINAL, AT, 4)])
    assert answer(rows) == ("revoked", AT, 4)
    assert rows.counts == RowCounts(joined=1)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_several_of_a_kind_are_judged_among_themselves(tmp_path: Path, order: tuple[int, ...]) -> None:
    """Two rows of a precertificate repeat each other, beside a final one; two that differ contradict each other."""
    alike = [EARLY, EARLY, FINAL]
    rows = load(tmp_path / "alike", [alike[at] for at in order])
    assert (len(rows.codes), rows.counts.repeated, rows.counts.joined) == (1, 1, 1)

    unlike = [EARLY, revoked(EARLY), FINAL]
    assert load(tmp_path / "unlike", [unlike[at] for at in order]).counts.conflicting == 1
    finals = [FINAL, revoked(FINAL), EARLY]
    assert load(tmp_path / "finals", [finals[at] for at in order]).counts.conflicting == 1


def test_the_rows_of_a_contradiction_are_those_of_one_kind(tmp_path: Path) -> None:
    rows = load(tmp_path, [FINAL, EARLY, revoked(EARLY)])
    assert rows.examples.conflicts == (Pair(RowNumber(0, 1), RowNumber(0, 2), b"\x05"),)


@pytest.mark.parametrize(("early", "final"), [(0, DAY_S), (DAY_S, 0), (NO_EXPIRY, 0), (0, NO_EXPIRY)])
def test_expiries_of_a_pair_may_be_a_day_apart_and_the_later_one_counts(tmp_path: Path, early: int, final: int) -> None:
    one, other = EARLY._replace(not_after=AT + early), revoked(FINAL._replace(not_after=AT + final))
    rows = load(tmp_path, [one, other], expired_before=AT + 1)
    assert (len(rows.codes), rows.counts.joined) == (1, 1)


@pytest.mark.parametrize("order", [1, -1])
def test_what_expires_at_another_time_is_no_pair(tmp_path: Path, order: int) -> None:
    """Two certificates of one serial are judged as such rows ever were."""
    early, final = EARLY._replace(not_after=AT), FINAL._replace(not_after=AT + DAY_S + 1)
    rows = load(tmp_path / "alike", [early, final][::order])
    assert (rows.counts.repeated, rows.counts.joined, rows.counts.conflicting) == (1, 0, 0)
    assert rows.counts.differing == 1
    assert load(tmp_path / "unlike", [revoked(early), final][::order]).counts.conflicting == 1


@pytest.mark.parametrize("order", [1, -1])
def test_good_and_unknown_contradict_each_other_in_a_pair_too(tmp_path: Path, order: int) -> None:
    rows = load(tmp_path, [EARLY._replace(status=UNKNOWN), FINAL][::order])
    assert (rows.counts.conflicting, rows.counts.joined) == (1, 0)


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_says_is_revoked_is_revoked_even_where_the_other_is_unknown(tmp_path: Path, order: int) -> None:
    rows = load(tmp_path, [EARLY._replace(status=UNKNOWN), revoked(FINAL)][::order])
    assert answer(rows) == ("revoked", AT, NO_REASON)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("says", [GOOD, REVOKED, UNKNOWN])
def test_a_withheld_row_is_held_against_the_whole_pair(tmp_path: Path, order: tuple[int, ...], says: int) -> None:
    apart = Row(b"\x05", says, withheld=True)
    good = [EARLY, FINAL, apart]
    assert load(tmp_path / "good", [good[at] for at in order]).counts.conflicting == (says != GOOD)
    alone = load(tmp_path / "alone", [EARLY, apart])
    assert alone.counts.conflicting == (says != GOOD)
    one = [revoked(EARLY), FINAL, apart]
    assert load(tmp_path / "revoked", [one[at] for at in order]).counts.conflicting == (says == UNKNOWN)


@pytest.mark.parametrize("expired", [True, False])
def test_pairs_that_have_expired_add_up_too(tmp_path: Path, *, expired: bool) -> None:
    pair = [EARLY._replace(not_after=AT), revoked(FINAL._replace(not_after=AT))]
    alone = [EARLY._replace(not_after=AT, serial=b"\x06")]
    rows = load(tmp_path, [*pair, *alone, *plain_rows(2)], expired_before=AT + expired)

    counts = rows.counts
    assert len(rows.codes) + counts.expired + counts.repeated + counts.joined == 5
    assert counts == (RowCounts(expired=2, joined=1) if expired else RowCounts(joined=1, alone=1, differing=1))


def test_pairs_are_found_among_all_rows_of_a_shard(tmp_path: Path) -> None:
    plain = plain_rows(400)
    early = [row._replace(precertificate=True) for row in plain[::2]]
    rows = load(tmp_path, [*early, *plain])
    assert (len(rows.codes), rows.counts.joined, rows.counts.repeated) == (400, 200, 0)
    assert rows.groups() == {Group(0, 16, 0): 400}
