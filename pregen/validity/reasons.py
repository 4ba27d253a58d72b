"""Reasons of revocation: which of them the relying parties' rules forbid, and which certificates must give one.

An OCSP answer may give the reasons that a CRL may (TLS Baseline Requirements, 7.3 with 7.2.2; S/MIME Baseline
Requirements, 7.3 with 7.2.2). An unspecified reason is never encoded (RFC 5280, 5.3.1), so where the reason must be
there, it does not count.
"""

from collections.abc import Iterator
from dataclasses import dataclass

CA_COMPROMISE, CERTIFICATE_HOLD, AA_COMPROMISE = 2, 6, 10  # RFC 5280, 5.3.1

HOLD, OF_A_CA, OF_AN_AA = "row.reason.hold", "row.reason.ca-compromise", "row.reason.aa-compromise"
MISSING, NOT_SAID = "row.reason.missing", "row.reason.unspecified"
# Rows with these faults can be read and understood, and are published as they are where somebody accepts that.
REASON_CODES = (HOLD, OF_A_CA, OF_AN_AA, MISSING, NOT_SAID)

_CODE_OF = {CERTIFICATE_HOLD: HOLD, CA_COMPROMISE: OF_A_CA, AA_COMPROMISE: OF_AN_AA}


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
        yield from ((reason, _CODE_OF[reason]) for reason in sorted(reasons))
