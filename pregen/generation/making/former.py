"""Packs of the current generation as columns: where each of their records begins, and in which run it is.

A pack is fetched whole and must be what its manifest says. Its buckets are walked side by side, one run of each at a
time, so that a pack of a thousand issuers, which has about as many runs as records, takes no loop over these.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.generation.making.layout import Numbers
from pregen.signers import Octets
from storage.errors import FormatError, MalformedError
from storage.manifest import Shard
from storage.pack import CHECKSUM, RUN_COUNT, RUN_HEADER, open_pack
from storage.stores import Store

_RUN, _COUNT = np.dtype("<u4"), np.dtype("<u2")


class FormerPackError(Exception):
    """A pack of the current generation is not what its manifest says: nothing can be carried over from it."""


@dataclass(frozen=True, slots=True)
class FormerPack:
    """A pack as columns.

    Attributes:
        octets: uint8[...], the whole pack.
        runs: intp[n], the number of each record's run in the windows of the pack.
        starts: intp[n], where each record begins in `octets`.
        buckets: int32[n], the bucket of each record.
        count: of buckets in the pack.
    """

    octets: Octets
    runs: Numbers
    starts: Numbers
    buckets: NDArray[np.int32]
    count: int

    def between(self, first: int, last: int) -> "FormerPack":
        """Return the records of some buckets, the last one of them included."""
        these = np.flatnonzero((self.buckets >= first) & (self.buckets <= last))
        return FormerPack(self.octets, self.runs[these], self.starts[these], self.buckets[these], self.count)


def read_former_pack(store: Store, shard: Shard, strides: Numbers) -> FormerPack:
    """Return a pack of the current generation.

    Args:
        store: where it is.
        shard: what its manifest says of it.
        strides: intp[runs], octets of a record of each run.

    Raises:
        FormerPackError: it is missing, damaged, or another one.
        OSError: the store does not answer.
    """
    try:
        stored = store.get(shard.pack)
    except FileNotFoundError:
        raise FormerPackError(f"{shard.pack}: is missing") from None
    if not shard.sha256:
        raise FormerPackError(f"{shard.pack}: its manifest does not say which SHA-256 it has")
    if hashlib.sha256(stored).digest() != shard.sha256:
        raise FormerPackError(f"{shard.pack}: its octets have another SHA-256 than its manifest says")
    try:
        pack = open_pack(shard.pack, stored, shard.directory_at, shard.directory_crc)
        octets = np.frombuffer(stored, np.uint8)
        runs, starts, buckets = _records(shard.pack, octets, np.array(pack.offsets, np.intp), strides)
    except FormatError as e:
        raise FormerPackError(str(e)) from e
    if len(runs) != shard.rows:
        raise FormerPackError(f"{shard.pack}: holds {len(runs):,} records where its manifest says {shard.rows:,}")
    return FormerPack(octets, runs, starts, buckets, pack.buckets)


def _records(
    name: str, octets: Octets, offsets: Numbers, strides: Numbers
) -> tuple[Numbers, Numbers, NDArray[np.int32]]:
    """Return the run of each record, where it begins, and its bucket; records are in no particular order."""
    at, ends, buckets = offsets[:-1] + CHECKSUM.size, offsets[1:], np.arange(len(offsets) - 1, dtype=np.int32)
    if (at + RUN_COUNT.size > ends).any():
        raise MalformedError(name, "has a bucket of impossible bounds")
    left = _numbers(octets, at, _COUNT)
    at = at + RUN_COUNT.size
    found: list[tuple[Numbers, Numbers, Numbers, NDArray[np.int32]]] = []
    while True:
        going = np.flatnonzero(left)
        if (at[left == 0] != ends[left == 0]).any():
            raise MalformedError(name, "has a bucket with octets behind its last run")
        if not len(going):
            break
        at, ends, left, buckets = at[going], ends[going], left[going] - 1, buckets[going]
        if (at + RUN_HEADER.size > ends).any():
            raise MalformedError(name, "has a bucket in which a run is cut off")
        run, count = _numbers(octets, at, _RUN), _numbers(octets, at + _RUN.itemsize, _COUNT)
        if int(run.max()) >= len(strides):
            raise MalformedError(name, "has a run that is not in its windows")
        start = at + RUN_HEADER.size
        at = start + count * strides[run]
        if (at > ends).any():
            raise MalformedError(name, "has a bucket in which records are cut off")
        found.append((run, count, start, buckets))
    if not found:
        return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.int32)
    runs, counts, starts, of_buckets = (np.concatenate(column) for column in zip(*found, strict=True))
    each = np.repeat(runs, counts)
    before: Numbers = np.repeat(np.cumsum(counts) - counts, counts)
    within: Numbers = np.arange(len(each)) - before
    return each, np.repeat(starts, counts) + within * strides[each], np.repeat(of_buckets, counts)


def _numbers(octets: Octets, at: Numbers, kind: np.dtype[np.uint16] | np.dtype[np.uint32]) -> Numbers:
    """Return the numbers of a kind that begin at some places, which need not be aligned."""
    overlapping = np.ndarray((len(octets) - kind.itemsize + 1,), kind, octets, strides=(1,))
    return overlapping[at].astype(np.intp)
