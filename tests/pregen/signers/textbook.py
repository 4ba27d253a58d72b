"""Signatures verified by the textbook, with Python's own integers: another judge than the libraries that make them."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec, rsa

Point = tuple[int, int] | None  # None is the point at infinity

# FIPS 186-5 and SP 800-186, 3.2.1.3: y**2 = x**3 - 3 * x + b
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def verifies(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, message: bytes, stored: bytes) -> bool:
    """Tell whether `stored` (r and s, or an RSA signature) signs the SHA-256 of a message."""
    digest = hashlib.sha256(message).digest()
    if isinstance(key, rsa.RSAPublicKey):
        return _rsa(key.public_numbers(), digest, stored)
    numbers = key.public_numbers()
    return _ecdsa((numbers.x, numbers.y), digest, stored)


def _rsa(numbers: rsa.RSAPublicNumbers, digest: bytes, stored: bytes) -> bool:
    """RFC 8017, 8.2.2."""
    size = (numbers.n.bit_length() + 7) // 8
    info = SHA256_INFO + digest
    wanted = b"\x00\x01" + b"\xff" * (size - 3 - len(info)) + b"\x00" + info
    return pow(int.from_bytes(stored, "big"), numbers.e, numbers.n) == int.from_bytes(wanted, "big")


def _ecdsa(key: tuple[int, int], digest: bytes, stored: bytes) -> bool:
    """FIPS 186-5, 6.4.2."""
    r, s = int.from_bytes(stored[:32], "big"), int.from_bytes(stored[32:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    w = pow(s, -1, N)
    point = _add(_times(int.from_bytes(digest, "big") * w % N, G), _times(r * w % N, key))
    return point is not None and point[0] % N == r


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point, factor = _add(point, point), factor >> 1
    return total
