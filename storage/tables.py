"""What is the same in many responses, stored once: issuers, templates, shapes, windows (FORMAT.md, section 5).

A record in a pack holds only what is its own: serial, revocation, signatures. Its run names an issuer, a shape and a
window in the tables, and `storage.response` makes the DER of a response from both.
"""

import hashlib
import re
from dataclasses import dataclass

from storage.certid import SHA256
from storage.document import Document, base64_text, encode
from storage.errors import ChecksumError, MalformedError, UnknownFeatureError, UnsupportedVersionError

TABLES_VERSION = 1
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
TABLE_NAME = re.compile("tables/[0-9a-f]{64}")
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
class KnownAnswer:
    """A record, and the SHA-256 of each response it must become: a reader proves itself before it answers."""

    issuer: int
    window: int
    record: bytes
    sha256: tuple[bytes, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When a response may be served, in seconds since 1970; both ends are inclusive."""

    produced_at: int
    this_update: int
    next_update: int
    refresh_by: int


@dataclass(frozen=True, slots=True)
class Run:
    """What a run header in a bucket stands for: indexes of issuer, shape and window."""

    issuer: int
    shape: int
    window: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All tables that the packs of one run share."""

    issuers: tuple[StoredIssuer, ...]
    templates: tuple[Template, ...]
    shapes: tuple[Shape, ...]
    windows: tuple[Window, ...]
    runs: tuple[Run, ...]


def table_name(octets: bytes) -> str:
    """Return the name under which encoded tables are stored."""
    return f"tables/{hashlib.sha256(octets).hexdigest()}"


def encode_tables(tables: Tables) -> bytes:
    """Return the stored form of tables."""
    return encode(
        {
            "version": TABLES_VERSION,
            "features": [],
            "issuers": [_issuer_members(issuer) for issuer in tables.issuers],
            "templates": [
                {"tbs": base64_text(template.tbs), "holes": [_hole_members(hole) for hole in template.holes]}
                for template in tables.templates
            ],
            "shapes": [_shape_members(shape) for shape in tables.shapes],
            "windows": [
                {field: getattr(window, field) for field in (*TIME_FIELDS, "refresh_by")} for window in tables.windows
            ],
            "runs": [[run.issuer, run.shape, run.window] for run in tables.runs],
        }
    )


def decode_tables(name: str, octets: bytes) -> Tables:
    """Return the tables stored as `name`, checked for everything but their known answers.

    Raises:
        ChecksumError: these are not the octets that were stored under this name.
        UnsupportedVersionError: of a later format.
        UnknownFeatureError: a feature, field, or encoding that this reader does not know.
        MalformedError: parts that contradict each other.
    """
    if table_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    if (version := document.number("version")) != TABLES_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {TABLES_VERSION}")
    if features := document.texts("features"):
        raise UnknownFeatureError(name, f"uses {', '.join(features)}, which this reader does not know")
    tables = Tables(
        issuers=tuple(_read_issuer(item) for item in document.children("issuers")),
        templates=tuple(_read_template(item) for item in document.children("templates")),
        shapes=tuple(_read_shape(item) for item in document.children("shapes")),
        windows=tuple(_read_window(item) for item in document.children("windows")),
        runs=tuple(_read_run(name, row) for row in document.numbers("runs")),
    )
    _check_indexes(name, tables)
    return tables


def _issuer_members(issuer: StoredIssuer) -> dict[str, object]:
    certificate = issuer.responder_certificate
    return {
        "id": f"{issuer.issuer_id:016x}",
        "names": list(issuer.names),
        "certificates": [base64_text(certificate) for certificate in issuer.certificates],
        "name_hashes": {oid: base64_text(octets) for oid, octets in issuer.name_hashes.items()},
        "key_hashes": {oid: base64_text(octets) for oid, octets in issuer.key_hashes.items()},
        "responder_id": base64_text(issuer.responder_id),
        "responder_certificate": None if certificate is None else base64_text(certificate),
    }


def _hole_members(hole: Hole) -> dict[str, object]:
    members: dict[str, object] = {"field": hole.field, "at": hole.at, "size": hole.size}
    if hole.hash_oid is not None:
        members["hash"] = hole.hash_oid
    return members


def _shape_members(shape: Shape) -> dict[str, object]:
    answer = shape.known_answer
    return {
        "serial_bytes": shape.serial_bytes,
        "status": shape.status,
        "fields": list(shape.fields),
        "responses": [
            {
                "template": response.template,
                "hashes": list(response.hashes),
                "algorithm": base64_text(response.algorithm),
                "encoding": response.encoding,
                "signature_bytes": response.signature_bytes,
            }
            for response in shape.responses
        ],
        "known_answer": {
            "issuer": answer.issuer,
            "window": answer.window,
            "record": base64_text(answer.record),
            "sha256": [digest.hex() for digest in answer.sha256],
        },
    }


def _read_issuer(item: Document) -> StoredIssuer:
    issuer_id = item.hexadecimal("id", 8)
    names, keys = item.octets_by_oid("name_hashes"), item.octets_by_oid("key_hashes")
    if names.keys() != keys.keys() or SHA256 not in names:
        item.fail("does not have both hashes of name and key, SHA-256 among them")
    if hashlib.sha256(names[SHA256] + keys[SHA256]).digest()[:8] != issuer_id:
        item.fail("has an id that is not that of its name and key")
    return StoredIssuer(
        issuer_id=int.from_bytes(issuer_id, "big"),
        names=item.for_people(item.texts, "names", ()),
        certificates=item.for_people(item.each_octets, "certificates", ()),
        name_hashes=names,
        key_hashes=keys,
        responder_id=item.octets("responder_id"),
        responder_certificate=item.octets("responder_certificate") if item.has("responder_certificate") else None,
    )


def _read_template(item: Document) -> Template:
    tbs = item.octets("tbs")
    holes = tuple(
        Hole(
            hole.text("field"),
            hole.number("at"),
            hole.number("size"),
            hole.oid("hash") if hole.has("hash") else None,
        )
        for hole in item.children("holes")
    )
    end = 0
    for hole in holes:
        if hole.field not in HOLE_FIELDS:
            raise UnknownFeatureError(item.name, f"{item.where} has a hole {hole.field!r} that this reader cannot fill")
        if not end <= hole.at < hole.at + hole.size <= len(tbs):
            item.fail(f"has a hole {hole.field!r} that is empty, out of order, or behind its end")
        end = hole.at + hole.size
    return Template(tbs, holes)


def _read_window(item: Document) -> Window:
    window = Window(**{field: item.instant(field) for field in (*TIME_FIELDS, "refresh_by")})
    if window.next_update < window.this_update:
        item.fail("ends before it begins")
    return window


def _read_shape(item: Document) -> Shape:
    fields, status = item.texts("fields"), item.text("status")
    responses = tuple(_read_response(response) for response in item.children("responses"))
    unknown = [field for field in fields if field not in RECORD_FIELDS]
    unknown += [response.encoding for response in responses if response.encoding not in {"ecdsa", "octets"}]
    unknown += [status] if status not in STATUS_FIELDS else []
    if unknown:
        raise UnknownFeatureError(item.name, f"{item.where} uses {', '.join(unknown)}: this reader does not know that")
    if fields not in STATUS_FIELDS[status]:
        item.fail(f"has the fields {', '.join(fields) or 'none'}, which is not how {status} is told")
    hashes = [oid for response in responses for oid in response.hashes]
    if not hashes or len(set(hashes)) < len(hashes):
        item.fail("does not have one response for each hash that it answers")
    serial_bytes = item.number("serial_bytes", 256)
    if serial_bytes == 0:
        item.fail("has serials of no octets")
    answer = item.child("known_answer")
    return Shape(
        serial_bytes=serial_bytes,
        status=status,
        fields=fields,
        responses=responses,
        known_answer=KnownAnswer(
            issuer=answer.number("issuer"),
            window=answer.number("window"),
            record=answer.octets("record"),
            sha256=answer.each_hexadecimal("sha256", 32),
        ),
    )


def _read_response(item: Document) -> ResponseShape:
    response = ResponseShape(
        template=item.number("template"),
        hashes=item.oids("hashes"),
        algorithm=item.octets("algorithm"),
        encoding=item.text("encoding"),
        signature_bytes=item.number("signature_bytes", 1 << 16),
    )
    if response.signature_bytes == 0 or (response.encoding == "ecdsa" and response.signature_bytes % 2):
        item.fail(f"has signatures of {response.signature_bytes} octets")
    if not response.hashes:
        item.fail("answers no hash")
    return response


def _read_run(name: str, row: tuple[int, ...]) -> Run:
    try:
        issuer, shape, window = row
    except ValueError:
        raise MalformedError(name, "a run is not three numbers") from None
    return Run(issuer, shape, window)


def _check_indexes(name: str, tables: Tables) -> None:
    issuers, shapes, windows = len(tables.issuers), len(tables.shapes), len(tables.windows)
    if len({issuer.issuer_id for issuer in tables.issuers}) < issuers:
        raise MalformedError(name, "two issuers are one name and key")
    if any(run.issuer >= issuers or run.shape >= shapes or run.window >= windows for run in tables.runs):
        raise MalformedError(name, "a run names an issuer, a shape or a window that is not there")
    for shape in tables.shapes:
        answer = shape.known_answer
        if any(response.template >= len(tables.templates) for response in shape.responses):
            raise MalformedError(name, "a shape names a template that is not there")
        if answer.issuer >= issuers or answer.window >= windows:
            raise MalformedError(name, "a known answer names an issuer or a window that is not there")
        if len(answer.record) != shape.stride or len(answer.sha256) != len(shape.responses):
            raise MalformedError(name, "a known answer does not fit its shape")
