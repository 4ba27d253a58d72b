"""Lag: the newest issuance of an issuer is further behind as_of than it can be.

A column that is read earlier than it happened, or a copy that lacks the last hours, ends too early. How long a silence
is usual, an issuer's own last 35 days say: a nightly batch is silent for a day, an office for a weekend, a small CA for
a month, and an automated CA for minutes. Constant backdating is in the lag of every generation, so only what exceeds
the lags that were published counts. A few postdated certificates must not hide a silence, so it ends where issuance is
dense again (`rhythm`). An error is a lag that

    * exceeds the published ones by `MIN_SHIFT_S`, and is (less the least of them) at least twice as long as the
      issuer's longest silence of 35 days, which it must have used well (`MIN_BINS` of its 5 minutes, over
      `MIN_SPAN_S`, so that two weekends are among them); and
    * is explained by an offset between two zones that exist at that date, given the lags that are usual; or is a
      silence since before the last generation, of an issuer that was never silent for `MAX_SILENCE_S`: issuance has
      stopped, or the copy has. It is said once: the next generation knows the lag.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pregen.gates.clues import Clue, examples
from pregen.gates.evidence import BIN_S, BINS, NO_SIGHTINGS, Observation, Sightings, Watch
from pregen.gates.history import History, IssuerHistory
from pregen.gates.offsets import nearest_quarter, offset_text, possible_shifts
from pregen.issuers import Issuer
from pregen.snapshot.columns import Column

MIN_BINS = 200
MIN_SPAN_S = 15 * 86_400
MIN_SHIFT_S = 1_500  # half an hour, less what lies between two issuances
SILENCES = 2.0
MAX_SILENCE_S = 6 * 3_600
_EXPECTED, DENSITY = 10, 0.3  # bins that are used on the average in a window, and which part of them is dense
SLACK_S = 600  # between the usual lag and what remains of this one when the offset is taken away
Kind = Literal["shift", "stop", "back", "odd"]


@dataclass(frozen=True, slots=True)
class Shift:
    """What is odd about the newest issuance of one issuer.

    Attributes:
        kind: shift: too early by an offset; stop: nothing new since the last generation; back: older than the newest of
            the last generation; odd: too early, but by no zone's offset.
        shift_s: about how much too early, negative, in whole quarters of an hour; None where it is no offset.
        lag_s: of this generation.
        usual_s: median of the lags before.
        silence_s: the longest of 35 days, between two issuances.
        is_certain: whether its own issuance makes it implausible.
    """

    kind: Kind
    shift_s: int | None
    lag_s: int
    usual_s: int
    silence_s: int
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How an issuer works, of 35 days: whether that is enough to judge it, its lag, and its longest silence before.

    The lag is None where it is not busy.
    """

    busy: bool
    lag_s: int | None
    silence_s: int


