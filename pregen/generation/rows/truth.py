"""What overlays say against the rows of a shard, before these are counted, compared and signed.

A row becomes what is true (`pregen.overlays.order`), so that a shard never says good below an overlay that says
revoked. What rows confirm is folded in: its entry leaves the overlay. What stays there after this run is

* what is revoked or on hold there, and that the source does not know: it is *ahead* of it;
* what is newer than the snapshot;
* what the snapshot does not have. It leaves when its certificate expires, or, where it is neither revoked nor on hold,
  when an operator accepts that a later snapshot lacks it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.generation.rows.groups import RESPONSE_KINDS, STATUS_OF_KIND
from pregen.generation.rows.spill import FLAGS, ROW_BYTES, SERIAL_AT, Places, Spilled
from pregen.overlays import NO_ENTRIES, Entries, Origin, resolve
from pregen.overlays.entries import concatenated, found
from pregen.overlays.order import RowsSay
from pregen.reasons import CERTIFICATE_HOLD
from pregen.snapshot import MAX_SERIAL_BYTES
from pregen.snapshot.rows import Mask
from storage.history import EXPIRY_UNIT_S
from storage.overlay_part import NO_EXPIRY_32

KIND_OF_STATUS = np.array(
    [RESPONSE_KINDS.index((status, False)) for status in ("good", "revoked", "revoked", "unknown")]
)


@dataclass(frozen=True, slots=True)
class Overlaid:
    """What overlays say of the certificates of one shard, and what is to be known of the rows beside them; it pickles.

    Attributes:
        entries: by ascending keys, those of issuers of the run alone.
        ids: uint64[issuers], what issuers are known by.
        as_of: of the snapshot, in seconds since 1970.
        is_lack_accepted: whether what is good, and a later snapshot lacks, goes.
    """

    entries: Entries
    ids: NDArray[np.uint64]
    as_of: int
    is_lack_accepted: bool = False

    def between(self, low: int, high: int) -> "Overlaid | None":
        """Return what is said of keys whose upper halves are from `low` up to below `high`; None: nothing."""
        entries = self.entries.between(low, high)
        return replace(self, entries=entries) if len(entries) else None


class Staying(NamedTuple):
    """What stays in an overlay after this run.

    Attributes:
        entries: as they are from now on, by ascending keys.
        is_lacking: bool[n], which certificates the snapshot does not have.
        is_final_there: bool[n], which of them the snapshot itself says are revoked for good.
    """

    entries: Entries = NO_ENTRIES
    is_lacking: Mask = np.empty(0, np.bool_)
    is_final_there: Mask = np.empty(0, np.bool_)

    @property
    def lacking(self) -> Entries:
        """The entries of certificates that the snapshot does not have."""
        return self.entries.take(self.is_lacking)

    @property
    def is_ahead(self) -> Mask:
        """Which are revoked or on hold, and the source does not know it."""
        return np.isin(self.entries.status, (RememberedStatus.REVOKED, RememberedStatus.ON_HOLD))

    def between(self, low: int, high: int) -> "Staying":
        """Return what stays of keys whose upper halves are from `low` up to below `high`, which copies nothing."""
        within = self.entries.span(low, high)
        return Staying(self.entries.between(low, high), self.is_lacking[within], self.is_final_there[within])


NOTHING_STAYS = Staying()


def all_staying(parts: Iterable[Staying]) -> Staying:
    """Return what stays of several ranges of keys, by ascending ones."""
    every = [NOTHING_STAYS, *parts]
    order = np.argsort(np.concatenate([one.entries.keys for one in every]), kind="stable")
    return Staying(
        concatenated(one.entries for one in every),
        np.concatenate([one.is_lacking for one in every])[order],
        np.concatenate([one.is_final_there for one in every])[order],
    )


def staying_between(parts: Sequence[Staying], low: int, high: int) -> Staying:
    """Return what stays, of several parts in any order, of keys whose upper halves are in [low, high)."""
    return all_staying(one.between(low, high) for one in parts)


def tell(rows: Spilled, kept: Mask, overlaid: Overlaid, limit: int) -> Staying:
    """Let rows say what is true, in place, and return what stays in an overlay.

    Args:
        rows: of a shard, by ascending keys.
        kept: bool[rows], which of them stand for a certificate; expired ones are among them.
        overlaid: what overlays say.
        limit: what ends before it, in seconds since 1970 as `clipped`, has expired.
    """
    entries = overlaid.entries
    which, place = _matches(rows, kept, overlaid)
    code = rows["code"][place]
    kind = code & 3
    says = _says(rows, place, overlaid.as_of)
    truth = resolve(entries.take(which), says)
    differs = (truth.status != says.status) | (truth.revoked_at != says.revoked_at) | (truth.reason != says.reason)
    if differs.any():
        to = KIND_OF_STATUS[truth.status]
        to = np.where(is_revoked(truth.status), to + (truth.reason >= 0), to).astype(np.uint32)
        rows["code"][place[differs]] = (code - kind + to)[differs]
        rows["revoked_at"][place[differs]] = truth.revoked_at[differs]
        rows["reason"][place[differs]] = truth.reason[differs]
    stays = np.ones(len(entries), np.bool_)
    # A row that has expired gets no answer: who is revoked for good until later by the overlay, stays so there.
    is_over = rows["not_after"][place] < limit
    stays[which[truth.is_confirmed & ~(is_over & entries.is_final[which])]] = False
    is_lacking, is_final_there = np.ones(len(entries), np.bool_), np.zeros(len(entries), np.bool_)
    is_lacking[which], is_final_there[which] = False, says.status == RememberedStatus.REVOKED
    now = _as_resolved(entries, which, truth.revoked_at, truth.reason, rows["not_after"][place])
    if overlaid.is_lack_accepted:
        stays &= ~is_lacking | is_revoked(entries.status) | (entries.as_of > overlaid.as_of)
    stays &= now.not_after >= limit
    if stays.all():  # most of its columns are those of the overlays still, which may be long
        return Staying(now, is_lacking, is_final_there)
    return Staying(now.take(stays), is_lacking[stays], is_final_there[stays])


def _matches(rows: Spilled, kept: Mask, overlaid: Overlaid) -> tuple[Places, Places]:
    """Return which entries have a row that stands for their certificate, and the place of that."""
    entries = overlaid.entries
    which, place = found(rows["key"], entries.keys)
    code = rows["code"][place] & ~FLAGS
    same = kept[place] & (overlaid.ids[code >> 8] == entries.issuers[which])
    same &= (code >> 2 & 63) == entries.sizes[which]
    which, place = which[same], place[same]
    octets = rows.view(np.uint8).reshape(-1, ROW_BYTES)[place, SERIAL_AT:]
    beyond = np.arange(MAX_SERIAL_BYTES) >= entries.sizes[which][:, None]
    alike = ((octets == entries.serials[which]) | beyond).all(axis=1)
    return which[alike], place[alike]


def _says(rows: Spilled, place: Places, as_of: int) -> RowsSay:
    status = STATUS_OF_KIND[rows["code"][place] & 3]
    reason = rows["reason"][place]
    status[reason == CERTIFICATE_HOLD] = RememberedStatus.ON_HOLD
    count = len(place)
    return RowsSay(
        status=status,
        revoked_at=rows["revoked_at"][place],
        reason=reason,
        as_of=np.full(count, as_of, np.int64),
        origin=np.full(count, Origin.RUN, np.uint8),
    )


def _as_resolved(
    entries: Entries,
    which: Places,
    revoked_at: NDArray[np.uint32],
    reason: NDArray[np.int8],
    row_not_after: NDArray[np.uint32],
) -> Entries:
    """Return entries as those that stay are from now on; where both sides say when one expires, the later counts."""
    at, why, not_after = entries.revoked_at.copy(), entries.reason.copy(), entries.not_after.copy()
    at[which], why[which] = revoked_at, reason
    mine = not_after[which]
    # Overlays round it up to the units of histories, so that nothing revoked is forgotten before it ends.
    is_same = row_not_after | np.uint32(EXPIRY_UNIT_S - 1) == mine
    later = np.where(is_same, row_not_after, np.maximum(mine, row_not_after))
    not_after[which] = np.where(
        mine == NO_EXPIRY_32, row_not_after, np.where(row_not_after == NO_EXPIRY_32, mine, later)
    )
    return replace(entries, revoked_at=at, reason=why, not_after=not_after)


def is_revoked(status: NDArray[np.uint8]) -> Mask:
    """Tell which statuses are revoked or on hold, bool[n]."""
    return np.isin(status, (RememberedStatus.REVOKED, RememberedStatus.ON_HOLD))
