"""Certificates before and after, by keys alone: arrays against a plain model, and keys that different ones share."""

import pickle
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.gates.comparison import (
    NOT_COMPARED,
    Comparison,
    Remembered,
    RememberedStatus,
    compare,
    pair,
    with_overlays,
    words,
)
from storage.history import EXPIRY_UNIT_S, REMEMBERED_STATUSES, entries, word

GOOD, REVOKED, ON_HOLD, UNKNOWN = RememberedStatus

LATER = 2**32 - 1


class One(NamedTuple):
    key: int
    status: int = GOOD
    not_after: int = LATER


def entries_of(ones: Sequence[One]) -> Remembered:
    ordered = sorted(ones, key=lambda one: one.key)
    status = np.array([one.status for one in ordered], np.uint32)
    not_after = np.array([one.not_after for one in ordered], np.uint32)
    return Remembered(np.array([one.key for one in ordered], np.uint64), words(status, not_after))


def compared(before: Sequence[One], after: Sequence[One], expired_before: int | None = 1_000) -> Comparison:
    return compare(entries_of(before), entries_of(after), expired_before)


def test_what_vanished_came_and_changed_is_counted_with_keys() -> None:
    before = [
        One(1),
        One(2),
        One(3, REVOKED),
        One(4, REVOKED),
        One(5, REVOKED),
        One(6, ON_HOLD),
        One(7, ON_HOLD),
        One(8, UNKNOWN),
        One(9, not_after=5),
        One(10, REVOKED),
    ]
    after = [
        One(1),
        One(3, REVOKED),
        One(4),
        One(5, ON_HOLD),
        One(6),
        One(7, REVOKED),
        One(8, REVOKED),
        One(11),
        One(12, REVOKED),
    ]

    seen = compared(before, after)

    assert (seen.before, seen.after) == (10, 9)
    assert (seen.vanished, seen.keys["vanished"]) == (2, (2, 10))
    assert (seen.lost, seen.keys["lost"]) == (1, (10,))
    assert seen.expired == 1
    assert (seen.unrevoked, seen.keys["unrevoked"]) == (1, (4,)), "the release of a hold is none"
    assert (seen.held, seen.keys["held"]) == (1, (5,))
    assert (seen.revoked, seen.keys["revoked"]) == (1, (8,)), "from hold to revoked is not newly revoked"
    assert seen.new == 2


def test_revoked_ones_that_vanish_are_lost() -> None:
    before = [One(1, REVOKED, 10**9), One(2, REVOKED), One(3, ON_HOLD, 10**9), One(4, GOOD, 10**9)]
    seen = compared(before, [])
    assert (seen.vanished, seen.vanished_undated) == (4, 1)
    assert (seen.lost, seen.keys["lost"]) == (2, (1, 2))


def test_good_ones_that_become_unknown_are_counted() -> None:
    seen = compared([One(1), One(2, ON_HOLD), One(3, UNKNOWN)], [One(1, UNKNOWN), One(2, UNKNOWN), One(3)])
    assert (seen.unknown, seen.keys["unknown"]) == (1, (1,))


def test_unknown_ones_that_become_good_and_holds_that_end_are_counted() -> None:
    before = [One(1, UNKNOWN), One(2, ON_HOLD), One(3, ON_HOLD), One(4, ON_HOLD), One(5, UNKNOWN)]
    seen = compared(before, [One(1), One(2), One(3, UNKNOWN), One(4, REVOKED), One(5, REVOKED)])
    assert (seen.known, seen.keys["known"]) == (1, (1,))
    assert (seen.on_hold, seen.released, seen.keys["released"]) == (3, 2, (2, 3))


@pytest.mark.parametrize("status", [GOOD, REVOKED, ON_HOLD, UNKNOWN])
@pytest.mark.parametrize(
    ("was", "now", "moved", "shortened"),
    [
        (10**9, 10**9 - 2 * EXPIRY_UNIT_S, 1, 1),
        (10**9, 10**9 - EXPIRY_UNIT_S, 0, 0),
        (10**9, 10**9 + EXPIRY_UNIT_S, 0, 0),
        (10**9, 10**9 + 2 * EXPIRY_UNIT_S, 1, 0),
        (10**9, LATER, 1, 0),
        (LATER, LATER, 0, 0),
    ],
)
def test_an_expiry_that_moves_is_counted_where_it_was_known(
    was: int, now: int, moved: int, shortened: int, status: int
) -> None:
    seen = compared([One(1, status, was)], [One(1, status, now)])
    assert (seen.moved, seen.dated) == (moved, 0)
    assert seen.shortened == (shortened if status in {REVOKED, ON_HOLD} else 0)


