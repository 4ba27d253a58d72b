"""What becomes of a certificate: what is wanted, beside what the head says of it. Pure rules, whole columns at once.

Which of both counts says the order of truth (`pregen.overlays.order`). Beside it,

1. a final revocation is taken back by a delta alone, and only where that is accepted by name, also one that is no more
   than remembered, since its certificate had ended;
2. `hold` takes what is not on hold yet, `release` what is.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import RememberedStatus
from pregen.overlays import Origin, Truth, resolve
from pregen.overlays.order import RowsSay
from pregen.urgent.orders import ORIGIN_OF, ChangeKind
from storage.overlay_part import NO_EXPIRY_32

_UNCONFIRMED = [Origin.DELTA, Origin.REVOKE]  # such entries go once a snapshot says the same
Flags = NDArray[np.bool_]


class Fate(IntEnum):
    """What becomes of one certificate that is named, or has a row."""

    LANDS = 0
    STANDS = 1  # it is so already, or what stands there counts
    AHEAD = 2  # a row that would take back a final revocation which no snapshot has confirmed yet
    HELD = 3  # a row that would end a hold by `hold`
    UNDOES = 4  # a row that would take back any other final revocation
    STRANGE = 5  # nobody knows it, nor when it ends
    FINAL = 6  # it is revoked for good, so that nothing can be held or released
    UNSIGNED = 7  # it would land, but its issuer cannot sign


UNDOING = (Fate.AHEAD, Fate.UNDOES)  # they land where that is accepted by name


@dataclass(frozen=True, slots=True)
class Statements:
    """What is said of certificates, by columns of one length.

    Attributes:
        status: uint8[n], numbers of `RememberedStatus`.
        revoked_at: uint32[n], seconds since 1970.
        reason: int8[n], CRLReason or `pregen.snapshot.NO_REASON`.
        not_after: uint32[n], seconds since 1970; `NO_EXPIRY_32`: nobody says.
    """

    status: NDArray[np.uint8]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    not_after: NDArray[np.uint32]

    @property
    def is_final(self) -> Flags:
        """Which are revoked for good."""
        final: Flags = self.status == RememberedStatus.REVOKED
        return final

    @property
    def is_held(self) -> Flags:
        """Which are on hold."""
        held: Flags = self.status == RememberedStatus.ON_HOLD
        return held


@dataclass(frozen=True, slots=True)
class Standing:
    """What the head says of certificates.

    Attributes:
        said: of those that it knows.
        is_known: bool[n].
        as_of: int64[n], seconds since 1970.
        origin: uint8[n], index in `ORIGINS`; of what stands in shards that of a run.
        has_ended: bool[n], what it does not know, and remembers as revoked for good until it had ended.
    """

    said: Statements
    is_known: Flags
    as_of: NDArray[np.int64]
    origin: NDArray[np.uint8]
    has_ended: Flags


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of certificates.

    Attributes:
        fate: uint8[n], numbers of `Fate`.
        said: what is to be signed of those that land.
    """

    fate: NDArray[np.uint8]
    said: Statements


def decide(
    kind: ChangeKind,
    wanted: Statements,
    standing: Standing,
    *,
    as_of: int,
    says_when: bool = False,
    is_again: Flags | None = None,
) -> Decided:
    """Return what becomes of certificates.

    Args:
        kind: of the change.
        wanted: what it says of them.
        standing: what the head says of them.
        as_of: the instant for which the change is right, in seconds since 1970.
        says_when: whether the command names the time of revocation, so that it counts in place of an earlier one.
        is_again: which are spooled for a further name or key of their issuer, and named by nobody.
    """
    again = np.zeros(len(wanted.status), np.bool_) if is_again is None else is_again
    old, is_known, count = standing.said, standing.is_known, len(wanted.status)
    entry = RowsSay(old.status, old.revoked_at, old.reason, standing.as_of, standing.origin)
    as_of_all, origin = np.full(count, as_of, np.int64), np.full(count, ORIGIN_OF[kind], np.uint8)
    truth = resolve(entry, RowsSay(wanted.status, wanted.revoked_at, wanted.reason, as_of_all, origin))
    fate = np.where(is_known & ~truth.is_changed, Fate.STANDS, Fate.LANDS)
    if kind is ChangeKind.DELTA:
        final = np.where(np.isin(standing.origin, _UNCONFIRMED), Fate.AHEAD, Fate.UNDOES)
    else:
        final = np.full(count, Fate.FINAL)
        is_held = is_known & old.is_held
        if kind is ChangeKind.HOLD:
            fate = np.where(is_held, Fate.STANDS, fate)
        if kind is ChangeKind.RELEASE:
            fate = np.where(is_held, fate, Fate.STANDS)
        is_strange = ~is_known & ~again & ((wanted.not_after == NO_EXPIRY_32) | (kind is ChangeKind.RELEASE))
        fate = np.where(is_strange, Fate.STRANGE, fate)
    fate = np.where(is_known & truth.undoes, final, fate)
    fate = np.where(is_known & truth.ends_hold, Fate.HELD, fate)
    is_freed = standing.has_ended & ~is_known & ~wanted.is_final
    fate = np.where(is_freed, Fate.UNDOES if kind is ChangeKind.DELTA else Fate.FINAL, fate)
    return Decided(fate.astype(np.uint8), _said(wanted, standing, truth, says_when=says_when))


def _said(wanted: Statements, standing: Standing, truth: Truth, *, says_when: bool) -> Statements:
    """Return what is to be signed: what is true, or what is wanted where nobody knew better, or that is accepted."""
    old, is_true = standing.said, standing.is_known & ~truth.undoes
    return Statements(
        status=np.where(is_true, truth.status, wanted.status),
        revoked_at=np.where(is_true & (not says_when), truth.revoked_at, wanted.revoked_at),
        reason=np.where(is_true, truth.reason, wanted.reason).astype(np.int8),
        not_after=np.where(
            standing.is_known & (wanted.not_after == NO_EXPIRY_32), old.not_after, wanted.not_after
        ).astype(np.uint32),
    )
