"""`--timeout`: commands that look at a store give up where it hangs, and monitoring gets its UNKNOWN."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pregen.__main__ import main
from pregen.cli.deadline import within
from tests.pregen.cli.ca import GOOD, Ca, Program
from tests.storage.edge.object_server import ObjectServer, serving

LOOKUP = ("lookup", "--issuer", "issuer.pem", "--serial", f"{GOOD:x}")
COMMANDS = [("status",), ("inspect",), ("verify",), LOOKUP, ("decode", "30030a0106", "--store")]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    ca = Ca(tmp_path_factory.mktemp("ca"))
    assert main(["run", str(ca.config)]) == 0
    return ca


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A server that accepts connections and requests, and says nothing."""
    with serving(tmp_path_factory.mktemp("nothing")) as server:
        server.freeze()
        yield server


def started(ca: Ca, silent: ObjectServer, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pregen", *words]
    environment = silent.environment()
    return subprocess.run(
        command, cwd=ca.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_monitoring_gets_unknown_from_a_store_that_hangs(published: Ca, silent: ObjectServer) -> None:
    ended = started(published, silent, "status", "s3://bucket", "--timeout", "1s")

    assert (ended.returncode, ended.stdout[:17]) == (3, "PREGEN UNKNOWN - ")
    assert "s3://bucket: no answer within 1s: look after the store, or wait for longer by --timeout" in ended.stdout


@pytest.mark.parametrize("words", COMMANDS[1:], ids=lambda words: words[0])
def test_others_that_look_at_a_store_give_up_with_the_exit_code_of_storage(
    published: Ca, silent: ObjectServer, words: tuple[str, ...]
) -> None:
    ended = started(published, silent, *words, "s3://bucket", "--timeout", "1", "--json")

    assert ended.returncode == 5
    document = json.loads(ended.stdout)
    assert document["error"]["message"].startswith("s3://bucket: no answer within 1s: look after the store")
    assert document["store"] == "s3://bucket"


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_store_that_answers_is_not_hurried(published: Ca, pregen: Program, words: tuple[str, ...]) -> None:
    at_hand = [str(published.pem) if word == "issuer.pem" else word for word in words]

    for limit in ("50s", "0"):
        assert pregen(*at_hand, published.store, "--timeout", limit).code == 0


def test_a_limit_that_is_none_is_told(published: Ca, pregen: Program) -> None:
    ended = pregen("inspect", published.store, "--timeout", "soon")

    assert (ended.code, ended.err) == (2, "error: --timeout 'soon' is no length of time: write 90m, 12h or 2d\n")


def test_an_error_in_time_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        within(10, tmp_path.as_uri(), (tmp_path / "nothing").read_bytes)
