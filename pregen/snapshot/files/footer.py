"""The footer of a Parquet file, as far as it must be known before a column is touched.

pyarrow ends the whole process (SIGABRT, no exception) when it is asked about a column chunk whose description it cannot
take: an encrypted one, or one with a damaged bit. So that is read here: the compact protocol of Thrift, of which the
footer is one struct (parquet.thrift, FileMetaData). Everything that is not needed is stepped over.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

_MAGIC = b"PAR1"
MAGIC_ENCRYPTED = b"PARE"  # the footer too is encrypted
MAGICS = (_MAGIC, MAGIC_ENCRYPTED)
_TAIL_BYTES = 8  # the footer's length in four octets, and the magic
_AT_ONCE_BYTES = 64 << 10  # of the end of a file: mostly the whole footer
_DEEPEST = 32  # structs within structs; a footer has less than ten
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_BYTE_ARRAY = 6
_SIGNATURE_BYTES = 28  # nonce and tag behind a footer that is signed, as it is where columns alone are encrypted
_ALGORITHM, _ALGORITHMS = 8, (1, 2)  # of FileMetaData; AES_GCM_V1 and AES_GCM_CTR_V1
_WHOLE_NUMBERS = (4, 5, 6)
_FIXED_BYTES = {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}  # a field says by its type whether it is true


class Chunk(NamedTuple):
    """What a footer says of one column in one row group.

    Attributes:
        column: its path, joined by dots.
        is_octets: whether its values are octets of any length.
        values: how many there are.
        size_bytes: of all its pages, unpacked.
        has_dictionary: whether there is a dictionary page.
    """

    column: str
    is_octets: bool
    values: int
    size_bytes: int
    has_dictionary: bool


class RowGroup(NamedTuple):
    """What a footer says of one row group."""

    rows: int
    chunks: tuple[Chunk, ...]


class Footer(NamedTuple):
    """What a footer says.

    Attributes:
        groups: the row groups.
        is_encrypted: whether any column is, or the footer itself.
        file: a file of this footer alone, for whoever wants to read the same octets.
    """

    groups: tuple[RowGroup, ...]
    is_encrypted: bool
    file: bytes


def read_footer(file: pa.NativeFile) -> Footer:
    """Return what the footer of a file says.

    Raises:
        pa.ArrowInvalid: there is none, or it is damaged.
    """
    size = file.size()
    if size < len(_MAGIC) + _TAIL_BYTES:
        raise pa.ArrowInvalid("it is too short for a footer")
    file.seek(max(0, size - _AT_ONCE_BYTES))
    end = file.read(_AT_ONCE_BYTES)
    length, magic = struct.unpack("<I4s", end[-_TAIL_BYTES:])
    if magic == MAGIC_ENCRYPTED and _head(file) == MAGIC_ENCRYPTED:  # else an octet of the magic is damaged
        return Footer((), is_encrypted=True, file=b"")
    if magic != _MAGIC or length > size - len(_MAGIC) - _TAIL_BYTES:
        raise pa.ArrowInvalid("it does not end in a footer")
    if length + _TAIL_BYTES > len(end):
        file.seek(size - _TAIL_BYTES - length)
        end = file.read(length + _TAIL_BYTES)
    own = end[-_TAIL_BYTES - length :]
    try:
        groups, is_encrypted = _file_metadata(_Compact(own[:-_TAIL_BYTES]))
    except (IndexError, OverflowError, RecursionError, struct.error):
        raise pa.ArrowInvalid("its footer is damaged") from None
    return Footer(groups, is_encrypted, _MAGIC + own)


class _Compact:
    """A position in a struct of Thrift's compact protocol."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of a struct; the caller reads or skips each."""
        number = 0
        while head := self._byte():
            kind = head & 15
            number = number + (head >> 4) if head >> 4 else self.number()
            yield number, kind

    def items(self) -> Iterator[int]:
        """Yield the type of each item of a list or a set; the caller reads or skips each."""
        head = self._byte()
        count = head >> 4 if head >> 4 != 15 else self._varint()
        if count > len(self._octets):  # each item takes an octet at least
            raise IndexError(count)
        for _ in range(count):
            yield head & 15

    def left(self) -> int:
        """Return how many octets are left."""
        return len(self._octets) - self._at

    def number(self) -> int:
        """Return a whole number."""
        coded = self._varint()
        return coded >> 1 ^ -(coded & 1)

    def octets(self) -> bytes:
        """Return octets of any length."""
        length = self._varint()
        self._forward(length)
        return self._octets[self._at - length : self._at]

    def skip(self, kind: int, depth: int = 0, *, in_list: bool = False) -> None:
        """Step over a value."""
        if depth > _DEEPEST:
            raise IndexError(depth)
        if kind in _FIXED_BYTES:
            self._forward(_FIXED_BYTES[kind] or in_list)
        elif kind in _WHOLE_NUMBERS:
            self._varint()
        elif kind == _BINARY:
            self._forward(self._varint())
        elif kind in {_LIST, _SET}:
            for item in self.items():
                self.skip(item, depth + 1, in_list=True)
        elif kind == _MAP:
            self._skip_map(depth)
        elif kind == _STRUCT:
            for _, field in self.fields():
                self.skip(field, depth + 1)
        else:
            raise IndexError(kind)

    def _skip_map(self, depth: int) -> None:
        count = self._varint()
        if not count:
            return
        kinds = self._byte()
        for _ in range(min(count, len(self._octets))):
            self.skip(kinds >> 4, depth + 1, in_list=True)
            self.skip(kinds & 15, depth + 1, in_list=True)

    def _byte(self) -> int:
        self._at += 1
        return self._octets[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            octet = self._byte()
            value |= (octet & 127) << shift
            if octet < 128:
                return value
            shift += 7
            if shift > 63:
                raise IndexError(shift)

    def _forward(self, count: int) -> None:
        self._at += count
        if self._at > len(self._octets):
            raise IndexError(self._at)


def _head(file: pa.NativeFile) -> bytes:
    file.seek(0)
    return file.read(len(_MAGIC))


def _file_metadata(at: _Compact) -> tuple[tuple[RowGroup, ...], bool]:
    """Return the row groups, and whether columns are encrypted.

    A file with encrypted columns names its algorithm (a union, one of two structs) as well, even where no column of a
    group tells, and is signed. Where a column alone says that it is encrypted, or nothing is signed, that is damage.
    """
    groups: list[RowGroup] = []
    has_algorithm = holds_encrypted = False
    for number, kind in at.fields():
        if (number, kind) == (4, _LIST):
            for item in at.items():
                group, is_hidden = _row_group(at, item)
                groups.append(group)
                holds_encrypted |= is_hidden
        elif (number, kind) == (_ALGORITHM, _STRUCT):
            for own, field in at.fields():
                has_algorithm |= own in _ALGORITHMS and field == _STRUCT
                at.skip(field)
        else:
            at.skip(kind)
    is_signed = has_algorithm and at.left() == _SIGNATURE_BYTES
    if (has_algorithm or holds_encrypted) and not is_signed:
        raise IndexError(_ALGORITHM)
    return tuple(groups), is_signed


def _row_group(at: _Compact, kind: int) -> tuple[RowGroup, bool]:
    chunks: list[Chunk] = []
    rows, is_encrypted = 0, False
    for number, field in _struct(at, kind):
        if (number, field) == (1, _LIST):
            for item in at.items():
                chunk, is_hidden = _column_chunk(at, item)
                chunks += [chunk] if chunk else []
                is_encrypted |= is_hidden
        elif number == 3 and field in _WHOLE_NUMBERS:
            rows = at.number()
        else:
            at.skip(field)
    return RowGroup(rows, tuple(chunks)), is_encrypted


def _column_chunk(at: _Compact, kind: int) -> tuple[Chunk | None, bool]:
    chunk, is_encrypted = None, False
    for number, field in _struct(at, kind):
        if (number, field) == (3, _STRUCT):
            chunk = _column_metadata(at)
        else:
            is_encrypted |= number in {8, 9}  # crypto_metadata, encrypted_column_metadata
            at.skip(field)
    return chunk, is_encrypted


def _column_metadata(at: _Compact) -> Chunk:
    names: list[str] = []
    found = dict.fromkeys((1, 5, 6), 0)
    has_dictionary = False
    for number, kind in at.fields():
        if (number, kind) == (3, _LIST):
            names = [at.octets().decode("utf-8", "replace") for _ in at.items()]
        elif number in found and kind in _WHOLE_NUMBERS:
            found[number] = at.number()
        else:
            has_dictionary |= number == 11
            at.skip(kind)
    return Chunk(".".join(names), found[1] == _BYTE_ARRAY, found[5], found[6], has_dictionary)


def _struct(at: _Compact, kind: int) -> Iterator[tuple[int, int]]:
    if kind != _STRUCT:
        raise IndexError(kind)
    return at.fields()
