"""The log of requests of one worker: a line for each of them, and counters by which readers tell whether it is whole.

Counters are a line of their own, at the start, once a minute and at the orderly end. `lines` counts all lines of this
worker before that one, whatever they are about, less those that are lost: so many must be there, in the order of the
log. `under_way` are requests that are complete, and whose lines come later.
"""

import asyncio
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from storage.edge.logs.addresses import ClientNames
from storage.edge.logs.log import ALARM, SERVER, lost_request_lines, request_lines
from storage.edge.record import LoggedRequest, time_text

COUNTERS_S: Final = 60.0
"""Between two lines of counters."""

_log = logging.getLogger(SERVER)


class RequestLog:
    """What one worker logs of requests.

    Args:
        names: of clients.
        sample: one of so many good answers is logged.
        worker: its name in the log; drawn, for a worker that takes its place must have another one.
        put: takes lines; None: the log of this process.
        lost: says how many of them are lost so far; None: of the log of this process.
        has_host: whether counters name the machine. Of workers that name none, silence does not say that they are dead.
    """

    def __init__(
        self,
        names: ClientNames,
        *,
        sample: int = 1,
        worker: str | None = None,
        put: Callable[[bytes], None] | None = None,
        lost: Callable[[], int] | None = None,
        has_host: bool = True,
    ) -> None:
        self._names = names
        self._sample = sample
        self._worker = worker or secrets.token_hex(4)
        self._put = put or request_lines()
        self._lost = lost or lost_request_lines
        self._host = {"host": os.uname().nodename} if has_host else {}
        self._began = time.time()
        self._complete = self._noted = self._lines = self._sampled_out = 0
        self._place = self._chosen = 0
        self._told_at = float("-inf")

    @property
    def wants_forwarded(self) -> bool:
        """Whether `note` is to be told of ``X-Forwarded-For``."""
        return self._names.has_proxies

    def arrive(self) -> None:
        """Count a request that is complete; `note` must follow."""
        self._complete += 1

    def note(
        self, record: LoggedRequest, peer: str, instant: float, microseconds: int, forwarded: Sequence[str] = ()
    ) -> None:
        """Log a request.

        Args:
            record: what came of it.
            peer: address of the other end of its connection.
            instant: when it was complete, in seconds since 1970.
            microseconds: how long its reply took.
            forwarded: the values of ``X-Forwarded-For``, where they are wanted.
        """
        self._noted += 1
        weight = 1
        if self._sample > 1 and record.answer is not None and record.answer.status == "good":
            if not self._is_chosen():
                self._sampled_out += 1
                return
            weight = self._sample
        self._lines += 1
        name = self._names.name(peer, forwarded)
        self._put(record.line(instant, name, microseconds, self._worker, weight).encode())

    def _is_chosen(self) -> bool:
        """Return whether this good answer is logged: of each `sample` in a row, one that is drawn."""
        if not self._place:
            self._chosen = secrets.randbelow(self._sample)
        is_chosen = self._place == self._chosen
        self._place = (self._place + 1) % self._sample
        return is_chosen

    def tell_if_due(self) -> None:
        """Write counters where the last ones are a minute old, for who has no task that does so (`run`)."""
        if time.monotonic() - self._told_at >= COUNTERS_S:
            self.tell()

    def tell(self, *, is_end: bool = False) -> None:
        """Write a line of counters."""
        self._told_at = time.monotonic()
        lost = self._lost()
        counters = {
            "requests": self._complete,
            "lines": self._lines - lost,
            "lost": lost,
            "sampled_out": self._sampled_out,
            "under_way": self._complete - self._noted,
        }
        fields: dict[str, object] = {
            "time": time_text(time.time()),
            "worker": self._worker,
            **self._host,
            "counters": counters,
            "sample": self._sample,
            "began": time_text(self._began),
        }
        self._lines += 1
        self._put(json.dumps(fields | ({"ended": True} if is_end else {})).encode())

    async def run(self) -> None:
        """Write counters once a minute, until the task is cancelled; read the key of pseudonyms again."""
        while True:
            await asyncio.sleep(COUNTERS_S)
            self.tell()
            try:
                self._names.refresh()
            except ValueError as error:
                _log.error("%s; clients get names by the old key", error, extra=ALARM)
