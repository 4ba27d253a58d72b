"""A router puts rows into the spill files of their shards: 48 octets each, and a checksum of every file."""

import contextlib
import resource
import weakref
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import SpoolError
from pregen.generation.rows.groups import again_for, group_codes
from pregen.generation.rows.spill import (
    PRECERTIFICATE_BIT,
    ROW_BYTES,
    SPILLED,
    WITHHELD,
    Spilled,
    clipped,
    shard_folder,
    take,
)
from pregen.routing_key import keys, serial_matrix, serial_octets, serial_offsets
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON, StatusBatch, Withheld

SPARE_FILES = 256  # what the rest of the process has open
BUFFERS_BYTES = 16 << 20  # of one router, for all of its files
BUFFER_BYTES = 64 << 10  # of one file, at most
_TABLE_BITS = 18

ShardCounts = NDArray[np.int64]
Repeats: TypeAlias = tuple[tuple[int, int], ...]  # indices of issuers: whose rows are spooled for whom as well


@dataclass(frozen=True, slots=True)
class Written:
    """What a router has written so far.

    Attributes:
        name: of its files.
        rows: int64[shards], how many went where.
        crcs: uint32[shards], CRC-32 of the octets of its files.
    """

    name: str
    rows: ShardCounts
    crcs: NDArray[np.uint32]


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
    """Writes batches of rows to its own files of all shards; they are closed at the latest when it goes.

    Raises:
        SpoolError: the disk is full, or too few files may be open at once; so do all methods.
    """

    def __init__(
        self, folder: Path, bounds: Sequence[int], issuer_ids: NDArray[np.uint64], name: str, repeats: Repeats = ()
    ) -> None:
        shards = len(bounds) - 1
        _allow_open_files(shards + SPARE_FILES)
        self._finder = ShardFinder(bounds)
        self._rows: ShardCounts = np.zeros(shards, np.int64)
        self._crcs = [0] * shards
        self._folder = folder
        self._name = name
        self._issuer_ids = issuer_ids
        self._repeats = repeats
        self._files: list[BinaryIO] = []
        self._abandoned = weakref.finalize(self, _abandon, self._files)
        buffering = min(BUFFER_BYTES, max(ROW_BYTES, BUFFERS_BYTES // shards))
        with spooling(folder):
            for number in range(shards):
                self._files.append((shard_folder(folder, number) / name).open("xb", buffering))

    def write(self, batch: StatusBatch) -> NDArray[np.uint64]:
        """Spool the rows of one batch, which are in the files after `flush`, and return their keys, uint64[n].

        Withheld rows are spooled too, so that they meet the other rows of their certificates.
        """
        key = self._keys(batch.serial, batch.issuer)
        rows = _spilled(batch, key)
        self._spool(rows, key)
        self._repeat(rows, batch.serial, batch.issuer)
        if (apart := batch.withheld) is not None:
            withheld = self._keys(apart.serial, apart.issuer)
            rows = _withheld(batch, apart, withheld)
            self._spool(rows, withheld)
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
            self._spool(again, again["key"])

    def _keys(self, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> NDArray[np.uint64]:
        return keys(serial, self._issuer_ids if len(self._issuer_ids) == 1 else self._issuer_ids[issuer])

    def _spool(self, rows: Spilled, key: NDArray[np.uint64]) -> None:
        shard = self._finder.of(key)
        routed = take(rows, np.argsort(shard, kind="stable"))
        counts = np.bincount(shard, minlength=len(self._files))
        octets, start = routed.view(np.uint8).data, 0
        with spooling(self._folder):
            for number, size in enumerate((counts * ROW_BYTES).tolist()):
                if size:
                    part = octets[start : start + size]
                    self._crcs[number] = zlib.crc32(part, self._crcs[number])
                    self._files[number].write(part)
                    start += size
        self._rows += counts

    def written(self) -> Written:
        """Return what was written so far."""
        return Written(self._name, self._rows.copy(), np.array(self._crcs, np.uint32))

    def flush(self) -> None:
        """Finish what was written so far."""
        with spooling(self._folder):
            for file in self._files:
                file.flush()

    def close(self) -> None:
        """Finish and close all files, even if one of them fails."""
        self._abandoned.detach()
        with spooling(self._folder), contextlib.ExitStack() as closing:
            for file in self._files:
                closing.callback(file.close)


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


def _abandon(files: list[BinaryIO]) -> None:
    """Close files that are finished, or that an error has made worthless: it was said before."""
    for file in files:
        with contextlib.suppress(OSError):
            file.close()


@contextlib.contextmanager
def spooling(folder: Path) -> Iterator[None]:
    """Say what to do where spill files cannot be written.

    Raises:
        SpoolError: the disk is full, or too few files may be open at once.
    """
    try:
        yield
    except OSError as e:
        raise SpoolError(f"{folder}: writing spill files failed ({e}): free some space, or set [run] spool") from e


def _allow_open_files(count: int) -> None:
    """Raise this process's own limit of open files: all shards are written at once, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SpoolError(
            f"{count:,} files must be open at once, {hard:,} are allowed here: raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
