"""Keys of revocations that have ended: written and read again, damaged, and as HISTORY.md says."""

import struct
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.ended_part import (
    ENDED_BYTES,
    EndedColumns,
    EndedPart,
    decode_ended_part,
    encode_ended_part,
    read_ended_part,
)
from storage.errors import BadMagicError, ChecksumError, FormatError, MalformedError
from storage.history import HistoryPart, read_part
from storage.stores.memory import MemoryStore

IDENTITY = bytes(range(16))
COLUMNS = EndedColumns(struct.pack("<3Q", 5, 6, 1 << 63), struct.pack("<3H", 20_000, 19_999, 65_535))


def part_of(columns: EndedColumns = COLUMNS) -> tuple[EndedPart, bytes]:
    return encode_ended_part(IDENTITY, 0, 1 << 32, columns, 19_999)


def test_rows_come_back_as_they_were_put() -> None:
    part, octets = part_of()
    store = MemoryStore()
    store.put(part.name, octets)
    assert read_ended_part(store, part) == COLUMNS
    assert (part.rows, part.size_bytes, part.oldest) == (3, len(octets), 19_999)
    assert len(octets) == 16 + 3 * ENDED_BYTES + 4


def test_a_part_is_what_the_specification_says() -> None:
    part, octets = part_of()
    assert struct.unpack("<8sHHI", octets[:16]) == (bytes.fromhex("50524547454e450a"), 1, 0, 3)
    assert struct.unpack("<3Q", octets[16:40]) == (5, 6, 1 << 63)
    assert struct.unpack("<3H", octets[40:46]) == (20_000, 19_999, 65_535)
    assert struct.unpack("<I", octets[46:]) == (zlib.crc32(IDENTITY + octets[:46]),) == (part.crc,)


@given(st.data())
def test_any_damaged_octet_is_noticed(data: st.DataObject) -> None:
    part, octets = part_of()
    damaged = bytearray(octets)
    damaged[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        decode_ended_part(part, bytes(damaged))


def test_what_is_another_part_or_none_is_refused() -> None:
    part, octets = part_of()
    with pytest.raises(ChecksumError, match="is another part"):
        decode_ended_part(replace(part, name=f"history/{7:032x}"), octets)
    with pytest.raises(MalformedError, match="more keys than days"):
        part_of(EndedColumns(bytes(16), bytes(2)))
    store = MemoryStore()
    store.put(part.name, octets)
    of_shard = HistoryPart(low=0, high=1, name=part.name, rows=3, size_bytes=part.size_bytes, crc=part.crc)
    with pytest.raises(BadMagicError):
        read_part(store, of_shard)