def test_an_expiry_that_becomes_known_is_counted_apart() -> None:
    seen = compared([One(1), One(2, REVOKED), One(3)], [One(1, GOOD, 10**9), One(2, REVOKED, 10**9), One(3)])
    assert (seen.undated, seen.moved, seen.shortened) == (3, 0, 0)
    assert (seen.dated, seen.keys["dated"]) == (1, (2,)), "of revoked ones"


def test_revoked_that_becomes_unknown_is_a_revocation_undone() -> None:
    assert compared([One(1, REVOKED)], [One(1, UNKNOWN)]).unrevoked == 1


@pytest.mark.parametrize(
    ("before", "after", "vanished", "changed"),
    [
        # Two certificates have key 5. One of them goes: that is seen, although the key is still there.
        ([One(5), One(5)], [One(5)], 1, 0),
        ([One(5), One(5), One(5)], [One(5)], 2, 0),
        ([One(5), One(5)], [], 2, 0),
        # One of two expired: nothing vanished, in whichever order they stand.
        ([One(5, not_after=9), One(5)], [One(5)], 0, 0),
        ([One(5), One(5, not_after=9)], [One(5)], 0, 0),
        ([One(5, REVOKED, 9), One(5)], [One(5)], 0, 0),
        # Both are there, in the other order.
        ([One(5, REVOKED), One(5)], [One(5), One(5, REVOKED)], 0, 0),
        # Exactly one of two is revoked no more.
        ([One(5, REVOKED), One(5, REVOKED)], [One(5, REVOKED), One(5)], 0, 1),
        ([One(5, REVOKED), One(5)], [One(5), One(5)], 0, 1),
        # A certificate goes, and a new one has its key: not to be told apart, but a second new one is new.
        ([One(5)], [One(5), One(5)], 0, 0),
    ],
)
def test_equal_keys_of_different_certificates_are_counted_one_by_one(
    before: list[One], after: list[One], vanished: int, changed: int
) -> None:
    around = [One(1), One(4, REVOKED), One(6), One(2**64 - 1)]

    seen = compared(before + around, after + around)

    assert (seen.vanished, seen.unrevoked) == (vanished, changed)
    assert seen.before - seen.vanished - seen.expired == seen.after - seen.new


ones = st.lists(
    st.builds(One, st.integers(0, 12), st.sampled_from((GOOD, REVOKED, ON_HOLD, UNKNOWN)), st.sampled_from((4, LATER))),
    max_size=25,
)


@given(ones, ones)
def test_no_more_is_said_to_have_changed_than_must_have(before: list[One], after: list[One]) -> None:
    """Against a model of multisets, key by key."""
    seen = compared(before, after)
    vanished = expired = new = 0
    for key in range(13):
        old, now = [one for one in before if one.key == key], [one for one in after if one.key == key]
        missing = max(len(old) - len(now), 0)
        new += max(len(now) - len(old), 0)
        # Those that have expired are missed last: but not before one of equal status that is still there.
        kept = Counter(one.status for one in old) & Counter(one.status for one in now)
        rest = sorted(_without(old, kept), key=lambda one: one.not_after == 4)
        gone = rest[len(rest) - missing :]
        expired += sum(one.not_after == 4 for one in gone)
        vanished += sum(one.not_after != 4 for one in gone)
    assert (seen.vanished, seen.expired, seen.new) == (vanished, expired, new)
    assert seen.vanished + seen.expired + len(after) - seen.new == len(before)


def _without(old: list[One], kept: Counter[int]) -> list[One]:
    left, rest = kept.copy(), []
    for one in sorted(old, key=lambda one: one.not_after == 4):
        if left[one.status]:
            left[one.status] -= 1
        else:
            rest.append(one)
    return rest


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_pairs_are_the_common_multiset(one: list[int], other: list[int]) -> None:
    first, second = np.sort(np.array(one, np.uint64)), np.sort(np.array(other, np.uint64))
    at, there = pair(first, second)
    assert first[at].tolist() == second[there].tolist() == sorted((Counter(one) & Counter(other)).elements())
    assert len(set(at.tolist())) == len(at) == len(set(there.tolist()))


@given(st.integers(0, LATER), st.integers(-10, 2**33))
def test_no_expired_certificate_is_ever_missed_nor_one_that_lives_a_unit_more(not_after: int, limit: int) -> None:
    seen = compared([One(1, GOOD, not_after)], [], limit)
    if not_after < limit and not_after <= LATER - EXPIRY_UNIT_S:
        assert seen.vanished == 0
    if not_after >= limit + EXPIRY_UNIT_S or not_after > LATER - EXPIRY_UNIT_S:
        assert seen.vanished == 1
    assert compared([One(1, GOOD, not_after)], [], None).vanished == 1, "all are kept, so none may go"


