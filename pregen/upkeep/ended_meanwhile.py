"""Revocations that a rollback goes on to remember though their certificates have ended, or will before the next run.

The earlier generation does not know those that have ended since. What it lacks and the later one has revoked is not
copied either where it ends before the next run: it would be left out there at once.
"""

import numpy as np

from pregen.clock import DAY_S
from pregen.ended import EndedReader, EndedSince, remember
from pregen.upkeep.comparing import Compared
from storage.ended_part import EndedPart
from storage.history import HistoryIndex
from storage.stores import Store


class EndedMeanwhile:
    """Gathers, range after range, what is revoked for good, ends soon, and is not copied."""

    def __init__(self) -> None:
        self._keys = [np.empty(0, np.uint64)]

    def add(self, compared: Compared) -> None:
        """Note those of one range."""
        self._keys += [one.view.entries.keys[one.choice.has_ended] for one in compared.copied]

    def count(self, store: Store, newest: HistoryIndex | None) -> int:
        """Return how many revocations there are that the earlier generation may not know, each counted once.

        Raises:
            FormatError, FileNotFoundError: what the later generation remembers cannot be read.
            OSError: the store does not answer.
        """
        parts = newest.ended if newest else ()
        own = np.unique(np.concatenate(self._keys))
        for part in parts:
            own = own[~np.isin(own, EndedReader(store, (part,)).between(part.low, part.high))]
        return len(own) + sum(part.rows for part in parts)

    def put(self, store: Store, target: HistoryIndex, newest: HistoryIndex | None, now: int) -> tuple[EndedPart, ...]:
        """Put what is remembered from now on: by either generation, and what ends soon.

        Raises:
            FormatError, FileNotFoundError: what a generation remembers cannot be read.
            OSError: the store does not answer.
        """
        since = EndedSince(ended=np.concatenate(self._keys))
        return remember(store, (*(newest.ended if newest else ()), *target.ended), since, now // DAY_S)
