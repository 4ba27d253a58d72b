"""Which engine signs, where one is missing: with parts of the environment really left out."""

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pregen.errors import ConfigError, SigningError
from pregen.signers import (
    ALGORITHMS,
    AUTO,
    ENGINES,
    P256_SHA256,
    RSA2048_SHA256,
    Algorithm,
    Choice,
    Engine,
    KeyIndexes,
    Octets,
    PrivateKey,
    Signer,
    choose_engine,
    engine_named,
    make_key,
)
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.software import SoftwareEngine

if TYPE_CHECKING:
    import ctypes

PROJECT = Path(__file__).parents[3]
ASK = """
from pregen.errors import ConfigError
from pregen.signers import P256_SHA256, engine_named
print(engine_named("auto", P256_SHA256).name)
for name in ("multibuffer", "awslc"):
    try:
        print(engine_named(name, P256_SHA256).name)
    except ConfigError as e:
        print(e.exit_code, e.message)
"""


def answers_without(folder: Path, *left_out: str) -> list[str]:
    """Run `ASK` in an environment that has every installed package but some."""
    packages = folder / "lib" / "python" / "site-packages"
    packages.mkdir(parents=True)
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        if not installed.name.startswith(left_out) and installed.suffix != ".pth":
            (packages / installed.name).symlink_to(installed)
    environment = {**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{PROJECT}"}
    program = [sys.executable, "-S", "-c", ASK]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_without_the_optional_packages_auto_is_software_and_the_others_say_what_to_install(tmp_path: Path) -> None:
    auto, multibuffer, awslc = answers_without(tmp_path, "ipp_crypto", "intel_cmplr", "awscrt")
    assert auto == "software"
    assert multibuffer.startswith("2 engine multibuffer does not work here: the package")
    assert 'pip install "ocsp-pregen[multibuffer]"' in multibuffer
    assert awslc.startswith("2 engine awslc does not work here: the package awscrt is not installed")
    assert 'pip install "ocsp-pregen[awslc]"' in awslc


@pytest.mark.skipif(
    isinstance(ENGINES[0].unavailable(), str) and "not installed" in str(ENGINES[0].unavailable()),
    reason="ipp-crypto is not installed, so it cannot be broken",
)
def test_a_library_that_does_not_load_is_reported_and_auto_goes_on_without_it(tmp_path: Path) -> None:
    # The packages' records are there, and where they point to there is something else.
    (tmp_path / "lib").mkdir()
    for name in ("libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so", "libcrypto_mb.so"):
        (tmp_path / "lib" / name).write_bytes(b"not a library")
    auto, multibuffer, _ = answers_without(tmp_path, "awscrt")
    assert auto == "software"
    assert multibuffer.startswith("2 engine multibuffer does not work here: the library does not load")


class LibraryOfAnOldCpu:
    """libcrypto_mb where the CPU lacks some or all of its instructions: it has few algorithms, or none."""

    def __init__(self, *algorithms: int) -> None:
        self._algorithms = algorithms

    def __getitem__(self, name: str) -> Callable[[int], int]:
        assert name == "mbx_get_algo_info"

        def width(algorithm: int) -> int:
            return 8 if algorithm in self._algorithms else 0

        return width


def engine_with(*algorithms: int) -> MultibufferEngine:
    return MultibufferEngine(lambda: cast("ctypes.CDLL", LibraryOfAnOldCpu(*algorithms)))


def engines_of_an_old_cpu() -> list[Engine]:
    return [engine_with(), SoftwareEngine()]


def test_a_cpu_without_the_instructions_is_said_so_and_auto_goes_on() -> None:
    engines = engines_of_an_old_cpu()
    assert engine_named(AUTO, P256_SHA256, engines=engines).name == "software"
    with pytest.raises(ConfigError, match=r"multibuffer does not work here: this CPU has neither AVX-512 IFMA"):
        engine_named("multibuffer", P256_SHA256, engines=engines)


def test_an_engine_that_cannot_load_opens_no_key() -> None:
    engine = MultibufferEngine(lambda: "the package ipp-crypto is not installed")
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SigningError, match="cannot sign"):
        engine.open([key], P256_SHA256)


