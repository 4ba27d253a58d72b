"""The contract of engines and signers, and what they share: a look at what they are given, and the hash function.

* An engine says whether it works here, and opens keys; a signer belongs to the process that opened it.
* A signer elsewhere may have several batches at a time: see `pregen.signers.flight`.
* A signer holds one or more keys of one algorithm: rows of many issuers are signed in one call, each with its own key.
* It gets rows of one length and returns signatures in stored form, one a row, in order; or it raises, and nothing of
  the batch may be used.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from numpy.typing import NDArray

from pregen.signers.algorithms import Algorithm

MldsaPrivateKey: TypeAlias = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | MldsaPrivateKey
MldsaPublicKey: TypeAlias = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | MldsaPublicKey
Octets: TypeAlias = NDArray[np.uint8]
KeyIndexes: TypeAlias = NDArray[np.intp]

# Messages that are Python objects at once: so few that Python keeps their memory for the next. A whole batch would give
# it back to the kernel each time, which takes three per cent of the time of signing with P-256.
_HASHED_ROWS = 512


class Signer(Protocol):
    """One or more private keys of one algorithm, wherever they live."""

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign each row of `messages`, uint8[n, size]; return uint8[n, algorithm.signature_bytes].

        Args:
            messages: the octets to be signed.
            keys: intp[n], for each row the index of its key among those that were opened.

        Raises:
            SigningError: nothing of this batch may be used.
            ValueError, IndexError: see `require_indexes`.
        """


class Engine(Protocol):
    """A way to sign.

    Attributes:
        name: what the configuration calls it.
        lanes: how many messages it signs at once; fewer cost as much.
    """

    name: str
    lanes: int

    def unavailable(self) -> str | None:
        """Return why the engine cannot work here, and what would help; None where it works."""

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        """Return a signer for private keys of the right kind, one at least.

        Raises:
            SigningError: a key that this engine cannot use.
        """


def require_indexes(messages: Octets, keys: KeyIndexes, count: int) -> None:
    """Refuse what does not tell the key of each message.

    Args:
        messages: the octets to be signed.
        keys: intp[n], for each row the index of its key.
        count: of keys that were opened.

    Raises:
        ValueError: there are not as many indexes as messages.
        IndexError: an index leads to no key; one below zero, which would count from the end, does not either.
    """
    if len(messages) != len(keys):
        raise ValueError(f"{len(messages)} messages and {len(keys)} indexes of keys: each message needs one")
    if len(keys) and (keys.min() < 0 or keys.max() >= count):
        raise IndexError(
            f"indexes of keys from {keys.min()} to {keys.max()}: there are {count} keys, the first one is 0"
        )


def digests(messages: Octets, name: str) -> Octets:
    """Return the digest of each row of `messages`, uint8[n, size], as uint8[n, digest size].

    >>> digests(np.zeros((2, 3), np.uint8), "sha256").shape
    (2, 32)
    """
    size = hashlib.new(name).digest_size
    rows, step = messages.shape
    if not step:
        raise ValueError("rows of no octets cannot be signed")
    # As opaque values, many rows become bytes in one call: a fifth less time than slices one by one.
    opaque, constructor = np.ascontiguousarray(messages).view(f"V{step}")[:, 0], getattr(hashlib, name)
    hashed = [
        constructor(message).digest()
        for at in range(0, rows, _HASHED_ROWS)
        for message in opaque[at : at + _HASHED_ROWS].tolist()
    ]
    return np.frombuffer(b"".join(hashed), np.uint8).reshape(rows, size)
