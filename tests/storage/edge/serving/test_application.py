import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from storage.certid import CertID
from storage.edge.record import OcspStatus
from storage.edge.respond import MAX_BODY_BYTES
from storage.edge.serving.application import Application
from storage.edge.serving.settings import Settings
from tests.storage.edge.answers import FakeSource, cert_id, encode_request

UNAUTHORIZED = bytes((0x30, 3, 0x0A, 1, OcspStatus.unauthorized))


class Idle(FakeSource):
    def refresh(self) -> bool:
        return False

    def lookup(self, _cert_id: CertID) -> None:
        return None


class Named(dict[str, str]):
    def get_all(self, key: str) -> Sequence[str]:
        return [self[key]] if key in self else []


@dataclass
class Asked:
    method: str = "POST"
    path: str = "/"
    client: str = "192.0.2.1:1"
    headers: Named = field(default_factory=Named)


class Exchanged:
    """One request's body, in pieces, and what came back."""

    def __init__(self, *pieces: bytes, hangs: bool = False) -> None:
        self._pieces = pieces
        self._hangs = hangs
        self.sent: list[tuple[int, Mapping[str, str], bytes]] = []
        self.taken = 0

    async def __call__(self) -> bytes:
        await asyncio.sleep(60 if self._hangs else 0)
        return b"".join(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            self.taken += 1
            yield piece

    def response_bytes(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.sent.append((status, {name.lower(): value for name, value in headers}, body))


def reply_to(asked: Asked, exchange: Exchanged) -> tuple[int, Mapping[str, str], bytes]:
    application = Application(Idle(), is_local=True, settings=Settings(body_s=0.01))
    asyncio.run(application.__rsgi__(asked, exchange))
    (sent,) = exchange.sent
    return sent


def test_a_client_that_does_not_send_its_body_is_told_so_and_let_go() -> None:
    status, headers, body = reply_to(Asked(headers=Named({"content-length": "9"})), Exchanged(hangs=True))

    assert status == 408
    assert headers["content-length"] == str(len(body))


def test_a_body_without_a_length_is_put_together_from_its_pieces() -> None:
    request = encode_request(cert_id(1))

    assert reply_to(Asked(), Exchanged(request[:10], request[10:], b""))[::2] == (200, UNAUTHORIZED)


def test_of_a_body_that_is_too_long_no_more_is_taken_than_tells_so() -> None:
    exchange = Exchanged(*[bytes(MAX_BODY_BYTES // 2)] * 9)

    assert reply_to(Asked(headers=Named({"content-length": str(MAX_BODY_BYTES * 5)})), exchange)[0] == 413
    assert exchange.taken == 3


@pytest.mark.parametrize("headers", [{}, {"content-length": str(MAX_BODY_BYTES * 2)}])
def test_a_body_that_breaks_off_is_refused(headers: dict[str, str]) -> None:
    request = encode_request(cert_id(1))

    assert reply_to(Asked(headers=Named(headers)), Exchanged(request, b"", b""))[0] == 400


def test_fields_behind_a_body_are_no_break() -> None:
    request = encode_request(cert_id(1))

    assert reply_to(Asked(headers=Named({"trailer": "X"})), Exchanged(request, b"", b""))[0] == 200


def test_a_get_waits_for_no_body() -> None:
    assert reply_to(Asked(method="GET", path="/healthz"), Exchanged(hangs=True))[0] == 200
