"""One record batch of a file to one status batch: what its columns say together, and what is kept of its rows."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.snapshot.batch import (
    CA,
    NO_EXPIRY,
    NO_ISSUANCE,
    NO_REASON,
    NOT_LATE,
    Late,
    RowStatus,
    StatusBatch,
    Withheld,
)
from pregen.snapshot.column import Column
from pregen.snapshot.crls.crl_entries import LAST_REVOCATION_S
from pregen.snapshot.crls.revocations import Revocations, Statuses
from pregen.snapshot.crls.scope import KIND_COUNT, NOT_SAID
from pregen.snapshot.exclusion import count_excluded, leave_out_no_ocsp
from pregen.snapshot.files.base import ODD
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.habits.by_issuer import Habits
from pregen.snapshot.judged_rows import JudgedRows, Meanings, have_time
from pregen.snapshot.octets import ArrowArray, Fault, nulls
from pregen.snapshot.profile_rules import NO_PROFILES, RowRules
from pregen.snapshot.reading import Reading
from pregen.snapshot.rows import Mask
from pregen.snapshot.serials import NOT_MINIMAL, read_serials
from pregen.snapshot.suspicions import (
    note_habits,
    note_left_out,
    note_remnants,
    note_rounded,
    note_scripts,
    note_stand_ins,
)
from pregen.snapshot.times.instants import Instants
from pregen.validity import CLOCK_SKEW_S, Profile

MOST_UNPLACED = 1 << 17  # rows of a part of a file, times issuers, that are held against each issuer


class Intake:
    """Judges rows, batch by batch, and keeps the good ones."""

    def __init__(
        self,
        columns: Mapping[str, Column],
        issuers: Mapping[str, int],
        as_of_s: int,
        reading: Reading,
        profiles: Mapping[int, Profile] = NO_PROFILES,
        revocations: Revocations | None = None,
        skew_s: int = CLOCK_SKEW_S,
        *,
        told_by_crls: bool = False,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        """Remember where columns come from, which issuers there are, and where what is found is noted.

        `profiles` are those that rows of issuers (indices) are held against; none: their rules are for others to apply.
        With `revocations`, a certificate is revoked where they say so, and there are no columns that might. `skew_s` is
        how far a revocation may lie after as_of; any does where they were `told_by_crls` before the files were
        imported, since newer CRLs than the oldest one say more. The rows are of one part, of so many, of a file.
        """
        count = max(issuers.values()) + 1
        self.reading = reading
        self.oldest = reading.oldest = np.full(count, NO_EXPIRY, np.int64)
        self.of_kind = reading.of_kind = np.zeros((count, KIND_COUNT), np.int64)
        self.rows_of = reading.rows_of = np.zeros((count, 2), np.int64)
        self.negative = reading.negative_serials = np.zeros(count, np.int64)
        self.habits = reading.habits = Habits(count, part, parts)
        self.revocations = revocations
        self.columns = columns
        self.latest_s = as_of_s + skew_s
        self.meanings = Meanings.of(columns, issuers, LAST_REVOCATION_S if told_by_crls else self.latest_s)
        self.rules = RowRules(profiles, count)
        self.all_issuers = np.unique(np.array(list(issuers.values()), np.int32))
        self.unplaced = 0  # rows so far that are held against each issuer

    def read(self, batch: pa.RecordBatch, first: RowPlace) -> tuple[StatusBatch, Counter[str]]:
        """Return the good rows of a batch, whose row 0 is the row `first`, and how many are excluded, by reason."""
        return _BatchIntake(self, batch, first).read()


class _BatchIntake(JudgedRows):
    """The work on one batch of n rows."""

    def __init__(self, intake: Intake, batch: pa.RecordBatch, first: RowPlace) -> None:
        super().__init__(intake.columns, intake.meanings, intake.reading, batch, first)
        self._intake = intake
        self._unread = np.zeros(self.count, np.bool_)  # which serial it has, nobody can tell
        self._odd = np.zeros(self.count, np.bool_)  # no rows at all
        names = batch.schema.names
        if ODD in names and all(column.name != ODD for column in intake.columns.values()):
            self._leave_out_odd(batch.column(ODD))

    def read(self) -> tuple[StatusBatch, Counter[str]]:
        """Return what `Intake.read` does: each column is read once, for all rows at a time."""
        unclear = leave_out_no_ocsp(self, self.meanings.truths)
        revocations = self._times("revoked_at")
        status = self._status(revocations)
        self.note("needs_ocsp", [unclear])
        revoked = status == RowStatus.REVOKED
        revoked_at = self._revoked_at(revocations, revoked)
        reason, reason_given = self._reason(revoked)
        note_remnants(self, revocations, revoked, self.meanings.latest_revocation_s)
        serial, faults, negative = read_serials(self.arrays["serial"], self.columns["serial"].encoding or "binary")
        for fault in faults:
            self._unread |= fault.rows & nulls(serial) if fault.code == NOT_MINIMAL else fault.rows
        self.note("serial", faults)
        issuer = self._issuer()
        if negative.any():
            self._intake.negative += np.bincount(issuer[negative], minlength=len(self._intake.negative))
        note_scripts(self, serial, faults)
        self._count_rows(issuer)
        note_rounded(self, serial, faults)
        note_habits(self, self._intake.habits, serial, issuer)
        if self._intake.revocations is not None:
            status, revoked_at, reason, reason_given = self._revocations(self._intake.revocations, serial, issuer)
            revoked = status == RowStatus.REVOKED
        kind = self._kind()
        self._apply_profiles(issuer, kind, revoked, reason, reason_given)
        of_cas = revoked_at[self._intake.rules.of_cas_alone(issuer, revoked & self.sound)]
        self.reading.revoked_of_cas = np.union1d(self.reading.revoked_of_cas, of_cas)
        not_after = self._optional_time("not_after", NO_EXPIRY)
        self._note_unexpired(not_after)
        if self._by_status.any():
            unexpired = not_after > self._intake.latest_s
            note_left_out(self, revocations, self._by_status & unexpired, self.meanings.latest_revocation_s)
        not_before = self._optional_time("not_before", NO_ISSUANCE)
        for column in self._time_columns:
            self._intake.habits.note_times(column, issuer, self.judged & ~self._unplaced)
        from_crls = self._intake.revocations is not None
        latest_s = self._intake.latest_s
        note_stand_ins(self, issuer, revoked_at, revoked, not_before, not_after, latest_s, from_crls=from_crls)
        row = np.arange(self.first.row, self.first.row + self.count, dtype=np.int64)
        file = self.first.file

        late = self._late_ones(serial, revoked_at)
        batch = StatusBatch(
            serial,
            issuer,
            status,
            revoked_at,
            reason,
            not_after,
            not_before,
            row,
            file,
            late,
            kind,
            None if kind is None else reason_given & revoked,
            own_zone=self._own_zone,
            precertificate=self._precertificate,
        )
        keep = self.sound
        if not keep.all():
            batch = self._kept(batch, keep, self._claims(status, revocations))
        if self._intake.revocations is not None:
            namesake = self._intake.revocations.namesake  # entries are of all issuers of a name
            np.minimum.at(self._intake.oldest, namesake[batch.issuer], batch.not_before)
            kinds = batch.issuer * KIND_COUNT + (NOT_SAID if batch.kind is None else batch.kind)
            self._intake.of_kind += np.bincount(kinds, minlength=self._intake.of_kind.size).reshape(-1, KIND_COUNT)
        return batch, count_excluded(self, self._by_status)

    def _claims(self, status: NDArray[np.uint8], revocations: Instants) -> NDArray[np.uint8]:
        """Return what rows say of their certificates; of one that is left out, nothing said is as good as `GOOD`."""
        if self.codes is None:
            return status
        silent = ~self.judged & (self._by_status | (self.codes.blank & ~self.codes.known))
        said = np.where(self.codes.known, status, RowStatus.UNKNOWN)
        of_time = np.where(have_time(revocations), RowStatus.REVOKED, RowStatus.GOOD)
        return np.where(silent, of_time, said).astype(np.uint8)

    def _kept(self, batch: StatusBatch, keep: Mask, claims: NDArray[np.uint8]) -> StatusBatch:
        """Return the rows to keep, and set the others apart, as far as it is known whose they are."""
        said = np.where(self.bad, np.uint8(RowStatus.UNKNOWN), claims)
        apart = ~keep & ~self._unread & ~self._unplaced
        kept = replace(batch, status=said).filtered(keep, apart)
        if kept.withheld is not None and self._by_status.any():
            until = np.where(self._by_status & ~self.bad, batch.not_after, 0)
            kept = replace(kept, withheld=replace(kept.withheld, until=until[apart]))
        rows = np.flatnonzero(~keep & self._unplaced & ~self._unread & (claims != RowStatus.GOOD))
        # What CRLs say, they say of the other rows as well.
        if not len(rows) or self._intake.revocations is not None:
            return kept
        everyone = self._intake.all_issuers
        most = max(0, MOST_UNPLACED // len(everyone) - self._intake.unplaced)
        beyond = np.zeros(self.count, np.bool_)
        beyond[rows[most:]] = True
        self.report("issuer", Fault("issuer.unplaced", beyond))
        self._intake.unplaced += len(rows)
        each = np.repeat(rows[:most], len(everyone))
        issuer = np.tile(everyone, len(rows[:most]))
        against_all = Withheld(batch.serial.take(each), issuer, batch.row[each], said[each])
        return replace(kept, withheld=against_all if kept.withheld is None else kept.withheld.plus(against_all))

    def _count_rows(self, issuer: NDArray[np.int32]) -> None:
        """Count the rows of each issuer; lines that are none are nobody's."""
        placed = ~self._unplaced & ~self._odd
        places = issuer[placed] * 2 + self._by_status[placed]
        rows = self._intake.rows_of
        rows += np.bincount(places, minlength=rows.size).reshape(-1, 2)

    def _revocations(self, known: Revocations, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> Statuses:
        """Return what CRLs say of each row; that a row is excluded or bad does not make its entry one without a row."""
        found = known.find(serial, issuer)
        self.reading.listed.append(np.unique(found[(found >= 0) & ~self._unplaced]).astype(np.int32))
        rows, entries, pairs = known.find_by_sign(serial, issuer, np.where(self._unplaced, 0, found))
        if len(rows):
            found[rows] = entries
            self.reading.by_sign.append(pairs)
        return known.statuses(found)

    def _apply_profiles(
        self,
        issuer: NDArray[np.int32],
        kind: NDArray[np.uint8] | None,
        revoked: Mask,
        reason: NDArray[np.int8],
        reason_given: Mask,
    ) -> None:
        """Note rows that the profile of their issuer forbids; those with a forbidden reason stay, if that is accepted.

        To leave them out would make a revoked certificate `unauthorized`, which many clients take for good.
        """
        rules = self._intake.rules
        is_ca = np.zeros(self.count, np.bool_) if kind is None else kind == CA
        self.note("kind", rules.kind_faults(issuer, is_ca))
        name, said = self.columns["reason"].name, self.arrays.get("reason")
        if self._intake.revocations is not None:  # the entry of the CRL says it, and no column
            said = pa.array(reason, mask=reason == NO_REASON)
        for fault in rules.reason_faults(revoked & self.sound, issuer, is_ca, reason, reason_given):
            self.reading.findings.note(fault, name, said, self.first)

    def _leave_out_odd(self, odd: ArrowArray) -> None:
        """Note rows that are none, and judge none of their columns; `odd` says what is wrong with them."""
        self._odd = ~nulls(odd)
        self.bad = self._odd.copy()
        self.judged = ~self.bad
        self.reading.findings.note(Fault("line.malformed", self.bad.copy()), "", odd, self.first)

    def _note_unexpired(self, not_after: NDArray[np.int64]) -> None:
        """Note rows that say that they have expired, and have not: whether they are good, nobody can tell."""
        if self._expired.any():
            early = self._expired & ~self.bad & (not_after > self._intake.latest_s)
            self.note("not_after", [Fault("row.expired.after-as-of", early)])

    def _late_ones(self, serial: pa.BinaryArray, revoked_at: NDArray[np.int64]) -> Late:
        """Return the revocations after as_of; of rows whose serial cannot be read, too."""
        if not self._late.any():
            return NOT_LATE
        first = np.flatnonzero(self._late & ~self._unread & ~self._unplaced)[:MAX_EXAMPLES].tolist()
        return Late(revoked_at[self._late], tuple((serial[at].as_py() or b"", int(revoked_at[at])) for at in first))
