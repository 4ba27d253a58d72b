"""Engine `awslc`: awscrt, which is AWS-LC. Portable, and faster at ECDSA than OpenSSL."""

import importlib.util

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pregen.errors import SigningError
from pregen.signers.algorithms import P256_SHA256, Algorithm
from pregen.signers.base import Octets, PrivateKey, Signer, digests
from pregen.signers.ecdsa import fixed_width


class AwslcEngine:
    """Signs one message at a time by awscrt."""

    name = "awslc"

    def unavailable(self) -> str | None:
        """Return why the engine cannot work here; None where it works."""
        if importlib.util.find_spec("awscrt") is None:
            return 'the package awscrt is not installed: pip install "ocsp-pregen[awslc]"'
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""
        return algorithm == P256_SHA256

    def open(self, key: PrivateKey, algorithm: Algorithm) -> Signer:
        """Return a signer for a private key of the right kind."""
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SigningError(f"engine awslc cannot sign {algorithm.name}")
        return AwslcSigner(key, algorithm)


class AwslcSigner:
    """Signs with an elliptic-curve key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, algorithm: Algorithm) -> None:
        from awscrt.crypto import EC  # noqa: PLC0415 - an optional engine

        der = key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        self._key = EC.new_key_from_der_data(der)
        self._algorithm = algorithm

    def sign(self, messages: Octets) -> Octets:
        """Sign each row: see `Signer`."""
        hashed, step = digests(messages, self._algorithm.digest).tobytes(), 32
        sign = self._key.sign
        signatures = [sign(hashed[at : at + step]) for at in range(0, len(hashed), step)]
        return fixed_width(signatures, self._algorithm.signature_bytes // 2)
