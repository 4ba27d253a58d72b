"""What the record batches of an Arrow IPC file take when they are unpacked, told before a buffer is unpacked.

Each packed buffer begins with its length (Message.fbs, BodyCompression), and pyarrow allocates that at once: a file of
a hundred kilobytes can ask for gigabytes. Messages are FlatBuffers; what cannot be read as one is left to pyarrow.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

_FILE_HEAD_BYTES = 8  # the magic, padded
_CONTINUATION = 0xFFFFFFFF
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # of MessageHeader
_MOST_BYTES = 1 << 30
_MOST_TIMES = 64  # serials do not shrink: a snapshot with columns by the dozen grows ten times
_KNOWN_TO_GROW_BYTES = 256 << 20  # the size of a file from which on it is not walked through


class _Batch(NamedTuple):
    """Where the body of a message is, and its buffers, each by offset and length; none if they are not packed."""

    body: int
    buffers: tuple[tuple[int, int], ...]


def refuse_bombs(file: pa.NativeFile, size: int, *, stream: bool) -> None:
    """Refuse a file of which one batch would fill the memory.

    Raises:
        pa.ArrowInvalid: it is such a one.
    """
    if size > _KNOWN_TO_GROW_BYTES:
        return
    for batch in _batches(file, 0 if stream else _FILE_HEAD_BYTES, size):
        unpacked = 0
        for offset, length in batch.buffers:
            if length >= 8:
                file.seek(batch.body + offset)
                unpacked += max(length, struct.unpack("<q", file.read(8).ljust(8, b"\0"))[0])
        if unpacked > max(_MOST_BYTES, _MOST_TIMES * size):
            raise pa.ArrowInvalid(f"a record batch unpacks to {unpacked:,} octets, as none of a snapshot does")


def _batches(file: pa.NativeFile, at: int, size: int) -> Iterator[_Batch]:
    """Yield the batches of a file, one after the other, up to its end or to what is no message."""
    while at + 8 <= size:
        file.seek(at)
        mark, length = struct.unpack("<II", file.read(8))
        at += 8
        if mark != _CONTINUATION or not 0 < length <= size - at:
            return
        try:
            kind, body_bytes, buffers = _message(file.read(length))
        except struct.error:
            return
        at += length
        if kind in {_DICTIONARY_BATCH, _RECORD_BATCH}:
            yield _Batch(at, buffers)
        at += max(0, body_bytes)


def _message(octets: bytes) -> tuple[int, int, tuple[tuple[int, int], ...]]:
    """Return the kind of a message, how long its body is, and its packed buffers."""
    table = _at(octets, "<I", 0)
    body_field, header = _field(octets, table, 3), _pointer(octets, _field(octets, table, 2))
    kind = _at(octets, "<B", own) if (own := _field(octets, table, 1)) else 0
    body_bytes = _at(octets, "<q", body_field) if body_field else 0
    if kind == _DICTIONARY_BATCH:
        header = _pointer(octets, _field(octets, header, 1))
    if kind not in {_DICTIONARY_BATCH, _RECORD_BATCH} or not _field(octets, header, 3):
        return kind, body_bytes, ()
    vector = _pointer(octets, _field(octets, header, 2))
    count = _at(octets, "<I", vector)
    pairs = struct.unpack_from(f"<{2 * min(count, len(octets))}q", octets, vector + 4)
    return kind, body_bytes, tuple(zip(pairs[::2], pairs[1::2], strict=True))


def _at(octets: bytes, form: str, at: int) -> int:
    value: int = struct.unpack_from(form, octets, at)[0]
    return value


def _pointer(octets: bytes, at: int) -> int:
    """Return where that points to which a field holds."""
    if not at:
        raise struct.error("there is no such field")
    return at + _at(octets, "<I", at)


def _field(octets: bytes, table: int, number: int) -> int:
    """Return where a field of a table is; 0 if it is left out."""
    entries = table - _at(octets, "<i", table)
    if 4 + 2 * number >= _at(octets, "<H", entries):
        return 0
    offset = _at(octets, "<H", entries + 4 + 2 * number)
    return table + offset if offset else 0
