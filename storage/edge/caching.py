"""HTTP caching of answers (RFC 9919, 6; RFC 9110, 8.8 and 13; RFC 9111), computed for the second of each request.

A cache keeps an answer until a newer one is due (`refresh_by`), then asks every few minutes; never longer than this
edge itself would serve it, and never longer than a day, so that a revocation is not hidden by a long window.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from storage.reader import Answer

EXPIRY_MARGIN_S = 60
"""An answer is served up to so long before its nextUpdate: it still has to travel, and clocks differ."""

MAX_AGE_CAP_S = 86_400
OVERDUE_MAX_AGE_S = 300
"""How long a cache may keep an answer for which a newer one is overdue."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NO_STORE = ("Cache-Control", "no-store")


def http_date(instant: int) -> str:
    """Return seconds since 1970 as an HTTP date (RFC 9110, 5.6.7).

    >>> http_date(1_795_478_400)
    'Tue, 24 Nov 2026 00:00:00 GMT'
    """
    return format_datetime(_EPOCH + timedelta(0, instant), usegmt=True)  # no TZ can change that: see generalized_time


def last_servable(answer: Answer) -> int:
    """Return the last second in which the answer may leave."""
    return answer.next_update - EXPIRY_MARGIN_S


def max_age_s(answer: Answer, now: int) -> int:
    """Return for how many seconds from `now` on a cache may keep a servable answer."""
    until_refresh = answer.refresh_by - now
    wanted = min(until_refresh, MAX_AGE_CAP_S) if until_refresh > 0 else OVERDUE_MAX_AGE_S
    return min(wanted, last_servable(answer) - now)


def caching_headers(answer: Answer, etag: str, now: int) -> tuple[tuple[str, str], ...]:
    """Return the headers that a stored answer carries, also when it is a 304 (RFC 9110, 15.4.5)."""
    age = max_age_s(answer, now)
    return (
        ("Cache-Control", f"max-age={age}, public, no-transform, must-revalidate"),
        ("Expires", http_date(now + age)),
        ("Last-Modified", http_date(answer.this_update)),
        ("ETag", etag),
    )


def is_not_modified(headers: Mapping[str, str], etag: str, last_modified: int) -> bool:
    """Tell whether the client already has this answer; an If-None-Match rules alone (RFC 9110, 13.2.2).

    >>> is_not_modified({"if-none-match": '"1", W/"2"'}, '"2"', 0)
    True
    """
    candidates = headers.get("if-none-match")
    if candidates is not None:
        tags = [tag.strip().removeprefix("W/") for tag in candidates.split(",")]
        return etag in tags or tags == ["*"]
    since = headers.get("if-modified-since")
    return since is not None and last_modified <= _seconds(since)


def _seconds(date: str) -> float:
    """Return an HTTP date in seconds since 1970; before all time if it is none, as such a header counts as absent."""
    try:
        instant = parsedate_to_datetime(date)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):  # what the parser raises for one rubbish or another
        return float("-inf")
