"""Keys of final revocations whose certificates have ended, and that have no answers any more (HISTORY.md).

    magic (8) | version u16 | features u16 | n u32 | keys u64 * n | days u16 * n | CRC-32

Keys are in ascending order, each once; a day is counted from 1970-01-01.
"""

from dataclasses import dataclass
from typing import NamedTuple

from storage.errors import MalformedError
from storage.sealed import seal, sealed_name, unseal
from storage.stores.base import ReadableStore

_MAGIC = b"PREGENE\n"
_KEY_BYTES, DAY_BYTES = 8, 2
ENDED_BYTES = _KEY_BYTES + DAY_BYTES  # of one revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedPart:
    """Where those of one range of keys are stored.

    Attributes:
        low, high: the range, of the upper 32 bits of keys, from `low` up to below `high`.
        name: object name.
        rows: how many there are.
        size_bytes: octets of the whole object.
        crc: its last four octets, as a number.
        oldest: the earliest of the days.
    """

    low: int
    high: int
    name: str
    rows: int
    size_bytes: int
    crc: int
    oldest: int


class EndedColumns(NamedTuple):
    """One row a revocation, by ascending keys, little-endian: u64 keys, u16 days.

    `days` tell when its certificate was found to have ended, in days since 1970-01-01.
    """

    keys: bytes | memoryview
    days: bytes | memoryview


def encode_ended_part(
    identity: bytes, low: int, high: int, columns: EndedColumns, oldest: int
) -> tuple[EndedPart, bytes]:
    """Return where they are stored, and the octets.

    Args:
        identity: the random id of the object, 16 octets.
        low: lowest upper half of a key.
        high: the one behind the highest.
        columns: one row a revocation.
        oldest: the earliest of the days.
    """
    name, count = sealed_name(identity), len(columns.keys) // _KEY_BYTES
    if len(columns.days) != count * DAY_BYTES:
        raise MalformedError(name, "would have more keys than days, or fewer")
    octets, crc = seal(identity, _MAGIC, count, columns.keys, columns.days)
    part = EndedPart(low=low, high=high, name=name, rows=count, size_bytes=len(octets), crc=crc, oldest=oldest)
    return part, octets


def decode_ended_part(part: EndedPart, octets: bytes) -> EndedColumns:
    """Return the rows.

    Raises:
        FormatError: they are damaged, or not what the index says.
    """
    view = unseal(part, octets, _MAGIC, ENDED_BYTES)
    days_at = part.rows * _KEY_BYTES
    return EndedColumns(view[:days_at], view[days_at:])


def read_ended_part(store: ReadableStore, part: EndedPart) -> EndedColumns:
    """Return the rows of a stored one.

    Raises:
        FormatError: it is damaged.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    return decode_ended_part(part, store.get(part.name))
