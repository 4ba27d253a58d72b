"""The keys of all records in overlays, merged: it keeps a lookup from reading overlays in vain (FORMAT.md, section 7).

    magic (8) | version u16 | width u16 | n u32 | random (16) | keys u32 * n | numbers u8 or u16 * n

All integers are little-endian; the object's name is the SHA-256 of its octets. Who knows this array goes straight to
the overlay that has a certificate, and for all other certificates straight to its shard.
"""

import hashlib
import operator
import os
import re
import struct
import sys
from array import array
from bisect import bisect_left
from collections import deque
from itertools import islice, repeat

from storage.errors import (
    BadMagicError,
    ChecksumError,
    MalformedError,
    TruncatedError,
    UnsupportedVersionError,
)
from storage.stores.base import ReadableStore

KEYS_VERSION = 1
KEYS_NAME = re.compile("keys/[0-9a-f]{64}")
_MAGIC = b"PREGENK\n"
_KEY32_BYTES = 4
_HEADER = struct.Struct("<8sHHI16s")
_TYPES = {1: "B", 2: "H"}  # of the numbers, by their width in octets
_PIECE = 1 << 14  # so many keys are looked at while no other thread can run
_SLOTS_A_KEY = 4


class OverlayKeys:
    """Where to begin the search for a key; threads may share it.

    Args:
        name: object name, for messages.
        keys: upper halves of keys, strictly ascending.
        numbers: of each of them, which pack of the manifest's overlays is the first one that has it.
        packs: how many packs of overlays there are.

    Raises:
        MalformedError: they contradict each other.
    """

    __slots__ = ("_keys", "_numbers", "_packs", "_shift", "_slots")

    def __init__(self, name: str, keys: "array[int]", numbers: "array[int]", packs: int) -> None:
        # Which parts of all keys have any: most lookups end here, at a fifth of what the search among the keys costs.
        self._shift = 32 - min((len(keys) * _SLOTS_A_KEY).bit_length(), 32)
        self._slots = bytearray(1 << (32 - self._shift))
        for at in range(0, len(keys), _PIECE):
            piece = keys[at : at + _PIECE + 1]  # and the first of the next piece
            if any(map(operator.ge, piece, islice(piece, 1, None))):
                raise MalformedError(name, "has keys that are out of order")
            if max(numbers[at : at + _PIECE]) >= packs:
                raise MalformedError(name, f"names a pack of overlays beyond the {packs} that there are")
            slots = map(operator.rshift, piece, repeat(self._shift))
            deque(map(self._slots.__setitem__, slots, repeat(1)), maxlen=0)
        self._keys = keys
        self._numbers = numbers
        self._packs = packs

    def __len__(self) -> int:
        """Return how many keys there are."""
        return len(self._keys)

    @property
    def columns(self) -> tuple["array[int]", "array[int]"]:
        """Keys and numbers, as they were given; not to be changed."""
        return self._keys, self._numbers

    def may_have(self, key: int) -> int:
        """Return 0 where no pack of overlays has a key; else one may."""
        return self._slots[key >> self._shift]

    def first(self, key: int) -> int:
        """Return the number of the first pack of overlays that has a key; as many as there are: none has it."""
        keys = self._keys
        at = bisect_left(keys, key)
        return self._numbers[at] if at < len(keys) and keys[at] == key else self._packs


def keys_name(octets: bytes) -> str:
    """Return the name under which such an array is stored."""
    return f"keys/{hashlib.sha256(octets).hexdigest()}"


def number_bytes(packs: int) -> int:
    """Return how many octets a number of one of so many packs takes.

    >>> number_bytes(8), number_bytes(256), number_bytes(257)
    (1, 1, 2)
    """
    return 1 if packs <= 1 << 8 else 2


def encode_overlay_keys(keys: bytes | memoryview, numbers: bytes | memoryview) -> tuple[str, bytes]:
    """Return the object name of an array, and its octets; another one each time.

    Args:
        keys: u32 each, little-endian, strictly ascending.
        numbers: `number_bytes` each, little-endian.
    """
    count = len(keys) // _KEY32_BYTES
    width = len(numbers) // count if count else 1
    header = _HEADER.pack(_MAGIC, KEYS_VERSION, width, count, os.urandom(16))
    octets = b"".join((header, keys, numbers))
    return keys_name(octets), octets


def decode_overlay_keys(name: str, octets: bytes, packs: int) -> OverlayKeys:
    """Return the array that is stored under a name.

    Args:
        name: what the manifest says.
        octets: what is stored there.
        packs: how many packs of overlays the manifest has.

    Raises:
        FormatError: it is damaged, newer, or contradicts the manifest.
    """
    if keys_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    if len(octets) < _HEADER.size:
        raise TruncatedError(name, f"has {len(octets)} octets, which is less than its header")
    magic, version, width, count, _ = _HEADER.unpack_from(octets)
    if magic != _MAGIC:
        raise BadMagicError(name, "does not begin as keys of overlays do")
    if version != KEYS_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {KEYS_VERSION}")
    if width not in _TYPES:
        raise MalformedError(name, f"has numbers of {width} octets")
    numbers_at = _HEADER.size + count * _KEY32_BYTES
    if len(octets) != (wanted := numbers_at + count * width):
        raise TruncatedError(name, f"has {len(octets)} octets where {wanted} belong")
    keys, numbers = array("I"), array(_TYPES[width])
    keys.frombytes(octets[_HEADER.size : numbers_at])
    numbers.frombytes(octets[numbers_at:])
    if sys.byteorder == "big":
        keys.byteswap()
        numbers.byteswap()
    return OverlayKeys(name, keys, numbers, packs)


def read_overlay_keys(store: ReadableStore, name: str, packs: int) -> OverlayKeys:
    """Return a stored array; see `decode_overlay_keys`.

    Raises:
        FormatError: it is damaged, newer, or contradicts the manifest.
        FileNotFoundError: it was removed.
        OSError: the store does not answer.
    """
    return decode_overlay_keys(name, store.get(name), packs)
