"""Lag: the newest issuance of an issuer is further behind as_of than it can be.

A column that is read earlier than it happened, or a copy that lacks the last hours, ends too early. How long a silence
is usual, an issuer's own last 35 days say: a nightly batch is silent for a day, an office for a weekend, a small CA for
a month, and an automated CA for minutes. Constant backdating is in the lag of every generation, so only what exceeds
the lags that were published counts. A few postdated certificates must not hide a silence, so it ends where issuance is
dense again (`rhythm`). An error is a lag that

    * exceeds the published ones by `MIN_SHIFT_S`, and is (less the least of them) at least twice as long as the
      issuer's longest silence of 35 days, which it must have used well (`MIN_BINS` of its 5 minutes, over
      `MIN_SPAN_S`, so that two weekends are among them); and
    * is explained by an offset between two zones that exist at that date, given the lags that are usual; or is, of an
      issuer that was never silent for `MAX_SILENCE_S`, at least `HOLE_SILENCES` times as long as its longest silence
      (the latest rows are missing), or a silence since before the last generation (issuance has stopped, or the copy
      has).

What was refused and then accepted is not among the published lags of the next generation, where it would hide the same
mistake: that a stop was accepted is remembered until issuance goes on, and another lag becomes the usual one when it
was accepted in `ADOPTED_AFTER` generations in a row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.gates.clues import Clue, examples, until_text
from pregen.gates.evidence import BIN_S, BINS, NO_SIGHTINGS, Observation, Sightings, Watch
from pregen.gates.history import MAX_LAGS, History, IssuerHistory
from pregen.gates.offsets import nearest_quarter, possible_shifts
from pregen.issuers import Issuer
from pregen.snapshot.columns import Column

MIN_BINS = 200
MIN_SPAN_S = 15 * 86_400
MIN_SHIFT_S = 1_500  # half an hour, less what lies between two issuances
SILENCES = 2.0
MAX_SILENCE_S = 6 * 3_600
HOLE_SILENCES, LEAST_SILENCE_S = 6.0, 1_800  # less than half an hour is not called a silence there
ADOPTED_AFTER = 3
_EXPECTED, DENSITY = 10, 0.3  # bins that are used on the average in a window, and which part of them is dense
SLACK_S = 600  # between the usual lag and what remains of this one when the offset is taken away
Kind = Literal["shift", "stop", "back", "odd"]


@dataclass(frozen=True, slots=True)
class Shift:
    """What is odd about the newest issuance of one issuer.

    Attributes:
        kind: shift: too early by an offset; stop: nothing new since the last generation; back: older than the newest of
            the last generation; odd: too early, but by no zone's offset (a hole at the end, where it is certain).
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
    silence_s, lag_s = own.silence_s, lag_of(newest, ages, as_of)
    usual_s, least_s, most_s = int(np.median(before.lags)), min(before.lags), max(before.lags)
    # A backdating CA is always as far behind as its least lag: that is no silence.
    silent_s = lag_s - least_s
    too_long = lag_s - most_s >= MIN_SHIFT_S and silent_s >= max(MIN_SHIFT_S, SILENCES * silence_s)
    is_back = before.newest is not None and newest < before.newest
    if not too_long and not is_back:
        return None
    shift_s = _fitting(lag_s - usual_s, silence_s, shifts())
    found = Shift("back", shift_s, lag_s, usual_s, silence_s, own.busy and too_long)
    if is_back:
        return found
    never_silent = silence_s <= MAX_SILENCE_S
    if not own.busy:
        return None
    if newest == before.newest:
        return replace(found, kind="stop") if never_silent and not before.odd else None
    if shift_s is not None:
        return replace(found, kind="shift")
    is_hole = never_silent and silent_s >= HOLE_SILENCES * max(silence_s, LEAST_SILENCE_S)
    return replace(found, kind="odd", is_certain=is_hole)


class Lags(NamedTuple):
    """What the newest issuances say: one clue for each offset and kind, and the issuers (indices) that errors name."""

    clues: tuple[Clue, ...]
    odd: frozenset[int]


