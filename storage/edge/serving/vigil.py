"""One worker, watched by itself: what it has loaded, what it notices of the store, and what it counts."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

from storage.certid import CertID
from storage.edge.following.refresh import Refresher
from storage.edge.logs.log import ALARM, REQUESTS, SERVER, LineHandler
from storage.edge.record import LoggedRequest, Outcome
from storage.edge.respond import HttpRequest, Reply
from storage.edge.serving.patience import PatientLookups
from storage.edge.serving.settings import Settings
from storage.edge.source import LiveSource
from storage.edge.watching.alarms import Alarms
from storage.edge.watching.canaries import Canaries
from storage.edge.watching.canary import status_in
from storage.edge.watching.cells import Cells
from storage.edge.watching.counters import Counts
from storage.edge.watching.readiness import Readiness, Reason, instant_text, readiness_of, too_old
from storage.edge.watching.state import state_of
from storage.edge.watching.troubles import Troubles
from storage.request import encode_request

_FIRST_REFRESH_S = 5.0
_FIRST_CANARIES_S = 2.0
_PERIOD_S = 1.0

_log = logging.getLogger(SERVER)


def counts_in(folder: Path | None) -> Counts:
    """Return the counts of this worker, in the folder where its server reads them."""
    try:
        return Counts(Cells(folder))
    except OSError as failure:  # an edge that cannot be counted answers all the same
        _log.error("the metrics lack this worker: %s", failure, extra=ALARM)
        return Counts(Cells())


class Vigil:
    """Follows the store, and knows how this worker is.

    Args:
        source: where answers come from.
        lookups: those that wait for the store.
        settings: how this worker answers.
        counts: what it has counted.
        reply: replies to a request as to those of clients.
    """

    def __init__(
        self,
        source: LiveSource,
        lookups: PatientLookups,
        settings: Settings,
        counts: Counts,
        reply: Callable[[HttpRequest, int], Awaitable[Reply]],
    ) -> None:
        self._source = source
        self._lookups = lookups
        self._counts = counts
        self._refresher = Refresher(source, settings.refresh_s, count=counts.refresh)
        self._troubles = Troubles()
        self._alarms = Alarms()
        self._max_age_s = settings.max_age_s
        self._reply = reply
        self._canaries = Canaries(settings.canaries, self._ask)

    def readiness(self, now: int) -> Readiness:
        """Return how ready this worker is, with all that its parts have noticed."""
        noticed = (*self._noticed(), *too_old(self._source.loaded, now, self._max_age_s))
        return readiness_of(self._source, now, noticed)

    def _noticed(self) -> Iterator[Reason]:
        yield from self._refresher.reasons()
        yield from self._canaries.reasons()
        if (since := self._lookups.silent_since) is not None:
            text = f"the store is silent since {instant_text(int(since))}: lookups get tryLater at once"
            yield Reason(code="store.unreachable", message=text)
        else:
            yield from self._troubles.reasons()

    def note(self, record: LoggedRequest, now: int, microseconds: int, *, is_kept: bool = False) -> None:
        """Take note of a request.

        Args:
            record: what came of it.
            now: when it was answered, in seconds since 1970.
            microseconds: how long its reply took.
            is_kept: whether the reply was kept in memory, so that it says nothing of the store.
        """
        if is_kept:
            self._counts.look_up("memory")
        else:
            self._troubles.look_at(record)
        self._counts.note(record, now, microseconds)

    async def start(self) -> None:
        """Begin to follow the store, and wait a while for the first generation."""
        await asyncio.to_thread(self._refresher.start, _FIRST_REFRESH_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_CANARIES_S):
                await self._ask_for_canaries()
        self._tell()

    def stop(self) -> None:
        """Follow the store no more."""
        self._refresher.stop()
        self._tell()

    async def run(self) -> None:
        """Look after this worker, once a second, until the task is cancelled."""
        asking = asyncio.create_task(self._keep_asking())
        try:
            while True:
                await asyncio.sleep(_PERIOD_S)
                self._refresher.tell_if_it_hangs()
                self._tell()
        finally:
            asking.cancel()

    async def _keep_asking(self) -> None:
        """Ask for canaries; apart from the rest, which does not wait for a store that is slow."""
        while True:
            await self._ask_for_canaries()
            await asyncio.sleep(_PERIOD_S)

    async def _ask_for_canaries(self) -> None:
        try:
            await self._canaries.look(self._source.loaded, self._source.generation, int(time.time()))
        except Exception:  # noqa: BLE001 - as below
            _log.exception("a defect while asking for canaries", extra=ALARM)

    async def _ask(self, cert_id: CertID) -> str:
        """Ask for a certificate as a client does; return its status, or in a word why there is none."""
        request = HttpRequest(method="POST", raw_path=b"/", headers={}, body=encode_request(cert_id))
        reply = await self._reply(request, int(time.time()))
        if reply.record.outcome is not Outcome.ANSWERED:
            return reply.record.outcome.value
        return status_in(reply.body, cert_id) or "with no status"

    def _tell(self) -> None:
        now = int(time.time())
        try:
            readiness = self.readiness(now)
            self._alarms.look_at(readiness.reasons)
            self._hand_over(readiness)
        except Exception:  # noqa: BLE001 - a watch that ends of a defect would raise no alarm any more
            _log.exception("a defect while looking after readiness", extra=ALARM)

    def _hand_over(self, readiness: Readiness) -> None:
        """Tell the server what it shows of this worker."""
        loaded = self._source.loaded
        if loaded is not None:
            self._counts.know(loaded.issuers)
        self._counts.set_lines(*_lines())
        self._counts.say(
            state_of(
                readiness,
                freshness=self._source.freshness,
                loaded=loaded,
                is_silent=self._lookups.silent_since is not None,
                canaries=self._canaries.counts,
            )
        )


def _lines() -> tuple[int, int]:
    """Return how many lines of the log of requests were written so far, and how many lost."""
    writers = [one.writer for one in logging.getLogger(REQUESTS).handlers if isinstance(one, LineHandler)]
    return sum(one.written_count for one in writers), sum(one.lost_count for one in writers)
