from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature

from bench.figure import BenchError, Skipped
from bench.lanes import ROWS, LaneLoop
from bench.raw import LOOPS, SingleLoop, bench_key, measure_raw, open_loop, signing_rate
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, RSA2048_SHA256, Algorithm
from pregen.signers.algorithms import ED25519
from pregen.signers.multibuffer import MultibufferEngine
from tests.bench.conftest import TINY

SECONDS = 0.01
EACH = [
    (engine.name, algorithm) for engine in ENGINES for algorithm in ALGORITHMS.values() if engine.supports(algorithm)
]


def works(engine: str) -> bool:
    return next(one for one in ENGINES if one.name == engine).unavailable() is None


needs_lanes = pytest.mark.skipif(not works("multibuffer"), reason="multibuffer does not work here")


def damaged(sign: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return what makes signatures with a flipped bit."""

    def sign_badly(*arguments: object) -> bytes:
        signature = bytearray(sign(*arguments))
        signature[-1] ^= 1
        return bytes(signature)

    return sign_badly


class FaultyLane(LaneLoop):
    """One lane makes wrong signatures."""

    lane = 0

    def sign(self) -> None:
        super().sign()
        self.halves[0, self.lane :: 8, 5] ^= 1


def test_each_engine_has_its_raw_loop() -> None:
    assert LOOPS.keys() == {engine.name for engine in ENGINES}


@pytest.mark.parametrize(("engine", "algorithm"), EACH, ids=lambda one: getattr(one, "name", one))
def test_a_raw_loop_signs_and_its_signatures_verify(engine: str, algorithm: Algorithm) -> None:
    if not works(engine):
        pytest.skip(f"{engine} does not work here")
    assert signing_rate(open_loop(engine, algorithm), SECONDS) > 100


def test_an_engine_that_does_not_work_here_is_skipped_with_the_reason() -> None:
    found = list(measure_raw(TINY, [MultibufferEngine(lambda: "no such library")]))
    assert {(one.name, one.reason) for one in found if isinstance(one, Skipped)} == {
        (f"raw.{name}.multibuffer", "no such library") for name in ALGORITHMS if not name.startswith("ml-dsa")
    }
    assert all(isinstance(one, Skipped) for one in found)


@pytest.mark.parametrize("algorithm", [P256_SHA256, RSA2048_SHA256, ALGORITHMS["ml-dsa-44"]], ids=lambda one: one.name)
def test_a_rate_of_wrong_signatures_is_refused(algorithm: Algorithm) -> None:
    key = bench_key(algorithm.key)
    loop = open_loop("software", algorithm)
    assert isinstance(loop, SingleLoop)
    with pytest.raises(BenchError, match="makes wrong signatures"):
        signing_rate(SingleLoop(damaged(loop.call), loop.arguments, key, algorithm), SECONDS)


@needs_lanes
@pytest.mark.parametrize("algorithm", [P256_SHA256, RSA2048_SHA256, ED25519], ids=lambda one: one.name)
@pytest.mark.parametrize("lane", range(8))
def test_no_lane_goes_unverified(lane: int, algorithm: Algorithm) -> None:
    loop = FaultyLane(bench_key(algorithm.key), algorithm)
    loop.lane = lane
    with pytest.raises(BenchError, match="makes wrong signatures"):
        signing_rate(loop, SECONDS)


@needs_lanes
@pytest.mark.parametrize("algorithm", [RSA2048_SHA256, ED25519], ids=lambda one: one.name)
def test_the_check_of_rsa_and_ed25519_is_part_of_the_loop(algorithm: Algorithm) -> None:
    loop = LaneLoop(bench_key(algorithm.key), algorithm)
    assert loop.checked
    loop.sign()
    loop.halves[0, 3, 7] ^= 1
    with pytest.raises((InvalidSignature, BenchError)):
        loop.check()
    assert not LaneLoop(bench_key("p256"), P256_SHA256).checked


@needs_lanes
def test_a_lane_that_reports_a_failure_stops_the_loop() -> None:
    loop = LaneLoop(bench_key("p256"), P256_SHA256)
    loop.messages[ROWS - 1] = 0  # no message has this digest, which the library refuses
    with pytest.raises(BenchError, match="in one of its lanes"):
        loop.sign()
