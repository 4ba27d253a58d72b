"""Columns under a header and a checksum, as parts of histories are stored (HISTORY.md).

    magic (8) | version u16 | features u16 | n u32 | columns | CRC-32

All integers are little-endian. The checksum covers the id in the object's name, so that the right octets from the wrong
place are noticed. Readers of answers need none of this.
"""

import re
import struct
import zlib
from typing import Protocol

from storage.errors import (
    BadMagicError,
    ChecksumError,
    MalformedError,
    TruncatedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)

SEALED_VERSION = 1
SEALED_ID_BYTES = 16
SEALED_NAME = re.compile("history/([0-9a-f]{32})")
_HEADER = struct.Struct("<8sHHI")
_CHECKSUM = struct.Struct("<I")


class SealedPart(Protocol):
    """What an index says of an object: its name, how many entries and octets it has, and its checksum."""

    @property
    def name(self) -> str:
        """The name of the object."""

    @property
    def rows(self) -> int:
        """How many entries it must have."""

    @property
    def size_bytes(self) -> int:
        """How many octets it must have."""

    @property
    def crc(self) -> int:
        """What its checksum must be, which are its last four octets."""


def sealed_name(identity: bytes) -> str:
    """Return the object name of columns with this random id, which 16 octets are."""
    return f"history/{identity.hex()}"


def seal(identity: bytes, magic: bytes, count: int, *columns: bytes | memoryview) -> tuple[bytes, int]:
    """Return the stored form of columns, and its checksum.

    Args:
        identity: the object's random id, 16 octets.
        magic: tells the kind, 8 octets.
        count: how many entries the columns have.
        columns: one after the other.
    """
    body = b"".join((_HEADER.pack(magic, SEALED_VERSION, 0, count), *columns))
    crc = zlib.crc32(body, zlib.crc32(identity))
    return body + _CHECKSUM.pack(crc), crc


def unseal(part: SealedPart, octets: bytes, magic: bytes, entry_bytes: int) -> memoryview:
    """Return the columns of an object, after everything about it was checked.

    Args:
        part: what is said of it.
        octets: what is stored under its name.
        magic: of the kind.
        entry_bytes: octets of one entry, in all columns together.

    Raises:
        FormatError: it is damaged, or not what was said of it.
    """
    name = part.name
    match = SEALED_NAME.fullmatch(name)
    if match is None:
        raise MalformedError(name, "is not the name of a part of a history")
    if len(octets) != part.size_bytes or len(octets) < _HEADER.size + _CHECKSUM.size:
        raise TruncatedError(name, f"has {len(octets)} octets where {part.size_bytes} belong")
    found, version, features, count = _HEADER.unpack_from(octets)
    if found != magic:
        raise BadMagicError(name, "does not begin as such a part of a history does")
    if version != SEALED_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {SEALED_VERSION}")
    if features:
        raise UnknownFeatureError(name, f"uses feature bits {features:#06x}, which this reader does not know")
    view = memoryview(octets)
    summed = zlib.crc32(view[: -_CHECKSUM.size], zlib.crc32(bytes.fromhex(match[1])))
    if summed != part.crc or _CHECKSUM.unpack_from(octets, len(octets) - _CHECKSUM.size)[0] != summed:
        raise ChecksumError(name, "is damaged, or is another part")
    if count != part.rows or len(octets) != _HEADER.size + count * entry_bytes + _CHECKSUM.size:
        raise MalformedError(name, f"has {count} entries in {len(octets)} octets where {part.rows} belong")
    return view[_HEADER.size : -_CHECKSUM.size]
