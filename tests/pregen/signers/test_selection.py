"""Which engine signs, where one is missing: with parts of the environment really left out."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pregen.errors import ConfigError, SigningError
from pregen.signers import AUTO, ENGINES, P256_SHA256, RSA2048_SHA256, Algorithm, Engine, engine_named
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
    """libcrypto_mb where the CPU has none of its instructions: it has no algorithm."""

    class Query:
        restype: object = None

        def __call__(self, _algorithm: int) -> int:
            return 0

    mbx_get_algo_info = Query()


def engines_of_an_old_cpu() -> list[Engine]:
    return [MultibufferEngine(lambda: cast("ctypes.CDLL", LibraryOfAnOldCpu())), SoftwareEngine()]


def test_a_cpu_without_the_instructions_is_said_so_and_auto_goes_on() -> None:
    engines = engines_of_an_old_cpu()
    assert engine_named(AUTO, P256_SHA256, engines).name == "software"
    with pytest.raises(ConfigError, match=r"multibuffer does not work here: this CPU has neither AVX-512 IFMA"):
        engine_named("multibuffer", P256_SHA256, engines)


def test_an_engine_that_cannot_load_opens_no_key() -> None:
    engine = MultibufferEngine(lambda: "the package ipp-crypto is not installed")
    key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SigningError, match="cannot sign"):
        engine.open(key, P256_SHA256)


@pytest.mark.parametrize("algorithm", [P256_SHA256, RSA2048_SHA256], ids=lambda algorithm: algorithm.name)
def test_auto_is_the_first_that_works_and_has_the_algorithm(algorithm: Algorithm) -> None:
    works = [engine.name for engine in ENGINES if engine.unavailable() is None and engine.supports(algorithm)]
    assert engine_named(AUTO, algorithm).name == works[0]
    assert works[-1] == "software"


def test_an_unknown_engine_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(ConfigError, match="choose one of auto, multibuffer, awslc, software") as caught:
        engine_named("openssl", P256_SHA256)
    assert caught.value.exit_code == 2


def test_an_engine_without_the_algorithm_is_refused() -> None:
    working = next(engine.name for engine in ENGINES if engine.unavailable() is None)
    if working == "software":
        pytest.skip("software has every algorithm, and no other engine works here")
    with pytest.raises(ConfigError, match=f"engine {working} does not sign rsa2048-sha256"):
        engine_named(working, RSA2048_SHA256)
