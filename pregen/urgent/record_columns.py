"""Records that are copied, in columns: where each one's octets are, whose they are, and what is remembered of them."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from storage.certid import MAX_SERIAL_BYTES
from storage.errors import ChecksumError
from storage.manifest import Shard
from storage.pack import PackReader
from storage.stores.base import Store

# Of each record: its key and identity, its run in the union, where its octets are, and what is remembered of it.
RECORD = np.dtype(
    [
        ("key", "<u8"),
        ("issuer", "<u8"),
        ("serial", "u1", (MAX_SERIAL_BYTES,)),
        ("size", "u1"),
        ("run", "<i4"),
        ("source", "<i4"),
        ("row", "<i4"),
        ("as_of", "<u8"),
        ("not_after", "<u4"),
        ("origin", "u1"),
    ]
)
_IDENTITY = ["key", "issuer", "size", "serial"]
Records = NDArray[np.void]


class CopiedPack:
    """A pack that is what its manifest says, of which consecutive buckets are fetched by one read.

    Raises:
        FormatError: it is not.
        OSError: the store does not answer.
    """

    def __init__(self, store: Store, shard: Shard) -> None:
        octets = store.get(shard.pack)
        if shard.sha256 and hashlib.sha256(octets).digest() != shard.sha256:
            raise ChecksumError(shard.pack, "is not the pack that its manifest says")
        self._store = store
        self._fetched, self._at = b"", 0
        directory, at = octets[shard.directory_at :], shard.directory_at
        self.reader = PackReader(shard.pack, len(octets), directory, at, shard.directory_crc, self._within)

    @property
    def buckets(self) -> int:
        """How many there are."""
        count: int = self.reader.buckets
        return count

    def fetch(self, first: int, last: int) -> None:
        """Read buckets, so that they need not be read one by one."""
        self._at, end = self.reader.offsets[first], self.reader.offsets[last + 1]
        self._fetched = self._store.get_range(self.reader.name, self._at, end - self._at)

    def _within(self, start: int, length: int) -> bytes:
        return self._fetched[start - self._at :][:length]


def in_order(records: Records) -> Records:
    """Return records by key; those of equal keys by serial, a shorter one before those that it begins, then issuer."""
    order = np.argsort(records["key"], kind="stable")
    keys = records["key"][order]
    tied = np.zeros(len(keys) + 1, np.bool_)
    np.equal(keys[1:], keys[:-1], out=tied[1:-1])
    places = np.flatnonzero(tied[1:] | tied[:-1])
    if len(places):
        some = records[order[places]]
        serials = np.unique(
            np.ascontiguousarray(some["serial"]).view(f"V{MAX_SERIAL_BYTES}")[:, 0], return_inverse=True
        )
        order[places] = order[places][np.lexsort((some["issuer"], some["size"], serials[1], some["key"]))]
    return records[order]


def newest(records: Records) -> Records:
    """Return one record of each certificate in order, of several that which came first."""
    ordered = in_order(records)
    if len(ordered) < 2:
        return ordered
    same = np.ones(len(ordered) - 1, np.bool_)
    for name in _IDENTITY:
        equal = ordered[name][1:] == ordered[name][:-1]
        same &= equal.all(axis=1) if equal.ndim > 1 else equal
    kept: Records = ordered[np.concatenate([[True], ~same])]
    return kept
