"""Parts: routed rows of many shards, sorted by these, in one object of a spool.

Each shard's rows are in one piece of a part, and the index of the part says where. Whoever routes files of a snapshot
writes parts of his own and need not know of others; a shard is what all parts have of it, in the order of the snapshot.

What is signed is what the parts say, and read-back compares with them again: nothing later would notice a row that
changed here. So the index has a checksum of each piece, and whoever reads a shard compares.
"""

import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from pregen.generation.rows.spill import ROW_BYTES, SPILLED, Spilled, take
from pregen.generation.rows.spool import PartRange, Spool, broken


class SpooledPart(NamedTuple):
    """What was written into one part.

    Attributes:
        name: in the spool.
        rows: uint32[shards], how many of each shard.
        crcs: uint32[shards], CRC-32 of the octets of each piece.
    """

    name: str
    rows: NDArray[np.uint32]
    crcs: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """Where the rows of one shard are; all columns have one entry for each part, in the order of the snapshot.

    Attributes:
        spool: where the parts are.
        names: of the parts.
        starts: int64[parts], rows of other shards before.
        rows: uint32[parts], how many.
        crcs: uint32[parts], CRC-32 of their octets.
    """

    spool: Spool
    names: tuple[str, ...]
    starts: NDArray[np.int64]
    rows: NDArray[np.uint32]
    crcs: NDArray[np.uint32]

    @property
    def total(self) -> int:
        """How many rows there are."""
        return int(self.rows.sum())

    def read(self) -> Spilled:
        """Return the rows.

        Raises:
            SpoolError: they cannot be read, or are not what was written.
        """
        rows = np.empty(self.total, SPILLED)
        octets = rows.view(np.uint8).data
        there = np.flatnonzero(self.rows).tolist()
        sizes = (self.rows[there].astype(np.int64) * ROW_BYTES).tolist()
        starts = (self.starts[there] * ROW_BYTES).tolist()
        self.spool.fetch(
            [PartRange(self.names[one], start, size) for one, start, size in zip(there, starts, sizes, strict=True)],
            octets,
        )
        at = 0
        for one, size in zip(there, sizes, strict=True):
            if zlib.crc32(octets[at : at + size]) != self.crcs[one]:
                raise broken(
                    self.spool, self.names[one], "this spill file holds other octets than were written (CRC-32 differs)"
                )
            at += size
        return rows

    @classmethod
    def joined(cls, some: Sequence[Self]) -> Self:
        """Return the pieces of neighbouring shards of one spool as those of one shard."""
        return cls(
            some[0].spool,
            tuple(name for one in some for name in one.names),
            *(np.concatenate([getattr(one, name) for one in some]) for name in ("starts", "rows", "crcs")),
        )


def pieces_of(spool: Spool, parts: Sequence[SpooledPart], shards: int) -> list[Pieces]:
    """Return the pieces of each shard in parts that are in the order of the snapshot."""
    names = tuple(part.name for part in parts)
    # A column for each shard, so that what a task pickles is what its own shard needs.
    rows = np.stack([part.rows for part in parts], axis=1) if parts else np.zeros((shards, 0), np.uint32)
    crcs = np.stack([part.crcs for part in parts], axis=1) if parts else np.zeros((shards, 0), np.uint32)
    starts = np.cumsum(rows, axis=0, dtype=np.int64) - rows
    return [Pieces(spool, names, *columns) for columns in zip(starts, rows, crcs, strict=True)]


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
    part = SpooledPart(os.urandom(8).hex(), counts.sum(axis=1).astype(np.uint32), np.zeros(len(counts), np.uint32))
    spool.put(part.name, _pieces(chunks, counts, part.crcs))
    return part


def _pieces(chunks: Sequence[SortedRows], counts: NDArray[np.intp], crcs: NDArray[np.uint32]) -> Iterator[memoryview]:
    """Yield the octets of each shard in each chunk, by shards, and note the checksums of these."""
    octets, starts = [chunk.rows.view(np.uint8).data for chunk in chunks], [0] * len(chunks)
    there = np.flatnonzero(counts.any(axis=1))
    for number, sizes in zip(there.tolist(), (counts[there] * ROW_BYTES).tolist(), strict=True):
        crc = 0
        for one, size in enumerate(sizes):
            piece = octets[one][starts[one] : starts[one] + size]
            crc = zlib.crc32(piece, crc)
            starts[one] += size
            yield piece
        crcs[number] = crc


def spooled(spool: Spool, rows: Spilled) -> Pieces:
    """Put the rows of one shard into a spool, as they are.

    Raises:
        SpoolError: the spool does not take them.
    """
    [pieces] = pieces_of(spool, [write_part(spool, [SortedRows.of(rows, np.zeros(len(rows), np.uint8), 1)])], 1)
    return pieces
