"""The raw loops of `multibuffer`: libcrypto_mb, eight lanes a call.

Written apart from the engine, so that a reference does not get slower with what is held against it.
"""

import ctypes
import os
import time
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from numpy.typing import NDArray

from bench.figure import BenchError
from bench.schemes import _SALT_BYTES, MESSAGE_BYTES, digest_bytes, verify
from pregen.signers import Algorithm, PrivateKey
from pregen.signers.base import Octets
from pregen.signers.emsa import encode_pkcs1v15, encode_pss
from pregen.signers.multibuffer import LANES, load_library

_Argument: TypeAlias = NDArray[np.uint8] | NDArray[np.uint32] | ctypes.c_void_p | ctypes.c_int | None

ROWS, RSA_ROWS = 1024, 128
VERIFY_EVERY = 13  # has no factor in common with the lanes, and eight samples at least: each of them is looked at
_CURVES = {
    "p256": ("nistp256", 32, 4),
    "p384": ("nistp384", 48, 6),
    "p521": ("nistp521", 66, 9),
}  # order in octets, words
EXTRA = (0, 2, 4, 6)  # arguments that the library ignores, see Calls._settle
RSA_NAMES = {2048: "RSA2K", 3072: "RSA3K", 4096: "RSA4K"}


class Calls:
    """One function of the library, and its arguments for all rows, eight rows a call.

    Args:
        function: its name.
        rows: how many.
        arguments: rows of octets, of which each lane gets the address of its own, or all the same one where there is
            one row alone; an array of one dimension, which all calls get; or a plain value.
        settle: whether the first run settles how the calls are the fastest.
    """

    def __init__(self, function: str, rows: int, *arguments: _Argument, settle: bool = False) -> None:
        self._function, self._kept, self._unsettled = _library()[function], arguments, settle
        # Without types, ctypes would cut addresses to 32 bits.
        self._function.argtypes = [type(one) if isinstance(one, ctypes.c_int) else ctypes.c_void_p for one in arguments]
        self._function.restype = ctypes.c_uint32
        self._tables = [_table(one, rows) for one in arguments]
        self._calls = [
            tuple(_at(table, at, argument) for table, argument in zip(self._tables, arguments, strict=True))
            for at in range(0, rows, LANES)
        ]

    def run(self) -> None:
        """Make all calls."""
        if self._unsettled:
            self._settle()
        function = self._function
        statuses = [function(*arguments) for arguments in self._calls]  # each: four bits a lane, zero where all is well
        if any(statuses):
            raise BenchError("libcrypto_mb could not do its work in one of its lanes")

    def _settle(self) -> None:
        """Find how the first call is the fastest, and make all calls so.

        The rate of RSA depends on where the stack lies modulo 64, which is chance: without this, a reference could be
        the slow one. Two more arguments of 8 octets shift the stack by 16. Not done before the first run, as only
        that begins where the others do.
        """
        self._unsettled, calls, spent = False, self._calls, []
        for extra in EXTRA * 2:
            self._calls = [(*calls[0], *[None] * extra)]
            started = time.thread_time()
            self.run()
            spent.append((time.thread_time() - started, extra))
        _, extra = min(spent)
        self._calls = [(*arguments, *[None] * extra) for arguments in calls]


