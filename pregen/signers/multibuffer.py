"""Engine `multibuffer`: ipp-crypto's libcrypto_mb signs eight messages at once, on CPUs with AVX-512 IFMA or AVX-IFMA.

The library takes eight pointers for each argument. Addresses are computed once, for buffers that stay; a call then only
names where its eight lanes begin. It refuses a digest of zero, so lanes without a message get another harmless one.
"""

import ctypes
import functools
import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from numpy.typing import NDArray

from pregen.errors import SigningError
from pregen.signers.algorithms import P256_SHA256, Algorithm
from pregen.signers.base import Octets, PrivateKey, Signer, digests
from pregen.signers.ephemeral import EphemeralKeys, KernelSource, RandomSource

LANES = 8
BATCH_ROWS = 4096  # 512 KiB of buffers: they stay in the second-level cache
# What libcrypto_mb needs of Intel's compiler, in the order of their own needs. Loaded first and by path, they make
# LD_LIBRARY_PATH unnecessary.
RUNTIME = ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so")
INSTALL = 'pip install "ocsp-pregen[multibuffer]"'


class Curve(NamedTuple):
    """What the library needs to sign on a curve."""

    function: str
    algorithm_id: int  # of mbx_get_algo_info
    order: int
    size: int


CURVES = {
    P256_SHA256.name: Curve(
        "mbx_nistp256_ecdsa_sign_mb8",
        5,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        32,
    )
}


@functools.cache
def load_library() -> ctypes.CDLL | str:
    """Return the library, or why it cannot be had."""
    try:
        for name in RUNTIME:
            ctypes.CDLL(_library_path("intel-cmplr-lib-rt", name), ctypes.RTLD_GLOBAL)
        return ctypes.CDLL(_library_path("ipp-crypto", "libcrypto_mb.so"))
    except importlib.metadata.PackageNotFoundError as e:
        return f"the package {e.name} is not installed: {INSTALL}"
    except OSError as e:
        return f"the library does not load ({e}): reinstall it with {INSTALL}"


def _library_path(distribution: str, name: str) -> str:
    files = importlib.metadata.files(distribution) or []
    found = sorted(str(file.locate()) for file in files if file.name == name or file.name.startswith(f"{name}."))
    if not found:
        raise OSError(f"{distribution} holds no {name}")
    return str(Path(found[-1]))


class MultibufferEngine:
    """Signs eight messages at once.

    Args:
        load: returns the library, or why it cannot be had.
    """

    name = "multibuffer"

    def __init__(self, load: Callable[[], ctypes.CDLL | str] = load_library) -> None:
        self._load = load
        self._buffers: dict[str, Buffers] = {}

    def unavailable(self) -> str | None:
        """Return why the engine cannot work here; None where it works."""
        library = self._load()
        if isinstance(library, str):
            return library
        library.mbx_get_algo_info.restype = ctypes.c_uint64
        if not all(library.mbx_get_algo_info(curve.algorithm_id) for curve in CURVES.values()):
            return "this CPU has neither AVX-512 IFMA nor AVX-IFMA (Intel since Ice Lake, AMD since Zen 4 have them)"
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        """Tell whether the engine has this algorithm."""
        return algorithm.name in CURVES

    def open(self, key: PrivateKey, algorithm: Algorithm) -> Signer:
        """Return a signer for a private key of the right kind."""
        library = self._load()
        if isinstance(library, str) or not isinstance(key, ec.EllipticCurvePrivateKey):
            raise SigningError(f"engine multibuffer cannot sign {algorithm.name} here")
        if algorithm.name not in self._buffers:
            self._buffers[algorithm.name] = Buffers(CURVES[algorithm.name], KernelSource())
        return MultibufferSigner(library, key, algorithm, self._buffers[algorithm.name])


class Buffers:
    """What the library reads and writes, for one batch on one curve. The signers of a process share it, one at a time.

    Attributes:
        digest: uint8[BATCH_ROWS, size].
        signature: uint8[2, BATCH_ROWS, size]: r and s.
        ephemeral: one key a row.
        calls: for each eight rows, where the library finds the addresses of their r, s, digests and ephemeral keys.
    """

    def __init__(self, curve: Curve, source: RandomSource) -> None:
        self.digest = np.ones((BATCH_ROWS, curve.size), np.uint8)
        self.signature = np.zeros((2, BATCH_ROWS, curve.size), np.uint8)
        self.ephemeral = EphemeralKeys(curve.order, BATCH_ROWS, source)
        self._pointers = [_row_addresses(rows) for rows in (*self.signature, self.digest, self.ephemeral.words)]
        tables = [pointers.ctypes.data for pointers in self._pointers]
        step = LANES * self._pointers[0].itemsize
        self.calls = [tuple(table + call * step for table in tables) for call in range(BATCH_ROWS // LANES)]


class MultibufferSigner:
    """Signs with one elliptic-curve key, in batches of up to `BATCH_ROWS`."""

    def __init__(
        self, library: ctypes.CDLL, key: ec.EllipticCurvePrivateKey, algorithm: Algorithm, buffers: Buffers
    ) -> None:
        self._curve = curve = CURVES[algorithm.name]
        self._algorithm = algorithm
        self._buffers = buffers
        self._sign = library[curve.function]
        # Without types, ctypes would cut the addresses to 32 bits.
        self._sign.argtypes, self._sign.restype = [ctypes.c_void_p] * 6, ctypes.c_uint32
        secret = key.private_numbers().private_value.to_bytes(curve.size, "little")
        self._secret = np.frombuffer(secret, np.uint64).copy()
        self._keys = np.full(LANES, self._secret.ctypes.data, np.uint64)

    def sign(self, messages: Octets) -> Octets:
        """Sign each row: see `Signer`."""
        size = self._curve.size
        out = np.empty((len(messages), 2 * size), np.uint8)
        for at in range(0, len(messages), BATCH_ROWS):
            part = messages[at : at + BATCH_ROWS]
            rows = len(part)
            self._buffers.digest[:rows] = digests(part, self._algorithm.digest)
            self._sign_digests(rows, at)
            out[at : at + rows, :size], out[at : at + rows, size:] = self._buffers.signature[:, :rows]
        return out

    def _sign_digests(self, rows: int, first: int) -> None:
        """Sign the first `rows` digests of the buffer; `first` is the number of the first message."""
        lanes = -(-rows // LANES) * LANES
        buffers, sign, keys = self._buffers, self._sign, self._keys.ctypes.data
        buffers.digest[rows:lanes] = 1
        try:
            buffers.ephemeral.draw(lanes)
            # One status a call: four bits a lane, zero where all went well.
            statuses = [sign(*addresses, keys, None) for addresses in buffers.calls[: lanes // LANES]]
        finally:
            buffers.ephemeral.wipe(lanes)
        if any(statuses):
            buffers.signature[:] = 0
            call, status = next((i, status) for i, status in enumerate(statuses) if status)
            lane = next(lane for lane in range(LANES) if status >> (4 * lane) & 15)
            number = first + call * LANES + lane
            raise SigningError(f"libcrypto_mb could not sign message {number}: status {status:#010x}")


def _row_addresses(rows: NDArray[np.uint8] | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the address of each row, as the library's arrays of eight pointers want them."""
    return np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0]) + np.uint64(rows.ctypes.data)
