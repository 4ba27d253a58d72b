"""Stores that say nothing: the deadline of each request, and the silence that spares the others the wait."""

import asyncio
import json
import logging
import threading
import time
from pathlib import Path

import pytest

from storage.certid import CertID
from storage.edge.logs.log import SERVER
from storage.edge.record import Outcome
from storage.edge.respond import HttpRequest, Reply, respond
from storage.edge.serving.patience import PatientLookups
from storage.reader import Answer
from tests.storage.edge.answers import THIS_UPDATE, FakeSource, answer_to, cert_id, encode_request, source_of
from tests.storage.edge.object_server import serving
from tests.storage.edge.processes import Connection, ServerProcess, start, wait_until
from tests.storage.golden_store import GOLDEN
from tests.storage.golden_store import answer_to as golden_answer_to

NOW = THIS_UPDATE + 3600
TRY_LATER = bytes.fromhex("30030a0103")


class Hanging(FakeSource):
    """A source that is silent until `wakes` is set, but for the serials in `fast`."""

    def __init__(self) -> None:
        super().__init__({cert_id(serial): answer_to(cert_id(serial)) for serial in range(1, 500)})
        self.wakes = threading.Event()
        self.fast: set[int] = set()
        self.lookups = 0

    def lookup(self, cert_id: CertID) -> Answer | None:
        self.lookups += 1
        if cert_id.serial_number not in self.fast:
            self.wakes.wait(30)
        return super().lookup(cert_id)


def request(serial: int, body: bytes | None = None) -> HttpRequest:
    return HttpRequest(method="POST", raw_path=b"/", headers={}, body=body or encode_request(cert_id(serial)))


def ask(lookups: PatientLookups, *requests: HttpRequest) -> list[Reply]:
    async def all_at_once() -> list[Reply]:
        return await asyncio.gather(*(lookups.reply(each, NOW) for each in requests))

    return asyncio.run(all_at_once())


def outcomes(replies: list[Reply]) -> set[Outcome]:
    return {reply.record.outcome for reply in replies}


def test_a_store_that_answers_is_waited_for() -> None:
    lookups = PatientLookups(source_of(cert_id(1)), respond, deadline_s=5)

    assert outcomes(ask(lookups, request(1))) == {Outcome.ANSWERED}
    assert lookups.silent_since is None


def test_no_request_waits_longer_than_its_deadline_whatever_is_in_front_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Hanging()
    lookups = PatientLookups(source, respond, deadline_s=0.3, probe_s=0.05)
    began = time.monotonic()
    replies = ask(lookups, *(request(serial) for serial in range(1, 401)))

    assert time.monotonic() - began < 20, "the source is silent for 30 s"
    assert outcomes(replies) == {Outcome.UNREACHABLE}
    assert {reply.body for reply in replies} == {TRY_LATER}
    assert {reply.record.detail for reply in replies} == {"TimeoutError: no answer within 0.3 s"}
    assert source.lookups <= 64 + 1
    assert lookups.silent_since is not None

    at_once = ask(lookups, *(request(serial) for serial in range(1, 401)))  # though all threads are taken
    assert {reply.record.detail for reply in at_once} == {"TimeoutError: the store is silent"}
    assert outcomes(ask(lookups, request(1, b"nonsense"))) == {Outcome.MALFORMED}

    caplog.set_level(logging.INFO, SERVER)
    source.wakes.set()
    wait_until(lambda: lookups.silent_since is None)
    assert outcomes(ask(lookups, request(7))) == {Outcome.ANSWERED}
    assert "the store answers again" in caplog.text


def test_the_beginning_of_a_silence_is_an_alarm_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    source = Hanging()
    lookups = PatientLookups(source, respond, deadline_s=0.05, probe_s=10)
    ask(lookups, *(request(serial) for serial in range(1, 20)))
    source.wakes.set()

    (record,) = caplog.records
    assert "the store is silent: 3 lookups in a row had no answer within 0.05 s" in record.getMessage()
    assert record.__dict__["alarm"] is True


def test_two_misses_or_answers_between_are_no_silence() -> None:
    source = Hanging()
    source.fast = {9}
    lookups = PatientLookups(source, respond, deadline_s=0.1, probe_s=10)
    for serial in (1, 2, 9, 3, 4, 9, 5):
        ask(lookups, request(serial))
        assert lookups.silent_since is None

    ask(lookups, request(6))
    ask(lookups, request(7))
    assert lookups.silent_since is not None
    source.wakes.set()


def test_a_lookup_that_was_too_late_for_its_client_ends_the_silence_nevertheless() -> None:
    source = Hanging()
    lookups = PatientLookups(source, respond, deadline_s=0.05, probe_s=60)
    ask(lookups, request(1), request(2), request(3))
    assert lookups.silent_since is not None
    source.wakes.set()

    wait_until(lambda: lookups.silent_since is None)


def ask_golden(server: ServerProcess) -> tuple[float, bytes]:
    body = encode_request(golden_answer_to("good-16.sha1").cert_id)
    with Connection(server.port) as connection:
        began = time.monotonic()
        connection.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        reply = connection.receive().body
        return time.monotonic() - began, reply


def words(server: ServerProcess) -> list[str]:
    return [json.loads(line)["message"] for line in server.stderr.read_text().splitlines()]


def test_an_object_store_that_falls_silent_costs_three_requests_their_deadline_and_no_other(tmp_path: Path) -> None:
    with (
        serving(GOLDEN / "store") as objects,
        start(
            tmp_path,
            *("-m", "storage.edge", "s3://bucket", "--port", "PORT", "--store-deadline", "0.5"),
            environment=objects.environment(),
        ) as server,
    ):
        wait_until(lambda: any("is loaded" in word for word in words(server)))
        with server.logs(method="POST", outcome="expired"):  # golden answers are old
            ask_golden(server)

        objects.freeze()
        waited = [ask_golden(server) for _ in range(10)]
        assert max(seconds for seconds, _ in waited) < 10, "the store is silent for as long as it is frozen"
        assert {reply for _, reply in waited} == {TRY_LATER}
        assert server.get(b"/healthz").status == 200
        late, at_once = "TimeoutError: no answer within 0.5 s", "TimeoutError: the store is silent"
        details = [late] * 3 + [at_once] * 7
        wait_until(lambda: [line.get("detail") for line in server.lines()][-11:] == [*details, None])
        wait_until(lambda: any("the store is silent" in word for word in words(server)))

        said = json.loads(server.get(b"/readyz").body)
        assert any("the store is silent since" in reason["message"] for reason in said["reasons"])

        objects.thaw()
        wait_until(lambda: any("the store answers again" in word for word in words(server)))
        with server.logs(method="POST", outcome="expired"):  # golden answers are old
            ask_golden(server)

        objects.freeze()
        ask_golden(server)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 20
