"""Go reads responses: golang.org/x/crypto/ocsp, and Go's crypto packages for what that has no name for.

A small program, compiled once, gets all of them on its input.
"""

import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from tests.judges.programs import judge, missing

SOURCE = Path(__file__).parent / "go"
LIBRARY = Path("/usr/share/gocode/src/golang.org/x/crypto/ocsp")  # Debian's golang-golang-x-crypto-dev


class Question(NamedTuple):
    """A response, the certificate of the issuer that it is about, the serial that is asked for, and the way to ask.

    Ways: by ``certificate`` and by ``issuer`` alone, which are two functions of x/crypto/ocsp; or the signature over
    the ``octets`` of the ResponseData, by crypto/x509.
    """

    issuer: bytes
    serial: int
    response: bytes
    way: Literal["certificate", "issuer", "octets"] = "certificate"


def compile_judge(folder: Path, cache: Path) -> Path:
    """Return the compiled program, made in a folder without any network.

    Args:
        folder: where it is made.
        cache: where the compiler keeps what it compiled, the standard library above all.
    """
    go = judge("go")
    if not LIBRARY.is_dir():
        missing("golang.org/x/crypto (Debian's golang-golang-x-crypto-dev)")
    source = folder / "source"
    shutil.copytree(SOURCE, source)  # the compiler writes go.sum beside go.mod
    offline = {"GOPROXY": "off", "GONOSUMDB": "*", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    places = {"CGO_ENABLED": "0", "GOENV": "off", "GOCACHE": str(cache), "GOPATH": str(folder / "path")}
    program = folder / "judge"
    unoptimised = "-gcflags=all=-N -l"  # it takes the compiler longer than it saves the program
    command = [go, "build", unoptimised, "-o", str(program), "."]
    ended = subprocess.run(
        command, cwd=source, env=os.environ | offline | places, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return program


def ask(program: Path, questions: Iterable[Question]) -> list[str]:
    """Return what Go says of each response.

    It is `STATUS SERIAL REVOKED REASON THIS NEXT PRODUCED`, or `verified ALGORITHM` by the octets, or `error: TEXT`.
    """
    lines = [
        f"{one.way} {b64encode(one.issuer).decode()} {one.serial} {b64encode(one.response).decode()}\n"
        for one in questions
    ]
    ended = subprocess.run([str(program)], input="".join(lines), capture_output=True, text=True, timeout=60, check=True)
    answers = ended.stdout.splitlines()
    assert len(answers) == len(lines)
    return answers
