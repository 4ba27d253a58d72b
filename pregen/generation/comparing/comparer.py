"""The certificates of a new generation beside those of the current one, range by range, in a worker.

The history says what the current generation has, and when that expires. Where there is none, or a part of it cannot be
read, the packs say what is revoked: nothing is freed because nobody remembers it. When certificates expire they do not
say, so what is gone from there may have expired as well as vanished; what of it is revoked stays, in an overlay.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from pregen.ended import NOTHING_ENDED, EndedReader, EndedSince, remembered
from pregen.gates.comparison import (
    NOT_COMPARED,
    Comparison,
    Keys,
    Remembered,
    RememberedStatus,
    compare,
    pair,
    with_overlays,
    with_returned,
    without_ends,
    words,
)
from pregen.generation.rows.truth import NOTHING_STAYS, Overlaid, Staying, all_staying
from pregen.overlays.entries import Entries
from pregen.overlays.records import pack_entries
from storage.commits import Head
from storage.ended_part import EndedPart
from storage.errors import FormatError
from storage.history import HistoryPart, read_part
from storage.key import overlapping
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32
from storage.reader import Generation
from storage.stores import Store

_NO_KEYS: Keys = np.empty(0, np.uint64)
_NOTHING = Remembered(_NO_KEYS, np.empty(0, np.uint32))


@dataclass(frozen=True, slots=True)
class ComparisonJob:
    """What a worker needs to compare shards with the current generation; it pickles.

    Attributes:
        open_store: returns the store, opened in the process that calls it.
        parts: of the current generation's history; None: it has none that can be read.
        expired_before: see `pregen.gates.comparison.compare`.
        head: the current generation; None: its packs are never read.
        dropped: ids of issuers that it has, and that are dropped.
        issuers: ids of those whose revoked certificates stay where nobody knows whether they have expired.
        ended: where final revocations are remembered whose certificates have ended.
    """

    open_store: Callable[[], Store]
    parts: tuple[HistoryPart, ...] | None
    expired_before: int | None
    head: Head | None = None
    dropped: frozenset[int] = frozenset()
    issuers: frozenset[int] = frozenset()
    ended: tuple[EndedPart, ...] = ()


class Now(NamedTuple):
    """What a range of keys has from now on.

    Attributes:
        rows: what rows say, after the overlays were heard.
        overlaid: what overlays say of these certificates; None: nothing.
        staying: what of that stays in an overlay.
        expired: uint64[n], ascending: keys of certificates that rows have, and that have expired.
        ended: uint64[n], ascending: keys of final revocations that are remembered though they have ended.
    """

    rows: Remembered
    overlaid: Overlaid | None = None
    staying: Staying = NOTHING_STAYS
    expired: Keys = _NO_KEYS
    ended: Keys = _NO_KEYS

    def between(self, low: int, high: int) -> "Now":
        """Return what keys have whose upper halves are from `low` up to below `high`; lists of keys stay whole."""
        overlaid = self.overlaid.between(low, high) if self.overlaid else None
        return self._replace(rows=self.rows.between(low, high), overlaid=overlaid)


class ComparedRange(NamedTuple):
    """What became of the current generation's certificates.

    Attributes:
        comparison: that.
        lost: what stays of those that nobody knows the end of.
        since: what of revocations has ended, or comes back from there.
    """

    comparison: Comparison = NOT_COMPARED
    lost: Staying = NOTHING_STAYS
    since: EndedSince = NOTHING_ENDED

    def plus(self, other: "ComparedRange") -> "ComparedRange":
        """Return the sum of two ranges."""
        stays = [one for one in (self.lost, other.lost) if len(one.entries)]
        lost = stays[0] if len(stays) == 1 else all_staying(stays)
        return ComparedRange(self.comparison.plus(other.comparison), lost, self.since.plus(other.since))


class Comparer:
    """Compares ranges of keys with the current generation, in one process."""

    def __init__(self, job: ComparisonJob) -> None:
        self._job = job
        self._store = job.open_store()
        self._ended = EndedReader(self._store, job.ended)

    @cached_property
    def _current(self) -> Generation | None:
        return Generation(self._store, self._job.head) if self._job.head is not None else None

    def compare(self, low: int, high: int, now: Now) -> ComparedRange:
        """Compare the new entries of keys whose upper halves are in [low, high).

        Raises:
            OSError: the store does not answer.
        """
        total, at = ComparedRange(), low
        try:
            now = now._replace(ended=self._ended.between(low, high))
        except FormatError as e:
            total = ComparedRange(Comparison(damaged=(str(e),)))
        except FileNotFoundError as e:
            total = ComparedRange(Comparison(damaged=(f"{e.filename or e}: is missing",)))
        pieces = self._packs(low, high, now) if self._job.parts is None else self._parts(low, high, now)
        for start, end, piece in pieces:
            if at < start:
                total = total.plus(self._with(_NOTHING, now.between(at, start)))
            total, at = total.plus(piece), end
        return total if at >= high else total.plus(self._with(_NOTHING, now.between(at, high)))

    def _parts(self, low: int, high: int, now: Now) -> Iterator[tuple[int, int, ComparedRange]]:
        """Yield ranges that the history has, compared: memory is bounded by one part of it."""
        for part in overlapping(self._job.parts or (), low, high):
            start, end = max(part.low, low), min(part.high, high)
            yield start, end, self._part(part, start, end, now.between(start, end))

    def _part(self, part: HistoryPart, low: int, high: int, now: Now) -> ComparedRange:
        try:
            before = Remembered.of_columns(read_part(self._store, part)).between(low, high)
            dropped = self._dropped(low, high)
        except FormatError as e:
            return self._damaged(str(e), low, high, now)
        except FileNotFoundError:
            return self._damaged(f"{part.name}: is missing", low, high, now)
        if (before.keys[1:] < before.keys[:-1]).any():
            return self._damaged(f"{part.name}: its keys are out of order", low, high, now)
        return self._with(before, now, dropped)

    def _damaged(self, text: str, low: int, high: int, now: Now) -> ComparedRange:
        """Return what packs tell of a range in the place of a part of the history, which is damaged."""
        total, at = ComparedRange(Comparison(damaged=(text,))), low
        for _, end, piece in self._packs(low, high, now):
            total, at = total.plus(piece), end
        return total.plus(self._blind(now.between(at, high))) if at < high else total

    def _packs(self, low: int, high: int, now: Now) -> Iterator[tuple[int, int, ComparedRange]]:
        """Yield ranges that shards have, compared with what their packs say: memory is bounded by one pack."""
        for shard in self._current.manifest.shards_in(low, high) if self._current else ():
            start, end = max(shard.low, low), min(shard.high, high)
            yield start, end, self._pack(shard, start, end, now.between(start, end))

    def _pack(self, shard: Shard, low: int, high: int, now: Now) -> ComparedRange:
        try:
            entries = self._entries(shard).between(low, high)
        except FormatError as e:
            return self._blind(now, str(e))
        except FileNotFoundError:
            return self._blind(now, f"{shard.pack}: is missing")
        ends = np.where(np.isin(entries.keys, now.expired), np.uint32(0), np.uint32(NO_EXPIRY_32))
        before = Remembered(entries.keys, words(entries.status.astype(np.uint32), ends))
        lost = self._lost(entries, now)
        dropped = entries.keys[np.isin(entries.issuers, np.array(sorted(self._job.dropped), np.uint64))]
        seen = self._with(before, now, dropped, lost.entries.keys)
        return seen._replace(comparison=without_ends(seen.comparison), lost=lost)

    def _blind(self, now: Now, *damaged: str) -> ComparedRange:
        """Return what is known of a range of which no pack can be read: which revocations have ended before."""
        since = _ended_since(_NOTHING, now, self._job.expired_before)
        seen = Comparison(after=len(now.rows.keys), damaged=damaged)
        return ComparedRange(with_returned(seen, since.freed), since=since)

    def _entries(self, shard: Shard) -> Entries:
        assert self._current is not None
        return pack_entries(self._store, self._current, shard)

    def _lost(self, entries: Entries, now: Now) -> Staying:
        """Return what stays of records that are revoked for good, and of which there is no row."""
        entries = entries.take(entries.is_final).of_issuers(self._job.issuers)
        known = [now.rows.keys, now.expired, *([now.overlaid.entries.keys] if now.overlaid else [])]
        lost = entries.take(~np.isin(entries.keys, np.concatenate(known)))
        nothing = np.zeros(len(lost), np.bool_)
        return Staying(lost, ~nothing, nothing) if len(lost) else NOTHING_STAYS

    def _with(self, before: Remembered, now: Now, dropped: Keys = _NO_KEYS, lost: Keys = _NO_KEYS) -> ComparedRange:
        """Return the comparison with what is known of one range."""
        expired_before, alone = self._job.expired_before, 0
        if now.overlaid is not None:
            lacking = now.staying.lacking
            entries = _dated(now.overlaid.entries, before.keys, now)
            before, alone = _overlaid(before, entries, lacking.take(lacking.as_of > now.overlaid.as_of).keys)
            lost = np.union1d(now.staying.entries.keys, lost)
        seen = compare(before, now.rows, expired_before, dropped, staying=lost, overlaid=alone)
        since = _ended_since(before, now, expired_before)
        returned = since.freed[~np.isin(since.freed, before.keys)]
        return ComparedRange(with_returned(seen, returned), since=since)

    def _dropped(self, low: int, high: int) -> Keys:
        """Return the keys of all certificates of dropped issuers, ascending."""
        if not self._job.dropped or self._current is None:
            return _NO_KEYS
        shards = self._current.manifest.shards_in(low, high)
        found = [self._entries(one).of_issuers(self._job.dropped).between(low, high).keys for one in shards]
        return np.concatenate([_NO_KEYS, *found])


def _ended_since(before: Remembered, now: Now, expired_before: int | None) -> EndedSince:
    """Return what has ended of what was revoked for good, and what is remembered and has answers that do not say so."""
    final = np.flatnonzero((before.status == RememberedStatus.REVOKED) & before.expired(expired_before))
    ended = before.keys[final]
    freed = remembered(now.ended, now.rows.keys)
    freed = freed[now.rows.status[freed] != RememberedStatus.REVOKED]
    return EndedSince(ended[~np.isin(ended, now.rows.keys)], now.rows.keys[freed])


def _dated(entries: Entries, others: Keys, now: Now) -> Entries:
    """Return what overlays say: what they alone have, and do not know the end of, ends when rows say.

    To learn when a certificate ends moves nothing; `others` are the keys that shards have.
    """
    undated = np.flatnonzero((entries.not_after == NO_EXPIRY_32) & ~np.isin(entries.keys, others))
    if not len(undated):
        return entries
    not_after = entries.not_after.copy()
    mine, theirs = pair(entries.keys[undated], now.rows.keys)
    not_after[undated[mine]] = now.rows.not_after[theirs]
    not_after[undated[np.isin(entries.keys[undated], now.expired)]] = 0
    return replace(entries, not_after=not_after)


def _overlaid(before: Remembered, entries: Entries, lacking: Keys) -> tuple[Remembered, int]:
    """Return the certificates of a generation with its overlays, and how many lie in these alone.

    What an overlay alone has, and is newer than the snapshot, is not missed there: `lacking` are its keys.
    """
    mine, _ = pair(entries.keys, lacking)
    told = np.ones(len(entries), np.bool_)
    told[mine] = False
    told[pair(entries.keys, before.keys)[0]] = True
    entries = entries.take(told)
    return with_overlays(before, Remembered(entries.keys, words(entries.status.astype(np.uint32), entries.not_after)))
