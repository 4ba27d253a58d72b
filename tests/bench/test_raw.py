import pytest

from bench.figure import BenchError, Skipped
from bench.raw import (
    LOOPS,
    MULTIBUFFER_ROWS,
    MultibufferP256,
    RawLoop,
    SoftwareP256,
    SoftwareRsa2048,
    measure_raw,
    signing_rate,
)
from pregen.signers import ALGORITHMS, ENGINES, engine_named
from pregen.signers.multibuffer import MultibufferEngine
from tests.bench.conftest import TINY

SECONDS = 0.01


def works(engine: str) -> bool:
    return next(one for one in ENGINES if one.name == engine).unavailable() is None


class FaultyEcdsa(SoftwareP256):
    """Its first signature is that of another digest."""

    def sign(self) -> None:
        super().sign()
        self._signatures[0] = self._signatures[1]


class FaultyRsa(SoftwareRsa2048):
    """Its first signature has a flipped bit."""

    def sign(self) -> None:
        super().sign()
        first = bytearray(self._signatures[0])
        first[100] ^= 1
        self._signatures[0] = bytes(first)


class FaultyLane(MultibufferP256):
    """One lane makes wrong signatures."""

    lane = 0

    def sign(self) -> None:
        super().sign()
        self._r[self.lane :: 8, 5] ^= 1


def test_there_is_a_raw_loop_for_all_that_engines_can_do() -> None:
    wanted = {
        (engine.name, algorithm.name)
        for engine in ENGINES
        for algorithm in ALGORITHMS.values()
        if engine.supports(algorithm)
    }
    assert LOOPS.keys() == wanted


@pytest.mark.parametrize(("engine", "algorithm"), LOOPS)
def test_a_raw_loop_signs_and_its_signatures_verify(engine: str, algorithm: str) -> None:
    if not works(engine):
        pytest.skip(f"{engine} does not work here")
    assert engine_named(engine, ALGORITHMS[algorithm]).name == engine
    assert signing_rate(LOOPS[engine, algorithm](), SECONDS) > 100


def test_an_engine_that_does_not_work_here_is_skipped_with_the_reason() -> None:
    (skipped,) = measure_raw(TINY, [MultibufferEngine(lambda: "no such library")])
    assert isinstance(skipped, Skipped)
    assert (skipped.name, skipped.reason) == ("raw.p256-sha256.multibuffer", "no such library")


@pytest.mark.parametrize("loop", [FaultyEcdsa, FaultyRsa])
def test_a_rate_of_wrong_signatures_is_refused(loop: type[RawLoop]) -> None:
    with pytest.raises(BenchError, match="makes wrong signatures"):
        signing_rate(loop(), SECONDS)


@pytest.mark.skipif(not works("multibuffer"), reason="multibuffer does not work here")
@pytest.mark.parametrize("lane", range(8))
def test_no_lane_goes_unverified(lane: int) -> None:
    loop = FaultyLane()
    loop.lane = lane
    with pytest.raises(BenchError, match="makes wrong signatures"):
        signing_rate(loop, SECONDS)


@pytest.mark.skipif(not works("multibuffer"), reason="multibuffer does not work here")
def test_a_lane_that_reports_a_failure_stops_the_loop() -> None:
    loop = MultibufferP256()
    loop._digest[MULTIBUFFER_ROWS - 1] = 0  # noqa: SLF001 - no message has this digest, which the library refuses
    with pytest.raises(BenchError, match="in one of its lanes"):
        loop.sign()
