"""The columns of one batch, each judged by itself: what its values mean, and which rows it makes bad.

What several columns say together, and what is kept of the rows, is judged by `intake.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.snapshot.batch import END_ENTITY, NO_REASON, OWN_ZONE, RowStatus
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
from pregen.snapshot.crls.crl_entries import LAST_REVOCATION_S
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.habits.by_issuer import TimeColumn
from pregen.snapshot.octets import Fault
from pregen.snapshot.reading import Reading
from pregen.snapshot.rows import BatchRows, Mask
from pregen.snapshot.times.instants import Instants, read_instants


@dataclass(frozen=True, slots=True)
class Meanings:
    """What the values of columns mean.

    Attributes:
        statuses, reasons, kinds, truths, issuers: what the codes of these columns mean; truths are those of needs_ocsp.
        only_issuer: whom rows mean that name no issuer.
        latest_revocation_s: the last second at which a certificate can have been revoked.
    """

    statuses: CodeTable
    reasons: CodeTable
    kinds: CodeTable
    truths: CodeTable
    issuers: CodeTable
    only_issuer: int
    latest_revocation_s: int

    @classmethod
    def of(cls, columns: Mapping[str, Column], issuers: Mapping[str, int], latest_revocation_s: int) -> "Meanings":
        """Return what values mean by the configuration's columns and issuers (their indices by name)."""
        return cls(
            statuses=status_table(columns["status"].values),
            reasons=reason_table(columns["reason"].values),
            kinds=kind_table(columns["kind"].values),
            truths=truth_table(columns["needs_ocsp"].values),
            issuers=CodeTable(issuers, {}),
            only_issuer=next(iter(issuers.values())),
            latest_revocation_s=latest_revocation_s,
        )


class JudgedRows(BatchRows):
    """The rows of one batch, judged column by column.

    A row of an excluded status, or of a certificate that needs no OCSP, is not judged in any other column: such rows
    may be unfinished. Time and reason of revocation count in revoked rows alone: databases keep both when a certificate
    comes back from hold. A time that is ignored so is worth a warning (a wrong map of the status looks the same), a
    reason is not.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        meanings: Meanings,
        reading: Reading,
        batch: pa.RecordBatch,
        first: RowPlace,
    ) -> None:
        super().__init__(columns, reading, batch, first)
        self.meanings = meanings
        self._late = np.zeros(self.count, np.bool_)
        self._unplaced = np.zeros(self.count, np.bool_)  # which issuer it has, nobody can tell
        self._expired = np.zeros(self.count, np.bool_)  # by its status
        self._by_status = np.zeros(self.count, np.bool_)
        self._own_zone: NDArray[np.uint8] | None = None
        self._precertificate: Mask | None = None
        self._time_columns: list[TimeColumn] = []

    def _times(self, canonical: str) -> Instants:
        array = self.arrays.get(canonical)
        found = read_instants(pa.nulls(self.count) if array is None else array, self.columns[canonical])
        if self.columns[canonical].zone is not None:
            self._note_zone(canonical, found)
        if array is not None and self.first.unit == "row":
            encoding = self.columns[canonical].encoding
            self.reading.units[canonical].note(array, found, self.judged, encoding)
            self._time_columns.append(TimeColumn(canonical, array, found, encoding))
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
            revoked = have_time(revocations) | self._gives_reason()
            return np.where(revoked, RowStatus.REVOKED, RowStatus.GOOD).astype(np.uint8)
        codes = self.codes = look_up(self.arrays["status"], self.meanings.statuses)
        self._expired = codes.known & (codes.number == EXPIRED)
        status = codes.number.astype(np.uint8)
        status[self._expired] = RowStatus.GOOD
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
        outside = given & ((seconds < 0) | (seconds > LAST_REVOCATION_S))
        late = given & ~outside & (seconds > self.meanings.latest_revocation_s)
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
        codes = self.reasons = look_up(self.arrays["reason"], self.meanings.reasons)
        gives: Mask = codes.known & (codes.number != NO_REASON) & (codes.number != UNSPECIFIED)
        return gives

    def _reason(self, revoked: Mask) -> tuple[NDArray[np.int8], Mask]:
        """Return the reasons as they are encoded, and which rows give one: unspecified is one, but never encoded."""
        if "reason" not in self.arrays:
            return np.full(self.count, NO_REASON, np.int8), np.zeros(self.count, np.bool_)
        codes = self.reasons = self.reasons or look_up(self.arrays["reason"], self.meanings.reasons)
        self.note("reason", [Fault("row.reason.unknown", ~codes.known & ~codes.blank)], among=revoked)
        encoded = codes.known & revoked & (codes.number != UNSPECIFIED)
        given = np.where(codes.known, codes.number != NO_REASON, ~codes.blank)
        return np.where(encoded, codes.number, NO_REASON).astype(np.int8), given

    def _kind(self) -> NDArray[np.uint8] | None:
        """Return `END_ENTITY` or `CA` of each row, and note precertificates; None: there is no such column."""
        if "kind" not in self.arrays:
            return None
        codes = look_up(self.arrays["kind"], self.meanings.kinds)
        self.note("kind", [Fault("row.kind.unknown", ~codes.known & ~codes.blank)])
        early = codes.number == PRECERTIFICATE
        if not early.any():
            return codes.number.astype(np.uint8)
        self._precertificate = early
        return np.where(early, END_ENTITY, codes.number).astype(np.uint8)

    def _issuer(self) -> NDArray[np.int32]:
        if "issuer" not in self.arrays:
            return np.full(self.count, self.meanings.only_issuer, np.int32)
        if "issuer_key" in self.arrays:
            self.arrays["issuer"] = with_keys(self.arrays["issuer"], self.arrays["issuer_key"])
        codes = look_up(self.arrays["issuer"], self.meanings.issuers)
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


def have_time(revocations: Instants) -> Mask:
    """Return which rows have a time of revocation: one that cannot be read is no reason to call a certificate good."""
    given = revocations.given
    for fault in revocations.faults:
        given = given | fault.rows
    return given
