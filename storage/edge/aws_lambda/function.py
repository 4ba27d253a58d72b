"""One instance of the function: it answers one event after the other, and is frozen between them.

What is frozen sees no commits, so no thread follows the store. An instance whose last look is older than
``PREGEN_LOOK_EVERY`` (three seconds) looks for a newer commit before it answers, and waits for that no longer than for
a lookup; if the store does not answer, what is loaded is served as long as it holds. Nothing is left to be done after
the answer: the line of the log is written before it.

Settings are variables of the environment: ``PREGEN_STORE`` (the address of the store; credentials and region come from
the standard AWS_* variables), and, where the defaults are not wanted, ``PREGEN_MAX_AGE_CAP``,
``PREGEN_MAX_AGE``, ``PREGEN_STORE_DEADLINE``, ``PREGEN_UNREADY_WHEN_DEGRADED`` (``true``) and ``PREGEN_LOOK_EVERY``
(seconds).
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from storage.edge.aws_lambda.events import Event, EventResponse, read_event, written
from storage.edge.following.refresh import Refresher
from storage.edge.logs.addresses import ClientNames
from storage.edge.logs.log import SERVER, JsonFormatter
from storage.edge.record import OcspStatus, Outcome
from storage.edge.respond import HttpRequest, Reply, is_probe, ocsp_error, probe, respond
from storage.edge.serving.launch import check_deadline, max_age_cap_in, open_live_reader, seconds_in
from storage.edge.serving.patience import PatientLookups
from storage.edge.serving.request_log import RequestLog
from storage.edge.serving.settings import DEFAULT, Settings
from storage.edge.source import LiveSource
from storage.edge.watching.readiness import Reason, readiness_of, too_old
from storage.edge.watching.troubles import Troubles
from storage.stores import StoreAddress

_FIRST_LOOK_S: Final = 8.0  # of the ten that AWS gives to the start of an instance
_MOST_BETWEEN_LOOKS_S: Final = 3600.0
_STDOUT = 1
_T = TypeVar("_T")

_log = logging.getLogger(SERVER)


class LambdaFunction:
    """One instance, which answers one event at a time.

    Args:
        source: where answers come from; nothing need be loaded yet.
        settings: how it answers.
    """

    def __init__(self, source: LiveSource, settings: Settings = DEFAULT) -> None:
        self._source = source
        self._settings = settings
        self._respond = partial(respond, max_age_cap_s=settings.max_age_cap_s)
        self._lookups = PatientLookups(source, self._respond, deadline_s=settings.store_deadline_s)
        self._troubles = Troubles()
        self._refresher = Refresher(source, settings.refresh_s)
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="look")
        self._look: Future[None] | None = None
        self._look_began = 0.0
        self._was_too_slow = False
        self._loop = asyncio.new_event_loop()
        stdout = _Stdout()
        # An instance may sleep for as long as AWS likes, and answer again: no silence says that it is dead.
        self._request_log = RequestLog(
            ClientNames(settings.clients), put=stdout.put, lost=lambda: stdout.lost_count, has_host=False
        )

    def answer(self, event: Event) -> EventResponse:
        """Return the response to an event; its line is in the log by then.

        Raises:
            ValueError: the event is no request.
        """
        asked = read_event(event)
        self._request_log.tell_if_due()  # before the instant of this request, which its counters do not have
        self._request_log.arrive()
        instant, began = time.time(), time.perf_counter_ns()
        self.catch_up(self._settings.store_deadline_s)
        reply = self._reply(asked.request, int(time.time()))
        self._troubles.look_at(reply.record)
        self._request_log.note(reply.record, asked.remote, instant, (time.perf_counter_ns() - began) // 1000)
        return written(reply, event)

    def close(self) -> None:
        """Let go of what an instance holds until its end."""
        self._looks.shutdown(wait=False)
        self._loop.close()

    def catch_up(self, patience_s: float) -> None:
        """Look for a newer commit if the last look is not of just now; wait for it no longer than that.

        A look that was under way when the instance was frozen does not count: it may have seen the store as it was
        then. One that has been waited for in vain is not waited for again.
        """
        asked_at, end = time.time(), time.monotonic() + patience_s
        for _ in range(2):
            is_over = self._look is None or self._look.done()
            if is_over and self._look is not None and abs(asked_at - self._look_began) < self._settings.refresh_s:
                return
            if is_over:
                self._look_began, self._was_too_slow = time.time(), False
                self._look = self._looks.submit(self._refresher.look)
            elif self._was_too_slow:
                return
            assert self._look is not None
            try:
                self._look.result(max(0.0, end - time.monotonic()))
            except TimeoutError:
                self._was_too_slow = True
                return

    def _reply(self, request: HttpRequest, now: int) -> Reply:
        try:
            if is_probe(request):
                state = readiness_of(self._source, now, tuple(self._noticed(now)))
                return probe(request, now, state, unready=self._settings.unready_states)
            return self._loop.run_until_complete(self._lookups.reply(request, now))
        except Exception as defect:  # noqa: BLE001 - the border of the process; OCSP has a word for defects
            _log.exception("a defect while answering")
            return ocsp_error(request, now, OcspStatus.internalError, Outcome.DEFECT, detail=repr(defect))

    def _noticed(self, now: int) -> Iterator[Reason]:
        yield from self._refresher.reasons()
        yield from self._troubles.reasons()
        yield from too_old(self._source.loaded, now, self._settings.max_age_s)


def open_function(environment: Mapping[str, str]) -> LambdaFunction:
    """Return an instance that has looked for a generation once.

    Raises:
        ValueError: a variable is missing or wrong; the text names it.
        OSError: there are no credentials for the store.
    """
    _speak()
    function = LambdaFunction(_source_of(environment), _settings_of(environment))
    function.catch_up(_FIRST_LOOK_S)
    return function


def handler(event: Event, _context: object) -> EventResponse:
    """Answer an event; what AWS Lambda calls."""
    global _function  # noqa: PLW0603 - an instance is one process, and AWS calls a function, not an object
    if _function is None:
        _function = open_function(os.environ)
    return _function.answer(event)


def _source_of(environment: Mapping[str, str]) -> LiveSource:
    return _read(environment, "PREGEN_STORE", "", lambda text: open_live_reader(StoreAddress(text)))[0]


def _settings_of(environment: Mapping[str, str]) -> Settings:
    return Settings(
        max_age_cap_s=_read(environment, "PREGEN_MAX_AGE_CAP", str(DEFAULT.max_age_cap_s), max_age_cap_in),
        store_deadline_s=_read(environment, "PREGEN_STORE_DEADLINE", str(DEFAULT.store_deadline_s), _deadline),
        unready_when_degraded=_read(environment, "PREGEN_UNREADY_WHEN_DEGRADED", "false", _flag),
        max_age_s=_read(environment, "PREGEN_MAX_AGE", "", lambda text: seconds_in(text) if text else None),
        refresh_s=_read(environment, "PREGEN_LOOK_EVERY", str(DEFAULT.refresh_s), _bound),
    )


def _read(environment: Mapping[str, str], name: str, otherwise: str, read: Callable[[str], _T]) -> _T:
    try:
        return read(environment.get(name, otherwise))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _deadline(text: str) -> float:
    check_deadline(seconds := float(text))
    return seconds


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _bound(text: str) -> float:
    if not 0 <= (seconds := float(text)) <= _MOST_BETWEEN_LOOKS_S:
        raise ValueError(f"{text} s is no time between looks for a newer commit: give 0 to {_MOST_BETWEEN_LOOKS_S:g}")
    return seconds


def _speak() -> None:
    """Let the server's own words go to stderr at once: no thread that a frozen instance would leave waiting."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    _log.handlers, _log.propagate = [handler], False
    _log.setLevel(logging.INFO)


class _Stdout:
    """Takes lines, and writes each at once."""

    def __init__(self) -> None:
        self.lost_count = 0

    def put(self, line: bytes) -> None:
        left = line + b"\n"
        try:
            while left:
                left = left[os.write(_STDOUT, left) :]
        except OSError:  # no line is worth the request that it is about
            self.lost_count += 1


# AWS gives the import of this module ten seconds and a whole CPU, so that no client waits for what is loaded here. A
# wrong variable is told there, and not to the first client. Whoever imports it elsewhere loads nothing.
_function: LambdaFunction | None = open_function(os.environ) if "AWS_LAMBDA_RUNTIME_API" in os.environ else None
