"""A proxy in front of a real S3 server that makes trouble when it is told to: as networks and servers do, in the bytes.

It hands every request on with the same octets (signatures hold, for the header Host stays), and every answer back.
"""

import http.client
import os
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback import LoopbackHandler, LoopbackServer

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>Told to.</Message></Error>'
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class Trouble(Enum):
    """What can happen to one request."""

    INTERNAL = "500, and nothing was done"
    SLOW_DOWN = "503 SlowDown, and nothing was done"
    DONE_BUT_500 = "500, although it was done"
    RESET = "the connection is reset before the server has heard of it"
    LOST = "it is done, and the connection is reset instead of an answer"
    SILENT = "nobody answers"
    CONFLICT = "409, and nothing was decided"
    OWN_412 = "it is done, and 412 is answered: what a client hears that repeats what it did not know to be done"
    CUT = "the body of the answer ends half-way"


# What an S3 server can say to whom: conflicts and preconditions belong to conditional writes, and bodies to reads.
EVERY_REQUEST = (
    Trouble.INTERNAL,
    Trouble.SLOW_DOWN,
    Trouble.DONE_BUT_500,
    Trouble.RESET,
    Trouble.LOST,
)


class Request:
    """A request as far as troubles are chosen by it: its method, the key, and whether it writes only if absent."""

    def __init__(self, handler: "_Handler") -> None:
        parts = urlsplit(handler.path)
        self.method = handler.command
        self.key = unquote(parts.path).partition("/")[2].partition("/")[2]
        self.query = parse_qs(parts.query, keep_blank_values=True)
        self.is_conditional = "If-None-Match" in handler.headers

    @property
    def possible(self) -> tuple[Trouble, ...]:
        """Troubles that can happen to it, but for silence, which takes those who wait for it long."""
        if self.is_conditional:
            return (*EVERY_REQUEST, Trouble.CONFLICT, Trouble.OWN_412)
        return (*EVERY_REQUEST, Trouble.CUT) if self.method == "GET" else EVERY_REQUEST


Plan = Callable[[Request], Trouble | None]


def no_trouble(_: Request) -> None:
    """Let every request through."""


def seldom(seed: int, share: float) -> Plan:
    """Return a plan that makes trouble to a share of all requests; the seed decides to which.

    Of the kinds that are possible it is one of those that were made least often, so that each has its turn soon.
    """
    dice, lock, made = random.Random(seed), threading.Lock(), Counter[Trouble]()

    def plan(request: Request) -> Trouble | None:
        with lock:
            if dice.random() >= share:
                return None
            least = min(made[kind] for kind in request.possible)
            trouble = dice.choice([kind for kind in request.possible if made[kind] == least])
            made[trouble] += 1
            return trouble

    return plan


class TroubledS3(LoopbackServer):
    """The proxy.

    Attributes:
        plan: asked about every request.
        requests: how many there were, by method and key.
        made: how often each kind of trouble was made.
    """

    def __init__(self, behind: str) -> None:
        super().__init__(_Handler)
        self.behind = urlsplit(behind).netloc
        self.plan: Plan = no_trouble
        self.requests: Counter[tuple[str, str]] = Counter()
        self.made: Counter[Trouble] = Counter()
        self.ended = threading.Event()

    def shutdown(self) -> None:
        self.ended.set()
        super().shutdown()


class _Handler(LoopbackHandler):
    server: TroubledS3

    def handle_any(self) -> None:
        octets = self.body()
        request = Request(self)
        trouble = self.server.plan(request)
        self.server.requests[request.method, request.key] += 1
        if trouble is not None:
            self.server.made[trouble] += 1
        match trouble:
            case Trouble.INTERNAL:
                self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError")
            case Trouble.SLOW_DOWN:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "SlowDown")
            case Trouble.CONFLICT:
                self._refuse(HTTPStatus.CONFLICT, "ConditionalRequestConflict")
            case Trouble.RESET:
                self._reset()
            case Trouble.SILENT:
                self.server.ended.wait(90)
                self._reset()
            case _:
                status, headers, body = self._handed_on(octets)
                self._answer(trouble, status, headers, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

    def _handed_on(self, octets: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(octets)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, trouble: Trouble | None, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        if trouble is Trouble.LOST:
            self._reset()
        elif trouble is Trouble.DONE_BUT_500:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalError")
        elif trouble is Trouble.OWN_412:
            self._refuse(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")
        else:
            is_cut = trouble is Trouble.CUT and len(body) > 1
            self.send_response_only(status)
            length = next((value for name, value in headers if name.lower() == "content-length"), str(len(body)))
            for name, value in headers:
                if name.lower() not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if is_cut else body)
            if is_cut:
                self.wfile.flush()
                self.close_connection = True

    def _refuse(self, status: HTTPStatus, code: str) -> None:
        self.answer(status, ERROR.format(code).encode())

    def _reset(self) -> None:
        """End the connection as a machine does that has lost its memory of it."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        os.close(self.connection.detach())
