import time
from collections.abc import Sequence

import numpy as np
import pytest

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, P256_SHA256, Algorithm, KeyIndexes, Octets, PrivateKey, Signer, signing_rate
from pregen.signers.keys import require_kind
from pregen.signers.software import SoftwareEngine
from tests.pregen.signers.keyring import keys_of


class SteadyEngine:
    """Spends so much CPU time for each message, and remembers how many it got in each call."""

    name = "steady"
    lanes = 8

    def __init__(self, seconds: float) -> None:
        self.calls: list[int] = []
        self._seconds = seconds

    def unavailable(self) -> str | None:
        return None

    def supports(self, algorithm: Algorithm) -> bool:
        return algorithm == P256_SHA256

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        require_kind(keys, algorithm)
        return self

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        end = time.process_time() + self._seconds * len(messages)
        assert len(messages) == len(keys)
        self.calls.append(len(messages))
        while time.process_time() < end:
            pass
        return np.zeros((len(messages), 64), np.uint8)


def test_a_rate_is_that_of_cpu_time() -> None:
    rate = signing_rate(SteadyEngine(0.0005), P256_SHA256, keys_of(P256_SHA256)[0], 0.05)
    assert rate == pytest.approx(2000, rel=0.1)


@pytest.mark.parametrize(("seconds", "most"), [(0.01, 8), (0.0001, 64), (0.0, 4096)])
def test_batches_are_as_large_as_the_time_allows(seconds: float, most: int) -> None:
    engine = SteadyEngine(seconds)
    signing_rate(engine, P256_SHA256, keys_of(P256_SHA256)[0], 0.02)
    assert engine.calls[:2] == [8, 8]
    assert set(engine.calls[2:]) <= set(range(8, most + 1, 8))


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
def test_every_algorithm_has_a_rate(algorithm: Algorithm) -> None:
    assert signing_rate(SoftwareEngine(), algorithm, keys_of(algorithm)[0], 0.01) > 0


def test_a_key_that_the_engine_cannot_use_has_no_rate() -> None:
    with pytest.raises(SigningError):
        signing_rate(SoftwareEngine(), P256_SHA256, keys_of(ALGORITHMS["ed25519"])[0], 0.01)
