"""The records of packs as entries: those of overlays, with what the history remembers of them, and those of shards."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.overlays.entries import Entries, Gathered, Origin, concatenated
from pregen.reasons import CERTIFICATE_HOLD
from pregen.routing_key import xxh64
from pregen.snapshot import NO_REASON
from storage.certid import MAX_SERIAL_BYTES
from storage.errors import ChecksumError, FormatError, MalformedError
from storage.history import REMEMBERED_STATUSES, HistoryIndex
from storage.manifest import Shard
from storage.overlay_part import NO_EXPIRY_32, OverlayColumns, OverlayPart, read_overlay_part
from storage.pack import open_pack, walk
from storage.reader import Generation
from storage.stores import Store
from storage.tables import Shape

MOST_OVERLAYS = 8


class OverlayEntries(NamedTuple):
    """What the overlays of a generation say, one entry a certificate, and what of them cannot be read."""

    entries: Entries
    damage: tuple[str, ...] = ()


def read_overlays(
    store: Store, current: Generation, index: HistoryIndex | None, overlays: Sequence[Shard] | None = None
) -> OverlayEntries:
    """Return what the overlays of a generation say: the newest counts, as for a reader.

    An overlay that its history says nothing of counts as a delta, complete for its own as_of, and nobody knows when its
    certificates expire. What is damaged is told, and what can be read of it counts all the same.

    Args:
        store: where they are.
        current: the generation.
        index: its history; None: there is none.
        overlays: the packs that are read, the newest first; None: all.

    Raises:
        OSError: the store does not answer.
    """
    parts = {part.pack: part for part in index.overlays} if index else {}
    damage: list[str] = []
    overlays = current.manifest.overlays if overlays is None else overlays
    found = Gathered(sum(min(one.rows, one.size_bytes) for one in overlays))
    for overlay in overlays:
        try:
            entries = pack_entries(store, current, overlay, Origin.DELTA)
        except FormatError as e:
            damage.append(str(e))
            continue
        except FileNotFoundError:
            damage.append(f"{overlay.pack}: is missing")
            continue
        if (part := parts.get(overlay.pack)) is not None:
            try:
                entries = _remembered(entries, part, read_overlay_part(store, part))
            except FormatError as e:
                damage.append(str(e))
            except FileNotFoundError:
                damage.append(f"{part.name}: is missing")
        found.add(entries)
    return OverlayEntries(found.newest(), tuple(damage))


def overlay_count(overlays: Sequence[Shard]) -> int:
    """Return how many overlays packs are: those of one follow each other by ascending ranges that do not overlap.

    >>> overlay_count([])
    0
    """
    return sum(not at or one.low < overlays[at - 1].high for at, one in enumerate(overlays))


def pack_entries(store: Store, current: Generation, shard: Shard, origin: Origin = Origin.RUN) -> Entries:
    """Return what the records of one pack say: true since its as_of, and with no expiry, which no record tells.

    Raises:
        FormatError: it is damaged, or not the one that the manifest means.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    loaded = current.tables[shard.windows]
    tables = loaded.tables
    as_of = current.commit.as_of if shard.as_of is None else shard.as_of
    records: dict[int, list[NDArray[np.uint8]]] = {}  # by run: each has those of many buckets
    for run, octets in _runs(store, shard, loaded.strides):
        records.setdefault(run, []).append(octets)
    return concatenated(
        record_entries(
            np.concatenate(held), tables.issuers[run.issuer].issuer_id, tables.shapes[run.shape], as_of, origin
        )
        for run, held in ((tables.runs[number], octets) for number, octets in sorted(records.items()))
    )


def overlay_columns(entries: Entries) -> OverlayColumns:
    """Return what is stored of the entries of one pack beside the pack itself."""
    return OverlayColumns(
        entries.keys.astype("<u8").tobytes(),
        entries.as_of.astype("<u8").tobytes(),
        entries.not_after.astype("<u4").tobytes(),
        entries.origin.tobytes(),
    )


def _runs(store: Store, shard: Shard, strides: list[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield the number of each run of each bucket, and its records, uint8[n, stride]."""
    octets = store.get(shard.pack)
    pack = open_pack(shard.pack, octets, shard.directory_at, shard.directory_crc)
    if len(octets) != shard.size_bytes:
        raise ChecksumError(shard.pack, f"has {len(octets)} octets where {shard.size_bytes} belong")
    for bucket in range(pack.buckets):
        for run, start, count, held in walk(pack, bucket, strides):
            of_run = np.frombuffer(held, np.uint8, count * strides[run], start)
            yield run, of_run.reshape(count, strides[run])


def record_entries(records: NDArray[np.uint8], issuer_id: int, shape: Shape, as_of: int, origin: Origin) -> Entries:
    """Return what records of one shape say, in their order."""
    count, size = len(records), shape.serial_bytes
    if size > MAX_SERIAL_BYTES:
        raise MalformedError("packs", f"hold serials of {size} octets, which no publisher writes")
    serials = np.zeros((count, MAX_SERIAL_BYTES), np.uint8)
    serials[:, :size] = records[:, :size]
    keys = xxh64(records[:, :size], np.array([issuer_id], np.uint64))
    revoked_at, reason, at = np.zeros(count, np.uint32), np.full(count, NO_REASON, np.int8), size
    if "revoked_at" in shape.fields:
        revoked_at = np.ascontiguousarray(records[:, at : at + 4]).view("<u4")[:, 0].astype(np.uint32)
        at += 4
    if "reason" in shape.fields:
        reason = records[:, at].astype(np.int8)
    status = np.full(count, REMEMBERED_STATUSES.index(shape.status), np.uint8)
    status[reason == CERTIFICATE_HOLD] = RememberedStatus.ON_HOLD
    return Entries(
        keys=keys,
        issuers=np.full(count, issuer_id, np.uint64),
        serials=serials,
        sizes=np.full(count, size, np.uint8),
        status=status,
        revoked_at=revoked_at,
        reason=reason,
        not_after=np.full(count, NO_EXPIRY_32, np.uint32),
        as_of=np.full(count, as_of, np.int64),
        origin=np.full(count, origin, np.uint8),
    )


def _remembered(entries: Entries, part: OverlayPart, columns: OverlayColumns) -> Entries:
    """Return the entries of a pack with what its history says of them, which is in the same order."""
    keys = np.frombuffer(columns.keys, "<u8")
    if not np.array_equal(keys, entries.keys):
        raise MalformedError(part.name, f"is not about the records of {part.pack}")
    return replace(
        entries,
        as_of=np.frombuffer(columns.as_of, "<u8").astype(np.int64),
        not_after=np.frombuffer(columns.not_after, "<u4").astype(np.uint32),
        origin=np.frombuffer(columns.origins, np.uint8),
    )
