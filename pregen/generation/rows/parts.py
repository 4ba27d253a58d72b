"""Parts: routed rows of many shards, sorted by these, in one object of a spool.

Each shard's rows are in one piece of a part, and the index of the part says where. Whoever routes files of a snapshot
writes parts of his own and need not know of others; a shard is what all parts have of it, in the order of the snapshot.

The index has a checksum of each piece too (`checksums.py`), and whoever reads a shard compares. All parts together have
shards x parts pieces, so that the indexes would grow with the square of the rows: a large snapshot has larger parts.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pregen.generation.rows.checksums import Checksum
from pregen.generation.rows.spill import ROW_BYTES, SPILLED, Spilled, take
from pregen.generation.rows.spool import PartRange, Spool, broken

PART_ROWS = 1 << 19  # 24 MiB: a request of some MiB for each of a few shards, and little beside what signing needs
MOST_PART_ROWS = 1 << 22  # 192 MiB, which routing has in memory where signing needs as much
MOST_PIECES = 1 << 22  # 24 octets each in memory where rows are in a store, and 12 where they are in a folder


def part_rows(rows: int, shards: int) -> int:
    """Return how many rows a part should hold, for at most `MOST_PIECES` pieces, or as many rows as memory allows.

    >>> part_rows(10**8, 1_528), part_rows(10**9, 15_264), part_rows(10**10, 65_536)
    (524288, 3639222, 4194304)
    """
    return max(PART_ROWS, min(MOST_PART_ROWS, -(-rows * shards // MOST_PIECES)))


class SpooledPart(NamedTuple):
    """What was written into one part.

    Attributes:
        name: in the spool.
        rows: uint32[shards], how many of each shard.
        sums: void[shards], checksums of the octets of each piece.
    """

    name: str
    rows: NDArray[np.uint32]
    sums: NDArray[np.void]


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Where the rows of one shard are; all columns have one entry for each part, in the order of the snapshot.

    Attributes:
        spool: where the parts are.
        names: of the parts.
        starts: uint32[parts], rows of other shards before.
        rows: uint32[parts], how many.
        sums: void[parts], checksums of their octets.
    """

    spool: Spool
    names: tuple[str, ...]
    starts: NDArray[np.uint32]
    rows: NDArray[np.uint32]
    sums: NDArray[np.void]

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self.rows.sum(dtype=np.int64))

    def read(self) -> Spilled:
        """Return the rows.

        Raises:
            SpoolError: they cannot be read, or are not what was written.
        """
        rows = np.empty(self.total, SPILLED)
        octets = rows.view(np.uint8).data
        there = np.flatnonzero(self.rows).tolist()
        sizes = (self.rows[there].astype(np.int64) * ROW_BYTES).tolist()
        starts = (self.starts[there].astype(np.int64) * ROW_BYTES).tolist()
        self.spool.fetch(
            [PartRange(self.names[one], start, size) for one, start, size in zip(there, starts, sizes, strict=True)],
            octets,
        )
        checksum, at = self.spool.checksum, 0
        for one, size, expected in zip(there, sizes, self.sums[there].tolist(), strict=True):
            if checksum.of([octets[at : at + size]]) != expected:
                what = f"this spill file holds other octets than were written ({checksum.name} differs)"
                raise broken(self.spool, self.names[one], what)
            at += size
        return rows

    @classmethod
    def joined(cls, some: Sequence[Self]) -> Self:
        """Return the pieces of neighbouring shards of one spool as those of one shard."""
        return cls(
            some[0].spool,
            tuple(name for one in some for name in one.names),
            *(np.concatenate([getattr(one, name) for one in some]) for name in ("starts", "rows", "sums")),
        )


def pieces_of(spool: Spool, parts: Sequence[SpooledPart], shards: int) -> list[Pieces]:
    """Return the pieces of each shard in parts that are in the order of the snapshot."""
    names = tuple(part.name for part in parts)
    # A column for each shard, so that what a task pickles is what its own shard needs.
    rows = np.zeros((shards, len(parts)), np.uint32)
    sums = np.zeros((shards, len(parts)), _dtype(spool.checksum))
    for number, part in enumerate(parts):
        rows[:, number], sums[:, number] = part.rows, part.sums
    starts = np.cumsum(rows, axis=0, dtype=np.uint32)
    starts -= rows
    return [Pieces(spool, names, *columns) for columns in zip(starts, rows, sums, strict=True)]


def _dtype(checksum: Checksum) -> np.dtype[np.void]:
    return np.dtype((np.void, checksum.size_bytes))


class SortedRows(NamedTuple):
    """Some rows, sorted by shard: as many as a CPU's cache holds while they are.

    Attributes:
        rows: of all shards.
        counts: int64[shards], how many of each.
    """

    rows: Spilled
    counts: NDArray[np.intp]

    @classmethod
    def of(cls, rows: Spilled, shard: NDArray[np.unsignedinteger], shards: int) -> Self:
        """Sort rows by the number of their shards; those of each stay in their order."""
        return cls(take(rows, np.argsort(shard, kind="stable")), np.bincount(shard, minlength=shards))


def write_part(spool: Spool, chunks: Sequence[SortedRows]) -> SpooledPart:
    """Put rows into a spool as one part; the chunks are in the order of the snapshot.

    Raises:
        SpoolError: the spool does not take it.
    """
    counts = np.stack([chunk.counts for chunk in chunks], axis=1)
    sums = np.zeros(len(counts), _dtype(spool.checksum))
    part = SpooledPart(os.urandom(8).hex(), counts.sum(axis=1).astype(np.uint32), sums)
    spool.put(part.name, _pieces(chunks, counts, spool.checksum, sums))
    return part


def _pieces(
    chunks: Sequence[SortedRows], counts: NDArray[np.intp], checksum: Checksum, sums: NDArray[np.void]
) -> Iterator[memoryview]:
    """Yield the octets of each shard in each chunk, by shards, and note the checksums of these."""
    octets, starts = [chunk.rows.view(np.uint8).data for chunk in chunks], [0] * len(chunks)
    there = np.flatnonzero(counts.any(axis=1))
    for number, sizes in zip(there.tolist(), (counts[there] * ROW_BYTES).tolist(), strict=True):
        ends = [start + size for start, size in zip(starts, sizes, strict=True)]
        pieces = [one[start:end] for one, start, end in zip(octets, starts, ends, strict=True)]
        starts = ends
        sums[number] = checksum.of(pieces)
        yield from pieces


def spooled(spool: Spool, rows: Spilled) -> Pieces:
    """Put the rows of one shard into a spool, as they are.

    Raises:
        SpoolError: the spool does not take them.
    """
    [pieces] = pieces_of(spool, [write_part(spool, [SortedRows.of(rows, np.zeros(len(rows), np.uint8), 1)])], 1)
    return pieces
