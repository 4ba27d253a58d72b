"""What is remembered of the records of one overlay's pack, beside what the pack itself tells (HISTORY.md).

    magic (8) | version u16 | features u16 | n u32 | columns | CRC-32
    columns: keys u64 * n | as_of u64 * n | not_after u32 * n | origins u8 * n

Rows are in the order of (key, serial) of the pack's records, whichever bucket and run these lie in. Issuer, serial,
status, revocation time and reason are read from the pack.
"""

from dataclasses import dataclass
from typing import NamedTuple

from storage.errors import MalformedError
from storage.sealed import seal, sealed_name, unseal
from storage.stores.base import ReadableStore

_MAGIC = b"PREGENO\n"
_KEY_BYTES, AS_OF_BYTES, NOT_AFTER_BYTES, ORIGIN_BYTES = 8, 8, 4, 1
_ENTRY_BYTES = _KEY_BYTES + AS_OF_BYTES + NOT_AFTER_BYTES + ORIGIN_BYTES
ORIGINS = ("run", "delta", "revoke", "hold")
"""Where a record comes from; its octet is the index."""
NO_EXPIRY_32 = (1 << 32) - 1
"""What not_after is where none is known; also of certificates that end at that second, 2106-02-07, or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayPart:
    """Where that is stored for one pack.

    Attributes:
        pack: object name of the pack.
        name: object name.
        rows: how many records the pack has.
        size_bytes: octets of the whole object.
        crc: its last four octets, as a number.
    """

    pack: str
    name: str
    rows: int
    size_bytes: int
    crc: int


class OverlayColumns(NamedTuple):
    """One row a record, by ascending (key, serial), little-endian: u64 keys, u64 as_of, u32 not_after, u8 origins.

    `keys` are whole keys (`storage.key.key64`), `as_of` and `not_after` are seconds since 1970 (`NO_EXPIRY_32`: none),
    and `origins` are indexes of `ORIGINS`.
    """

    keys: bytes | memoryview
    as_of: bytes | memoryview
    not_after: bytes | memoryview
    origins: bytes | memoryview


def encode_overlay_part(identity: bytes, pack: str, columns: OverlayColumns) -> tuple[OverlayPart, bytes]:
    """Return where it is stored, and its octets.

    Args:
        identity: its random id, 16 octets.
        pack: object name of the pack.
        columns: one row a record.
    """
    name, count = sealed_name(identity), len(columns.keys) // _KEY_BYTES
    sizes = _KEY_BYTES, AS_OF_BYTES, NOT_AFTER_BYTES, ORIGIN_BYTES
    if any(len(column) != count * size for column, size in zip(columns, sizes, strict=True)):
        raise MalformedError(name, "would have columns of different lengths")
    octets, crc = seal(identity, _MAGIC, count, *columns)
    return OverlayPart(pack=pack, name=name, rows=count, size_bytes=len(octets), crc=crc), octets


def decode_overlay_part(part: OverlayPart, octets: bytes) -> OverlayColumns:
    """Return the rows.

    Raises:
        FormatError: they are damaged, or not what the index says, or come from where nothing does.
    """
    view = unseal(part, octets, _MAGIC, _ENTRY_BYTES)
    as_of, not_after, origins = (part.rows * size for size in (_KEY_BYTES, _KEY_BYTES + AS_OF_BYTES, _ENTRY_BYTES - 1))
    columns = OverlayColumns(view[:as_of], view[as_of:not_after], view[not_after:origins], view[origins:])
    if max(columns.origins, default=0) >= len(ORIGINS):
        raise MalformedError(part.name, f"has a record of the origin {max(columns.origins)}, which there is not")
    return columns


def read_overlay_part(store: ReadableStore, part: OverlayPart) -> OverlayColumns:
    """Return the rows of a stored one.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    return decode_overlay_part(part, store.get(part.name))
