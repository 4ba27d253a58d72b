"""How serials and times of each issuer are written, as one of several CAs may write them otherwise than the others.

What is odd about a few of its rows would hide among the many of another one. What all of its rows have in common shows
in some of them as well, so that looking costs nothing where there are many: `SAMPLE_ROWS` of each issuer in each part
of a file, from all over the batch that it is first seen in. What is noted is added up over the parts of a file, and not
over files, since each is judged by itself.

A look at the rows of one issuer takes half a millisecond, however few they are: as long as 80 signatures do. So
there are `LOOKS` in each file, and one more for every `ROWS_OF_A_LOOK` rows, which is 3 % of the time of a run; of
hundreds of issuers in one file, those with the most rows are looked at first, and not all of them may be. Of a file of
several parts, each has its share of the looks, and some issuers whose turn it is in this part.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.config.columns import TIME_COLUMNS
from pregen.errors import Finding
from pregen.snapshot.column import Column
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.habits.rounded import Rounded
from pregen.snapshot.habits.scripts import Scripts
from pregen.snapshot.habits.swapped import Swapped
from pregen.snapshot.habits.units import Units
from pregen.snapshot.octets import ArrowArray, octets_of
from pregen.snapshot.times.instants import Instants

SAMPLE_ROWS = 2_048
LOOKS, ROWS_OF_A_LOOK = 128, 2_500


@dataclass(slots=True)
class _Habit:
    """What was counted of the serials of one issuer."""

    scripts: Scripts = field(default_factory=Scripts)
    rounded: Rounded = field(default_factory=Rounded)
    swapped: Swapped = field(default_factory=Swapped)

    def add(self, other: "_Habit") -> None:
        self.scripts.add(other.scripts)
        self.rounded.add(other.rounded)
        self.swapped.add(other.swapped)


@dataclass(frozen=True, slots=True)
class SerialColumn:
    """The serials of a batch.

    Attributes:
        array: what the file holds.
        serial: what was read of it; null or empty where nothing was.
        name: of the column in the file.
        encoding: the declared one.
        first: where row 0 is.
        is_text: whether the file writes them as digits.
    """

    array: ArrowArray
    serial: pa.BinaryArray
    name: str
    encoding: str
    first: RowPlace
    is_text: bool


@dataclass(frozen=True, slots=True)
class TimeColumn:
    """The times of a batch: which column they are, what the file holds, what was read of it, and how."""

    canonical: str
    array: ArrowArray
    found: Instants
    encoding: str | None


class Habits:
    """What is noted of the serials and times of each issuer, in one file or a part of it."""

    def __init__(self, issuers: int, part: int = 0, parts: int = 1) -> None:
        """Nothing is noted yet of any issuer (index); this is one part, of so many, of a file."""
        self._has_turn = np.arange(issuers) % parts == part % parts
        self._wanted = {what: np.full(issuers, SAMPLE_ROWS, np.int64) for what in ("serial", *TIME_COLUMNS)}
        self._looks = dict.fromkeys(self._wanted, LOOKS / parts)
        self._habits: dict[int, _Habit] = {}
        self._units: dict[tuple[str, int], Units] = {}

    def note(self, column: SerialColumn, issuer: NDArray[np.int32], chosen: NDArray[np.bool_]) -> None:
        """Note the serials of some of the rows that are `chosen`, bool[n]; `issuer` is int32[n]."""
        for one, rows in self._samples("serial", issuer, chosen):
            self._note(self._habits.setdefault(one, _Habit()), column, rows)

    def note_times(self, column: TimeColumn, issuer: NDArray[np.int32], chosen: NDArray[np.bool_]) -> None:
        """Note some of the times that rows have that are `chosen`, bool[n]; `issuer` is int32[n]."""
        if not self._wanted[column.canonical].any():
            return
        written = column.found.given.copy()
        for fault in column.found.faults:
            written |= fault.rows
        for one, rows in self._samples(column.canonical, issuer, chosen & written):
            sample = np.zeros(len(issuer), np.bool_)
            sample[rows] = True
            self._units.setdefault((column.canonical, one), Units()).note(
                column.array, column.found, sample, column.encoding
            )

    def _samples(
        self, what: str, issuer: NDArray[np.int32], chosen: NDArray[np.bool_]
    ) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield issuers of which rows are still wanted, and as many of these, from all over the batch."""
        wanted = self._wanted[what]
        self._looks[what] += len(issuer) / ROWS_OF_A_LOOK
        if not wanted.any():
            return
        at = np.flatnonzero(chosen & (wanted > 0)[issuer])
        present = np.bincount(issuer[at], minlength=len(wanted))
        largest = np.lexsort((-present, ~(self._has_turn & (present > 0))))[: int(self._looks[what])]
        looked_at = largest[present[largest] > 0]
        self._looks[what] -= len(looked_at)
        at = at[np.argsort(issuer[at], kind="stable")]  # the rows of each issuer are neighbours now
        ends = np.cumsum(present)
        for one in np.sort(looked_at).tolist():
            rows = at[ends[one] - present[one] : ends[one]]
            rows = rows[:: -(-len(rows) // int(wanted[one]))]
            wanted[one] -= len(rows)
            yield one, rows

    def _note(self, habit: _Habit, column: SerialColumn, rows: NDArray[np.intp]) -> None:
        array, serial = column.array.take(rows), column.serial.take(rows)
        assert isinstance(serial, pa.BinaryArray)
        habit.scripts.note(array, column.encoding, serial, has_malformed=False)
        habit.rounded.note(array, serial, column.name, column.first, is_text=column.is_text, places=rows)
        habit.swapped.note(octets_of(serial))

    def add(self, later: "Habits") -> None:
        """Add what was noted of later rows of the same file."""
        for one, habit in later._habits.items():  # noqa: SLF001 - of the same class
            self._habits.setdefault(one, _Habit()).add(habit)
        for which, units in later._units.items():  # noqa: SLF001 - of the same class
            self._units.setdefault(which, Units()).add(units)

    def findings(self, name: str, encoding: str) -> Mapping[int, tuple[Finding, ...]]:
        """Return what is odd, by issuer; `name` is the column's name in the files, `encoding` the declared one."""
        found = {
            one: (
                *habit.scripts.findings(name, encoding),
                *habit.rounded.findings(name),
                *habit.swapped.findings(name),
            )
            for one, habit in sorted(self._habits.items())
        }
        return {one: findings for one, findings in found.items() if findings}

    def units(self, columns: Mapping[str, Column]) -> Mapping[str, Mapping[int, tuple[Finding, ...]]]:
        """Return which units are odd, by column of times (canonical name) and issuer."""
        found: dict[str, dict[int, tuple[Finding, ...]]] = {}
        for (canonical, one), noted in sorted(self._units.items()):
            if findings := noted.findings(columns[canonical]):
                found.setdefault(canonical, {})[one] = findings
        return found
