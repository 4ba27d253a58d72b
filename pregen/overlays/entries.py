"""What is said of certificates, in columns: by the records of overlays, or by any others.

An entry is more than a record: it knows since when it is true, where it comes from, and when its certificate expires.
All columns have the same length, and lie by ascending keys. Different certificates may have equal keys, so whoever
looks for one compares issuer and serial too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.routing_key import xxh64
from pregen.snapshot.rows import Mask
from storage.certid import MAX_SERIAL_BYTES
from storage.overlay_part import NO_EXPIRY_32

EntryPlaces: TypeAlias = NDArray[np.intp]


class Origin(IntEnum):
    """Where an entry comes from; the numbers are those of the stored form."""

    RUN, DELTA, REVOKE, HOLD = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """What is said of n certificates.

    Attributes:
        keys: uint64[n], ascending (`storage.key.key64`).
        issuers: uint64[n], ids of issuers.
        serials: uint8[n, 21], content octets, and zeros behind them.
        sizes: uint8[n], how many octets each serial has.
        status: uint8[n], `RememberedStatus`: revoked is what is final, and on hold is another status.
        revoked_at: uint32[n], seconds since 1970; 0 where neither revoked nor on hold.
        reason: int8[n], CRLReason; -1: none.
        not_after: uint32[n], seconds since 1970; `NO_EXPIRY_32` is also "later, or nobody says".
        as_of: int64[n], since when that is known to be true, in seconds since 1970.
        origin: uint8[n], `Origin`. What `release` says comes from `HOLD` too.
    """

    keys: NDArray[np.uint64]
    issuers: NDArray[np.uint64]
    serials: NDArray[np.uint8]
    sizes: NDArray[np.uint8]
    status: NDArray[np.uint8]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    not_after: NDArray[np.uint32]
    as_of: NDArray[np.int64]
    origin: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def is_final(self) -> Mask:
        """Which are revoked for good, bool[n]."""
        final: Mask = self.status == RememberedStatus.REVOKED
        return final

    def serial(self, place: int) -> bytes:
        """Return the content octets of one serial."""
        return self.serials[place, : int(self.sizes[place])].tobytes()

    def take(self, places: EntryPlaces | Mask) -> "Entries":
        """Return the entries at `places`, or where a mask holds; they must lie by ascending keys still."""
        return Entries(*(getattr(self, one.name)[places] for one in fields(self)))

    def between(self, low: int, high: int) -> "Entries":
        """Return the entries of keys whose upper halves are from `low` up to below `high`."""
        within = self.span(low, high)
        return Entries(*(getattr(self, one.name)[within] for one in fields(self)))

    def span(self, low: int, high: int) -> slice:
        """Return where the entries are whose keys have upper halves from `low` up to below `high`."""
        start = int(np.searchsorted(self.keys, np.uint64(low << 32)))
        return slice(start, len(self) if high >= 1 << 32 else int(np.searchsorted(self.keys, np.uint64(high << 32))))

    def expired(self, before: int | None) -> Mask:
        """Tell which certificates need no answer any more: those whose not_after is before that second; None: none."""
        if before is None:
            return np.zeros(len(self), np.bool_)
        # As rows are left out: times that 32 bits cannot name are the first and the last second that they can.
        limit = np.uint32(min(max(before, 0), NO_EXPIRY_32))
        return self.not_after < limit

    def of_issuers(self, ids: Iterable[int]) -> "Entries":
        """Return the entries of some issuers alone."""
        chosen = np.isin(self.issuers, np.fromiter(ids, np.uint64))
        return self if chosen.all() else self.take(chosen)


NO_ENTRIES = Entries(
    keys=np.empty(0, np.uint64),
    issuers=np.empty(0, np.uint64),
    serials=np.empty((0, MAX_SERIAL_BYTES), np.uint8),
    sizes=np.empty(0, np.uint8),
    status=np.empty(0, np.uint8),
    revoked_at=np.empty(0, np.uint32),
    reason=np.empty(0, np.int8),
    not_after=np.empty(0, np.uint32),
    as_of=np.empty(0, np.int64),
    origin=np.empty(0, np.uint8),
)


def concatenated(parts: Iterable[Entries]) -> Entries:
    """Return all entries of lists by ascending keys; of one certificate those of the first list come first.

    The lists may be in any order. Equal keys of different certificates are in that of the stored form: by serial, a
    shorter one before those that it begins.
    """
    every = [one for one in parts if len(one)] or [NO_ENTRIES]
    joined = every[0] if len(every) == 1 else _joined(every)
    if _is_ascending(joined.keys):  # no further copy of what may be a million
        return joined
    return joined.take(order_of(joined))


def _is_ascending(keys: NDArray[np.uint64]) -> bool:
    return bool((keys[1:] > keys[:-1]).all())


def _joined(parts: Sequence[Entries]) -> Entries:
    return Entries(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Entries)))


def order_of(joined: Entries) -> EntryPlaces:
    """Return the stable order of entries that lie in none: by ascending keys, those of one certificate side by side."""
    order = np.argsort(joined.keys, kind="stable")
    tied = _with_equal_neighbour(joined.keys[order])
    if len(tied):
        order[tied] = order[tied][_by_certificate(joined, order[tied])]
    return order


def newest(parts: Iterable[Entries]) -> Entries:
    """Return one entry of each certificate: that of the first of several lists that has one."""
    every = concatenated(parts)
    again = repeats(every)
    return every.take(~again) if again.any() else every


class Gathered:
    """Entries of many lists, copied one after the other into columns that have room for all: none is there twice.

    Args:
        count: how many there will be; if there are more, that only takes longer.
    """

    def __init__(self, count: int) -> None:
        self._columns = [np.empty((count, *one.shape[1:]), one.dtype) for one in _columns(NO_ENTRIES)]
        self._count = 0

    def add(self, entries: Entries) -> None:
        """Take the next list."""
        start, self._count = self._count, self._count + len(entries)
        for at, column in enumerate(_columns(entries)):
            if self._count > len(self._columns[at]):
                self._columns[at] = np.concatenate([self._columns[at][:start], column])
            else:
                self._columns[at][start : self._count] = column

    def newest(self) -> Entries:
        """Return one entry of each certificate: that of the first list that has one; nothing can be added then."""
        if not _is_ascending(self._entries().keys):
            self._take(order_of(self._entries()))
        again = repeats(self._entries())
        if again.any():
            self._take(~again)
        return self._entries()

    def _entries(self) -> Entries:
        return Entries(*(column[: self._count] for column in self._columns))

    def _take(self, places: EntryPlaces | Mask) -> None:
        """Choose or order entries, one column after the other."""
        for at, column in enumerate(self._columns):
            self._columns[at] = column[: self._count][places]
        self._count = len(self._columns[0])


def _columns(entries: Entries) -> list[NDArray[np.generic]]:
    return [getattr(entries, one.name) for one in fields(entries)]


def repeats(ordered: Entries) -> Mask:
    """Tell which entries, in the order of `order_of`, are of the same certificate as the one before; bool[n]."""
    found = np.zeros(len(ordered), np.bool_)
    if len(ordered) > 1:
        places = np.flatnonzero(ordered.keys[1:] == ordered.keys[:-1]) + 1
        found[places[same(ordered, places, ordered, places - 1)]] = True
    return found


def without(entries: Entries, others: Entries) -> Entries:
    """Return the entries of certificates that `others` have none of."""
    kept = np.ones(len(entries), np.bool_)
    kept[paired(entries, others)[0]] = False
    return entries if kept.all() else entries.take(kept)


def under(entries: Entries, issuer_id: int) -> Entries:
    """Return what entries say, as of another issuer, which answers for the same certificates by another name or key."""
    keys, seed = np.empty(len(entries), np.uint64), np.array([issuer_id], np.uint64)
    for size in np.flatnonzero(np.bincount(entries.sizes)).tolist():
        places = np.flatnonzero(entries.sizes == size)
        keys[places] = xxh64(entries.serials[places, :size], seed)
    return concatenated([replace(entries, keys=keys, issuers=np.full(len(entries), issuer_id, np.uint64))])


def paired(one: Entries, other: Entries) -> tuple[EntryPlaces, EntryPlaces]:
    """Return the places, on both sides, of entries of one certificate; each side has one of a certificate at most."""
    which, place = found(one.keys, other.keys)
    alike = same(other, which, one, place)
    return place[alike], which[alike]


def found(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> tuple[EntryPlaces, EntryPlaces]:
    """Return where wanted keys stand: the index of a wanted one, and a place among `keys`, ascending, that has it.

    >>> [places.tolist() for places in found(np.array([1, 2, 2, 5], np.uint64), np.array([2, 3, 5], np.uint64))]
    [[0, 0, 2], [1, 2, 3]]
    """
    left, right = (np.searchsorted(keys, wanted, side) for side in ("left", "right"))
    counts = right - left
    which = np.repeat(np.arange(len(wanted)), counts)
    return which, np.repeat(left - np.cumsum(counts) + counts, counts) + np.arange(len(which))


def same(one: Entries, places: EntryPlaces, other: Entries, others: EntryPlaces) -> Mask:
    """Tell which pairs are of one certificate: `places[i]` of one side and `others[i]` of the other; bool[n]."""
    alike: Mask = one.issuers[places] == other.issuers[others]
    alike &= one.sizes[places] == other.sizes[others]
    alike &= (one.serials[places] == other.serials[others]).all(axis=1)
    return alike


def _with_equal_neighbour(keys: NDArray[np.uint64]) -> EntryPlaces:
    equal = np.zeros(len(keys) + 1, np.bool_)
    np.equal(keys[1:], keys[:-1], out=equal[1:-1])
    return np.flatnonzero(equal[1:] | equal[:-1])


def _by_certificate(entries: Entries, places: EntryPlaces) -> EntryPlaces:
    """Return the stable order of some entries: by key, serial, and issuer."""
    serials = np.ascontiguousarray(entries.serials[places])
    ordered = np.unique(serials.view(f"V{MAX_SERIAL_BYTES}")[:, 0], return_inverse=True)[1]
    return np.lexsort((entries.issuers[places], entries.sizes[places], ordered, entries.keys[places]))
