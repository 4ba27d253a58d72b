"""Raw loops: what an engine signs in a second of CPU time when nothing but signing is left.

Digests and ephemeral keys lie ready and addresses are computed beforehand; statuses are checked, for without that the
result is worth nothing. Hashing, drawing ephemeral keys and storing are what the product adds, and are not in here.
A sample of the signatures is verified after the clock has stopped.
"""

import ctypes
import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from numpy.typing import NDArray

from bench.figure import PER_CPU_SECOND, BenchError, Figure, Finding, Sizes, Skipped
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, RSA2048_SHA256, Engine
from pregen.signers.multibuffer import CURVES, LANES, load_library

GROUP = "raw signatures"
P256_ROWS, RSA_ROWS, MULTIBUFFER_ROWS = 256, 32, 1024
DIGEST_BYTES = 32
VERIFY_EVERY = 13  # has no factor in common with the lanes, so that each of them is looked at
PREHASHED = utils.Prehashed(hashes.SHA256())
ECDSA = ec.ECDSA(PREHASHED)


class RawLoop(Protocol):
    """One engine with one algorithm, ready to sign."""

    rows: int

    def sign(self) -> None:
        """Sign `rows` digests."""

    def verify(self) -> None:
        """Check a sample of what the last `sign` made.

        Raises:
            InvalidSignature: one is wrong.
        """


class MultibufferP256:
    """libcrypto_mb, eight lanes a call."""

    rows = MULTIBUFFER_ROWS

    def __init__(self) -> None:
        library, curve = load_library(), CURVES[P256_SHA256.name]
        if isinstance(library, str):
            raise BenchError(library)
        self._call = library[curve.function]
        # Without types, ctypes would cut the addresses to 32 bits.
        self._call.argtypes, self._call.restype = [ctypes.c_void_p] * 6, ctypes.c_uint32
        key = ec.generate_private_key(ec.SECP256R1())
        self._public = key.public_key()
        self._secret = np.frombuffer(key.private_numbers().private_value.to_bytes(curve.size, "little"), np.uint64)
        self._lanes = np.full(LANES, self._secret.ctypes.data, np.uint64)
        self._digest = _random_rows(self.rows, curve.size)
        # Used again in every pass: a measurement, with a key that nobody trusts. No top bit, so each is in range.
        self._ephemeral = _random_rows(self.rows, curve.size)
        self._ephemeral[:, -1] &= 0x7F
        self._r, self._s = np.zeros((2, self.rows, curve.size), np.uint8)
        self._pointers = [_row_addresses(one) for one in (self._r, self._s, self._digest, self._ephemeral)]
        starts = range(0, self.rows * ctypes.sizeof(ctypes.c_void_p), LANES * ctypes.sizeof(ctypes.c_void_p))
        tables = [table.ctypes.data for table in self._pointers]
        self._calls = [(*(table + at for table in tables), self._lanes.ctypes.data, None) for at in starts]

    def sign(self) -> None:
        """Sign all rows: see `RawLoop`."""
        call = self._call
        statuses = [call(*arguments) for arguments in self._calls]  # each: four bits a lane, zero where all went well
        if any(statuses):
            raise BenchError("libcrypto_mb could not sign in one of its lanes")

    def verify(self) -> None:
        """Check a sample: see `RawLoop`."""
        for row in range(0, self.rows, VERIFY_EVERY):
            r, s = (int.from_bytes(half[row].tobytes(), "big") for half in (self._r, self._s))
            self._public.verify(utils.encode_dss_signature(r, s), self._digest[row].tobytes(), ECDSA)


class SoftwareP256:
    """cryptography, one signature a call."""

    rows = P256_ROWS

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._sign, self._public = key.sign, key.public_key()
        self._digests = _random_digests(self.rows)
        self._signatures: list[bytes] = []

    def sign(self) -> None:
        """Sign all rows: see `RawLoop`."""
        sign, scheme = self._sign, ECDSA
        self._signatures = [sign(digest, scheme) for digest in self._digests]

    def verify(self) -> None:
        """Check a sample: see `RawLoop`."""
        _verify_ecdsa(self._public, self._signatures, self._digests)


