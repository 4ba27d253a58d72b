"""An edge at a Unix socket, for a proxy on its machine."""

import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from storage.edge.__main__ import main
from tests.ports import free_port
from tests.storage.edge.processes import Connection, ServerProcess, wait_until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def edge_at(path: Path, folder: Path, *more: str) -> ServerProcess:
    (folder / "store").mkdir(exist_ok=True)
    arguments = ["-m", "storage.edge", str(folder / "store"), "--unix", str(path), *more]
    return ServerProcess([sys.executable, *arguments], folder, path, {})


def test_workers_answer_at_a_socket_that_its_group_may_use_and_that_is_gone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with edge_at(path, tmp_path, "--workers", "2") as edge:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert edge.get(b"/MEI").status == 200
        wait_until(lambda: any(line["outcome"] == "malformed" for line in edge.lines()))
        assert {line["remote"] for line in edge.lines()} == {"unix"}
        assert edge.stop() == 0
    assert not path.exists()
    assert f"serving at unix:{path} with 2 worker(s)" in edge.stderr.read_text()


def test_its_permissions_are_those_that_are_given(tmp_path: Path) -> None:
    with edge_at(tmp_path / "http", tmp_path, "--unix-mode", "0600"):
        assert stat.S_IMODE((tmp_path / "http").stat().st_mode) == 0o600


def test_what_a_killed_edge_has_left_of_its_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with edge_at(path, tmp_path) as killed:
        os.killpg(killed.process.pid, signal.SIGKILL)
        killed.process.wait(60)
    assert path.is_socket()
    with edge_at(path, tmp_path) as edge:
        assert edge.get(b"/healthz").status == 200


def test_the_socket_of_a_living_server_is_left_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "http"
    with edge_at(path, tmp_path) as edge:
        assert main([str(tmp_path), "--unix", str(path)]) == 2
        assert edge.get(b"/healthz").status == 200
    assert capsys.readouterr().err == f"error: cannot listen at {path}: another server does\n"


@pytest.mark.parametrize("case", ["file", "no folder", "too long", "metrics"])
def test_where_no_socket_can_be_is_said_before_a_worker_starts(
    tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = {"no folder": tmp_path / "none" / "http", "too long": tmp_path / ("x" * 108)}.get(case, tmp_path / "http")
    if case == "file":
        path.write_text("precious")
    more = ["--metrics", f"unix:{path}"] if case == "metrics" else []

    assert main([str(tmp_path), "--unix", str(path), *more]) == 2

    assert f"cannot listen at {path}: " in capsys.readouterr().err
    assert case != "file" or path.read_text() == "precious"


@pytest.mark.parametrize("mode", ["rw", "9", "0888", "66", "1777"])
def test_permissions_are_three_octal_digits(tmp_path: Path, mode: str) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path), "--unix", str(tmp_path / "http"), "--unix-mode", mode])


def test_clients_at_a_socket_are_let_go_with_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "http"
    with edge_at(path, tmp_path) as edge, Connection(path) as kept:
        kept.send(HEALTH)
        assert kept.receive().status == 200
        edge.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _is_draining(path))
        kept.send(HEALTH)
        assert kept.receive().headers["connection"] == "close"
        assert edge.process.wait(60) == 0


def _is_draining(path: Path) -> bool:
    with Connection(path) as asking:
        asking.send(HEALTH)
        return asking.receive().headers.get("connection") == "close"


@pytest.mark.parametrize(("host", "peer"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")])
def test_an_edge_at_an_address_of_ipv6_logs_clients_of_ipv4_as_such(tmp_path: Path, host: str, peer: str) -> None:
    with socket.socket(socket.AF_INET6) as tried:
        try:
            tried.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    port = free_port()
    (tmp_path / "store").mkdir()
    arguments = ["-m", "storage.edge", str(tmp_path / "store"), "--host", host, "--port", str(port)]
    with AtSix([sys.executable, *arguments], tmp_path, port, {}) as edge:
        with socket.create_connection((peer, port), 60) as asking:
            asking.sendall(b"GET /MEI HTTP/1.0\r\n\r\n")
            assert asking.recv(15) == b"HTTP/1.0 200 OK"
        wait_until(lambda: any(line["outcome"] == "malformed" for line in edge.lines()))
        assert [line["remote"] for line in edge.lines() if line["outcome"] == "malformed"] == [peer]


class AtSix(ServerProcess):
    """A server of which is asked over IPv6 whether it is up."""

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.stderr.read_text()
        try:
            socket.create_connection(("::1", self.port), 1).close()
        except OSError:
            return False
        return True
