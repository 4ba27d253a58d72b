"""One record batch of a file to one status batch: every rule about rows is applied here, column by column."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.snapshot.batch import (
    CA,
    END_ENTITY,
    GOOD,
    NO_EXPIRY,
    NO_ISSUANCE,
    NO_REASON,
    NOT_LATE,
    OWN_ZONE,
    REVOKED,
    UNKNOWN,
    Late,
    StatusBatch,
    Withheld,
)
from pregen.snapshot.codes import (
    EXCLUDED,
    EXPIRED,
    PRECERTIFICATE,
    UNSPECIFIED,
    CodeTable,
    kind_table,
    look_up,
    reason_table,
    status_table,
    truth_table,
    with_keys,
)
from pregen.snapshot.column import Column
from pregen.snapshot.crls.revocations import Revocations, Statuses
from pregen.snapshot.crls.scope import KINDS, NOT_SAID
from pregen.snapshot.exclusion import count_excluded, leave_out_no_ocsp
from pregen.snapshot.files.base import ODD
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.habits import Habits
from pregen.snapshot.octets import ArrowArray, Fault, nulls
from pregen.snapshot.reading import Reading
from pregen.snapshot.rows import BatchRows, Mask
from pregen.snapshot.rules import NO_PROFILES, RowRules
from pregen.snapshot.serials import NOT_MINIMAL, read_serials
from pregen.snapshot.suspicions import (
    note_habits,
    note_left_out,
    note_remnants,
    note_rounded,
    note_scripts,
    note_stand_ins,
)
from pregen.snapshot.times.instants import Instants, read_instants
from pregen.validity import Profile

CLOCK_SKEW_S = 300
_LAST_REVOCATION_S = 2**32 - 1  # a record holds the time in 32 bits
MOST_UNPLACED = 1 << 17  # rows of a file, times issuers, that are held against each issuer


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
    ) -> None:
        """Remember where columns come from, which issuers there are, and where what is found is noted.

        `profiles` are those that rows of issuers (indices) are held against; none: their rules are for others to apply.
        With `revocations`, a certificate is revoked where they say so, and there are no columns that might. `skew_s` is
        how far a revocation may lie after as_of; any does where they were `told_by_crls` before the files were
        imported, since newer CRLs than the oldest one say more.
        """
        count = max(issuers.values()) + 1
        self.reading = reading
        self.oldest = reading.oldest = np.full(count, NO_EXPIRY, np.int64)
        self.of_kind = reading.of_kind = np.zeros((count, KINDS), np.int64)
        self.rows_of = reading.rows_of = np.zeros((count, 2), np.int64)
        self.negative = reading.negative_serials = np.zeros(count, np.int64)
        self.habits = Habits(count)
        self.revocations = revocations
        self.columns = columns
        self.latest_s = as_of_s + skew_s
        self.latest_revocation_s = _LAST_REVOCATION_S if told_by_crls else self.latest_s
        self.statuses = status_table(columns["status"].values)
        self.reasons = reason_table(columns["reason"].values)
        self.kinds = kind_table(columns["kind"].values)
        self.truths = truth_table(columns["needs_ocsp"].values)
        self.issuers = CodeTable(issuers, {})
        self.rules = RowRules(profiles, count)
        self.only_issuer = next(iter(issuers.values()))  # whom rows mean that do not say
        self.all_issuers = np.unique(np.array(list(issuers.values()), np.int32))
        self.unplaced = 0  # rows so far that are held against each issuer

    def read(self, batch: pa.RecordBatch, first: RowPlace) -> tuple[StatusBatch, Counter[str]]:
        """Return the good rows of a batch, whose row 0 is the row `first`, and how many are excluded, by reason."""
        return _BatchIntake(self, batch, first).read()


class _BatchIntake(BatchRows):
    """The work on one batch of n rows.

    A row of an excluded status, or of a certificate that needs no OCSP, is not judged in any other column: such rows
    may be unfinished. Time and reason of revocation count in revoked rows alone: databases keep both when a certificate
    comes back from hold. A time that is ignored so is worth a warning (a wrong map of the status looks the same), a
    reason is not.
    """

    def __init__(self, intake: Intake, batch: pa.RecordBatch, first: RowPlace) -> None:
        super().__init__(intake.columns, intake.reading, batch, first)
        self._intake = intake
        self._late = np.zeros(self.count, np.bool_)
        self._unread = np.zeros(self.count, np.bool_)  # which serial it has, nobody can tell
        self._unplaced = np.zeros(self.count, np.bool_)  # which issuer it has, nobody can tell
        self._expired = np.zeros(self.count, np.bool_)  # by its status
        self._by_status = np.zeros(self.count, np.bool_)
        self._odd = np.zeros(self.count, np.bool_)  # no rows at all
        self._own_zone: NDArray[np.uint8] | None = None
        self._precertificate: Mask | None = None
        names = batch.schema.names
        if ODD in names and all(column.name != ODD for column in intake.columns.values()):
            self._leave_out_odd(batch.column(ODD))

    def read(self) -> tuple[StatusBatch, Counter[str]]:
        """Return what `Intake.read` does: each column is read once, for all rows at a time."""
        unclear = leave_out_no_ocsp(self, self._intake.truths)
        revocations = self._times("revoked_at")
        status = self._status(revocations)
        self.note("needs_ocsp", [unclear])
        revoked = status == REVOKED
        revoked_at = self._revoked_at(revocations, revoked)
        reason, reason_given = self._reason(revoked)
        note_remnants(self, revocations, revoked, self._intake.latest_revocation_s)
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
            revoked = status == REVOKED
        kind = self._kind()
        self._apply_profiles(issuer, kind, revoked, reason, reason_given)
        of_cas = revoked_at[self._intake.rules.of_cas_alone(issuer, revoked & self.sound)]
        self.reading.revoked_of_cas = np.union1d(self.reading.revoked_of_cas, of_cas)
        not_after = self._optional_time("not_after", NO_EXPIRY)
        self._note_unexpired(not_after)
        if self._by_status.any():
            unexpired = not_after > self._intake.latest_s
            note_left_out(self, revocations, self._by_status & unexpired, self._intake.latest_revocation_s)
        not_before = self._optional_time("not_before", NO_ISSUANCE)
        from_crls = self._intake.revocations is not None
        note_stand_ins(self, issuer, revoked_at, revoked, not_before, not_after, from_crls=from_crls)
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
            kinds = batch.issuer * KINDS + (NOT_SAID if batch.kind is None else batch.kind)
            self._intake.of_kind += np.bincount(kinds, minlength=self._intake.of_kind.size).reshape(-1, KINDS)
        return batch, count_excluded(self, self._by_status)

    def _claims(self, status: NDArray[np.uint8], revocations: Instants) -> NDArray[np.uint8]:
        """Return what rows say of their certificates; of one that is left out, nothing said is as good as `GOOD`."""
        if self.codes is None:
            return status
        silent = ~self.judged & (self._by_status | (self.codes.blank & ~self.codes.known))
        said = np.where(self.codes.known, status, UNKNOWN)
        return np.where(silent, np.where(_have_time(revocations), REVOKED, GOOD), said).astype(np.uint8)

    def _kept(self, batch: StatusBatch, keep: Mask, claims: NDArray[np.uint8]) -> StatusBatch:
        """Return the rows to keep, and set the others apart, as far as it is known whose they are."""
        said = np.where(self.bad, np.uint8(UNKNOWN), claims)
        apart = ~keep & ~self._unread & ~self._unplaced
        kept = replace(batch, status=said).filtered(keep, apart)
        if kept.withheld is not None and self._by_status.any():
            until = np.where(self._by_status & ~self.bad, batch.not_after, 0)
            kept = replace(kept, withheld=replace(kept.withheld, until=until[apart]))
        rows = np.flatnonzero(~keep & self._unplaced & ~self._unread & (claims != GOOD))
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

    def _times(self, canonical: str) -> Instants:
        array = self.arrays.get(canonical)
        found = read_instants(pa.nulls(self.count) if array is None else array, self.columns[canonical])
        if self.columns[canonical].zone is not None:
            self._note_zone(canonical, found)
        if array is not None and self.first.unit == "row":
            encoding = self.columns[canonical].encoding
            self.reading.units[canonical].note(array, found, self.judged, encoding)
        return found

    def _note_zone(self, canonical: str, found: Instants) -> None:
        """Note whether the declared zone of a column is needed, and which rows name their own."""
        own = found.own_zone
        if (found.given if own is None else found.given & ~own).any():
            self.reading.zone_used.add(canonical)
        if own is None or not (own & found.given).any():
            return
        self.reading.zone_written.add(canonical)
        bits = own * np.uint8(OWN_ZONE[canonical])
        self._own_zone = bits if self._own_zone is None else self._own_zone | bits

    def _status(self, revocations: Instants) -> NDArray[np.uint8]:
        if "status" not in self.arrays:
            return np.where(_have_time(revocations) | self._gives_reason(), REVOKED, GOOD).astype(np.uint8)
        codes = self.codes = look_up(self.arrays["status"], self._intake.statuses)
        self._expired = codes.known & (codes.number == EXPIRED)
        status = codes.number.astype(np.uint8)
        status[self._expired] = GOOD
        self._by_status = codes.known & (status == EXCLUDED)
        self.judged &= ~self._by_status
        self.note("status", [Fault("row.status.null", codes.blank & ~codes.known)])
        self.note("status", [Fault("row.status.unknown", ~codes.known & ~codes.blank)])
        return status

    def _revoked_at(self, revocations: Instants, revoked: Mask) -> NDArray[np.int64]:
        seconds, given, faults, _ = revocations
        unread = np.zeros(self.count, np.bool_)
        for fault in faults:
            unread |= fault.rows
        outside = given & ((seconds < 0) | (seconds > _LAST_REVOCATION_S))
        late = given & ~outside & (seconds > self._intake.latest_revocation_s)
        self._late = late & revoked & self.judged
        faults = [
            *faults,
            Fault("row.revoked.no-time", ~given & ~unread),
            Fault("row.revoked.out-of-range", outside),
            Fault("row.revoked.after-as-of", late),
        ]
        self.note("revoked_at", faults, among=revoked)
        self.report("revoked_at", Fault("row.revoked.ignored", given & ~revoked & self.sound))
        return np.where(revoked, seconds, 0)

    def _gives_reason(self) -> Mask:
        """Return which rows say why they are revoked; databases write 0, unspecified, in others as well."""
        if "reason" not in self.arrays:
            return np.zeros(self.count, np.bool_)
        codes = self.reasons = look_up(self.arrays["reason"], self._intake.reasons)
        gives: Mask = codes.known & (codes.number != NO_REASON) & (codes.number != UNSPECIFIED)
        return gives

    def _reason(self, revoked: Mask) -> tuple[NDArray[np.int8], Mask]:
        """Return the reasons as they are encoded, and which rows give one: unspecified is one, but never encoded."""
        if "reason" not in self.arrays:
            return np.full(self.count, NO_REASON, np.int8), np.zeros(self.count, np.bool_)
        codes = self.reasons = self.reasons or look_up(self.arrays["reason"], self._intake.reasons)
        self.note("reason", [Fault("row.reason.unknown", ~codes.known & ~codes.blank)], among=revoked)
        encoded = codes.known & revoked & (codes.number != UNSPECIFIED)
        given = np.where(codes.known, codes.number != NO_REASON, ~codes.blank)
        return np.where(encoded, codes.number, NO_REASON).astype(np.int8), given

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

    def _kind(self) -> NDArray[np.uint8] | None:
        """Return `END_ENTITY` or `CA` of each row, and note precertificates; None: there is no such column."""
        if "kind" not in self.arrays:
            return None
        codes = look_up(self.arrays["kind"], self._intake.kinds)
        self.note("kind", [Fault("row.kind.unknown", ~codes.known & ~codes.blank)])
        early = codes.number == PRECERTIFICATE
        if not early.any():
            return codes.number.astype(np.uint8)
        self._precertificate = early
        return np.where(early, END_ENTITY, codes.number).astype(np.uint8)

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

    def _issuer(self) -> NDArray[np.int32]:
        if "issuer" not in self.arrays:
            return np.full(self.count, self._intake.only_issuer, np.int32)
        if "issuer_key" in self.arrays:
            self.arrays["issuer"] = with_keys(self.arrays["issuer"], self.arrays["issuer_key"])
        codes = look_up(self.arrays["issuer"], self._intake.issuers)
        self._unplaced = ~codes.known
        self.note("issuer", [Fault("row.issuer.null", codes.blank & ~codes.known)])
        self.note("issuer", [Fault("row.issuer.unknown", ~codes.known & ~codes.blank)])
        return codes.number.astype(np.int32)

    def _optional_time(self, canonical: str, absent: int) -> NDArray[np.int64]:
        """Return a time that may be absent, and what stands for that."""
        if canonical not in self.arrays:
            return np.full(self.count, absent, np.int64)
        seconds, given, faults, _ = self._times(canonical)
        self.note(canonical, faults)
        return seconds if given.all() else np.where(given, seconds, absent)

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


def _have_time(revocations: Instants) -> Mask:
    """Return which rows have a time of revocation: one that cannot be read is no reason to call a certificate good."""
    given = revocations.given
    for fault in revocations.faults:
        given = given | fault.rows
    return given
