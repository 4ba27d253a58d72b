"""What a generation says of the certificates of a range of keys, and where each of these records lies.

Overlays say it first, then shards, as for a reader. Of a shard's certificates the history knows when they expire, to
about a quarter of an hour; it is taken to be later rather than earlier.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from pregen.overlays.entries import NO_ENTRIES, Entries, EntryPlaces, Origin, order_of, repeats
from pregen.overlays.records import record_entries
from pregen.snapshot.rows import Mask
from storage.errors import ChecksumError, MalformedError
from storage.history import (
    EXPIRY_UNIT_S,
    NO_EXPIRY_UNITS,
    STATUS_BITS,
    HistoryIndex,
    HistoryPart,
    read_index,
    read_part,
)
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32, OverlayPart, read_overlay_part
from storage.pack import open_pack, walk
from storage.reader import Generation, LoadedTables
from storage.stores import Store


@dataclass(frozen=True, slots=True)
class PackRecords:
    """The records of one pack.

    Attributes:
        loaded: the tables of its runs.
        entries: what they say.
        runs: intp[n], the run of each.
        rows: intp[n], which of the records of its run each is.
        records: by run, uint8[count, stride].
    """

    loaded: LoadedTables
    entries: Entries
    runs: EntryPlaces
    rows: EntryPlaces
    records: Mapping[int, NDArray[np.uint8]]

    def between(self, low: int, high: int) -> tuple[int, int]:
        """Return where the records of a range of keys are, which lie side by side."""
        start, end = np.searchsorted(self.entries.keys >> np.uint64(32), np.array([low, high], np.uint64)).tolist()
        return start, end

    def has_any(self, low: int, high: int) -> bool:
        """Tell whether there is any record of a range of keys."""
        start, end = self.between(low, high)
        return start < end

    def window_ends(self) -> NDArray[np.int64]:
        """Return nextUpdate of each record, int64[n]."""
        tables = self.loaded.tables
        ends = np.array([tables.windows[run.window].next_update for run in tables.runs], np.int64)
        found: NDArray[np.int64] = ends[self.runs] if len(ends) else np.zeros(0, np.int64)
        return found


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


class Viewer:
    """Shows one generation, range by range.

    Raises:
        FileNotFoundError: a part of it was removed.
        FormatError: a part of it is damaged.
        OSError: the store does not answer.
    """

    def __init__(self, store: Store, generation: Generation) -> None:
        self.generation = generation
        self._store = store
        name = generation.manifest.history
        self.index: HistoryIndex | None = None if name is None else read_index(store, name)
        remembered = {part.pack: part for part in self.index.overlays} if self.index else {}
        self.overlays = tuple(
            self._overlay(overlay, remembered.get(overlay.pack)) for overlay in generation.manifest.overlays
        )
        self._shards: dict[str, PackRecords] = {}

    def made_of(self, low: int, high: int) -> tuple[object, ...]:
        """Return what tells whether two generations say the same of a range, in which nobody need look then."""
        named = zip(self.generation.manifest.overlays, self.overlays, strict=True)
        overlays = [shard.pack for shard, pack in named if pack.has_any(low, high)]
        return (*overlays, *((one.pack, one.low, one.high) for one in self.shards(low, high)))

    def shards(self, low: int, high: int) -> list[Shard]:
        """Return the shards that hold keys of a range."""
        return [shard for shard in self.generation.manifest.shards if shard.low < high and low < shard.high]

    def in_overlays(self, low: int, high: int) -> View:
        """Return what overlays say of the certificates of a range."""
        return _view(self.overlays, len(self.overlays), low, high)

    def view(self, low: int, high: int) -> View:
        """Return what is said of the certificates of a range."""
        shards = self.shards(low, high)
        self._shards = {one.pack: self._shards.get(one.pack) or self._shard(one) for one in shards}
        return _view((*self.overlays, *self._shards.values()), len(self.overlays), low, high)

    def remembered(self, low: int, high: int) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.uint32]]]:
        """Yield keys and words of the history's parts that overlap a range."""
        for part in self._parts(low, high):
            columns = read_part(self._store, part)
            words = np.zeros((part.rows, 4), np.uint8)
            words[:, :3] = np.frombuffer(columns.words, np.uint8).reshape(-1, 3)
            yield np.frombuffer(columns.keys, "<u8"), words.view("<u4")[:, 0]

    def _parts(self, low: int, high: int) -> list[HistoryPart]:
        parts = self.index.parts if self.index else ()
        return [part for part in parts if part.low < high and low < part.high]

    def _shard(self, shard: Shard) -> PackRecords:
        records = self._records(shard, Origin.RUN)
        not_after = records.entries.not_after.copy()
        for keys, words in self.remembered(shard.low, shard.high):
            units = (words >> STATUS_BITS).astype(np.uint64)
            latest = np.where(
                units == NO_EXPIRY_UNITS, NO_EXPIRY_32, units * EXPIRY_UNIT_S + (EXPIRY_UNIT_S - 1)
            ).astype(np.uint32)
            at = np.searchsorted(keys, records.entries.keys)
            known = at < len(keys)
            known[known] = keys[at[known]] == records.entries.keys[known]
            not_after[known] = latest[at[known]]
        return replace(records, entries=replace(records.entries, not_after=not_after))

    def _overlay(self, overlay: Shard, part: OverlayPart | None) -> PackRecords:
        records = self._records(overlay, Origin.DELTA)
        if part is None:
            return records
        columns = read_overlay_part(self._store, part)
        if not np.array_equal(np.frombuffer(columns.keys, "<u8"), records.entries.keys):
            raise MalformedError(part.name, f"is not about the records of {part.pack}")
        entries = replace(
            records.entries,
            as_of=np.frombuffer(columns.as_of, "<u8").astype(np.int64),
            not_after=np.frombuffer(columns.not_after, "<u4").astype(np.uint32),
            origin=np.frombuffer(columns.origins, np.uint8),
        )
        return replace(records, entries=entries)

    def _records(self, shard: Shard, origin: Origin) -> PackRecords:
        loaded, octets = self.generation.tables[shard.tables], self._store.get(shard.pack)
        pack = open_pack(shard.pack, octets, shard.directory_at, shard.directory_crc)
        if len(octets) != shard.size_bytes:
            raise ChecksumError(shard.pack, f"has {len(octets)} octets where {shard.size_bytes} belong")
        pieces: dict[int, list[NDArray[np.uint8]]] = {}
        for bucket in range(pack.buckets):
            for run, start, count, held in walk(pack, bucket, loaded.strides):
                of_run = np.frombuffer(held, np.uint8, count * loaded.strides[run], start)
                pieces.setdefault(run, []).append(of_run.reshape(count, loaded.strides[run]))
        records = {run: np.concatenate(pieces[run]) for run in sorted(pieces)}
        tables, as_of = loaded.tables, self.generation.commit.as_of if shard.as_of is None else shard.as_of
        parts, runs, rows = [NO_ENTRIES], [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        for run, of_run in records.items():
            stored, shape = tables.runs[run], tables.shapes[tables.runs[run].shape]
            parts.append(record_entries(of_run, tables.issuers[stored.issuer].issuer_id, shape, as_of, origin))
            runs.append(np.full(len(of_run), run, np.intp))
            rows.append(np.arange(len(of_run)))
        joined = _joined(parts)
        order = order_of(joined)
        of_runs, of_rows = np.concatenate(runs), np.concatenate(rows)
        return PackRecords(loaded, joined.take(order), of_runs[order], of_rows[order], records)


def _joined(parts: Sequence[Entries]) -> Entries:
    return Entries(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Entries)))


def _view(packs: tuple[PackRecords, ...], overlays: int, low: int, high: int) -> View:
    """Return what packs say of a range, of each certificate what the first of them says."""
    parts, numbers, places = [NO_ENTRIES], [np.empty(0, np.intp)], [np.empty(0, np.intp)]
    for number, pack in enumerate(packs):
        start, end = pack.between(low, high)
        parts.append(pack.entries.take(np.arange(start, end)))
        numbers.append(np.full(end - start, number, np.intp))
        places.append(np.arange(start, end))
    joined = _joined(parts)
    order = order_of(joined)
    first = ~repeats(joined.take(order))
    order = order[first]
    return View(joined.take(order), packs, np.concatenate(numbers)[order], np.concatenate(places)[order], overlays)
