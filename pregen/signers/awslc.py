"""Engine `awslc`: awscrt, which is AWS-LC. Portable, and faster at ECDSA than OpenSSL.

AWS-LC checks the result of an RSA private operation by CRT with the public exponent, and fails where they differ
(crypto/fipsmodule/rsa/rsa_impl.c, rsa_default_private_transform), so a fault in the CRT does not leave it.
"""

import importlib.util
from collections.abc import Sequence

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pregen.errors import SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.base import PrivateKey, Signer
from pregen.signers.keys import require_kind
from pregen.signers.single import Sign, SingleSigner

_KEY_KINDS = ("p256", "p384", "rsa2048", "rsa3072", "rsa4096")  # awscrt takes no key on P-521


class AwslcEngine:
    """Signs one message at a time by awscrt."""

    name = "awslc"
    lanes = 1

    def unavailable(self) -> str | None:
        """Return why the engine cannot work here; None where it works."""
        if importlib.util.find_spec("awscrt") is None:
            return 'the package awscrt is not installed: pip install "ocsp-pregen[awslc]"'
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""
        return algorithm.key in _KEY_KINDS

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        """Return a signer for private keys of the right kind."""
        require_kind(keys, algorithm)
        if not self.supports(algorithm):
            raise SigningError(f"engine awslc does not sign {algorithm.name}")
        return SingleSigner([_signing(key, algorithm) for key in keys], algorithm)


def _signing(key: PrivateKey, algorithm: Algorithm) -> Sign:
    from awscrt.crypto import EC, RSA, RSASignatureAlgorithm  # noqa: PLC0415 - an optional engine

    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)  # no other kind has these algorithms
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    make = EC.new_key_from_der_data if algorithm.padding is None else RSA.new_private_key_from_der_data
    try:
        opened = make(der)
    except RuntimeError as e:
        raise SigningError(f"engine awslc cannot use this key for {algorithm.name} ({e}): use --engine auto") from None
    if algorithm.padding is None:
        sign_ecdsa: Sign = opened.sign
        return sign_ecdsa
    schemes = {
        "pkcs1v15": RSASignatureAlgorithm.PKCS1_5_SHA256,
        "pss": RSASignatureAlgorithm.PSS_SHA256,
    }
    scheme = schemes[algorithm.padding]
    return lambda digest: bytes(opened.sign(scheme, digest))
