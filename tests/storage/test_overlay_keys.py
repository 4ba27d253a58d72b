"""The merged keys of overlays: stored and read again, and one ranged read for every lookup."""

import hashlib
import json
import struct
from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import BadMagicError, ChecksumError, FormatError, MalformedError, UnsupportedVersionError
from storage.manifest import encode_manifest, manifest_name, read_manifest
from storage.overlay_keys import OverlayKeys, decode_overlay_keys, encode_overlay_keys, read_overlay_keys
from storage.reader import Generation, open_reader
from storage.stores import LocalStore
from storage.stores.memory import MemoryStore
from tests.fakes import CountingStore
from tests.storage.synthetic import Synthetic

KEYS = struct.pack("<3I", 5, 7, 2**32 - 1)
NAME, OCTETS = encode_overlay_keys(KEYS, bytes([1, 0, 2]))
SIZES = [
    pytest.param((20_000, 4, 8, 500), id="small"),
    pytest.param((10_000_000, 153, 8, 100_000), id="full", marks=pytest.mark.slow),
]


def renamed(octets: bytes) -> tuple[str, bytes, int]:
    return f"keys/{hashlib.sha256(octets).hexdigest()}", octets, 3


def test_each_key_leads_to_its_first_pack_and_all_others_to_none() -> None:
    store = MemoryStore()
    store.put(NAME, OCTETS)
    keys = read_overlay_keys(store, NAME, 3)
    assert [keys.first(key) for key in (5, 7, 2**32 - 1, 0, 6, 8, 2**32 - 2)] == [1, 0, 2, 3, 3, 3, 3]
    assert len(keys) == 3


def test_no_two_arrays_have_one_name() -> None:
    assert encode_overlay_keys(KEYS, bytes([1, 0, 2]))[0] != NAME


def test_an_array_is_what_the_specification_says() -> None:
    assert struct.unpack("<8sHHI", OCTETS[:16]) == (bytes.fromhex("50524547454e4b0a"), 1, 1, 3)
    assert struct.unpack("<3I", OCTETS[32:44]) == (5, 7, 2**32 - 1)
    assert OCTETS[44:] == bytes([1, 0, 2])
    wide = encode_overlay_keys(KEYS, struct.pack("<3H", 1, 300, 2))
    assert wide[1][10:12] == b"\x02\x00"
    assert decode_overlay_keys(*wide, 301).first(7) == 300


