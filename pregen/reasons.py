"""Why certificates are revoked: the names of CRLReason and their numbers (RFC 5280, 5.3.1)."""

from collections.abc import Mapping
from types import MappingProxyType

# What a certificate may be revoked for; 7 is unused.
REASONS: Mapping[str, int] = MappingProxyType(
    {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
)
REASON_NAMES: Mapping[int, str] = MappingProxyType({number: name for name, number in REASONS.items()})
CA_COMPROMISE, AA_COMPROMISE = REASONS["cACompromise"], REASONS["aACompromise"]
CERTIFICATE_HOLD = REASONS["certificateHold"]  # the only one that may end

# What an entry of a CRL may say. The last one is in delta CRLs alone, and takes a hold back: nothing is revoked for it.
REMOVE_FROM_CRL = 8
CRL_REASONS: Mapping[str, int] = MappingProxyType({**REASONS, "removeFromCRL": REMOVE_FROM_CRL})
