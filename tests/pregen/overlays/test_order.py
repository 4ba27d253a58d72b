"""The order of truth against a plain model, over everything that two sides can say; and what must hold of any order."""

from collections.abc import Sequence
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Origin, Truth, resolve
from pregen.overlays.order import KEY_COMPROMISE, RowsSay
from pregen.reasons import CERTIFICATE_HOLD, REASONS

GOOD, REVOKED, ON_HOLD, UNKNOWN = RememberedStatus
RUN, DELTA, REVOKE, HOLD = Origin
NONE, SUPERSEDED = -1, REASONS["superseded"]


class Says(NamedTuple):
    status: int = GOOD
    revoked_at: int = 0
    reason: int = NONE
    as_of: int = 10
    origin: int = RUN


class Expected(NamedTuple):
    says: Says
    is_confirmed: bool
    is_ahead: bool


def revoked(reason: int = NONE, at: int = 5, as_of: int = 10, origin: int = RUN) -> Says:
    return Says(REVOKED, at, reason, as_of, origin)


def held(at: int = 5, as_of: int = 10, origin: int = RUN) -> Says:
    return Says(ON_HOLD, at, CERTIFICATE_HOLD, as_of, origin)


def columns(sides: Sequence[Says]) -> RowsSay:
    status, revoked_at, reason, as_of, origin = zip(*sides, strict=True)
    return RowsSay(
        np.array(status, np.uint8),
        np.array(revoked_at, np.uint32),
        np.array(reason, np.int8),
        np.array(as_of, np.int64),
        np.array(origin, np.uint8),
    )


def said(resolved: Truth) -> list[Says]:
    return [Says(*row) for row in zip(*(column.tolist() for column in resolved[:5]), strict=True)]


def of(entry: Says, row: Says) -> Says:
    return said(resolve(columns([entry]), columns([row])))[0]


def model(entry: Says, row: Says) -> Expected:
    """Say what is true, one rule after the other (the module's docstring)."""
    is_command = row.origin in {REVOKE, HOLD}
    if entry.status == REVOKED:
        return (
            model_of_final(entry, row, is_command=is_command) if row.status == REVOKED else Expected(entry, False, True)
        )
    if row.status == REVOKED or is_command:
        return Expected(row._replace(as_of=max(entry.as_of, row.as_of)) if is_command else row, True, False)
    is_unconfirmed = entry.status == ON_HOLD and entry.origin == HOLD and row.status != ON_HOLD
    if is_unconfirmed or row.as_of < entry.as_of:
        return Expected(entry, False, entry.status == ON_HOLD)
    return Expected(row, True, False)


def model_of_final(entry: Says, row: Says, *, is_command: bool) -> Expected:
    has, gets = entry.reason == KEY_COMPROMISE, row.reason == KEY_COMPROMISE
    if is_command and gets and not has:
        return Expected(
            Says(REVOKED, entry.revoked_at, row.reason, max(entry.as_of, row.as_of), row.origin), True, False
        )
    if is_command:
        return Expected(entry, not has or gets, has and not gets)
    if has and not gets:
        return Expected(entry._replace(revoked_at=row.revoked_at), False, True)
    return Expected(row, True, False)


def everything() -> list[Says]:
    """Return all that a side can say, as far as rules tell it apart."""
    kinds = [(GOOD, NONE), (UNKNOWN, NONE), (ON_HOLD, CERTIFICATE_HOLD)]
    kinds += [(REVOKED, reason) for reason in (NONE, SUPERSEDED, KEY_COMPROMISE)]
    return [
        Says(status, 0 if status in {GOOD, UNKNOWN} else at, reason, as_of, origin)
        for (status, reason), at, as_of, origin in product(kinds, (5, 6), (9, 10, 11), Origin)
    ]


def test_every_combination_is_what_the_plain_model_says() -> None:
    pairs = list(product(everything(), everything()))
    resolved = resolve(columns([entry for entry, _ in pairs]), columns([row for _, row in pairs]))
    expected = [model(entry, row) for entry, row in pairs]

    assert said(resolved) == [truth.says for truth in expected]
    assert resolved.is_confirmed.tolist() == [truth.is_confirmed for truth in expected]
    assert resolved.is_ahead.tolist() == [truth.is_ahead for truth in expected]
    changed = [truth.says[:3] != entry[:3] for truth, (entry, _) in zip(expected, pairs, strict=True)]
    assert resolved.is_changed.tolist() == changed


