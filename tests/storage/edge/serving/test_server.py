import json
import os
import signal
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from storage.edge.source import STORE_DEADLINE_S
from tests.storage.edge import folder_server
from tests.storage.edge.answers import cert_id, cert_ids_in, encode_request
from tests.storage.edge.processes import PATIENCE_S, Connection, ServerProcess, start, wait_until

GENERATION = 0x3FFFFF  # its last serials are all slashes in base64
MALFORMED, INTERNAL_ERROR, TRY_LATER, UNAUTHORIZED = (bytes((0x30, 3, 0x0A, 1, code)) for code in (1, 2, 3, 6))
HOST = b"\r\nHost: x\r\n"


def folder_command(folder: Path, workers: int, kind: str) -> tuple[str, ...]:
    return (folder_server.__file__, str(folder), "PORT", str(workers), kind)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One worker in front of a remote store."""
    folder = tmp_path_factory.mktemp("remote")
    (folder / "generation").write_text(str(GENERATION))
    with start(folder, *folder_command(folder, 1, "remote")) as process:
        yield process


def path(serial: int) -> bytes:
    return b"/" + b64encode(encode_request(cert_id(serial)))


def post(body: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"POST / " + version, b"Host: x", length, *headers, b"", body])


def test_a_get_is_answered(server: ServerProcess) -> None:
    reply = server.get(path(1))

    assert (reply.version, reply.status) == ("HTTP/1.1", 200)
    assert cert_ids_in(reply.body) == [cert_id(1)]
    assert reply.headers.keys() == {
        "content-type",
        "content-length",
        "cache-control",
        "expires",
        "last-modified",
        "etag",
        "date",
        "server",
    }
    assert reply.headers["content-type"] == "application/ocsp-response"


def slashed_path() -> bytes:
    """Return the path of a request whose base64 holds two slashes side by side."""
    for serial in range(GENERATION - 255, GENERATION + 1):
        raw = path(serial)
        if b"//" in raw[1:]:
            return raw
    raise AssertionError("no serial makes a doubled slash")


@pytest.mark.parametrize("form", ["plain", "%2F", "%2f", "doubled", "query"])
def test_the_path_arrives_as_it_was_sent(server: ServerProcess, form: str) -> None:
    raw = slashed_path()
    encoded = b"/" + quote(raw[1:], safe="").encode()
    sent = {
        "plain": raw,
        "%2F": encoded,
        "%2f": encoded.replace(b"%2F", b"%2f"),
        "doubled": b"/" + raw,
        "query": raw + b"?x=1",
    }[form]

    assert server.get(sent).headers["content-type"] == "application/ocsp-response"
    assert server.get(sent).body == server.get(raw).body
    assert len(server.get(sent).body) > 5


def test_a_post_is_answered_whole_or_in_chunks(server: ServerProcess) -> None:
    body = encode_request(cert_id(2))
    chunked = b"".join(b"1\r\n%c\r\n" % octet for octet in body) + b"0\r\n\r\n"

    whole = server.ask(post(body, b"Content-Type: text/strange"))
    pieces = server.ask(b"POST /x HTTP/1.1" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunked)

    assert cert_ids_in(whole.body) == [cert_id(2)]
    assert pieces.body == whole.body


def test_a_post_that_expects_100_continue_gets_it_and_then_its_own_answer(server: ServerProcess) -> None:
    body = encode_request(cert_id(3))
    with Connection(server.port) as connection:
        for serial in (3, 4):
            body = encode_request(cert_id(serial))
            connection.send(post(body, b"Expect: 100-continue")[: -len(body)])
            assert connection.receive().status == 100
            connection.send(body)
            assert cert_ids_in(connection.receive().body) == [cert_id(serial)]


@pytest.mark.parametrize("octets", [b"GET " + path(1), b"GET /", b"PUT /", b"GET /readyz"])
def test_http_1_0_gets_the_length_never_chunks_and_a_closed_connection(server: ServerProcess, octets: bytes) -> None:
    with Connection(server.port) as connection:
        connection.send(octets + b" HTTP/1.0\r\n\r\n")
        reply = connection.receive()

        assert reply.version == "HTTP/1.0"
        assert "transfer-encoding" not in reply.headers
        assert len(reply.body) == int(reply.headers["content-length"]) > 0
        assert connection.is_closed()


def test_a_post_over_http_1_0_is_answered(server: ServerProcess) -> None:
    reply = server.ask(post(encode_request(cert_id(1)), version=b"HTTP/1.0"))

    assert (reply.version, cert_ids_in(reply.body)) == ("HTTP/1.0", [cert_id(1)])


def test_a_connection_is_kept_through_bodies_heads_304s_and_errors(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        connection.send(b"GET " + path(1) + b" HTTP/1.1" + HOST + b"\r\n")
        full = connection.receive()
        connection.send(b"HEAD " + path(1) + b" HTTP/1.1" + HOST + b"\r\n")
        head = connection.receive(head=True)
        tag = full.headers["etag"].encode()
        connection.send(b"GET " + path(1) + b" HTTP/1.1" + HOST + b"If-None-Match: " + tag + b"\r\n\r\n")
        unmodified = connection.receive()
        connection.send(b"GET /nonsense HTTP/1.1" + HOST + b"\r\n")
        malformed = connection.receive()
        connection.send(post(encode_request(cert_id(2))) + post(encode_request(cert_id(3))))
        pipelined = [connection.receive(), connection.receive()]

    assert head.headers == full.headers | {"date": head.headers["date"]} | {
        name: head.headers[name] for name in ("cache-control", "expires")
    }
    assert (unmodified.status, unmodified.headers["etag"]) == (304, full.headers["etag"])
    assert malformed.body == MALFORMED
    assert [cert_ids_in(reply.body) for reply in pipelined] == [[cert_id(2)], [cert_id(3)]]


def test_an_empty_post_is_malformed(server: ServerProcess) -> None:
    assert server.ask(b"POST / HTTP/1.1" + HOST + b"\r\n").body == MALFORMED


@pytest.mark.parametrize("size", [64 * 1024, 64 * 1024 + 1])
def test_a_body_of_more_than_64_kib_is_too_large(server: ServerProcess, size: int) -> None:
    assert server.ask(post(bytes(size))).status == (200 if size == 64 * 1024 else 413)


def test_an_endless_body_is_refused_before_it_is_read(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        connection.send(b"POST / HTTP/1.1" + HOST + b"Content-Length: 1000000000\r\n\r\n" + bytes(65_537))

        assert connection.receive().status == 413


def test_another_method_is_not_allowed(server: ServerProcess) -> None:
    reply = server.ask(b"PUT / HTTP/1.1" + HOST + b"Content-Length: 0\r\n\r\n")

    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST")


def test_the_log_tells_who_asked_for_a_certificate_that_is_not_there(server: ServerProcess) -> None:
    assert server.get(path(-0xBEEF)).body == UNAUTHORIZED

    line = server.line_of("-beef")
    assert isinstance(line["microseconds"], int)
    assert line | {"time": "", "worker": "", "microseconds": 0} == {
        "time": "",
        "remote": "127.0.0.1",
        "worker": "",
        "method": "GET",
        "http": 200,
        "ocsp": "unauthorized",
        "outcome": "not-stored",
        "hash": "sha1",
        "issuer_name_hash": cert_id().issuer_name_hash.hex(),
        "issuer_key_hash": cert_id().issuer_key_hash.hex(),
        "serial": "-beef",
        "generation": GENERATION,
        "bytes": 5,
        "microseconds": 0,
    }


def test_every_request_leaves_a_line_also_the_malformed_and_the_probes(server: ServerProcess) -> None:
    for raw_path, outcome in ((b"/nonsense", "malformed"), (b"/readyz", "probe"), (path(0xCAFE), "answered")):
        with server.logs(method="GET", outcome=outcome):
            server.get(raw_path)

    assert server.line_of("cafe")["outcome"] == "answered"


def test_a_client_that_goes_away_leaves_a_line_and_no_trouble(server: ServerProcess) -> None:
    with server.logs(outcome="gone", http=None), Connection(server.port) as connection:
        connection.send(b"POST / HTTP/1.1" + HOST + b"Content-Length: 100\r\n\r\nbegun")

    assert server.get(path(1)).status == 200


@pytest.mark.parametrize("form", ["GET", "POST /", "POST /healthz"])
def test_a_slow_lookup_does_not_keep_others_waiting(server: ServerProcess, form: str) -> None:
    asked = b"GET " + path(folder_server.SLOW) + b" HTTP/1.1" + HOST + b"\r\n"
    if form != "GET":
        asked = post(encode_request(cert_id(folder_server.SLOW))).replace(b"POST /", form.encode())
    begun, held = (server.stdout.parent / name for name in ("slow", "held"))
    begun.unlink(missing_ok=True)
    held.touch()
    with Connection(server.port) as slow:
        slow.send(asked)
        wait_until(begun.exists)
        assert len(server.get(path(1)).body) > 5
        assert server.get(b"/healthz").status == 200
        held.unlink()
        assert cert_ids_in(slow.receive().body) == [cert_id(folder_server.SLOW)]


def test_a_client_cannot_fill_the_memory_with_headers(server: ServerProcess) -> None:
    """Each of a thousand connections could make the server keep 400 KiB, if it let them."""
    assert server.get(path(1), b"X: " + b"x" * 8_000).status == 200
    assert server.ask(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000).status == 431


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"hello\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 101 + b"\r\n", 431),
    ],
)
def test_what_never_becomes_a_request_is_refused_as_documented(
    server: ServerProcess, octets: bytes, status: int
) -> None:
    """docs/edge.md says that it is not logged, and what a proxy in front logs of it."""
    response = server.ask(octets)
    assert (response.status, response.body) == (status, b"")


def test_a_store_that_does_not_answer_means_try_later(server: ServerProcess) -> None:
    reply = server.get(path(folder_server.UNREACHABLE))

    assert (reply.body, reply.headers["cache-control"]) == (TRY_LATER, "no-store")


def test_a_defect_is_an_internal_error_an_alarm_and_not_the_end(server: ServerProcess) -> None:
    with server.logs(outcome="defect", alarm=True):
        assert server.get(path(folder_server.DEFECT)).body == INTERNAL_ERROR

    wait_until(lambda: "a defect" in server.stderr.read_text())
    assert server.get(path(1)).status == 200


def test_new_generations_come_into_service_without_a_failed_request(tmp_path: Path) -> None:
    with start(tmp_path, *folder_command(tmp_path, 2, "local")) as server:
        assert server.get(b"/readyz").status == 503
        assert server.get(path(1)).body == TRY_LATER
        assert server.line_of("1")["outcome"] == "nothing-published"

        (tmp_path / "generation").write_text("1")
        wait_until(lambda: server.stderr.read_text().count("generation 1 is loaded") == 2)  # once a worker
        assert server.get(b"/readyz").status == 200
        assert len(server.get(path(1)).body) > 5
        assert server.get(path(2)).body == UNAUTHORIZED

        statuses: list[int] = []
        (tmp_path / "new").write_text("2")
        (tmp_path / "new").rename(tmp_path / "generation")

        while server.stderr.read_text().count("generation 2 is loaded") < 2:
            statuses.append(server.get(path(1)).status)
            assert len(server.get(path(1)).body) > 5
            assert len(statuses) < 10_000

        assert set(statuses) == {200}
        assert len(server.get(path(2)).body) > 5

        (tmp_path / "generation").write_text("broken")
        wait_until(lambda: server.stderr.read_text().count("refresh failed, generation 2 stays") == 2)
        assert len(server.get(path(2)).body) > 5
        assert server.stop() == 0


def test_on_sigterm_requests_under_way_are_answered_and_the_exit_is_clean(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("1")
    with (
        start(tmp_path, *folder_command(tmp_path, 2, "remote")) as server,
        Connection(server.port) as slow,
        Connection(server.port) as idle,
    ):
        idle.send(b"GET /healthz HTTP/1.1" + HOST + b"\r\n")
        idle.receive()
        slow.send(b"GET " + path(folder_server.SLOW) + b" HTTP/1.1" + HOST + b"\r\n")
        wait_until((tmp_path / "slow").exists)
        stopper = threading.Thread(target=server.stop)
        stopper.start()

        assert cert_ids_in(slow.receive().body) == [cert_id(folder_server.SLOW)]
        assert idle.is_closed()
        stopper.join(PATIENCE_S)
        assert server.process.returncode == 0
        assert "panic" not in server.stderr.read_text()
        assert server.line_of(f"{folder_server.SLOW:x}")["outcome"] == "answered"


def test_control_c_ends_the_whole_group_cleanly(tmp_path: Path) -> None:
    with start(tmp_path, *folder_command(tmp_path, 2, "local")) as server:
        os.killpg(server.process.pid, signal.SIGINT)

        assert server.process.wait(PATIENCE_S) == 0
        assert "Traceback" not in server.stderr.read_text()


def worker_pids(server: ServerProcess) -> list[int]:
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("1")
    with start(tmp_path, *folder_command(tmp_path, 1, "local")) as server:
        (worker,) = worker_pids(server)
        os.kill(worker, signal.SIGKILL)

        wait_until(lambda: "Unexpected exit" in server.stderr.read_text())
        wait_until(server.is_up)
        assert len(server.get(path(1)).body) > 5


def test_workers_do_not_outlive_their_parent(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("1")
    with start(tmp_path, *folder_command(tmp_path, 2, "local")) as server:
        workers = worker_pids(server)
        server.stop(signal.SIGKILL)

        assert len(workers) == 2
        wait_until(
            lambda: (
                not any(
                    Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
                    for pid in workers
                )
            ),
            10,
        )


def test_a_disk_that_hangs_costs_what_is_on_it_and_no_other_request(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text(str(GENERATION))
    with start(tmp_path, *folder_command(tmp_path, 1, "local")) as server, ExitStack() as opened:
        hanging = [opened.enter_context(Connection(server.port)) for _ in range(4)]
        for connection in hanging:
            connection.send(b"GET " + path(folder_server.HANGING) + b" HTTP/1.1" + HOST + b"\r\n")
        began = time.monotonic()
        for _ in range(5):
            assert cert_ids_in(server.get(path(1)).body) == [cert_id(1)]
            assert server.get(b"/healthz").status == 200
        assert time.monotonic() - began < 5 * STORE_DEADLINE_S, "each would wait for that long"

        assert [connection.receive().body for connection in hanging] == [TRY_LATER] * 4
        assert cert_ids_in(server.get(path(1)).body) == [cert_id(1)]
        (reason,) = json.loads(server.get(b"/readyz").body)["reasons"]
        assert (reason["code"], "the store is silent" in reason["message"]) == ("store.unreachable", True)
        assert server.stop() == 0
