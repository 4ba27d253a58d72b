"""Packs as columns, of which the records of one range of keys are in memory at a time, however many there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from pregen.overlays.entries import NO_ENTRIES, Entries, EntryPlaces, Origin, order_of
from pregen.overlays.records import record_entries
from storage.errors import MalformedError, TruncatedError
from storage.key import part_of
from storage.manifest import Shard
from storage.overlay_part import OverlayColumns, OverlayPart, read_overlay_part
from storage.pack import PackReader, walk
from storage.reader import LoadedTables
from storage.stores import Store


@dataclass(frozen=True, slots=True)
class PackRecords:
    """Records of one pack.

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

    def window_ends(self) -> NDArray[np.int64]:
        """Return nextUpdate of each record, int64[n]."""
        tables = self.loaded.tables
        ends = np.array([tables.windows[run.window].next_update for run in tables.runs], np.int64)
        found: NDArray[np.int64] = ends[self.runs] if len(ends) else np.zeros(0, np.int64)
        return found


class RangedPack:
    """A pack whose records are read range by range.

    Args:
        store: where it is.
        shard: what the manifest says of it.
        loaded: the tables of its runs.
        as_of: since when it is right, where the history does not say.
        origin: likewise where its records come from.
        part: what the history says of its records; None: nothing.
    """

    def __init__(
        self,
        store: Store,
        shard: Shard,
        loaded: LoadedTables,
        as_of: int,
        origin: Origin,
        part: OverlayPart | None = None,
    ) -> None:
        self.shard = shard
        self._store = store
        self._loaded = loaded
        self._as_of = as_of
        self._origin = origin
        self._part = part
        nothing = np.empty(0, np.intp)
        self._nothing = PackRecords(loaded, NO_ENTRIES, nothing, nothing, {})
        self._buckets: _PackBuckets | None = None
        self._columns: OverlayColumns | None = None
        self._range, self._records = (0, 0), self._nothing

    def has_any(self, low: int, high: int) -> bool:
        """Tell whether there is any record of a range of keys."""
        if not self._overlaps(low, high):
            return False
        if self._part is None:
            return len(self.records(low, high).entries) > 0
        start, end = _between(np.frombuffer(self._history(self._part).keys, "<u8"), low, high)
        return start < end

    def records(self, low: int, high: int) -> PackRecords:
        """Return the records of a range of keys, by keys; those of the range before are forgotten.

        Raises:
            FormatError: the pack is damaged, or its history is about other records.
            FileNotFoundError: a part was removed.
            OSError: the store does not answer.
        """
        if self._range != (low, high):
            self._range, self._records = (0, 0), self._nothing  # so that there are never two
            if self._overlaps(low, high):
                self._range, self._records = (low, high), self._remembered(self._read(low, high), low, high)
            else:
                self._buckets = self._columns = None  # it lies behind, or comes later
        return self._records

    def _overlaps(self, low: int, high: int) -> bool:
        return self.shard.low < high and low < self.shard.high

    def _read(self, low: int, high: int) -> PackRecords:
        if self._buckets is None:
            self._buckets = _PackBuckets(self._store, self.shard)
        tables = self._loaded.tables
        parts, runs, rows = [NO_ENTRIES], [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        records = self._buckets.records(low, high, self._loaded.strides)
        for run, of_run in records.items():
            stored, shape = tables.runs[run], tables.shapes[tables.runs[run].shape]
            issuer_id = tables.issuers[stored.issuer].issuer_id
            parts.append(record_entries(of_run, issuer_id, shape, self._as_of, self._origin))
            runs.append(np.full(len(of_run), run, np.intp))
            rows.append(np.arange(len(of_run)))
        found = joined(parts)
        order = order_of(found)
        start, end = _between(found.keys[order], low, high)
        order = order[start:end]  # the first and the last bucket may hold keys beside the range
        return PackRecords(
            self._loaded, found.take(order), np.concatenate(runs)[order], np.concatenate(rows)[order], records
        )

    def _remembered(self, read: PackRecords, low: int, high: int) -> PackRecords:
        """Return records with what the history says of them, which is in the same order."""
        if self._part is None:
            return read
        columns = self._history(self._part)
        keys = np.frombuffer(columns.keys, "<u8")
        start, end = _between(keys, low, high)
        if not np.array_equal(keys[start:end], read.entries.keys):
            raise MalformedError(self._part.name, f"is not about the records of {self._part.pack}")
        entries = replace(
            read.entries,
            as_of=np.frombuffer(columns.as_of, "<u8")[start:end].astype(np.int64),
            not_after=np.frombuffer(columns.not_after, "<u4")[start:end].astype(np.uint32),
            origin=np.frombuffer(columns.origins, np.uint8)[start:end].copy(),
        )
        return replace(read, entries=entries)

    def _history(self, part: OverlayPart) -> OverlayColumns:
        if self._columns is None:
            self._columns = read_overlay_part(self._store, part)
        return self._columns


class _PackBuckets:
    """The directory of a pack, and whichever of its buckets were fetched last, by one read."""

    def __init__(self, store: Store, shard: Shard) -> None:
        self._store = store
        self._shard = shard
        self._octets, self._at = b"", 0
        directory = self._fetched(shard.directory_at, shard.size_bytes - shard.directory_at)
        self._pack = PackReader(
            shard.pack, shard.size_bytes, directory, shard.directory_at, shard.directory_crc, self._within
        )

    def records(self, low: int, high: int, strides: list[int]) -> Mapping[int, NDArray[np.uint8]]:
        """Return the records of all buckets that may hold keys of a range, by run: uint8[count, stride]."""
        pack, shard = self._pack, self._shard
        ends = max(low, shard.low), min(high, shard.high) - 1
        first, last = (part_of(key, shard.low, shard.high, pack.buckets) for key in ends)
        self._at, end = pack.offsets[first], pack.offsets[last + 1]
        if end <= self._at:
            raise pack.damaged(first, "has impossible bounds")
        self._octets = self._fetched(self._at, end - self._at)
        pieces: dict[int, list[NDArray[np.uint8]]] = {}
        for bucket in range(first, last + 1):
            for run, start, count, held in walk(pack, bucket, strides):
                of_run = np.frombuffer(held, np.uint8, count * strides[run], start)
                pieces.setdefault(run, []).append(of_run.reshape(count, strides[run]))
        self._octets = b""
        return {run: np.concatenate(pieces[run]) for run in sorted(pieces)}

    def _fetched(self, start: int, length: int) -> bytes:
        name, size = self._shard.pack, self._shard.size_bytes
        try:
            return self._store.get_range(name, start, length)
        except EOFError as e:
            raise TruncatedError(name, f"is shorter than the {size} octets of its manifest") from e

    def _within(self, start: int, length: int) -> bytes:
        return self._octets[start - self._at :][:length]


def joined(parts: Sequence[Entries]) -> Entries:
    """Return the entries of all parts, one part behind the other."""
    return Entries(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Entries)))


def _between(keys: NDArray[np.uint64], low: int, high: int) -> tuple[int, int]:
    """Return where keys of a range are, which lie side by side: those whose upper halves are in it."""
    start = int(np.searchsorted(keys, np.uint64(low << 32)))
    return start, len(keys) if high >= 1 << 32 else int(np.searchsorted(keys, np.uint64(high << 32)))