@pytest.mark.parametrize(
    ("entry", "row", "truth"),
    [
        (revoked(as_of=1, origin=REVOKE), Says(as_of=99), revoked(as_of=1, origin=REVOKE)),
        (revoked(as_of=99, origin=REVOKE), held(as_of=100), revoked(as_of=99, origin=REVOKE)),
        (Says(as_of=99, origin=DELTA), revoked(as_of=1), revoked(as_of=1)),
        (held(as_of=9, origin=HOLD), Says(as_of=99), held(as_of=9, origin=HOLD)),
        (held(as_of=9, origin=HOLD), Says(as_of=99, origin=DELTA), held(as_of=9, origin=HOLD)),
        (held(as_of=9, origin=HOLD), held(at=7, as_of=99), held(at=7, as_of=99)),
        (held(as_of=9, origin=HOLD), Says(as_of=8, origin=HOLD), Says(as_of=9, origin=HOLD)),
        (held(as_of=9, origin=HOLD), revoked(as_of=9, origin=REVOKE), revoked(as_of=9, origin=REVOKE)),
        (held(as_of=9, origin=DELTA), Says(as_of=9), Says(as_of=9)),
        (held(as_of=9, origin=DELTA), Says(as_of=8), held(as_of=9, origin=DELTA)),
        (Says(as_of=9, origin=HOLD), held(as_of=8), Says(as_of=9, origin=HOLD)),
        (revoked(SUPERSEDED, 5, 9, REVOKE), revoked(NONE, 6, 8), revoked(NONE, 6, 8)),
        (revoked(KEY_COMPROMISE, 5, 9, REVOKE), revoked(NONE, 6, 12), revoked(KEY_COMPROMISE, 6, 9, REVOKE)),
        (revoked(SUPERSEDED, 5, 9, REVOKE), revoked(NONE, 6, 12, REVOKE), revoked(SUPERSEDED, 5, 9, REVOKE)),
        (revoked(SUPERSEDED, 5, 9), revoked(KEY_COMPROMISE, 6, 8, REVOKE), revoked(KEY_COMPROMISE, 5, 9, REVOKE)),
        (revoked(NONE, 5, 9), held(6, 12, HOLD), revoked(NONE, 5, 9)),
    ],
)
def test_what_counts_where_two_sides_differ(entry: Says, row: Says, truth: Says) -> None:
    assert of(entry, row) == truth


any_side = st.sampled_from(everything())


@given(any_side, any_side)
def test_revoked_for_good_stays_whoever_comes_later(one: Says, other: Says) -> None:
    assert (of(one, other).status == REVOKED) == (REVOKED in {one.status, other.status})


@given(any_side)
def test_who_says_the_same_again_changes_nothing_and_confirms_it(one: Says) -> None:
    resolved = resolve(columns([one]), columns([one]))

    assert said(resolved) == [one]
    assert resolved.is_confirmed.all()
    assert not resolved.is_changed.any()


@given(st.lists(any_side, min_size=3, max_size=3))
def test_in_whatever_order_three_come_final_is_final_and_key_compromise_stays(three: list[Says]) -> None:
    for one, other, last in permutations(three):
        for truth in (of(of(one, other), last), of(one, of(other, last))):
            assert (truth.status == REVOKED) == any(side.status == REVOKED for side in three)
            is_final_compromise = (REVOKED, KEY_COMPROMISE) in {(side.status, side.reason) for side in three}
            assert (truth.reason == KEY_COMPROMISE) == is_final_compromise


of_snapshots = st.sampled_from([side for side in everything() if side.origin in {RUN, DELTA}])


@given(st.lists(of_snapshots, min_size=3, max_size=3, unique_by=lambda side: side.as_of))
def test_statuses_of_snapshots_and_deltas_do_not_depend_on_the_order_in_which_they_come(three: list[Says]) -> None:
    truths = {
        truth.status
        for one, other, last in permutations(three)
        for truth in (of(of(one, other), last), of(one, of(other, last)))
    }
    assert len(truths) == 1
