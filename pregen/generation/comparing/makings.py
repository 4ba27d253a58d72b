"""What a shard is made of, as one digest: where the next run would make the same again, it keeps the pack, unread.

A digest covers what decides every octet of a pack but signatures and windows: of each certificate its issuer, serial,
status, time and reason of revocation; and of each issuer in it all that its answers are made of, or judged by. Where
windows end with their certificates, notAfter is among it; elsewhere that is in the history alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.generation.comparing.past import entries_of
from pregen.generation.rows.groups import HAS_REASON, IS_REVOKED
from pregen.generation.rows.rows import ShardRows
from storage.history import HistoryPart, is_part_of
from storage.manifest import Shard

_KIND = np.int64(3)


@dataclass(frozen=True, slots=True)
class Makings:
    """What tells digests of shards apart beside their rows; it pickles.

    Attributes:
        ids: uint64[issuers].
        ends: bool[issuers], whose windows end with certificates.
        terms: of each issuer, 32 octets that change with whatever its answers are made of (`keeping.makings_of`).
    """

    ids: NDArray[np.uint64]
    ends: NDArray[np.bool_]
    terms: tuple[bytes, ...]

    def digest(self, rows: ShardRows) -> bytes:
        """Return what a shard of these rows is made of, 32 octets."""
        issuer, size = rows.codes >> 8 & 0xFF_FFFF, (rows.codes >> 2 & 63).astype(np.uint8)
        kind = (rows.codes & _KIND).astype(np.uint8)
        present = np.flatnonzero(np.bincount(issuer, minlength=len(self.ids))).tolist()
        ends = self.ends[issuer]
        columns = [
            self.ids[issuer].astype("<u8"),
            kind,
            np.where(IS_REVOKED[kind], rows.revoked_at, 0).astype("<u4"),
            np.where(HAS_REASON[kind], rows.reason, 0).astype("i1"),
            size,
            *(rows.serials(np.flatnonzero(size == one), one) for one in np.flatnonzero(np.bincount(size)).tolist()),
            ends,
            rows.not_after[ends].astype("<u4"),
        ]
        # How long a column is follows from those before it, so that no other rows have the same octets.
        total = hashlib.sha256(len(size).to_bytes(8, "little"))
        for column in columns:
            total.update(np.ascontiguousarray(column).data)
        for of_issuer in sorted(int(self.ids[at]).to_bytes(8, "little") + self.terms[at] for at in present):
            total.update(of_issuer)
        return total.digest()


class Former(NamedTuple):
    """A shard of the current generation whose answers all hold for longer: only its rows may have changed.

    Attributes:
        shard: what the manifest says of it.
        part: what the history says of it; None: it is empty.
    """

    shard: Shard
    part: HistoryPart | None


class Keeping(IntEnum):
    """What of a shard of the current generation is kept, unread."""

    NOTHING, PACK, ALL = range(3)  # PACK: when certificates end has changed, which the history says


@dataclass(frozen=True, slots=True)
class Keepable:
    """What of the current generation may be kept, if its rows have not changed.

    Attributes:
        makings: what shards are made of beside their rows.
        shards: by key range.
    """

    makings: Makings
    shards: Mapping[tuple[int, int], Former] = field(default_factory=dict)


def keeping_of(former: Former | None, made_of: bytes | None, rows: ShardRows) -> Keeping:
    """Return what is kept of a shard whose rows are these tonight."""
    if former is None or len(rows.keys) != former.shard.rows:
        return Keeping.NOTHING
    if not len(rows.keys):
        return Keeping.ALL if former.part is None else Keeping.NOTHING
    if former.part is None or made_of is None or former.part.digest != made_of:
        return Keeping.NOTHING
    return Keeping.ALL if is_part_of(former.part, entries_of(rows).columns()) else Keeping.PACK
