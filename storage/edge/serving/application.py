"""The ASGI application of one worker: requests in, replies and lines of the log out, by `respond`.

It knows nothing of the server that calls it, nor of processes: of these, only the signal that asks it to let go of its
clients. ASGI rather than granian's own RSGI, because only its `raw_path` is what the client sent: RSGI's path is
decoded, and ``%2F`` and ``%2B`` cannot be told from what they stand for.
"""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypedDict

from storage.edge.logs.log import REQUESTS, SERVER
from storage.edge.record import LoggedRequest, OcspStatus, Outcome
from storage.edge.respond import MAX_BODY_BYTES, HttpRequest, Reply, is_probe, ocsp_error, probe, refuse, respond
from storage.edge.serving.farewell import DRAIN_S, Connections, kept_connections, unanswered
from storage.edge.serving.patience import PatientLookups
from storage.edge.serving.settings import Settings
from storage.edge.serving.vigil import Vigil, counts_in
from storage.edge.source import LiveSource
from storage.edge.watching.counters import Counts
from storage.stores import NotAtHandError

DRAIN: Final = signal.SIGUSR1
"""Asks a worker to let its clients go with their next reply, and to end then."""

_requests = logging.getLogger(REQUESTS)
_log = logging.getLogger(SERVER)


class Scope(TypedDict):
    """What ASGI says of a connection or a request, as far as it is used here."""

    type: str
    method: str
    raw_path: bytes
    headers: Iterable[tuple[bytes, bytes]]
    client: tuple[str, int]


class Message(TypedDict, total=False):
    """What ASGI passes back and forth, as far as it is used here."""

    type: str
    body: bytes
    more_body: bool
    status: int
    headers: list[tuple[bytes, bytes]]


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """The ASGI application of one worker process.

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
        self._body_s = settings.body_s
        self._is_local = is_local
        self._lookups = PatientLookups(source, self._respond, deadline_s=settings.store_deadline_s)
        self._counts = counts or counts_in(None)
        self._afar = "disk" if is_local else "store"
        self._vigil = Vigil(source, self._lookups, settings, self._counts)
        self._unready = settings.unready_states
        self._at_end = at_end
        self._is_ending = False
        self._kept: Connections = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the life of the worker, or one request."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        request = HttpRequest(method=scope["method"], raw_path=scope["raw_path"], headers=headers)
        try:
            async with asyncio.timeout(self._body_s):
                body = await _read_body(receive)
        except TimeoutError:
            reply = refuse(request, int(time.time()), 408, Outcome.TOO_SLOW)
            await self._send(send, reply)
            self._note(reply.record, scope, time.time(), 0)
            return
        instant, began = time.time(), time.perf_counter_ns()
        if body is None:  # gone, or broken on the way: who is still there is told
            await self._send(send, refuse(request, int(instant), 400, Outcome.GONE))
            self._note(LoggedRequest(method=request.method, outcome=Outcome.GONE, http=None), scope, instant, 0)
            return
        request = HttpRequest(method=request.method, raw_path=request.raw_path, headers=headers, body=body)
        reply = await self._reply(request, int(instant))
        microseconds = (time.perf_counter_ns() - began) // 1000
        await self._send(send, reply)
        self._note(reply.record, scope, instant, microseconds)

    def _note(self, record: LoggedRequest, scope: Scope, instant: float, microseconds: int) -> None:
        """Log and count a request."""
        _write(record, scope, instant, microseconds)
        self._vigil.note(record, int(instant), microseconds)

    async def _send(self, send: Send, reply: Reply) -> None:
        headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in reply.headers]
        if self._is_ending:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

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
        if reply.record.cert_id is not None:
            self._counts.look_up("memory")
        return reply

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._vigil.start()
        await send({"type": "lifespan.startup.complete"})
        vigil = asyncio.create_task(self._vigil.run())
        asyncio.get_running_loop().add_signal_handler(DRAIN, self._drain)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {DRAIN})
        await receive()
        vigil.cancel()
        self._vigil.stop()
        if late := unanswered(self._kept):
            _log.warning("%d request(s) came while their connections were being closed, and were not answered", late)
        await send({"type": "lifespan.shutdown.complete"})
        self._at_end()

    def _drain(self) -> None:
        """Let clients go with their next reply, then end."""
        self._is_ending = True
        asyncio.get_running_loop().call_later(DRAIN_S, self._end)

    def _end(self) -> None:
        self._kept = kept_connections()
        os.kill(os.getpid(), signal.SIGTERM)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body, or the beginning of one that is too long; None if the client went away."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES or not message.get("more_body"):
            return body


def _write(record: LoggedRequest, scope: Scope, instant: float, microseconds: int) -> None:
    line = record.line(
        time=datetime.fromtimestamp(instant, UTC), remote=str(scope["client"][0]), microseconds=microseconds
    )
    _requests.log(logging.ERROR if record.alarm else logging.INFO, "%s", line)
