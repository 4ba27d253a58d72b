"""The order of truth: what counts where an overlay says one thing of a certificate, and somebody else another.

Whoever speaks later is the row: of a snapshot or of a delta, or what a command says. Rules, the first that fits:

1. Revoked for good on either side is revoked for good, whatever the times.
2. Where both sides are, the time and the reason of a snapshot's or a delta's row count, and nothing of what a command
   says: to revoke twice changes nothing. But keyCompromise stays, or replaces a weaker reason, whoever said it.
3. A hold by `hold` stays while rows of snapshots and deltas say otherwise: only `release` ends it.
4. What a command says counts: it has seen the entry.
5. Whoever says it for the later instant is right; at the same instant the row.

An entry is *confirmed* when a row says all of it, or knows better: then it may leave its overlay. Until then it stays.
"""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.overlays.entries import Origin
from pregen.reasons import REASONS
from pregen.snapshot.rows import Mask

KEY_COMPROMISE = REASONS["keyCompromise"]


class Side(Protocol):
    """What is said of n certificates; `Entries` are such, and columns of these names (see there)."""

    @property
    def status(self) -> NDArray[np.uint8]: ...  # noqa: D102
    @property
    def revoked_at(self) -> NDArray[np.uint32]: ...  # noqa: D102
    @property
    def reason(self) -> NDArray[np.int8]: ...  # noqa: D102
    @property
    def as_of(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def origin(self) -> NDArray[np.uint8]: ...  # noqa: D102


class RowsSay(NamedTuple):
    """What rows say, in columns as of `Entries`."""

    status: NDArray[np.uint8]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    as_of: NDArray[np.int64]
    origin: NDArray[np.uint8]


class Truth(NamedTuple):
    """What is true, in columns as of `Entries`, and what that makes of both sides.

    Attributes:
        status, revoked_at, reason: what is published from now on.
        as_of, origin: of the side whose statement that is; a command's as_of is never before the entry's.
        is_confirmed: bool[n], whose entries may leave their overlay, since their rows say all of it.
        is_changed: bool[n], where what is true is not what the entry says.
        is_ahead: bool[n], where the entry is revoked or on hold, or has keyCompromise, and the row does not know it.
        undoes: bool[n], where the row would take a final revocation back (rule 1).
        ends_hold: bool[n], where the row would end a hold by `hold` (rule 3).
    """

    status: NDArray[np.uint8]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    as_of: NDArray[np.int64]
    origin: NDArray[np.uint8]
    is_confirmed: Mask
    is_changed: Mask
    is_ahead: Mask
    undoes: Mask
    ends_hold: Mask


def resolve(entry: Side, row: Side) -> Truth:
    """Return what is true of n certificates, given what an entry and a row say of each.

    Args:
        entry: what an overlay says.
        row: what a snapshot, a delta or a command says, which may be older.
    """
    final, row_final = entry.status == RememberedStatus.REVOKED, row.status == RememberedStatus.REVOKED
    is_command = (row.origin == Origin.REVOKE) | (row.origin == Origin.HOLD)
    is_held = (entry.status == RememberedStatus.ON_HOLD) & (entry.origin == Origin.HOLD)
    unconfirmed = is_held & ~is_command & (row.status != RememberedStatus.ON_HOLD)
    is_later = is_command | ((row.as_of >= entry.as_of) & ~unconfirmed)
    takes_row = np.where(final, row_final & ~is_command, row_final | is_later)
    both = final & row_final
    compromised, row_compromised = both & (entry.reason == KEY_COMPROMISE), both & (row.reason == KEY_COMPROMISE)
    reason = np.where(takes_row, row.reason, entry.reason)
    reason = np.where(compromised | row_compromised, np.int8(KEY_COMPROMISE), reason)
    status = np.where(takes_row, row.status, entry.status)
    revoked_at = np.where(takes_row, row.revoked_at, entry.revoked_at)
    is_confirmed = np.where(both, ~compromised | row_compromised, takes_row)
    by_row = (takes_row & is_confirmed) | (row_compromised & ~compromised)
    later = np.where(is_command, np.maximum(row.as_of, entry.as_of), row.as_of)
    return Truth(
        status=status,
        revoked_at=revoked_at,
        reason=reason,
        as_of=np.where(by_row, later, entry.as_of),
        origin=np.where(by_row, row.origin, entry.origin),
        is_confirmed=is_confirmed,
        is_changed=(status != entry.status) | (revoked_at != entry.revoked_at) | (reason != entry.reason),
        is_ahead=~is_confirmed & (final | (entry.status == RememberedStatus.ON_HOLD)),
        undoes=final & ~row_final,
        ends_hold=unconfirmed & ~row_final,
    )
