"""Where a certificate lives: its 64-bit key, and the ranges that shards and buckets are.

The key only routes. Equality is issuer and serial, so equal keys of different certificates are legal.
"""

import hashlib

import xxhash

KEY32 = 1 << 32


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
