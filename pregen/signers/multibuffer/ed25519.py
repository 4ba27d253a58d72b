"""Ed25519 on eight lanes.

Its signatures are deterministic, so a faulty one beside a right one of the same message gives the key away. Each is
verified by the library's own batched operation, where it leaves the signer from: against the messages as they came, and
with the public key that cryptography derived. What is signed, and with which public key, are copies of these, so that
a bit that flips in either shows. Nothing leaves of a batch that has a fault.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ed25519

from pregen.signers.base import KeyIndexes, Octets
from pregen.signers.multibuffer.lanes import LANES, Lanes, Table, batches, row_addresses
from pregen.signers.multibuffer.library import status_function

# The library has no number of its own for Ed25519 in mbx_get_algo_info; X25519 needs the same instructions.
ALGORITHM_ID = 4
ED25519_BATCH_ROWS = 1024
_HALF = 32  # octets of R, of S and of either key


class Ed25519Workspace:
    """Tables of one batch. The signers of a process share it, one at a time.

    Attributes:
        r, s, message_copy, message, seed, public, public_copy: where these lie for each row.
        length, length_copy: uint32[LANES], octets of a message.
        spare: uint8[LANES, 64], for the results of lanes without a message.
        signing, verifying: the calls.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.spare = np.zeros((LANES, 2 * _HALF), np.uint8)
        self.length, self.length_copy = np.zeros((2, LANES), np.uint32)
        self.r, self.s, self.message_copy, self.message = (Table(ED25519_BATCH_ROWS) for _ in range(4))
        self.seed, self.public, self.public_copy = (Table(ED25519_BATCH_ROWS) for _ in range(3))
        self.signing = Lanes(
            status_function(library, "mbx_ed25519_sign_mb8", 6),
            self.r.addresses,
            self.s.addresses,
            self.message_copy.addresses,
            self.length_copy.ctypes.data,
            self.seed.addresses,
            self.public_copy.addresses,
        )
        self.verifying = Lanes(
            status_function(library, "mbx_ed25519_verify_mb8", 5),
            self.r.addresses,
            self.s.addresses,
            self.message.addresses,
            self.length.ctypes.data,
            self.public.addresses,
        )

    def lead_results_to(self, out: Octets) -> None:
        """Lead `r` and `s` to the halves of signatures, uint8[n, 64]."""
        self.r.lead_to(out[:, :_HALF], self.spare[:, :_HALF])
        self.s.lead_to(out[:, _HALF:], self.spare[:, _HALF:])


class Ed25519Signer:
    """Signs with Ed25519 keys, in batches of up to `ED25519_BATCH_ROWS`."""

    def __init__(self, keys: Sequence[ed25519.Ed25519PrivateKey], workspace: Ed25519Workspace) -> None:
        self._workspace = workspace
        self._seeds = _rows([key.private_bytes_raw() for key in keys])
        self._public = _rows([key.public_key().public_bytes_raw() for key in keys])
        self._public_copy = self._public.copy()
        self._seed_places, self._public_places, self._public_copy_places = (
            row_addresses(rows) for rows in (self._seeds, self._public, self._public_copy)
        )

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign each row: see `Signer`."""
        if messages.strides[1] != 1:
            messages = np.ascontiguousarray(messages)  # the library reads the octets of a message one after the other
        out = np.zeros((len(messages), 2 * _HALF), np.uint8)
        for batch in batches(messages, keys, len(self._seeds), ED25519_BATCH_ROWS):
            self._sign_batch(messages[batch], keys[batch], out[batch], batch.start)
        return out

    def _sign_batch(self, messages: Octets, keys: KeyIndexes, out: Octets, first: int) -> None:
        rows, workspace = len(messages), self._workspace
        copy = messages.copy()
        workspace.length[:] = workspace.length_copy[:] = messages.shape[1]
        workspace.message_copy.lead_to(copy)
        workspace.message.lead_to(messages)
        workspace.lead_results_to(out)
        workspace.seed.lead_to_keys(self._seed_places, keys)
        workspace.public.lead_to_keys(self._public_places, keys)
        workspace.public_copy.lead_to_keys(self._public_copy_places, keys)
        workspace.signing.run(rows, first, "sign")
        workspace.lead_results_to(out)  # anew, so that what is verified is what leaves, even where an address changed
        workspace.verifying.run(rows, first, "verify the signature of")


def _rows(octets: Sequence[bytes]) -> Octets:
    return np.frombuffer(b"".join(octets), np.uint8).reshape(len(octets), -1).copy()
