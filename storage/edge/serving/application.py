"""The application of one worker: requests in, replies and lines of the log out, by `respond`.

It knows nothing of the server that calls it, nor of processes: of these, only the signal that asks it to let go of its
clients. The server speaks RSGI, granian's own interface: a request costs it a third of what ASGI costs. There the path
comes decoded once, with U+FFFD for what is no UTF-8. Nothing is lost by that: base64 has none of the octets that this
could touch, and what was encoded twice is decoded a second time here (`storage.request_path.readings`).
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from storage.edge.logs.addresses import ClientNames
from storage.edge.logs.log import SERVER, reopen
from storage.edge.record import LoggedRequest, OcspStatus, Outcome
from storage.edge.replies import KeptReplies, key_of
from storage.edge.respond import HttpRequest, Reply, is_probe, ocsp_error, probe, refuse, respond
from storage.edge.serving.bodies import AskedHeaders, Bodies, Exchange
from storage.edge.serving.farewell import DRAIN_S, Connections, kept_connections, unanswered
from storage.edge.serving.patience import PatientLookups
from storage.edge.serving.request_log import RequestLog
from storage.edge.serving.settings import Settings
from storage.edge.serving.vigil import Vigil, counts_in
from storage.edge.source import LiveSource
from storage.edge.watching.counters import Counts
from storage.stores import NotAtHandError

DRAIN: Final = signal.SIGUSR1
"""Asks a worker to let its clients go with their next reply, and to end then."""

_NO_HEADERS: Mapping[str, str] = {}
_CLOSE = ("connection", "close")

_log = logging.getLogger(SERVER)


class Scope(Protocol):
    """What RSGI says of a request, as far as it is used here."""

    @property
    def method(self) -> str:
        """The method of HTTP."""

    @property
    def path(self) -> str:
        """The path, decoded once."""

    @property
    def client(self) -> str:
        """The address of the peer, with its port."""

    @property
    def headers(self) -> AskedHeaders:
        """The headers; each look makes a copy of all of them."""


class Application:
    """The application of one worker process.

    Args:
        source: where answers come from.
        is_local: whether lookups take microseconds, or raise `NotAtHandError`; else they are made in threads.
        settings: how it answers.
        counts: of this worker; None: nobody reads them.
        at_end: called when all requests are answered; need not return.
    """

    def __init__(
        self,
        source: LiveSource,
        *,
        is_local: bool,
        settings: Settings,
        counts: Counts | None = None,
        at_end: Callable[[], object] = bool,
    ) -> None:
        self._source = source
        self._respond = partial(respond, max_age_cap_s=settings.max_age_cap_s)
        self._bodies = Bodies(settings.body_s)
        self._is_local = is_local
        self._lookups = PatientLookups(source, self._respond, deadline_s=settings.store_deadline_s)
        self._counts = counts or counts_in(None)
        self._afar = "disk" if is_local else "store"
        self._vigil = Vigil(source, self._lookups, settings, self._counts, self._reply)
        self._unready = settings.unready_states
        self._at_end = at_end
        self._is_ending = False
        self._kept: Connections = []
        self._request_log = RequestLog(ClientNames(settings.clients), sample=settings.log_sample)
        self._replies = KeptReplies(source, settings.kept_replies, settings.max_age_cap_s)

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin the life of the worker; the loop does not run yet."""
        loop.run_until_complete(self._vigil.start())
        self._request_log.tell()
        self._tasks = [loop.create_task(self._vigil.run()), loop.create_task(self._request_log.run())]
        loop.add_signal_handler(DRAIN, self._drain)
        loop.add_signal_handler(signal.SIGHUP, reopen)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {DRAIN, signal.SIGHUP})

    def __rsgi_del__(self, _loop: asyncio.AbstractEventLoop) -> None:
        """End it; the loop does not run any more."""
        self._vigil.stop()
        if late := unanswered(self._kept):
            _log.warning("%d request(s) came while their connections were being closed, and were not answered", late)
        self._request_log.tell(is_end=True)
        self._at_end()

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request."""
        method, body = scope.method, b""
        if method == "POST":
            try:
                body = await self._bodies.read(scope.headers, exchange)
            except TimeoutError:
                self._refuse(scope, exchange, 408, Outcome.TOO_SLOW)
                return
            except RuntimeError:  # gone, or broken on the way: who is still there is told
                self._refuse(scope, exchange, 400, Outcome.GONE, is_told=False)
                return
        instant, began = time.time(), time.perf_counter_ns()
        self._request_log.arrive()
        tags = "" if method == "POST" else ",".join(scope.headers.get_all("if-none-match"))
        request = HttpRequest(
            method=method,
            raw_path=scope.path.encode(),
            headers={"if-none-match": tags} if tags else _NO_HEADERS,
            body=body,
            is_decoded=True,
        )
        now, key = int(instant), key_of(request)
        reply = None if key is None else self._replies.find(key, now)
        is_kept = reply is not None
        if reply is None:
            epoch = self._source.epoch
            reply = await self._reply(request, now)
            if key is not None:
                self._replies.keep(key, request, reply, epoch)
        microseconds = (time.perf_counter_ns() - began) // 1000
        self._send(exchange, reply)
        self._note(reply.record, scope, instant, microseconds, is_kept=is_kept)

    def _refuse(self, scope: Scope, exchange: Exchange, status: int, outcome: Outcome, *, is_told: bool = True) -> None:
        """Refuse a request whose body did not come."""
        instant, method = time.time(), scope.method
        self._request_log.arrive()
        reply = refuse(HttpRequest(method=method, raw_path=b"", headers=_NO_HEADERS), int(instant), status, outcome)
        self._send(exchange, reply)
        told = reply.record if is_told else LoggedRequest(method=method, outcome=outcome, http=None)
        self._note(told, scope, instant, 0)

    def _send(self, exchange: Exchange, reply: Reply) -> None:
        headers = (*reply.headers, _CLOSE) if self._is_ending else reply.headers
        exchange.response_bytes(reply.status, headers, reply.body)

    def _note(
        self, record: LoggedRequest, scope: Scope, instant: float, microseconds: int, *, is_kept: bool = False
    ) -> None:
        """Log and count a request."""
        peer = _address(scope.client)
        forwarded = scope.headers.get_all("x-forwarded-for") if self._request_log.wants_forwarded else ()
        self._request_log.note(record, peer, instant, microseconds, forwarded)
        self._vigil.note(record, int(instant), microseconds, is_kept=is_kept)

    async def _reply(self, request: HttpRequest, now: int) -> Reply:
        try:
            if is_probe(request):
                return probe(request, now, self._vigil.readiness(now), unready=self._unready)
            if self._is_local:
                with suppress(NotAtHandError):
                    return self._reply_at_once(request, now)
            self._counts.look_up(self._afar)
            return await self._lookups.reply(request, now)
        except Exception as defect:  # noqa: BLE001 - the border of the process; OCSP has a word for defects
            _log.exception("a defect while answering")
            return ocsp_error(request, now, OcspStatus.internalError, Outcome.DEFECT, detail=repr(defect))

    def _reply_at_once(self, request: HttpRequest, now: int) -> Reply:
        """Return the reply where no disk is needed for it.

        Raises:
            NotAtHandError: one is needed; who waits for it must not be this thread, which all requests share.
        """
        try:
            reply = self._respond(self._source, request, now)
        except NotAtHandError as unknown:
            if unknown.is_always:
                self._is_local = False
                _log.info("the file system of the store does not say what is in memory: lookups are made in threads")
            raise
        if reply.record.cert_id is not None and reply.record.outcome is not Outcome.MALFORMED:
            self._counts.look_up("memory")
        return reply

    def _drain(self) -> None:
        """Let clients go with their next reply, then end."""
        self._is_ending = True
        asyncio.get_running_loop().call_later(DRAIN_S, self._end)

    def _end(self) -> None:
        self._kept = kept_connections()
        os.kill(os.getpid(), signal.SIGTERM)


def _address(client: str) -> str:
    """Return the address of a peer; one of IPv4 as itself, also where the server listens at ``::``.

    >>> [_address(client) for client in ("192.0.2.1:5", "[::ffff:192.0.2.1]:5", "[2001:db8::1]:5", "")]
    ['192.0.2.1', '192.0.2.1', '2001:db8::1', 'unix']
    """
    address = client.rpartition(":")[0].strip("[]") or "unix"
    return address.removeprefix("::ffff:") if "." in address else address
