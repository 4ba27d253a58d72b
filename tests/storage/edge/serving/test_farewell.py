"""Ends of servers whose clients keep their connections."""

import json
import threading
from contextlib import suppress
from pathlib import Path

from tests.storage.edge import folder_server
from tests.storage.edge.answers import cert_id, cert_ids_in, encode_request
from tests.storage.edge.processes import PATIENCE_S, Connection, start, wait_until


def post(serial: int) -> bytes:
    body = encode_request(cert_id(serial))
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def command(folder: Path, workers: int) -> tuple[str, ...]:
    (folder / "generation").write_text("9")
    return (folder_server.__file__, str(folder), "PORT", str(workers), "remote")


def test_clients_that_keep_their_connections_get_their_answers_when_the_server_ends(tmp_path: Path) -> None:
    unanswered: list[int] = []
    answered: list[int] = []

    def ask_until_let_go(port: int) -> None:
        with Connection(port) as connection, suppress(ValueError):  # closed without a reply
            while True:
                connection.send(post(1))
                unanswered.append(1)
                reply = connection.receive()
                unanswered.pop()
                answered.append(1)
                if reply.headers.get("connection") == "close":
                    return

    with start(tmp_path, *command(tmp_path, 2)) as server:
        clients = [threading.Thread(target=ask_until_let_go, args=(server.port,)) for _ in range(10)]
        for client in clients:
            client.start()
        wait_until(lambda: len(answered) > 100)
        assert server.stop() == 0
        for client in clients:
            client.join(PATIENCE_S)

        late = [json.loads(line)["message"] for line in server.stderr.read_text().splitlines()]
        counted = sum(int(word.split()[0]) for word in late if "were not answered" in word)
        assert len(unanswered) == counted <= 1  # a client of a busy machine may sleep for a second
        assert [line["outcome"] for line in server.lines()].count("answered") == len(answered)


def test_a_request_on_a_connection_that_is_being_closed_is_counted(tmp_path: Path) -> None:
    held = tmp_path / "held"
    held.touch()
    with (
        start(tmp_path, *command(tmp_path, 1)) as server,
        Connection(server.port) as idle,
        Connection(server.port) as slow,
    ):
        idle.send(post(1))
        idle.receive()
        slow.send(post(folder_server.SLOW))  # keeps the worker after the end of the other connection
        wait_until((tmp_path / "slow").exists)
        stopper = threading.Thread(target=server.stop)
        stopper.start()
        assert idle.is_closed()
        idle.send(post(2))
        held.unlink()

        assert cert_ids_in(slow.receive().body) == [cert_id(folder_server.SLOW)]
        stopper.join(PATIENCE_S)
        words = [json.loads(line)["message"] for line in server.stderr.read_text().splitlines()]
        assert words[-1] == "1 request(s) came while their connections were being closed, and were not answered"


def test_a_body_whose_chunks_are_broken_is_refused_and_logged(tmp_path: Path) -> None:
    with start(tmp_path, *command(tmp_path, 1)) as server:
        broken = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n"
        with server.logs(outcome="gone"):
            assert server.ask(broken).status == 400
