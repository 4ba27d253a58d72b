"""What became of the rows of a shard, and of all shards: counters in one record, and the first examples of a few."""

from itertools import chain
from operator import add
from typing import NamedTuple

from pregen.errors import MAX_EXAMPLES


class RowCounts(NamedTuple):
    """What became of rows and of their certificates, beside those that get answers; counts of shards add up.

    Attributes:
        repeated: rows that said the same as another one.
        expired: certificates that need no answer any more.
        conflicting: rows that contradict another one.
        withheld: rows that get none and were spooled to be compared alone; no other count is about them.
        again: certificates that are answered for a further name or key of their issuer; no count of rows is about them.
        again_rows: their rows.
        undated: certificates whose window is to end with them, and of which nobody says when that is.
        joined: rows of precertificates that are one certificate with the row of a final one, which is counted instead.
        alone: precertificates that get an answer of their own.
        differing: of those that are joined, which differ from the other row in status, time or reason of revocation.
    """

    repeated: int = 0
    expired: int = 0
    conflicting: int = 0
    withheld: int = 0
    again: int = 0
    again_rows: int = 0
    undated: int = 0
    joined: int = 0
    alone: int = 0
    differing: int = 0

    def plus(self, other: "RowCounts") -> "RowCounts":
        """Return the sum of both.

        >>> RowCounts(repeated=2).plus(RowCounts(repeated=1, alone=1))._asdict()["repeated"]
        3
        """
        return RowCounts(*map(add, self, other))


NOTHING_COUNTED = RowCounts()


class RowNumber(NamedTuple):
    """Where a row is in the snapshot: number of the file, and of the row in it, both from 0."""

    file: int
    row: int


class Pair(NamedTuple):
    """Two rows of one certificate, and its serial; `is_withheld`: the other row is bad or left out."""

    row: RowNumber
    other: RowNumber
    serial: bytes
    is_withheld: bool = False


class Examples(NamedTuple):
    """The first rows that contradict another one, that repeat one, and of precertificates that differ."""

    conflicts: tuple[Pair, ...] = ()
    repetitions: tuple[Pair, ...] = ()
    differing: tuple[Pair, ...] = ()


NO_EXAMPLES = Examples()


class FirstExamples:
    """The first examples of many shards, in the order of these, whatever order they come in."""

    def __init__(self) -> None:
        self._kept: list[dict[int, tuple[Pair, ...]]] = [{} for _ in Examples._fields]

    def add(self, shard: int, examples: Examples) -> None:
        """Keep what a shard shows; of the last shard nothing, if those before it have enough without it."""
        for kept, pairs in zip(self._kept, examples, strict=True):
            if pairs:
                kept[shard] = pairs
            if len(kept) > MAX_EXAMPLES:  # each shows one at least
                del kept[max(kept)]

    def take(self) -> Examples:
        """Return the first ones."""
        return Examples(*map(_first, self._kept))


def _first(kept: dict[int, tuple[Pair, ...]]) -> tuple[Pair, ...]:
    return tuple(chain.from_iterable(kept[shard] for shard in sorted(kept)))[:MAX_EXAMPLES]
