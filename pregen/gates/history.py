"""What a generation leaves behind for the gates of the next one."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.history import NOTHING_REVOKED, IssuerHistory

# Certificates whose times are remembered, so that the next snapshot's can be compared with them one by one: those with
# the smallest lower halves of their keys. A time that is not given is NO_ISSUANCE, or 0 for one that is not revoked.
WITNESS = np.dtype([("key", "<u8"), ("not_before", "<i8"), ("revoked_at", "<i8")])
MIN_WITNESSES, MAX_WITNESSES, CERTIFICATES_A_WITNESS = 64, 4_096, 64
MAX_LAGS = 30


def revoked_witnesses(certificates: int) -> int:
    """Return how many revoked ones of so many certificates are remembered at most: by chance there would be few.

    >>> revoked_witnesses(50), revoked_witnesses(25_600), revoked_witnesses(4_096_000)
    (16, 100, 512)
    """
    return min(max(certificates // 256, 16), 512)


def witness_share(certificates: int) -> float:
    """Return which part of so many certificates is remembered: enough to be sure, and few beside their keys.

    >>> witness_share(50), witness_share(64_000), witness_share(4_096_000)
    (1.0, 0.015625, 0.001)
    """
    wanted = min(max(certificates / CERTIFICATES_A_WITNESS, MIN_WITNESSES), MAX_WITNESSES)
    return min(1.0, wanted / max(certificates, 1))


@dataclass(frozen=True, slots=True)
class History:
    """What is remembered of the current generation.

    Attributes:
        as_of: of its snapshot.
        certificates: with answers.
        issuers: by issuer id.
        revocations: the same of the revocations of all issuers, as if they were one that issues them.
        witnesses: `WITNESS`[k], by ascending keys.
        anchored: declared columns whose zone an anchor has proved once (`detector/anchors.py`), and issuers
            of whose CRLs an entry had a row.
    """

    as_of: int
    certificates: int
    issuers: Mapping[int, IssuerHistory]
    witnesses: NDArray[np.void]
    anchored: frozenset[str]
    revocations: IssuerHistory = NOTHING_REVOKED

    @property
    def judged(self) -> int:
        """How many issuers have lags to compare with."""
        return sum(bool(one.lags) for one in self.issuers.values())
