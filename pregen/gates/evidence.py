"""What the gates judge by: everything that is known of a snapshot before the first signature, in one record."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pregen.errors import Finding
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.gates.history import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a snapshot when all its rows are counted; times are seconds since 1970.

    Attributes:
        as_of: of the snapshot.
        started: when the run began.
        is_public: whether any issuer is under a public profile.
        rows_in: rows that were read.
        repeated: rows that say the same as another one.
        invalid: rows that cannot be published.
        rows: what is wrong with these.
        against_profile: what of rows that can be published their profile forbids.
        conflicts: rows that contradict each other.
        repetitions: where the first of the repeated rows stand, and which rows they repeat.
        empty: ids of the issuers that no row names, and that are not declared to be empty.
        in_spite: how many rows name issuers that are declared to be empty, by id, where any do.
        revoked_elsewhere: what says revoked, and rows say otherwise.
        precertificates: what differs between them and their final certificates; None: nothing.
        listed: how many entries of CRLs were held against the rows.
        mislabelled: rows of one issuer under the label of another.
        proved: how many issuers have a certificate under their label that one of their CRLs or anchors has.
        zone: what the times say about zones (`pregen.gates.detector`).
        certificates: that get answers, by issuer id.
        issuers: what messages call the configured issuers, by id.
        alike: ids of issuers that answer for the same rows, under several names or keys of one CA.
        why_absent: why there is no history; None: there is.
        damage: what of the history cannot be read.
        history: of the current generation; None: what its packs say is compared.
        comparison: with its certificates.
        excused: how many certificates may seem to have vanished because their rows are refused anyhow.
        named: what messages call the certificate of a key.
    """

    as_of: int
    started: int
    is_public: bool
    rows_in: int
    repeated: int = 0
    invalid: int = 0
    rows: tuple[Finding, ...] = ()
    against_profile: tuple[Finding, ...] = ()
    conflicts: tuple[Finding, ...] = ()
    repetitions: tuple[str, ...] = ()
    empty: tuple[int, ...] = ()
    in_spite: Mapping[int, int] = field(default_factory=dict)
    revoked_elsewhere: tuple[Finding, ...] = ()
    precertificates: Finding | None = None
    listed: int = 0
    mislabelled: tuple[Finding, ...] = ()
    proved: int = 0
    zone: tuple[Finding, ...] = ()
    certificates: Mapping[int, int]
    issuers: Mapping[int, str]
    alike: tuple[frozenset[int], ...] = ()
    why_absent: str | None = None
    damage: tuple[str, ...] = ()
    history: History | None = None
    comparison: Comparison = NOT_COMPARED
    excused: int = 0
    named: Callable[[int], str] = "key {:016x}".format

    @property
    def is_compared(self) -> bool:
        """Whether the certificates of the current generation were compared, by its history or by its packs."""
        return self.history is not None or self.comparison.before > 0

    @property
    def before(self) -> int:
        """How many certificates the current generation answers for, those that lie in overlays alone among them."""
        if self.history is None:
            return self.comparison.before
        return self.comparison.overlaid + self.history.certificates
