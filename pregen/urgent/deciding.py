"""What becomes of a certificate: what is wanted, beside what the head says of it. Pure rules, whole columns at once.

1. A final revocation stays final, whatever the times; only a delta takes it back, and only where that is accepted by
   name. Where both sides are final, that of a delta's row counts, with its time and reason, but keyCompromise stays.
2. `revoke` makes final whatever is not. Of what is final, keyCompromise replaces another reason; else nothing changes.
3. `hold` takes what is good, `release` what is on hold.
4. Of everything else in a delta, the later as_of counts; but a hold by `hold` that no snapshot has confirmed yet stays
   until `release`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pregen.gates.comparison import KeptStatus
from pregen.overlays import Origin, resolve
from pregen.overlays.order import KEY_COMPROMISE, RowsSay
from pregen.urgent.orders import ChangeKind
from storage.overlay_part import NO_EXPIRY_32

_UNCONFIRMED = [Origin.DELTA, Origin.REVOKE]  # such entries go once a snapshot says the same
Flags = NDArray[np.bool_]
Fates = NDArray[np.int64]


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
        status: uint8[n], numbers of `KeptStatus`.
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
        final: Flags = self.status == KeptStatus.REVOKED
        return final

    @property
    def is_held(self) -> Flags:
        """Which are on hold."""
        held: Flags = self.status == KeptStatus.ON_HOLD
        return held


@dataclass(frozen=True, slots=True)
class Standing:
    """What the head says of certificates.

    Attributes:
        said: of those that it knows.
        is_known: bool[n].
        as_of: int64[n], seconds since 1970.
        origin: uint8[n], index in `ORIGINS`; of what stands in shards that of a run.
    """

    said: Statements
    is_known: Flags
    as_of: NDArray[np.int64]
    origin: NDArray[np.uint8]


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
    old = standing.said
    both = standing.is_known & old.is_final & wanted.is_final
    said = Statements(
        status=wanted.status,
        revoked_at=np.where(both & (kind is ChangeKind.REVOKE and not says_when), old.revoked_at, wanted.revoked_at),
        reason=np.where(both & (old.reason == KEY_COMPROMISE), old.reason, wanted.reason).astype(np.int8),
        not_after=np.where(
            standing.is_known & (wanted.not_after == NO_EXPIRY_32), old.not_after, wanted.not_after
        ).astype(np.uint32),
    )
    if kind is ChangeKind.DELTA:
        fate = _of_rows(said, standing, as_of)
    else:
        fate = _RULES[kind](said, standing)
        is_strange = ~standing.is_known & ~again & ((wanted.not_after == NO_EXPIRY_32) | (kind is ChangeKind.RELEASE))
        fate = np.where(is_strange, Fate.STRANGE, fate)
    return Decided(fate.astype(np.uint8), said)


def _of_rows(said: Statements, standing: Standing, as_of: int) -> Fates:
    """Return what becomes of the certificates of a delta's rows, by the order of truth (`pregen.overlays.order`)."""
    old, is_known, count = standing.said, standing.is_known, len(said.status)
    entry = RowsSay(old.status, old.revoked_at, old.reason, standing.as_of, standing.origin)
    row = RowsSay(
        said.status,
        said.revoked_at,
        said.reason,
        np.full(count, as_of, np.int64),
        np.full(count, Origin.DELTA, np.uint8),
    )
    fate = np.where(is_known & ~resolve(entry, row).is_changed, Fate.STANDS, Fate.LANDS)
    is_unconfirmed = np.isin(standing.origin, _UNCONFIRMED)
    undoes = np.where(is_unconfirmed, Fate.AHEAD, Fate.UNDOES)
    fate = np.where(is_known & old.is_final & ~said.is_final, undoes, fate)
    is_held = old.is_held & (standing.origin == Origin.HOLD) & ~said.is_held & ~said.is_final
    return np.where(is_known & is_held, Fate.HELD, fate)


def _revoked(said: Statements, standing: Standing) -> Fates:
    old = standing.said
    is_weaker = (said.reason == KEY_COMPROMISE) & (old.reason != KEY_COMPROMISE)
    return np.where(standing.is_known & old.is_final & ~is_weaker, Fate.STANDS, Fate.LANDS)


def _held(_: Statements, standing: Standing) -> Fates:
    old = standing.said
    fate = np.where(standing.is_known & old.is_held, Fate.STANDS, Fate.LANDS)
    return np.where(standing.is_known & old.is_final, Fate.FINAL, fate)


def _released(_: Statements, standing: Standing) -> Fates:
    old = standing.said
    fate = np.where(standing.is_known & old.is_held, Fate.LANDS, Fate.STANDS)
    return np.where(standing.is_known & old.is_final, Fate.FINAL, fate)


_RULES: Mapping[ChangeKind, Callable[[Statements, Standing], Fates]] = MappingProxyType(
    {ChangeKind.REVOKE: _revoked, ChangeKind.HOLD: _held, ChangeKind.RELEASE: _released}
)
