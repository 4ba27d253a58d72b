"""Records of several generations, copied octet by octet into the packs of one overlay, with tables of their own."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.overlays.entries import Entries, concatenated, paired
from pregen.overlays.records import overlay_columns
from pregen.routing_key import LOWER_BITS
from pregen.upkeep.comparing import Compared
from pregen.upkeep.views import Viewer
from storage.key import key64
from storage.manifest import Shard
from storage.overlay_part import OverlayPart, encode_overlay_part
from storage.pack import PACK_ID_BYTES, Segment, bucket_count, build_pack, pack_name
from storage.reader import LoadedTables, load_tables
from storage.sealed import SEALED_ID_BYTES
from storage.stores import Store
from storage.tables import Run, Shape, StoredIssuer, Tables, Template, Window
from storage.tables_document import encode_tables, table_name
from storage.windows import encode_windows, windows_name

_PACK_BYTES = 5 << 20  # as a shard of P-256 has; a pack takes a few times that while it is made


class GatheredTables:
    """Tables of the runs that records come from, each issuer, template, shape and window once."""

    def __init__(self) -> None:
        self._all_issuers: list[StoredIssuer] = []
        self._templates: dict[Template, int] = {}
        self._shapes: dict[object, int] = {}
        self._all_shapes: list[Shape] = []
        self._windows: dict[Window, int] = {}
        self._runs: dict[Run, int] = {}
        self._known: dict[tuple[str, int], int] = {}

    def run(self, loaded: LoadedTables, number: int) -> int:
        """Return the number that a run of other tables has here."""
        key = loaded.name, number
        if key not in self._known:
            run = loaded.tables.runs[number]
            issuer = self._issuer(loaded.tables.issuers[run.issuer])
            shape = self._shape(loaded.tables, loaded.tables.shapes[run.shape])
            window = self._windows.setdefault(loaded.tables.windows[run.window], len(self._windows))
            self._known[key] = self._runs.setdefault(Run(issuer, shape, window), len(self._runs))
        return self._known[key]

    @property
    def tables(self) -> Tables:
        """All of it."""
        return Tables(
            issuers=tuple(self._all_issuers),
            templates=tuple(self._templates),
            shapes=tuple(self._all_shapes),
            windows=tuple(self._windows),
            runs=tuple(self._runs),
        )

    def _issuer(self, issuer: StoredIssuer) -> int:
        if issuer not in self._all_issuers:
            self._all_issuers.append(issuer)
        return self._all_issuers.index(issuer)

    def _shape(self, tables: Tables, shape: Shape) -> int:
        templates = tuple(tables.templates[response.template] for response in shape.responses)
        answer = shape.known_answer
        own = replace(
            shape,
            responses=tuple(
                replace(response, template=self._templates.setdefault(template, len(self._templates)))
                for response, template in zip(shape.responses, templates, strict=True)
            ),
        )
        kind = replace(own, known_answer=replace(answer, issuer=0, sha256=(), key=None))
        if kind not in self._shapes:
            self._shapes[kind] = len(self._all_shapes)
            whose = tables.issuers[answer.issuer]
            key = key64(answer.record[: shape.serial_bytes], whose.issuer_id)  # version 1 does not tell it
            self._all_shapes.append(replace(own, known_answer=replace(answer, issuer=self._issuer(whose), key=key)))
        return self._shapes[kind]


class Copier:
    """Collects records by ascending ranges of keys, and puts them into packs of one overlay."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tables = GatheredTables()
        self._blocks: dict[int, list[tuple[NDArray[np.uint8], NDArray[np.uint64]]]] = {}
        self._entries: list[Entries] = []
        self._size_bytes = 0
        self._low = 0
        self._packs: list[tuple[Shard, frozenset[int]]] = []
        self.parts: list[OverlayPart] = []

    def add(self, loaded: LoadedTables, run: int, entries: Entries, records: NDArray[np.uint8]) -> None:
        """Take records of one run; `entries` say the same, in the same order."""
        number = self._tables.run(loaded, run)
        self._blocks.setdefault(number, []).append((records, entries.keys))
        self._entries.append(entries)
        self._size_bytes += records.nbytes

    def close_range(self, high: int) -> None:
        """All records of keys below `high` were added."""
        if self._size_bytes >= _PACK_BYTES or (high >= 1 << 32 and self._size_bytes):
            self._put_pack(high)

    def finish(self) -> tuple[Shard, ...]:
        """Put the tables, and return what a manifest says of the packs.

        Raises:
            FormatError: the tables cannot be read back.
            OSError: the store does not take them.
        """
        tables = self._tables.tables
        octets = encode_tables(tables.lasting)
        name = table_name(octets)
        self._store.put(name, octets)
        octets = encode_windows(tables, name)
        windows = windows_name(octets)
        self._store.put(windows, octets)
        load_tables(self._store, windows)  # and all known answers with them
        return tuple(
            _dated(shard, windows, [tables.windows[tables.runs[run].window] for run in runs])
            for shard, runs in self._packs
        )

    def _put_pack(self, high: int) -> None:
        low, identity = self._low, os.urandom(PACK_ID_BYTES)
        name = pack_name(low, identity)
        buckets = bucket_count(self._size_bytes)
        blocks: list[memoryview] = []
        segments: list[Segment] = []
        for run, pieces in sorted(self._blocks.items()):
            records, keys = (np.concatenate(column) for column in zip(*pieces, strict=True))
            order = np.argsort(keys, kind="stable")
            records, at = records[order], (keys[order] >> LOWER_BITS).astype(np.int64) - low
            segments += _segments(run, len(blocks), at * buckets // (high - low), records.shape[1])
            blocks.append(np.ascontiguousarray(records).data.cast("B"))
        pack = build_pack(identity, buckets, sorted(segments), blocks, name)
        self._store.put(name, pack.octets)
        entries = concatenated(self._entries)
        part, octets = encode_overlay_part(os.urandom(SEALED_ID_BYTES), name, overlay_columns(entries))
        self._store.put(part.name, octets)
        self.parts.append(part)
        shard = Shard(
            low=low,
            high=high,
            pack=name,
            size_bytes=len(pack.octets),
            sha256=hashlib.sha256(pack.octets).digest(),
            directory_at=pack.directory_at,
            directory_crc=pack.directory_crc,
            windows="",
            rows=len(entries),
            revoked=int(np.isin(entries.status, (RememberedStatus.REVOKED, RememberedStatus.ON_HOLD)).sum()),
            refresh_by=0,
            next_update=0,
            as_of=int(entries.as_of.max()),
        )
        self._packs.append((shard, frozenset(self._blocks)))
        self._blocks, self._entries, self._size_bytes, self._low = {}, [], 0, high


def copy_chosen(compared: Compared, copier: Copier) -> None:
    """Copy what is chosen of one range; of a certificate only one generation has been asked."""
    for one in compared.copied:
        for loaded, run, places, records in one.view.records(one.choice.copied):
            copier.add(loaded, run, one.view.entries.take(places), records)


def copy_overlays(target: Viewer, compared: Compared, low: int, copier: Copier) -> None:
    """Copy what the overlays of the earlier generation say of a range, where nothing is copied on top of it."""
    view = target.in_overlays(low, compared.high)
    kept = np.ones(len(view.entries), np.bool_)
    for one in compared.copied:
        kept[paired(view.entries, one.view.entries.take(one.choice.copied))[0]] = False
    for loaded, run, places, records in view.records(kept):
        copier.add(loaded, run, view.entries.take(places), records)


def _segments(run: int, block: int, buckets: NDArray[np.int64], stride: int) -> Iterator[Segment]:
    """Yield where the records of each bucket lie in a block, given the bucket of each, ascending."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(buckets)) + 1])
    ends = np.append(starts[1:], len(buckets))
    for bucket, start, end in zip(buckets[starts].tolist(), starts.tolist(), ends.tolist(), strict=True):
        yield Segment(bucket, run, block, start * stride, end * stride, end - start)


def _dated(shard: Shard, windows_of: str, windows: Sequence[Window]) -> Shard:
    return replace(
        shard,
        windows=windows_of,
        refresh_by=min(window.refresh_by for window in windows),
        next_update=max(window.next_update for window in windows),
    )
