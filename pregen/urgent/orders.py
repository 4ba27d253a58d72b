"""What a command wants to become of certificates: revoked, put on hold, or released from that."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from pregen import clock
from pregen.errors import Finding, GateError, UsageError
from pregen.issuers import Issuer
from pregen.overlays import Origin
from pregen.reasons import CERTIFICATE_HOLD, REASON_NAMES
from pregen.snapshot import NO_ISSUANCE, NO_REASON, RowStatus, StatusBatch
from pregen.urgent.mentions import ROWS_AT_ONCE, NamedCertificates
from pregen.validity import CLOCK_SKEW
from pregen.validity.reason_rules import REASON_MISSING, REASON_UNSPECIFIED


class ChangeKind(StrEnum):
    """Urgent changes, by the names of their commands, which commits have too."""

    DELTA = "delta"
    REVOKE = "revoke"
    HOLD = "hold"
    RELEASE = "release"


# What an overlay remembers of where its records come from; what ends a hold is what `hold` says of it at last.
ORIGIN_OF: Mapping[ChangeKind, Origin] = MappingProxyType(
    {
        ChangeKind.DELTA: Origin.DELTA,
        ChangeKind.REVOKE: Origin.REVOKE,
        ChangeKind.HOLD: Origin.HOLD,
        ChangeKind.RELEASE: Origin.HOLD,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a command line says of the certificates that it names.

    Attributes:
        kind: what is to become of them.
        reason: CRLReason of a revocation, 0 for unspecified; None: none is given.
        at: when they were revoked; None: now.
    """

    kind: ChangeKind
    reason: int | None = None
    at: datetime | None = None

    def revoked_at(self, started: datetime) -> int:
        """Return when the certificates are revoked, in seconds since 1970.

        Raises:
            UsageError: that cannot be.
        """
        at = self.at or started
        if at > started + CLOCK_SKEW:
            raise UsageError(f"--at {clock.text(at)} is still to come: say when it was revoked, or leave it out")
        if clock.seconds(at) < 0:
            raise UsageError(f"--at {clock.text(at)} is before 1970: say when it was revoked, or leave it out")
        return min(clock.seconds(at), clock.seconds(started))

    def batches(self, named: NamedCertificates, started: datetime) -> Iterator[StatusBatch]:
        """Yield the certificates as a snapshot would have them."""
        is_revoked = self.kind is not ChangeKind.RELEASE
        revoked_at = self.revoked_at(started) if is_revoked else 0
        given = CERTIFICATE_HOLD if self.kind is ChangeKind.HOLD else self.reason or NO_REASON
        for first in range(0, len(named.section), ROWS_AT_ONCE):
            section = named.section[first : first + ROWS_AT_ONCE]
            count = len(section)
            yield StatusBatch(
                serial=named.serial[first : first + count],
                issuer=section,
                status=np.full(count, RowStatus.REVOKED if is_revoked else RowStatus.GOOD, np.uint8),
                revoked_at=np.full(count, revoked_at, np.int64),
                reason=np.full(count, given if is_revoked else NO_REASON, np.int8),
                not_after=named.not_after[first : first + count],
                not_before=np.full(count, NO_ISSUANCE, np.int64),
                row=np.arange(first, first + count, dtype=np.int64),
            )


def check_reasons(order: Order, named: NamedCertificates, issuers: Sequence[Issuer]) -> None:
    """Refuse a reason that the profile of an issuer forbids, and a revocation without one where it wants one.

    Whether a certificate is a CA's is known of those alone that were given themselves; others count as what their
    issuer's profile is for.

    Raises:
        GateError: the profile forbids it.
    """
    if order.kind is ChangeKind.RELEASE:
        return
    reason = CERTIFICATE_HOLD if order.kind is ChangeKind.HOLD else order.reason
    for index in np.unique(named.section).tolist():
        profile = issuers[index].validity.profile
        members = np.flatnonzero(named.section == index).tolist()
        kinds = {profile.is_for_cas or member in named.cas for member in members}
        for is_ca in sorted(kinds):
            what = "certificates of CAs" if is_ca else "certificates of end entities"
            code = dict(profile.reasons.forbidden(is_ca=is_ca)).get(reason or NO_REASON)
            if code is not None:
                hint = "" if is_ca or named.cas else "; a CA's certificate is known as one if it is given by --cert"
                text = f"profile {profile.name} does not allow {what} the reason {REASON_NAMES[reason or 0]}{hint}"
                raise _refused(issuers[index], code, text)
            if is_ca and profile.reasons.of_cas and not reason:
                code = REASON_MISSING if reason is None else REASON_UNSPECIFIED
                raise _refused(issuers[index], code, f"profile {profile.name} wants a --reason of {what}")


def _refused(issuer: Issuer, code: str, text: str) -> GateError:
    finding = Finding(code, "error", f"{issuer.names[0]}: {text}")
    return GateError("the profile forbids this change; nothing was published", [finding])
