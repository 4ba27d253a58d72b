"""Which generation an edge serves: the newest that it can serve whole, by its own clock.

A copy of a store may be made in any order, and clocks differ. A commit whose packs are not there yet, or whose answers
begin later than it is here, would turn good answers into ``tryLater``. So:

* A new generation is taken over only when its manifest, its tables and all of its packs are there (`presence`), and
  when no answer of its **shards** lies ahead of this clock. Overlays must be there, but their times do not count: they
  hold what is urgent, and what they do not hold is still answered by the shards.
* Until then the last one that can be served whole stays, and each refresh tries again, at the cost of the packs that
  were missing (64 at most).
* **What is urgent does not wait.** The overlays of each generation that waits are searched before the one that is
  served, the newest first, as soon as their packs are there. Of the commits that have the same shards the newest
  counts, for its overlays say all that those of the others say. And where the next run has folded a revocation into
  shards that wait too, the overlay that brought it is found by going back through the log, from run to run: none is
  dropped before the shards come that hold what it says.
* The old one stays for as long as it can be served itself. When its first answers run out, half a new one is better.
* What is loaded is looked after: a store that was removed, emptied or replaced under a running edge does not fail
  lookups while its packs are open, and shows no new commit; nobody would notice until the answers run out.
* A new process has no old one. It looks beyond commits that are missing (`gaps`), for the one before it may have served
  what comes after them; then it looks back a few commits for the last that can be served; if there is none, it takes
  the newest as it is.
* What was loaded though packs of it are missing is looked at until they are there, and is not called ready before.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from storage.certid import CertID
from storage.commits import Head, commit_name, find_head, read_commit
from storage.edge.caching import EXPIRY_MARGIN_S
from storage.edge.following.gaps import beyond_gap, newest_of_copy
from storage.edge.following.presence import absence
from storage.edge.logs.log import ALARM, SERVER
from storage.edge.source import Loaded
from storage.errors import CommitMissingError, NothingPublishedError, NotServableError, StorageError, VanishedError
from storage.reader import Answer, Generation, Reader
from storage.stores.base import ReadableStore

_MAX_BACK = 6  # generations that are looked at in one refresh, where the newest cannot be served
_LOOK_AFTER_S = 30.0

_log = logging.getLogger(SERVER)


class _Search(NamedTuple):
    """What a look through the newest commits has found.

    Attributes:
        servable: the newest generation that can be served whole and is newer than what is loaded; None: there is none.
        waiting: the newer ones that cannot be, the newest first, as far as they can be loaded.
        fault: why the newest of all cannot be served whole; None: it can.
    """

    servable: Generation | None
    waiting: tuple[Generation, ...]
    fault: StorageError | FileNotFoundError | None


class ServingReader(Reader):
    """A reader that takes a generation over only when it can be served.

    Args:
        store: where generations are published.
        clock: seconds since 1970.
        let_go: called when packs that were served are not served any more. A file that is kept open takes room on the
            disk though it was deleted.
    """

    def __init__(
        self,
        store: ReadableStore,
        *,
        clock: Callable[[], float] = time.time,
        let_go: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(store)
        self._let_go = let_go
        self._clock = clock
        self._newest: Head | None = None
        self._loaded: dict[int, Generation] = {}  # those that wait, by number, as far as they were there
        self._above: tuple[Generation, ...] = ()  # whose overlays are searched first, the newest first
        self._looked_after_at = self._clock()
        self._vanished: str | None = None
        self._beyond: int | None = None  # commit that was published though the next one is missing
        self._is_gap = False
        self._looked_beyond_at = self._clock()
        self._is_whole = True
        self._epoch: tuple[Generation | None, tuple[Generation, ...]] = None, ()

    @property
    def epoch(self) -> object:
        """What lookups search, as one object; another one only when that has changed, and never before it has."""
        return self._epoch

    def lookup(self, cert_id: CertID) -> Answer | None:
        """Return the answer for a CertID, or None where this store is not authoritative for it; see `Reader.lookup`.

        What waits with its shards alone speaks first.
        """
        for waiting in self._above:
            found, answer = waiting.urgent(cert_id)
            if found:
                return answer
        return super().lookup(cert_id)

    def refresh(self) -> bool:
        """Load the newest generation that can be served; tell whether it is another than before.

        Raises:
            CommitMissingError: a commit is missing before a newer one.
            NotServableError: the newest cannot be served whole yet; an older one is served, which may be what is
                loaded, or that very one.
            VanishedError: the store no longer holds what is loaded, which stays.
            StorageError, OSError: as `Reader.refresh` does.
        """
        try:
            return self._follow()
        finally:
            searched = self._current, self._above
            if searched != self._epoch:
                self._epoch = searched

    def _follow(self) -> bool:
        current = self._current
        head = find_head(self._store, self._newest)
        if self._newest is None and head is not None:
            head = newest_of_copy(self._store, head)
        if head is None:
            raise NothingPublishedError(self._store.url)
        self._newest = head
        if current and head.octets == current.head.octets:
            self._look_after(current)
            return False
        found = self._search(head)
        if found.fault is None and found.servable is not None:
            self._take(found.servable)
            return True
        newest = found.waiting[0] if found.waiting and found.waiting[0].head.octets == head.octets else None
        served = found.servable or current
        if newest is not None and (served is None or self._is_better(newest, served)):
            text = "commit %d is loaded though it cannot be served whole: %s"
            _log.error(text, head.commit.number, getattr(found.fault, "reason", found.fault), extra=ALARM)
            self._take(newest, is_whole=False)
            return True
        self._put_above(found.waiting, found.servable)
        raise found.fault or NotServableError(head.commit.number, "it was not looked at")

    @property
    def loaded(self) -> Loaded | None:
        """What is loaded."""
        if self._current is None:
            return None
        manifest, commit = self._current.manifest, self._current.commit
        return Loaded(
            as_of=commit.as_of,
            behind={one.name: one.as_of for one in manifest.left_behind if one.as_of is not None},
            overlays=len(manifest.overlays) + sum(len(one.manifest.overlays) for one in self._above),
            issuers=self._current.issuers,
        )

    def store_clock_s(self) -> float | None:
        """Return what the store's own clock says, where that costs no write."""
        return self._store.clock_s(may_write=False)

    def _take(self, generation: Generation, *, is_whole: bool = True) -> None:
        """Serve a generation, and nothing above it."""
        self._serve(generation, is_whole=is_whole)
        self._above, self._loaded = (), {}

    def _serve(self, generation: Generation, *, is_whole: bool) -> None:
        former, self._current, self._is_whole = self._current, generation, is_whole
        self._beyond, self._is_gap = None, False
        if former is not None and self._let_go is not None and not _packs(former) <= _packs(generation):
            self._let_go()

    def _put_above(self, waiting: tuple[Generation, ...], servable: Generation | None) -> None:
        """Search the overlays of those that wait first, and below them what can be served."""
        ready = [one for one in waiting if self._overlays_are_there(one)]
        served = servable or self._current
        least = served.commit.number if served else 0
        above = sorted((*ready, *self._above), key=lambda one: -one.commit.number)
        by_base: dict[int, Generation] = {}
        for one in above:
            if one.commit.number > least:
                by_base.setdefault(one.commit.base, one)
        self._above = tuple(one for one in by_base.values() if one.manifest.overlays)
        if servable is not None:  # only now, so that at no moment an overlay is missing
            self._serve(servable, is_whole=True)
        self._loaded = {one.commit.number: one for one in (*self._above, *waiting)}

    def _overlays_are_there(self, generation: Generation) -> bool:
        return absence(generation, generation.manifest.overlays, is_local=self._store.is_local) is None

    def _look_after(self, current: Generation) -> None:
        """Look whether what is loaded is still in the store; and whether all of it has come, where it had not."""
        if not self._is_whole:
            if (reason := self._absence(current)) is not None:
                raise NotServableError(current.commit.number, reason, not current.packs)
            self._is_whole = True
        if self._vanished is None and not self._store.is_local:  # there, each look costs two requests
            if abs(self._clock() - self._looked_after_at) < _LOOK_AFTER_S:
                self._look_beyond(current)
                return
            self._looked_after_at = self._clock()
        self._vanished = self._missing(current)
        if self._vanished:
            raise VanishedError(self._store.url, current.commit.number, self._vanished)
        self._look_beyond(current)

    def _look_beyond(self, current: Generation) -> None:
        """Look whether the next commit is missing; raise where it is at two looks, which is more than a copy needs."""
        number, now = current.commit.number, self._clock()
        if abs(now - self._looked_beyond_at) >= _LOOK_AFTER_S:
            self._looked_beyond_at = now
            before, self._beyond = self._beyond, beyond_gap(self._store, number)
            self._is_gap = None not in (before, self._beyond)
        if self._is_gap and self._beyond is not None:
            raise CommitMissingError(self._store.url, number + 1, self._beyond)

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

    def _search(self, head: Head) -> _Search:
        """Look for the newest generation that can be served whole, from the head backwards.

        Raises:
            OSError: the store does not answer.
        """
        waiting: list[Generation] = []
        fault: StorageError | FileNotFoundError | None = None
        for candidate in self._backwards(head):
            try:
                generation = self._load(candidate)
            except (StorageError, FileNotFoundError) as e:
                fault = fault or e
                continue
            reason = self._why_not(generation)
            if reason is None and (candidate is head or not self._runs_out(generation)):
                return _Search(generation, tuple(waiting), fault)
            fault = fault or NotServableError(candidate.commit.number, reason or "its answers run out")
            waiting.append(generation)
        return _Search(None, tuple(waiting), fault)

    def _backwards(self, head: Head) -> Iterator[Head]:
        """Yield the head and commits before it that are newer than what is loaded, and worth looking at.

        Where a clock waits for shards, all commits that have these shards wait.
        """
        least = self._current.commit.number if self._current else 0
        one: Head | None = head
        for _ in range(_MAX_BACK):
            if one is None or one.commit.number <= least:
                return
            yield one
            generation = self._loaded.get(one.commit.number)
            number = one.commit.number
            if generation is not None and generation.freshness.begins > self._clock():
                number = one.commit.base
            one = self._commit(number - 1) if number - 1 > least else None

    def _commit(self, number: int) -> Head | None:
        """Return a commit of the log; None: it cannot be read."""
        if number in self._loaded:
            return self._loaded[number].head
        try:
            return read_commit(self._store, number)
        except StorageError:
            return None

    def _load(self, head: Head) -> Generation:
        number = head.commit.number
        if number not in self._loaded or self._loaded[number].head.octets != head.octets:
            older = [one for one in self._loaded.values() if one.commit.base == head.commit.base]
            self._loaded[number] = Generation(self._store, head, older[-1] if older else self._any())
        return self._loaded[number]

    def _any(self) -> Generation | None:
        """Return a generation of which a new one may take tables and directories over."""
        return self._current or next(iter(self._loaded.values()), None)

    def _is_better(self, newest: Generation, served: Generation) -> bool:
        """Tell whether the newest generation is to be served though it cannot be whole."""
        if self._runs_out(served):
            return True
        now = int(self._clock())
        if newest.freshness.begins > now:
            return False  # its answers would be of no use to anybody yet
        lives = {one.issuer_id for one in newest.freshness.issuers if one.state(now, EXPIRY_MARGIN_S) != "expired"}
        issuers = served.freshness.issuers
        return any(one.state(now, EXPIRY_MARGIN_S) == "expired" and one.issuer_id in lives for one in issuers)

    def _runs_out(self, generation: Generation) -> bool:
        """Tell whether all answers of a shard have run out, but for those that end with certificates."""
        return any(self._clock() > end - EXPIRY_MARGIN_S for end in generation.freshness.shard_ends[:1])

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
        return absence(generation, generation.manifest.searched, is_local=self._store.is_local)


def _text(instant: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(0, instant)).isoformat().replace("+00:00", "Z")


def _packs(generation: Generation) -> frozenset[str]:
    return frozenset(shard.pack for shard in generation.manifest.searched)
