"""A router puts rows into parts, which are sorted by shard: 48 octets each, and a checksum of every piece."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.generation.rows.groups import again_for, group_codes
from pregen.generation.rows.parts import SortedRows, SpooledPart, part_rows, write_part
from pregen.generation.rows.spill import (
    PRECERTIFICATE_BIT,
    SPILLED,
    WITHHELD,
    Spilled,
    clipped,
    take,
)
from pregen.generation.rows.spool import Spool
from pregen.routing_key import keys, serial_matrix, serial_octets, serial_offsets
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON, StatusBatch, Withheld

_TABLE_BITS = 18

Repeats: TypeAlias = tuple[tuple[int, int], ...]  # indices of issuers: whose rows are spooled for whom as well


class ShardFinder:
    """Finds the shards of keys, wherever these are cut.

    The upper bits of a key are looked up in a table, which says the shard of nearly all keys; those near a bound, which
    share their upper bits with keys of another shard, are looked for among the bounds.
    """

    def __init__(self, bounds: Sequence[int]) -> None:
        """Make the table; `bounds` of the shards' key ranges begin with 0, ascend, and end with 2**32."""
        self.shards = len(bounds) - 1
        # 512 cells a shard leave one row in 500 to be looked for; a larger table would not fit into a CPU's cache.
        bits = min(_TABLE_BITS, self.shards.bit_length() + 9)
        self._shift = np.uint64(64 - bits)
        self._bounds = np.array(bounds, np.uint64)
        starts = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(32 - bits)
        first, last = self._of(starts[:-1]), self._of(starts[1:] - np.uint64(1))
        # In the smallest type that holds it: numpy sorts 8 and 16 bits by radix.
        self._table = np.where(first == last, first, self.shards).astype(np.min_scalar_type(self.shards))

    def of(self, key: NDArray[np.uint64]) -> NDArray[np.unsignedinteger]:
        """Return the shard of each key.

        >>> ShardFinder([0, 2**31, 2**32]).of(np.array([0, 2**63 - 1, 2**63], np.uint64)).tolist()
        [0, 0, 1]
        """
        shard = self._table.take((key >> self._shift).view(np.int64), mode="clip")  # nothing is beyond the table
        near = np.flatnonzero(shard == self.shards)
        if len(near):
            shard[near] = self._of(key[near] >> np.uint64(32))
        return shard

    def _of(self, key32: NDArray[np.uint64]) -> NDArray[np.intp]:
        return np.searchsorted(self._bounds, key32, side="right") - 1


class Router:
    """Puts batches of rows into parts of a spool; all methods may raise `SpoolError`, as the spool does."""

    def __init__(
        self, spool: Spool, bounds: Sequence[int], issuer_ids: NDArray[np.uint64], repeats: Repeats = (), rows: int = 0
    ) -> None:
        """Route about so many `rows` with others who work for the same run."""
        self._spool = spool
        self._finder = ShardFinder(bounds)
        self._issuer_ids = issuer_ids
        self._repeats = repeats
        self._part_rows = part_rows(rows, self._finder.shards)
        self._chunks: list[SortedRows] = []
        self._waiting = 0
        self._parts: list[SpooledPart] = []

    def write(self, batch: StatusBatch) -> NDArray[np.uint64]:
        """Spool the rows of one batch, all of which are in parts after `take_parts`, and return their keys, uint64[n].

        Withheld rows are spooled too, so that they meet the other rows of their certificates.
        """
        key = self._keys(batch.serial, batch.issuer)
        rows = _spilled(batch, key)
        self._add(rows, key)
        self._repeat(rows, batch.serial, batch.issuer)
        if (apart := batch.withheld) is not None:
            withheld = self._keys(apart.serial, apart.issuer)
            rows = _withheld(batch, apart, withheld)
            self._add(rows, withheld)
            self._repeat(rows, apart.serial, apart.issuer)
        return key

    def _repeat(self, rows: Spilled, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> None:
        """Spool the rows of some issuers once more, for the issuers that answer for them as well."""
        for source, target in self._repeats:
            places = np.flatnonzero(issuer == source)
            if not len(places):
                continue
            again = take(rows, places)
            again["key"] = keys(serial.take(pa.array(places, pa.int64())), self._issuer_ids[target : target + 1])
            again["code"] = again_for(again["code"], target)
            self._add(again, again["key"])

    def _keys(self, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> NDArray[np.uint64]:
        return keys(serial, self._issuer_ids if len(self._issuer_ids) == 1 else self._issuer_ids[issuer])

    def _add(self, rows: Spilled, key: NDArray[np.uint64]) -> None:
        self._chunks.append(SortedRows.of(rows, self._finder.of(key), self._finder.shards))
        self._waiting += len(rows)
        if self._waiting >= self._part_rows:
            self._put()

    def _put(self) -> None:
        self._parts.append(write_part(self._spool, self._chunks))
        self._chunks, self._waiting = [], 0

    def take_parts(self) -> list[SpooledPart]:
        """Return the parts that hold all rows since the last call, in their order."""
        if self._waiting:
            self._put()
        taken, self._parts = self._parts, []
        return taken


def _spilled(batch: StatusBatch, key: NDArray[np.uint64]) -> Spilled:
    rows = np.empty(len(batch), SPILLED)
    sizes = _put_serials(rows, batch.serial)
    rows["key"] = key
    rows["row"] = batch.row
    rows["not_after"] = clipped(batch.not_after)
    rows["revoked_at"] = batch.revoked_at
    rows["code"] = group_codes(batch.issuer, sizes, batch.status, batch.reason)
    if batch.precertificate is not None:
        rows["code"] |= batch.precertificate * PRECERTIFICATE_BIT
    rows["file"] = batch.file
    rows["reason"] = batch.reason
    return rows


def _withheld(batch: StatusBatch, withheld: Withheld, key: NDArray[np.uint64]) -> Spilled:
    rows = np.zeros(len(withheld.row), SPILLED)
    sizes = _put_serials(rows, withheld.serial)
    rows["key"] = key
    rows["row"] = withheld.row
    rows["code"] = group_codes(withheld.issuer, sizes, withheld.status, np.full(len(rows), NO_REASON, np.int8))
    rows["file"] = batch.file
    rows["reason"] = WITHHELD
    if withheld.until is not None:
        rows["revoked_at"] = clipped(withheld.until)
    return rows


def _put_serials(rows: Spilled, serial: pa.BinaryArray) -> NDArray[np.int32]:
    """Put serials into rows, and return their lengths."""
    offsets, octets = serial_offsets(serial), serial_octets(serial)
    first, last = int(offsets[0]), int(offsets[-1])
    padded = np.append(octets[first:last], np.zeros(MAX_SERIAL_BYTES, np.uint8))
    serials = serial_matrix(padded, offsets[:-1] - first, MAX_SERIAL_BYTES)
    rows["serial"] = serials.view(f"V{MAX_SERIAL_BYTES}")[:, 0]
    return np.diff(offsets)
