"""Three edges behind HAProxy, with the lines of docs/edge.md: which of them it asks, and how often."""

import csv
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from storage.edge.watching.agent import line_about
from storage.edge.watching.cells import SILENT_S, Totals, WorkerNow
from storage.edge.watching.readiness import State
from tests.judges.conftest import GOOD, REVOKED, Authority, make_authority
from tests.judges.programs import judge
from tests.ports import free_port
from tests.storage.edge.processes import Response, ServerProcess, start, wait_until
from tests.storage.edge.watching.asking import asking

DOCUMENT = (Path(__file__).parents[4] / "docs" / "edge.md").read_text()
FRONT = """
global
    stats socket {folder}/stats.sock level admin
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 30s
frontend clients
    bind 127.0.0.1:{port}
    default_backend ocsp
"""


class Edge(NamedTuple):
    """An edge of the pool: its process, its store, and the port of its agent."""

    server: ServerProcess
    store: Path
    agent_port: int


class Pool:
    """HAProxy in front of edges."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port

    def show(self) -> dict[str, dict[str, str]]:
        """Return what HAProxy knows of each edge."""
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(30)
            asked.connect(str(self._folder / "stats.sock"))
            asked.sendall(b"show stat ocsp 4 -1\n")
            table = b"".join(iter(lambda: asked.recv(65_536), b"")).decode().removeprefix("# ")
        return {row["svname"]: row for row in csv.DictReader(table.splitlines())}

    def stands(self, **wanted: tuple[str, str]) -> bool:
        """Tell whether these edges have this status and weight, whatever the others have."""
        shown = self.show()
        return all((shown[name]["status"].split()[0], shown[name]["weight"]) == stand for name, stand in wanted.items())

    def ask(self, octets: bytes) -> Response:
        with socket.create_connection(("127.0.0.1", self._port), 30) as connection:
            connection.sendall(octets.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n"))
            whole = b"".join(iter(lambda: connection.recv(65_536), b""))
        head, _, body = whole.partition(b"\r\n\r\n")
        return Response("HTTP/1.1", int(head.split()[1]), {}, body)

    def served(self) -> dict[str, int]:
        return {name: int(row["stot"]) for name, row in self.show().items()}


@contextmanager
def pool_of(folder: Path, edges: dict[str, Edge]) -> Iterator[Pool]:
    """Run HAProxy with the backend that operators are told to write, but more impatient."""
    (backend,) = re.findall(r"```haproxy\n(.*?)```", DOCUMENT, re.DOTALL)
    kept = re.sub(r"^ *server .*\n", "", backend, flags=re.MULTILINE).replace("2s", "200ms")
    assert "agent-port 8089" in kept
    servers = "".join(
        f"    server {name} 127.0.0.1:{edge.server.port} agent-port {edge.agent_port}\n" for name, edge in edges.items()
    )
    port = free_port()
    (folder / "haproxy.cfg").write_text(FRONT.format(folder=folder, port=port) + kept + servers)
    process = subprocess.Popen([judge("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    try:
        pool = Pool(folder, port)
        wait_until((folder / "stats.sock").exists)
        yield pool
        assert process.poll() is None, "HAProxy ended by itself"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def edges_of(authority: Authority, folder: Path, *options: str) -> Iterator[dict[str, Edge]]:
    """Run three edges, each with a copy of the store of its own."""
    judge("haproxy")
    with ExitStack() as opened:
        edges = {}
        for name in "abc":
            own, port = folder / name, free_port()
            shutil.copytree(authority.store, own / "store")
            given = ("--port", "PORT", "--agent-port", str(port), *options)
            server = start(own, "-m", "storage.edge", str(own / "store"), *given)
            edges[name] = Edge(opened.enter_context(server), own / "store", port)
        yield edges


def test_one_bad_edge_of_three_leaves_and_comes_back(authority: Authority, tmp_path: Path) -> None:
    with edges_of(authority, tmp_path, "--unready-when-degraded") as edges, pool_of(tmp_path, edges) as pool:
        wait_until(lambda: pool.stands(a=("UP", "100"), b=("UP", "100"), c=("UP", "100")))
        packs = edges["c"].store / "packs"
        packs.rename(edges["c"].store / "away")
        wait_until(lambda: pool.stands(a=("UP", "100"), b=("UP", "100"), c=("DOWN", "100")))
        assert "store.vanished" in pool.show()["c"]["last_agt"]

        before = pool.served()
        replies = [pool.ask(asking(authority, GOOD)) for _ in range(20)]
        assert {reply.status for reply in replies} == {200}
        assert all(len(reply.body) > 5 for reply in replies)
        assert shares_since(pool, before) == {"a": pytest.approx(10, abs=3), "b": pytest.approx(10, abs=3), "c": 0}

        (edges["c"].store / "away").rename(packs)
        wait_until(lambda: pool.stands(c=("UP", "100")))


def test_a_degraded_edge_is_asked_less_and_three_degraded_ones_serve_as_before(
    authority: Authority, tmp_path: Path
) -> None:
    """What hits all edges at once must not empty the pool."""
    (tmp_path / "canaries").write_text(f"good r1 {GOOD:x}\n")
    with (
        edges_of(authority, tmp_path, "--canary", f"{tmp_path}/canaries") as edges,
        pool_of(tmp_path, edges) as pool,
    ):
        wait_until(lambda: pool.stands(a=("UP", "100"), b=("UP", "100"), c=("UP", "100")))
        authority.publish(revoked=(REVOKED, GOOD), full=True)
        copy_to(edges["c"], authority)
        wait_until(lambda: pool.stands(a=("UP", "100"), b=("UP", "100"), c=("UP", "10")))
        before = pool.served()
        for _ in range(42):
            pool.ask(asking(authority, 0x77))
        assert 0 < shares_since(pool, before)["c"] < 8, "of 42, two are its share"

        copy_to(edges["a"], authority)
        copy_to(edges["b"], authority)
        wait_until(lambda: pool.stands(a=("UP", "10"), b=("UP", "10"), c=("UP", "10")))
        before = pool.served()
        replies = [pool.ask(asking(authority, GOOD)) for _ in range(30)]
        assert all(reply.status == 200 and len(reply.body) > 5 for reply in replies)
        assert all(share == pytest.approx(10, abs=3) for share in shares_since(pool, before).values())


def shares_since(pool: Pool, before: dict[str, int]) -> dict[str, int]:
    return {name: number - before[name] for name, number in pool.served().items()}


def copy_to(edge: Edge, authority: Authority) -> None:
    for name in ("packs", "tables", "windows", "history", "manifests", "commits"):
        shutil.copytree(authority.store / name, edge.store / name, dirs_exist_ok=True)


def worker(state: State, *codes: str, silent_s: float = 0) -> WorkerNow:
    return WorkerNow(silent_s, {"state": state.value, "reasons": [[code, ""] for code in codes]})


@pytest.mark.parametrize(
    ("workers", "unready", "line"),
    [
        ([worker(State.READY)] * 2, {State.UNREADY}, b"up 100%\n"),
        ([worker(State.READY), worker(State.DEGRADED, "overdue")], {State.UNREADY}, b"up 10%\n"),
        ([worker(State.READY), worker(State.READY, silent_s=SILENT_S + 1)], {State.UNREADY}, b"up 10%\n"),
        ([worker(State.READY)], {State.UNREADY}, b"up 10%\n"),
        ([worker(State.READY), worker(State.UNREADY, "expired")], {State.UNREADY}, b"down #expired\n"),
        ([worker(State.READY, silent_s=SILENT_S + 1)] * 2, {State.UNREADY}, b"down #no worker\n"),
        (
            [worker(State.DEGRADED, "overdue", "canary")] * 2,
            {State.UNREADY, State.DEGRADED},
            b"down #canary, overdue\n",
        ),
    ],
)
def test_the_agent_tells_of_the_worker_that_is_worst_off(
    workers: list[WorkerNow], unready: set[State], line: bytes
) -> None:
    assert line_about(Totals({}, tuple(workers), 2), 2, frozenset(unready)) == line


def test_clients_of_the_agent_that_say_nothing_or_hang_hold_nobody_up(authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    given = ("--port", "PORT", "--agent-port", str(port))
    with start(tmp_path, "-m", "storage.edge", str(authority.store), *given) as server, ExitStack() as opened:
        for _ in range(50):
            opened.enter_context(socket.create_connection(("127.0.0.1", port), 30))
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), 30) as asked:
            asked.sendall(b"what HAProxy may send with agent-send\n")
            assert asked.recv(100) == b"up 100%\n"
            assert asked.recv(100) == b""
        assert time.monotonic() - began < 20
        assert server.stop() == 0
