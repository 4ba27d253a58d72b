"""Octets of Arrow columns as numpy arrays, whatever the offsets' width, the slice and the nulls.

Variable-length values become matrices of one width here, so that everything after is arithmetic on columns.
"""

from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

# Their generics exist for the type checker only, so these are texts.
ArrowArray: TypeAlias = "pa.Array[pa.Scalar[pa.DataType]]"
ArrowScalar: TypeAlias = "pa.Scalar[pa.DataType]"

T = TypeVar("T", np.int32, np.int64)


class Fault(NamedTuple):
    """Rows of one column that cannot be: a stable code, and which rows, bool[n]."""

    code: str
    rows: NDArray[np.bool_]


class OctetColumn(NamedTuple):
    """Values of a column: value i is ``data[start[i]:end[i]]``; what a null's place holds means nothing.

    `data` is uint8, `start` and `end` are int64[n]; the values lie in order and do not overlap.
    """

    data: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    @property
    def size(self) -> NDArray[np.int64]:
        """The length of each value."""
        return self.end - self.start


def octets_of(column: ArrowArray) -> OctetColumn:
    """Return the values of a binary, text or fixed-size binary column without copying them."""
    if not len(column):
        return OctetColumn(np.zeros(0, np.uint8), np.zeros(0, np.int64), np.zeros(0, np.int64))
    if pa.types.is_fixed_size_binary(column.type):
        width = column.type.byte_width
        edges = np.arange(column.offset, column.offset + len(column) + 1, dtype=np.int64) * width
    elif pa.types.is_large_binary(column.type) or pa.types.is_large_string(column.type):
        edges = _numbers(column, np.dtype(np.int64), len(column) + 1).astype(np.int64)
    else:
        edges = _numbers(column, np.dtype(np.int32), len(column) + 1).astype(np.int64)
    first, last = int(edges[0]), int(edges[-1])
    edges -= first
    data = np.frombuffer(memoryview(column.buffers()[-1] or b""), np.uint8)[first:last]
    return OctetColumn(data, edges[:-1], edges[1:])


def _numbers(column: ArrowArray, kind: "np.dtype[T]", count: int) -> NDArray[T]:
    """Return the first `count` numbers of a column's second buffer, whatever else is in it."""
    buffer = memoryview(column.buffers()[1] or b"")
    return np.frombuffer(buffer, kind, count, column.offset * kind.itemsize)


def text_of(column: ArrowArray) -> OctetColumn:
    r"""Return the values of a text column less the white space around them, also where its type says octets.

    Then they may be no UTF-8, and zeros that fill a fixed size do not count.

    >>> text = text_of(pa.array([b" 0a1b ", b"7f\0\0\0\0"], pa.binary(6)))
    >>> text.size.tolist()
    [4, 2]
    """
    if isinstance(column, pa.StringArray | pa.LargeStringArray):
        return octets_of(pc.ascii_trim_whitespace(column))
    if pa.types.is_fixed_size_binary(column.type):
        column = column.cast(pa.large_binary())
    column = column.view(pa.large_string() if pa.types.is_large_binary(column.type) else pa.string())
    assert isinstance(column, pa.StringArray | pa.LargeStringArray)
    return _without_filling(octets_of(pc.ascii_trim_whitespace(column)))


def _without_filling(values: OctetColumn) -> OctetColumn:
    """Return values less the zeros at their end."""
    if (values.data != 0).all():
        return values
    others = np.append(-1, np.flatnonzero(values.data != 0))
    last = others[np.searchsorted(others, values.end) - 1]
    return values._replace(end=np.maximum(last + 1, values.start))


def binary_array(data: NDArray[np.uint8], size: NDArray[np.int64]) -> pa.BinaryArray:
    """Return the binary column whose values of the given sizes lie one behind the other in `data`."""
    offsets = np.zeros(len(size) + 1, np.int32)
    np.cumsum(size, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(data.data)]
    array = pa.Array.from_buffers(pa.binary(), len(size), buffers)
    assert isinstance(array, pa.BinaryArray)
    return array


def nulls(column: ArrowArray) -> NDArray[np.bool_]:
    """Return where a column is null, bool[n]."""
    if column.null_count == 0:
        return np.zeros(len(column), np.bool_)
    return column.is_null().to_numpy(zero_copy_only=False)


def integers(column: ArrowArray) -> NDArray[np.int64]:
    """Return a column of 64-bit values as int64[n] without copying; what a null's place holds means nothing.

    >>> integers(pa.array([5, 7], pa.timestamp("ms", "UTC"))).tolist()
    [5, 7]
    """
    return _numbers(column, np.dtype(np.int64), len(column)) if len(column) else np.zeros(0, np.int64)


def heads(values: OctetColumn, width: int) -> NDArray[np.uint8]:
    """Return the first octets of each value, uint8[n, width]; behind the end of a shorter value stands anything."""
    padded = np.concatenate([values.data, np.zeros(width, np.uint8)])
    return sliding_window_view(padded, width)[values.start]


def tails(values: OctetColumn, width: int) -> NDArray[np.uint8]:
    """Return the last octets of each value, uint8[n, width], with zeros before a shorter one.

    >>> tails(octets_of(pa.array([b"abc", b"z"])), 2)
    array([[ 98,  99],
           [  0, 122]], dtype=uint8)
    """
    padded = np.concatenate([np.zeros(width, np.uint8), values.data])
    matrix = sliding_window_view(padded, width)[values.end]
    if (values.size < width).any():
        missing = np.clip(width - values.size, 0, width)
        matrix[np.arange(width) < missing[:, None]] = 0
    return matrix


def octet_at(values: OctetColumn, at: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the octet at each place of the data, uint8[n]; 0 outside of it."""
    if not len(values.data):
        return np.zeros(len(at), np.uint8)
    found = values.data.take(at, mode="clip")
    return np.where((at >= 0) & (at < len(values.data)), found, np.uint8(0))


def holds(values: OctetColumn, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which values hold an octet that is marked, bool[n]; `marked` is as long as the data."""
    if not marked.any():
        return np.zeros(len(values.start), np.bool_)
    before = np.zeros(len(marked) + 1, np.int64)
    np.cumsum(marked, out=before[1:])
    return before[values.end] > before[np.minimum(values.start, values.end)]


def without(values: OctetColumn, dropped: NDArray[np.bool_]) -> OctetColumn:
    """Return the values less the octets that are marked as dropped; `dropped` is as long as the data."""
    if not dropped.any():
        return values
    kept = np.zeros(len(dropped) + 1, np.int64)
    np.cumsum(~dropped, out=kept[1:])
    return OctetColumn(values.data[~dropped], kept[values.start], kept[values.end])


def without_leading(values: OctetColumn, octet: int) -> OctetColumn:
    """Return the values less their leading octets of one kind; nothing is left of a value that has no others.

    >>> without_leading(octets_of(pa.array([b"0070", b"00"])), ord("0")).size.tolist()
    [2, 0]
    """
    others = np.append(np.flatnonzero(values.data != octet), len(values.data))
    first = others[np.searchsorted(others, values.start)]
    return values._replace(start=np.minimum(first, values.end))
