"""What a generation leaves behind: written and read again, damaged, and as FORMAT.md says."""

import hashlib
import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ended_part import EndedPart
from storage.errors import ChecksumError, FormatError, MalformedError, UnknownFeatureError, UnsupportedVersionError
from storage.history import (
    EXPIRY_UNIT_S,
    NO_EXPIRY_UNITS,
    REMEMBERED_STATUSES,
    Columns,
    HistoryEntry,
    HistoryIndex,
    HistoryPart,
    IssuerHistory,
    decode_part,
    encode_index,
    encode_part,
    entries,
    read_index,
    read_part,
    word,
)
from storage.manifest import Manifest, Shard, encode_manifest, manifest_name, read_manifest
from storage.overlay_part import OverlayPart
from storage.stores.memory import MemoryStore
from tests.storage.golden_store import GOLDEN

IDENTITY = bytes(range(16))
GIVEN = (
    HistoryEntry(5, "good", 8 << 10),
    HistoryEntry(5, "revoked", None),
    HistoryEntry(1 << 63, "on-hold", 3_906_250 << 10),
)
INDEX = HistoryIndex(
    as_of=1_700_000_000,
    parts=(
        HistoryPart(low=0, high=7, name=f"history/{1:032x}", rows=3, size_bytes=56, crc=9),
        HistoryPart(
            low=9, high=1 << 32, name=f"history/{2:032x}", rows=1, size_bytes=32, crc=0, digest=bytes(range(32))
        ),
    ),
    issuers={
        1: IssuerHistory(
            certificates=4,
            newest=1_699_999_999,
            until=1_699_999_900,
            lags=(1, 2, 3),
            silence_s=600,
            accepted=2,
            stopped_s=7_200,
            holes=((7, 9), (11, 13)),
        ),
        2**64 - 1: IssuerHistory(certificates=0, newest=None),
    },
    witnesses=bytes(48),
    anchored=("a", "b"),
    revocations=IssuerHistory(certificates=0, newest=9, until=8, lags=(4,), silence_s=5),
    overlays=(OverlayPart(pack=f"packs/00000000-{3:032x}", name=f"history/{4:032x}", rows=2, size_bytes=62, crc=5),),
    ended=(
        EndedPart(low=1, high=3, name=f"history/{5:032x}", rows=2, size_bytes=40, crc=5, oldest=20_000),
        EndedPart(low=3, high=1 << 32, name=f"history/{6:032x}", rows=1, size_bytes=30, crc=6, oldest=65_535),
    ),
)


def columns_of(given: Sequence[HistoryEntry]) -> Columns:
    keys = b"".join(struct.pack("<Q", one.key) for one in given)
    return Columns(keys, b"".join(word(one.status, one.not_after).to_bytes(3, "little") for one in given))


def part_of(given: Sequence[HistoryEntry] = GIVEN) -> tuple[HistoryPart, bytes]:
    return encode_part(IDENTITY, 0, 1 << 32, columns_of(given))


def test_entries_come_back_as_they_were_put() -> None:
    part, octets = part_of()
    assert tuple(entries(decode_part(part, octets))) == GIVEN
    assert (part.rows, part.size_bytes) == (3, len(octets))
    assert len(octets) - 11 * len(GIVEN) == 20


@given(st.sampled_from(REMEMBERED_STATUSES), st.integers(-(2**40), 2**40))
def test_a_certificate_never_seems_to_live_longer_than_it_does(status: str, not_after: int) -> None:
    ((_, read_status, read),) = entries(Columns(bytes(8), word(status, not_after).to_bytes(3, "little")))
    assert read_status == status
    if not_after >= NO_EXPIRY_UNITS * EXPIRY_UNIT_S:
        assert read is None
    else:
        assert read is not None
        assert 0 <= max(not_after, 0) - read < EXPIRY_UNIT_S


