"""What time it is at a server: the ``Date`` of its answer to a request that asks for nothing and is not signed.

Not signed, because a server refuses signatures that are made by a clock far from its own, and does not say so first.
"""

from http.client import HTTPException
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

_PATIENCE_S = 3.0


def server_clock_s(address: str) -> float | None:
    """Return what the clock of a server says, in seconds since 1970; None where it cannot be asked, or does not say.

    Any answer will do, also a refusal. Redirections are not followed: they lead to other servers.
    """
    from urllib import error, request  # noqa: PLC0415 - edges ask later, and should start fast

    class Stay(request.HTTPRedirectHandler):
        def redirect_request(self, *_: object) -> None:
            return None

    try:
        with request.build_opener(Stay).open(request.Request(address, method="HEAD"), timeout=_PATIENCE_S) as answer:  # noqa: S310 - an endpoint, http or https
            return _date(answer.headers)
    except error.HTTPError as refusal:
        with refusal:
            return _date(refusal.headers)
    except (OSError, HTTPException, ValueError):
        return None


def _date(headers: "Message") -> float | None:
    """Return an HTTP date, and how long ago that was where a cache has kept the answer."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - as above

    try:
        return parsedate_to_datetime(headers["Date"]).timestamp() + int(headers.get("Age", "0"))
    except (ValueError, TypeError, OverflowError, IndexError):  # what the parser raises for one rubbish or another
        return None
