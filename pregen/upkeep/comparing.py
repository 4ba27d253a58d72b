"""A later generation beside an earlier one, range by range: what a rollback to the earlier one copies on top of it.

Asked are the head and, for what it no longer has, the generations in between: of each certificate the last one that had
it. Of those in between histories tell which certificates may matter, so that hardly any pack of them is read.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.snapshot.rows import Mask
from pregen.upkeep.rollback_rules import CopyChoice, CopyRules, choose
from pregen.upkeep.views import View, Viewer
from storage.history import STATUS_BITS

COMPARED_AT_ONCE = 75_000  # of one generation, as in a usual shard; two ranges are in memory for a moment


@dataclass(frozen=True, slots=True)
class Copied:
    """What one generation has that is copied, in one range of keys.

    Attributes:
        view: what it says.
        choice: what becomes of each of its certificates.
    """

    view: View
    choice: CopyChoice


@dataclass(frozen=True, slots=True)
class Compared:
    """One range of keys, compared.

    Attributes:
        high: the range ends below it.
        target: what the earlier generation says; None: nothing differs there, so nobody has looked.
        copied: of each later generation, the newest first.
    """

    high: int
    target: View | None
    copied: tuple[Copied, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What was compared before, with a head that was overtaken.

    Attributes:
        head: that one.
        copies: how many packs of overlays, the first ones of the earlier generation, have what was copied from it.
    """

    head: Viewer
    copies: int


def compare(
    target: Viewer,
    head: Viewer,
    between: Sequence[Viewer],
    rules: CopyRules,
    before: Earlier | None = None,
    *,
    is_whole: bool = False,
) -> Iterator[Compared]:
    """Yield what a rollback copies, by ascending ranges of keys, in memory that does not grow with their number.

    Args:
        target: the generation that is gone back to.
        head: the newest.
        between: the last commits of the generations between them, the newest first.
        rules: what is left to the earlier one.
        before: what was compared already; then only ranges are looked at in which the head says something new.
        is_whole: whether else all ranges are looked at, also those in which nothing can differ.

    Raises:
        FileNotFoundError, FormatError: a part of a generation is missing or damaged.
        OSError: the store does not answer.
    """
    for low, high in _ranges(target, head):
        is_first = is_whole and before is None
        if not is_first and not _may_differ(target, head, between, before, low, high):
            yield Compared(high, None, ())
            continue
        said, view = target.view(low, high), head.view(low, high)
        is_copy = said.pack < before.copies if before else None
        copied = [Copied(view, choose(view.entries, said.entries, rules, is_copy))]
        seen, known = {head.made_of(low, high)}, view.entries.keys
        for viewer in between:
            if (made_of := viewer.made_of(low, high)) in seen:
                continue
            seen.add(made_of)
            keys, revoked = _listed(viewer, low, high)
            lost = revoked[~np.isin(revoked, known)]
            if len(lost):
                view = viewer.view(low, high).only(lost)
                copied.append(Copied(view, choose(view.entries, said.entries, rules)))
            known = np.union1d(known, keys)
        yield Compared(high, said, tuple(copied))


def _ranges(target: Viewer, head: Viewer) -> Iterator[tuple[int, int]]:
    """Yield the ranges of the earlier generation's shards, cut where either has many records in one."""
    for shard in target.generation.manifest.shards:
        most = max(viewer.row_estimate(shard.low, shard.high) for viewer in (target, head))
        count = min(math.ceil(most / COMPARED_AT_ONCE) or 1, shard.high - shard.low)
        cuts = [shard.low + number * (shard.high - shard.low) // count for number in range(count + 1)]
        yield from pairwise(cuts)


def _may_differ(
    target: Viewer, head: Viewer, between: Sequence[Viewer], before: Earlier | None, low: int, high: int
) -> bool:
    if before is not None:
        return before.head.made_of(low, high) != head.made_of(low, high)
    made_of = target.made_of(low, high)
    return any(viewer.made_of(low, high) != made_of for viewer in (head, *between))


def _listed(viewer: Viewer, low: int, high: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the keys of all certificates of a generation in a range, and of those that are revoked or on hold."""
    if viewer.index is None:
        entries = viewer.view(low, high).entries
        return entries.keys, entries.keys[_is_bad(entries.status)]
    urgent = viewer.in_overlays(low, high).entries
    keys, revoked = [urgent.keys], [urgent.keys[_is_bad(urgent.status)]]
    for listed, words in viewer.remembered(low, high):
        within = (listed >> np.uint64(32) >= low) & (listed >> np.uint64(32) < high)
        own = within & ~np.isin(listed, urgent.keys)
        keys.append(listed[own])
        revoked.append(listed[own & _is_bad(words & np.uint32((1 << STATUS_BITS) - 1))])
    return np.concatenate(keys), np.concatenate(revoked)


def _is_bad(status: NDArray[np.unsignedinteger]) -> Mask:
    found: Mask = (status == RememberedStatus.REVOKED) | (status == RememberedStatus.ON_HOLD)
    return found
