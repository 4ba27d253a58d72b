"""When answers that still hold are signed again, and which of them tonight (``[refresh]`` of the configuration).

1. A record is **due** when its refresh_by comes before the commit of the next run is to be expected, which is one
   `every` from now and what a run takes; or when its nextUpdate would be reached if `missed_runs` runs failed.
2. A **period** is one `every` by the calendar, counted from 1970 in UTC; all runs of one period count as one.
3. A **cycle** is how many periods pass until a record that is made now is due, 1 at least.
4. The keys are cut into as many equal **slots** as a cycle has periods, and each period has its slot. With `spread`,
   what is in the slot and was not made in this period is signed again before it is due: so each key is signed once in a
   cycle, each night has as much to do, and nobody has to remember anything. Whatever falls out of step (missed
   nights, another cycle) is due sooner or later, and back in step after one cycle.
5. A window is **as today's** if it is what the lifetime, backdate, profile and certificates of now would have made of
   the instants at which it was made. Where any of these is another one, the answer is signed again at once.

All instants are seconds since 1970; what takes them takes numbers and arrays of int64 alike.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, overload

from pregen.validity.windows import Validity
from storage.key import KEY32
from storage.tables import Window

if TYPE_CHECKING:  # most commands read a configuration, but no rows, and start faster without numpy
    import numpy as np
    from numpy.typing import NDArray

    Instants = NDArray[np.int64]
    Keys = NDArray[np.uint32] | NDArray[np.uint64] | NDArray[np.int64]
    Truths = NDArray[np.bool_]

_LEAST_S = 60  # of what a run takes: edges stop so long before nextUpdate, and clocks may differ by as much
_PART = 24  # of `every` that starts of runs may wander, as those of a timer with a random delay


def takes_s(every_s: int, longest_s: int | None) -> int:
    """Return from the start of a run to its commit, as it is to be expected.

    Args:
        every_s: how often runs take place.
        longest_s: what the longest of the last runs took; None: nobody knows.

    >>> takes_s(86_400, None), takes_s(86_400, 10_000), takes_s(60, 5)
    (3600, 10000, 60)
    """
    return max(longest_s or 0, every_s // _PART, _LEAST_S)


def longest_s(took_s: int, before_s: int | None) -> int:
    """Return what the longest of the last runs took, for the next one: a long one is forgotten by and by.

    >>> longest_s(60, 3_600), longest_s(7_200, 3_600), longest_s(60, None)
    (2700, 7200, 60)
    """
    return max(took_s, (before_s or 0) * 3 // 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshing:
    """What one run signs again though it has not changed.

    Attributes:
        every_s: how often runs take place.
        missed_runs: how many in a row may fail before any answer runs out.
        spread: whether the work is spread over the periods of a cycle.
        now: start of this run.
        takes_s: from the start of a run to its commit (`takes_s`).
    """

    every_s: int
    missed_runs: int
    spread: bool
    now: int
    takes_s: int

    @property
    def next_commit(self) -> int:
        """When the commit of the next run is to be expected."""
        return self.now + self.every_s + self.takes_s

    @property
    def period(self) -> int:
        """Number of this period."""
        return self.now // self.every_s

    @property
    def period_start(self) -> int:
        """When this period began: what was produced since then was made in it."""
        return self.period * self.every_s

    @overload
    def due(self, refresh_by: int, next_update: int, next_today: int | None = None) -> bool: ...

    @overload
    def due(
        self, refresh_by: "Instants", next_update: "Instants", next_today: "Instants | None" = None
    ) -> "Truths": ...

    def due(
        self, refresh_by: "int | Instants", next_update: "int | Instants", next_today: "int | Instants | None" = None
    ) -> "bool | Truths":
        """Return whether records are due, as bool or bool[n].

        Args:
            refresh_by: of their windows.
            next_update: of their windows.
            next_today: nextUpdate that they would have from now on, where that may be no later, as with windows that
                end with their certificates: then there is nothing to be won for nextUpdate.

        >>> nightly = Refreshing(every_s=86_400, missed_runs=1, spread=True, now=0, takes_s=3_600)
        >>> nightly.due(90_000, 400_000), nightly.due(89_999, 400_000), nightly.due(400_000, 176_399)
        (False, True, True)
        """
        ends = next_update < self.next_commit + self.missed_runs * self.every_s
        if next_today is not None:
            ends = ends & (next_today > next_update)
        return (refresh_by < self.next_commit) | ends

    @overload
    def made_now(self, produced_at: int) -> bool: ...

    @overload
    def made_now(self, produced_at: "Instants") -> "Truths": ...

    def made_now(self, produced_at: "int | Instants") -> "bool | Truths":
        """Return whether records were made in this period, as bool or bool[n]."""
        return produced_at >= self.period_start

    def lasts(self, refresh_by: int, next_update: int) -> int:
        """Return how many periods from now a record with such a window is due; 0 or less: now, or before."""
        by_refresh = (refresh_by - self.now - self.takes_s) // self.every_s
        by_end = (next_update - self.now - self.takes_s) // self.every_s - self.missed_runs
        return min(by_refresh, by_end)

    def cycle(self, refresh_by: int, next_update: int) -> int:
        """Return how many periods the cycle of records has whose window of today is such a one.

        >>> nightly = Refreshing(every_s=86_400, missed_runs=1, spread=True, now=0, takes_s=3_600)
        >>> nightly.cycle(302_400, 604_799)  # of 7 days, replaced at half
        3
        """
        return max(1, self.lasts(refresh_by, next_update))

    def slot(self, cycle: int) -> tuple[int, int]:
        """Return the keys of this period's slot, upper 32 bits from the first number up to below the second one.

        >>> Refreshing(every_s=10, missed_runs=1, spread=True, now=25, takes_s=1).slot(4) == (2 << 30, 3 << 30)
        True
        """
        number = self.period % cycle
        return -(-number * KEY32 // cycle), -(-(number + 1) * KEY32 // cycle)

    @overload
    def in_slot(self, key32: int, cycle: int) -> bool: ...

    @overload
    def in_slot(self, key32: "Keys", cycle: int) -> "Truths": ...

    def in_slot(self, key32: "int | Keys", cycle: int) -> "bool | Truths":
        """Return whether keys are in this period's slot, as bool or bool[n]; `key32` are their upper 32 bits."""
        low, high = self.slot(cycle)
        return (key32 >= low) & (key32 < high)


