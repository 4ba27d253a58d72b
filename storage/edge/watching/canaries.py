"""All canaries of a worker: asked for every ten seconds, and as soon as another generation is served."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from storage.certid import CertID
from storage.edge.caching import EXPIRY_MARGIN_S
from storage.edge.logs.log import SERVER
from storage.edge.source import Loaded
from storage.edge.watching.canary import Canary, cert_ids_of, judge
from storage.edge.watching.readiness import Reason, instant_text

ASKED_EVERY_S: Final = 10

_log = logging.getLogger(SERVER)

Ask = Callable[[CertID], Awaitable[str]]
"""Asks as a client does, and returns the status, ``not-stored``, or in a word why there was none."""


class Canaries:
    """Asks for canaries, and remembers which were answered wrongly.

    Args:
        canaries: all of them.
        ask: how one is asked for.
    """

    def __init__(self, canaries: Sequence[Canary], ask: Ask) -> None:
        self._canaries = canaries
        self._ask = ask
        self._cert_ids: list[list[CertID]] = []
        self._of: int | None = None
        self._due_at = 0
        self._told: set[Canary] = set()
        self._reasons: tuple[Reason, ...] = ()
        self.counts = {"right": 0, "wrong": 0, "skipped": 0}
        """How many were answered rightly or wrongly, or were skipped, when they were last asked for."""

    def reasons(self) -> Iterator[Reason]:
        """Yield what was answered wrongly."""
        yield from self._reasons

    async def look(self, loaded: Loaded | None, generation: int | None, now: int) -> None:
        """Ask for all canaries if it is time.

        Args:
            loaded: what is served; None: nothing, which is another reason.
            generation: number of its commit.
            now: in seconds since 1970.
        """
        is_due = not 0 < self._due_at - now <= ASKED_EVERY_S  # also where the clock was put back
        if not self._canaries or loaded is None or (generation == self._of and not is_due):
            return
        if generation != self._of:
            self._cert_ids = cert_ids_of(self._canaries, loaded)
        self._of, self._due_at = generation, now + ASKED_EVERY_S
        reasons, skipped = list[Reason](), 0
        for canary, cert_ids in zip(self._canaries, self._cert_ids, strict=True):
            if canary.until is not None and now > canary.until - EXPIRY_MARGIN_S:
                skipped += 1
                self._tell(canary, canary.until)
                continue
            wrong = judge(canary, [await self._ask(cert_id) for cert_id in cert_ids])
            await asyncio.sleep(0)  # others have their turn
            if wrong is not None:
                text = f"the canary {canary.text} is {canary.status}, but {wrong}"
                reasons.append(Reason(code="canary", message=text, issuer=canary.issuer))
        self._reasons = tuple(reasons)
        right = len(self._canaries) - skipped - len(reasons)
        self.counts = {"right": right, "wrong": len(reasons), "skipped": skipped}

    def _tell(self, canary: Canary, until: int) -> None:
        if canary not in self._told:
            self._told.add(canary)
            text = "the canary %s is asked for no more: what was known of it holds until %s; give a newer one"
            _log.warning(text, canary.text, instant_text(until))
