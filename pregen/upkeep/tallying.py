"""What a rollback copies and what it leaves, counted, and until when all of it holds."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.comparison import RememberedStatus
from pregen.overlays.entries import Entries
from pregen.snapshot.rows import Mask
from pregen.upkeep.comparing import Compared
from pregen.upkeep.packs import PackRecords
from storage.certid import serial_text

_NAMES = {
    RememberedStatus.GOOD: "good",
    RememberedStatus.REVOKED: "revoked",
    RememberedStatus.ON_HOLD: "on_hold",
    RememberedStatus.UNKNOWN: "unknown",
}


class RollbackTally:
    """Counts range after range.

    Attributes:
        copied: certificates, by what is said of them.
        left: by what was accepted: certificates that are left to the earlier generation.
        left_examples: of these.
        early: answers in overlays that end before the next run, though their certificates do not.
        early_examples: of these.
        holds_until: the last second in which all answers of overlays hold, those apart that end with certificates.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.copied: Counter[str] = Counter()
        self.left: Counter[str] = Counter()
        self.left_examples: list[str] = []
        self.early = 0
        self.early_examples: list[str] = []
        self.holds_until = 1 << 62

    def add(self, compared: Compared) -> None:
        """Count one range."""
        for one in compared.copied:
            entries, choice = one.view.entries, one.choice
            for status, name in _NAMES.items():
                self.copied[name] += int((choice.copied & (entries.status == status)).sum())
            for name, mask in (("unrevoke", choice.unrevoked), ("shrink", choice.shrunk)):
                self.left[name] += int(mask.sum())
                self._note(self.left_examples, entries, mask, f"left by {name}: ")
            self._ends(entries, one.view.window_ends(), choice.copied & choice.is_missed)

    def add_overlays(self, packs: Iterable[PackRecords]) -> None:
        """Look at the overlays of the earlier generation."""
        for pack in packs:
            self._ends(pack.entries, pack.window_ends(), pack.entries.not_after >= self._limit)

    def leave(self, freed: Entries) -> None:
        """Count what is left to names and keys of the earlier generation that later ones have no answers under."""
        self.left["unrevoke"] += len(freed)
        self._note(self.left_examples, freed, np.ones(len(freed), np.bool_), "left by unrevoke: ")

    def figures(self) -> dict[str, object]:
        """Return the counts as the manifest keeps them."""
        return {"copied": {name: self.copied[name] for name in _NAMES.values()}, "left": dict(self.left)}

    def _ends(self, entries: Entries, ends: NDArray[np.int64], counts: Mask) -> None:
        if counts.any():
            self.holds_until = min(self.holds_until, int(ends[counts].min()))
        early = counts & (ends < self._limit)
        self.early += int(early.sum())
        self._note(self.early_examples, entries, early, "")

    def _note(self, examples: list[str], entries: Entries, mask: Mask, how: str) -> None:
        for place in np.flatnonzero(mask)[: MAX_EXAMPLES - len(examples)].tolist():
            issuer = int(entries.issuers[place])
            examples.append(f"{how}serial {serial_text(entries.serial(place))} of issuer {issuer:016x}")