class Fit(IntEnum):
    """Whether the window of a record is as today's; for some, notAfter of the certificate says it."""

    NONE = 0  # it is not
    ANY = 1  # it is
    USUAL = 2  # if no window would end with the certificate that was made then
    OWN = 3  # if it ends where a window that was made then would end with the certificate


def fit(window: Window, validity: Validity, cap: int) -> Fit:
    """Return whether a stored window is as today's.

    Args:
        window: of a record.
        validity: of its issuer, as configured now.
        cap: notAfter of whatever of signer and issuer ends first, as they are now.

    >>> from pregen.validity import PROFILES
    >>> stored = Window(produced_at=500, this_update=500, next_update=346_099, refresh_by=173_300)
    >>> [fit(stored, Validity(PROFILES["lab"], timedelta(days=days), timedelta(0)), 1 << 32).name for days in (3, 4)]
    ['NONE', 'ANY']
    """
    backdate = int(validity.backdate.total_seconds())
    known_by = window.produced_at - backdate  # the latest instant at which such a window may begin
    if window.this_update > known_by or window.backdate not in {None, backdate}:
        return Fit.NONE
    usual_end, refresh_by = _usual(window.this_update, validity, cap)
    if (window.next_update, window.refresh_by) == (usual_end, refresh_by):
        return Fit.USUAL if validity.ends_with_certificate else Fit.ANY
    if not validity.ends_with_certificate or window.next_update >= _usual(known_by, validity, cap)[0]:
        return Fit.NONE
    if window.refresh_by == refresh_by and window.next_update < usual_end:
        return Fit.OWN
    # One that would be too short began earlier than the usual one, which began at any instant since (`window_until`).
    shortest = int(validity.profile.shortest.total_seconds())
    is_shortest = window.next_update - window.this_update + 1 == shortest
    if is_shortest and refresh_by <= window.refresh_by <= _usual(known_by, validity, cap)[1]:
        return Fit.OWN
    return Fit.NONE


def _usual(this_update: int, validity: Validity, cap: int) -> tuple[int, int]:
    """Return nextUpdate and refresh_by of a window that is not one with an end of its own, as `plan_window` does."""
    length = min(int(validity.lifetime.total_seconds()), cap - this_update + 1)
    span = validity.profile.refresh_span(timedelta(seconds=length))
    return this_update + length - 1, this_update + int(span.total_seconds())
