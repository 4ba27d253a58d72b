"""Groups: rows whose responses differ only in serial, revocation time and reason."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.generation.rows.spill import AGAIN_BIT, PRECERTIFICATE_BIT
from pregen.snapshot import RowStatus
from storage.history import REMEMBERED_STATUSES

# What the responses of a group look like: status, and whether a reason is given.
RESPONSE_KINDS = (("good", False), ("revoked", False), ("revoked", True), ("unknown", False))
STATUS_OF_KIND = np.array([REMEMBERED_STATUSES.index(status) for status, _ in RESPONSE_KINDS], np.uint8)
IS_UNKNOWN = np.array([status == "unknown" for status, _ in RESPONSE_KINDS])
IS_REVOKED = np.array([status == "revoked" for status, _ in RESPONSE_KINDS])
HAS_REASON = np.array([has_reason for _, has_reason in RESPONSE_KINDS])

CODE_FACTORS = np.array([1 << 8, 1 << 2, 1, 1 << 32])  # `Group.code` as a product


class Group(NamedTuple):
    """Rows whose responses differ only in serial, revocation time and reason; sorts in the order of packs.

    Attributes:
        issuer: index in the configuration.
        serial_bytes: length of the serial.
        kind: index in `RESPONSE_KINDS`.
        span_s: of windows that end with their certificates, from the start of the run to their end; 0: the usual one.
    """

    issuer: int
    serial_bytes: int
    kind: int
    span_s: int = 0

    @property
    def code(self) -> int:
        """One number for the four, of which the lower 32 bits are that of a row of a spill file."""
        return (self.span_s << 32) | (self.issuer << 8) | (self.serial_bytes << 2) | self.kind

    @classmethod
    def of_code(cls, code: int) -> "Group":
        """Return the group of a number.

        >>> Group.of_code(Group(3, 16, 2, 60).code)
        Group(issuer=3, serial_bytes=16, kind=2, span_s=60)
        """
        return cls(code >> 8 & 0xFF_FFFF, code >> 2 & 63, code & 3, code >> 32)


def group_codes(
    issuer: NDArray[np.int32], serial_bytes: NDArray[np.int32], status: NDArray[np.uint8], reason: NDArray[np.int8]
) -> NDArray[np.uint32]:
    """Return `Group.code` of each row, uint32[n]: there are less than 2**22 issuers."""
    kind = np.where(status == RowStatus.GOOD, 0, np.where(status == RowStatus.REVOKED, 1 + (reason >= 0), 3))
    return ((issuer << 8) | (serial_bytes << 2) | kind).astype(np.uint32)


def again_for(codes: NDArray[np.uint32], issuer: int) -> NDArray[np.uint32]:
    """Return codes of spooled rows as those of another issuer, for which they are spooled once more."""
    return (codes & (PRECERTIFICATE_BIT | np.uint32(0xFF))) | AGAIN_BIT | np.uint32(issuer << 8)
