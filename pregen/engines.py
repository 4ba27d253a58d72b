"""Which engines work here, why the others do not, and how fast they are."""

import os
import time
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, Algorithm, Engine, PrivateKey

MEASURE_S = 2.0
MESSAGE_BYTES = 200  # about a ResponseData
BATCH_ROWS = {P256_SHA256.name: 4096}
SMALL_BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class EngineState:
    """One engine on this machine.

    Attributes:
        name: what the configuration calls it.
        unavailable: why it does not work here; None where it does.
        algorithms: what it signs.
        rates: signatures a second on one core, by algorithm, where measured.
    """

    name: str
    unavailable: str | None
    algorithms: tuple[str, ...]
    rates: dict[str, float] = field(default_factory=dict)


def survey_engines(*, measure: bool) -> list[EngineState]:
    """Return the state of every engine, the preferred first."""
    states = []
    for engine in ENGINES:
        algorithms = [algorithm for algorithm in ALGORITHMS.values() if engine.supports(algorithm)]
        reason = engine.unavailable()
        rates = {one.name: signing_rate(engine, one) for one in algorithms} if measure and reason is None else {}
        states.append(EngineState(engine.name, reason, tuple(one.name for one in algorithms), rates))
    return states


def signing_rate(engine: Engine, algorithm: Algorithm, seconds: float = MEASURE_S) -> float:
    """Return signatures a second of one signer on one core, messages hashed and ephemeral keys drawn included."""
    signer = engine.open(make_key(algorithm), algorithm)
    rows = BATCH_ROWS.get(algorithm.name, SMALL_BATCH_ROWS)
    messages = np.frombuffer(os.urandom(rows * MESSAGE_BYTES), np.uint8).reshape(rows, MESSAGE_BYTES)
    signer.sign(messages)
    done, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        signer.sign(messages)
        done += rows
    return done / spent


def make_key(algorithm: Algorithm) -> PrivateKey:
    """Return a new private key of an algorithm."""
    if algorithm == P256_SHA256:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 2048)