def judge_lag(
    observation: Observation, watch: Watch, column: Column, issuers: Sequence[Issuer], history: History
) -> Lags:
    """Return what the newest issuances say against not_before."""

    def shifts() -> frozenset[int]:
        return frozenset(shift for shift in possible_shifts(column, watch.issued_until) if shift < 0)

    groups: dict[tuple[Kind, int | None, bool], list[tuple[Shift, np.void]]] = {}
    for row in observation.newest:
        index = int(row["issuer"])
        before = history.issuers.get(issuers[index].issuer_id)
        if before is None or not before.lags:
            continue
        ages = ages_of(observation.bins, index)
        found = lag_shift(int(row["not_before"]), ages, before, as_of=watch.issued_until, shifts=shifts)
        if found is not None:
            groups.setdefault((found.kind, found.shift_s, found.is_certain), []).append((found, row))
    odd = (int(row["issuer"]) for (_, _, is_certain), found in groups.items() if is_certain for _, row in found)
    return Lags(tuple(_clue(found, watch, column, issuers) for found in groups.values()), frozenset(odd))


def remembered(before: IssuerHistory, newest: int | None, lag_s: int | None, *, is_odd: bool) -> IssuerHistory:
    """Return what the next generation needs to know of an issuer.

    Args:
        before: what is remembered of the last generation, with the certificates of this one.
        newest: the latest not_before up to as_of, in seconds since 1970; None: there is none.
        lag_s: `lag_of` that; None: there is none.
        is_odd: whether the lag was refused, and is accepted.
    """
    if lag_s is None:
        return replace(before, newest=newest)
    is_stopped = newest == before.newest
    if is_stopped and (before.odd or is_odd):
        return replace(before, odd=before.odd or 1)
    if is_odd and before.odd + 1 < ADOPTED_AFTER:
        return replace(before, newest=newest, odd=before.odd + 1)
    lags = (lag_s,) if is_odd else (lag_s, *before.lags)[:MAX_LAGS]
    return replace(before, newest=newest, lags=lags, odd=0)


def _fitting(excess_s: int, silence_s: int, shifts: frozenset[int]) -> int | None:
    """Return the possible shift that leaves a lag near the usual one, or None; long silences make long lags."""
    slack = max(SLACK_S, min(silence_s, 1_800))
    near = [shift for shift in shifts if -SLACK_S <= excess_s + shift <= slack]
    if not near:
        return None
    return min(near, key=lambda shift: (abs(nearest_quarter(excess_s) + shift), shift))


def _clue(found: Sequence[tuple[Shift, np.void]], watch: Watch, column: Column, issuers: Sequence[Issuer]) -> Clue:
    first = max((shift for shift, _ in found), key=lambda shift: shift.lag_s)
    rows: Sightings = np.array([row for _, row in found], NO_SIGHTINGS.dtype)
    name = f'"{issuers[int(rows[0]["issuer"])].names[0]}"'
    whose = name if len(found) == 1 else f"{len(found):,} issuers ({name}, ...)"
    text = (
        f"the newest issuance of {whose} is {_hours(first.lag_s)} behind {until_text(watch)}, usually "
        f"{_hours(first.usual_s)}; the longest silence of 35 days was {_hours(first.silence_s)}"
    )
    if first.kind == "back":
        text += "; the last generation had a newer one"
    if first.kind == "odd" and first.is_certain:
        text += "; what was issued since then is missing, where this issuer did not stop"
    if first.kind == "stop":
        text += "; nothing is newer than in the last generation"
    return Clue(
        code="time.lag-shift",
        severity="error" if first.is_certain else "warning",
        canonical="not_before",
        text=text,
        advice="look whether the export lacks the latest certificates; where issuance did stop, accept it once: "
        '--accept time.lag-shift --reason "..."',
        otherwise="its times are right, and what fills this export has stopped or skips what is new: look there",
        shift_s=first.shift_s,
        count=len(found),
        examples=examples(rows, issuers, column, first.shift_s),
    )


def _hours(seconds: int) -> str:
    """Return a duration as HH:MM, with a sign where it is negative: an issuer that postdates."""
    return f"{'-' if seconds < 0 else ''}{abs(seconds) // 3_600:02}:{abs(seconds) // 60 % 60:02}"
