"""What is noted about times while rows are routed: little, by columns, and so that it adds up in any order.

Every process that reads rows has an `Observer`; after each file it hands an `Observation` to the parent. Kept are

    newest       the latest certificate of each issuer that was issued by as_of (`Watch.issued_until`)
    bins         how much each issuer issued in each 5 minutes of the 35 days before that, and how much was revoked
    counts       how many times lie around as_of, and how many revocations and expiries around their issuances
    sightings    rows of anchors, and of certificates that the last generation remembered or the next one shall
    examples     of what should not be, up to 20 a kind: those with the smallest keys
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.gates.detector.sightings import NO_SIGHTINGS, Sightings

BIN_S = 300  # finer ones cost memory, coarser ones cannot tell offsets that are a quarter of an hour apart
BINS = 35 * 86_400 // BIN_S  # five weekends: enough to know what is usual, and 40 kB an issuer
REACH_S = 28 * 3_600  # of `counts`, either way
HALF = REACH_S // BIN_S
DISTANCES = 2 * HALF + 1  # the last one counts what lies beyond

SIGHTING_KINDS = ("ahead", "late", "revoked-early", "expired-early")
REVOKED_TIMES = 64  # as many of the revoked ones are sighted: few certificates are revoked


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for, made before the first row is read. It pickles.

    Attributes:
        as_of: of the snapshot, in seconds since 1970.
        skew_s: how far times may lie ahead of it.
        issuers: how many are configured.
        keys: uint64[k], ascending and distinct, of anchors and of the certificates that the last generation remembered.
        witness_share: which part of all certificates is to be sighted as witnesses of this generation, 0 to 1, by the
            lower halves of their keys.
        listed_as_of: where revocations come from CRLs, the instant of the list of certificates, which is mostly later
            than that of the oldest CRL; None: there are none, and `revoked_at` is a column as the others are.
    """

    as_of: int
    skew_s: int
    issuers: int
    keys: NDArray[np.uint64]
    witness_share: float
    listed_as_of: int | None = None

    @property
    def witness_limit(self) -> np.uint64:
        """Below which the lower half of a witness's key lies."""
        return np.uint64(min(max(self.witness_share, 0.0), 1.0) * 2**32)

    @property
    def revoked_limit(self) -> np.uint64:
        """The same for certificates that are revoked, of which there are few."""
        return np.uint64(min(max(self.witness_share * REVOKED_TIMES, 0.0), 1.0) * 2**32)

    @property
    def issued_until(self) -> int:
        """Until when issuance is known: what not_before is judged by."""
        return self.as_of if self.listed_as_of is None else self.listed_as_of

    @property
    def has_crls(self) -> bool:
        """Whether revocations come from CRLs, whose times are UTC by standard (RFC 5280, 5.1.2.6)."""
        return self.listed_as_of is not None


@dataclass(frozen=True, slots=True)
class Observation:
    """What was noted of some rows; `all_observed` makes one of several.

    Attributes:
        newest: `SIGHTING`[<= issuers], ascending by issuer: of each, the row with the latest not_before up to as_of.
        bins, bin_counts: int64[k], ascending, and int64[k]: issuer * BINS + how many whole 5 minutes before as_of it
            issued something, and how many rows; after those of all issuers, the revocations of all together.
        places, counts: int64[k], ascending, and int64[k]: places are row * DISTANCES + column of the table that
            `table` returns.
        undated: int64[issuers, 2]: of each, how many rows have no not_before, and how many there are.
        sightings: `SIGHTING`[k], in any order.
        examples: `SIGHTING`[<= 20] for each of `SIGHTING_KINDS`, ascending by keys; late ones have neither key nor
            issuer (-1).
    """

    newest: Sightings
    bins: NDArray[np.int64]
    bin_counts: NDArray[np.int64]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    undated: NDArray[np.int64]
    sightings: Sightings
    examples: tuple[Sightings, ...] = field(default=(NO_SIGHTINGS,) * len(SIGHTING_KINDS))

    def table(self, watch: Watch) -> NDArray[np.int64]:
        """Return the counts as int64[issuers + 3, DISTANCES], by 5 minutes from `REACH_S` before to `REACH_S` after.

        Row i: not_before of issuer i, from `issued_until` + skew; row issuers: revoked_at of all, from as_of + skew
        (nothing where they come from CRLs); the next one: revoked_at from not_before; the last one: not_after from
        not_before. Column HALF begins just after the origin (the last two rows: at it); the last column holds all that
        is later, what is earlier is not counted in the first two kinds and is in column 0 of the others.
        """
        dense = np.zeros((watch.issuers + 3) * DISTANCES, np.int64)
        dense[self.places] = self.counts
        return dense.reshape(-1, DISTANCES)
