"""RSA on eight lanes, by CRT.

One signature that is wrong modulo one prime alone gives the key away (Boneh, DeMillo, Lipton, 1997). So each result is
raised to the public exponent again, by the library's own batched operation, and compared with the encoded message as it
was computed: not with the buffer that was signed, where a bit may have flipped. The results are checked where they
leave the signer from. Nothing leaves of a batch that has a fault.
"""

import ctypes
from collections.abc import Sequence

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa, utils

from pregen.errors import SigningError
from pregen.signers.algorithms import Algorithm
from pregen.signers.base import KeyIndexes, Octets, digests
from pregen.signers.emsa import PADDINGS, SALT_BYTES, encode_pkcs1v15, encode_pss
from pregen.signers.ephemeral import KernelSource, fill
from pregen.signers.multibuffer.lanes import LANES, Lanes, Table, batches, full_lanes, little_endian, row_addresses
from pregen.signers.multibuffer.library import Function, typed

RSA_BATCH_ROWS = 128
SIZES = {2048: "RSA2K", 3072: "RSA3K", 4096: "RSA4K"}
ALGORITHM_IDS = {2048: 1, 3072: 2, 4096: 3}
EXPONENT = 65537
_PARTS = 5


class RsaWorkspace:
    """Buffers of one batch of one key size. The signers of a process share it, one at a time.

    Attributes:
        encoded: uint8[RSA_BATCH_ROWS, size], what is signed.
        recovered: uint8[RSA_BATCH_ROWS, size], what the public key makes of the signatures.
        signature, parts, modulus: where each row's result goes, and where its key lies.
        spare: uint8[LANES, size], for the results of lanes without a message.
        private, public: the calls.
        source: of salts.
    """

    def __init__(self, library: ctypes.CDLL, bits: int) -> None:
        size = bits // 8
        self.encoded, self.recovered = np.zeros((2, RSA_BATCH_ROWS, size), np.uint8)
        self.spare = np.zeros((LANES, size), np.uint8)
        self.signature, self.modulus = Table(RSA_BATCH_ROWS), Table(RSA_BATCH_ROWS)
        self.parts = [Table(RSA_BATCH_ROWS) for _ in range(_PARTS)]
        self.source = KernelSource()
        private, self._private_scratch = _method(library, f"mbx_{SIZES[bits]}_private_crt_Method")
        public, self._public_scratch = _method(library, f"mbx_{SIZES[bits]}_pub65537_Method")
        self.private = Lanes(
            _function(library, "mbx_rsa_private_crt_mb8", 2 + _PARTS),
            row_addresses(self.encoded),
            self.signature.addresses,
            *(part.addresses for part in self.parts),
            bits,
            private,
            self._private_scratch.ctypes.data,
            shifting=True,
        )
        self.public = Lanes(
            _function(library, "mbx_rsa_public_mb8", 3),
            self.signature.addresses,
            row_addresses(self.recovered),
            self.modulus.addresses,
            bits,
            public,
            self._public_scratch.ctypes.data,
        )


def _function(library: ctypes.CDLL, name: str, tables: int) -> Function:
    pointer = ctypes.c_void_p
    return typed(library, name, [*[pointer] * tables, ctypes.c_int, pointer, pointer], ctypes.c_uint32)


def _method(library: ctypes.CDLL, name: str) -> tuple[int, Octets]:
    """Return a method of the library, and the scratch memory that it wants."""
    method = typed(library, name, [], ctypes.c_void_p)()
    size = typed(library, "mbx_RSA_Method_BufSize", [ctypes.c_void_p], ctypes.c_int)(method)
    return method, np.zeros(size, np.uint8)


