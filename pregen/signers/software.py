"""Engine `software`: cryptography, which is OpenSSL. Works everywhere, for every algorithm.

OpenSSL checks the result of an RSA private operation by CRT with the public one, and computes it again without CRT
where they differ (crypto/rsa/rsa_ossl.c, rsa_ossl_mod_exp), so a fault in the CRT does not leave it.
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils

from pregen.signers.algorithms import ALGORITHMS, Algorithm
from pregen.signers.base import PrivateKey, Signer
from pregen.signers.emsa import PADDINGS
from pregen.signers.keys import require_kind
from pregen.signers.single import Sign, SingleSigner

_DIGESTS = {
    "sha256": utils.Prehashed(hashes.SHA256()),
    "sha384": utils.Prehashed(hashes.SHA384()),
    "sha512": utils.Prehashed(hashes.SHA512()),
}


class SoftwareEngine:
    """Signs one message at a time by cryptography."""

    name = "software"
    lanes = 1

    def unavailable(self) -> str | None:
        """Return None: cryptography is always there."""
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""
        return algorithm.name in ALGORITHMS

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        """Return a signer for private keys of the right kind."""
        require_kind(keys, algorithm)
        return SingleSigner([_signing(key, algorithm) for key in keys], algorithm)


def _signing(key: PrivateKey, algorithm: Algorithm) -> Sign:
    if algorithm.digest is None:
        assert not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        return key.sign
    digest = _DIGESTS[algorithm.digest]
    if isinstance(key, rsa.RSAPrivateKey):
        sign_rsa, scheme = key.sign, PADDINGS[algorithm.padding]
        return lambda hashed: sign_rsa(hashed, scheme, digest)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    sign_ecdsa, ecdsa = key.sign, ec.ECDSA(digest)
    return lambda hashed: sign_ecdsa(hashed, ecdsa)
