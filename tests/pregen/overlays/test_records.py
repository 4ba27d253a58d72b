"""Records of packs as entries: they say what a reader answers, in the golden stores too."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Entries, Origin, read_overlays
from pregen.overlays.entries import newest
from pregen.overlays.records import overlay_columns, pack_entries
from storage.history import HistoryIndex
from storage.overlay_part import encode_overlay_part
from storage.reader import Generation, open_reader
from storage.stores.memory import MemoryStore
from tests.storage.golden_store import GOLDEN, VERSION_2, expected_answers, golden_store


def opened(folder: Path) -> tuple[MemoryStore, Generation]:
    store = golden_store(folder)
    current = open_reader(store).current
    assert current is not None
    return store, current


def ids_of(current: Generation) -> dict[bytes, int]:
    """Return the ids of issuers by the hashes of their keys."""
    issuers = [issuer for one in current.tables.values() for issuer in one.tables.issuers]
    return {octets: issuer.issuer_id for issuer in issuers for octets in issuer.key_hashes.values()}


def statuses(entries: Entries) -> dict[tuple[int, bytes], str]:
    names = [entries.serial(place) for place in range(len(entries))]
    told = [
        "revoked" if one == RememberedStatus.ON_HOLD else RememberedStatus(one).name.lower()
        for one in entries.status.tolist()
    ]
    return dict(zip(zip(entries.issuers.tolist(), names, strict=True), told, strict=True))


@pytest.mark.parametrize("folder", [GOLDEN, VERSION_2])
def test_entries_of_all_packs_say_what_a_reader_answers(folder: Path) -> None:
    store, current = opened(folder)
    said = statuses(newest(pack_entries(store, current, one) for one in current.manifest.searched))
    ids, answered = ids_of(current), 0
    for expected in expected_answers(folder):
        answer = current.lookup(expected.cert_id)
        if answer is not None:
            assert said[ids[expected.cert_id.issuer_key_hash], expected.cert_id.serial] == answer.status
            answered += 1
    assert answered > 50


def test_overlays_of_a_store_without_their_history_count_as_deltas_and_the_newest_wins() -> None:
    store, current = opened(VERSION_2)
    found = read_overlays(store, current, None)
    overlays = current.manifest.overlays

    assert not found.damage
    assert set(found.entries.origin.tolist()) == {Origin.DELTA}
    assert set(found.entries.as_of.tolist()) <= {one.as_of for one in overlays}
    assert set(found.entries.not_after.tolist()) == {2**32 - 1}
    ids = ids_of(current)
    said = statuses(found.entries)
    for expected in expected_answers(VERSION_2):
        if expected.label.startswith("overlay-"):
            answer = current.lookup(expected.cert_id)
            assert answer is not None
            assert said[ids[expected.cert_id.issuer_key_hash], expected.cert_id.serial] == answer.status


def remembered(store: MemoryStore, current: Generation) -> HistoryIndex:
    """Put what is remembered of the overlays of a golden store, and return an index that names it."""
    parts = []
    for number, overlay in enumerate(current.manifest.overlays):
        entries = pack_entries(store, current, overlay)
        times = replace(
            entries,
            as_of=entries.as_of + number,
            not_after=np.arange(len(entries), dtype=np.uint32),
            origin=np.full(len(entries), Origin.REVOKE, np.uint8),
        )
        part, octets = encode_overlay_part(os.urandom(16), overlay.pack, overlay_columns(times))
        store.put(part.name, octets)
        parts.append(part)
    return HistoryIndex(as_of=0, parts=(), issuers={}, witnesses=b"", anchored=(), overlays=tuple(parts))


def test_what_the_history_remembers_of_an_overlay_counts() -> None:
    store, current = opened(VERSION_2)
    found = read_overlays(store, current, remembered(store, current))
    newer = pack_entries(store, current, current.manifest.overlays[0])

    assert not found.damage
    assert set(found.entries.origin.tolist()) == {Origin.REVOKE}
    assert found.entries.not_after.max() < 10
    assert set(found.entries.as_of.tolist()) == {int(newer.as_of[0]), int(newer.as_of[0]) + 1}


@pytest.mark.parametrize("is_gone", [True, False])
def test_statuses_count_where_what_is_remembered_of_them_is_damaged_and_that_is_told(is_gone: bool) -> None:
    store, current = opened(VERSION_2)
    index = remembered(store, current)
    name = index.overlays[0].name
    if is_gone:
        store.delete([name])
    else:
        store.put(name, store.get(name)[:-1] + b"!")
    found = read_overlays(store, current, index)

    assert statuses(found.entries) == statuses(read_overlays(store, current, None).entries)
    assert len(found.damage) == 1
    assert name in found.damage[0]


def test_a_pack_that_is_gone_is_told() -> None:
    store, current = opened(VERSION_2)
    gone = current.manifest.overlays[0].pack
    store.delete([gone])
    found = read_overlays(store, current, None)

    assert found.damage == (f"{gone}: is missing",)
    assert len(found.entries) == current.manifest.overlays[1].rows
