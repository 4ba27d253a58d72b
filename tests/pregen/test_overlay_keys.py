"""The merged keys of overlays come from their packs as stored."""

from collections.abc import Sequence

import numpy as np

from pregen.overlay_keys import put_overlay_keys
from storage.key import key32
from storage.manifest import Shard
from storage.overlay_keys import read_overlay_keys
from storage.reader import open_reader
from storage.stores.memory import MemoryStore
from tests.fakes import CountingStore
from tests.storage.synthetic import Synthetic


def told(synthetic: Synthetic, overlays: Sequence[Shard]) -> dict[int, int]:
    """Return what the newest generation says of each key: the number of the first pack."""
    current = open_reader(synthetic.store).current
    assert current is not None
    assert current.manifest.overlay_keys is not None
    keys, numbers = read_overlay_keys(synthetic.store, current.manifest.overlay_keys, len(overlays)).columns
    return dict(zip(keys, numbers, strict=True))


def test_each_record_of_the_packs_is_told_with_the_newest_pack_that_has_it() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(300)
    overlays = [*synthetic.packs(serials[100:200], 3, revoked=True), *synthetic.packs(serials[:300])]
    synthetic.commit(synthetic.packs(serials), overlays)
    wanted = {}
    for at, serial in enumerate(serials):
        key = key32(serial.tobytes(), synthetic.issuer.issuer_id)
        first = next(number for number, one in enumerate(overlays) if one.low <= key < one.high)
        wanted[key] = first if 100 <= at < 200 else 3
    assert told(synthetic, overlays) == wanted


def test_without_overlays_there_are_no_keys() -> None:
    store = MemoryStore()
    assert put_overlay_keys(store, ()) is None
    assert not list(store.list())


def test_packs_that_the_current_array_tells_all_about_are_not_read_again() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(200)
    shards, older = synthetic.packs(serials), synthetic.packs(serials[:100], revoked=True)
    synthetic.commit(shards, older)
    current = open_reader(synthetic.store).current
    newest = synthetic.packs(serials[50:150], revoked=True)
    counting = CountingStore(synthetic.store)
    name = put_overlay_keys(counting, [*newest, *older], current)
    read = {name for operation, name in counting.requests if operation == "get"}
    assert newest[0].pack in read
    assert older[0].pack not in read
    synthetic.commit(shards, [*newest, *older])
    found = told(synthetic, [*newest, *older])
    keys = synthetic.keys32(serials).tolist()
    assert found == {key: int(at < 50) for at, key in enumerate(keys[:150])}
    assert name is not None
    assert len(read_overlay_keys(synthetic.store, name, 2)) == 150


def test_what_a_pack_that_goes_away_has_hidden_is_told_again() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(100)
    shards, oldest = synthetic.packs(serials), synthetic.packs(serials, revoked=True)
    middle, newest = synthetic.packs(serials[:40]), synthetic.packs(serials[90:], revoked=True)
    synthetic.commit(shards, [*newest, *middle, *oldest])
    synthetic.commit(shards, [*newest, *oldest])
    assert told(synthetic, [*newest, *oldest]) == {
        key: int(at < 90) for at, key in enumerate(synthetic.keys32(serials).tolist())
    }


def test_the_same_overlays_keep_the_same_array() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(10)
    shards, overlays = synthetic.packs(serials), synthetic.packs(serials)
    first = synthetic.commit(shards, overlays)
    current = open_reader(synthetic.store).current
    assert current is not None
    assert put_overlay_keys(synthetic.store, overlays, current) == current.manifest.overlay_keys
    synthetic.commit(shards, overlays, kind="gc")
    after = open_reader(synthetic.store).current
    assert after is not None
    assert after.commit.number == first.commit.number + 1
    assert after.manifest.overlay_keys == current.manifest.overlay_keys


def test_many_packs_take_numbers_of_two_octets() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(300)
    overlays = [pack for serial in serials for pack in synthetic.packs(serial[None])]
    synthetic.commit(synthetic.packs(serials), overlays)
    assert told(synthetic, overlays) == {key: at for at, key in enumerate(synthetic.keys32(serials).tolist())}
    assert np.unique(list(told(synthetic, overlays).values())).size == 300
