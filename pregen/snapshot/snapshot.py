"""A snapshot as a whole: which files, for which instant, and its rows from the first to the last."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.config.columns import TIME_COLUMNS
from pregen.errors import Finding
from pregen.snapshot.batch import NO_EXPIRY, StatusBatch
from pregen.snapshot.column import Column, listing
from pregen.snapshot.columns import needed
from pregen.snapshot.crls.lists import RevocationList
from pregen.snapshot.crls.revocations import Revocations
from pregen.snapshot.crls.scope import KIND_COUNT, out_of_scope
from pregen.snapshot.crls.signs import entries_in
from pregen.snapshot.files import SnapshotFile
from pregen.snapshot.findings import RowFindings, RowPlace, located, negative_finding
from pregen.snapshot.habits.part_findings import Parts, narrowed
from pregen.snapshot.habits.rounded import Rounded
from pregen.snapshot.habits.scripts import Scripts
from pregen.snapshot.habits.standins import StandIns
from pregen.snapshot.habits.units import Units
from pregen.snapshot.intake import Intake
from pregen.snapshot.profile_rules import NO_PROFILES
from pregen.snapshot.reading import Reading
from pregen.snapshot.readings import Readings
from pregen.snapshot.remnants import Remnants, judged
from pregen.validity import CLOCK_SKEW_S, Profile


class Snapshot:
    """The rows of all files of a snapshot, in order. It pickles: workers read files of it, each its own.

    Attributes:
        as_of: the instant for which the snapshot is complete and correct.
        files: what it is made of, sorted.
        listed_as_of: where revocations come from CRLs, now or when the files were imported, the instant of the list of
            certificates; None: there are none.
    """

    def __init__(
        self,
        files: tuple[SnapshotFile, ...],
        columns: Mapping[str, Column],
        issuers: Mapping[str, int],
        as_of: datetime,
        warnings: tuple[Finding, ...] = (),
        profiles: Mapping[int, Profile] = NO_PROFILES,
        revocations: Revocations | None = None,
        skew_s: int = CLOCK_SKEW_S,
        listed_as_of: datetime | None = None,
    ) -> None:
        """Take files that were looked at already, and what is odd about them; `open_snapshot` does that."""
        self.as_of = as_of
        self.listed_as_of = listed_as_of
        self.files = tuple(file.path for file in files)
        self._opened = files
        self._columns = columns
        self._issuers = issuers
        self._profiles = dict(profiles)
        self._revocations = revocations
        self._skew_s = skew_s
        self._warnings = warnings
        self._readings = self._no_readings()

    @property
    def columns(self) -> Mapping[str, Column]:
        """Where each canonical column comes from."""
        return self._columns

    @property
    def row_estimate(self) -> int:
        """About how many rows there are, known before they are read; at least 1."""
        return max(1, sum(file.row_estimate for file in self._opened))

    @property
    def rows_in(self) -> int:
        """Rows read so far, bad and excluded ones included."""
        return self._readings.rows_in

    @property
    def rows_of(self) -> NDArray[np.int64]:
        """How many rows of those read so far name each issuer, int64[issuers, 2] (`Reading.rows_of`)."""
        none = np.zeros((max(self._issuers.values()) + 1, 2), np.int64)
        return sum((one.rows_of for one in self._readings.values() if one.rows_of is not None), none)

    @property
    def revoked_of_cas(self) -> NDArray[np.int64]:
        """When certificates of issuers whose profile is for CAs alone were revoked, so far, int64[k], distinct."""
        parts = [one.revoked_of_cas for one in self._readings.values()]
        return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))

    @property
    def excluded(self) -> dict[str, int]:
        """Rows left out on purpose so far, by reason."""
        counts = sum((reading.excluded for reading in self._readings.values()), Counter[str]())
        return {reason: count for reason, count in sorted(counts.items()) if count}

    @property
    def excluded_values(self) -> dict[str, dict[str, int]]:
        """How many rows were left out so far for which values, by the names of their columns in the files."""
        counts = sum((reading.excluded_values for reading in self._readings.values()), Counter[tuple[str, str]]())
        found: dict[str, dict[str, int]] = {}
        for (column, value), count in sorted(counts.items()):
            found.setdefault(column, {})[value] = count
        return found

    def batches(self) -> Iterator[StatusBatch]:
        """Yield the good rows of all files. Each call reads everything anew; see `read`."""
        self._readings = self._no_readings()
        for number, file in enumerate(self._opened):
            for part in range(len(file.parts)):
                reading = Reading()
                with self._readings.noting(number, part, reading):
                    yield from self.read(number, reading, part)

    def _no_readings(self) -> Readings:
        return Readings(self._columns, [len(file.parts) for file in self._opened])

    def read(self, number: int, reading: Reading, part: int = 0) -> Iterator[StatusBatch]:
        """Yield the good rows of one part of a file; bad ones are left out, and noted in `reading`, which is new.

        Raises:
            InputError: the file is damaged further on, or was replaced.
        """
        file = self._opened[number]
        parts = file.parts
        first_row = parts[part].first_row
        intake = Intake(
            self._columns,
            self._issuers,
            clock.seconds(self.as_of),
            reading,
            self._profiles,
            self._revocations,
            self._skew_s,
            told_by_crls=self.listed_as_of is not None,
            part=part,
            parts=len(parts),
        )
        for record_batch in parts[part].batches(
            *needed(listing(self._columns, from_crls=self._revocations is not None), file.schema)
        ):
            batch, excluded = intake.read(
                record_batch, RowPlace(number, file.path, first_row + reading.rows_in, file.unit)
            )
            # After the batch was read, since its place counts the rows before it, and before it is yielded, since
            # whoever takes it may ask how far we are.
            reading.rows_in += record_batch.num_rows
            reading.excluded.update(excluded)
            if len(batch) or len(batch.late.revoked_at) or batch.withheld is not None:
                yield batch
        # Only now: what a whole column tells about how it was written is known after its last row alone.
        if len(parts) == 1:  # else the last one tells
            reading.judge_habits(self._columns)

    def add(self, number: int, part: int, reading: Reading) -> None:
        """Count what was noted while a part of a file was read, here or in a worker."""
        with self._readings.noting(number, part, reading):
            pass

    def findings(self, matched: frozenset[int] = frozenset()) -> tuple[Finding, ...]:
        """Return what is wrong with the rows read so far, and odd about the files; errors come first.

        A run with any of severity error must not be published. `matched` are issuers (indices) of whose CRLs an entry
        had a row before (`matched`).
        """
        found = RowFindings()
        # By the numbers of files: workers end in any order, and which examples are shown must not depend on that.
        for _, reading in self._readings.by_file():
            found.add(reading.findings)
        from_crls: tuple[Finding, ...] = ()
        if self._revocations is not None:
            oldest = [reading.oldest for reading in self._readings.values() if reading.oldest is not None]
            nothing = np.full(max(self._issuers.values()) + 1, NO_EXPIRY, np.int64)
            from_crls = self._revocations.unlisted(self._listed(), np.minimum.reduce([nothing, *oldest]), matched)
            exact = (one for reading in self._readings.values() for one in reading.listed)
            by_sign = (one for reading in self._readings.values() for one in reading.by_sign)
            from_crls = self._revocations.by_sign(exact, by_sign) + from_crls
            counts = [reading.of_kind for reading in self._readings.values() if reading.of_kind is not None]
            none = np.zeros((len(nothing), KIND_COUNT), np.int64)
            from_crls = out_of_scope(self._revocations.uncovered, sum(counts, none)) + from_crls
        remnants = reduce(Remnants.plus, (reading.remnants for reading in self._readings.values()), Remnants())
        rows = tuple(judged(found.findings(self._skew_s), remnants))
        return rows + self._serials() + self._units() + self._stand_ins() + from_crls + self._unused() + self._warnings

    def _serials(self) -> tuple[Finding, ...]:
        """Return what is wrong with the column of serials, and whether all rows are, or those of some issuers or files.

        One that is written otherwise than the others hides among them.
        """
        column = self._columns["serial"]
        name, encoding = column.name, column.encoding or "binary"
        scripts, rounded, by_file = Scripts(), Rounded(), dict[str, tuple[Finding, ...]]()
        by_issuer = dict[str, tuple[Finding, ...]]()
        negative, rows = np.zeros(max(self._issuers.values()) + 1, np.int64), self.rows_of.sum(axis=1)
        names = self._names
        for number, one in self._readings.by_file():
            scripts.add(one.scripts)
            rounded.add(one.rounded)
            count = int(one.negative_serials.sum())
            if count:
                negative = negative + one.negative_serials
            by_file[f"file {self.files[number]}"] = (
                *negative_finding(name, encoding, count, one.rows_in),
                *one.scripts.findings(name, encoding),
                *one.rounded.findings(name),
            )
            for index, found in one.of_issuers.items():
                by_issuer.setdefault(f"issuer {names[index]!r}", found)
        for index in np.flatnonzero(negative).tolist():
            called = f"issuer {names[index]!r}"
            found = negative_finding(name, encoding, int(negative[index]), int(rows[index]))
            by_issuer[called] = found + by_issuer.get(called, ())
        whole = (
            *negative_finding(name, encoding, int(negative.sum()), self.rows_in),
            *scripts.findings(name, encoding),
            *rounded.findings(name),
        )
        return narrowed(whole, Parts(by_issuer, int(np.count_nonzero(rows))), Parts(by_file, len(by_file)))

    def _units(self) -> tuple[Finding, ...]:
        found: tuple[Finding, ...] = ()
        for canonical in TIME_COLUMNS:
            noted, column = Units(), self._columns[canonical]
            by_file, by_issuer = dict[str, tuple[Finding, ...]](), dict[str, tuple[Finding, ...]]()
            for number, reading in self._readings.by_file():
                one = reading.units.get(canonical, Units())
                noted.add(one)
                by_file[f"file {self.files[number]}"] = one.findings(column)
                for index, odd in reading.units_of_issuers.get(canonical, {}).items():
                    by_issuer.setdefault(f"issuer {self._names[index]!r}", odd)
            issuers = int(np.count_nonzero(self.rows_of.any(axis=1)))
            found += narrowed(noted.findings(column), Parts(by_issuer, issuers), Parts(by_file, len(by_file)))
        return found

    @property
    def _names(self) -> Mapping[int, str]:
        """What each issuer (index) is called: of several names, the first."""
        return {index: name for name, index in [*self._issuers.items()][::-1]}

    def _stand_ins(self) -> tuple[Finding, ...]:
        noted = StandIns()
        for _, reading in self._readings.by_file():
            noted.add(reading.stand_ins)
        return noted.findings(
            self._columns["revoked_at"].name, self._columns["not_after"].name, clock.seconds(self.as_of)
        )

    @property
    def matched(self) -> frozenset[int]:
        """Issuers (indices) of whose CRLs an entry has a row: serials are written alike in both."""
        return self._revocations.with_rows(self._listed()) if self._revocations is not None else frozenset()

    @property
    def lists(self) -> tuple[RevocationList, ...]:
        """What CRLs list that tell the statuses, and others that these supersede; none where columns tell them."""
        return self._revocations.lists() if self._revocations is not None else ()

    def _listed(self) -> Iterator[NDArray[np.int32]]:
        """Yield the entries of CRLs that rows have."""
        for reading in self._readings.values():
            yield from reading.listed
            yield from (entries_in(pairs).astype(np.int32) for pairs in reading.by_sign)

    @property
    def unused_zones(self) -> frozenset[str]:
        """Columns (canonical names) whose declared zone no time was read in so far: all name their own."""
        readings = self._readings.values()
        written = frozenset[str]().union(*(reading.zone_written for reading in readings))
        return written.difference(*(reading.zone_used for reading in readings))

    def _unused(self) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                "column.zone-unused",
                "warning",
                f"column {self._columns[name].name!r}: each of its times names its own zone, so the declared one, "
                f"{self._columns[name].zone}, is not used: leave zone out; if these are local times after all, correct "
                "the zone that the export writes",
            )
            for name in sorted(self.unused_zones)
        )

    def locate(self, file: int, row: int) -> str:
        """Return what messages call a row: its file, and its number from 1; both arguments count from 0."""
        return located(self.files[file], row, self._opened[file].unit)

    def estimates_of(self, number: int) -> tuple[int, ...]:
        """Return about how many rows each part of a file has, known before they are read."""
        return tuple(part.row_estimate for part in self._opened[number].parts)
