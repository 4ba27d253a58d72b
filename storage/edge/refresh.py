"""A thread that follows the store, so that requests never wait for a new generation."""

import logging
import threading
import time
from collections.abc import Mapping

from storage.edge.log import ALARM, SERVER
from storage.edge.source import LiveSource
from storage.errors import NotServableError, StorageError, VanishedError

PERIOD_S = 3.0
"""A new commit is seen after so long; each look costs one GET, of a commit that is mostly not there yet."""

_REMINDER_S = 60.0
_HANGS_S = 30.0  # more than the time-outs of a remote store add up to

_log = logging.getLogger(SERVER)


class Refresher:
    """Calls `refresh` again and again; a failure is logged, and what is loaded stays in service."""

    def __init__(self, source: LiveSource, period_s: float = PERIOD_S, hangs_s: float = _HANGS_S) -> None:
        self._source = source
        self._period_s = period_s
        self._hangs_s = hangs_s
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._failure: str | None = None
        self._silent_s = 0.0
        self._began: float | None = None
        self._tell_at = 0.0
        self._thread = threading.Thread(target=self._run, name="refresh", daemon=True)

    def start(self, patience_s: float) -> None:
        """Begin, and wait for the first attempt to end, but not for longer than `patience_s`."""
        self._thread.start()
        self._tried.wait(patience_s)

    def stop(self) -> None:
        """End after the attempt that is under way, without waiting for it."""
        self._stop.set()

    def join(self, patience_s: float) -> None:
        """Wait for the end."""
        self._thread.join(patience_s)

    def tell_if_it_hangs(self) -> None:
        """Log an attempt that does not end, once a minute; for another thread, as this one cannot."""
        began, now = self._began, time.monotonic()
        if began is not None and now - began >= self._hangs_s and now >= self._tell_at:
            self._tell_at = now + _REMINDER_S
            _log.error(
                "refresh hangs, for %.0f s so far: the store is silent; %s", now - began, self._held(), extra=ALARM
            )

    def _run(self) -> None:
        while not self._stop.is_set():
            self._began = time.monotonic()
            self._attempt()
            self._began = None
            self._tried.set()
            self._stop.wait(self._period_s)

    def _attempt(self) -> None:
        try:
            swapped = self._source.refresh()
        except NotServableError as failure:  # which packs are missing changes while they are copied, and is no news
            self._report(f"{type(failure).__name__}: {failure}", about=f"commit {failure.number}")
        except VanishedError as failure:
            self._report(f"{type(failure).__name__}: {failure}", about=f"vanished {failure.number}", extra=ALARM)
        except (StorageError, OSError) as failure:
            self._report(f"{type(failure).__name__}: {failure}")
        except Exception:  # noqa: BLE001 - a defect must not end the refreshing: nobody would notice until answers expire
            _log.exception("refresh failed by a defect, %s", self._held())
        else:
            if swapped:
                _log.info("generation %s is loaded", self._source.generation)
            elif self._failure is not None:
                _log.info("refresh works again; generation %s is the newest", self._source.generation)
            self._failure = None

    def _held(self) -> str:
        generation = self._source.generation
        return "nothing is loaded" if generation is None else f"generation {generation} stays"

    def _report(self, failure: str, about: str | None = None, extra: Mapping[str, bool] | None = None) -> None:
        """Log a failure when it is new, or `about` something new, then once a minute."""
        about = about or failure
        self._silent_s += self._period_s
        if about != self._failure or self._silent_s >= _REMINDER_S:
            _log.error("refresh failed, %s: %s", self._held(), failure, extra=extra)
            self._silent_s = 0.0
        self._failure = about