def test_on_an_old_cpu_the_engine_still_says_what_it_would_sign() -> None:
    engine = engine_with()
    assert engine.supports(P256_SHA256)
    assert not engine.supports(ALGORITHMS["ml-dsa-44"])
    with pytest.raises(SigningError, match="cannot sign p256-sha256 here"):
        engine.open([make_key(P256_SHA256)], P256_SHA256)


def test_a_cpu_with_avx_ifma_alone_has_rsa_alone() -> None:
    engine = engine_with(0, 1, 2, 3)
    assert engine.unavailable() is None
    assert {name for name, algorithm in ALGORITHMS.items() if engine.supports(algorithm)} == {
        name for name in ALGORITHMS if name.startswith("rsa")
    }
    with pytest.raises(ConfigError, match="does not sign p256-sha256: use --engine auto"):
        engine_named("multibuffer", P256_SHA256, engines=[engine, SoftwareEngine()])


class PacedEngine:
    """`software`, with so many seconds of CPU time more for each message; notes how often it opened keys."""

    lanes = 1

    def __init__(self, name: str, seconds: float, *, refuses: bool = False, missing: bool = False) -> None:
        self.name = name
        self.opened = 0
        self._seconds = seconds
        self._refuses = refuses
        self._missing = missing

    def unavailable(self) -> str | None:
        return "not here" if self._missing else None

    def supports(self, algorithm: Algorithm) -> bool:
        return algorithm == P256_SHA256

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        self.opened += 1
        if self._refuses:
            raise SigningError("not this key")
        return PacedSigner(SoftwareEngine().open(keys, algorithm), self._seconds)


class PacedSigner:
    def __init__(self, inner: Signer, seconds: float) -> None:
        self._inner = inner
        self._seconds = seconds

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        end = time.process_time() + self._seconds * len(messages)
        signed = self._inner.sign(messages, keys)
        while time.process_time() < end:
            pass
        return signed


class KeyCupboard:
    """Opens one key, and counts how often."""

    def __init__(self) -> None:
        self.opened = 0

    def __call__(self) -> PrivateKey:
        self.opened += 1
        return make_key(P256_SHA256)


@pytest.mark.parametrize("fastest", [0, 1, 2])
def test_auto_is_the_fastest_wherever_it_stands(fastest: int) -> None:
    engines = [PacedEngine(f"number{i}", 0.0 if i == fastest else 0.001) for i in range(3)]
    assert choose_engine(AUTO, P256_SHA256, KeyCupboard(), engines).engine == engines[fastest].name


def test_auto_remembers_what_it_measured_and_opens_the_key_once() -> None:
    engines, key = [PacedEngine("slow", 0.001), PacedEngine("fast", 0.0)], KeyCupboard()
    assert [choose_engine(AUTO, P256_SHA256, key, engines).engine for _ in range(3)] == ["fast"] * 3
    assert (key.opened, *(engine.opened for engine in engines)) == (1, 1, 1)


def test_auto_measures_each_algorithm_for_itself() -> None:
    engines: list[Engine] = [PacedEngine("slow", 0.001), SoftwareEngine()]
    assert choose_engine(AUTO, P256_SHA256, KeyCupboard(), engines).engine == "software"
    assert engine_named(AUTO, RSA2048_SHA256, engines=engines).name == "software"


def test_auto_leaves_out_what_cannot_use_the_key() -> None:
    engines = [PacedEngine("fast", 0.0, refuses=True), PacedEngine("slow", 0.001), PacedEngine("slower", 0.002)]
    assert choose_engine(AUTO, P256_SHA256, KeyCupboard(), engines).engine == "slow"


def test_a_key_that_no_engine_can_use_is_refused() -> None:
    engines = [PacedEngine(name, 0.0, refuses=True) for name in ("one", "other")]
    with pytest.raises(ConfigError, match="no engine can use the key for p256-sha256"):
        choose_engine(AUTO, P256_SHA256, KeyCupboard(), engines)


def test_an_engine_that_is_named_is_not_measured() -> None:
    engines, key = [PacedEngine("missing", 0.0, missing=True), PacedEngine("present", 0.001)], KeyCupboard()
    assert choose_engine("present", P256_SHA256, key, engines) == Choice("present", {})
    assert (key.opened, engines[1].opened) == (0, 0)


