"""Holes: hours in which an issuer issued nothing, though it did before and does again.

A copy that asks for "changed since" skips hours when it reads its watermark in a wrong zone, or when it fails and goes
on: its newest certificates are there, so the lag says nothing. Each hole is judged once, when what comes after it is
new since the last generation, against the silences that were usual until then (`pregen.gates.rhythm`). One that is
`SILENCES` times as long (an hour at least) is a warning; of an issuer that was never silent for `MAX_SILENCE_S`, one
that is `HOLE_SILENCES` times as long (three hours at least) is an error. The rest of a stop that was accepted is none.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.clues import Clue, about, time_text
from pregen.gates.evidence import BIN_S, Observation, Watch
from pregen.gates.history import IssuerHistory
from pregen.gates.lag import HOLE_SILENCES, LEAST_SILENCE_S, MAX_SILENCE_S, SILENCES
from pregen.gates.rhythm import ages_of, rhythm
from pregen.issuers import Issuer


class Hole(NamedTuple):
    """A silence in seconds since 1970, give or take 5 minutes, the usual one in seconds, and whether it is an error."""

    start: int
    end: int
    usual_s: int
    is_certain: bool

    @property
    def length_s(self) -> int:
        """How long it is, in seconds."""
        return self.end - self.start


def holes(ages: NDArray[np.int64], before: IssuerHistory, as_of: int) -> list[Hole]:
    """Return the new holes of an issuer, the latest first.

    Args:
        ages: as for `rhythm`.
        before: what is remembered of the issuer.
        as_of: of the snapshot.
    """
    own = rhythm(ages)
    silence_s = own.silence_s if before.silence_s is None else before.silence_s
    if before.until is None or not before.lags or not own.busy:
        return []
    latest = as_of - min(before.lags)  # what comes after it is postdated, of a CA that backdates
    least_s = SILENCES * max(silence_s, LEAST_SILENCE_S)
    found = []
    for at in np.flatnonzero(np.diff(own.dense) * BIN_S >= least_s).tolist():
        newer, older = own.dense[at : at + 2].tolist()
        start, end = as_of - older * BIN_S, as_of - (newer + 1) * BIN_S
        if end <= before.until:
            break  # those before it are older still
        if end > latest:
            continue
        is_long = end - start >= HOLE_SILENCES * max(silence_s, LEAST_SILENCE_S)
        is_accepted = before.stopped and start <= before.until + BIN_S
        found.append(Hole(start, end, silence_s, is_long and silence_s <= MAX_SILENCE_S and not is_accepted))
    return found


def judge_holes(
    observation: Observation, watch: Watch, issuers: Sequence[Issuer], known: Mapping[int, IssuerHistory]
) -> list[Clue]:
    """Return what is missing of not_before, errors and warnings apart; `known`: by issuer id."""
    found: dict[bool, list[tuple[str, Hole]]] = {}
    for index in observation.newest["issuer"].tolist():
        before = known.get(issuers[index].issuer_id)
        for hole in holes(ages_of(observation.bins, index), before, watch.issued_until) if before else ():
            found.setdefault(hole.is_certain, []).append((issuers[index].names[0], hole))
    return [_clue(some, is_certain=is_certain) for is_certain, some in sorted(found.items(), reverse=True)]


def _clue(found: Sequence[tuple[str, Hole]], *, is_certain: bool) -> Clue:
    name, longest = max(found, key=lambda one: one[1].length_s)
    more = f", and in {len(found) - 1:,} more" if len(found) > 1 else ""
    return Clue(
        code="time.hole",
        severity="error" if is_certain else "warning",
        canonical="not_before",
        text=f'nothing of "{name}" was issued for {about(longest.length_s)} up to {time_text(longest.end)}{more}'
        f"; silences of up to {about(longest.usual_s)} are usual",
        advice="look whether the export lacks what was issued then: a copy that asks for what changed since an "
        "instant, and reads that in a wrong zone, skips as many hours as its offset has; where issuance did rest, "
        'accept it once: --accept time.hole --reason "..."',
        count=len(found),
        examples=tuple(
            f"{whose}: nothing from {time_text(hole.start)} to {time_text(hole.end)} ({about(hole.length_s)})"
            for whose, hole in found[:MAX_EXAMPLES]
        ),
    )