@given(st.data())
def test_any_damaged_octet_of_a_part_is_noticed(data: st.DataObject) -> None:
    part, octets = part_of()
    damaged = bytearray(octets)
    damaged[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        decode_part(part, bytes(damaged))


def test_a_part_that_is_cut_off_or_another_one_is_refused() -> None:
    part, octets = part_of()
    with pytest.raises(FormatError, match="octets where"):
        decode_part(part, octets[:-1])
    with pytest.raises(ChecksumError, match="is another part"):
        decode_part(replace(part, name=f"history/{7:032x}"), octets)
    with pytest.raises(ChecksumError):
        decode_part(replace(part, crc=part.crc ^ 1), octets)
    with pytest.raises(MalformedError, match="is not the name"):
        decode_part(replace(part, name="packs/1"), octets)
    with pytest.raises(MalformedError, match="3 entries"):
        decode_part(replace(part, rows=4), octets)


@pytest.mark.parametrize(("at", "error"), [(8, UnsupportedVersionError), (10, UnknownFeatureError)])
def test_a_newer_part_is_refused_by_its_version_or_feature(at: int, error: type[FormatError]) -> None:
    part, octets = part_of()
    newer = bytearray(octets[:-4])
    newer[at] = 2
    crc = zlib.crc32(newer, zlib.crc32(IDENTITY))
    with pytest.raises(error):
        decode_part(replace(part, crc=crc), bytes(newer) + struct.pack("<I", crc))


def test_columns_of_different_lengths_make_no_part() -> None:
    with pytest.raises(MalformedError, match="more keys than words"):
        encode_part(IDENTITY, 0, 1, Columns(bytes(16), bytes(3)))


def test_a_part_is_what_the_specification_says() -> None:
    part, octets = part_of()
    magic, version, features, count = struct.unpack("<8sHHI", octets[:16])
    assert (magic, version, features, count) == (bytes.fromhex("50524547454e480a"), 1, 0, 3)
    assert struct.unpack("<3Q", octets[16:40]) == (5, 5, 1 << 63)
    words = [int.from_bytes(octets[at : at + 3], "little") for at in (40, 43, 46)]
    assert words == [8 << 2 | 0, (2**22 - 1) << 2 | 1, 3_906_250 << 2 | 2]
    assert struct.unpack("<I", octets[49:]) == (zlib.crc32(IDENTITY + octets[:49]),) == (part.crc,)


def test_an_index_comes_back_as_it_was_put() -> None:
    store = MemoryStore()
    name, octets = encode_index(INDEX)
    store.put(name, octets)
    assert re.fullmatch("history/[0-9a-f]{64}", name)
    assert read_index(store, name) == INDEX


def test_an_index_of_an_earlier_version_has_neither_digests_nor_overlays() -> None:
    earlier = replace(INDEX, parts=tuple(replace(part, digest=None) for part in INDEX.parts), overlays=(), ended=())
    octets = encode_index(earlier)[1].replace(b'"overlays":[],', b"")
    assert b"digest" not in octets
    assert b"ended" not in octets
    name, store = f"history/{hashlib.sha256(octets).hexdigest()}", MemoryStore()
    store.put(name, octets)
    assert read_index(store, name) == earlier


def test_a_damaged_index_is_refused() -> None:
    store = MemoryStore()
    name, octets = encode_index(INDEX)
    store.put(name, octets.replace(b"1700000000", b"1700000001"))
    with pytest.raises(ChecksumError):
        read_index(store, name)
    with pytest.raises(MalformedError, match="is not the name of a history"):
        read_index(store, "tables/1")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ((b'"version":1', b'"version":2'), "is of version 2"),
        ((b'"low":9', b'"low":6'), "overlap"),
        ((b'"low":9', b'"low":4294967296'), "low"),
        ((b'"high":7', b'"high":0'), "holds no keys"),
        ((b'"lags":[[1,2,3],[],[4]]', b'"lags":[[1,2,3],[]]'), "lags of 2 issuers where 3"),
        ((b'"lags":[[1,2,3],[],[4]]', b'"lags":[[1,2,-3],[],[4]]'), "lags"),
        ((b'"id":"0000000000000000"', b'"id":"0000000000000003"'), "does not end its issuers with the revocations"),
        ((b'"id":"ffffffffffffffff"', b'"id":"0000000000000001"'), "issuers that are there twice"),
        ((b'"part":"history/', b'"part":"packsxx/'), "part"),
        ((b'"newest":1699999999', b'"newest":"soon"'), "newest"),
        ((b'"until":1699999900', b'"until":-1'), "until"),
        ((b'"silence_s":600', b'"silence_s":true'), "silence_s"),
        ((b'"accepted":2', b'"accepted":null'), "accepted"),
        ((b'"stopped_s":7200', b'"stopped_s":-1'), "stopped_s"),
        ((b'"holes":[[7,9]', b'"holes":[[9,9]'), "holes that do not begin"),
        ((b'"holes":[[7,9]', b'"holes":[[7]'), "holes that do not begin"),
        ((b'"anchored":["a","b"]', b'"anchored":[1]'), "anchored"),
        ((b'"digest":"00', b'"digest":"'), "digest"),
        ((b'"overlays":[{', b'"overlays":[1,{'), "overlays"),
        ((b'"pack":"packs/', b'"pack":"other/'), "pack"),
        ((b'"low":3', b'"low":2'), "overlap"),
        ((b'"low":1,"high":3', b'"low":1,"high":1'), "holds no keys"),
        ((b'"oldest":65535', b'"oldest":65536'), "oldest"),
        ((b'"witnesses":"AAAA', b'"witnesses":"'), "24 does not divide"),
    ],
    ids=lambda change: change[1].decode() if isinstance(change, tuple) else "",
)
def test_an_index_that_contradicts_the_specification_is_refused(change: tuple[bytes, bytes], match: str) -> None:
    store = MemoryStore()
    _, octets = encode_index(INDEX)
    wrong = octets.replace(*change, 1)
    assert wrong != octets
    name = f"history/{hashlib.sha256(wrong).hexdigest()}"
    store.put(name, wrong)
    with pytest.raises(FormatError, match=match):
        read_index(store, name)


