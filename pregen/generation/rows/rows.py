"""The rows of one shard, as its worker sees them: sorted by key, repetitions collapsed, expired ones left out.

A certificate has expired when all of its rows have; nobody asks what these said. What overlays say counts beside what
rows say, before anybody looks at them (`pregen.generation.rows.truth`).
"""

import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pregen.errors import VerificationError
from pregen.generation.rows.collapse import Collapsed, collapse
from pregen.generation.rows.counts import NO_EXAMPLES, NOTHING_COUNTED, Examples, RowCounts
from pregen.generation.rows.endings import Endings
from pregen.generation.rows.groups import Group
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.spill import (
    AGAIN_BIT,
    FLAGS,
    PRECERTIFICATE_BIT,
    ROW_BYTES,
    SERIAL_AT,
    SPILLED,
    WITHHELD,
    Places,
    Spilled,
    clipped,
    take,
)
from pregen.generation.rows.truth import NOTHING_STAYS, Staying, tell
from pregen.routing_key import LOWER_BITS, serial_matrix

_LOWER = np.uint64(2**32 - 1)


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The rows that get responses, in the order of their keys.

    Attributes:
        key32: uint32[n], upper halves of the keys, ascending.
        octets: uint8[...], all serials of the shard, and other things.
        starts: intp[n], where each serial begins in `octets`.
        codes: int64[n], the group of each row (`Group.code`).
        revoked_at: uint32[n], seconds since 1970.
        reason: int8[n].
        counts: what became of the other rows of the shard.
        examples: of these, the first ones.
        left_out: rows without a response for their status alone, as they were spooled, whose certificates have neither
            another row nor expired.
        keys: uint64[n], the whole keys.
        not_after: uint32[n], as `pregen.generation.rows.spill.clipped`.
        staying: what stays in an overlay, also of certificates that have no row.
        expired: uint64[k], ascending: the keys of certificates that get no response because they have expired.
    """

    key32: NDArray[np.uint32]
    octets: NDArray[np.uint8]
    starts: Places
    codes: NDArray[np.int64]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    counts: RowCounts = NOTHING_COUNTED
    examples: Examples = NO_EXAMPLES
    left_out: Spilled = field(default_factory=lambda: np.empty(0, SPILLED))
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    not_after: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))
    staying: Staying = NOTHING_STAYS
    expired: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def serials(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        """Return the serials of rows whose serials have `size` octets, uint8[n, size]."""
        return serial_matrix(self.octets, self.starts[rows], size)

    def spilled(self, rows: NDArray[np.intp]) -> Spilled:
        """Return rows as they were spooled, which say where in the snapshot they are."""
        return serial_matrix(self.octets, self.starts[rows] - SERIAL_AT, ROW_BYTES).view(SPILLED)[:, 0]

    def of(self, kept: NDArray[np.bool_]) -> "ShardRows":
        """Return some of the rows, bool[n]; what is counted beside them stays as it is."""
        names = ("key32", "starts", "codes", "revoked_at", "reason", "keys", "not_after")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def groups(self) -> dict[Group, int]:
        """Return the number of rows of each group."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return {Group.of_code(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}

    def digest(self) -> int:
        """Return what `ShardCount.digest` of these rows is."""
        codes, rows = np.unique(self.codes, return_counts=True)
        return digest_of(codes, rows, self.counts)


def digest_of(codes: NDArray[np.int64], rows: NDArray[np.int64], counts: RowCounts) -> int:
    """Return a CRC-32 of the number of rows of each group, by ascending codes, and of those left out."""
    left_out = [counts.repeated, counts.expired, counts.joined, counts.alone]
    return zlib.crc32(np.concatenate([codes, rows, left_out]).data)


