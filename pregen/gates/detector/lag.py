"""Lag: the newest issuance of an issuer is further behind as_of than it can be.

A column that is read earlier than it happened, or a copy that lacks the last hours, ends too early. Constant backdating
is in the lag of every generation, so only what exceeds the lags that were published counts. A few postdated
certificates must not hide a silence, so it ends where issuance is dense again (`rhythm.py`). Judged is a lag
that exceeds the published ones by `MIN_SHIFT_S`, and is (less the least of them) at least `SILENCES` times as long as
the silences that are usual to the issuer. It is

    shift   where an offset between two zones that exist at that date explains it, given the lags that are usual. That
            is an error;
    stop    where it is a silence since before the last generation: issuance has stopped, or the copy has. That is an
            error of an issuer that was never silent for `MAX_SILENCE_S`, and of any where it is `HOLE_SILENCES` times
            as long as is usual;
    back    where the newest issuance is older than that of the last generation, so that rows are gone. That is an error
            where the lag is judged to be too long as well;
    odd     where it is none of these. That is an error of an issuer that was never silent so long, where it is
            `HOLE_SILENCES` times as long as is usual (half an hour at least): the latest rows are missing.

All else is a warning, and so is whatever is odd about an issuer of which too little is known. A lag is a warning too if
it holds `MISSED` of the 5 minutes in which the issuer was busy at the same time in most of the last weeks: a working
day that is missing.

What a generation adds to the published lags is in `recollection.py`. A stop that was accepted covers `STOP_GROWS`
times as long a silence. Lags that creep up count no further than silences explain.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.gates.detector.case import Case, Events
from pregen.gates.detector.clues import Clue, about, examples, time_text, until_text
from pregen.gates.detector.observation import BIN_S, Watch
from pregen.gates.detector.offsets import nearest_quarter, possible_shifts
from pregen.gates.detector.rhythm import (
    LEAST_SILENCE_S,
    LONG_SPAN_S,
    MAX_SILENCE_S,
    MISSED,
    SILENCES,
    STOP_GROWS,
    Rhythm,
    is_long,
    missed,
)
from pregen.gates.detector.sightings import SIGHTING, Sightings
from pregen.issuers import Issuer
from pregen.snapshot.column import Column
from storage.history import IssuerHistory

# Half an hour, which is the least that two zones differ by where people issue certificates, less what usually lies
# between two issuances: the newest one may have come a few minutes before the export.
MIN_SHIFT_S = 1_500
# Of an issuer that is not busy: with less than so many uses, over less than two weekends, nobody knows whether it
# issues so seldom that a long silence is nothing.
FEW_BINS = 20
# Between the usual lag and what remains of this one when the offset is taken away: with more, offsets that are a
# quarter of an hour apart could not be told from each other; with less, an issuer with a certificate in five minutes
# would be off by chance.
SLACK_S = 600
ShiftKind = Literal["shift", "stop", "back", "odd"]


@dataclass(frozen=True, slots=True)
class Shift:
    """What is odd about the newest issuance of one issuer.

    Attributes:
        kind: shift: too early by an offset; stop: nothing new since the last generation; back: older than the newest of
            the last generation; odd: too early, but by no zone's offset (a hole at the end, where it is certain).
        shift_s: about how much too early, negative, in whole quarters of an hour; None where it is no offset.
        lag_s: of this generation.
        usual_s: median of the lags before.
        silence_s: the longest that is usual, between two issuances.
        is_certain: whether its own issuance makes it implausible.
    """

    kind: ShiftKind
    shift_s: int | None
    lag_s: int
    usual_s: int
    silence_s: int
    is_certain: bool


def lag_of(newest: int, own: Rhythm, as_of: int) -> int:
    """Return how far an issuer is behind as_of, in seconds: what is remembered of a generation."""
    return max(as_of - newest, own.lag_s or 0)


def lag_shift(
    newest: int,
    own: Rhythm,
    before: IssuerHistory,
    *,
    as_of: int,
    shifts: Callable[[], frozenset[int]],
    silences: float = SILENCES,
) -> Shift | None:
    """Return what is odd about the newest issuance of an issuer, or None.

    Args:
        newest: the latest not_before up to as_of, in seconds since 1970.
        own: its issuance in the snapshot.
        before: what is remembered of the issuer, a lag at least.
        as_of: of the snapshot.
        shifts: returns by how many seconds a column can be read too early (negative) at this date; asked only where
            something is odd, because that looks into all zones.
        silences: how many times as long as is usual is too long.
    """
    # What was usual is taken from the last generation where that knew it: since an issuer stopped, less and less of
    # what it did is within the 35 days, and its silences would seem to grow with the one that is judged.
    silence_s, lag_s = own.silence_s if before.silence_s is None else before.silence_s, lag_of(newest, own, as_of)
    is_busy = own.busy or before.silence_s is not None
    # A CA that backdates is always as far behind as its least lag: that is no silence.
    least_s = min(before.lags)
    silent_s, explained_s = lag_s - least_s, max(MIN_SHIFT_S, int(silences * silence_s))
    # Lags that no silence explains were accepted, or crept up a little each day: as a measure, they would hide what
    # creeps further. The least one is always among the rest.
    most_s = max(lag for lag in before.lags if lag - least_s <= explained_s)
    too_long = lag_s - most_s >= MIN_SHIFT_S and silent_s >= explained_s
    is_back = before.newest is not None and newest < before.newest
    has_missed = own.busy and missed(own.ages, least_s // BIN_S, lag_s // BIN_S) >= MISSED
    if not too_long and not is_back and not has_missed:
        return None  # nearly always: so all zones are looked into (`shifts`) only after it
    is_hole = is_long(silent_s, silence_s)
    is_stop, is_accepted = has_stopped(before, as_of - lag_s), silent_s <= STOP_GROWS * before.stopped_s
    usual_s, never_silent = int(np.median(before.lags)), silence_s <= MAX_SILENCE_S
    found = Shift("back", _fitting(lag_s - usual_s, silence_s, shifts()), lag_s, usual_s, silence_s, is_certain=False)
    # The order matters: rows that are gone would else be called a stop, since nothing is newer; and a stop for as long
    # as some zone's offset would be called a shift, which it is not, as nothing came since the last generation.
    if is_back:
        return replace(found, is_certain=is_busy and too_long and not is_accepted)
    if not is_busy:
        is_known = len(own.ages) >= FEW_BINS and (own.ages[-1] - own.ages[0]) * BIN_S >= LONG_SPAN_S
        return replace(found, kind="stop") if is_stop and is_known and is_hole else None
    if is_stop:
        # An issuer with quiet nights is silent each morning for hours: it takes six times that to be sure.
        return replace(found, kind="stop", is_certain=too_long and (never_silent or is_hole) and not is_accepted)
    if found.shift_s is not None and too_long:
        return replace(found, kind="shift", is_certain=True)
    return replace(found, kind="odd", is_certain=never_silent and is_hole)


def has_stopped(before: IssuerHistory, until: int) -> bool:
    """Tell whether issuance, which is dense up to the second `until`, has not gone on since the last generation.

    Both are known to 5 minutes only, so one of these more is no progress.
    """
    return before.until is not None and until <= before.until + BIN_S


class Lags(NamedTuple):
    """What newest times say: one clue for each offset and kind, and the rows of events (`Events.row`) in error."""

    clues: tuple[Clue, ...]
    odd: frozenset[int]


def judge_lag(case: Case, events: Iterable[Events]) -> Lags:
    """Return what the newest issuances say against not_before; `events` as `Case.events` returns them."""
    column, watch = case.columns["not_before"], case.watch

    def shifts() -> frozenset[int]:
        return frozenset(shift for shift in possible_shifts(column, watch.issued_until) if shift < 0)

    groups: dict[tuple[ShiftKind, int | None, bool], list[tuple[Shift, np.void]]] = {}
    for one in events:
        if one.newest is None or one.before is None or not one.before.lags:
            continue
        newest = int(one.newest["not_before"])
        found = lag_shift(newest, one.rhythm, one.before, as_of=one.until, shifts=shifts, silences=case.silences)
        if found is not None:
            groups.setdefault((found.kind, found.shift_s, found.is_certain), []).append((found, one.newest))
    odd = (int(row["issuer"]) for (_, _, is_certain), found in groups.items() if is_certain for _, row in found)
    return Lags(tuple(_clue(found, watch, column, case.issuers) for found in groups.values()), frozenset(odd))


def judge_revocations(revoked: Events) -> Lags:
    """Return what the newest revocation says against revoked_at: that revocations have stopped, or their copy has.

    They come less regularly than issuances: what is too early, or silent, is an error where it is `HOLE_SILENCES` times
    as long as is usual.
    """
    own, as_of = revoked.rhythm, revoked.until
    if not len(own.ages) or revoked.before is None or not revoked.before.lags:
        return Lags((), frozenset())
    before = replace(revoked.before, newest=None)
    found = lag_shift(newest_in(own.ages, as_of), own, before, as_of=as_of, shifts=frozenset)
    if found is None:
        return Lags((), frozenset())
    is_certain = found.is_certain and is_long(found.lag_s - min(before.lags), found.silence_s)
    clue = Clue(
        code="time.lag-shift",
        severity="error" if is_certain else "warning",
        canonical="revoked_at",
        text=f"the newest revocation is {about(found.lag_s)} behind as_of, usually {about(found.usual_s)}; silences of "
        f"up to {about(found.silence_s)} are usual",
        advice="look whether the export lacks the latest revocations: what was revoked since then would be good; where "
        'nothing was revoked, accept it once: --accept time.lag-shift --reason "..."',
    )
    return Lags((clue,), frozenset({revoked.row}) if is_certain else frozenset())


def newest_in(ages: NDArray[np.int64], as_of: int) -> int:
    """Return when something last happened, as the used bins tell, to 5 minutes."""
    return as_of - int(ages[0]) * BIN_S


def _fitting(excess_s: int, silence_s: int, shifts: frozenset[int]) -> int | None:
    """Return the possible shift that leaves a lag near the usual one, or None; long silences make long lags."""
    # Upwards the slack grows with the silences, since the newest issuance may lie so far before the export by itself;
    # up to half an hour, where the next offset begins.
    slack = max(SLACK_S, min(silence_s, LEAST_SILENCE_S))
    near = [shift for shift in shifts if -SLACK_S <= excess_s + shift <= slack]
    if not near:
        return None
    return min(near, key=lambda shift: (abs(nearest_quarter(excess_s) + shift), shift))


def _clue(found: Sequence[tuple[Shift, np.void]], watch: Watch, column: Column, issuers: Sequence[Issuer]) -> Clue:
    first = max((shift for shift, _ in found), key=lambda shift: shift.lag_s)
    rows: Sightings = np.array([row for _, row in found], SIGHTING)
    name = f'"{issuers[int(rows[0]["issuer"])].names[0]}"'
    whose = name if len(found) == 1 else f"{len(found):,} issuers ({name}, ...)"
    until = watch.issued_until - first.lag_s
    text = (
        f"issuance of {whose} ends {about(first.lag_s)} before {until_text(watch)}, usually {about(first.usual_s)}; "
        f"silences of up to {about(first.silence_s)} are usual"
    )
    newest = max(int(row["not_before"]) for shift, row in found if shift is first)
    if newest > until + BIN_S:
        text += f"; after {time_text(until)} there are only few, up to {time_text(newest)}"
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
