"""Which generation an edge serves: the newest that it can serve whole, by its own clock.

A copy of a store may be made in any order, and clocks differ. A commit whose packs are not there yet, or whose answers
begin later than it is here, would turn good answers into ``tryLater``. So:

* A new generation is taken over only when its manifest, its tables and all of its packs are there (each pack's
  directory is read, which ends it: a pack that is still being copied has none), and when no answer of its **shards**
  lies ahead of this clock. Overlays must be there, but their times do not count: they hold what is urgent, and what
  they do not hold is still answered by the shards.
* Until then the old one stays, and each refresh tries again, at the cost of the packs that were missing (64 at most).
* It stays for as long as it can be served itself. When its first answers run out, half a new generation is better.
* What is loaded is looked after: a store that was removed, emptied or replaced under a running edge does not fail
  lookups while its packs are open, and shows no new commit; nobody would notice until the answers run out.
* A new process has no old one: it looks back a few commits for the last that can be served; if there is none, it takes
  the newest as it is.
* What was loaded though packs of it are missing is looked at until they are there, and is not called ready before.
"""

import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice

from storage.commits import Head, commit_name, find_head, read_commit
from storage.edge.caching import EXPIRY_MARGIN_S
from storage.edge.log import ALARM, SERVER
from storage.errors import (
    FormatError,
    NothingPublishedError,
    NotServableError,
    StorageError,
    TruncatedError,
    VanishedError,
)
from storage.manifest import Shard
from storage.reader import Generation, Reader
from storage.stores.base import ReadableStore

_THREADS = 32  # a remote read waits, it does not compute
_PACKS_AT_ONCE = 64
_MAX_COMMITS_BACK = 3
_LOOK_AFTER_S = 30.0
_EXAMPLES = 3

_log = logging.getLogger(SERVER)


class ServingReader(Reader):
    """A reader that takes a generation over only when it can be served.

    Args:
        store: where generations are published.
        clock: seconds since 1970.
    """

    def __init__(self, store: ReadableStore, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(store)
        self._clock = clock
        self._waiting: Generation | None = None  # the newest, loaded as far as it was there
        self._looked_after_at = self._clock()
        self._vanished: str | None = None
        self._is_whole = True

    def refresh(self) -> bool:
        """Load the newest generation that can be served; tell whether it is another than before.

        Raises:
            NotServableError: the newest cannot be served whole yet; what is loaded stays, which may be that very one.
            VanishedError: the store no longer holds what is loaded, which stays.
            StorageError, OSError: as `Reader.refresh` does.
        """
        current = self._current
        head = find_head(self._store, current.head if current else None)
        if head is None:
            raise NothingPublishedError(self._store.url)
        if current and head is current.head:
            self._look_after(current)
            return False
        try:
            newest = self._load(head)
        except (StorageError, FileNotFoundError):
            if current is None:
                self._current = self._before(head)
            raise
        reason = self._why_not(newest)
        if reason is not None:
            if current is None:
                self._current = self._before(head)
            if self._current and not self._runs_out(self._current):
                raise NotServableError(head.commit.number, reason)
            text = "commit %d is loaded though it cannot be served whole: %s"
            _log.error(text, head.commit.number, reason, extra=ALARM)
        self._current, self._waiting, self._is_whole = newest, None, reason is None
        return True

    def store_clock_s(self) -> float | None:
        """Return what the store's own clock says, where that costs no write."""
        return self._store.clock_s(may_write=False)

    def _look_after(self, current: Generation) -> None:
        """Look whether what is loaded is still in the store; and whether all of it has come, where it had not."""
        if not self._is_whole:
            if (absence := self._absence(current)) is not None:
                raise NotServableError(current.commit.number, absence, not current.packs)
            self._is_whole = True
        if self._vanished is None and not self._store.is_local:  # there, each look costs two requests
            if abs(self._clock() - self._looked_after_at) < _LOOK_AFTER_S:
                return
            self._looked_after_at = self._clock()
        self._vanished = self._missing(current)
        if self._vanished:
            raise VanishedError(self._store.url, current.commit.number, self._vanished)

    def _missing(self, current: Generation) -> str | None:
        """Return what is missing, of the commit and one of the packs: another one each time, or the last one."""
        commit = commit_name(current.commit.number)
        try:
            is_same = self._store.get(commit) == current.head.octets
        except FileNotFoundError:
            is_same = False
        if not is_same:
            return commit
        packs = [shard.pack for shard in current.manifest.searched]
        pack = self._vanished if self._vanished in packs else random.choice(packs)  # noqa: S311 - guards no secret
        return None if self._store.exists(pack) else pack

    def _load(self, head: Head) -> Generation:
        if self._waiting is None or self._waiting.head.octets != head.octets:
            self._waiting = Generation(self._store, head, self._current)
        return self._waiting

    def _before(self, head: Head) -> Generation | None:
        """Return the last generation before this commit that can be served, of a few."""
        number = head.commit.number
        for earlier in range(number - 1, max(number - 1 - _MAX_COMMITS_BACK, 0), -1):
            try:
                found = read_commit(self._store, earlier)
                generation = Generation(self._store, found, self._waiting) if found else None
            except (StorageError, FileNotFoundError):
                continue
            if generation and not self._runs_out(generation) and self._why_not(generation) is None:
                return generation
        return None

    def _runs_out(self, generation: Generation) -> bool:
        return self._clock() > min(shard.next_update for shard in generation.manifest.shards) - EXPIRY_MARGIN_S

    def _why_not(self, generation: Generation) -> str | None:
        """Return why a generation cannot be served whole; None: it can.

        Raises:
            OSError: the store does not answer.
        """
        begins = generation.freshness.begins
        if begins > self._clock():
            return (
                f"its answers begin at {_text(begins)}, which is later than it is here: look after the clocks of this "
                "edge and of the publisher"
            )
        return self._absence(generation)

    def _absence(self, generation: Generation) -> str | None:
        """Return which packs are not there or not whole; those that are need not be looked at again."""
        shards = generation.manifest.searched
        rest = iter({shard.pack: shard for shard in shards if shard.pack not in generation.packs}.values())
        while some := list(islice(rest, _PACKS_AT_ONCE)):
            faults = [fault for fault in self._each(lambda shard: _fault(generation, shard), some) if fault]
            if faults:
                examples = ", ".join(faults[:_EXAMPLES])
                return (
                    f"of {len(shards)} packs, {len(faults)} or more are not there: {examples}; where the store is a "
                    "copy, copy packs, tables and windows first, then manifests, and commits last"
                )
        return None

    def _each(self, look: Callable[[Shard], str | None], shards: list[Shard]) -> Iterable[str | None]:
        if self._store.is_local:
            return [look(shard) for shard in shards]
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="takeover") as pool:
            return list(pool.map(look, shards))


def _fault(generation: Generation, shard: Shard) -> str | None:
    """Return what is wrong with a pack, by its directory; None: nothing."""
    try:
        generation.pack(shard)
    except FileNotFoundError:
        return shard.pack
    except TruncatedError:
        return f"{shard.pack} (not whole)"
    except FormatError as damage:
        return f"{shard.pack} ({damage.detail})"
    return None


def _text(instant: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(0, instant)).isoformat().replace("+00:00", "Z")
