"""What the head says of certificates: of a few, read record by record, and of many, pack by pack.

Overlays come first, the newest before the others. Of what lies in shards, the history knows the statuses, and packs are
read for times and reasons of revocations alone; where there is no history, they are read for everything.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pregen.ended import EndedReader, remembered
from pregen.gates.comparison import Remembered, RememberedStatus
from pregen.generation.rows.groups import IS_REVOKED
from pregen.generation.rows.rows import ShardRows
from pregen.overlays import Entries
from pregen.overlays.entries import found
from pregen.overlays.records import pack_entries
from pregen.reasons import CERTIFICATE_HOLD
from pregen.routing_key import LOWER_BITS, serial_matrix
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON
from pregen.urgent.deciding import Standing, Statements
from storage.errors import ChecksumError, FormatError
from storage.history import EXPIRY_UNIT_S, NO_EXPIRY_UNITS, REMEMBERED_STATUSES, STATUS_BITS, HistoryIndex, read_part
from storage.key import overlapping, part_of
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32, ORIGINS, OverlayPart, read_overlay_part
from storage.pack import find
from storage.reader import Generation
from storage.stores import Store
from storage.tables import Shape

# From so many certificates of one pack on, reading it whole is faster than reading bucket by bucket.
WHOLE_FROM = 64
_DELTA = ORIGINS.index("delta")


class Lookout:
    """Looks certificates up in one generation; belongs to one process.

    Args:
        store: where it is.
        generation: which.
        index: what it has left behind for gates; None: nothing that can be read.
        issuer_ids: uint64[issuers], of those that rows number.
    """

    def __init__(
        self,
        store: Store,
        generation: Generation,
        index: HistoryIndex | None,
        issuer_ids: NDArray[np.uint64],
    ) -> None:
        self._store = store
        self._generation = generation
        self._index = index
        self._ids: list[int] = issuer_ids.tolist()
        records = sum(shard.rows for shard in generation.manifest.shards)
        self._knows_all = index is not None and sum(part.rows for part in index.parts) == records
        self._ended = EndedReader(store, index.ended if index else ())

    def look_up(self, rows: ShardRows) -> Standing:
        """Return what is said of the certificates of rows, which lie by ascending keys.

        Raises:
            FormatError: what says it is damaged.
            OSError: the store does not answer.
        """
        look = _Look(rows, self._ids)
        parts = {part.pack: part for part in self._index.overlays} if self._index else {}
        manifest, first = self._generation.manifest, self._first_overlays(look)
        for number, overlay in enumerate(manifest.overlays):
            places = look.unknown(overlay.low, overlay.high)
            found = self._read_records(look, overlay, places[first[places] <= number])
            if len(found):
                self._read_origins(look, overlay, parts.get(overlay.pack), found)
        in_shards = look.unknown(0, 1 << 32)
        unread = self._read_history(look, in_shards)
        for shard in manifest.shards_in(*look.key_range):
            places = look.within(in_shards, shard.low, shard.high)
            if len(places):
                self._read_records(look, shard, look.within(unread, shard.low, shard.high))
                look.as_of[places] = shard.as_of or 0
        self._read_ended(look)
        return look.standing()

    def _first_overlays(self, look: "_Look") -> NDArray[np.intp]:
        """Return the number of the first pack of overlays that may have each certificate; beyond the last: none has."""
        merged = self._generation.overlay_keys
        if merged is None:
            return np.zeros(len(look.keys), np.intp)
        columns = merged.columns
        keys, numbers = (np.frombuffer(column, f"u{column.itemsize}") for column in columns)
        halves = (look.keys >> LOWER_BITS).astype(keys.dtype)
        at = np.minimum(np.searchsorted(keys, halves), len(keys) - 1)
        none = len(self._generation.manifest.overlays)
        return np.where(keys[at] == halves, numbers[at], none).astype(np.intp)

    def _read_ended(self, look: "_Look") -> None:
        """Note what is no more than remembered, where rows do not say themselves that it is revoked for good."""
        places = look.unknown(0, 1 << 32)
        places = places[~look.is_final[places]]
        if len(places):
            keys = look.keys[places]
            known = self._ended.between(int(keys[0] >> LOWER_BITS), int(keys[-1] >> LOWER_BITS) + 1)
            look.has_ended[places[remembered(known, keys)]] = True

    def _read_history(self, look: "_Look", places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Note what the history says of certificates, and return those whose records are to be read all the same."""
        unread: list[NDArray[np.intp]] = []
        if self._index is None or not self._knows_all:
            return places  # where it does not know all, what it does not know proves nothing
        for part in overlapping(self._index.parts, *look.key_range):
            mine = look.within(places, part.low, part.high)
            if not len(mine):
                continue
            try:
                kept = Remembered.of_columns(read_part(self._store, part))
            except (FormatError, FileNotFoundError):  # the next run says so; packs know it as well
                unread.append(mine)
                continue
            unread.append(look.remember(kept, mine))
        return np.concatenate([np.empty(0, np.intp), *unread])

    def _read_records(self, look: "_Look", shard: Shard, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Note what a pack says of certificates, and return those that it has."""
        if len(places) >= WHOLE_FROM:
            return look.note_entries(places, pack_entries(self._store, self._generation, shard))
        if not len(places):
            return places
        loaded, pack = self._generation.tables[shard.windows], self._generation.pack(shard)
        shapes, has = [loaded.tables.shapes[run.shape] for run in loaded.tables.runs], []
        for place, key, issuer_id, serial in look.certificates(places):
            if not (wanted := loaded.wanted(issuer_id, len(serial))):
                continue
            bucket = part_of(key, shard.low, shard.high, pack.buckets)
            if (hit := find(pack, bucket, serial, loaded.strides, wanted)) is not None:
                look.note(place, shapes[hit[0]], hit[1])
                has.append(place)
        return np.array(has, np.intp)

    def _read_origins(self, look: "_Look", overlay: Shard, part: OverlayPart | None, places: NDArray[np.intp]) -> None:
        """Note as_of, origin and not_after of what an overlay says."""
        look.as_of[places], look.origin[places] = overlay.as_of or 0, _DELTA
        if part is None:  # of a publisher that did not know of such
            return
        columns = read_overlay_part(self._store, part)
        keys = np.frombuffer(columns.keys, "<u8")
        at = np.searchsorted(keys, look.keys[places])
        if (at >= len(keys)).any() or (keys[np.minimum(at, len(keys) - 1)] != look.keys[places]).any():
            raise ChecksumError(part.name, f"is not about the records of {overlay.pack}")
        look.as_of[places] = np.frombuffer(columns.as_of, "<u8").astype(np.int64)[at]
        look.origin[places] = np.frombuffer(columns.origins, np.uint8)[at]
        look.not_after[places] = np.frombuffer(columns.not_after, "<u4")[at]


class _Look:
    """Certificates that are looked up, and what is known of them so far."""

    def __init__(self, rows: ShardRows, issuer_ids: Sequence[int]) -> None:
        count = len(rows.keys)
        self.keys = rows.keys
        self._halves = rows.keys >> LOWER_BITS
        self._rows = rows
        self._ids = issuer_ids
        self.is_known = np.zeros(count, np.bool_)
        self.status = np.zeros(count, np.uint8)
        self.revoked_at = np.zeros(count, np.uint32)
        self.reason = np.full(count, NO_REASON, np.int8)
        self.not_after = np.full(count, NO_EXPIRY_32, np.uint32)
        self.as_of = np.zeros(count, np.int64)
        self.origin = np.zeros(count, np.uint8)
        self.has_ended = np.zeros(count, np.bool_)

    @property
    def is_final(self) -> NDArray[np.bool_]:
        """Which certificates are revoked for good by their rows."""
        final: NDArray[np.bool_] = IS_REVOKED[self._rows.codes & 3] & (self._rows.reason != CERTIFICATE_HOLD)
        return final

    @property
    def key_range(self) -> tuple[int, int]:
        """The upper halves of all keys are from the one number up to below the other: keys ascend."""
        return (int(self._halves[0]), int(self._halves[-1]) + 1) if len(self._halves) else (0, 0)

    def unknown(self, low: int, high: int) -> NDArray[np.intp]:
        """Return which certificates of a range nothing is known of yet."""
        return self.within(np.flatnonzero(~self.is_known), low, high)

    def within(self, places: NDArray[np.intp], low: int, high: int) -> NDArray[np.intp]:
        """Return those of some certificates whose keys are in a range."""
        halves = self._halves[places]
        return places[(halves >= np.uint64(low)) & (halves < np.uint64(high))]

    def certificates(self, places: NDArray[np.intp]) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield the place of each certificate, the upper half of its key, its issuer's id, and its serial."""
        codes, starts = self._rows.codes[places].tolist(), self._rows.starts[places].tolist()
        halves, octets = self._halves[places].tolist(), self._rows.octets
        for place, half, code, start in zip(places.tolist(), halves, codes, starts, strict=True):
            yield place, half, self._ids[code >> 8 & 0xFF_FFFF], octets[start : start + (code >> 2 & 63)].tobytes()

    def remember(self, kept: Remembered, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Note what a part of the history says of certificates, and return those whose records tell more."""
        if not len(kept.keys):
            return places[:0]
        at = np.searchsorted(kept.keys, self.keys[places])
        ends = np.searchsorted(kept.keys, self.keys[places], "right")
        is_there, is_alone = ends > at, ends == at + 1
        mine, words = places[is_alone], kept.words[at[is_alone]]
        status, units = (words & 3).astype(np.uint8), words >> np.uint32(STATUS_BITS)
        self.is_known[mine] = True
        self.status[mine] = status
        self.not_after[mine] = np.where(
            units == np.uint32(NO_EXPIRY_UNITS), NO_EXPIRY_32, units * np.uint32(EXPIRY_UNIT_S)
        )
        tells_more = np.isin(status, [RememberedStatus.REVOKED, RememberedStatus.ON_HOLD])
        return np.concatenate([mine[tells_more], places[is_there & ~is_alone]])

    def note(self, place: int, shape: Shape, record: bytes) -> None:
        """Note what a record says."""
        self.is_known[place] = True
        status, at = REMEMBERED_STATUSES.index(shape.status), shape.serial_bytes
        if "revoked_at" in shape.fields:
            self.revoked_at[place] = int.from_bytes(record[at : at + 4], "little")
            at += 4
        if "reason" in shape.fields:
            self.reason[place] = record[at]
            status = RememberedStatus.ON_HOLD if record[at] == CERTIFICATE_HOLD else status
        self.status[place] = status

    def note_entries(self, places: NDArray[np.intp], entries: Entries) -> NDArray[np.intp]:
        """Note what the records of a whole pack say, and return the certificates that it has."""
        codes = self._rows.codes[places]
        size = (codes >> 2 & 63).astype(np.uint8)
        serial = serial_matrix(self._rows.octets, self._rows.starts[places], MAX_SERIAL_BYTES)
        serial[np.arange(MAX_SERIAL_BYTES) >= size[:, None]] = 0
        issuer = np.array(self._ids, np.uint64)[codes >> 8 & 0xFF_FFFF]
        which, at = found(entries.keys, self.keys[places])
        same = (entries.issuers[at] == issuer[which]) & (entries.sizes[at] == size[which])
        same &= (entries.serials[at] == serial[which]).all(axis=1)
        mine: NDArray[np.intp] = places[which[same]]
        at = at[same]
        self.is_known[mine] = True
        self.status[mine], self.revoked_at[mine] = entries.status[at], entries.revoked_at[at]
        self.reason[mine] = entries.reason[at]
        return mine

    def standing(self) -> Standing:
        """Return all of it."""
        said = Statements(self.status, self.revoked_at, self.reason, self.not_after)
        return Standing(said, self.is_known, self.as_of, self.origin, self.has_ended)