class AwslcP256:
    """awscrt, one signature a call."""

    rows = P256_ROWS

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        crypto = importlib.import_module("awscrt.crypto")  # an optional engine
        self._sign: Callable[[bytes], bytes] = crypto.EC.new_key_from_der_data(der).sign
        self._public = key.public_key()
        self._digests = _random_digests(self.rows)
        self._signatures: list[bytes] = []

    def sign(self) -> None:
        """Sign all rows: see `RawLoop`."""
        sign = self._sign
        self._signatures = [sign(digest) for digest in self._digests]

    def verify(self) -> None:
        """Check a sample: see `RawLoop`."""
        _verify_ecdsa(self._public, self._signatures, self._digests)


class SoftwareRsa2048:
    """cryptography, PKCS#1 v1.5, one signature a call; OpenSSL checks each with the public key."""

    rows = RSA_ROWS

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        self._sign, self._public = key.sign, key.public_key()
        self._digests = _random_digests(self.rows)
        self._signatures: list[bytes] = []

    def sign(self) -> None:
        """Sign all rows: see `RawLoop`."""
        sign, scheme, prehashed = self._sign, padding.PKCS1v15(), PREHASHED
        self._signatures = [sign(digest, scheme, prehashed) for digest in self._digests]

    def verify(self) -> None:
        """Check a sample: see `RawLoop`."""
        for signature, digest in _sample(self._signatures, self._digests):
            self._public.verify(signature, digest, padding.PKCS1v15(), PREHASHED)


LOOPS: dict[tuple[str, str], Callable[[], RawLoop]] = {
    ("multibuffer", P256_SHA256.name): MultibufferP256,
    ("awslc", P256_SHA256.name): AwslcP256,
    ("software", P256_SHA256.name): SoftwareP256,
    ("software", RSA2048_SHA256.name): SoftwareRsa2048,
}


def measure_raw(sizes: Sizes, engines: Sequence[Engine] = ENGINES) -> Iterator[Finding]:
    """Yield the raw rate of every engine with every algorithm that it has."""
    for engine in engines:
        reason = engine.unavailable()
        for algorithm in filter(engine.supports, ALGORITHMS.values()):
            name, title = f"raw.{algorithm.name}.{engine.name}", f"{algorithm.name}, {engine.name}"
            if reason is not None:
                yield Skipped(name=name, group=GROUP, title=title, reason=reason)
                continue
            rate = signing_rate(LOOPS[engine.name, algorithm.name](), sizes.raw_s)
            yield Figure(name=name, group=GROUP, title=title, value=rate, unit=PER_CPU_SECOND)


def signing_rate(loop: RawLoop, seconds: float) -> float:
    """Return how many signatures a second of CPU time a loop makes, measured for `seconds` of it.

    Raises:
        BenchError: a signature is wrong.
    """
    loop.sign()
    passes, spent, started = 0, 0.0, time.process_time()
    while spent < seconds:
        loop.sign()
        passes += 1
        spent = time.process_time() - started
    try:
        loop.verify()
    except InvalidSignature:
        raise BenchError(f"{type(loop).__name__} makes wrong signatures: its rate means nothing") from None
    return passes * loop.rows / spent


def _random_rows(rows: int, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(bytearray(os.urandom(rows * size)), np.uint8).reshape(rows, size)


def _random_digests(rows: int) -> list[bytes]:
    return [os.urandom(DIGEST_BYTES) for _ in range(rows)]


def _row_addresses(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the address of each row, as the library's arrays of eight pointers want them."""
    return np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0]) + np.uint64(rows.ctypes.data)


def _sample(signatures: Sequence[bytes], digests: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    return zip(signatures[::VERIFY_EVERY], digests[::VERIFY_EVERY], strict=True)


def _verify_ecdsa(key: ec.EllipticCurvePublicKey, signatures: Sequence[bytes], digests: Sequence[bytes]) -> None:
    for signature, digest in _sample(signatures, digests):
        key.verify(signature, digest, ECDSA)
