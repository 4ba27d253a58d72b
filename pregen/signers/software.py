"""Engine `software`: cryptography, which is OpenSSL. Works everywhere, for every algorithm.

OpenSSL checks the result of an RSA private operation by CRT with the public one, and computes it again without CRT
where they differ (crypto/rsa/rsa_ossl.c, rsa_ossl_mod_exp), so a fault in the CRT does not leave it.
"""

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from pregen.errors import SigningError
from pregen.signers.algorithms import ALGORITHMS, P256_SHA256, RSA2048_SHA256, Algorithm
from pregen.signers.base import Octets, PrivateKey, Signer, digests
from pregen.signers.ecdsa import fixed_width


class SoftwareEngine:
    """Signs one message at a time by cryptography."""

    name = "software"

    def unavailable(self) -> str | None:
        """Return None: cryptography is always there."""
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""
        return algorithm.name in ALGORITHMS

    def open(self, key: PrivateKey, algorithm: Algorithm) -> Signer:
        """Return a signer for a private key of the right kind."""
        if isinstance(key, rsa.RSAPrivateKey) and algorithm == RSA2048_SHA256:
            return RsaSigner(key, algorithm)
        if isinstance(key, ec.EllipticCurvePrivateKey) and algorithm == P256_SHA256:
            return EcdsaSigner(key, algorithm)
        raise SigningError(f"engine software cannot sign {algorithm.name} with a key of {key.key_size} bits")


class EcdsaSigner:
    """Signs with an elliptic-curve key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, algorithm: Algorithm) -> None:
        self._sign = key.sign
        self._algorithm = algorithm
        self._scheme = ec.ECDSA(utils.Prehashed(hashes.SHA256()))

    def sign(self, messages: Octets) -> Octets:
        """Sign each row: see `Signer`."""
        hashed, step = digests(messages, self._algorithm.digest).tobytes(), 32
        sign, scheme = self._sign, self._scheme
        signatures = [sign(hashed[at : at + step], scheme) for at in range(0, len(hashed), step)]
        return fixed_width(signatures, self._algorithm.signature_bytes // 2)


class RsaSigner:
    """Signs with an RSA key, PKCS#1 v1.5."""

    def __init__(self, key: rsa.RSAPrivateKey, algorithm: Algorithm) -> None:
        self._sign = key.sign
        self._algorithm = algorithm
        self._digest = utils.Prehashed(hashes.SHA256())

    def sign(self, messages: Octets) -> Octets:
        """Sign each row: see `Signer`."""
        hashed, step = digests(messages, self._algorithm.digest).tobytes(), 32
        scheme = padding.PKCS1v15()
        joined = b"".join(
            [self._sign(hashed[at : at + step], scheme, self._digest) for at in range(0, len(hashed), step)]
        )
        if len(joined) != len(messages) * self._algorithm.signature_bytes:
            raise SigningError("the key does not make signatures of the size that its algorithm has")
        return np.frombuffer(joined, np.uint8).reshape(len(messages), self._algorithm.signature_bytes)
