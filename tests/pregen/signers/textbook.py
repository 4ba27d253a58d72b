"""Signatures verified by the textbook, with Python's own integers: another judge than the libraries that make them."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pregen.signers import Algorithm

Point = tuple[int, int] | None  # None is the point at infinity


@dataclass(frozen=True, slots=True)
class Curve:
    """y**2 = x**3 - 3 * x + b (SP 800-186, 3.2.1): nothing here needs b."""

    p: int
    n: int
    g: tuple[int, int]

    def add(self, a: Point, b: Point) -> Point:
        if a is None or b is None:
            return a or b
        if a[0] == b[0]:
            if (a[1] + b[1]) % self.p == 0:
                return None
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, self.p)
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, self.p)
        x = (slope * slope - a[0] - b[0]) % self.p
        return x, (slope * (a[0] - x) - a[1]) % self.p

    def times(self, factor: int, point: Point) -> Point:
        total: Point = None
        while factor:
            if factor & 1:
                total = self.add(total, point)
            point, factor = self.add(point, point), factor >> 1
        return total


P256 = Curve(
    2**256 - 2**224 + 2**192 + 2**96 - 1,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    (
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    ),
)
P384 = Curve(
    2**384 - 2**128 - 2**96 + 2**32 - 1,
    2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    (
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
    ),
)
P521 = Curve(
    2**521 - 1,
    2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    (
        int(
            "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1"
            "856a429bf97e7e31c2e5bd66",
            16,
        ),
        int(
            "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086"
            "a272c24088be94769fd16650",
            16,
        ),
    ),
)
CURVES = {"p256": P256, "p384": P384, "p521": P521}
SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def verifies(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, algorithm: Algorithm, message: bytes, stored: bytes
) -> bool:
    """Tell whether `stored` (r and s, or an RSA signature) signs a message."""
    assert algorithm.digest is not None
    digest = hashlib.new(algorithm.digest, message).digest()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        size = (numbers.n.bit_length() + 7) // 8
        encoded = pow(int.from_bytes(stored, "big"), numbers.e, numbers.n).to_bytes(size, "big")
        return _pss(digest, encoded) if algorithm.padding == "pss" else _pkcs1v15(digest, encoded)
    point = key.public_numbers()
    return _ecdsa(CURVES[algorithm.key], (point.x, point.y), digest, stored)


def _pkcs1v15(digest: bytes, encoded: bytes) -> bool:
    """RFC 8017, 9.2."""
    info = SHA256_INFO + digest
    return encoded == b"\x00\x01" + b"\xff" * (len(encoded) - 3 - len(info)) + b"\x00" + info


def _pss(digest: bytes, encoded: bytes) -> bool:
    """RFC 8017, 9.1.2, with a modulus whose size is a multiple of eight bits, and a salt of 32 octets."""
    masked, tag, last = encoded[:-33], encoded[-33:-1], encoded[-1]
    block = bytearray(a ^ b for a, b in zip(masked, mask_of(tag, len(masked)), strict=True))
    block[0] &= 0x7F
    head, salt = bytes(block[:-32]), bytes(block[-32:])
    well_formed = last == 0xBC and not masked[0] & 0x80 and head == bytes(len(head) - 1) + b"\x01"
    return well_formed and hashlib.sha256(bytes(8) + digest + salt).digest() == tag


def mask_of(seed: bytes, size: int) -> bytes:
    """MGF1 with SHA-256: RFC 8017, B.2.1."""
    counters = range(-(-size // 32))
    return b"".join(hashlib.sha256(seed + counter.to_bytes(4, "big")).digest() for counter in counters)[:size]


def _ecdsa(curve: Curve, key: tuple[int, int], digest: bytes, stored: bytes) -> bool:
    """FIPS 186-5, 6.4.2; no digest here has more bits than its curve's order."""
    half = len(stored) // 2
    r, s = int.from_bytes(stored[:half], "big"), int.from_bytes(stored[half:], "big")
    if not (0 < r < curve.n and 0 < s < curve.n):
        return False
    w = pow(s, -1, curve.n)
    first = curve.times(int.from_bytes(digest, "big") * w % curve.n, curve.g)
    point = curve.add(first, curve.times(r * w % curve.n, key))
    return point is not None and point[0] % curve.n == r