def test_auto_tells_the_rate_of_each_engine_also_where_there_is_one_alone() -> None:
    engines = [PacedEngine("missing", 0.0, missing=True), PacedEngine("present", 0.001)]
    choice = choose_engine(AUTO, P256_SHA256, KeyCupboard(), engines)
    assert choice.engine == "present"
    assert choice.rates == {"present": pytest.approx(1000, rel=0.1)}
    both = choose_engine(AUTO, P256_SHA256, KeyCupboard(), [*engines, PacedEngine("slower", 0.002)])
    assert both.rates == {"present": pytest.approx(1000, rel=0.1), "slower": pytest.approx(500, rel=0.1)}


class DisturbedEngine(PacedEngine):
    """A fast engine on a busy machine: most of its calls take twenty milliseconds more."""

    def open(self, keys: Sequence[PrivateKey], algorithm: Algorithm) -> Signer:
        return DisturbedSigner(super().open(keys, algorithm))


class DisturbedSigner:
    def __init__(self, inner: Signer) -> None:
        self._inner = inner
        self._calls = 0

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        self._calls += 1
        end = time.process_time() + (0.02 if self._calls % 4 else 0)
        while time.process_time() < end:
            pass
        return self._inner.sign(messages, keys)


@pytest.mark.parametrize("first", [True, False], ids=["listed first", "listed last"])
def test_auto_takes_the_fastest_although_three_of_its_four_calls_are_disturbed(first: bool) -> None:
    fast, slow = DisturbedEngine("fast", 0.0002), PacedEngine("slow", 0.001)
    choice = choose_engine(AUTO, P256_SHA256, KeyCupboard(), [fast, slow] if first else [slow, fast])
    assert choice.engine == "fast"


def test_of_engines_that_hardly_differ_auto_takes_the_one_that_is_listed_first() -> None:
    engines = [PacedEngine("listed", 0.00105), PacedEngine("hardly faster", 0.001)]
    assert [choose_engine(AUTO, P256_SHA256, KeyCupboard(), list(engines)).engine for _ in range(3)] == ["listed"] * 3


def test_a_choice_takes_a_tenth_of_a_second_at_most_where_signatures_are_slow() -> None:
    engines = [PacedEngine(f"number{i}", 0.0013) for i in range(3)]
    key = make_key(P256_SHA256)
    started = time.process_time()
    choose_engine(AUTO, P256_SHA256, lambda: key, engines)
    assert time.process_time() - started < 0.1


@pytest.mark.parametrize("algorithm", [P256_SHA256, RSA2048_SHA256], ids=lambda algorithm: algorithm.name)
def test_without_a_key_auto_is_the_first_that_works_and_has_the_algorithm(algorithm: Algorithm) -> None:
    works = [engine.name for engine in ENGINES if engine.unavailable() is None and engine.supports(algorithm)]
    assert engine_named(AUTO, algorithm).name == works[0]
    assert works[-1] == "software"


@pytest.mark.parametrize("name", ["p256-sha256", "rsa2048-pss-sha256", "ed25519", "ml-dsa-44"])
def test_auto_measures_real_engines_with_a_real_key(name: str) -> None:
    algorithm = ALGORITHMS[name]
    chosen = engine_named(choose_engine(AUTO, algorithm, lambda: make_key(algorithm)).engine, algorithm)
    assert chosen.unavailable() is None
    assert chosen.supports(algorithm)


def test_an_unknown_engine_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(ConfigError, match="choose one of auto, multibuffer, awslc, software") as caught:
        engine_named("openssl", P256_SHA256)
    assert caught.value.exit_code == 2


def test_an_engine_without_the_algorithm_is_refused() -> None:
    working = next(engine.name for engine in ENGINES if engine.unavailable() is None)
    if working == "software":
        pytest.skip("software has every algorithm, and no other engine works here")
    with pytest.raises(ConfigError, match=f"engine {working} does not sign ml-dsa-65"):
        engine_named(working, ALGORITHMS["ml-dsa-65"])
