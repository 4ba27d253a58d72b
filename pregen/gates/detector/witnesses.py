"""Witnesses: a few thousand certificates whose times the last generation remembered, compared with this snapshot's.

notBefore of a certificate never changes, and its revocation time hardly ever. A single correction is legal; the same
difference of whole quarters of an hour in several of them, or any difference in many, means that the whole column is
read otherwise than last time: now wrongly, or then.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.detector.clues import Clue, examples, shifts_text
from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.offsets import Difference, are_same, compare
from pregen.gates.detector.sightings import Sightings
from pregen.gates.history import MAX_WITNESSES, WITNESS, revoked_witnesses
from pregen.issuers import Issuer
from pregen.snapshot import NO_ISSUANCE
from pregen.snapshot.column import Column
from storage.history import IssuerHistory

# Of the witnesses: so many that share one difference of whole quarters of an hour, which corrections of single
# certificates do not; and so many that differ at all, which takes more, as corrections do that too.
_MIN_SHIFTED, SHIFTED_SHARE = 3, 0.005
MIN_ODD, ODD_SHARE = 5, 0.05
LOST_SHARE = 0.9  # of an issuer's rows that have no not_before any more
MIN_PROOF = 3  # so many, when all of them agree, say that issuances are read as they were


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What witnesses say.

    Attributes:
        clues: against columns.
        agree, differ: how many not_before are read as in the last generation, and how many are not: int64[issuers].
    """

    clues: tuple[Clue, ...]
    agree: NDArray[np.int64]
    differ: NDArray[np.int64]

    def prove(self, issuers: NDArray[np.bool_] | int) -> bool:
        """Whether the not_before of an issuer, or of several together, are read as in the last generation."""
        return bool(self.agree[issuers].sum() >= MIN_PROOF and self.differ[issuers].sum() == 0)


def judge_witnesses(
    witnesses: NDArray[np.void], sightings: Sightings, columns: Mapping[str, Column], issuers: Sequence[Issuer]
) -> Witnessed:
    """Return what witnesses (`WITNESS`[k]) say against not_before and revoked_at of their rows (`SIGHTING`[n])."""
    then, now = _pairs(witnesses, sightings)
    clues = []
    for canonical, absent in (("not_before", NO_ISSUANCE), ("revoked_at", 0)):
        given = (then[canonical] != absent) & (now[canonical] != absent)
        clue = _clue(then[canonical][given], now[given], columns[canonical], issuers)
        if clue is not None:
            clues.append(clue)
    given = (then["not_before"] != NO_ISSUANCE) & (now["not_before"] != NO_ISSUANCE)
    same = are_same(now["not_before"][given], then["not_before"][given], columns["not_before"])
    owner = now["issuer"][given]
    agree, differ = (np.bincount(owner[which], minlength=len(issuers)) for which in (same, ~same))
    return Witnessed(tuple(clues), agree, differ)


def choose_witnesses(sightings: Sightings, watch: Watch, certificates: int) -> NDArray[np.void]:
    """Return the witnesses of this generation, `WITNESS`[k] by ascending keys, out of so many certificates.

    They are the sighted rows with the smallest lower halves of their keys, so that two generations choose the same
    ones; and some revoked ones besides, of which chance would leave too few.
    """
    rows = _unmistakable(sightings)
    low = rows["key"] & np.uint64(0xFFFFFFFF)
    order = np.argsort(low, kind="stable")
    rows, low = rows[order], low[order]
    usual = np.flatnonzero(low < watch.witness_limit)[:MAX_WITNESSES]
    revoked = np.flatnonzero((low < watch.revoked_limit) & (rows["revoked_at"] != 0))
    chosen = rows[np.union1d(usual, revoked[: revoked_witnesses(certificates)])]
    witnesses = np.zeros(len(chosen), WITNESS)
    for name in ("key", "not_before", "revoked_at"):
        witnesses[name] = chosen[name]
    return witnesses[np.argsort(witnesses["key"], kind="stable")]


def judge_loss(
    observation: Observation, issuers: Sequence[Issuer], known: Mapping[int, IssuerHistory]
) -> tuple[Clue, ...]:
    """Return which issuers' certificates have no not_before any more, in every run; `known`: by issuer id."""
    without, rows = observation.undated.T
    mostly = np.flatnonzero((without >= LOST_SHARE * rows) & (rows > 0)).tolist()
    lost = [issuers[at].names[0] for at in mostly if _had(issuers[at], known)]
    if not lost:
        return ()
    clue = Clue(
        code="time.evidence-lost",
        severity="warning",
        canonical="not_before",
        text=f"certificates of {len(lost):,} issuers had this time in generations before, and hardly any has it now",
        advice="export and map it again: without it a wrong zone, a hole or a stop is hardly found",
        count=len(lost),
        examples=tuple(lost[:MAX_EXAMPLES]),
    )
    return (clue,)


def _had(issuer: Issuer, known: Mapping[int, IssuerHistory]) -> bool:
    before = known.get(issuer.issuer_id)
    return before is not None and before.newest is not None


def _clue(published: NDArray[np.int64], rows: Sightings, column: Column, issuers: Sequence[Issuer]) -> Clue | None:
    read = rows[column.canonical]
    difference = compare(read, published, column)
    if not _is_serious(difference):
        return None
    wrong = np.flatnonzero(~are_same(read, published, column))
    text = (
        f"{len(wrong):,} of {difference.compared:,} values are not what they were in the last generation "
        f"({shifts_text(difference)})"
    )
    return Clue(
        code="time.history-mismatch",
        severity="error",
        canonical=column.canonical,
        text=text,
        advice="look what was changed in the export or in the configuration; where the last generation was wrong, "
        'accept this once: --accept time.history-mismatch --reason "..."',
        shift_s=difference.shift_s,
        samples=difference.samples if _is_shifted(difference) else (),
        count=len(wrong),
        examples=examples(rows[wrong[:MAX_EXAMPLES]], issuers, column, difference.shift_s),
    )


def _is_serious(difference: Difference) -> bool:
    odd = difference.odd + difference.aligned
    return _is_shifted(difference) or odd >= max(MIN_ODD, ODD_SHARE * difference.compared)


def _is_shifted(difference: Difference) -> bool:
    """Whether one difference is too common for corrections of single certificates."""
    if not difference.shifts:
        return False
    count = difference.shifts[0][1]
    if count == difference.compared:
        return count >= 2
    return count >= max(_MIN_SHIFTED, SHIFTED_SHARE * difference.compared)


def _pairs(witnesses: NDArray[np.void], sightings: Sightings) -> tuple[NDArray[np.void], Sightings]:
    """Return witnesses and their rows, pair by pair."""
    rows = _unmistakable(sightings)
    _, at_then, at_now = np.intersect1d(witnesses["key"], rows["key"], return_indices=True)
    return witnesses[at_then], rows[at_now]


def _unmistakable(sightings: Sightings) -> Sightings:
    """Return the rows by ascending keys, but for keys that several of them have: whose these are is in doubt."""
    _, first, count = np.unique(sightings["key"], return_index=True, return_counts=True)
    rows: Sightings = sightings[first[count == 1]]
    return rows
