"""Servers with few descriptors: each connection that is taken is answered, and none is taken that cannot be."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from storage.edge.serving.limits import connections_within
from tests.storage.edge.answers import encode_request
from tests.storage.edge.processes import Connection, ServerProcess, start, wait_until
from tests.storage.golden_store import GOLDEN, answer_to

PROGRAM = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
from storage.edge.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def limited(descriptors: int, store: Path, workers: int) -> tuple[str, ...]:
    return ("-c", PROGRAM, str(descriptors), str(store), "--port", "PORT", "--workers", str(workers))


def worker_seconds(server: ServerProcess) -> float:
    """Return the CPU time of all workers so far."""
    pid, ticks = server.process.pid, 0
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def listeners(port: int) -> int:
    """Return how many sockets listen at a port: each worker has its own."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    states = [(fields[1], fields[3]) for fields in map(str.split, lines)]
    return sum(local.endswith(f":{port:04X}") and state == "0A" for local, state in states)


def test_a_worker_takes_1024_connections_however_many_workers_there_are() -> None:
    assert connections_within(2048) == connections_within(1 << 20) == 1024


@pytest.mark.parametrize("descriptors", [0, 64, 160])
def test_too_few_descriptors_are_refused(descriptors: int) -> None:
    with pytest.raises(ValueError, match=f"{descriptors} file descriptors"):
        connections_within(descriptors)


def test_more_connections_than_descriptors_cost_neither_answers_nor_cpu(tmp_path: Path) -> None:
    body = encode_request(answer_to("good-16.sha1").cert_id)
    request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with start(tmp_path, *limited(256, GOLDEN / "store", 1)) as server, ExitStack() as held:
        wait_until(lambda: "is loaded" in server.stderr.read_text())
        assert "a worker takes 96 connections and no more: ulimit -n is 256" in server.stderr.read_text()
        taken = [held.enter_context(Connection(server.port)) for _ in range(95)]
        for connection in taken:
            connection.send(request)
            connection.receive()
        assert not [line for line in server.lines() if line["outcome"] in ("unreachable", "damaged")]

        waiting = [held.enter_context(Connection(server.port)) for _ in range(200)]
        for connection in waiting:
            connection.send(request)
        began = worker_seconds(server)
        time.sleep(1)
        assert worker_seconds(server) - began < 0.5
        for connection in taken:
            connection.socket.shutdown(socket.SHUT_RDWR)
        for connection in waiting[:50]:
            connection.receive()
        assert not [line for line in server.lines() if line["outcome"] in ("unreachable", "damaged")]


def test_the_limit_holds_for_each_worker(tmp_path: Path) -> None:
    with start(tmp_path, *limited(256, GOLDEN / "store", 3)) as server, ExitStack() as held:
        wait_until(lambda: listeners(server.port) == 3)
        connections = [held.enter_context(Connection(server.port)) for _ in range(150)]
        for connection in connections:
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.receive().status == 200
