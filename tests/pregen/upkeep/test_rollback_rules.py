"""What a rollback copies, of every pair of statements: by the order of truth, and by rules in plain words beside it."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Entries, Origin
from pregen.reasons import REASONS
from pregen.upkeep.rollback_rules import CopyRules, choose

GOOD, FINAL, HELD, UNKNOWN = RememberedStatus
COMPROMISED, SUPERSEDED, HOLD, NONE = REASONS["keyCompromise"], REASONS["superseded"], REASONS["certificateHold"], -1
LIMIT, SOON, LATE = 1_000, 999, 1_000


class Said(NamedTuple):
    status: RememberedStatus
    at: int = 0
    reason: int = NONE


ALL = [
    Said(GOOD),
    Said(UNKNOWN),
    *(Said(HELD, at, HOLD) for at in (1, 2)),
    *(Said(FINAL, at, reason) for at in (1, 2) for reason in (NONE, SUPERSEDED, COMPROMISED)),
]


class Pair(NamedTuple):
    """What a later generation says, what an earlier one does, and what that depends on."""

    later: Said
    earlier: Said | None
    not_after: int
    origin: Origin
    is_copy: bool


PAIRS = [
    Pair(*one)
    for one in itertools.product(ALL, [None, *ALL], (SOON, LATE), Origin, (False, True))
    if one[1] is not None or not one[4]
]


def entries(keys: Sequence[int], said: Sequence[Said], not_after: Sequence[int], origin: Sequence[Origin]) -> Entries:
    count = len(keys)
    return Entries(
        keys=np.array(keys, np.uint64),
        issuers=np.ones(count, np.uint64),
        serials=np.zeros((count, 21), np.uint8),
        sizes=np.ones(count, np.uint8),
        status=np.array([one.status for one in said], np.uint8),
        revoked_at=np.array([one.at for one in said], np.uint32),
        reason=np.array([one.reason for one in said], np.int8),
        not_after=np.array(not_after, np.uint32),
        as_of=np.zeros(count, np.int64),
        origin=np.array(origin, np.uint8),
    )


def is_wanted(pair: Pair) -> bool:
    """Tell whether it is copied where nothing is left to the earlier generation."""
    later, earlier = pair.later, pair.earlier
    if earlier is None:
        return pair.not_after >= LIMIT
    if later == earlier or (later.status in {GOOD, UNKNOWN} and not pair.is_copy):
        return False
    if earlier.status is FINAL:
        loses = later.status is HELD or (earlier.reason == COMPROMISED != later.reason)
        return not loses and pair.not_after >= LIMIT  # what was copied and is good now was freed by name
    return True


@pytest.mark.parametrize("unrevoke", [False, True])
@pytest.mark.parametrize("shrink", [False, True])
def test_every_pair_of_statements_is_copied_or_left_as_the_rules_say(*, unrevoke: bool, shrink: bool) -> None:
    keys = list(range(len(PAIRS)))
    later = entries(keys, [one.later for one in PAIRS], [one.not_after for one in PAIRS], [one.origin for one in PAIRS])
    there = [key for key, one in zip(keys, PAIRS, strict=True) if one.earlier is not None]
    earlier = [said for one in PAIRS if (said := one.earlier) is not None]
    before = entries(there, earlier, [LATE] * len(there), [Origin.RUN] * len(there))
    is_copy = np.array([PAIRS[key].is_copy for key in there])

    choice = choose(later, before, CopyRules(LIMIT, unrevoke=unrevoke, shrink=shrink), is_copy)

    for key, pair in enumerate(PAIRS):
        by_run, is_bad = pair.origin is Origin.RUN, pair.later.status in {FINAL, HELD}
        wanted = is_wanted(pair)
        was_final = pair.earlier is not None and pair.earlier.status is FINAL
        is_there = pair.earlier is not None
        left = wanted and is_there and by_run and unrevoke and not (was_final and pair.later.status is FINAL)
        out = wanted and not is_there and shrink and (by_run or not is_bad)
        out = out and (unrevoke or pair.later.status is not FINAL)
        assert (bool(choice.unrevoked[key]), bool(choice.shrunk[key])) == (left, out), pair
        assert bool(choice.copied[key]) == (wanted and not left and not out), pair
        assert bool(choice.has_ended[key]) == (
            not is_there and pair.not_after < LIMIT and pair.later.status is FINAL
        ), pair
