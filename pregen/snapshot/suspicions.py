"""What is noted of the rows of a batch, for a judgement on whole columns when all rows are read."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.reasons import CERTIFICATE_HOLD
from pregen.snapshot.codes import UNSPECIFIED, are_released
from pregen.snapshot.habits.by_issuer import Habits, SerialColumn
from pregen.snapshot.habits.calendar_times import are_turns
from pregen.snapshot.habits.standins import FIRST_S, LONG_S, Times
from pregen.snapshot.octets import Fault, nulls
from pregen.snapshot.remnants import IN_COLUMNS, NO_REVOCATION_BEFORE, Remnants
from pregen.snapshot.rows import BatchRows, Mask
from pregen.snapshot.serials import NOT_MINIMAL
from pregen.snapshot.times.instants import Instants

_ZONE_FAULTS = frozenset({"row.time.not-utc", "row.time.ambiguous", "row.time.nonexistent"})


def note_remnants(rows: BatchRows, revocations: Instants, revoked: Mask, latest_s: int) -> None:
    """Note what rows that are not revoked say of revocations; where there is no status, none of them does."""
    if rows.codes is None:
        return
    seconds, given, faults, _ = revocations
    silent = rows.sound & ~revoked
    timed = silent & given & (seconds >= NO_REVOCATION_BEFORE) & (seconds <= latest_s)
    final = silent & _gives_final_reason(rows)
    zoneless = np.zeros(rows.count, np.bool_)
    for fault in faults:  # times, though nobody can tell which
        zoneless |= fault.rows & (fault.code in _ZONE_FAULTS)
    reasoned = final & ~given & ~zoneless
    final &= timed | zoneless
    timed &= ~final
    if "reason" in rows.arrays and timed.any():
        timed &= ~are_released(rows.arrays["reason"], rows.reasons)
    counts = (int(np.count_nonzero(which)) for which in (final, timed, reasoned, silent, rows.sound & revoked))
    rows.reading.remnants = rows.reading.remnants.plus(Remnants(*counts))
    rows.report("revoked_at", Fault(IN_COLUMNS, final | timed))
    rows.report("reason", Fault(IN_COLUMNS, reasoned))


def note_left_out(rows: BatchRows, revocations: Instants, left_out: Mask, latest_s: int) -> None:
    """Note rows that are left out by their status, bool[n], and say when they were revoked; but for released holds."""
    seconds, given, _, _ = revocations
    timed = left_out & given & (seconds >= NO_REVOCATION_BEFORE) & (seconds <= latest_s) & ~rows.bad
    if "reason" in rows.arrays and timed.any():
        timed &= ~are_released(rows.arrays["reason"], rows.reasons)
    rows.report("revoked_at", Fault("row.revoked.left-out", timed))


def _gives_final_reason(rows: BatchRows) -> Mask:
    """Return which rows give a reason from which no certificate comes back."""
    if rows.reasons is None:
        return np.zeros(rows.count, np.bool_)
    number = rows.reasons.number
    final: Mask = rows.reasons.known & (number > UNSPECIFIED) & (number != CERTIFICATE_HOLD)
    return final


def note_scripts(rows: BatchRows, serial: pa.BinaryArray, faults: Iterable[Fault]) -> None:
    """Note how serials seem to be written, also bad ones; rows that are left out on purpose may hold anything."""
    if rows.first.unit == "line":
        return
    column = rows.arrays["serial"]
    looked_at = rows.judged & ~nulls(column)
    if not looked_at.all():
        column, serial = column.filter(pa.array(looked_at)), serial.filter(pa.array(looked_at))
    encoding = rows.columns["serial"].encoding or "binary"
    malformed = any(fault.code.startswith("row.serial.not-") and fault.rows.any() for fault in faults)
    rows.reading.scripts.note(column, encoding, serial, has_malformed=malformed)


def note_rounded(rows: BatchRows, serial: pa.BinaryArray, faults: Iterable[Fault]) -> None:
    """Note serials that a program seems to have rounded, in all rows: one that is left out tells of the others.

    What could not be read has zeros in place of what is no digit.
    """
    if rows.first.unit == "line":
        return
    for fault in faults:
        if fault.code != NOT_MINIMAL and fault.rows.any():
            serial = pc.if_else(pa.array(fault.rows), pa.scalar(b"", serial.type), serial)
    source, column = rows.columns["serial"], rows.arrays["serial"]
    is_text = not (source.encoding or "binary").endswith("binary") and not pa.types.is_integer(column.type)
    rows.reading.rounded.note(column, serial, source.name, rows.first, is_text=is_text)


def note_habits(rows: BatchRows, habits: Habits, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> None:
    """Note how the serials of each issuer are written, int32[n], of rows that are good so far."""
    source, array = rows.columns["serial"], rows.arrays["serial"]
    if rows.first.unit == "line":
        return
    encoding = source.encoding or "binary"
    is_text = not encoding.endswith("binary") and not pa.types.is_integer(array.type)
    habits.note(SerialColumn(array, serial, source.name, encoding, rows.first, is_text), issuer, rows.sound)


def note_stand_ins(
    rows: BatchRows,
    issuer: NDArray[np.int32],
    revoked_at: NDArray[np.int64],
    revoked: Mask,
    not_before: NDArray[np.int64],
    not_after: NDArray[np.int64],
    latest_s: int,
    *,
    from_crls: bool,
) -> None:
    """Note times that may stand for none, in rows that are good so far; an index.txt has a form of its own."""
    if rows.first.unit == "line":
        return
    sound = rows.sound
    noted = rows.reading.stand_ins
    noted.note_rows(issuer[sound])
    noted.has_status |= rows.codes is not None

    def times(canonical: str, seconds: NDArray[np.int64], which: Mask) -> Times:
        at = np.flatnonzero(which)
        name = rows.columns[canonical].name
        return Times(at, seconds[at], issuer[at], rows.arrays[canonical], name, rows.first)

    if "revoked_at" in rows.arrays and not from_crls:
        revocations = times("revoked_at", revoked_at, revoked & sound)
        noted.note_revocations(revocations, not_before[revocations.rows])
    if "not_after" in rows.arrays:
        early = sound & (not_after < FIRST_S)
        if early.any():
            noted.note_expiries(times("not_after", not_after, early))
        old = np.flatnonzero(sound & (not_after >= FIRST_S) & (not_after < latest_s - 2 * LONG_S))
        turns = np.zeros(rows.count, np.bool_)
        turns[old] = are_turns(not_after[old])
        noted.note_turns(times("not_after", not_after, turns), not_after[sound & ~turns])
