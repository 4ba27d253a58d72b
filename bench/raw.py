"""Raw loops: what an engine signs in a second of CPU time when nothing but signing is left.

Digests, encoded messages and ephemeral keys lie ready and addresses are computed beforehand; statuses are checked, for
without that the result is worth nothing. Hashing, padding, drawing ephemeral keys and storing are what the product
adds, and are not in here. A check that an engine owes to each signature is: by the public key for RSA and Ed25519 with
`multibuffer`, while OpenSSL and AWS-LC check RSA themselves. A sample of the signatures is verified after the clock has
stopped.

The loops of `multibuffer`: bench/lanes.py.
"""

import functools
import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.figure import PER_CPU_SECOND, BenchError, Figure, Result, Skipped
from bench.lanes import LaneLoop
from bench.schemes import MESSAGE_BYTES, digest_bytes, ecdsa, rsa_padding, sha256, verify
from bench.sizes import Sizes
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, Algorithm, Engine, PrivateKey, make_key

GROUP = "raw signatures"
ROWS, SLOW_ROWS = 256, 16  # of a pass; a signature by ECDSA on P-256 or Ed25519 takes little time, any other much
FAST = ("p256", "ed25519")
VERIFY_EVERY = 13
CHECKED = "each checked with the public key"


class RawLoop(Protocol):
    """One engine with one algorithm, ready to sign."""

    rows: int

    def sign(self) -> None:
        """Sign `rows` messages."""

    def verify(self) -> None:
        """Check a sample of what the last `sign` made.

        Raises:
            InvalidSignature: one is wrong.
        """


class SingleLoop:
    """One signature a call.

    Args:
        sign: makes a signature of a digest, or of a message where the algorithm has no digest.
        arguments: that `sign` takes behind it.
        key: that it signs with.
        algorithm: how.
    """

    def __init__(
        self, sign: Callable[..., bytes], arguments: Sequence[object], key: PrivateKey, algorithm: Algorithm
    ) -> None:
        self.rows = ROWS if algorithm.key in FAST else SLOW_ROWS
        self.call, self.arguments = sign, tuple(arguments)
        self._public, self._algorithm = key.public_key(), algorithm
        size = digest_bytes(algorithm) or MESSAGE_BYTES
        self._messages = [os.urandom(size) for _ in range(self.rows)]
        self._signatures: list[bytes] = []

    def sign(self) -> None:
        """Sign all rows: see `RawLoop`."""
        call, arguments = self.call, self.arguments
        self._signatures = [call(message, *arguments) for message in self._messages]

    def verify(self) -> None:
        """Check a sample: see `RawLoop`."""
        for signature, message in zip(self._signatures[::VERIFY_EVERY], self._messages[::VERIFY_EVERY], strict=True):
            verify(self._public, self._algorithm, bytes(signature), message)


def software_loop(key: PrivateKey, algorithm: Algorithm) -> SingleLoop:
    """Return the loop of cryptography."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return SingleLoop(key.sign, (ecdsa(algorithm),), key, algorithm)
    if isinstance(key, rsa.RSAPrivateKey):
        return SingleLoop(key.sign, (rsa_padding(algorithm), sha256()), key, algorithm)
    return SingleLoop(key.sign, (), key, algorithm)


def awslc_loop(key: PrivateKey, algorithm: Algorithm) -> SingleLoop:
    """Return the loop of awscrt."""
    der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    crypto = importlib.import_module("awscrt.crypto")  # an optional engine
    if algorithm.padding is None:
        return SingleLoop(crypto.EC.new_key_from_der_data(der).sign, (), key, algorithm)
    names = {"pkcs1v15": "PKCS1_5_SHA256", "pss": "PSS_SHA256"}
    scheme = crypto.RSASignatureAlgorithm[names[algorithm.padding]]
    sign = functools.partial(crypto.RSA.new_private_key_from_der_data(der).sign, scheme)
    return SingleLoop(sign, (), key, algorithm)


LOOPS: dict[str, Callable[[PrivateKey, Algorithm], RawLoop]] = {
    "multibuffer": LaneLoop,
    "awslc": awslc_loop,
    "software": software_loop,
}


@functools.cache
def bench_key(kind: str) -> PrivateKey:
    """Return a key of a kind, the same one all the time: a large one for RSA takes seconds to make."""
    return make_key(next(algorithm for algorithm in ALGORITHMS.values() if algorithm.key == kind))


def open_loop(engine: str, algorithm: Algorithm) -> RawLoop:
    """Return the raw loop of an engine that works here and has the algorithm."""
    return LOOPS[engine](bench_key(algorithm.key), algorithm)


def measure_raw(sizes: Sizes, engines: Sequence[Engine] = ENGINES) -> Iterator[Result]:
    """Yield the raw rate of every algorithm with every engine that has it."""
    reasons = {engine.name: engine.unavailable() for engine in engines}
    for algorithm in ALGORITHMS.values():
        for engine in engines:
            if not engine.supports(algorithm):
                continue
            name, title = raw_name(engine.name, algorithm), f"{algorithm.name}, {engine.name}"
            reason = reasons[engine.name]
            if reason is not None:
                yield Skipped(name=name, group=GROUP, title=title, reason=reason)
                continue
            loop = open_loop(engine.name, algorithm)
            note = CHECKED if isinstance(loop, LaneLoop) and loop.checked else ""
            rate = signing_rate(loop, sizes.raw_s)
            yield Figure(name=name, group=GROUP, title=title, value=rate, unit=PER_CPU_SECOND, note=note)


def raw_name(engine: str, algorithm: Algorithm = P256_SHA256) -> str:
    """Return the name of the figure.

    >>> raw_name("software")
    'raw.p256-sha256.software'
    """
    return f"raw.{algorithm.name}.{engine}"


def signing_rate(loop: RawLoop, seconds: float, clock: Callable[[], float] = time.process_time) -> float:
    """Return how many signatures a second a loop makes, measured for `seconds`.

    Args:
        loop: that signs.
        seconds: how long, by the clock.
        clock: of CPU time, or of another kind.

    Raises:
        BenchError: a signature is wrong.
    """
    loop.sign()
    passes, spent, started = 0, 0.0, clock()
    while spent < seconds:
        loop.sign()
        passes += 1
        spent = clock() - started
    try:
        loop.verify()
    except InvalidSignature:
        raise BenchError(f"{type(loop).__name__} makes wrong signatures: its rate means nothing") from None
    return passes * loop.rows / spent