@given(st.sets(st.integers(0, 2**32 - 1), max_size=60), st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_what_an_array_says_is_what_a_dict_would_say(keys: set[int], others: list[int]) -> None:
    told = {key: key % 7 for key in sorted(keys)}
    read = OverlayKeys("keys/x", array("I", told), array("B", told.values()), 7)
    near = [key + step for key in keys for step in (-1, 1) if 0 <= key + step < 2**32]
    for key in (*keys, *others, *near):
        assert read.first(key) == told.get(key, 7)
        assert read.may_have(key) or key not in told


def test_an_array_without_keys_leads_nowhere() -> None:
    assert decode_overlay_keys(*encode_overlay_keys(b"", b""), 3).first(7) == 3


@given(st.data())
def test_any_damaged_octet_is_noticed(data: st.DataObject) -> None:
    damaged = bytearray(OCTETS)
    damaged[data.draw(st.integers(0, len(OCTETS) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ChecksumError):
        decode_overlay_keys(NAME, bytes(damaged), 3)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (OCTETS[:31], FormatError),
        (OCTETS[:-1], FormatError),
        (OCTETS + b"\0", FormatError),
        (b"PREGENH\n" + OCTETS[8:], BadMagicError),
        (OCTETS[:8] + b"\2" + OCTETS[9:], UnsupportedVersionError),
        (OCTETS[:10] + b"\3" + OCTETS[11:], MalformedError),
        (OCTETS[:32] + struct.pack("<2I", 7, 5) + OCTETS[40:], MalformedError),
        (OCTETS[:32] + struct.pack("<2I", 5, 5) + OCTETS[40:], MalformedError),
        (OCTETS[:-1] + b"\3", MalformedError),
    ],
    ids=["header", "short", "long", "magic", "version", "width", "order", "twice", "number"],
)
def test_an_array_that_cannot_be_is_refused(octets: bytes, error: type[FormatError]) -> None:
    with pytest.raises(error):
        decode_overlay_keys(*renamed(octets))


@pytest.mark.parametrize("at", [1, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 40_000])
def test_disorder_is_noticed_wherever_it_is(at: int) -> None:
    keys = array("I", range(50_000))
    keys[at] = keys[at - 1]
    with pytest.raises(MalformedError, match="out of order"):
        OverlayKeys("keys/x", keys, array("B", bytes(50_000)), 1)


def test_a_manifest_names_the_keys_of_its_overlays_or_none() -> None:
    synthetic = Synthetic(MemoryStore())
    manifest = synthetic.commit(synthetic.packs(synthetic.serials(3))).commit.manifest
    read = read_manifest(synthetic.store, manifest)
    assert read.overlay_keys is None
    for name in (NAME, "keys/1", "packs/1"):
        octets = encode_manifest(replace(read, overlay_keys=name))
        synthetic.store.put(manifest_name(octets), octets)
        if name == NAME:
            assert read_manifest(synthetic.store, manifest_name(octets)).overlay_keys == NAME
        else:
            with pytest.raises(MalformedError, match="overlay_keys"):
                read_manifest(synthetic.store, manifest_name(octets))


@pytest.mark.parametrize("size", SIZES)
def test_every_lookup_over_eight_overlays_is_one_ranged_read(
    size: tuple[int, int, int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    count, parts, overlays, entries = size
    store = LocalStore(tmp_path_factory.mktemp("store"))
    synthetic = Synthetic(store)
    serials = synthetic.serials(count)
    # The newest overlay first; each one has half of its certificates in the shards, and some in an older overlay too.
    mine = [serials[at * entries // 2 : (at + 2) * entries // 2].copy() for at in range(overlays)]
    packs = [pack for one in mine for pack in synthetic.packs(one, revoked=True)]
    synthetic.commit(synthetic.packs(serials, parts), packs)
    counting = CountingStore(store)
    reader = open_reader(counting)
    generation = reader.current
    assert generation is not None
    for shard in generation.manifest.searched:
        generation.pack(shard)  # as an edge does before it serves
    assert generation.overlay_keys is not None
    keys = set(generation.overlay_keys.columns[0])
    false_hits = 0

    for which, told in ((synthetic.rng.choice(count, 2_000), None), (range(0, overlays * entries // 2, 97), "revoked")):
        for at in which:
            counting.reset()
            answer = reader.lookup(synthetic.cert_id(serials[at]))
            urgent = at < (overlays + 1) * entries // 2
            assert answer is not None
            assert answer.status == (told or ("revoked" if urgent else "good"))
            false_hit = not urgent and int(synthetic.keys32(serials[at : at + 1])[0]) in keys
            false_hits += false_hit
            assert counting.operations == {"get_range": 1} or false_hit
    for stranger in synthetic.serials(500):
        counting.reset()
        assert reader.lookup(synthetic.cert_id(stranger)) is None
        false_hit = int(synthetic.keys32(stranger[None])[0]) in keys
        false_hits += false_hit
        assert counting.reads <= 1 or false_hit
    assert false_hits <= 5  # of 2,500, of which one in 5,000 is one at the full size


def overlaid(with_keys: bool) -> tuple[Synthetic, Generation]:
    """Return a generation of two certificates: the newer overlay says the first is revoked, the older one good."""
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(2)
    older, newer = synthetic.packs(serials[:1]), synthetic.packs(serials[:1], revoked=True)
    synthetic.commit(synthetic.packs(serials), [*newer, *older], with_keys=with_keys)
    current = open_reader(synthetic.store).current
    assert current is not None
    return synthetic, current


@pytest.mark.parametrize("with_keys", [True, False])
def test_the_newest_overlay_wins_with_keys_and_without(with_keys: bool) -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(3)
    older, newer = synthetic.packs(serials[:2]), synthetic.packs(serials[:1], revoked=True)
    synthetic.commit(synthetic.packs(serials), [*newer, *older], with_keys=with_keys)
    reader = open_reader(synthetic.store)
    said = [reader.lookup(synthetic.cert_id(serial)) for serial in serials]
    assert [one and one.status for one in said] == ["revoked", "good", "good"]


def test_a_key_of_another_certificate_leads_on_to_the_older_overlays_and_to_the_shard() -> None:
    synthetic = Synthetic(MemoryStore())
    serials = synthetic.serials(3)
    newer, older = synthetic.packs(serials[:1]), synthetic.packs(serials[1:2], revoked=True)
    head = synthetic.commit(synthetic.packs(serials), [*newer, *older])
    # As if all three certificates had the same upper half of a key as one of the newer overlay.
    keys = sorted(int(key) for key in synthetic.keys32(serials))
    name, octets = encode_overlay_keys(struct.pack("<3I", *keys), bytes(3))
    synthetic.store.put(name, octets)
    manifest = replace(read_manifest(synthetic.store, head.commit.manifest), overlay_keys=name)
    current = Generation(synthetic.store, head)
    current.manifest, current.overlay_keys = manifest, decode_overlay_keys(name, octets, 2)
    said = [current.lookup(synthetic.cert_id(serial)) for serial in serials]
    assert [one and one.status for one in said] == ["good", "revoked", "good"]


def test_a_generation_whose_keys_are_missing_or_damaged_is_not_loaded() -> None:
    synthetic, current = overlaid(with_keys=True)
    name = current.manifest.overlay_keys
    assert name is not None
    octets = synthetic.store.get(name)
    synthetic.store.put(name, octets[:-1] + b"\1")
    with pytest.raises(ChecksumError):
        open_reader(synthetic.store)
    synthetic.store.delete([name])
    with pytest.raises(FileNotFoundError):
        open_reader(synthetic.store)


def test_keys_that_stay_are_not_read_again() -> None:
    synthetic, current = overlaid(with_keys=True)
    counting = CountingStore(synthetic.store)
    reader = open_reader(counting)
    synthetic.commit(current.manifest.shards, current.manifest.overlays, kind="gc")
    counting.reset()
    assert reader.refresh() is True
    assert not [name for _, name in counting.requests if name.startswith("keys/")]
    assert reader.current is not None
    assert reader.current.overlay_keys is not None
    assert reader.current.manifest.overlay_keys == current.manifest.overlay_keys


def test_a_reader_that_knows_nothing_of_keys_gets_the_same_answers() -> None:
    synthetic, current = overlaid(with_keys=True)
    document = json.loads(synthetic.store.get(current.commit.manifest))
    assert document.pop("overlay_keys") == current.manifest.overlay_keys
    octets = json.dumps(document).encode()
    synthetic.store.put(manifest_name(octets), octets)
    read = read_manifest(synthetic.store, manifest_name(octets))
    assert read == replace(current.manifest, overlay_keys=None)
