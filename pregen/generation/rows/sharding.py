"""How keys are cut into shards: the unit of work, retry and publishing.

The first run cuts evenly. From then on shards stay what they are, since one whose rows stay too need not be written
again:

1. A shard stays while it holds from half to twice the rows that are wanted in one.
2. One that holds more is cut into equal parts. One that holds less is joined with its neighbours, and cut again where
   that makes too much of it.
3. Keys are hashes, so that all shards of a growing store come to that point within a few nights: no more than a few
   are cut in one, the largest and the smallest first; those that are far too large are cut at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pregen.issuers import Issuer
from storage.key import KEY32, split

SHARD_ROWS = 65_536
PACK_BYTES = 8 << 20  # a worker needs a few times that
EVEN_SHARDS = 8
MAX_SHARDS = 1 << 16  # shard numbers are uint16; and a file may lie about its rows
RECUT_SHARDS = 8  # in one night, or a share of all shards where that is more
RECUT_SHARE = 16
FAR_TOO_LARGE = 4  # times what is wanted in a shard: more would take too much memory
RECORD_BYTES = 26  # of a record, its signatures apart: the longest serial, time and reason of revocation


class Range(NamedTuple):
    """A shard of the current generation: keys whose upper 32 bits are in [low, high), and how many rows it holds."""

    low: int
    high: int
    rows: int


def shard_bounds(
    rows: int, record_bytes: int, current: Sequence[Range] = (), *, at_once: bool = False
) -> tuple[int, ...]:
    """Return where keys are cut into shards: the bounds of all, from 0 to 2**32.

    Args:
        rows: of the snapshot, about.
        record_bytes: what the largest of its records takes in a pack.
        current: the shards of the current generation; none: nothing is published yet.
        at_once: whether all shards are cut again that want it, because all are made anew anyway.

    >>> shard_bounds(100_000, 100) == shard_bounds(130_000, 100, [Range(0, 2**31, 50_000), Range(2**31, 2**32, 50_000)])
    True
    """
    if not current:
        return tuple(split(0, KEY32, shard_count(rows, record_bytes)))
    wanted = rows_wanted(record_bytes)
    sizes = [_size(one, rows) for one in current]
    bounds = {one.low for one in current} | {KEY32}
    for first, last in _recut(sizes, wanted, len(sizes) if at_once else len(sizes) // RECUT_SHARE):
        low, high, size = current[first].low, current[last].high, sum(sizes[first : last + 1])
        bounds -= {one.low for one in current[first + 1 : last + 1]}
        bounds |= set(split(low, high, max(1, min(round(size / wanted), high - low, MAX_SHARDS))))
    return tuple(sorted(bounds)) if len(bounds) <= MAX_SHARDS else shard_bounds(rows, record_bytes)


def _size(shard: Range, rows: int) -> int:
    """Return how many rows a shard holds, or gets by its share of all keys: the snapshot may have grown at once."""
    return max(shard.rows, round(rows * (shard.high - shard.low) / KEY32))


def _recut(sizes: Sequence[int], wanted: int, at_most: int) -> list[tuple[int, int]]:
    """Return the first and the last of each group of neighbours that is cut again."""
    few = max(RECUT_SHARDS, at_most)
    large = sorted((number for number, size in enumerate(sizes) if size > 2 * wanted), key=lambda one: -sizes[one])
    chosen = [(one, one) for at, one in enumerate(large) if at < few or sizes[one] > FAR_TOO_LARGE * wanted]
    taken = {one for one, _ in chosen}
    small = sorted((number for number, size in enumerate(sizes) if 2 * size < wanted), key=lambda one: sizes[one])
    for one in small:
        if len(chosen) >= few:
            break
        if one not in taken and (group := _neighbours(one, sizes, wanted, taken)) != (one, one):
            chosen.append(group)
            taken.update(range(group[0], group[1] + 1))
    return chosen


def _neighbours(one: int, sizes: Sequence[int], wanted: int, taken: set[int]) -> tuple[int, int]:
    """Return the first and the last of the shards that one is joined with, which together hold enough for some time."""
    first = last = one
    size = sizes[one]
    while 4 * size < 3 * wanted:
        sides = [side for side in (first - 1, last + 1) if 0 <= side < len(sizes) and side not in taken]
        if not sides:
            break
        added = min(sides, key=lambda side: sizes[side])
        size += sizes[added]
        first, last = min(first, added), max(last, added)
    return first, last


def rows_wanted(record_bytes: int) -> int:
    """Return how many rows a shard should hold, whose largest records take so much in a pack."""
    return max(1, min(SHARD_ROWS, PACK_BYTES // record_bytes))


def shard_count(rows: int, record_bytes: int) -> int:
    """Return how many shards a snapshot of about `rows` rows is cut into.

    Args:
        rows: of the snapshot.
        record_bytes: what the largest of its records takes in a pack.

    >>> shard_count(0, 100), shard_count(65_536, 100), shard_count(65_537, 100), shard_count(10**15, 100)
    (1, 1, 2, 65536)
    >>> shard_count(65_536, 1024), shard_count(5_000_000, 100)
    (8, 80)
    """
    shards = max(1, -(-rows // rows_wanted(record_bytes)))
    # Many are a multiple of eight: so two, four or eight workers come to the end together.
    return min(shards if shards <= EVEN_SHARDS else -(-shards // EVEN_SHARDS) * EVEN_SHARDS, MAX_SHARDS)


def record_bytes(issuers: Sequence[Issuer]) -> int:
    """Return what the largest record of any of the issuers takes in a pack."""
    return RECORD_BYTES + max(issuer.signatures_bytes for issuer in issuers)
