"""What is noted while one file is read: counts, bad rows, and what may be wrong with whole columns."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.config.columns import TIME_COLUMNS
from pregen.errors import Finding
from pregen.snapshot.findings import RowFindings
from pregen.snapshot.habits.rounded import Rounded
from pregen.snapshot.habits.scripts import Scripts
from pregen.snapshot.habits.standins import StandIns
from pregen.snapshot.habits.units import Units
from pregen.snapshot.remnants import Remnants


@dataclass(slots=True)
class Reading:
    """What was noted while one file was read.

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
    of_issuers: Mapping[int, tuple[Finding, ...]] = field(default_factory=dict)
    units_of_issuers: Mapping[str, Mapping[int, tuple[Finding, ...]]] = field(default_factory=dict)
    remnants: Remnants = field(default_factory=Remnants)
    units: dict[str, Units] = field(default_factory=lambda: {canonical: Units() for canonical in TIME_COLUMNS})
    rounded: Rounded = field(default_factory=Rounded)
    scripts: Scripts = field(default_factory=Scripts)
    stand_ins: StandIns = field(default_factory=StandIns)
    rows_of: NDArray[np.int64] | None = None
