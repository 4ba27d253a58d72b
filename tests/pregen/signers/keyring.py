"""Keys of every kind, made once, and cryptography as the judge of signatures."""

from functools import cache

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512

from pregen.signers import ALGORITHMS, Algorithm, KeyIndexes, Octets, PrivateKey, make_key
from storage.response import signature_value

KEYS = 9  # more than there are lanes
HASHES = {"sha256": SHA256(), "sha384": SHA384(), "sha512": SHA512()}


def keys_of(algorithm: Algorithm) -> tuple[PrivateKey, ...]:
    return _keys(algorithm.key)


@cache
def _keys(kind: str) -> tuple[PrivateKey, ...]:
    algorithm = next(one for one in ALGORITHMS.values() if one.key == kind)
    return tuple(make_key(algorithm) for _ in range(KEYS))


def messages_of(rows: int, size: int = 180) -> Octets:
    return np.random.default_rng(rows).integers(0, 256, (rows, size), np.uint8)


def first_key(rows: int) -> KeyIndexes:
    return np.zeros(rows, np.intp)


def verify(key: PrivateKey, algorithm: Algorithm, message: bytes, stored: bytes) -> None:
    """Raise InvalidSignature where `stored` is no signature of the message."""
    signature, public = signature_value(algorithm.encoding, stored), key.public_key()
    if algorithm.digest is None:
        assert not isinstance(public, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
        public.verify(signature, message)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, message, ec.ECDSA(HASHES[algorithm.digest]))
    else:
        assert isinstance(public, rsa.RSAPublicKey)
        pss = padding.PSS(padding.MGF1(SHA256()), 32)
        public.verify(signature, message, pss if algorithm.padding == "pss" else padding.PKCS1v15(), SHA256())


def verify_all(algorithm: Algorithm, messages: Octets, keys: KeyIndexes, stored: Octets) -> None:
    assert stored.shape == (len(messages), algorithm.signature_bytes)
    ring = keys_of(algorithm)
    for message, index, octets in zip(messages, keys.tolist(), stored, strict=True):
        verify(ring[index], algorithm, message.tobytes(), octets.tobytes())
