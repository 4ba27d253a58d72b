"""Alarms in the log: once when something begins, once when it is over, and every ten minutes while it lasts.

For what nobody else logs: answers that have run out, or are overdue; a store that gives errors; a clock that is wrong.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from storage.edge.logs.log import ALARM, SERVER
from storage.edge.watching.readiness import Reason

_REMINDER_S = 600.0
_EXAMPLES = 3
# Of the others, whoever notices them writes at once: a refresh that fails, an answer that is damaged.
_CODES = ("expired", "overdue", "not-yet-valid", "clock", "store.unreachable", "too-old", "canary")

_log = logging.getLogger(SERVER)


@dataclass(slots=True)
class _Alarm:
    began: float
    told: float
    about: frozenset[str | None]


class Alarms:
    """Tells what has begun and what is over.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lasting: dict[str, _Alarm] = {}

    def look_at(self, reasons: Sequence[Reason]) -> None:
        """Take note of the reasons why this edge is not ready now, and tell what is new."""
        now = self._clock()
        for code in _CODES:
            own = [reason for reason in reasons if reason.code == code]
            if own:
                self._tell(code, own, now)
            elif (over := self._lasting.pop(code, None)) is not None:
                _log.info("%s: over, after %.0f s", code, now - over.began)

    def _tell(self, code: str, reasons: list[Reason], now: float) -> None:
        about = frozenset(reason.issuer for reason in reasons)
        alarm = self._lasting.get(code)
        if alarm is not None and about <= alarm.about and now - alarm.told < _REMINDER_S:
            return
        self._lasting[code] = _Alarm(now if alarm is None else alarm.began, now, about)
        more = f"; and {len(reasons) - _EXAMPLES} more" if len(reasons) > _EXAMPLES else ""
        text = "; ".join(reason.message for reason in reasons[:_EXAMPLES])
        _log.error("%s: %s%s", code, text, more, extra=ALARM)
