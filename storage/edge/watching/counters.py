"""What a worker counts while it answers: plain numbers in cells (`cells.py`), added to in about a microsecond.

Labels are bounded, whatever clients send: of methods the three that are answered, of hashes the two that are known, of
issuers those of the tables, and "other" for the rest; "none" where a request names no certificate.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import product
from threading import Lock
from typing import Any, Final

from storage.certid import HASH_NAMES
from storage.edge.record import LoggedRequest, Outcome
from storage.edge.watching.cells import Cells

MICROSECONDS: Final = (
    10,
    20,
    50,
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    2_500_000,
)
"""Upper bounds of the buckets for how long a reply took; the last bucket has none."""

SPANS_S: Final = (300, 3_600, 3 * 3_600, 6 * 3_600, 12 * 3_600, *(day * 86_400 for day in (1, 2, 3, 4, 5, 7, 10, 14)))
"""Upper bounds of the buckets for the age of answers when they are served, and for the life that they have left."""

OTHER: Final = "other"
NONE: Final = "none"
PLACES: Final = ("memory", "disk", "store")
OPERATIONS: Final = ("get", "get_range", "exists", "clock")
STORE_RESULTS: Final = ("ok", "absent", "error")
REFRESHES: Final = (
    "unchanged",
    "loaded",
    "empty",
    "generation.waiting",
    "commit.missing",
    "store.vanished",
    "store.unreachable",
    "defect",
)
LINES: Final = ("written", "dropped")

REQUESTED, DURATION, LEFT, AGE = "requests", "duration", "left", "age"
LOOKUPS, STORE, REFRESH, LOG = "lookups", "store", "refresh", "log"
SUM: Final = "sum"

_METHODS = frozenset({"GET", "HEAD", "POST"})
_MOST_ISSUERS = 1_000
_KEPT_CELLS = len(Outcome) * (len(_METHODS) + 1) * 4  # for all that is said of "other" and "none"
_DURATION_SUM, _SPAN_SUM = len(MICROSECONDS) + 1, len(SPANS_S) + 1

IssuerOf = Mapping[tuple[str, bytes, bytes], str]
"""The label of an issuer by the first three members of a CertID."""


class Counts:
    """The counts of one worker.

    Args:
        cells: where they are kept.
    """

    def __init__(self, cells: Cells) -> None:
        self._cells = cells
        self._view = cells.view
        self._issuers: IssuerOf = {}
        self._labels: set[str] = set()
        self._slots: dict[tuple[str, str, str, str], int] = {}
        self._duration = self._histogram(DURATION, len(MICROSECONDS))
        self._left = self._histogram(LEFT, len(SPANS_S))
        self._age = self._histogram(AGE, len(SPANS_S))
        self._places = {place: cells.take((LOOKUPS, place)) for place in PLACES}
        self._store = {pair: cells.take((STORE, *pair)) for pair in product(OPERATIONS, STORE_RESULTS)}
        self._refresh = {what: cells.take((REFRESH, what)) for what in REFRESHES}
        self._lines = {what: cells.take((LOG, what)) for what in LINES}
        self._lock = Lock()  # for what threads count; requests are counted by one

    def _histogram(self, what: str, bounds: int) -> int:
        return self._cells.take(*((what, str(at)) for at in range(bounds + 1)), (what, SUM))

    def know(self, issuers: IssuerOf) -> None:
        """Take note of the issuers of what is loaded."""
        if issuers is self._issuers:
            return
        self._labels.update(list(dict.fromkeys(issuers.values()))[: max(0, _MOST_ISSUERS - len(self._labels))])
        self._issuers = issuers

    def note(self, record: LoggedRequest, now: int, microseconds: int) -> None:
        """Count a request.

        Args:
            record: what came of it.
            now: when it was answered, in seconds since 1970.
            microseconds: how long its reply took.
        """
        view, named, outcome = self._view, record.cert_id, record.outcome
        hash_name = issuer = NONE
        if named is not None:
            hash_name = HASH_NAMES.get(named[0], OTHER)
            issuer = self._issuers.get(named[:3], OTHER)
        at = self._slots.get((outcome, record.method, hash_name, issuer))
        if at is None:
            at = self._slot(outcome, record.method, hash_name, issuer)
        view[at] += 1
        if record.ocsp is not None:
            at = self._duration
            view[at + bisect_left(MICROSECONDS, microseconds)] += 1
            view[at + _DURATION_SUM] += microseconds
        answer = record.answer
        if answer is not None:
            value, at = answer.next_update - now, self._left
            view[at + bisect_left(SPANS_S, value)] += 1
            view[at + _SPAN_SUM] += value
            value, at = now - answer.this_update, self._age
            view[at + bisect_left(SPANS_S, value)] += 1
            view[at + _SPAN_SUM] += value

    def _slot(self, outcome: Outcome, method: str, hash_name: str, issuer: str) -> int:
        """Return the cell of a kind of requests, with labels that are bounded."""
        if method not in _METHODS:
            method = OTHER
        if issuer != NONE and (issuer not in self._labels or self._cells.free_count <= _KEPT_CELLS):
            issuer = OTHER
        labels = (outcome.value, method, hash_name, issuer)
        if labels not in self._slots:
            self._slots[labels] = self._cells.take((REQUESTED, *labels))
        return self._slots[labels]

    def look_up(self, place: str) -> None:
        """Count a lookup by the place that had to be asked; for the thread that answers."""
        self._view[self._places[place]] += 1

    def ask(self, operation: str, result: str) -> None:
        """Count a request to a remote store; for any thread."""
        with self._lock:
            self._view[self._store[operation, result]] += 1

    def refresh(self, what: str) -> None:
        """Count a look for a new generation, by what came of it; for one thread."""
        self._view[self._refresh[what]] += 1

    def set_lines(self, written: int, dropped: int) -> None:
        """Say how many lines of the log of requests were written and dropped so far."""
        self._view[self._lines["written"]] = written
        self._view[self._lines["dropped"]] = dropped

    def say(self, state: dict[str, Any]) -> None:
        """Say how things stand; see `storage.edge.watching.state`."""
        self._cells.say(state)