def manifest(history: str | None) -> Manifest:
    shard = Shard(
        low=0,
        high=1 << 32,
        pack=f"packs/00000000-{0:032x}",
        size_bytes=100,
        sha256=bytes(32),
        directory_at=8,
        directory_crc=0,
        windows=f"tables/{0:064x}",
        rows=0,
        revoked=0,
        refresh_by=1,
        next_update=2,
    )
    return Manifest(profile="lab", shards=(shard,), counts={}, gates={}, history=history)


@pytest.mark.parametrize("history", [None, f"history/{1:064x}", "a-later-version's/way"])
def test_a_manifest_names_a_history_or_none(history: str | None) -> None:
    store, octets = MemoryStore(), encode_manifest(manifest(history))
    store.put(manifest_name(octets), octets)
    assert read_manifest(store, manifest_name(octets)) == manifest(history)
    assert (b'"history"' in octets) == (history is not None)


def test_a_reader_of_answers_does_not_care_what_a_history_is() -> None:
    octets = encode_manifest(manifest("x")).replace(b'"history":"x"', b'"history":[{}]')
    store = MemoryStore()
    store.put(manifest_name(octets), octets)
    assert read_manifest(store, manifest_name(octets)) == manifest(None)


def test_the_golden_history_is_read_as_it_was_written() -> None:
    folder = GOLDEN / "history"
    store = MemoryStore()
    for path in folder.iterdir():
        store.put(f"history/{path.name}", path.read_bytes())
    (name,) = (f"history/{path.name}" for path in folder.iterdir() if len(path.name) == 64)

    index = read_index(store, name)

    (part,) = index.parts
    assert [(one.key, one.status, one.not_after) for one in entries(read_part(store, part))] == [
        (7, "good", 1_799_999_488),
        (7, "revoked", None),
        (1 << 63, "on-hold", None),
        (2**64 - 1, "unknown", 0),
    ]
