"""What is noted while a part of a file is read: counts, bad rows, and what may be wrong with whole columns.

A file may be read in several parts, by several workers. Each part has a reading of its own, whoever reads it, and those
of a file are added up in the order of its rows: so what is said of it is the same, however it was cut.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.config.columns import TIME_COLUMNS
from pregen.errors import Finding
from pregen.snapshot.column import Column
from pregen.snapshot.findings import RowFindings
from pregen.snapshot.habits.by_issuer import Habits
from pregen.snapshot.habits.rounded import Rounded
from pregen.snapshot.habits.scripts import Scripts
from pregen.snapshot.habits.standins import StandIns
from pregen.snapshot.habits.units import Units
from pregen.snapshot.remnants import Remnants


@dataclass(slots=True)
class Reading:
    """What was noted while a part of a file, or all of it, was read.

    Attributes:
        rows_in: its rows so far, bad and excluded ones included.
        excluded: rows that are left out on purpose, by reason.
        excluded_values: for which columns, as the files call them, and values of theirs.
        findings: its bad rows.
        listed: entries of CRLs that its rows have.
        by_sign: those that its rows have but for the sign, and the forms of these (`pregen.snapshot.crls.signs`).
        oldest: the earliest not_before of the rows of each issuer, int64[issuers]; None: nobody asks.
        of_kind: how many rows of each kind each issuer has, int64[issuers, KIND_COUNT]; None: nobody asks.
        zone_used: columns (canonical names) with a declared zone, and with times that it was needed for.
        zone_written: those with times that name their own.
        negative_serials: how many rows of each issuer have a serial that is negative, int64[issuers].
        revoked_of_cas: when certificates of issuers whose profile is for CAs alone were revoked, int64[k], distinct.
        habits: how serials and times of each issuer are written; None: they are judged, or nothing is read yet.
        of_issuers: what is odd about the serials of issuers (indices), each by itself.
        units_of_issuers: what is odd about their units of times, by canonical column.
        remnants: what rows that are not revoked say of revocations.
        units: in which its times seem to be written, by canonical column.
        rounded: serials that seem to be rounded.
        scripts: how they seem to be written.
        stand_ins: times that may stand for none.
        rows_of: how many rows name each issuer, int64[issuers, 2]: those that the status does not leave out, and those
            that it does; None: nothing is read yet.
    """

    rows_in: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    excluded_values: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: RowFindings = field(default_factory=RowFindings)
    listed: list[NDArray[np.int32]] = field(default_factory=list)
    by_sign: list[NDArray[np.int64]] = field(default_factory=list)
    oldest: NDArray[np.int64] | None = None
    of_kind: NDArray[np.int64] | None = None
    zone_used: set[str] = field(default_factory=set)
    zone_written: set[str] = field(default_factory=set)
    negative_serials: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    revoked_of_cas: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    habits: Habits | None = None
    of_issuers: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)
    units_of_issuers: Mapping[str, Mapping[int, tuple[Finding, ...]]] = field(default_factory=dict)
    remnants: Remnants = field(default_factory=Remnants)
    units: dict[str, Units] = field(default_factory=lambda: {canonical: Units() for canonical in TIME_COLUMNS})
    rounded: Rounded = field(default_factory=Rounded)
    scripts: Scripts = field(default_factory=Scripts)
    stand_ins: StandIns = field(default_factory=StandIns)
    rows_of: NDArray[np.int64] | None = None

    def add(self, later: "Reading") -> None:
        """Add what was noted of later rows of the same file."""
        self.rows_in += later.rows_in
        self.excluded.update(later.excluded)
        self.excluded_values.update(later.excluded_values)
        self.findings.add(later.findings)
        self.listed += later.listed
        self.by_sign += later.by_sign
        self.oldest = _both(np.minimum, self.oldest, later.oldest)
        self.of_kind = _both(np.add, self.of_kind, later.of_kind)
        self.zone_used |= later.zone_used
        self.zone_written |= later.zone_written
        self.negative_serials = self.negative_serials + later.negative_serials
        self.revoked_of_cas = np.union1d(self.revoked_of_cas, later.revoked_of_cas)
        if self.habits is not None and later.habits is not None:
            self.habits.add(later.habits)
        self.remnants = self.remnants.plus(later.remnants)
        for canonical, units in later.units.items():
            self.units[canonical].add(units)
        self.rounded.add(later.rounded)
        self.scripts.add(later.scripts)
        self.stand_ins.add(later.stand_ins)
        self.rows_of = _both(np.add, self.rows_of, later.rows_of)

    def judge_habits(self, columns: Mapping[str, Column]) -> None:
        """Say what is odd about the rows of each issuer, once all rows of the file are noted."""
        if self.habits is None:
            return
        serial = columns["serial"]
        self.of_issuers = self.habits.findings(serial.name, serial.encoding or "binary")
        self.units_of_issuers = self.habits.units(columns)
        self.habits = None


def _both(
    operation: np.ufunc, one: NDArray[np.int64] | None, other: NDArray[np.int64] | None
) -> NDArray[np.int64] | None:
    if one is None or other is None:
        return one if other is None else other
    both: NDArray[np.int64] = operation(one, other)
    return both
