"""How signatures of each algorithm are asked of cryptography, and verified by it: over digests where it has one."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from pregen.signers import Algorithm
from pregen.signers.base import PublicKey

MESSAGE_BYTES = 210  # about a ResponseData
_SALT_BYTES = 32
PREHASHED = {
    "sha256": utils.Prehashed(hashes.SHA256()),
    "sha384": utils.Prehashed(hashes.SHA384()),
    "sha512": utils.Prehashed(hashes.SHA512()),
}


def digest_bytes(algorithm: Algorithm) -> int:
    """Return the size of the digest that is signed; 0 where the message itself is."""
    return hashlib.new(algorithm.digest).digest_size if algorithm.digest else 0


def sha256() -> utils.Prehashed:
    """Return what says that a SHA-256 digest comes."""
    return PREHASHED["sha256"]


def ecdsa(algorithm: Algorithm) -> ec.ECDSA:
    """Return ECDSA over a digest."""
    assert algorithm.digest is not None
    return ec.ECDSA(PREHASHED[algorithm.digest])


def rsa_padding(algorithm: Algorithm) -> padding.AsymmetricPadding:
    """Return the padding of an RSA algorithm."""
    if algorithm.padding == "pss":
        return padding.PSS(padding.MGF1(hashes.SHA256()), _SALT_BYTES)
    return padding.PKCS1v15()


def verify(public: PublicKey, algorithm: Algorithm, signature: bytes, message: bytes) -> None:
    """Verify a signature over a digest, or over a message where the algorithm has no digest.

    Raises:
        InvalidSignature: it is wrong.
    """
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, message, ecdsa(algorithm))
    elif isinstance(public, rsa.RSAPublicKey):
        public.verify(signature, message, rsa_padding(algorithm), sha256())
    else:
        public.verify(signature, message)