class LaneLoop:
    """One algorithm on eight lanes: see `bench.raw.RawLoop`.

    Attributes:
        rows: of a pass.
        checked: whether each signature is checked with the public key, in the loop.
        messages: uint8[rows, size]: digests; where the algorithm has none, messages.
        halves: uint8[1 or 2, rows, size], the signatures: as they are, or r and s.
    """

    messages: Octets
    halves: Octets

    def __init__(self, key: PrivateKey, algorithm: Algorithm) -> None:
        self._public, self._algorithm = key.public_key(), algorithm
        self.rows = RSA_ROWS if isinstance(key, rsa.RSAPrivateKey) else ROWS
        self.messages = _random(self.rows, digest_bytes(algorithm) or MESSAGE_BYTES)
        self._check: Callable[[], None] | None = None
        if isinstance(key, ec.EllipticCurvePrivateKey):
            self._sign = self._ecdsa(key)
        elif isinstance(key, rsa.RSAPrivateKey):
            self._sign, self._check = self._rsa(key)
        else:
            assert isinstance(key, ed25519.Ed25519PrivateKey)
            self._sign, self._check = self._ed25519(key)
        self.checked = self._check is not None

    def sign(self) -> None:
        """Sign all rows, and check them where the engine does."""
        self._sign()
        self.check()

    def check(self) -> None:
        """Check all signatures with the public key, where the engine does.

        Raises:
            InvalidSignature, BenchError: one is wrong.
        """
        if self._check is not None:
            self._check()

    def verify(self) -> None:
        """Check a sample.

        Raises:
            InvalidSignature: one is wrong.
        """
        for row in range(0, self.rows, VERIFY_EVERY):
            signature = self.halves[:, row].tobytes()
            if self._algorithm.encoding == "ecdsa":
                r, s = (int.from_bytes(half[row].tobytes(), "big") for half in self.halves)
                signature = utils.encode_dss_signature(r, s)
            verify(self._public, self._algorithm, signature, self.messages[row].tobytes())

    def _ecdsa(self, key: ec.EllipticCurvePrivateKey) -> Callable[[], None]:
        curve, size, words = _CURVES[self._algorithm.key]
        digest = np.zeros((self.rows, size), np.uint8)
        digest[:, size - self.messages.shape[1] :] = self.messages
        self.messages = digest[:, size - self.messages.shape[1] :]
        # Used again in every pass: a measurement, with a key that nobody trusts. The top octet stays zero, so that each
        # is in range.
        ephemeral = np.zeros((self.rows, 8 * words), np.uint8)
        ephemeral[:, : size - 1] = _random(self.rows, size - 1)
        self.halves = np.zeros((2, self.rows, size), np.uint8)
        secret = _little_endian(key.private_numbers().private_value, 8 * words)
        return Calls(f"mbx_{curve}_ecdsa_sign_mb8", self.rows, *self.halves, digest, ephemeral, secret, None).run

    def _rsa(self, key: rsa.RSAPrivateKey) -> tuple[Callable[[], None], Callable[[], None]]:
        numbers, bits = key.private_numbers(), key.key_size
        size = bits // 8
        meant = self._encoded(size)
        encoded, recovered = meant.copy(), np.zeros_like(meant)
        self.halves = np.zeros((1, self.rows, size), np.uint8)
        parts = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        crt = (_little_endian(part, size // 2) for part in parts)
        modulus = _little_endian(numbers.public_numbers.n, size)
        private, public = (
            _method(f"mbx_{RSA_NAMES[bits]}_private_crt_Method"),
            _method(f"mbx_{RSA_NAMES[bits]}_pub65537_Method"),
        )
        length, signature = ctypes.c_int(bits), self.halves[0]
        sign = Calls("mbx_rsa_private_crt_mb8", self.rows, encoded, signature, *crt, length, *private, settle=True)
        raise_again = Calls("mbx_rsa_public_mb8", self.rows, signature, recovered, modulus, length, *public)

        def check() -> None:
            raise_again.run()
            if not np.array_equal(recovered, meant):
                raise InvalidSignature

        return sign.run, check

    def _encoded(self, size: int) -> Octets:
        if self._algorithm.padding == "pss":
            return encode_pss(self.messages, _random(self.rows, _SALT_BYTES), size)
        return encode_pkcs1v15(self.messages, size)

    def _ed25519(self, key: ed25519.Ed25519PrivateKey) -> tuple[Callable[[], None], Callable[[], None]]:
        seed, public = (
            np.frombuffer(octets, np.uint8).reshape(1, -1)
            for octets in (key.private_bytes_raw(), key.public_key().public_bytes_raw())
        )
        self.halves = np.zeros((2, self.rows, 32), np.uint8)
        lengths = np.full(LANES, self.messages.shape[1], np.uint32)
        signed = (*self.halves, self.messages, lengths)
        return (
            Calls("mbx_ed25519_sign_mb8", self.rows, *signed, seed, public).run,
            Calls("mbx_ed25519_verify_mb8", self.rows, *signed, public).run,
        )


def _library() -> ctypes.CDLL:
    library = load_library()
    if isinstance(library, str):
        raise BenchError(library)
    return library


def _table(argument: _Argument, rows: int) -> NDArray[np.uint64] | None:
    """Return the address for each row; None for what is no array of rows."""
    if not isinstance(argument, np.ndarray) or argument.ndim == 1:
        return None
    step = argument.strides[0] if len(argument) > 1 else 0
    return np.arange(rows, dtype=np.uint64) * np.uint64(step) + np.uint64(argument.ctypes.data)


def _at(table: NDArray[np.uint64] | None, row: int, argument: _Argument) -> int | ctypes.c_void_p | ctypes.c_int | None:
    """Return what one call gets for an argument: where in its table the eight addresses begin, or itself."""
    if table is not None:
        return table.ctypes.data + row * table.itemsize
    return argument.ctypes.data if isinstance(argument, np.ndarray) else argument


def _method(name: str) -> tuple[ctypes.c_void_p, Octets]:
    """Return a method of RSA, and the memory that it wants."""
    library = _library()
    method, size = library[name], library["mbx_RSA_Method_BufSize"]
    method.restype, size.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    found = method()
    return ctypes.c_void_p(found), np.zeros(size(found), np.uint8)


def _little_endian(number: int, size: int) -> Octets:
    return np.frombuffer(number.to_bytes(size, "little"), np.uint8).reshape(1, size)


def _random(rows: int, size: int) -> Octets:
    return np.frombuffer(bytearray(os.urandom(rows * size)), np.uint8).reshape(rows, size)