class RsaSigner:
    """Signs with RSA keys, in batches of up to `RSA_BATCH_ROWS`."""

    def __init__(self, keys: Sequence[rsa.RSAPrivateKey], algorithm: Algorithm, workspace: RsaWorkspace) -> None:
        self._algorithm = algorithm
        self._workspace = workspace
        size = algorithm.signature_bytes
        numbers = [key.private_numbers() for key in keys]
        ordered = zip(*(_crt_parts(one, 4 * size) for one in numbers), strict=True)
        self._parts = [little_endian(part, size // 2) for part in ordered]
        self._moduli = little_endian([one.public_numbers.n for one in numbers], size)
        self._places = [row_addresses(part) for part in self._parts]
        self._modulus_places = row_addresses(self._moduli)
        self._public = [key.public_key() for key in keys]
        self._unusual = np.array([one.public_numbers.e != EXPONENT for one in numbers])

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        """Sign each row: see `Signer`."""
        out = np.zeros((len(messages), self._algorithm.signature_bytes), np.uint8)
        for batch in batches(messages, keys, len(self._unusual), RSA_BATCH_ROWS):
            hashed = digests(messages[batch], "sha256")
            meant = self._encode(hashed)
            self._sign_batch(meant, keys[batch], out[batch], batch.start)
            self._check_batch(meant, hashed, keys[batch], out[batch], batch.start)
        return out

    def _encode(self, hashed: Octets) -> Octets:
        size = self._algorithm.signature_bytes
        if self._algorithm.padding == "pkcs1v15":
            return encode_pkcs1v15(hashed, size)
        salts = np.empty((len(hashed), SALT_BYTES), np.uint8)
        fill(salts, self._workspace.source)
        return encode_pss(hashed, salts, size)

    def _sign_batch(self, meant: Octets, keys: KeyIndexes, out: Octets, first: int) -> None:
        rows, workspace = len(meant), self._workspace
        workspace.encoded[:rows] = meant
        workspace.encoded[rows : full_lanes(rows)] = meant[0]
        workspace.signature.lead_to(out, workspace.spare)
        for table, places in zip(workspace.parts, self._places, strict=True):
            table.lead_to_keys(places, keys)
        workspace.private.run(rows, first, "sign")

    def _check_batch(self, meant: Octets, hashed: Octets, keys: KeyIndexes, out: Octets, first: int) -> None:
        rows, workspace = len(meant), self._workspace
        # Anew, so that what is checked is what leaves, even where a bit of an address flipped.
        workspace.signature.lead_to(out, workspace.spare)
        workspace.modulus.lead_to_keys(self._modulus_places, keys)
        workspace.recovered[:rows] = 0  # nothing of the batch before may pass for a result
        workspace.public.run(rows, first, "check")
        wrong = (workspace.recovered[:rows] != meant).any(axis=1)
        # The library raises to 65537 alone; other exponents are rare, so their rows are checked one by one.
        for row in np.nonzero(self._unusual[keys])[0]:
            wrong[row] = not self._verifies(self._public[keys[row]], out[row].tobytes(), hashed[row].tobytes())
        if wrong.any():
            raise SigningError(
                f"libcrypto_mb made a wrong signature of message {first + int(wrong.argmax())}: "
                "check the key and this machine's memory, or use --engine software"
            )

    def _verifies(self, public: rsa.RSAPublicKey, signature: bytes, hashed: bytes) -> bool:
        try:
            public.verify(signature, hashed, PADDINGS[self._algorithm.padding], utils.Prehashed(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True


def _crt_parts(numbers: rsa.RSAPrivateNumbers, prime_bits: int) -> tuple[int, int, int, int, int]:
    """Return p, q, dmp1, dmq1, iqmp with p > q, as the library wants them."""
    if not numbers.p.bit_length() == numbers.q.bit_length() == prime_bits:
        raise SigningError(
            "engine multibuffer takes RSA keys whose two primes are of one length, and this key has others: "
            "use --engine software, or make another key"
        )
    if numbers.p > numbers.q:
        return numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp
    return numbers.q, numbers.p, numbers.dmq1, numbers.dmp1, rsa.rsa_crt_iqmp(numbers.q, numbers.p)
