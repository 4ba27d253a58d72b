"""The 64-bit keys of many certificates at once: XXH64 of their serials, a column at a time (storage/FORMAT.md, 2)."""

from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", np.int32, np.uint8)
LOWER_BITS = np.uint64(32)  # of a key: the half above them chooses shard and bucket

P1, P2, P3, P4, P5 = (
    np.uint64(prime)
    for prime in (
        0x9E3779B185EBCA87,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0x85EBCA77C2B2AE63,
        0x27D4EB2F165667C5,
    )
)
_BLOCK_ROWS = 8192  # of which all that is computed stays in the second-level cache


def serial_offsets(serial: pa.BinaryArray) -> NDArray[np.int32]:
    """Return where each serial begins in `serial_octets`, and where the last one ends: int32[n + 1]."""
    return _view(serial.buffers()[1], np.int32)[serial.offset : serial.offset + len(serial) + 1]


def serial_octets(serial: pa.BinaryArray) -> NDArray[np.uint8]:
    """Return the octets of all serials, end to end."""
    return _view(serial.buffers()[2], np.uint8)


def serial_matrix(
    octets: NDArray[np.uint8], starts: NDArray[np.int32] | NDArray[np.intp], size: int
) -> NDArray[np.uint8]:
    """Return the serials that begin at `starts`, all of `size` octets, as uint8[n, size]."""
    # Overlapping items of `size` octets, each copied as a whole: twice as fast as a window of single octets.
    windows = np.ndarray((len(octets) - size + 1,), f"V{size}", octets, strides=(1,))
    return windows[starts].view(np.uint8).reshape(-1, size)


def same_serials(some: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which rows of two matrices of serials are the same, uint8[n, size] each, end to end: bool[n].

    Eight octets are compared at a time, the last eight of which overlap the others: that takes a tenth of the time.

    >>> one = np.frombuffer(b"0123456789" * 2, np.uint8).reshape(2, 10)
    >>> same_serials(one, np.frombuffer(b"01234567890123456780", np.uint8).reshape(2, 10)).tolist()
    [True, False]
    """
    count, size = some.shape
    if size < 8 or not count:
        return np.asarray((some == others).all(axis=1))
    same = np.ones(count, np.bool_)
    for at in (*range(0, size - 8, 8), size - 8):
        same &= _lanes(some, at, "<u8") == _lanes(others, at, "<u8")
    return same


def keys(serial: pa.BinaryArray, seeds: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the key of each serial, uint64[n].

    Args:
        serial: content octets, 1 to 31 of them.
        seeds: the issuer's id of each row, uint64[n], or of all rows, uint64[1].
    """
    offsets, octets = serial_offsets(serial), serial_octets(serial)
    sizes = np.diff(offsets)
    out = np.empty(len(serial), np.uint64)
    for size in np.flatnonzero(np.bincount(sizes)).tolist():
        rows = np.flatnonzero(sizes == size)
        seed = seeds if len(seeds) == 1 else seeds[rows]
        out[rows] = xxh64(serial_matrix(octets, offsets[rows], size), seed)
    return out


def xxh64(rows: NDArray[np.uint8], seed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return XXH64 of each row of `rows`, uint8[n, width] with width below 32, seeded with uint64[n] or uint64[1].

    >>> f"{xxh64(np.frombuffer(b'abc', np.uint8)[None], np.zeros(1, np.uint64))[0]:x}"
    '44bc2cf5ad770999'
    """
    count, width = rows.shape
    if width >= 32:
        raise ValueError("rows of 32 octets and more take another path of XXH64")
    rows, out = np.ascontiguousarray(rows), np.empty(count, np.uint64)
    for at in range(0, count, _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        out[block] = _xxh64(rows[block], seed if len(seed) == 1 else seed[block])
    return out


def _xxh64(rows: NDArray[np.uint8], seed: NDArray[np.uint64]) -> NDArray[np.uint64]:
    count, width = rows.shape
    h = np.empty(count, np.uint64)
    with np.errstate(over="ignore"):
        h[:] = seed + (P5 + np.uint64(width))
        at = 0
        while at + 8 <= width:
            lane = _lanes(rows, at, "<u8") * P2
            _rotate(lane, 31)
            lane *= P1
            h ^= lane
            _rotate(h, 27)
            h *= P1
            h += P4
            at += 8
        if at + 4 <= width:
            h ^= _lanes(rows, at, "<u4") * P1
            _rotate(h, 23)
            h *= P2
            h += P3
            at += 4
        for column in range(at, width):
            h ^= rows[:, column] * P5
            _rotate(h, 11)
            h *= P1
        h ^= h >> np.uint64(33)
        h *= P2
        h ^= h >> np.uint64(29)
        h *= P3
        h ^= h >> np.uint64(32)
    return h


def _lanes(rows: NDArray[np.uint8], at: int, kind: str) -> NDArray[np.uint64]:
    """Return the numbers of a kind at one octet of all rows, which lie end to end, where they are."""
    count, width = rows.shape
    return np.ndarray(count, kind, rows, at, (width,))


def _view(buffer: pa.Buffer | None, kind: type[Number]) -> NDArray[Number]:
    if buffer is None:
        return np.empty(0, kind)
    # pyarrow's buffers speak the buffer protocol, which its stubs do not say before Python 3.12
    return np.frombuffer(buffer, kind)  # type: ignore[call-overload,no-any-return]


def _rotate(x: NDArray[np.uint64], bits: int) -> None:
    """Rotate numbers where they are."""
    carried = x >> np.uint64(64 - bits)
    x <<= np.uint64(bits)
    x |= carried
