import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

import pytest

from storage.stores import StoreAddress, StoreOptions, open_store
from storage.stores.server_clock import server_clock_s

TENTH_OF_MARCH = 1_773_100_800
DATE = "Tue, 10 Mar 2026 00:00:00 GMT"


@contextmanager
def answering(*headers: str, status: str = "403 Forbidden") -> Iterator[tuple[str, list[bytes]]]:
    """Give one answer to each of a few connections; the address, and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(3):
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(10_000))
                    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "Connection: close", "", ""]
                    connection.sendall("\r\n".join(lines).encode())

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "403 Forbidden", "405 Method Not Allowed"])
def test_any_answer_says_what_time_it_is_there(status: str) -> None:
    with answering(f"Date: {DATE}", status=status) as (address, asked):
        assert server_clock_s(address) == TENTH_OF_MARCH
        assert asked[0].startswith(b"HEAD ")
        assert b"authorization" not in asked[0].lower()


def test_a_redirection_is_not_followed() -> None:
    with answering("Location: http://127.0.0.1:9/", f"Date: {DATE}", status="307 Temporary Redirect") as (
        address,
        asked,
    ):
        assert server_clock_s(address) == TENTH_OF_MARCH
        assert len(asked) == 1


def test_an_answer_that_a_cache_has_kept_is_as_old_as_it_says() -> None:
    with answering(f"Date: {DATE}", "Age: 3600") as (address, _):
        assert server_clock_s(address) == TENTH_OF_MARCH + 3600


@pytest.mark.parametrize("headers", [(), ("Date: yesterday",), ("Date: ",), (f"Date: {DATE}", "Age: old")])
def test_a_server_that_does_not_say_is_none(headers: tuple[str, ...]) -> None:
    with answering(*headers) as (address, _):
        assert server_clock_s(address) is None


def closed_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@pytest.mark.parametrize("address", [closed_port, lambda: "http://no such host/", lambda: "http://[::1"])
def test_a_server_that_cannot_be_asked_is_none(address: Callable[[], str]) -> None:
    assert server_clock_s(address()) is None


@pytest.mark.usefixtures("without_aws")
def test_a_remote_store_asks_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    now = int(time.time())
    with answering(f"Date: {formatdate(now - 3600, usegmt=True)}") as (address, _):
        assert (
            open_store(StoreAddress("s3://bucket/prefix", StoreOptions(endpoint=address, region="us-east-1"))).clock_s()
            == now - 3600
        )
