"""One record batch of a file to one status batch: every rule about rows is applied here, column by column."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.snapshot.batch import GOOD, NO_EXPIRY, NO_ISSUANCE, NO_REASON, NOT_LATE, REVOKED, Late, StatusBatch
from pregen.snapshot.codes import EXCLUDED, CodeTable, look_up, reason_table, status_table
from pregen.snapshot.columns import Column, plain
from pregen.snapshot.findings import EXAMPLES, Place, RowFindings
from pregen.snapshot.instants import Instants, read_instants
from pregen.snapshot.octets import Fault
from pregen.snapshot.serials import read_serials

CLOCK_SKEW_S = 300
_LAST_REVOCATION_S = 2**32 - 1  # a record holds the time in 32 bits

_Rows = NDArray[np.bool_]


class Intake:
    """Judges rows, batch by batch, and keeps the good ones."""

    def __init__(
        self, columns: Mapping[str, Column], issuers: Mapping[str, int], as_of_s: int, findings: RowFindings
    ) -> None:
        """Remember where columns come from, which issuers there are, and where bad rows are noted."""
        self.columns = columns
        self.findings = findings
        self.latest_revocation_s = as_of_s + CLOCK_SKEW_S
        self.statuses = status_table(columns["status"].values)
        self.reasons = reason_table(columns["reason"].values)
        self.issuers = CodeTable(issuers, {})
        self.only_issuer = next(iter(issuers.values()))  # whom rows mean that do not say

    def read(self, batch: pa.RecordBatch, first: Place) -> tuple[StatusBatch, int]:
        """Return the good rows of a batch, whose row 0 is the row `first`, and how many their status excludes."""
        return _BatchIntake(self, batch, first).read()


class _BatchIntake:
    """The work on one batch of n rows.

    A row of an excluded status is not judged in any other column: such rows may be unfinished. Time and reason of
    revocation count in revoked rows alone: databases keep both when a certificate comes back from hold. A time that is
    ignored so is worth a warning (a wrong map of the status looks the same), a reason is not.
    """

    def __init__(self, intake: Intake, batch: pa.RecordBatch, first: Place) -> None:
        self._intake = intake
        self._first = first
        self._count = batch.num_rows
        names = set(batch.schema.names)
        self._arrays = {
            key: plain(batch.column(column.name), key) for key, column in intake.columns.items() if column.name in names
        }
        self._judged = np.ones(self._count, np.bool_)
        self._bad = np.zeros(self._count, np.bool_)
        self._late = np.zeros(self._count, np.bool_)
        self._unread = np.zeros(self._count, np.bool_)

    def read(self) -> tuple[StatusBatch, int]:
        revocations = self._times("revoked_at")
        status = self._status(revocations)
        revoked = status == REVOKED
        revoked_at = self._revoked_at(revocations, revoked)
        reason = self._reason(revoked)
        serial, faults = read_serials(self._arrays["serial"], self._intake.columns["serial"].encoding or "binary")
        for fault in faults:
            self._unread |= fault.rows
        self._note("serial", faults)
        issuer = self._issuer()
        not_after = self._optional_time("not_after", NO_EXPIRY)
        not_before = self._optional_time("not_before", NO_ISSUANCE)
        row = np.arange(self._first.row, self._first.row + self._count, dtype=np.int64)
        file = self._first.file

        excluded = self._count - int(np.count_nonzero(self._judged))
        keep = self._judged & ~self._bad
        if keep.all():
            return StatusBatch(serial, issuer, status, revoked_at, reason, not_after, not_before, row, file), excluded
        kept = StatusBatch(
            serial.filter(pa.array(keep)),
            issuer[keep],
            status[keep],
            revoked_at[keep],
            reason[keep],
            not_after[keep],
            not_before[keep],
            row[keep],
            file,
            self._late_ones(serial, revoked_at),
        )
        return kept, excluded

    def _note(self, canonical: str, faults: Iterable[Fault], among: _Rows | None = None) -> None:
        """Note faulty rows and leave them out; only rows `among` are judged in this column."""
        for fault in faults:
            rows = fault.rows & self._judged if among is None else fault.rows & self._judged & among
            self._bad |= rows
            self._report(canonical, Fault(fault.code, rows))

    def _report(self, canonical: str, fault: Fault) -> None:
        name = self._intake.columns[canonical].name
        self._intake.findings.note(fault, name, self._arrays.get(canonical), self._first)

    def _times(self, canonical: str) -> Instants:
        array = self._arrays.get(canonical)
        return read_instants(pa.nulls(self._count) if array is None else array)

    def _status(self, revocations: Instants) -> NDArray[np.uint8]:
        if "status" not in self._arrays:
            revoked = revocations.given.copy()
            for fault in revocations.faults:
                revoked |= fault.rows  # a time that cannot be read is no reason to call a certificate good
            return np.where(revoked, REVOKED, GOOD).astype(np.uint8)
        codes = look_up(self._arrays["status"], self._intake.statuses)
        status = codes.number.astype(np.uint8)
        self._judged = ~codes.known | (status != EXCLUDED)
        self._note("status", [Fault("row.status.null", codes.blank & ~codes.known)])
        self._note("status", [Fault("row.status.unknown", ~codes.known & ~codes.blank)])
        return status

    def _revoked_at(self, revocations: Instants, revoked: _Rows) -> NDArray[np.int64]:
        seconds, given, faults = revocations
        unread = np.zeros(self._count, np.bool_)
        for fault in faults:
            unread |= fault.rows
        outside = given & ((seconds < 0) | (seconds > _LAST_REVOCATION_S))
        late = given & ~outside & (seconds > self._intake.latest_revocation_s)
        self._late = late & revoked & self._judged
        faults = [
            *faults,
            Fault("row.revoked.no-time", ~given & ~unread),
            Fault("row.revoked.out-of-range", outside),
            Fault("row.revoked.after-as-of", late),
        ]
        self._note("revoked_at", faults, among=revoked)
        self._report("revoked_at", Fault("row.revoked.ignored", given & ~revoked & self._judged & ~self._bad))
        return np.where(revoked, seconds, 0)

    def _reason(self, revoked: _Rows) -> NDArray[np.int8]:
        if "reason" not in self._arrays:
            return np.full(self._count, NO_REASON, np.int8)
        codes = look_up(self._arrays["reason"], self._intake.reasons)
        self._note("reason", [Fault("row.reason.unknown", ~codes.known & ~codes.blank)], among=revoked)
        return np.where(codes.known & revoked, codes.number, NO_REASON).astype(np.int8)

    def _issuer(self) -> NDArray[np.int32]:
        if "issuer" not in self._arrays:
            return np.full(self._count, self._intake.only_issuer, np.int32)
        codes = look_up(self._arrays["issuer"], self._intake.issuers)
        self._note("issuer", [Fault("row.issuer.null", codes.blank & ~codes.known)])
        self._note("issuer", [Fault("row.issuer.unknown", ~codes.known & ~codes.blank)])
        return codes.number.astype(np.int32)

    def _optional_time(self, canonical: str, absent: int) -> NDArray[np.int64]:
        """Return a time that may be absent, and what stands for that."""
        if canonical not in self._arrays:
            return np.full(self._count, absent, np.int64)
        seconds, given, faults = self._times(canonical)
        self._note(canonical, faults)
        return seconds if given.all() else np.where(given, seconds, absent)

    def _late_ones(self, serial: pa.BinaryArray, revoked_at: NDArray[np.int64]) -> Late:
        """Return the revocations after as_of; of rows whose serial cannot be read, too."""
        if not self._late.any():
            return NOT_LATE
        first = np.flatnonzero(self._late & ~self._unread)[:EXAMPLES]
        return Late(revoked_at[self._late], tuple(serial[at].as_py() or b"" for at in first.tolist()))
