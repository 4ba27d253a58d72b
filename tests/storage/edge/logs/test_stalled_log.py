"""Servers whose log goes nowhere: they must answer and end as if it went somewhere."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.storage.edge.answers import cert_id, encode_request
from tests.storage.edge.processes import Connection, ServerProcess, start, wait_until

REQUESTS = 1000  # a pipe holds some 160 lines


@contextmanager
def pipe_that_nobody_reads(*, full: bool = False) -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    if full:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while True:
                os.write(writing, bytes(4096))
        os.set_blocking(writing, True)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def ask_many(server: ServerProcess, count: int) -> None:
    body = encode_request(cert_id())
    with Connection(server.port) as connection:
        for _ in range(count):
            connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert len(connection.receive().body) == 5


def command(folder: Path, *options: str) -> tuple[str, ...]:
    return ("-m", "storage.edge", str(folder / "store"), "--port", "PORT", *options)


def messages(server: ServerProcess) -> list[str]:
    return [json.loads(line)["message"] for line in server.stderr.read_text().splitlines()]


def test_a_reader_of_the_log_that_stalls_stops_nothing(tmp_path: Path) -> None:
    with (
        pipe_that_nobody_reads() as (reading, writing),
        start(tmp_path, *command(tmp_path, "--workers", "2"), stdout=writing) as server,
    ):
        ask_many(server, REQUESTS)
        assert server.get(b"/healthz").status == 200
        began = time.monotonic()

        assert server.stop() == 0
        assert time.monotonic() - began < 30
        written = [json.loads(line) for line in os.read(reading, 1 << 20).splitlines()]
        unwritten = [int(word.split()[0]) for word in messages(server) if "could not be written before the end" in word]
        assert 100 < len(written) < REQUESTS
        counters = len(written) + sum(unwritten) - (REQUESTS + 2)  # one probe at the start, one here
        assert counters in {4, 6, 8, 10}  # of two workers, at start and end, and once a minute


def test_a_stalled_stderr_stops_nothing_either(tmp_path: Path) -> None:
    with (
        pipe_that_nobody_reads(full=True) as (_, writing),
        start(tmp_path, *command(tmp_path), stdout=writing, stderr=writing) as server,
    ):
        ask_many(server, REQUESTS)
        assert server.get(b"/readyz").status == 503
        began = time.monotonic()

        assert server.stop() == 0
        assert time.monotonic() - began < 30


def test_a_full_disk_costs_lines_and_says_so(tmp_path: Path) -> None:
    with start(tmp_path, *command(tmp_path, "--log-file", "/dev/full")) as server:
        ask_many(server, 10)
        wait_until(lambda: any("No space left on device" in word for word in messages(server)))

        assert server.stop() == 0
        lost = [int(word.split()[0]) for word in messages(server) if "of the log are lost" in word]
        assert sum(lost) >= 11
        assert "Traceback" not in server.stderr.read_text()


def test_a_reader_that_goes_away_stops_nothing(tmp_path: Path) -> None:
    with (
        subprocess.Popen(["true"], stdin=subprocess.PIPE) as reader,
        start(tmp_path, *command(tmp_path), stdout=reader.stdin.fileno() if reader.stdin else None) as server,
    ):
        reader.wait()
        ask_many(server, 10)

        assert server.stop() == 0
        assert any("Broken pipe" in word for word in messages(server))


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=["stdout", "stderr", "all three"])
def test_descriptors_that_the_caller_has_closed_are_given_to_nothing_else(
    tmp_path: Path, closed: tuple[int, ...]
) -> None:
    closing = "import os, sys; [os.close(int(number)) for number in sys.argv.pop(1).split(',')]"
    executing = "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    numbers = ",".join(map(str, closed))
    with start(tmp_path, "-c", f"{closing}; {executing}", numbers, *command(tmp_path)) as server:
        ask_many(server, 10)
        for process in (server.process.pid, *children(server.process.pid)):
            assert {Path(f"/proc/{process}/fd/{number}").readlink() for number in closed} == {Path(os.devnull)}

        assert server.stop() == 0
        if 2 not in closed:
            assert any("of the log are lost: Bad file descriptor" in word for word in messages(server))


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_refusal_keeps_its_exit_code_without_a_stderr(tmp_path: Path) -> None:
    words = " ".join([sys.executable, "-m", "storage.edge", str(tmp_path), "--log-file", str(tmp_path / "no" / "log")])
    assert subprocess.run(["sh", "-c", f"exec {words} 2>&-"], check=False, timeout=60).returncode == 2
