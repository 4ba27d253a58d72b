"""Where a certificate lives: its 64-bit key, and the ranges that shards and buckets are.

The key only routes. Equality is issuer and serial, so equal keys of different certificates are legal.
"""

import hashlib
from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import Protocol, TypeVar

import xxhash

KEY32 = 1 << 32


class KeyRange(Protocol):
    """What has the keys whose upper 32 bits are in [low, high)."""

    @property
    def low(self) -> int:
        """The lowest."""

    @property
    def high(self) -> int:
        """The one behind the highest."""


_Range = TypeVar("_Range", bound=KeyRange)


def issuer_id(name: bytes, key_bits: bytes) -> int:
    """Return the number of an issuer: a name and a key, whatever certificates exist for it.

    Args:
        name: the issuer's DER Name.
        key_bits: its public key without tag, length and unused-bits octet, as in a CertID.
    """
    inner = hashlib.sha256(name).digest() + hashlib.sha256(key_bits).digest()
    return int.from_bytes(hashlib.sha256(inner).digest()[:8], "big")


def key64(serial: bytes, issuer: int) -> int:
    """Return a certificate's key: XXH64 of the serial's content octets, seeded with `issuer_id`.

    >>> hex(key64(bytes.fromhex("0102"), 1))
    '0x93490f56380980a1'
    """
    return xxhash.xxh64_intdigest(serial, issuer)


def key32(serial: bytes, issuer: int) -> int:
    """Return the upper 32 bits of a certificate's key: XXH64 of the serial's content octets, seeded with `issuer_id`.

    >>> hex(key32(bytes.fromhex("0102"), 1))
    '0x93490f56'
    """
    return xxhash.xxh64_intdigest(serial, issuer) >> 32


def split(low: int, high: int, parts: int) -> list[int]:
    """Return the `parts + 1` bounds that cut [low, high) into near-equal ranges.

    Rounded up, because `part_of` rounds down: with the other rounding, keys at the edges fall between two ranges.

    >>> split(0, 10, 3)
    [0, 4, 7, 10]
    """
    width = high - low
    return [low + -(-i * width // parts) for i in range(parts + 1)]


def part_of(key: int, low: int, high: int, parts: int) -> int:
    """Return which of the `parts` ranges of [low, high) holds `key`.

    >>> [part_of(key, 0, 10, 3) for key in (0, 3, 4, 6, 7, 9)]
    [0, 0, 1, 1, 2, 2]
    """
    return (key - low) * parts // (high - low)


def overlapping(ranges: tuple[_Range, ...], low: int, high: int) -> tuple[_Range, ...]:
    """Return those ranges that have keys in [low, high), found by halving; they ascend and do not overlap each other.

    Whoever looked at all of them for each shard would take a time that grows with the square of a generation's shards.
    """
    start = bisect_right(ranges, low, key=attrgetter("high"))
    return ranges[start : bisect_left(ranges, high, start, key=attrgetter("low"))] if low < high else ranges[:0]
