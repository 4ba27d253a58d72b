"""What lookups show of the store while requests are answered, kept for a minute: readiness tells it."""

import time
from collections.abc import Callable, Iterator

from storage.edge.record import HEARD, LoggedRequest, Outcome
from storage.edge.watching.readiness import Reason

_KEPT_S = 60.0
_DAMAGE = (Outcome.DAMAGED, Outcome.WRONG_ANSWER)


class Troubles:
    """Remembers lookups that have failed.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[Outcome, tuple[float, str]] = {}

    def look_at(self, record: LoggedRequest) -> None:
        """Take note of what came of a request."""
        if record.outcome in (Outcome.UNREACHABLE, *_DAMAGE):
            self._seen[record.outcome] = self._clock(), record.detail or record.outcome.value
        if record.outcome in HEARD:  # of what is damaged, an answer to something else says nothing
            self._seen.pop(Outcome.UNREACHABLE, None)

    def reasons(self) -> Iterator[Reason]:
        """Yield what has failed within the last minute, and was not refuted since."""
        now = self._clock()
        seen = {outcome: detail for outcome, (at, detail) in self._seen.items() if now - at <= _KEPT_S}
        if (detail := seen.get(Outcome.UNREACHABLE)) is not None:
            yield Reason(code="store.unreachable", message=f"lookups fail: {detail}")
        for outcome in _DAMAGE:
            if (detail := seen.get(outcome)) is not None:
                yield Reason(code="store.damaged", message=f"a lookup has found damage: {detail}")
