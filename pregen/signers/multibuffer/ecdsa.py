"""ECDSA on eight lanes. Ephemeral keys: pregen/signers/ephemeral.py.

What a fault does here (a flipped bit, in memory or on the way):

* in the digest's or the key's buffer, where it stays: both are compared after signing, and nothing of the batch leaves;
* in the table that leads to the ephemeral keys, where it stays: likewise, for one key used twice gives the key away;
* in the table that leads to the keys, or in the places that it is filled from, where it stays: likewise, for whatever
  lies elsewhere may be half of the key and zeros, which is found from the signature;
* in a digest, key or result only for the moment: the signature is wrong. The read-back of the pack verifies one
  signature in 997, so it finds a single one with that probability, and systematically wrong ones always. No signature
  is checked here: that would cost more than making it;
* in an ephemeral key: it is another random number, and the signature right.

A wrong signature does not give the key away, as one of RSA by CRT would. One that was made with a flipped bit of the
key tells that bit, and no other, to who looks for it. Addresses that change for the moment alone, and those of
the tables themselves, are not noticed here, and may tell more.
"""

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec

from pregen.errors import SigningError
from pregen.signers.algorithms import P256_SHA256, P384_SHA384, P521_SHA512, Algorithm
from pregen.signers.base import KeyIndexes, Octets, digests
from pregen.signers.ephemeral import EphemeralKeys, KernelSource, RandomSource
from pregen.signers.multibuffer.lanes import Addresses, Lanes, Table, batches, full_lanes, little_endian, row_addresses
from pregen.signers.multibuffer.library import status_function

ECDSA_BATCH_ROWS = 4096  # 512 KiB of buffers for P-256: they stay in the second-level cache


class Curve(NamedTuple):
    """What the library needs to sign on a curve.

    Attributes:
        function: that signs.
        algorithm_id: of mbx_get_algo_info.
        order: of the base point.
        size: octets of a digest, r and s.
        words: of 64 bits, of a key.
    """

    function: str
    algorithm_id: int
    order: int
    size: int
    words: int


CURVES = {
    P256_SHA256.name: Curve(
        "mbx_nistp256_ecdsa_sign_mb8",
        5,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        32,
        4,
    ),
    P384_SHA384.name: Curve(
        "mbx_nistp384_ecdsa_sign_mb8",
        6,
        2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
        48,
        6,
    ),
    P521_SHA512.name: Curve(
        "mbx_nistp521_ecdsa_sign_mb8",
        7,
        2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
        66,
        9,
    ),
}


class EcdsaWorkspace:
    """Buffers of one batch on one curve. The signers of a process share it, one at a time.

    Attributes:
        digest: uint8[ECDSA_BATCH_ROWS, size], big-endian.
        signature: uint8[2, ECDSA_BATCH_ROWS, size]: r and s.
        ephemeral: one key a row.
        ephemeral_places: where it lies, for each row.
        key: where the key of each row lies.
        lanes: the calls.
    """

    def __init__(self, library: ctypes.CDLL, curve: Curve, source: RandomSource | None = None) -> None:
        self.digest = np.ones((ECDSA_BATCH_ROWS, curve.size), np.uint8)
        self.ephemeral = EphemeralKeys(curve.order, ECDSA_BATCH_ROWS, source or KernelSource())
        self.ephemeral_places = row_addresses(self.ephemeral.words)
        self._ephemeral_places_meant = self.ephemeral_places.copy()
        self.signature = np.zeros((2, ECDSA_BATCH_ROWS, curve.size), np.uint8)
        self.key = Table(ECDSA_BATCH_ROWS)
        self.lanes = Lanes(
            status_function(library, curve.function, 6),
            *(row_addresses(half) for half in self.signature),
            row_addresses(self.digest),
            self.ephemeral_places,
            self.key.addresses,
            None,
        )

    def holds(self, digest: Octets, places: Addresses, keys: KeyIndexes) -> bool:
        """Tell whether digests, places of ephemeral keys and those of keys are still what they were meant to be."""
        return (
            np.array_equal(self.digest[: len(digest)], digest)
            and np.array_equal(self.ephemeral_places, self._ephemeral_places_meant)
            and self.key.leads_to_keys(places, keys)
        )


class EcdsaSigner:
    """Signs with elliptic-curve keys, in batches of up to `ECDSA_BATCH_ROWS`.

    Attributes:
        places: where each key lies.
    """

    def __init__(
        self, keys: Sequence[ec.EllipticCurvePrivateKey], algorithm: Algorithm, workspace: EcdsaWorkspace
    ) -> None:
        curve = CURVES[algorithm.name]
        self._algorithm = algorithm
        self._size = curve.size
        self._workspace = workspace
        self._secrets = little_endian([key.private_numbers().private_value for key in keys], 8 * curve.words)
        self._secrets_meant = self._secrets.copy()
        self.places = row_addresses(self._secrets)
        self._places_meant = self.places.copy()

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign each row: see `Signer`."""
        out = np.empty((len(messages), self._algorithm.signature_bytes), np.uint8)
        for batch in batches(messages, keys, len(self.places), ECDSA_BATCH_ROWS):
            self._sign_batch(self._digests(messages[batch]), keys[batch], out[batch], batch.start)
        return out

    def _digests(self, messages: Octets) -> Octets:
        """Return digests as wide as the order, uint8[n, size]: that of P-521 has two octets more than SHA-512."""
        assert self._algorithm.digest is not None
        hashed = digests(messages, self._algorithm.digest)
        return np.pad(hashed, ((0, 0), (self._size - hashed.shape[1], 0))) if hashed.shape[1] < self._size else hashed

    def _sign_batch(self, meant: Octets, keys: KeyIndexes, out: Octets, first: int) -> None:
        rows, lanes, workspace, size = len(meant), full_lanes(len(meant)), self._workspace, self._size
        workspace.digest[:rows] = meant
        workspace.digest[rows:lanes] = 1  # harmless; the library refuses a digest of zero
        workspace.key.lead_to_keys(self.places, keys)
        try:
            workspace.ephemeral.draw(lanes)
            workspace.lanes.run(rows, first, "sign")
        except SigningError:
            workspace.signature[:] = 0
            raise
        finally:
            workspace.ephemeral.wipe(lanes)
        if not (
            workspace.holds(meant, self._places_meant, keys) and np.array_equal(self._secrets, self._secrets_meant)
        ):
            raise SigningError(
                f"memory changed while messages {first} to {first + rows - 1} were signed: check this machine's memory"
            )
        out[:, :size], out[:, size:] = workspace.signature[:, :rows]
