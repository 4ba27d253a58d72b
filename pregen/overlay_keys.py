"""The merged keys of all records in overlays, by which edges know which overlay to read, made from the packs as stored.

What readers take to have no entry there, they look for in no overlay: so the keys come from the packs as they can be
read back from the store, and what was put is read back too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pregen.errors import VerificationError
from pregen.routing_key import LOWER_BITS, xxh64
from storage.key import KEY32
from storage.manifest import Shard
from storage.overlay_keys import encode_overlay_keys, keys_name, number_bytes
from storage.pack import open_pack, walk
from storage.reader import Generation, LoadedTables, load_tables
from storage.stores import Store

_SLICES = 16  # of the keys, merged one after the other: there may be millions, and each takes 30 octets meanwhile


def put_overlay_keys(store: Store, overlays: Sequence[Shard], current: Generation | None = None) -> str | None:
    """Store the merged keys of the packs of overlays, which are there already; return the name that a manifest says.

    Args:
        store: where the packs are.
        overlays: as the manifest has them, the newest first; without any there are no keys, and None comes back.
        current: the generation before: its newest overlays, as far as all of them are among `overlays`, need not be
            read again.

    Raises:
        FormatError: a pack is damaged.
        VerificationError: what was put cannot be read back.
        OSError: the store does not answer.
    """
    if not overlays:
        return None
    if current is not None and current.manifest.overlay_keys and current.manifest.overlays == tuple(overlays):
        return current.manifest.overlay_keys
    known = _known(current, overlays)
    tables: dict[str, LoadedTables] = dict(current.tables) if current else {}
    proven = {one.tables_name: one.tables for one in tables.values()}
    parts = []
    for overlay in overlays:
        if overlay.pack in known:
            parts.append(known.pop(overlay.pack))
            continue
        if overlay.windows not in tables:
            tables[overlay.windows] = load_tables(store, overlay.windows, proven)
        parts.append(upper_halves(stored_keys(store, overlay, tables[overlay.windows])))
    name = _put(store, parts)
    if keys_name(store.get(name)) != name:
        raise VerificationError(f"{store.url}: {name} was put, but other octets are read back; nothing was published")
    return name


def _put(store: Store, parts: list[NDArray[np.uint32]]) -> str:
    """Store the merged keys of parts, which are used up; return the name. With millions of keys, each copy counts."""
    columns = merged(parts)
    parts.clear()
    name, octets = encode_overlay_keys(*columns)
    store.put(name, octets)
    return name


def merged(parts: Sequence[NDArray[np.uint32]]) -> tuple[memoryview, memoryview]:
    """Return keys and numbers as they are stored: each key once, with the number of the first part that has it.

    The parts are sorted, in place.

    >>> list(merged([np.array([5], np.uint32), np.array([2, 5], np.uint32)])[1])
    [1, 0]
    """
    for part in parts:
        part.sort()
    cuts = np.arange(1, _SLICES, dtype=np.uint64) * np.uint64(KEY32 // _SLICES)
    ends = [[0, *np.searchsorted(part, cuts).tolist(), len(part)] for part in parts]
    most = sum(map(len, parts))
    keys, numbers, count = np.empty(most, "<u4"), np.empty(most, f"<u{number_bytes(len(parts))}"), 0
    for at in range(_SLICES):
        some = _merged_slice([part[end[at] : end[at + 1]] for part, end in zip(parts, ends, strict=True)])
        within = slice(count, count + len(some[0]))
        numbers[within], keys[within] = some
        count = within.stop
    return keys[:count].data.cast("B"), numbers[:count].data.cast("B")


def _merged_slice(parts: Sequence[NDArray[np.uint32]]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return numbers and keys, each key once, sorted together as one number of 64 bits."""
    both = np.empty(sum(map(len, parts)), "<u8")
    at = 0
    for number, part in enumerate(parts):
        both[at : at + len(part)] = part
        both[at : at + len(part)] <<= LOWER_BITS
        both[at : at + len(part)] |= np.uint64(number)
        at += len(part)
    both.sort()
    numbers, keys = both.view("<u4")[::2], both.view("<u4")[1::2]
    first = np.ones(len(both), np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return numbers[first], keys[first]


def upper_halves(keys: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return what packs are found by: the upper 32 bits of keys."""
    return (keys >> LOWER_BITS).astype(np.uint32)


def stored_keys(store: Store, overlay: Shard, loaded: LoadedTables) -> NDArray[np.uint64]:
    """Return the keys of all records of a stored pack, uint64[n], in no order.

    Raises:
        FormatError: it is damaged.
        OSError: the store does not answer.
    """
    pack = open_pack(overlay.pack, store.get(overlay.pack), overlay.directory_at, overlay.directory_crc)
    pieces: dict[int, list[bytes]] = {}
    for bucket in range(pack.buckets):
        for run, start, count, octets in walk(pack, bucket, loaded.strides):
            pieces.setdefault(run, []).append(octets[start : start + count * loaded.strides[run]])
    found = [np.empty(0, np.uint64)]
    for run, records in pieces.items():
        which = loaded.tables.runs[run]
        rows = np.frombuffer(b"".join(records), np.uint8).reshape(-1, loaded.strides[run])
        serials = rows[:, : loaded.tables.shapes[which.shape].serial_bytes]
        seed = np.array([loaded.tables.issuers[which.issuer].issuer_id], np.uint64)
        found.append(xxh64(serials, seed))
    return np.concatenate(found)


def _known(current: Generation | None, overlays: Sequence[Shard]) -> dict[str, NDArray[np.uint32]]:
    """Return the keys of packs that the current array tells.

    It tells of each key the newest pack alone. So it tells all about the newest packs, from the first one on for as
    long as these stay and so go on to hide what lies below; of a pack below one that goes away it may tell too little.
    """
    if current is None or current.overlay_keys is None:
        return {}
    places = {overlay.pack: at for at, overlay in enumerate(overlays)}
    columns = current.overlay_keys.columns
    keys, numbers = np.array(columns[0], np.uint32), np.array(columns[1])
    known: dict[str, NDArray[np.uint32]] = {}
    last = -1
    for number, overlay in enumerate(current.manifest.overlays):
        if places.get(overlay.pack, -1) <= last:
            break
        last = places[overlay.pack]
        known[overlay.pack] = keys[numbers == number]
    return known
