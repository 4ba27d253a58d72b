"""Many overlays become one, by copying: records are taken octet by octet from packs that match their manifest.

Of each certificate the newest record stays, with what is remembered of it: since when it is right, and where it comes
from. Ranges are merged one after the other, so memory is bounded by the packs of one.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen.errors import VerificationError
from pregen.generation.making.layout import Layout
from pregen.generation.rows.rows import ShardRows
from pregen.generation.rows.sharding import PACK_BYTES, SHARD_ROWS
from pregen.routing_key import LOWER_BITS, xxh64
from pregen.urgent.ground import Ground
from pregen.urgent.record_columns import RECORD, CopiedPack, Records, in_order, newest
from pregen.urgent.united_tables import Union, unite
from storage.errors import ChecksumError
from storage.key import KEY32, part_of
from storage.manifest import Shard
from storage.overlay_part import (
    NO_EXPIRY_32,
    ORIGINS,
    OverlayColumns,
    OverlayPart,
    encode_overlay_part,
    read_overlay_part,
)
from storage.pack import PACK_ID_BYTES, build_pack, find, open_pack, pack_name, walk
from storage.reader import Generation, LoadedTables
from storage.response import Assembler
from storage.stores.base import Store

_DELTA = ORIGINS.index("delta")


@dataclass(frozen=True, slots=True)
class Merged:
    """An overlay that stands for several: its packs, what is remembered of them, and octets put."""

    shards: tuple[Shard, ...]
    parts: tuple[OverlayPart, ...]
    put_bytes: int


def merge_overlays(ground: Ground) -> Merged:
    """Store one overlay that says what all of the head's do.

    Raises:
        FormatError: one of them is damaged.
        VerificationError: what was put is not what was meant.
        OSError: the store does not answer.
    """
    store, current = ground.store, ground.current
    overlays = current.manifest.overlays
    union = unite({one.windows: current.tables[one.windows] for one in overlays})
    for name, octets in union.objects.items():
        store.put(name, octets)
    put_bytes = sum(map(len, union.objects.values()))
    parts = {part.pack: part for part in ground.index.overlays} if ground.index else {}
    merging = _Merging(store, current, union, parts)
    done = [merging.range(low, high) for low, high in _ranges(overlays)]
    whole = [one for one in done if one is not None]
    put_bytes += sum(shard.size_bytes + part.size_bytes for shard, part in whole)
    return Merged(tuple(shard for shard, _ in whole), tuple(part for _, part in whole), put_bytes)


def _ranges(overlays: Sequence[Shard]) -> Iterator[tuple[int, int]]:
    """Yield ranges of keys, all of them together, that hold about as many records as a pack should."""
    rows, octets = sum(one.rows for one in overlays), sum(one.size_bytes for one in overlays)
    pieces = max(1, -(-rows // SHARD_ROWS), -(-octets // PACK_BYTES))
    cuts = [number * KEY32 // pieces for number in range(pieces + 1)]
    yield from pairwise(cuts)


class _Merging:
    """Merges one range of keys after the other."""

    def __init__(self, store: Store, current: Generation, union: Union, parts: dict[str, OverlayPart]) -> None:
        self._store = store
        self._current = current
        self._union = union
        self._parts = parts
        self._packs = {one.pack: CopiedPack(store, one) for one in current.manifest.overlays}
        self._loaded = LoadedTables(union.name, union.tables)
        self._shapes = np.array([run.shape for run in union.tables.runs], np.intp)
        self._strides = np.array(self._loaded.strides, np.intp)

    def range(self, low: int, high: int) -> tuple[Shard, OverlayPart] | None:
        """Store the records of a range, and what is remembered of them; None: there are none."""
        sources: list[NDArray[np.uint8]] = []
        found = [np.empty(0, RECORD)]
        for overlay in self._current.manifest.overlays:
            if overlay.low < high and low < overlay.high:
                records = self._read(overlay, max(low, overlay.low), min(high, overlay.high), sources)
                # A bucket may lie across the bound of a range: its records of the neighbour are left to that.
                halves = records["key"] >> LOWER_BITS
                found.append(records[(halves >= np.uint64(low)) & (halves < np.uint64(high))])
        records = newest(np.concatenate(found))
        if not len(records):
            return None
        shard = self._store_pack(low, high, records, sources)
        columns = OverlayColumns(
            records["key"].tobytes(),
            records["as_of"].tobytes(),
            records["not_after"].tobytes(),
            records["origin"].tobytes(),
        )
        part, octets = encode_overlay_part(os.urandom(PACK_ID_BYTES), shard.pack, columns)
        self._store.put(part.name, octets)
        return shard, part

    def _read(self, overlay: Shard, low: int, high: int, sources: list[NDArray[np.uint8]]) -> Records:
        """Return the records of all buckets that a range has, by key and serial, and note where their octets are."""
        pack, loaded = self._packs[overlay.pack], self._current.tables[overlay.windows]
        first, last = (part_of(key, overlay.low, overlay.high, pack.buckets) for key in (low, high - 1))
        pack.fetch(first, last)
        pieces: dict[int, list[bytes]] = {}
        for bucket in range(first, last + 1):
            for run, start, count, held in walk(pack.reader, bucket, loaded.strides):
                pieces.setdefault(run, []).append(held[start : start + count * loaded.strides[run]])
        read = [np.empty(0, RECORD)]
        for run, some in pieces.items():
            rows = np.frombuffer(b"".join(some), np.uint8).reshape(-1, loaded.strides[run])
            read.append(self._columns(overlay, loaded, run, rows, len(sources)))
            sources.append(rows)
        records = in_order(np.concatenate(read))
        if (part := self._parts.get(overlay.pack)) is not None:
            columns = read_overlay_part(self._store, part)
            keys = np.frombuffer(columns.keys, "<u8")
            start, end = np.searchsorted(keys, [records["key"][0], records["key"][-1] + 1]) if len(records) else (0, 0)
            # Both are matched by their place alone: where one lacks a row, all after it would get another's memory.
            if not np.array_equal(keys[start:end], records["key"]):
                raise ChecksumError(part.name, f"is not about the records of {overlay.pack}")
            records["as_of"] = np.frombuffer(columns.as_of, "<u8")[start:end]
            records["not_after"] = np.frombuffer(columns.not_after, "<u4")[start:end]
            records["origin"] = np.frombuffer(columns.origins, np.uint8)[start:end]
        return records

    def _columns(self, overlay: Shard, loaded: LoadedTables, run: int, rows: NDArray[np.uint8], source: int) -> Records:
        tables = loaded.tables
        size = tables.shapes[tables.runs[run].shape].serial_bytes
        issuer_id = tables.issuers[tables.runs[run].issuer].issuer_id
        records = np.zeros(len(rows), RECORD)
        records["key"] = xxh64(rows[:, :size], np.array([issuer_id], np.uint64))
        records["issuer"], records["size"] = issuer_id, size
        records["serial"][:, :size] = rows[:, :size]
        records["run"] = self._union.numbers[overlay.windows][run]
        records["source"], records["row"] = source, np.arange(len(rows))
        records["as_of"], records["not_after"], records["origin"] = overlay.as_of or 0, NO_EXPIRY_32, _DELTA
        return records

    def _store_pack(self, low: int, high: int, records: Records, sources: Sequence[NDArray[np.uint8]]) -> Shard:
        layout = Layout(_rows_of(records), records["run"].astype(np.intp), self._shapes)
        blocks = []
        for block in layout.blocks():
            data = np.empty((len(block.rows), self._union.tables.shapes[block.shape].stride), np.uint8)
            source, row = records["source"][block.rows], records["row"][block.rows]
            for number in np.unique(source).tolist():
                mine = np.flatnonzero(source == number)
                data[mine] = sources[number][row[mine]]
            blocks.append(data)
        identity = os.urandom(PACK_ID_BYTES)
        name = pack_name(low, identity)
        buckets = layout.buckets(self._strides, low, high)
        segments = layout.segments(self._strides, low, high, buckets)
        pack = build_pack(identity, buckets, segments, [block.data.cast("B") for block in blocks], name)
        self._store.put(name, pack.octets)
        # Nothing is signed here, so no later check would notice: what edges get is held against what was meant.
        stored = self._store.get(name)
        if stored != pack.octets:
            raise VerificationError(
                f"{name}: the store returns other octets than were put: check the disk or the bucket"
            )
        runs = [self._union.tables.runs[run] for run in np.unique(records["run"]).tolist()]
        windows = [self._union.tables.windows[run.window] for run in runs]
        status = np.array([self._union.tables.shapes[shape].status == "revoked" for shape in self._shapes.tolist()])
        shard = Shard(
            low=low,
            high=high,
            pack=name,
            size_bytes=len(stored),
            sha256=hashlib.sha256(stored).digest(),
            directory_at=pack.directory_at,
            directory_crc=pack.directory_crc,
            windows=self._union.name,
            rows=len(records),
            revoked=int(np.count_nonzero(status[records["run"]])),
            refresh_by=min(window.refresh_by for window in windows),
            next_update=max(window.next_update for window in windows),
            as_of=int(records["as_of"].min()),
        )
        self._compare(shard, stored, records)
        return shard

    def _compare(self, shard: Shard, stored: bytes, records: Records) -> None:
        """See that one record of each run is found, and becomes the response that it became before.

        Raises:
            VerificationError: it does not.
        """
        pack = open_pack(shard.pack, stored, shard.directory_at, shard.directory_crc)
        counted = sum(
            count for bucket in range(pack.buckets) for _, _, count, _ in walk(pack, bucket, self._loaded.strides)
        )
        if counted != len(records):
            raise VerificationError(f"{shard.pack} holds {counted:,} records where {len(records):,} belong")
        # One of each run: what can go wrong beside the copied octets is the run's number in the united tables.
        _, first = np.unique(records["run"], return_index=True)
        for record in records[first]:
            issuer_id, serial = int(record["issuer"]), record["serial"][: int(record["size"])].tobytes()
            bucket = part_of(int(record["key"]) >> 32, shard.low, shard.high, pack.buckets)
            hit = find(pack, bucket, serial, self._loaded.strides, self._loaded.wanted(issuer_id, len(serial)))
            if hit is None or not self._as_before(hit, issuer_id, serial, int(record["key"]) >> 32):
                raise VerificationError(f"{shard.pack}: a record that was copied does not become the same response")

    def _as_before(self, hit: tuple[int, bytes], issuer_id: int, serial: bytes, key: int) -> bool:
        run, octets = hit
        tables = self._union.tables
        responses = range(len(tables.shapes[tables.runs[run].shape].responses))
        made = [Assembler(self._union.name, tables, tables.runs[run], one).response(octets) for one in responses]
        for overlay in self._current.manifest.overlays:
            loaded = self._current.tables[overlay.windows]
            if not overlay.low <= key < overlay.high:
                continue
            pack = self._current.pack(overlay)
            bucket = part_of(key, overlay.low, overlay.high, pack.buckets)
            old = find(pack, bucket, serial, loaded.strides, loaded.wanted(issuer_id, len(serial)))
            if old is not None:
                run_before = loaded.tables.runs[old[0]]
                before = [Assembler(loaded.name, loaded.tables, run_before, one).response(old[1]) for one in responses]
                return made == before
        return False


def _rows_of(records: Records) -> ShardRows:
    """Return records as the layout of a pack asks for them."""
    nothing = np.empty(0, np.uint8)
    return ShardRows(
        key32=(records["key"] >> LOWER_BITS).astype(np.uint32),
        octets=nothing,
        starts=np.empty(0, np.intp),
        codes=np.empty(0, np.int64),
        revoked_at=np.empty(0, np.uint32),
        reason=np.empty(0, np.int8),
    )
