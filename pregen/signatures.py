"""Whether someone else's signature over a certificate or a CRL is right, for all kinds of keys that issuers have."""

from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.hashes import HashAlgorithm

# They sign the message itself, not a digest.
_Pure: TypeAlias = (
    ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


def verifies(key: PublicKeyTypes, signature: bytes, message: bytes, how: object, digest: HashAlgorithm | None) -> bool:
    """Whether a signature verifies with a public key.

    Args:
        key: the public key.
        signature: its octets.
        message: what was signed.
        how: the padding of RSA; of other keys nothing is asked.
        digest: the hash of the message; None where the algorithm names none.
    """
    try:
        if isinstance(key, rsa.RSAPublicKey) and isinstance(how, padding.PKCS1v15 | padding.PSS) and digest:
            key.verify(signature, message, how, digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest:
            key.verify(signature, message, ec.ECDSA(digest))
        elif isinstance(key, dsa.DSAPublicKey) and digest:
            key.verify(signature, message, digest)
        elif isinstance(key, _Pure) and not digest:
            key.verify(signature, message)
        else:
            return False
    except InvalidSignature:
        return False
    return True
