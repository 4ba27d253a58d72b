"""Holes: hours in which an issuer issued nothing, though it did before and does again.

A copy that asks for "changed since" skips hours when it reads its watermark in a wrong zone, or when it fails and goes
on: its newest certificates are there, so the lag says nothing. Each hole is judged once, when what comes after it is
new since the last generation, against the silences that were usual until then (`rhythm.py`). One that is
`SILENCES` times as long (an hour at least) is a warning; of an issuer that was never silent for `MAX_SILENCE_S`, one
that is `HOLE_SILENCES` times as long (three hours at least) is an error. The rest of a stop that was accepted is none.
Besides, a hole is a warning if the issuer was busy in `MISSED` of its 5 minutes at the same time in most of the last
weeks: a working day that is missing is no longer than a night.

Holes that were found do not count among the silences that are usual, unless they become a habit
(`rhythm.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.detector.case import Case, Events
from pregen.gates.detector.clues import Clue, about, time_text
from pregen.gates.detector.observation import BIN_S
from pregen.gates.detector.rhythm import (
    LEAST_SILENCE_S,
    MAX_SILENCE_S,
    MISSED,
    SILENCES,
    STOP_GROWS,
    Rhythm,
    Span,
    dense_either_way,
    is_long,
    missed,
)
from storage.history import IssuerHistory


class IssuanceHole(NamedTuple):
    """A silence in seconds since 1970, give or take 5 minutes, the usual one in seconds, and whether it is an error."""

    start: int
    end: int
    usual_s: int
    is_certain: bool

    @property
    def length_s(self) -> int:
        """How long it is, in seconds."""
        return self.end - self.start


class Holes(NamedTuple):
    """What is missing: clues, and all holes by the index of their issuer; the one after the last is revocations."""

    clues: tuple[Clue, ...]
    found: Mapping[int, tuple[Span, ...]]


def holes(own: Rhythm, before: IssuerHistory, as_of: int, silences: float = SILENCES) -> list[IssuanceHole]:
    """Return the new holes of an issuer, the latest first.

    Args:
        own: its issuance in the snapshot.
        before: what is remembered of the issuer.
        as_of: of the snapshot.
        silences: how many times as long as is usual is too long.
    """
    if before.until is None or own.lag_s is None:
        return []
    silence_s = own.silence_s if before.silence_s is None else before.silence_s
    # What comes after that is postdated, of a CA that backdates: it is so in all generations, which one alone does not
    # show, so that with a single lag nothing is taken off.
    latest = as_of - max(own.lag_s, min(before.lags) if len(before.lags) > 1 else 0)
    least_s = silences * max(silence_s, LEAST_SILENCE_S)
    found: list[IssuanceHole] = []
    gaps = _gaps(own.dense, min(least_s, MISSED * BIN_S))
    if not len(gaps) or as_of - own.dense[gaps[0]] * BIN_S <= before.until:
        return found  # mostly: those that are dense either way are no longer
    dense = dense_either_way(own)
    for at in _gaps(dense, min(least_s, MISSED * BIN_S)).tolist():
        newer, older = dense[at : at + 2].tolist()
        start, end = as_of - older * BIN_S, as_of - (newer + 1) * BIN_S
        if end <= before.until:
            break  # this one was judged by the last generation, and those before it are older still
        if end > latest or ((older - newer) * BIN_S < least_s and missed(own.ages, newer, older) < MISSED):
            continue
        if any(start >= one[0] - BIN_S and end <= one[1] + BIN_S for one in before.holes):
            continue  # judged already, as a lag
        is_accepted = start <= before.until + BIN_S and end - start <= STOP_GROWS * before.stopped_s
        is_certain = is_long(end - start, silence_s) and silence_s <= MAX_SILENCE_S and not is_accepted
        found.append(IssuanceHole(start, end, silence_s, is_certain))
    return found


def judge_holes(case: Case, events: Iterable[Events]) -> Holes:
    """Return what is missing of not_before, and of revoked_at; `events` as `Case.events` returns them."""
    found: dict[int, tuple[Span, ...]] = {}
    told: dict[tuple[str, bool], list[tuple[str, IssuanceHole]]] = {}
    for one in events:
        before = one.before
        for hole in holes(one.rhythm, before, one.until, case.silences) if before is not None else ():
            told.setdefault((one.canonical, hole.is_certain), []).append((one.what, hole))
            found[one.row] = (*found.get(one.row, ()), (hole.start, hole.end))
    return Holes(tuple(_clue(some, *key) for key, some in told.items()), found)


def _gaps(bins: NDArray[np.int64], least_s: float) -> NDArray[np.intp]:
    """Return after which bins nothing is for so long."""
    return np.flatnonzero(np.diff(bins) * BIN_S >= least_s)


def _clue(found: Sequence[tuple[str, IssuanceHole]], canonical: str, is_certain: bool) -> Clue:
    what, longest = max(found, key=lambda one: one[1].length_s)
    more = f", and in {len(found) - 1:,} more" if len(found) > 1 else ""
    return Clue(
        code="time.hole",
        severity="error" if is_certain else "warning",
        canonical=canonical,
        text=f"nothing {what} for {about(longest.length_s)} up to {time_text(longest.end)}{more}; silences of up to "
        f"{about(longest.usual_s)} are usual",
        advice="look whether the export lacks what happened then: a copy that asks for what changed since an instant, "
        "and reads that in a wrong zone, skips as many hours as its offset has; where nothing did happen, accept it "
        'once: --accept time.hole --reason "..."',
        count=len(found),
        examples=tuple(
            f"nothing {what} from {time_text(hole.start)} to {time_text(hole.end)} ({about(hole.length_s)})"
            for what, hole in found[:MAX_EXAMPLES]
        ),
    )
