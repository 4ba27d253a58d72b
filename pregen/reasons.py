"""Why certificates are revoked: the names of CRLReason and their numbers (RFC 5280, 5.3.1)."""

from collections.abc import Mapping
from types import MappingProxyType

# 7 is unused, and 8 (removeFromCRL) exists only in delta CRLs.
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
