"""What is said of overlays beside their packs is checked against the packs."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from pregen.audit import verify_store
from pregen.audit.overlays import check_overlays
from pregen.errors import VerificationError
from pregen.overlay_keys import merged
from pregen.routing_key import xxh64
from storage.errors import MalformedError
from storage.history import HistoryIndex, encode_index
from storage.manifest import Contents, Manifest, Shard, read_manifest
from storage.overlay_keys import encode_overlay_keys
from storage.overlay_part import OverlayColumns, encode_overlay_part
from storage.reader import Generation, open_reader
from storage.stores.memory import MemoryStore
from tests.storage.synthetic import Synthetic

Column: TypeAlias = NDArray[Any]
Change: TypeAlias = Callable[[Column, Column], tuple[Column, Column]]


class Store:
    """A store with 300 certificates, of which two overlays hold 100 and 50."""

    def __init__(self) -> None:
        self.synthetic = Synthetic(MemoryStore())
        self.serials = self.synthetic.serials(300)
        older = self.synthetic.packs(self.serials[:100])
        newer = self.synthetic.packs(self.serials[80:130], revoked=True)
        self.overlays: tuple[Shard, ...] = (*newer, *older)
        self.head = self.synthetic.commit(self.synthetic.packs(self.serials), self.overlays)

    def keys(self, start: int, end: int) -> NDArray[np.uint64]:
        ids = np.array([self.synthetic.issuer.issuer_id], np.uint64)
        return np.sort(xxh64(self.serials[start:end], ids))

    def manifest(self) -> Manifest:
        return read_manifest(self.synthetic.store, self.head.commit.manifest)

    def generation(self, manifest: Manifest) -> Generation:
        return Generation(self.synthetic.store, self.synthetic.commit_of(manifest))


def test_a_whole_store_with_overlays_is_right() -> None:
    audit = verify_store(Store().synthetic.store, None, 0, lambda *_: None)
    assert audit.shards == 3
    assert audit.contents == Contents(certificates=300, revoked=0, overlays=2, in_overlays=150, revoked_in_overlays=50)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda keys, numbers: (keys[1:], numbers[1:]), "lacks 1 of the 130 keys .* edges answer from the shards"),
        (lambda keys, numbers: (keys, 1 - numbers), "leads to other packs"),
        (lambda keys, numbers: (keys + np.uint32(1), numbers), "lacks 130 of the 130 keys"),
    ],
    ids=["lost", "numbers", "others"],
)
def test_keys_that_are_not_those_of_the_packs_are_refused(change: Change, match: str) -> None:
    store = Store()
    halves = [(store.keys(start, end) >> np.uint64(32)).astype(np.uint32) for start, end in ((80, 130), (0, 100))]
    keys, numbers = merged(halves)
    changed = change(np.frombuffer(keys, np.uint32), np.frombuffer(numbers, np.uint8))
    name, octets = encode_overlay_keys(*(column.tobytes() for column in changed))
    store.synthetic.store.put(name, octets)
    store.generation(replace(store.manifest(), overlay_keys=name))
    with pytest.raises(VerificationError, match=match):
        verify_store(store.synthetic.store, None, 0, lambda *_: None)


def remembered(store: Store, *ranges: tuple[int, int], flip: bool = False) -> Generation:
    """Return a generation with a history that speaks of these certificates, one range for each overlay."""
    parts = []
    for number, (start, end) in enumerate(ranges):
        keys = store.keys(start, end)[:: -1 if flip else 1]
        count = len(keys)
        columns = OverlayColumns(keys.tobytes(), bytes(8 * count), struct.pack("<I", 0) * count, bytes(count))
        part, octets = encode_overlay_part(bytes([number]) * 16, store.overlays[number].pack, columns)
        store.synthetic.store.put(part.name, octets)
        parts.append(part)
    name, octets = encode_index(
        HistoryIndex(as_of=0, parts=(), issuers={}, witnesses=b"", anchored=(), overlays=tuple(parts))
    )
    store.synthetic.store.put(name, octets)
    return store.generation(replace(store.manifest(), history=name))


def test_what_the_history_says_of_overlays_is_about_their_certificates() -> None:
    store = Store()
    assert check_overlays(store.synthetic.store, remembered(store, (80, 130), (0, 100))) == 2
    for ranges, match in (
        (((80, 130),), "speaks of other overlays"),
        (((80, 130), (0, 99)), "speaks of other certificates"),
        (((79, 129), (0, 100)), "speaks of other certificates"),
    ):
        with pytest.raises(VerificationError, match=match):
            check_overlays(store.synthetic.store, remembered(store, *ranges))
    with pytest.raises(MalformedError, match="out of order"):
        check_overlays(store.synthetic.store, remembered(store, (80, 130), (0, 100), flip=True))


def test_a_store_without_keys_and_histories_of_overlays_is_right() -> None:
    store = Store()
    store.synthetic.commit(store.manifest().shards, store.overlays, with_keys=False)
    current = open_reader(store.synthetic.store).current
    assert current is not None
    assert check_overlays(store.synthetic.store, current) == 0
