"""The status batch: what the rest of the system sees of a snapshot."""

from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

END_ENTITY, CA = range(2)
NO_REASON = -1
NO_EXPIRY = 2**62  # far after every time that a certificate can name, and safe to add a duration to
NO_ISSUANCE = -(2**62)  # far before


class RowStatus(IntEnum):
    """What a row says, by the number that a column of statuses has for it; a `RememberedStatus` tells holds apart."""

    GOOD, REVOKED, UNKNOWN = range(3)


OWN_ZONE = MappingProxyType({"not_before": 1, "not_after": 2, "revoked_at": 4})  # bits of `StatusBatch.own_zone`


@dataclass(frozen=True, slots=True)
class Late:
    """Revocations that lie after as_of, which cannot be: their rows are bad, and yet say something about clocks.

    Attributes:
        revoked_at: int64[k], seconds since 1970, of all such rows of a batch.
        examples: content octets of the serial, and the time, of the first of them whose serial can be read, 20 at most.
    """

    revoked_at: NDArray[np.int64]
    examples: tuple[tuple[bytes, int], ...]


NOT_LATE = Late(np.empty(0, np.int64), ())


@dataclass(frozen=True, slots=True)
class Withheld:
    """Rows that are bad, or left out on purpose: what they say must not be lost where another row is published.

    Attributes:
        serial: as in `StatusBatch`; rows whose serial cannot be read are not here.
        issuer: int32[k]; a row whose issuer cannot be read is here for each that there is, or not at all.
        row: int64[k].
        status: uint8[k], the `RowStatus` that they say: `GOOD` where it contradicts no other row, `REVOKED` where
            it contradicts all that are not, `UNKNOWN` where it contradicts all, since nobody can tell what they say.
        until: int64[k], when the certificates expire that get no answer for their status alone; 0 of others; None: all
            are others.
    """

    serial: pa.BinaryArray
    issuer: NDArray[np.int32]
    row: NDArray[np.int64]
    status: NDArray[np.uint8]
    until: NDArray[np.int64] | None = None

    def plus(self, other: "Withheld") -> "Withheld":
        """Return the rows of both."""
        serial = pa.concat_arrays([self.serial, other.serial])
        assert isinstance(serial, pa.BinaryArray)
        until = [np.zeros(len(one.row), np.int64) if one.until is None else one.until for one in (self, other)]
        return Withheld(
            serial,
            np.concatenate([self.issuer, other.issuer]),
            np.concatenate([self.row, other.row]),
            np.concatenate([self.status, other.status]),
            np.concatenate(until),
        )


@dataclass(frozen=True, slots=True)
class StatusBatch:
    """Certificates and their status, by columns; all of one length, validated.

    Attributes:
        serial: content octets of the DER INTEGER: 1 to 21 octets, minimal two's complement. No nulls, 32-bit offsets;
            may be a slice.
        issuer: int32[n], the issuer's index.
        status: uint8[n], a `RowStatus`.
        revoked_at: int64[n], seconds since 1970, within 0 .. 2**32 - 1; 0 unless revoked.
        reason: int8[n], CRLReason 1-6, 9 or 10 (RFC 5280, 5.3.1), or `NO_REASON`, which also stands for unspecified
            (0) because that is never encoded; `NO_REASON` unless revoked.
        not_after: int64[n], seconds since 1970; `NO_EXPIRY` where the snapshot says nothing.
        not_before: int64[n], seconds since 1970; `NO_ISSUANCE` where the snapshot says nothing.
        row: int64[n], number of the row in its file, from 0.
        file: number of the file, from 0 (`Snapshot.locate` makes text of both).
        kind: uint8[n], `END_ENTITY` or `CA`; None: the snapshot says nothing, so all are end entities.
        reason_given: bool[n], whether a row that is revoked gives a reason, unspecified included; None where `kind` is.
        late: what is not in this batch because its revocation lies after as_of.
        withheld: rows that are not in this batch, and that others must not contradict; None: there are none.
        precertificate: bool[n], which rows are of precertificates, which are end entities; None: none of them.
        own_zone: uint8[n], bits of `OWN_ZONE`: which times name their zone themselves, although one is declared for the
            column; None: none of them.
    """

    serial: pa.BinaryArray
    issuer: NDArray[np.int32]
    status: NDArray[np.uint8]
    revoked_at: NDArray[np.int64]
    reason: NDArray[np.int8]
    not_after: NDArray[np.int64]
    not_before: NDArray[np.int64]
    row: NDArray[np.int64]
    file: int = 0
    late: Late = NOT_LATE
    kind: NDArray[np.uint8] | None = None
    reason_given: NDArray[np.bool_] | None = None
    withheld: Withheld | None = None
    own_zone: NDArray[np.uint8] | None = None
    precertificate: NDArray[np.bool_] | None = None

    def filtered(self, keep: NDArray[np.bool_], withheld: NDArray[np.bool_] | None = None) -> "StatusBatch":
        """Return the rows where `keep`, bool[n], is true; what is `late` stays, and `withheld` ones are set apart.

        The status of these is what they say of their certificates (`Withheld`).
        """
        apart = None
        if withheld is not None and withheld.any():
            serial = self.serial.filter(pa.array(withheld))
            apart = Withheld(serial, self.issuer[withheld], self.row[withheld], self.status[withheld])
        return StatusBatch(
            self.serial.filter(pa.array(keep)),
            self.issuer[keep],
            self.status[keep],
            self.revoked_at[keep],
            self.reason[keep],
            self.not_after[keep],
            self.not_before[keep],
            self.row[keep],
            self.file,
            self.late,
            None if self.kind is None else self.kind[keep],
            None if self.reason_given is None else self.reason_given[keep],
            apart,
            None if self.own_zone is None else self.own_zone[keep],
            None if self.precertificate is None else self.precertificate[keep],
        )

    def __len__(self) -> int:
        return len(self.row)
