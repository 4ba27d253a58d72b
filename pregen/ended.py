"""Final revocations whose certificates have ended: they have no answers any more, and are remembered for years.

The notAfter of a certificate never changes, but what a source says of it may: a date is mended, `keep_expired` grows,
or a column is read otherwise. Then a certificate that had ended has answers again, and to all that compares generations
it is a new one. So the keys of what was revoked for good are kept when it leaves a store: 10 octets each, 10 MB for a
million. Runs, urgent changes and rollbacks hold against them whatever is new to them.

They are forgotten after `REMEMBERED_DAYS`: no certificate that the Baseline Requirements allow was issued for longer
(code signing 39 months, S/MIME 1,185 days, TLS 398 days and less), so that by then the true notAfter has passed, too,
whatever was wrong with the one that the source said.
"""

import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from storage.ended_part import EndedColumns, EndedPart, encode_ended_part, read_ended_part
from storage.errors import FormatError
from storage.key import KEY32, split
from storage.sealed import SEALED_ID_BYTES
from storage.stores import Store

REMEMBERED_DAYS = 1_200
_PART_ROWS = 1 << 20  # 10 MiB: one is read, merged and written at a time
_HALF = 32
EndedKeys: TypeAlias = NDArray[np.uint64]
_EndedDays: TypeAlias = NDArray[np.uint16]
_NO_KEYS: EndedKeys = np.empty(0, np.uint64)


class EndedSince(NamedTuple):
    """What a new generation makes of revocations that have ended.

    Attributes:
        ended: uint64[n], keys of what was revoked for good, and has ended since.
        freed: uint64[n], keys of what is remembered, and has answers again that do not say so.
    """

    ended: EndedKeys = _NO_KEYS
    freed: EndedKeys = _NO_KEYS

    def plus(self, other: "EndedSince") -> "EndedSince":
        """Return the sum of two ranges, in whichever order."""
        return all_since([self, other])


NOTHING_ENDED = EndedSince()


def all_since(some: Sequence[EndedSince]) -> EndedSince:
    """Return the sum of ranges, in whichever order."""
    return EndedSince(
        np.concatenate([_NO_KEYS, *(one.ended for one in some)]),
        np.concatenate([_NO_KEYS, *(one.freed for one in some)]),
    )


class EndedReader:
    """Reads remembered keys, range by range; the part that was read last stays in memory."""

    def __init__(self, store: Store, parts: Sequence[EndedPart]) -> None:
        self._store = store
        self._parts = parts
        self._last: tuple[str, EndedKeys] = ("", _NO_KEYS)

    def between(self, low: int, high: int) -> EndedKeys:
        """Return the keys whose upper halves are from `low` up to below `high`, uint64[n], ascending.

        Raises:
            FormatError: a part is damaged.
            FileNotFoundError: one was removed.
            OSError: the store does not answer.
        """
        found = [_NO_KEYS]
        for part in self._parts:
            if part.low < high and low < part.high:
                if self._last[0] != part.name:
                    self._last = part.name, _columns(self._store, part)[0]
                keys = self._last[1]
                found.append(keys[_span(keys, low, high)])
        return found[-1] if len(found) <= 2 else np.unique(np.concatenate(found))


def remembered(keys: EndedKeys, among: EndedKeys) -> NDArray[np.intp]:
    """Return the places of remembered keys among others, both ascending.

    >>> remembered(np.array([2, 5], np.uint64), np.array([1, 2, 2, 7], np.uint64)).tolist()
    [1, 2]
    """
    first, last = (np.searchsorted(among, keys, side) for side in ("left", "right"))
    hit = np.flatnonzero(last > first)
    return np.concatenate([np.empty(0, np.intp), *map(np.arange, first[hit].tolist(), last[hit].tolist())])


def remember(
    store: Store, before: Iterable[EndedPart], since: EndedSince, day: int, *, passes_damage_over: bool = False
) -> tuple[EndedPart, ...]:
    """Put what is remembered from now on, and return where; parts of which nothing changes are named again.

    Args:
        store: where to.
        before: parts of earlier generations; their ranges may overlap.
        since: what has ended since, and what is free again.
        day: of what has ended, in days since 1970; what is older than `REMEMBERED_DAYS` then is forgotten.
        passes_damage_over: whether parts that cannot be read are passed over, since an operator has accepted that there
            are such; then all are read.

    Raises:
        FormatError, FileNotFoundError: a part cannot be read.
        OSError: the store does not answer.
    """
    parts = list({part.name: part for part in before}.values())
    ended, freed = np.unique(since.ended), np.unique(since.freed)
    count = -(-(sum(part.rows for part in parts) + len(ended)) // _PART_ROWS)
    done = []
    for low, high in pairwise(split(0, KEY32, count)) if count else ():
        old = [part for part in parts if part.low < high and low < part.high]
        new, gone = ended[_span(ended, low, high)], freed[_span(freed, low, high)]
        if len(old) == 1 and not passes_damage_over and _stays(old[0], low, high, new, gone, day):
            done.append(old[0])
            continue
        known = [_read(store, part, low, high, passes_damage_over=passes_damage_over) for part in old]
        part = _put(store, low, high, *_latest([*known, (new, np.full(len(new), day, np.uint16))], gone, day))
        done += [part] if part else []
    return tuple(done)


def _stays(part: EndedPart, low: int, high: int, new: EndedKeys, gone: EndedKeys, day: int) -> bool:
    return (
        (part.low, part.high) == (low, high) and not len(new) and not len(gone) and day - part.oldest <= REMEMBERED_DAYS
    )


def _latest(known: Sequence[tuple[EndedKeys, _EndedDays]], gone: EndedKeys, day: int) -> tuple[EndedKeys, _EndedDays]:
    """Return each key once, with the latest of its days, but for those that are free or old."""
    keys, days = (np.concatenate(column) for column in zip(*known, strict=True))
    kept = (days.astype(np.int64) >= day - REMEMBERED_DAYS) & ~np.isin(keys, gone)
    keys, days = keys[kept], days[kept]
    order = np.lexsort((days, keys))
    keys, days = keys[order], days[order]
    last = np.ones(len(keys), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=last[:-1])
    return keys[last], days[last]


def _put(store: Store, low: int, high: int, keys: EndedKeys, days: _EndedDays) -> EndedPart | None:
    if not len(keys):
        return None
    columns = EndedColumns(keys.astype("<u8").tobytes(), days.astype("<u2").tobytes())
    part, octets = encode_ended_part(os.urandom(SEALED_ID_BYTES), low, high, columns, int(days.min()))
    store.put(part.name, octets)
    return part


def _read(
    store: Store, part: EndedPart, low: int, high: int, *, passes_damage_over: bool
) -> tuple[EndedKeys, _EndedDays]:
    try:
        keys, days = _columns(store, part)
    except (FormatError, FileNotFoundError):
        if not passes_damage_over:
            raise
        return _NO_KEYS, np.empty(0, np.uint16)
    within = _span(keys, low, high)
    return keys[within], days[within]


def _columns(store: Store, part: EndedPart) -> tuple[EndedKeys, _EndedDays]:
    columns = read_ended_part(store, part)
    keys, days = np.frombuffer(columns.keys, "<u8"), np.frombuffer(columns.days, "<u2")
    return keys.astype(np.uint64, copy=False), days.astype(np.uint16, copy=False)


def _span(keys: EndedKeys, low: int, high: int) -> slice:
    start = int(np.searchsorted(keys, np.uint64(low << _HALF)))
    return slice(start, len(keys) if high >= KEY32 else int(np.searchsorted(keys, np.uint64(high << _HALF))))