@given(st.lists(st.tuples(st.sampled_from(range(4)), st.integers(0, LATER)), min_size=1))
def test_words_of_arrays_are_those_of_the_format(given: list[tuple[int, int]]) -> None:
    status, not_after = np.array(given, np.uint32).T
    made = words(status, not_after)
    assert made.tolist() == [word(REMEMBERED_STATUSES[one], second) for one, second in given]
    columns = Remembered(np.arange(len(given), dtype=np.uint64), made).columns()
    assert [one.status for one in entries(columns)] == [REMEMBERED_STATUSES[one] for one, _ in given]
    assert Remembered.of_columns(columns).words.tolist() == made.tolist()


def test_certificates_of_dropped_issuers_have_not_vanished() -> None:
    before = entries_of([One(1), One(2), One(5), One(5), One(9, not_after=4)])
    dropped = np.array([2, 5, 9], np.uint64)

    seen = compare(before, entries_of([One(1)]), 1_000, dropped)

    assert (seen.dropped, seen.vanished, seen.keys["vanished"], seen.expired) == (2, 1, (5,), 1)


def test_entries_of_a_range_are_those_with_its_upper_halves() -> None:
    keys = [0, 1 << 32, (2 << 32) - 1, 2 << 32, 2**64 - 1]
    whole = entries_of([One(key) for key in keys])
    assert whole.between(1, 2).keys.tolist() == keys[1:3]
    assert whole.between(0, 1 << 32).keys.tolist() == keys
    assert whole.between(2**32 - 1, 1 << 32).keys.tolist() == keys[4:]


def test_sums_are_the_same_in_any_order_and_keep_the_lowest_keys() -> None:
    parts = [compared([One(key) for key in range(low, low + 30)], []) for low in (100, 0, 50)]
    parts.append(Comparison(damaged=("b", "a")))
    forwards, backwards = NOT_COMPARED, NOT_COMPARED
    for part in parts:
        forwards = forwards.plus(part)
    for part in reversed(parts):
        backwards = backwards.plus(part)
    assert forwards == backwards == pickle.loads(pickle.dumps(forwards))
    assert (forwards.vanished, forwards.keys["vanished"]) == (90, tuple(range(20)))
    assert forwards.damaged == ("a", "b")


def test_of_what_vanished_those_that_are_not_known_to_expire_are_counted() -> None:
    seen = compared([One(1), One(2), One(3, not_after=500_000), One(4, not_after=5)], [One(1)])
    assert (seen.vanished, seen.vanished_undated, seen.expired) == (2, 1, 1)
    assert seen.plus(seen).vanished_undated == 2


@pytest.mark.parametrize(
    ("before", "expired"), [(5 * EXPIRY_UNIT_S, False), (5 * EXPIRY_UNIT_S + 1, True), (0, False), (-1, False)]
)
def test_a_certificate_has_expired_the_second_after_its_last_one(before: int, *, expired: bool) -> None:
    assert entries_of([One(1, not_after=5 * EXPIRY_UNIT_S)]).expired(before).tolist() == [expired]


def statuses(of: Remembered) -> list[tuple[int, int, int]]:
    return list(zip(of.keys.tolist(), of.status.tolist(), (of.words >> 2).tolist(), strict=True))


def test_what_overlays_say_counts_before_what_shards_do() -> None:
    before = entries_of([One(1), One(2, REVOKED, 4_096), One(3, not_after=8_192)])
    overlays = entries_of([One(1, REVOKED, 2_048), One(3, ON_HOLD), One(4, REVOKED, 2_048)])
    both, alone = with_overlays(before, overlays)

    assert alone == 1
    # Their expiry is that of the shards, where these know one.
    assert statuses(both) == [(1, REVOKED, 2), (2, REVOKED, 4), (3, ON_HOLD, 8), (4, REVOKED, 2)]


@given(*[st.lists(st.sampled_from(range(6)), unique=True)] * 2)
def test_a_generation_with_overlays_has_the_certificates_of_both_once(shards: list[int], overlays: list[int]) -> None:
    both, alone = with_overlays(
        entries_of([One(key) for key in shards]), entries_of([One(key, REVOKED) for key in overlays])
    )

    assert both.keys.tolist() == sorted({*shards, *overlays})
    assert {key for key, status, _ in statuses(both) if status == REVOKED} == set(overlays)
    assert alone == len({*overlays} - {*shards})


def test_what_overlays_go_on_to_say_revoked_is_missed_and_not_lost() -> None:
    before, after = entries_of([One(1, REVOKED), One(2, REVOKED), One(3)]), entries_of([])
    seen = compare(before, after, None, staying=np.array([2, 3], np.uint64), overlaid=1)

    assert (seen.vanished, seen.lost, seen.keys["lost"], seen.overlaid) == (3, 1, (1,), 1)
