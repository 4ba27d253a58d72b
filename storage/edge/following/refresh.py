"""A thread that follows the store, so that requests never wait for a new generation."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from storage.edge.logs.log import ALARM, SERVER
from storage.edge.source import LiveSource
from storage.edge.watching.readiness import Reason
from storage.errors import CommitMissingError, NothingPublishedError, NotServableError, StorageError, VanishedError
from storage.freshness import CLOCK_TOLERANCE_S

PERIOD_S = 3.0
"""A new commit is seen after so long; each look costs one GET, of a commit that is mostly not there yet."""

_REMINDER_S = 60.0
_HANGS_S = 30.0  # more than the time-outs of a remote store add up to
_FAILS_S = 5.0  # one look that fails is no news: the next one comes after three seconds
_CLOCK_PERIOD_S = 300.0

_log = logging.getLogger(SERVER)


class Refresher:
    """Calls `refresh` again and again; a failure is logged, and what is loaded stays in service."""

    def __init__(
        self,
        source: LiveSource,
        period_s: float = PERIOD_S,
        hangs_s: float = _HANGS_S,
        *,
        count: Callable[[str], object] = bool,
    ) -> None:
        self._source = source
        self._period_s = period_s
        self._hangs_s = hangs_s
        self._count = count
        self._stop = threading.Event()
        self._tried = threading.Event()
        self._failure: str | None = None
        self._silent_s = 0.0
        self._began: float | None = None
        self._tell_at = 0.0
        self._trouble: tuple[float, Reason] | None = None
        self._clock_reason: Reason | None = None
        self._clock_at: float | None = None
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

    def reasons(self) -> Iterator[Reason]:
        """Yield what the looks for new generations show of the store; for another thread."""
        began, trouble, now = self._began, self._trouble, time.monotonic()
        if began is not None and now - began >= self._hangs_s:
            yield Reason(
                code="store.unreachable", message=f"the look for a new generation hangs, for {now - began:.0f} s so far"
            )
        elif trouble is not None and (trouble[1].code != "store.unreachable" or now - trouble[0] >= _FAILS_S):
            yield trouble[1]
        if self._clock_reason is not None:
            yield self._clock_reason

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._period_s)

    def look(self) -> None:
        """Look for a new generation once, and note what came of it."""
        self._began = time.monotonic()
        self._attempt()
        self._began = None
        self._tried.set()
        self._compare_clocks()

    def _attempt(self) -> None:
        try:
            swapped = self._source.refresh()
        except NotServableError as failure:  # which packs are missing changes while they are copied, and is no news
            self._note("generation.waiting", failure, is_total=failure.serves_nothing)
            self._report(f"{type(failure).__name__}: {failure}", about=f"commit {failure.number}")
        except VanishedError as failure:
            self._note("store.vanished", failure)
            self._report(f"{type(failure).__name__}: {failure}", about=f"vanished {failure.number}", extra=ALARM)
        except CommitMissingError as failure:
            self._note("commit.missing", failure)
            self._report(f"{type(failure).__name__}: {failure}", about=f"missing {failure.number}", extra=ALARM)
        except (StorageError, OSError) as failure:
            if isinstance(failure, NothingPublishedError):
                self._count("empty")  # nothing is loaded, which is said anyhow
            else:
                # A file that is not there is a part of a generation; the store itself has answered.
                is_there = isinstance(failure, StorageError | FileNotFoundError)
                self._note("generation.waiting" if is_there else "store.unreachable", failure)
            self._report(f"{type(failure).__name__}: {failure}")
        except Exception:  # noqa: BLE001 - a defect must not end the refreshing: nobody would notice until answers expire
            self._count("defect")
            _log.exception("refresh failed by a defect, %s", self._held())
        else:
            self._count("loaded" if swapped else "unchanged")
            if swapped:
                _log.info("generation %s is loaded", self._source.generation)
            elif self._failure is not None:
                _log.info("refresh works again; generation %s is the newest", self._source.generation)
            self._failure = None
            self._trouble = None

    def _compare_clocks(self) -> None:
        """Compare the clock here with that of the store, where it says what time it is; every few minutes."""
        now = time.monotonic()
        if self._clock_at is not None and now - self._clock_at < _CLOCK_PERIOD_S:
            return
        self._clock_at = now
        before, says, after = time.time(), self._source.store_clock_s(), time.time()
        if says is None:
            return
        ahead = (before + after) / 2 - says
        way = "ahead of" if ahead > 0 else "behind"
        self._clock_reason = (
            None
            if abs(ahead) <= CLOCK_TOLERANCE_S + after - before
            else Reason(code="clock", message=f"the clock here is {abs(ahead):.0f} s {way} that of the store")
        )

    def _note(self, code: str, failure: Exception, *, is_total: bool = False) -> None:
        """Note why the last look has failed, and since when looks fail so."""
        self._count(code)
        since = self._trouble[0] if self._trouble and self._trouble[1].code == code else self._began
        message = f"{type(failure).__name__}: {failure}"
        self._trouble = since or time.monotonic(), Reason(code=code, message=message, is_total=is_total)

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
