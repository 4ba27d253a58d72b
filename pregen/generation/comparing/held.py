"""What came of holding claims (`pregen.generation.comparing.claims`) against rows: counts, examples, and strangers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.listed import SAYS_FINAL, SAYS_HOLD

# A row with a serial that its source has under another label; `gap_s`: how far its time is from that of the source.
STRANGER = np.dtype(
    [("entry", "<i4"), ("issuer", "<i4"), ("gap_s", "<i8"), ("size", "u1"), ("file", "<u2"), ("row", "<u4")]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """A row that is good or unknown, and the entry that says otherwise.

    Attributes:
        file, row: where it is in the snapshot, both from 0.
        serial: content octets.
        status: of the row.
        entry: number of the entry.
        says: what it says (`pregen.gates.listed`).
        at: since when, in seconds since 1970.
    """

    file: int
    row: int
    serial: bytes
    status: str
    entry: int
    says: int
    at: int


@dataclass(frozen=True, slots=True)
class Held:
    """What came of claims, in one shard or in several.

    Attributes:
        final: rows that contradict a revocation that is final.
        hold: rows that contradict a hold.
        examples: the first ones of each, by keys.
        left_out: rows that get no response for their status alone, though an entry says that they are revoked for good.
        left_out_examples: the first ones, by keys.
        own: int32[k], entries that have a row under the label of their own.
        strangers: `STRANGER`[k], rows with serials of entries, under other labels.
    """

    final: int = 0
    hold: int = 0
    examples: tuple[Contradiction, ...] = ()
    left_out: int = 0
    left_out_examples: tuple[Contradiction, ...] = ()
    own: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    strangers: NDArray[np.void] = field(default_factory=lambda: np.empty(0, STRANGER))


def all_held(some: Iterable[Held]) -> Held:
    """Return the sum of what came of the shards, in their order."""
    parts = [Held(), *some]
    examples = [one for part in parts for one in part.examples]
    kept = (one for kind in (SAYS_FINAL, SAYS_HOLD) for one in [*_of_kind(examples, kind)][:MAX_EXAMPLES])
    return Held(
        sum(part.final for part in parts),
        sum(part.hold for part in parts),
        tuple(kept),
        sum(part.left_out for part in parts),
        tuple(one for part in parts for one in part.left_out_examples)[:MAX_EXAMPLES],
        np.concatenate([part.own for part in parts]),
        np.concatenate([part.strangers for part in parts]),
    )


def _of_kind(examples: Iterable[Contradiction], kind: int) -> Iterable[Contradiction]:
    return (one for one in examples if one.says == kind)