def rhythm(ages: NDArray[np.int64]) -> Rhythm:
    """Return how an issuer works.

    Dense is a place from which on, towards the past, at least three bins are used where ten are to be expected.

    Args:
        ages: int64[k], ascending and distinct: how many whole bins of 5 minutes before as_of something was issued.
    """
    silence_s = int(np.diff(ages).max()) * BIN_S if len(ages) > 1 else 0
    if len(ages) < MIN_BINS or (ages[-1] - ages[0]) * BIN_S < MIN_SPAN_S:
        return Rhythm(busy=False, lag_s=None, silence_s=silence_s)
    width = max(_EXPECTED, -(-_EXPECTED * int(ages[-1] - ages[0] + 1) // len(ages)))
    reached = np.searchsorted(ages, ages + width)  # how many bins are used up to the end of the window from each
    dense = ages[reached - np.arange(len(ages)) >= DENSITY * _EXPECTED]
    if len(dense) < 2:
        return Rhythm(busy=False, lag_s=None, silence_s=silence_s)
    return Rhythm(busy=True, lag_s=int(dense[0]) * BIN_S, silence_s=int(np.diff(dense).max()) * BIN_S)


def lag_of(newest: int, ages: NDArray[np.int64], as_of: int) -> int:
    """Return how far an issuer is behind as_of, in seconds: what is remembered of a generation."""
    dense = rhythm(ages).lag_s
    return as_of - newest if dense is None else max(dense, as_of - newest)


def ages_of(bins: NDArray[np.int64], issuer: int) -> NDArray[np.int64]:
    """Return the used bins of one issuer, of all (`Observation.bins`), counted from as_of."""
    first, end = np.searchsorted(bins, [issuer * BINS, (issuer + 1) * BINS])
    return bins[first:end] - issuer * BINS


def lag_shift(
    newest: int,
    ages: NDArray[np.int64],
    before: IssuerHistory,
    *,
    as_of: int,
    shifts: Callable[[], frozenset[int]],
) -> Shift | None:
    """Return what is odd about the newest issuance of an issuer, or None.

    Args:
        newest: the latest not_before up to as_of, in seconds since 1970.
        ages: as for `rhythm`.
        before: what is remembered of the issuer, a lag at least.
        as_of: of the snapshot.
        shifts: returns by how many seconds a column can be read too early (negative) at this date; asked only where
            something is odd, because that looks into all zones.
    """
    own = rhythm(ages)
    busy, silence_s, lag_s = own.busy, own.silence_s, lag_of(newest, ages, as_of)
    usual_s, least_s, most_s = int(np.median(before.lags)), min(before.lags), max(before.lags)
    enough_s = max(MIN_SHIFT_S, SILENCES * silence_s)
    # A backdating CA is always as far behind as its least lag: that is no silence.
    too_long = lag_s - most_s >= MIN_SHIFT_S and lag_s - least_s >= enough_s
    found = Shift("odd", None, lag_s, usual_s, silence_s, busy and too_long)
    if before.newest is not None and newest == before.newest:
        known = before.lags[0] - least_s >= enough_s
        if not too_long or known or not busy or silence_s > MAX_SILENCE_S:
            return None
        return replace(found, kind="stop", shift_s=_fitting(lag_s - usual_s, silence_s, shifts()))
    goes_back = before.newest is not None and newest < before.newest
    if not too_long and not goes_back:
        return None
    shift_s = _fitting(lag_s - usual_s, silence_s, shifts())
    if goes_back:
        return replace(found, kind="back", shift_s=shift_s)
    if shift_s is None or not busy:
        return replace(found, is_certain=False) if busy else None
    return replace(found, kind="shift", shift_s=shift_s)


def judge_lag(
    observation: Observation, watch: Watch, column: Column, issuers: Sequence[Issuer], history: History
) -> tuple[Clue, ...]:
    """Return what the newest issuances say against not_before: one clue for each offset and kind."""

    def shifts() -> frozenset[int]:
        return frozenset(shift for shift in possible_shifts(column, watch.as_of) if shift < 0)

    groups: dict[tuple[Kind, int | None, bool], list[tuple[Shift, np.void]]] = {}
    for row in observation.newest:
        index = int(row["issuer"])
        before = history.issuers.get(issuers[index].issuer_id)
        if before is None or not before.lags:
            continue
        ages = ages_of(observation.bins, index)
        found = lag_shift(int(row["not_before"]), ages, before, as_of=watch.as_of, shifts=shifts)
        if found is not None:
            groups.setdefault((found.kind, found.shift_s, found.is_certain), []).append((found, row))
    return tuple(_clue(found, column, issuers) for found in groups.values())


def _fitting(excess_s: int, silence_s: int, shifts: frozenset[int]) -> int | None:
    """Return the possible shift that leaves a lag near the usual one, or None; long silences make long lags."""
    slack = max(SLACK_S, min(silence_s, 1_800))
    near = [shift for shift in shifts if -SLACK_S <= excess_s + shift <= slack]
    if not near:
        return None
    return min(near, key=lambda shift: (abs(nearest_quarter(excess_s) + shift), shift))


def _clue(found: Sequence[tuple[Shift, np.void]], column: Column, issuers: Sequence[Issuer]) -> Clue:
    first = max((shift for shift, _ in found), key=lambda shift: shift.lag_s)
    rows: Sightings = np.array([row for _, row in found], NO_SIGHTINGS.dtype)
    name = f'"{issuers[int(rows[0]["issuer"])].names[0]}"'
    whose = name if len(found) == 1 else f"{len(found):,} issuers ({name}, ...)"
    text = (
        f"the newest issuance of {whose} is {_hours(first.lag_s)} behind as_of, usually {_hours(first.usual_s)}; the "
        f"longest silence of 35 days was {_hours(first.silence_s)}"
    )
    if first.kind == "back":
        text += "; the last generation had a newer one"
    if first.kind == "stop":
        text += "; nothing is newer than in the last generation, so what fills this export may have stopped, or skip"
        text += " what is new, where its own times are right"
    return Clue(
        code="time.lag-shift",
        severity="error" if first.is_certain else "warning",
        canonical="not_before",
        text=text,
        advice="look whether the export lacks the latest certificates; where issuance did stop, accept it once: "
        '--accept time.lag-shift --reason "..."',
        shift_s=first.shift_s,
        count=len(found),
        examples=examples(rows, issuers, column, first.shift_s),
    )


def _hours(seconds: int) -> str:
    """Return a duration as HH:MM."""
    return offset_text(seconds)[1:6] if seconds >= 0 else offset_text(seconds)[:6]
