"""How long a request waits for the store: until its deadline, and not at all while the store is known to be silent.

A store that is down says so. One that hangs (a network that swallows packets, a dead NFS server, a stopped process, a
disk that has broken) says nothing, and keeps every thread that asks it. So:

* Lookups are made in threads, and the deadline counts from the request: also for one that waits for a free thread.
* Three lookups that miss it, with no answer of the store between them, mean that the store is silent. From then on no
  request waits: each gets ``tryLater`` at once.
* Meanwhile one thread makes the latest of the lookups that were missed again, one after the other, each second at most.
  The first one that the store answers ends the silence. No client waits for these.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from storage.certid import CertID
from storage.edge.logs.log import ALARM, SERVER
from storage.edge.record import HEARD, Outcome
from storage.edge.respond import HttpRequest, Reply
from storage.edge.source import STORE_DEADLINE_S, AnswerSource
from storage.freshness import Freshness
from storage.reader import Answer

_THREADS = 64  # a remote lookup waits, it does not compute
_MISSES = 3
_PROBE_S = 1.0
_PROBED = 8
Respond = Callable[[AnswerSource, HttpRequest, int], Reply]

_log = logging.getLogger(SERVER)


class PatientLookups:
    """Replies by lookups that end in time.

    Args:
        source: where answers come from; its lookups may hang.
        respond: makes a reply of a source, a request and the time.
        deadline_s: how long a request may take.
        probe_s: time between looks whether a silent store answers again.
    """

    def __init__(
        self,
        source: AnswerSource,
        respond: Respond,
        *,
        deadline_s: float = STORE_DEADLINE_S,
        probe_s: float = _PROBE_S,
    ) -> None:
        self._source = source
        self._respond = respond
        self._deadline_s = deadline_s
        self._probe_s = probe_s
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")
        self._lock = threading.Lock()
        self._misses_in_a_row = 0
        self._missed: deque[HttpRequest] = deque(maxlen=_PROBED)
        self.silent_since: float | None = None
        """Since when the store is known to be silent, in seconds since 1970; None while it answers."""

    async def reply(self, request: HttpRequest, now: int) -> Reply:
        """Return the reply: the answer, or ``tryLater`` when the deadline has passed or the store is silent."""
        if self.silent_since is not None:
            return self._respond(_Unasked(self._source, "the store is silent"), request, now)
        lookup = self._threads.submit(self._respond, self._source, request, now)
        lookup.add_done_callback(self._look_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._deadline_s):
                return await asyncio.wrap_future(lookup)
        self._miss(request)
        return self._respond(_Unasked(self._source, f"no answer within {self._deadline_s:g} s"), request, now)

    def _look_at(self, lookup: Future[Reply]) -> None:
        """Take note of a lookup that has ended, in time or not."""
        if lookup.cancelled() or lookup.exception() is not None:
            return
        if lookup.result().record.outcome in HEARD:
            self._hear()

    def _hear(self) -> None:
        with self._lock:
            self._misses_in_a_row = 0
            since, self.silent_since = self.silent_since, None
        if since is not None:
            _log.info("the store answers again, after %.0f s", time.time() - since)

    def _miss(self, request: HttpRequest) -> None:
        with self._lock:
            self._missed.append(request)
            self._misses_in_a_row += 1
            if self._misses_in_a_row < _MISSES or self.silent_since is not None:
                return
            self.silent_since = time.time()
        _log.error(
            "the store is silent: %d lookups in a row had no answer within %g s; requests get tryLater at once until "
            "it answers again",
            _MISSES,
            self._deadline_s,
            extra=ALARM,
        )
        threading.Thread(target=self._probe, name="probe", daemon=True).start()

    def _probe(self) -> None:
        while self.silent_since is not None:
            time.sleep(self._probe_s)
            request = self._missed[0]
            self._missed.rotate(-1)
            try:
                reply = self._respond(self._source, request, int(time.time()))
            except Exception:  # noqa: BLE001 - a thread that dies of it would leave the silence on for ever
                _log.exception("a defect while looking whether the store answers", extra=ALARM)
                self._hear()  # a defect is no silence: requests are to show it as they always do
                return
            if reply.record.outcome is not Outcome.UNREACHABLE:
                self._hear()


class _Unasked:
    """A source whose store is not asked."""

    def __init__(self, source: AnswerSource, why: str) -> None:
        self._source = source
        self._why = why

    @property
    def generation(self) -> int | None:
        return self._source.generation

    @property
    def freshness(self) -> Freshness | None:
        return self._source.freshness

    def lookup(self, _cert_id: CertID) -> Answer | None:
        raise TimeoutError(self._why)
