"""Where private keys are: the port between a run and whatever holds the keys of its responders.

A source is a description: it is hashable, it pickles, and it holds no octet of a key. The process that signs shards
opens it there. An engine belongs to a key and not to an algorithm: of two issuers of one algorithm, one may have its
key in a file, with the engines of this machine, and the other in a device that signs by itself.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol, Self

from pregen.errors import ConfigError, SigningError
from pregen.signers.algorithms import ALGORITHMS, Algorithm
from pregen.signers.base import PublicKey, Signer
from pregen.signers.selection import Choice


class KeySource(Protocol):
    """Where one private key is, and what signs with it. Sources that are equal are the same key."""

    @property
    def keeper(self) -> Hashable:
        """Who holds the key: keys of one keeper that one engine signs with are opened together, as one signer.

        So rows of many issuers share the batches of an engine that carries several keys at once.
        """

    def describe(self) -> str:
        """Return what messages call it, such as the path of its file."""

    def public_key(self) -> PublicKey:
        """Return the public half; the private one was seen to belong to it.

        Raises:
            ConfigError: the key is not there, cannot be opened or is of a kind that cannot be used; with the finding.
        """

    def exposure(self) -> str | None:
        """Return how others than the publisher could come by the key, as a whole sentence; None where none can."""

    def choose(self, wanted: str, algorithm: Algorithm) -> Choice:
        """Return which of its engines signs with the key here, after that engine has opened it.

        Args:
            wanted: the name of an engine, or `auto` for the fastest. A source that has one engine alone takes that.
            algorithm: what it is to sign with.

        Raises:
            ConfigError: there is no such engine, or it cannot use the key.
        """

    def open_signer(self, engine: str, algorithm: Algorithm, others: Sequence[Self] = ()) -> Signer:
        """Open the key, and others of its keeper, in this process: as the first key of a signer, and the next ones.

        Raises:
            ConfigError, SigningError: one of them cannot be opened, or the engine cannot use it.
        """


class KeyUse(NamedTuple):
    """A key and the name of the algorithm that it signs with: an RSA key may have two."""

    source: KeySource
    algorithm: str


def open_signer(algorithm: str, engine: str, keys: Sequence[KeySource]) -> Signer:
    """Return a signer of an algorithm with the keys of one keeper, which are opened here."""
    return keys[0].open_signer(engine, ALGORITHMS[algorithm], keys[1:])


def open_fitting_signer(algorithm: str, engine: str, keys: Sequence[KeySource]) -> Signer:
    """Return the same; where this machine cannot have that engine, one with the fastest that it can have."""
    try:
        return open_signer(algorithm, engine, keys)
    except (ConfigError, SigningError):
        return open_signer(algorithm, keys[0].choose("auto", ALGORITHMS[algorithm]).engine, keys)
