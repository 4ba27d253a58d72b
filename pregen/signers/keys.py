"""Kinds of private keys: which one an algorithm needs, and new ones."""

from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from pregen.errors import SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.base import PrivateKey, PublicKey

_CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
_RSA_BITS = {f"rsa{bits}": bits for bits in (2048, 3072, 4096)}
_OTHERS: dict[str, Callable[[], PrivateKey]] = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}


def make_key(algorithm: Algorithm) -> PrivateKey:
    """Return a new private key of the kind that an algorithm needs."""
    if curve := _CURVES.get(algorithm.key):
        return ec.generate_private_key(curve)
    if bits := _RSA_BITS.get(algorithm.key):
        return rsa.generate_private_key(65537, bits)
    return _OTHERS[algorithm.key]()


def kind_of(key: PrivateKey | PublicKey) -> str:
    """Return the kind of a key pair, as `Algorithm.key` has it; of one that no algorithm takes, what it is.

    >>> key = ed25519.Ed25519PrivateKey.generate()
    >>> kind_of(key), kind_of(key.public_key())
    ('ed25519', 'ed25519')
    """
    match key:
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            name = key.curve.name
            return next((kind for kind, curve in _CURVES.items() if curve.name == name), name)
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            return f"rsa{key.key_size}"
        case ed25519.Ed25519PrivateKey() | ed25519.Ed25519PublicKey():
            return "ed25519"
        case mldsa.MLDSA44PrivateKey() | mldsa.MLDSA44PublicKey():
            return "ml-dsa-44"
        case mldsa.MLDSA65PrivateKey() | mldsa.MLDSA65PublicKey():
            return "ml-dsa-65"
        case mldsa.MLDSA87PrivateKey() | mldsa.MLDSA87PublicKey():
            return "ml-dsa-87"


def require_kind(keys: Sequence[PrivateKey], algorithm: Algorithm) -> None:
    """Refuse keys that an algorithm cannot sign with.

    Raises:
        SigningError: there is no key, or one of another kind.
    """
    if not keys:
        raise SigningError(f"{algorithm.name} needs a key to sign with: none was given")
    for key in keys:
        if (kind := kind_of(key)) != algorithm.key:
            raise SigningError(f"{algorithm.name} signs with a key of kind {algorithm.key}, and this one is {kind}")
