"""What the current generation says to the gates of the next one, read from the store.

Its history names the keys of all its certificates; who they are stands in its packs, where they are looked up when a
gate has something to say about them. Whatever is damaged is told, and never taken for a generation without history.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pregen.gates import History
from pregen.gates.comparison import Keys, Remembered, RememberedStatus, words
from pregen.gates.history import WITNESS
from pregen.generation.rows.groups import STATUS_OF_KIND
from pregen.generation.rows.rows import ShardRows
from pregen.overlays import NO_ENTRIES, Entries, read_overlays
from pregen.reasons import CERTIFICATE_HOLD
from pregen.routing_key import xxh64
from storage.certid import serial_text
from storage.ended_part import EndedPart
from storage.errors import FormatError
from storage.history import HistoryIndex, HistoryPart, IssuerHistory, encode_index, read_index
from storage.key import part_of
from storage.manifest import Shard
from storage.overlay_part import OverlayPart
from storage.pack import walk
from storage.reader import Generation
from storage.stores import Store

_HALF = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """The current generation, as far as gates compare with it.

    Attributes:
        commit: its number; None: nothing is published yet.
        history: what it says beside its certificates; None: there is none, and packs are compared with.
        parts: where its certificates are listed.
        overlays: what its overlays say, one entry a certificate.
        ended: where final revocations are remembered whose certificates have ended.
        damage: what of its history or its overlays cannot be read.
    """

    commit: int | None = None
    history: History | None = None
    parts: tuple[HistoryPart, ...] = ()
    overlays: Entries = NO_ENTRIES
    ended: tuple[EndedPart, ...] = ()
    damage: tuple[str, ...] = ()

    @property
    def why_absent(self) -> str | None:
        """Why there is no history to compare with; None: there is."""
        if self.history is not None:
            return None
        if self.commit is None:
            return "nothing is published yet"
        if self.damage:
            return f"the history of commit {self.commit} cannot be read"
        return f"commit {self.commit} has no history: an older version published it"


def read_past(store: Store, current: Generation | None) -> Past:
    """Return what the current generation of a store left behind.

    Raises:
        OSError: the store does not answer.
    """
    if current is None:
        return Past()
    index, damage = _index(store, current.manifest.history)
    overlays = read_overlays(store, current, index)
    return Past(
        commit=current.commit.number,
        history=_history(index) if index else None,
        parts=index.parts if index else (),
        overlays=overlays.entries,
        ended=index.ended if index else (),
        damage=damage + overlays.damage,
    )


def _index(store: Store, name: str | None) -> tuple[HistoryIndex | None, tuple[str, ...]]:
    """Return what a generation left behind, or what is wrong with it."""
    if name is None:
        return None, ()
    try:
        return read_index(store, name), ()
    except FormatError as e:
        return None, (str(e),)
    except FileNotFoundError:
        return None, (f"{name}: is missing",)


def _history(index: HistoryIndex) -> History:
    return History(
        as_of=index.as_of,
        certificates=sum(part.rows for part in index.parts),
        issuers=index.issuers,
        witnesses=np.frombuffer(index.witnesses, WITNESS),
        anchored=frozenset(index.anchored),
        revocations=index.revocations,
    )


def write_past(
    store: Store,
    history: History,
    parts: Iterable[HistoryPart],
    overlays: Iterable[OverlayPart] = (),
    ended: Iterable[EndedPart] = (),
) -> tuple[str, int]:
    """Put what a new generation leaves behind; its parts are there already. Return the name, and octets put."""
    name, octets = encode_index(
        HistoryIndex(
            as_of=history.as_of,
            parts=tuple(parts),
            issuers={number: _storable(one) for number, one in history.issuers.items()},
            witnesses=history.witnesses.astype(WITNESS, copy=False).tobytes(),
            anchored=tuple(sorted(history.anchored)),
            revocations=_storable(history.revocations),
            overlays=tuple(overlays),
            ended=tuple(ended),
        )
    )
    store.put(name, octets)
    return name, len(octets)


def _storable(one: IssuerHistory) -> IssuerHistory:
    return replace(one, newest=_natural(one.newest), until=_natural(one.until))


def _natural(instant: int | None) -> int | None:
    """Return an instant, or None where it is before 1970: no certificate is that old."""
    return instant if instant is not None and instant >= 0 else None


def entries_of(rows: ShardRows) -> Remembered:
    """Return what is remembered of the certificates of a shard."""
    status = STATUS_OF_KIND[rows.codes & 3].astype(np.uint32)
    status[rows.reason == CERTIFICATE_HOLD] = RememberedStatus.ON_HOLD
    return Remembered(rows.keys, words(status, rows.not_after))


def named(current: Generation, key: int) -> str:
    """Return what messages call the certificate of a key: its serial and its issuer; where it is not found, the key.

    The serial is lower-case hex of the number, with a sign where it is negative.
    """
    try:
        found = [*dict.fromkeys(_named(current, key))]
    except (FormatError, OSError):  # it is only an example; what cannot be read is found by those that need it
        found = []
    return " or ".join(found) or f"key {key:016x}"


def _named(current: Generation, key: int) -> Iterator[str]:
    for shard in current.manifest.searched:
        if not shard.low <= key >> _HALF < shard.high:
            continue
        bucket = part_of(key >> _HALF, shard.low, shard.high, current.pack(shard).buckets)
        labels = {one.issuer_id: one.label for one in current.tables[shard.windows].tables.issuers}
        for issuer, keys, serials in _records(current, shard, bucket):
            for at in np.flatnonzero(keys == np.uint64(key)).tolist():
                yield f"{serial_text(serials[at].tobytes())} of {labels[issuer]}"


def _records(current: Generation, shard: Shard, bucket: int) -> Iterator[tuple[int, Keys, NDArray[np.uint8]]]:
    """Yield issuer id, keys and serials (uint8[n, size]) of each run of a bucket."""
    loaded = current.tables[shard.windows]
    tables = loaded.tables
    for run, start, count, octets in walk(current.pack(shard), bucket, loaded.strides):
        issuer, size = (
            tables.issuers[tables.runs[run].issuer].issuer_id,
            tables.shapes[tables.runs[run].shape].serial_bytes,
        )
        records = np.frombuffer(octets, np.uint8)[start : start + count * loaded.strides[run]]
        serials = records.reshape(count, loaded.strides[run])[:, :size]
        yield issuer, xxh64(serials, np.array([issuer], np.uint64)), serials
