"""Tables as they are stored: a JSON document, named by its SHA-256 (FORMAT.md, section 5).

Tables of version 1 hold windows and runs, too; since version 2 these are in `storage.windows`.
"""

import hashlib
import re
from dataclasses import replace

from storage.certid import SHA256
from storage.document import Document, base64_text, encode, new_random
from storage.errors import ChecksumError, MalformedError, UnknownFeatureError, UnsupportedVersionError
from storage.tables import (
    HOLE_FIELDS,
    RECORD_FIELDS,
    STATUS_FIELDS,
    TIME_FIELDS,
    Hole,
    KnownAnswer,
    ResponseShape,
    Run,
    Shape,
    StoredIssuer,
    Tables,
    Template,
    Window,
)

TABLES_VERSION = 2
WITH_WINDOWS = 1  # the version whose tables hold windows and runs
TABLE_NAME = re.compile("tables/[0-9a-f]{64}")


def table_name(octets: bytes) -> str:
    """Return the name under which encoded tables are stored."""
    return f"tables/{hashlib.sha256(octets).hexdigest()}"


def encode_tables(tables: Tables) -> bytes:
    """Return the stored form of tables, without windows and runs."""
    return encode(
        {
            "version": TABLES_VERSION,
            "features": [],
            "random": new_random(),
            "issuers": [_issuer_members(issuer) for issuer in tables.issuers],
            "templates": [
                {"tbs": base64_text(template.tbs), "holes": [_hole_members(hole) for hole in template.holes]}
                for template in tables.templates
            ],
            "shapes": [_shape_members(shape) for shape in tables.shapes],
        }
    )


def decode_tables(name: str, octets: bytes, versions: tuple[int, ...] = (WITH_WINDOWS, TABLES_VERSION)) -> Tables:
    """Return the tables stored as `name`, checked for everything but their known answers.

    Args:
        name: the object's name.
        octets: its octets.
        versions: of which it may be.

    Raises:
        ChecksumError: these are not the octets that were stored under this name.
        UnsupportedVersionError: of a later format.
        UnknownFeatureError: a feature, field, or encoding that this reader does not know.
        MalformedError: parts that contradict each other.
    """
    if table_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    version = check_kind(document, versions)
    windows = read_windows(document) if version == WITH_WINDOWS else ()
    tables = Tables(
        issuers=tuple(_read_issuer(item) for item in document.children("issuers")),
        templates=tuple(_read_template(item) for item in document.children("templates")),
        shapes=tuple(_read_shape(item, version, windows) for item in document.children("shapes")),
    )
    if version == WITH_WINDOWS:
        if len({issuer.issuer_id for issuer in tables.issuers}) < len(tables.issuers):
            raise MalformedError(name, "two issuers are one name and key")
        tables = with_runs(document, tables, windows)
    _check_indexes(name, tables)
    return tables


def check_kind(document: Document, versions: tuple[int, ...]) -> int:
    """Return the version of a document, if this reader knows it and all of its features.

    Raises:
        UnsupportedVersionError, UnknownFeatureError: it does not.
    """
    if (version := document.number("version")) not in versions:
        known = " and ".join(map(str, versions))
        raise UnsupportedVersionError(document.name, f"is of version {version}, this reader knows {known}")
    if features := document.texts("features"):
        raise UnknownFeatureError(document.name, f"uses {', '.join(features)}, which this reader does not know")
    return version


def read_windows(document: Document) -> tuple[Window, ...]:
    """Return the windows of a document that has them."""
    return tuple(_read_window(item) for item in document.children("windows"))


def with_runs(document: Document, tables: Tables, windows: tuple[Window, ...]) -> Tables:
    """Return tables with windows, and with the runs of a document that has them.

    Raises:
        MalformedError: a run names what is not there.
    """
    runs = tuple(_read_run(document.name, row) for row in document.numbers("runs"))
    issuers, shapes = len(tables.issuers), len(tables.shapes)
    if any(run.issuer >= issuers or run.shape >= shapes or run.window >= len(windows) for run in runs):
        document.fail("has a run that names an issuer, a shape or a window that is not there")
    return replace(tables, windows=windows, runs=runs)


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
            "key": f"{answer.key or 0:016x}",
            **{field: getattr(answer.window, field) for field in TIME_FIELDS},
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
    window = Window(
        **{field: item.instant(field) for field in (*TIME_FIELDS, "refresh_by")},
        backdate=item.for_people(item.number, "backdate", None),
        ends_with_certificate=item.members.get("ends_with_certificate") is True,
        profile=item.for_people(item.text, "profile", ""),
    )
    if window.next_update < window.this_update:
        item.fail("ends before it begins")
    return window


def _read_shape(item: Document, version: int, windows: tuple[Window, ...]) -> Shape:
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
    return Shape(
        serial_bytes=serial_bytes,
        status=status,
        fields=fields,
        responses=responses,
        known_answer=_read_known_answer(item.child("known_answer"), version, windows),
    )


def _read_known_answer(item: Document, version: int, windows: tuple[Window, ...]) -> KnownAnswer:
    if version > WITH_WINDOWS:
        times = {field: item.instant(field) for field in TIME_FIELDS}
        window = Window(**times, refresh_by=0, ends_with_certificate=False, profile="")
    elif (index := item.number("window")) < len(windows):
        window = windows[index]
    else:
        item.fail("names a window that is not there")
    return KnownAnswer(
        issuer=item.number("issuer"),
        window=window,
        record=item.octets("record"),
        sha256=item.each_hexadecimal("sha256", 32),
        key=int.from_bytes(item.hexadecimal("key", 8), "big") if version > WITH_WINDOWS else None,
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
    for shape in tables.shapes:
        answer = shape.known_answer
        if any(response.template >= len(tables.templates) for response in shape.responses):
            raise MalformedError(name, "a shape names a template that is not there")
        if answer.issuer >= len(tables.issuers):
            raise MalformedError(name, "a known answer names an issuer that is not there")
        if len(answer.record) != shape.stride or len(answer.sha256) != len(shape.responses):
            raise MalformedError(name, "a known answer does not fit its shape")
