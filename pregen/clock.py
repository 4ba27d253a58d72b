"""The one place where the clock is read, and where instants become text and back.

Instants are counted from 1970 here and not by the C library, which subtracts leap seconds under a TZ such as right/UTC.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from storage.document import EPOCH

DAY_S = 86_400


def now() -> datetime:
    """Return the current instant, in whole UTC seconds (OCSP knows no fractions: RFC 6960, 4.2.2.1)."""
    return instant(int(time.time()))


def seconds_ahead_of(other: Callable[[], float | None]) -> float | None:
    """Return how far this machine's clock is ahead of another at least, negative where it is behind.

    Args:
        other: returns what the other says, in seconds since 1970 without their fraction (as HTTP dates are); None: it
            does not say, which is what comes back then.
    """
    before = time.time()
    says = other()
    if says is None:
        return None
    if before > says + 1:
        return before - says - 1
    return min(time.time() - says, 0.0)


def parse_instant(text: str) -> datetime:
    """Return the instant that an RFC 3339 text names, in whole UTC seconds, a fraction cut towards the past.

    >>> parse_instant("2026-11-24T01:30:00.9+05:30").isoformat()
    '2026-11-23T20:00:00+00:00'

    Raises:
        ValueError: not RFC 3339, or without a zone.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no instant") from None
    if instant.utcoffset() is None:
        raise ValueError(f"{text!r} names no zone: append Z for UTC, or an offset such as -07:00")
    return instant.astimezone(UTC).replace(microsecond=0)


def text(moment: datetime | int) -> str:
    """Return an instant (aware, or in seconds since 1970) as RFC 3339 in UTC.

    >>> text(0)
    '1970-01-01T00:00:00Z'
    """
    if isinstance(moment, int):
        moment = instant(moment)
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def length_text(seconds_: int) -> str:
    """Return how long something is, in all units that it has, with a sign where it is negative.

    >>> [length_text(length) for length in (0, 5_430, 93_600, -86_400)]
    ['0s', '1h 30m 30s', '1d 2h', '-1d']
    """
    parts, rest = [], abs(seconds_)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if rest >= size:
            parts.append(f"{rest // size}{unit}")
            rest %= size
    return f"{'-' if seconds_ < 0 else ''}{' '.join(parts) or '0s'}"


def instant(seconds_: int) -> datetime:
    """Return the instant of whole seconds since 1970.

    >>> instant(86400).isoformat()
    '1970-01-02T00:00:00+00:00'
    """
    return EPOCH + timedelta(seconds=seconds_)


def seconds(moment: datetime) -> int:
    """Return an aware instant as whole seconds since 1970.

    >>> seconds(datetime(1970, 1, 2, tzinfo=UTC))
    86400
    """
    if moment.utcoffset() is None:
        raise ValueError("naive datetime: say which zone it is in")
    return int(moment.timestamp())
