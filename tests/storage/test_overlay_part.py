"""What is remembered of an overlay's records: written and read again, damaged, and as HISTORY.md says."""

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import BadMagicError, ChecksumError, FormatError, MalformedError
from storage.history import HistoryPart, read_part
from storage.overlay_part import (
    NO_EXPIRY_32,
    ORIGINS,
    OverlayColumns,
    OverlayPart,
    decode_overlay_part,
    encode_overlay_part,
    read_overlay_part,
)
from storage.stores.memory import MemoryStore

IDENTITY, PACK = bytes(range(16)), f"packs/00000000-{1:032x}"
COLUMNS = OverlayColumns(
    struct.pack("<3Q", 5, 5, 1 << 63),
    struct.pack("<3Q", 1_790_000_000, 1, 253_402_300_799),
    struct.pack("<3I", 1_800_000_000, NO_EXPIRY_32, 0),
    bytes([3, 0, 2]),
)


def part_of(columns: OverlayColumns = COLUMNS) -> tuple[OverlayPart, bytes]:
    return encode_overlay_part(IDENTITY, PACK, columns)


def test_rows_come_back_as_they_were_put() -> None:
    part, octets = part_of()
    store = MemoryStore()
    store.put(part.name, octets)
    assert read_overlay_part(store, part) == COLUMNS
    assert (part.pack, part.rows, part.size_bytes) == (PACK, 3, len(octets))
    assert len(octets) == 16 + 3 * 21 + 4


def test_a_part_without_rows_is_one() -> None:
    part, octets = part_of(OverlayColumns(b"", b"", b"", b""))
    assert decode_overlay_part(part, octets) == (b"", b"", b"", b"")


def test_a_part_is_what_the_specification_says() -> None:
    part, octets = part_of()
    assert struct.unpack("<8sHHI", octets[:16]) == (bytes.fromhex("50524547454e4f0a"), 1, 0, 3)
    assert struct.unpack("<6Q", octets[16:64]) == (5, 5, 1 << 63, 1_790_000_000, 1, 253_402_300_799)
    assert struct.unpack("<3I", octets[64:76]) == (1_800_000_000, 2**32 - 1, 0)
    assert octets[76:79] == bytes([3, 0, 2])
    assert struct.unpack("<I", octets[79:]) == (zlib.crc32(IDENTITY + octets[:79]),) == (part.crc,)
    assert ORIGINS == ("run", "delta", "revoke", "hold")


@given(st.data())
def test_any_damaged_octet_is_noticed(data: st.DataObject) -> None:
    part, octets = part_of()
    damaged = bytearray(octets)
    damaged[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        decode_overlay_part(part, bytes(damaged))


def test_what_is_another_part_or_none_is_refused() -> None:
    part, octets = part_of()
    with pytest.raises(FormatError, match="octets where"):
        decode_overlay_part(part, octets[:-1])
    with pytest.raises(ChecksumError, match="is another part"):
        decode_overlay_part(replace(part, name=f"history/{7:032x}"), octets)
    with pytest.raises(MalformedError, match="3 entries"):
        decode_overlay_part(replace(part, rows=4), octets)
    with pytest.raises(MalformedError, match="columns of different lengths"):
        part_of(COLUMNS._replace(origins=b"\0"))
    with pytest.raises(MalformedError, match="of the origin 4"):
        decode_overlay_part(*part_of(COLUMNS._replace(origins=bytes([0, 4, 1]))))
    store = MemoryStore()
    store.put(part.name, octets)
    of_a_shard = HistoryPart(low=0, high=9, name=part.name, rows=3, size_bytes=len(octets), crc=part.crc)
    with pytest.raises(BadMagicError):
        read_part(store, of_a_shard)
