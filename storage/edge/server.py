"""`respond` behind granian: an ASGI application, its worker processes, and their beginning and end.

ASGI rather than granian's own RSGI, because only its `raw_path` is what the client sent: RSGI's path is decoded, and
``%2F`` and ``%2B`` cannot be told from what they stand for. The only module that needs the extra ``edge``.
"""

import asyncio
import atexit
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TypedDict

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from storage.edge.alarms import Alarms
from storage.edge.caching import MAX_AGE_CAP_S
from storage.edge.farewell import DRAIN_S, Connections, kept_connections, unanswered
from storage.edge.limits import CONNECTIONS, connections_within, raise_descriptors
from storage.edge.log import ALARM, REQUESTS, SERVER, configuration, finish
from storage.edge.patience import PatientLookups
from storage.edge.readiness import Readiness, Reason, State, instant_text, readiness_of
from storage.edge.record import OcspStatus, Outcome, Record
from storage.edge.refresh import PERIOD_S, Refresher
from storage.edge.respond import MAX_BODY_BYTES, HttpRequest, Reply, is_probe, ocsp_error, probe, refuse, respond
from storage.edge.source import STORE_DEADLINE_S, LiveSource
from storage.edge.troubles import Troubles
from storage.stores import NotAtHandError

BODY_S = 10.0
# A connection that says nothing, or says it slowly, is one of 1,024 of its worker: it is kept as long as a slow
# body, and not for half a minute. What it has said is kept too: 16 KiB, and not 400.
_HTTP1 = HTTP1Settings(header_read_timeout=int(BODY_S * 1000), max_buffer_size=16 * 1024)
_FIRST_REFRESH_S = 5.0
_WATCH_S = 1.0
_DRAIN = signal.SIGUSR1  # from the parent, before SIGTERM
_DRAIN_MARGIN_S = 0.25
_STOP_S = 15  # longer than a store's time-out, so that requests under way end by themselves

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
OpenSource = Callable[[], tuple[LiveSource, bool]]


class Application:
    """The ASGI application of one worker process.

    Args:
        source: where answers come from.
        is_local: whether lookups take microseconds, or raise `NotAtHandError`; else they are made in threads.
        refresh_s: time between looks for a new generation.
        body_s: how long a client may take to send a body.
        max_age_cap_s: for how long caches may keep an answer at most.
        store_deadline_s: how long a request may wait for the store.
        unready_when_degraded: whether ``/readyz`` fails as soon as anything is not as it should be.
        at_end: called when all requests are answered; need not return.
    """

    def __init__(
        self,
        source: LiveSource,
        *,
        is_local: bool,
        refresh_s: float = PERIOD_S,
        body_s: float = BODY_S,
        max_age_cap_s: int = MAX_AGE_CAP_S,
        store_deadline_s: float = STORE_DEADLINE_S,
        unready_when_degraded: bool = False,
        at_end: Callable[[], object] = bool,
    ) -> None:
        self._source = source
        self._respond = partial(respond, max_age_cap_s=max_age_cap_s)
        self._body_s = body_s
        self._refresher = Refresher(source, refresh_s)
        self._is_local = is_local
        self._lookups = PatientLookups(source, self._respond, deadline_s=store_deadline_s)
        self._unready = frozenset({State.UNREADY, State.DEGRADED} if unready_when_degraded else {State.UNREADY})
        self._troubles = Troubles()
        self._alarms = Alarms()
        self._at_end = at_end
        self._is_ending = False
        self._kept: Connections = []

    @property
    def store_silent_since(self) -> float | None:
        """Since when the store is known not to answer lookups, in seconds since 1970; None while it does."""
        return self._lookups.silent_since

    def readiness(self, now: int) -> Readiness:
        """Return how ready this worker is, with all that its parts have noticed."""
        return readiness_of(self._source, now, tuple(self._noticed()))

    def _noticed(self) -> Iterator[Reason]:
        yield from self._refresher.reasons()
        if (since := self.store_silent_since) is not None:
            text = f"the store is silent since {instant_text(int(since))}: lookups get tryLater at once"
            yield Reason(code="store.unreachable", message=text)
        else:
            yield from self._troubles.reasons()

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
            _write(reply.record, scope, time.time(), 0)
            return
        instant, began = time.time(), time.perf_counter_ns()
        if body is None:  # gone, or broken on the way: who is still there is told
            await self._send(send, refuse(request, int(instant), 400, Outcome.GONE))
            _write(Record(method=request.method, outcome=Outcome.GONE, http=None), scope, instant, 0)
            return
        request = HttpRequest(method=request.method, raw_path=request.raw_path, headers=headers, body=body)
        reply = await self._reply(request, int(instant))
        self._troubles.look_at(reply.record)
        microseconds = (time.perf_counter_ns() - began) // 1000
        await self._send(send, reply)
        _write(reply.record, scope, instant, microseconds)

    async def _send(self, send: Send, reply: Reply) -> None:
        headers = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in reply.headers]
        if self._is_ending:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, request: HttpRequest, now: int) -> Reply:
        try:
            if is_probe(request):
                return probe(request, now, self.readiness(now), unready=self._unready)
            if self._is_local:
                with suppress(NotAtHandError):
                    return self._reply_at_once(request, now)
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
            return self._respond(self._source, request, now)
        except NotAtHandError as unknown:
            if unknown.is_always:
                self._is_local = False
                _log.info("the file system of the store does not say what is in memory: lookups are made in threads")
            raise

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.to_thread(self._refresher.start, _FIRST_REFRESH_S)
        await send({"type": "lifespan.startup.complete"})
        watch = asyncio.create_task(self._watch())
        asyncio.get_running_loop().add_signal_handler(_DRAIN, self._drain)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {_DRAIN})
        await receive()
        watch.cancel()
        self._refresher.stop()
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

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            self._refresher.tell_if_it_hangs()
            try:
                self._alarms.look_at(self.readiness(int(time.time())).reasons)
            except Exception:  # noqa: BLE001 - a watch that ends of a defect would raise no alarm any more
                _log.exception("a defect while looking after readiness", extra=ALARM)


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