def load_shard(file: ShardFile, expired_before: int | None = None, endings: Endings | None = None) -> ShardRows:
    """Return the rows of a spooled shard, which must be what was written, and what was counted.

    Args:
        file: the shard.
        expired_before: certificates whose not_after is before it are left out, in seconds since 1970; None keeps all.
        endings: which certificates get a window that ends with them; None: none do.

    Raises:
        SpoolError: they cannot be read, or are not what was written.
        VerificationError: the rows are not those that were counted.
    """
    rows, suspects = _in_order(file.pieces.read())
    limit = 0 if expired_before is None else int(clipped(np.array(expired_before)))
    collapsed = collapse(rows, suspects, limit) if len(suspects) else Collapsed()
    kept, own = rows["reason"] != WITHHELD, rows["code"] & AGAIN_BIT == 0
    withheld = len(rows) - int(np.count_nonzero(kept))
    own_rows = int(np.count_nonzero(kept & own))
    again_rows = len(rows) - withheld - own_rows
    kept[collapsed.dropped] = False
    certificates = int(np.count_nonzero(kept & own))
    repeated = own_rows - certificates - collapsed.counts.joined
    staying = tell(rows, kept, file.overlaid, limit) if file.overlaid is not None else NOTHING_STAYS
    is_over = rows["not_after"] < limit
    expired = rows["key"][kept & is_over]
    kept &= ~is_over
    live = int(np.count_nonzero(kept & own))
    alone = int(np.count_nonzero(kept & own & (rows["code"] & PRECERTIFICATE_BIT != 0)))
    left_out = _left_out(rows, limit)
    if not kept.all():
        rows = take(rows, np.flatnonzero(kept))
    codes, undated = _coded(rows, endings)
    loaded = ShardRows(
        key32=(rows["key"] >> LOWER_BITS).astype(np.uint32),
        octets=rows.view(np.uint8),
        starts=np.arange(SERIAL_AT, rows.nbytes, ROW_BYTES),
        codes=codes,
        revoked_at=rows["revoked_at"].copy(),
        reason=rows["reason"].copy(),
        counts=collapsed.counts._replace(
            repeated=repeated,
            expired=certificates - live,
            withheld=withheld,
            again=len(rows) - live,
            again_rows=again_rows,
            undated=undated,
            alone=alone,
        ),
        examples=collapsed.examples,
        left_out=left_out,
        keys=rows["key"].copy(),
        not_after=rows["not_after"].copy(),
        staying=staying,
        expired=expired,
    )
    if file.digest is not None and loaded.digest() != file.digest:
        raise VerificationError(
            f"{file.label}: {len(rows):,} rows to sign, {repeated:,} repeated and {certificates - live:,} expired ones "
            "are not by issuer, serial length and status what was surveyed: nothing was published; please report this"
        )
    return loaded


def _coded(rows: Spilled, endings: Endings | None) -> tuple[NDArray[np.int64], int]:
    """Return the group of each row, and how many rows should have a window that ends with them, but do not say when."""
    codes, undated = (rows["code"] & ~FLAGS).astype(np.int64), 0
    if endings is not None:
        issuer, own = codes >> 8, rows["code"] & AGAIN_BIT == 0
        undated = endings.undated(issuer[own], rows["not_after"][own])
        codes |= endings.spans(issuer, rows["not_after"]) << 32
    return codes, undated


def _left_out(rows: Spilled, limit: int) -> Spilled:
    """Return the rows that get no response for their status alone, if they have not expired, and no other row is."""
    places = np.flatnonzero((rows["reason"] == WITHHELD) & (rows["revoked_at"] > limit))
    alone = ~np.isin(rows["key"][places], rows["key"][rows["reason"] != WITHHELD]) if len(places) else places
    return take(rows, places[alone.astype(np.bool_)])


def _in_order(spilled: Spilled) -> tuple[Spilled, Places]:
    """Return rows by key, equal ones in the order of the snapshot; and the places of those that have equal keys.

    Upper halves and places are sorted as one number each, which is three times as fast as any sort that returns places;
    the few rows whose upper halves are equal are put in order afterwards.
    """
    places = np.arange(len(spilled), dtype=np.uint64)
    by_half = np.sort(((spilled["key"] >> LOWER_BITS) << LOWER_BITS) | places)
    order = (by_half & _LOWER).astype(np.intp)
    tied = _with_equal_neighbour(by_half >> LOWER_BITS)
    these = order[tied]
    order[tied] = these[np.argsort(spilled["key"][these], kind="stable")]  # pieces are in the snapshot's order
    rows = take(spilled, order)
    return rows, tied[_with_equal_neighbour(rows["key"][tied])]


def _with_equal_neighbour(values: NDArray[np.uint64]) -> Places:
    """Return the places of values that occur more than once, given ascending ones.

    >>> _with_equal_neighbour(np.array([1, 2, 2, 3, 3, 3], np.uint64)).tolist()
    [1, 2, 3, 4, 5]
    """
    equal = np.zeros(len(values) + 1, bool)
    np.equal(values[1:], values[:-1], out=equal[1:-1])
    return np.flatnonzero(equal[1:] | equal[:-1])
