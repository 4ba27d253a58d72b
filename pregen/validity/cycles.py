"""How many nights a cycle has, and which lifetimes would give more.

A longer cycle is less to sign each night, but answers that are older: of a lifetime, the part that a cycle leaves is
what clients see at the worst.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from pregen.clock import seconds
from pregen.validity.profiles import Profile
from pregen.validity.refreshing import Refreshing
from pregen.validity.windows import Validity, ValidityWindow

SHOWN_LONGER = 3
_UNITS = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What one lifetime means for the nights.

    Attributes:
        nights: how many periods pass until what is signed now is due, 1 at least.
        is_in_time: whether it lasts until the next run commits; else it is overdue by then, or a missed run is more
            than it bears.
        longer: lifetimes that would give more nights, the shortest ones that do, each with how many.
    """

    nights: int
    is_in_time: bool
    longer: tuple[tuple[timedelta, int], ...]


def cycle_of(refreshing: Refreshing, validity: Validity, window: ValidityWindow, cap: int) -> Cycle:
    """Return the cycle of an issuer.

    Args:
        refreshing: what the run goes by.
        validity: of the issuer.
        window: what it gets now.
        cap: notAfter of whatever of signer and issuer ends first.
    """
    lasts = refreshing.lasts(seconds(window.refresh_by), seconds(window.next_update))
    nights = max(1, lasts)
    begins = seconds(window.this_update)
    longer: list[tuple[timedelta, int]] = []
    for lifetime in _longer(validity.profile, validity.lifetime, nights, refreshing.every_s):
        length = min(_whole(lifetime), cap - begins + 1)
        span = _whole(validity.profile.refresh_span(timedelta(seconds=length)))
        gained = refreshing.cycle(begins + span, begins + length - 1)
        if gained > (longer[-1][1] if longer else nights):
            longer.append((lifetime, gained))
            if len(longer) == SHOWN_LONGER:
                break
    return Cycle(nights=nights, is_in_time=lasts >= 1, longer=tuple(longer))


def _longer(profile: Profile, lifetime: timedelta, nights: int, every_s: int) -> Iterator[timedelta]:
    """Yield longer lifetimes that a profile allows, in whole units, as far as one gives more nights if any does."""
    unit = next((one for one in _UNITS if _whole(one) <= every_s), _UNITS[-1])
    # Rules want a newer answer at half of a window at the earliest, or so many hours before its end.
    farthest = lifetime + timedelta(seconds=2 * (nights + SHOWN_LONGER + 2) * every_s) + timedelta(days=1)
    last = min(farthest, profile.longest or farthest)
    one = (lifetime // unit + 1) * unit
    while one <= last:
        if profile.lifetime_fault(one) is None:
            yield one
        one += unit


def _whole(span: timedelta) -> int:
    return int(span.total_seconds())
