"""What is the same in many responses, stored once: issuers, templates, shapes, windows (FORMAT.md, section 5).

A record in a pack holds only what is its own: serial, revocation, signatures. Its run names an issuer, a shape and a
window in the tables, and `storage.response` makes the DER of a response from both. What is stored of them is in
`storage.tables_document`; windows and runs, which are other ones each night, are a document of their own
(`storage.windows`).
"""

from dataclasses import dataclass, replace

# Fields that a record may hold between serial and signatures, in this order, with their sizes in octets.
RECORD_FIELDS = {"revoked_at": 4, "reason": 1}
TIME_FIELDS = ("produced_at", "this_update", "next_update")
HOLE_FIELDS = {"issuer_name_hash", "issuer_key_hash", "responder_id", "serial", *TIME_FIELDS, *RECORD_FIELDS}
# Which fields a record of each status holds.
STATUS_FIELDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "good": ((),),
    "revoked": (("revoked_at",), ("revoked_at", "reason")),
    "unknown": ((),),
}
TIME_DIGITS = 14


@dataclass(frozen=True, slots=True)
class Hole:
    """Where a template leaves a field open: `size` octets at `at`. `hash_oid` is set for the two issuer hashes."""

    field: str
    at: int
    size: int
    hash_oid: str | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """The DER of a ResponseData (RFC 6960, 4.2.1) with holes."""

    tbs: bytes
    holes: tuple[Hole, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseShape:
    """One signed response of a record.

    Attributes:
        template: index of the template.
        hashes: OIDs of the CertID hashes that this response answers.
        algorithm: DER of the signature's AlgorithmIdentifier.
        encoding: how the signature is stored: ``ecdsa`` is fixed-width r and s, ``octets`` is as it is.
        signature_bytes: its size in the record.
    """

    template: int
    hashes: tuple[str, ...]
    algorithm: bytes
    encoding: str
    signature_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a response may be served, in seconds since 1970; both ends are inclusive.

    `backdate` is how much earlier it begins than was configured to be necessary, in seconds; None: nobody said.
    `ends_with_certificate` tells that the certificates of such a window end with it, so that nobody misses a newer
    answer; where it is false, a window with refresh_by after next_update is one nevertheless.
    `profile` is the name of the rules that it was made by; empty: nobody said.
    """

    produced_at: int
    this_update: int
    next_update: int
    refresh_by: int
    backdate: int | None = None
    ends_with_certificate: bool = False
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """A record, and what it must become: a reader proves itself before it answers.

    Attributes:
        issuer: index of the issuer.
        window: of the responses; its refresh_by has no meaning.
        record: its signatures are not genuine.
        sha256: of each response that it becomes.
        key: of the record's certificate (`storage.key.key64`); None in tables of version 1, which do not tell.
    """

    issuer: int
    window: Window
    record: bytes
    sha256: tuple[bytes, ...]
    key: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all records of a run have in common, besides issuer and window."""

    serial_bytes: int
    status: str
    fields: tuple[str, ...]
    responses: tuple[ResponseShape, ...]
    known_answer: KnownAnswer

    @property
    def stride(self) -> int:
        """Octets of one record."""
        return self.signatures_at + sum(response.signature_bytes for response in self.responses)

    @property
    def signatures_at(self) -> int:
        """Where the signatures begin in a record."""
        return self.serial_bytes + sum(RECORD_FIELDS[field] for field in self.fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredIssuer:
    """An issuer as readers need it: its hashes by OID, and who signs for it.

    Attributes:
        issuer_id: see `storage.key.issuer_id`.
        names: what the configuration calls it.
        certificates: DER, any number (cross-certificates).
        name_hashes: by OID of the hash.
        key_hashes: by OID of the hash.
        responder_id: SHA-1 of the signer's key bits (byKey), or the content octets of its Name (byName).
        responder_certificate: DER of the certificate to embed; None where the issuer signs itself.
    """

    issuer_id: int
    names: tuple[str, ...]
    certificates: tuple[bytes, ...]
    name_hashes: dict[str, bytes]
    key_hashes: dict[str, bytes]
    responder_id: bytes
    responder_certificate: bytes | None

    @property
    def label(self) -> str:
        """What messages call it: its first name, or its id where it has none."""
        return self.names[0] if self.names else f"{self.issuer_id:016x}"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run header in a bucket stands for: indexes of issuer, shape and window."""

    issuer: int
    shape: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All that packs share: issuers, templates and shapes, which stay for long; windows and runs, which do not."""

    issuers: tuple[StoredIssuer, ...]
    templates: tuple[Template, ...]
    shapes: tuple[Shape, ...]
    windows: tuple[Window, ...] = ()
    runs: tuple[Run, ...] = ()

    @property
    def lasting(self) -> "Tables":
        """The tables without windows and runs, as they are stored under one name for many nights."""
        return replace(self, windows=(), runs=())
