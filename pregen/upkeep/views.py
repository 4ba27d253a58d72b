"""What a generation says of the certificates of a range of keys, and where each of these records lies.

Overlays say it first, then shards, as for a reader. Of a shard's certificates the history knows when they expire, to
about a quarter of an hour; it is taken to be later rather than earlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pregen.overlays.entries import NO_ENTRIES, Entries, EntryPlaces, Origin, order_of, repeats
from pregen.snapshot.rows import Mask
from pregen.upkeep.packs import PackRecords, RangedPack, joined
from storage.history import (
    EXPIRY_UNIT_S,
    NO_EXPIRY_UNITS,
    STATUS_BITS,
    HistoryIndex,
    HistoryPart,
    read_index,
    read_part,
)
from storage.key import KEY32, overlapping
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32, OverlayPart
from storage.reader import Generation, LoadedTables
from storage.stores import Store


@dataclass(frozen=True, slots=True)
class View:
    """What is said of the certificates of a range of keys, each once.

    Attributes:
        entries: what.
        packs: where it lies.
        pack: intp[n], the index of each one's pack.
        place: intp[n], its place among the records of that.
        overlays: how many of the packs, the first ones, are of overlays.
    """

    entries: Entries
    packs: tuple[PackRecords, ...]
    pack: EntryPlaces
    place: EntryPlaces
    overlays: int

    @property
    def in_overlays(self) -> Mask:
        """Which of them an overlay says, bool[n]."""
        found: Mask = self.pack < self.overlays
        return found

    def only(self, keys: NDArray[np.uint64]) -> "View":
        """Return what is said of the certificates of some keys."""
        own = np.isin(self.entries.keys, keys)
        return replace(self, entries=self.entries.take(own), pack=self.pack[own], place=self.place[own])

    def window_ends(self) -> NDArray[np.int64]:
        """Return nextUpdate of each record, int64[n]."""
        ends = np.zeros(len(self.entries), np.int64)
        for number, pack in enumerate(self.packs):
            own = self.pack == number
            if own.any():
                ends[own] = pack.window_ends()[self.place[own]]
        return ends

    def records(self, mask: Mask) -> Iterator[tuple[LoadedTables, int, EntryPlaces, NDArray[np.uint8]]]:
        """Yield the records of some certificates by pack and run: tables, run, places in the view, uint8[n, stride]."""
        for number, pack in enumerate(self.packs):
            own = np.flatnonzero(mask & (self.pack == number))
            runs = pack.runs[self.place[own]]
            for run in np.unique(runs).tolist():
                places = own[runs == run]
                yield pack.loaded, run, places, pack.records[run][pack.rows[self.place[places]]]


Overlays: TypeAlias = dict[tuple[Shard, OverlayPart | None], RangedPack]


class Viewer:
    """Shows one generation, range by range: of what it has read, only the last range is kept.

    Args:
        store: where it is.
        generation: that is shown.
        overlays: packs of overlays that several generations share, so that each is read once for all of them.

    Raises:
        FileNotFoundError: a part of it was removed.
        FormatError: a part of it is damaged.
        OSError: the store does not answer.
    """

    def __init__(self, store: Store, generation: Generation, overlays: Overlays | None = None) -> None:
        self.generation = generation
        self._store = store
        name = generation.manifest.history
        self.index: HistoryIndex | None = None if name is None else read_index(store, name)
        remembered = {part.pack: part for part in self.index.overlays} if self.index else {}
        shared = {} if overlays is None else overlays
        self._overlays: dict[Shard, RangedPack] = {}
        for overlay in generation.manifest.overlays:
            part = remembered.get(overlay.pack)
            one = shared.get((overlay, part)) or self._pack(overlay, Origin.DELTA, part)
            self._overlays[overlay] = shared.setdefault((overlay, part), one)
        self._shards: dict[Shard, RangedPack] = {}

    def made_of(self, low: int, high: int) -> tuple[object, ...]:
        """Return what tells whether two generations say the same of a range, in which nobody need look then."""
        return tuple(
            (one.pack, one.low, one.high)
            for one in self.generation.manifest.searched_in(low, high)
            if one not in self._overlays or self._overlays[one].has_any(low, high)
        )

    def row_estimate(self, low: int, high: int) -> float:
        """Return about how many records a range has, shards and overlays together."""
        packs = self.generation.manifest.searched_in(low, high)
        within = ((one, min(high, one.high) - max(low, one.low)) for one in packs)
        return sum(one.rows * width / (one.high - one.low) for one, width in within)

    def whole_overlays(self) -> Iterator[PackRecords]:
        """Yield the records of all packs of overlays, each before the next one is read."""
        for pack in self._overlays.values():
            yield pack.records(0, KEY32)
            pack.records(0, 0)

    def in_overlays(self, low: int, high: int) -> View:
        """Return what overlays say of the certificates of a range."""
        packs = tuple(pack.records(low, high) for pack in self._overlays.values())
        return _view(packs, len(packs))

    def view(self, low: int, high: int) -> View:
        """Return what is said of the certificates of a range."""
        manifest = self.generation.manifest
        shards = manifest.shards_in(low, high)
        self._shards = {one: self._shards.get(one) or self._pack(one, Origin.RUN) for one in shards}
        found = {one: pack.records(low, high) for one, pack in self._overlays.items()}
        for one, pack in self._shards.items():
            found[one] = self._expiring(pack.records(low, high), low, high)
        packs = tuple(found[one] for one in manifest.searched_in(low, high))
        return _view(packs, len(manifest.overlays_in(low, high)))

    def remembered(self, low: int, high: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint32]]]:
        """Yield keys and words of the history's parts that overlap a range."""
        for part in self._parts(low, high):
            columns = read_part(self._store, part)
            words = np.zeros((part.rows, 4), np.uint8)
            words[:, :3] = np.frombuffer(columns.words, np.uint8).reshape(-1, 3)
            yield np.frombuffer(columns.keys, "<u8"), words.view("<u4")[:, 0]

    def _parts(self, low: int, high: int) -> tuple[HistoryPart, ...]:
        return overlapping(self.index.parts, low, high) if self.index else ()

    def _expiring(self, records: PackRecords, low: int, high: int) -> PackRecords:
        """Return records of a shard with what the history remembers of when their certificates expire."""
        not_after = records.entries.not_after.copy()
        for keys, words in self.remembered(low, high):
            units = (words >> STATUS_BITS).astype(np.uint64)
            latest = np.where(
                units == NO_EXPIRY_UNITS, NO_EXPIRY_32, units * EXPIRY_UNIT_S + (EXPIRY_UNIT_S - 1)
            ).astype(np.uint32)
            at = np.searchsorted(keys, records.entries.keys)
            known = at < len(keys)
            known[known] = keys[at[known]] == records.entries.keys[known]
            not_after[known] = latest[at[known]]
        return replace(records, entries=replace(records.entries, not_after=not_after))

    def _pack(self, shard: Shard, origin: Origin, part: OverlayPart | None = None) -> RangedPack:
        as_of = self.generation.commit.as_of if shard.as_of is None else shard.as_of
        return RangedPack(self._store, shard, self.generation.tables[shard.windows], as_of, origin, part)


def _view(packs: tuple[PackRecords, ...], overlays: int) -> View:
    """Return what packs say of a range, of each certificate what the first of them says."""
    parts, numbers, places = [NO_ENTRIES], [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for number, pack in enumerate(packs):
        parts.append(pack.entries)
        numbers.append(np.full(len(pack.entries), number, np.intp))
        places.append(np.arange(len(pack.entries)))
    every = joined(parts)
    order = order_of(every)
    order = order[~repeats(every.take(order))]
    return View(every.take(order), packs, np.concatenate(numbers)[order], np.concatenate(places)[order], overlays)