def _write(record: Record, scope: Scope, instant: float, microseconds: int) -> None:
    line = record.line(
        time=datetime.fromtimestamp(instant, UTC), remote=str(scope["client"][0]), microseconds=microseconds
    )
    _requests.log(logging.ERROR if record.alarm else logging.INFO, "%s", line)


def make_application(
    open_source: OpenSource, refresh_s: float, max_age_cap_s: int, store_deadline_s: float, unready_when_degraded: bool
) -> Application:
    """Open the source in this worker process and return its application."""
    atexit.register(_leave)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    source, is_local = open_source()
    return Application(
        source,
        is_local=is_local,
        refresh_s=refresh_s,
        max_age_cap_s=max_age_cap_s,
        store_deadline_s=store_deadline_s,
        unready_when_degraded=unready_when_degraded,
        at_end=_leave,  # at once: threads that hang in the store would keep the process
    )


def _end_with_parent() -> None:
    """Stop this worker when its parent is gone: it would keep the port, and a new server could not start."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _leave() -> None:
    """End a worker before the interpreter is torn down, under which granian's threads panic (seen with 2.8)."""
    finish()
    os._exit(0)


class _Server(MPServer):
    """A server whose workers never see SIGINT; SIGTERM from their parent ends them.

    Ctrl-C reaches all processes of a terminal: a worker that is still starting would die of it with a traceback.
    """

    def _spawn_worker(self, *arguments: object, **options: object) -> WorkerProcess:
        made: WorkerProcess = super()._spawn_worker(*arguments, **options)
        made.__class__ = _Worker
        return made

    def _stop_workers(self) -> None:
        for worker in self.wrks:
            worker.interrupt_by_parent = True
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, _DRAIN)
        time.sleep(DRAIN_S + _DRAIN_MARGIN_S)  # they end by themselves; who does not is told to
        super()._stop_workers()  # type: ignore[no-untyped-call] # granian has no types here


class _Worker(WorkerProcess):
    """A worker process that inherits a mask of signals without SIGINT, nor the one that it has no handler for yet."""

    def start(self) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, _DRAIN})
        try:
            super().start()  # type: ignore[no-untyped-call] # granian has no types here
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def run(
    open_source: OpenSource,
    *,
    host: str,
    port: int,
    workers: int,
    log_file: Path | None = None,
    refresh_s: float = PERIOD_S,
    max_age_cap_s: int = MAX_AGE_CAP_S,
    store_deadline_s: float = STORE_DEADLINE_S,
    unready_when_degraded: bool = False,
    is_quiet: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT, then let the requests under way end; return the exit code.

    Args:
        open_source: called in every worker, by the thread that serves; returns the source and whether it is local. Must
            pickle.
        host: address to listen at.
        port: port to listen at.
        workers: number of processes.
        log_file: where the lines about requests go; stdout without it.
        refresh_s: time between looks for a new generation.
        max_age_cap_s: for how long caches may keep an answer at most.
        store_deadline_s: how long a request may wait for the store.
        unready_when_degraded: whether ``/readyz`` fails as soon as anything is not as it should be.
        is_quiet: whether the server's own log has warnings and errors alone.
    """
    multiprocessing.set_start_method("spawn", force=True)  # obstore does not survive a fork
    resource_tracker.ensure_running()  # or the first worker's start does it, and lifts the mask that `_Worker` sets
    descriptors = raise_descriptors()
    connections = connections_within(descriptors)
    server = _Server(
        "storage.edge",
        address=host,
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=_HTTP1,
        websockets=False,
        workers=workers,
        backpressure=connections,  # of each worker; granian divides its own default among them
        workers_kill_timeout=_STOP_S,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        log_dictconfig=configuration(log_file, is_quiet=is_quiet),
    )
    _log.info("serving at http://%s:%d with %d worker(s)", f"[{host}]" if ":" in host else host, port, workers)
    if connections < CONNECTIONS:
        _log.warning("a worker takes %d connections and no more: ulimit -n is %d", connections, descriptors)
    loader = partial(make_application, open_source, refresh_s, max_age_cap_s, store_deadline_s, unready_when_degraded)
    try:
        server.serve(target_loader=loader, wrap_loader=False)
    except SystemExit:  # a worker died, and was not to be replaced, or died while all were asked to end
        return 0 if server.interrupt_signal else 1
    return 0
