"""Reasons of revocation: which of them the relying parties' rules forbid, and which certificates must give one.

An OCSP answer may give the reasons that a CRL may (TLS Baseline Requirements, 7.3 with 7.2.2; S/MIME Baseline
Requirements, 7.3 with 7.2.2). An unspecified reason is never encoded (RFC 5280, 5.3.1), so where the reason must be
there, it does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

from pregen.reasons import AA_COMPROMISE, CA_COMPROMISE, CERTIFICATE_HOLD

_CODES = MappingProxyType(
    {
        CERTIFICATE_HOLD: "row.reason.hold",
        CA_COMPROMISE: "row.reason.ca-compromise",
        AA_COMPROMISE: "row.reason.aa-compromise",
    }
)
REASON_MISSING, REASON_UNSPECIFIED = "row.reason.missing", "row.reason.unspecified"
# Rows with these faults can be read and understood, and are published as they are where somebody accepts that.
REASON_CODES = (*_CODES.values(), REASON_MISSING, REASON_UNSPECIFIED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonRules:
    """What reasons revoked certificates of an issuer may give; by default any, or none.

    Attributes:
        not_of_end_entities: CRLReasons that end-entity certificates must not give.
        not_of_cas: CRLReasons that certificates of CAs must not give.
        of_cas: whether certificates of CAs must give one.
    """

    not_of_end_entities: frozenset[int] = frozenset()
    not_of_cas: frozenset[int] = frozenset()
    of_cas: bool = False

    def forbidden(self, *, is_ca: bool) -> Iterator[tuple[int, str]]:
        """Yield the reasons that certificates must not give, each with the code of the finding.

        >>> list(ReasonRules(not_of_cas=frozenset({6})).forbidden(is_ca=True))
        [(6, 'row.reason.hold')]
        """
        reasons = self.not_of_cas if is_ca else self.not_of_end_entities
        yield from ((reason, _CODES[reason]) for reason in sorted(reasons))
