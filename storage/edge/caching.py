"""HTTP caching of answers (RFC 9919, 6; RFC 9110, 8.8 and 13; RFC 9111), computed for the second of each request.

A cache keeps an answer until a newer one is due (`refresh_by`), then asks every few minutes; never longer than this
edge itself would serve it, and never longer than a day, so that a revocation is not hidden by a long window.

* **The end is said as an instant** (``Expires``) and never as a length (``max-age``, which would go before it). A
  length begins anew at each cache that does not say how old its copy is: nginx sends no ``Age``, so its last hit would
  give a client a second day. An instant is the same for all, however many stand in a row. RFC 9919 has ``max-age`` as a
  "MAY" (6.1); what it is for there, a new answer before nextUpdate, is what ``Expires`` says here.
* **Only the tag decides what is unmodified.** A new status or key may come with the same thisUpdate, and dates have
  whole seconds, so a date proves nothing (it is a weak validator: RFC 9110, 8.8.2.2), and If-Modified-Since alone
  gets the whole answer. All caches that were tried send If-None-Match beside it.
* ``Last-Modified`` is producedAt (RFC 9919, 5; its section 6.2 says thisUpdate), because caches compare it when they
  are asked by date themselves, and it differs from run to run.
"""

from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from functools import lru_cache

from storage.document import EPOCH
from storage.reader import Answer

EXPIRY_MARGIN_S = 60
"""An answer is served up to so long before its nextUpdate: it still has to travel, and clocks differ."""

MAX_AGE_CAP_S = 86_400
"""No cache keeps an answer for longer; an operator may shorten it."""

OVERDUE_MAX_AGE_S = 300
"""How long a cache may keep an answer for which a newer one is overdue."""


NO_STORE = ("Cache-Control", "no-store")
_MAY_BE_KEPT = ("Cache-Control", "public, no-transform, must-revalidate")


@lru_cache(256)
def http_date(instant: int) -> str:
    """Return seconds since 1970 as an HTTP date (RFC 9110, 5.6.7).

    >>> http_date(1_795_478_400)
    'Tue, 24 Nov 2026 00:00:00 GMT'
    """
    return format_datetime(EPOCH + timedelta(0, instant), usegmt=True)  # no TZ can change that: see generalized_time


def last_servable(answer: Answer) -> int:
    """Return the last second in which the answer may leave."""
    return answer.next_update - EXPIRY_MARGIN_S


def max_age_s(answer: Answer, now: int, cap_s: int = MAX_AGE_CAP_S) -> int:
    """Return for how many seconds from `now` on caches, one behind the other, may keep a servable answer."""
    return _max_age_s(answer.refresh_by, last_servable(answer), now, cap_s)


def caching_headers(answer: Answer, now: int, cap_s: int = MAX_AGE_CAP_S) -> tuple[tuple[str, str], ...]:
    """Return the headers that a stored answer carries, also when it is a 304 (RFC 9110, 15.4.5), but for its ETag."""
    return _dated_headers(answer.produced_at, answer.refresh_by, last_servable(answer), now, cap_s)


def _max_age_s(refresh_by: int, last: int, now: int, cap_s: int) -> int:
    until_refresh = refresh_by - now
    wanted = until_refresh if until_refresh > 0 else OVERDUE_MAX_AGE_S
    return min(wanted, cap_s, last - now)


@lru_cache(1024)  # one for each window that is asked for within a second
def _dated_headers(produced_at: int, refresh_by: int, last: int, now: int, cap_s: int) -> tuple[tuple[str, str], ...]:
    expires = now + _max_age_s(refresh_by, last, now, cap_s)
    return (
        _MAY_BE_KEPT,
        ("Expires", http_date(expires)),
        ("Last-Modified", http_date(produced_at)),
        ("Date", http_date(now)),
    )


def is_not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Tell whether the client already has this answer; dates do not count.

    >>> is_not_modified({"if-none-match": '"1", W/"2"'}, '"2"')
    True
    """
    tags = [tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")]
    return etag in tags or tags == ["*"]
