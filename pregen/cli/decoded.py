"""The report of `pregen decode`, as one JSON object and as lines for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.report import Report, aligned
from pregen.decoding import Decoded, KnownIssuer, issuer_of
from pregen.exit_codes import ExitCode
from pregen.requests import Request
from pregen.responses import Basic, Response, SingleResponse
from pregen.subjects import name_text
from storage.certid import HASH_NAMES, CertID

if TYPE_CHECKING:
    from storage.reader import Reader  # most decode without a store

# Signature algorithms by their OIDs (RFC 5758, 8017, 8410, 9881).
_SIGNATURE_NAMES = {
    "1.2.840.10045.4.1": "ecdsa-sha1",
    "1.2.840.10045.4.3.2": "ecdsa-sha256",
    "1.2.840.10045.4.3.3": "ecdsa-sha384",
    "1.2.840.10045.4.3.4": "ecdsa-sha512",
    "1.2.840.113549.1.1.5": "rsa-sha1",
    "1.2.840.113549.1.1.10": "rsa-pss",
    "1.2.840.113549.1.1.11": "rsa-sha256",
    "1.2.840.113549.1.1.12": "rsa-sha384",
    "1.2.840.113549.1.1.13": "rsa-sha512",
    "1.3.101.112": "ed25519",
    "1.3.101.113": "ed448",
    "2.16.840.1.101.3.4.3.17": "ml-dsa-44",
    "2.16.840.1.101.3.4.3.18": "ml-dsa-65",
    "2.16.840.1.101.3.4.3.19": "ml-dsa-87",
}


def decode_report(decoded: Sequence[Decoded], issuers: Sequence[KnownIssuer], reader: "Reader | None") -> Report:
    """Return the report; its exit code is another than 0 where issuers are known, and none has issued what is named."""
    documents: list[dict[str, object]] = []
    lines: list[str] = []
    for one in decoded:
        readings = [_document(found, issuers, reader) for found in one.found]
        place: dict[str, object] = {"form": one.form} if one.line is None else {"line": one.line, "form": one.form}
        others = {"other_readings": readings[1:]} if len(readings) > 1 else {}
        documents.append({**place, **readings[0], **others})
        lines += [""] if lines else []
        lines += [] if one.line is None else [f"line {one.line}:"]
        for number, reading in enumerate(readings):
            lines += [*(["or, since slashes were merged:"] if number else []), *_lines(reading)]
    document = {**documents[0], **({"more": documents[1:]} if len(documents) > 1 else {})}
    named = [certificate for one in documents for certificate in _all_certificates(one)]
    is_missed = bool(issuers) and bool(named) and all(one["issuer"] is None for one in named)
    return Report(document=document, lines=lines, exit_code=ExitCode.NOT_FOUND if is_missed else ExitCode.DONE)


def _document(one: Request | Response, issuers: Sequence[KnownIssuer], reader: "Reader | None") -> dict[str, object]:
    if isinstance(one, Request):
        return {
            "kind": "request",
            "nonce": None if one.nonce is None else one.nonce.hex(),
            "extensions": list(one.extensions),
            "signed": one.is_signed,
            "refused": one.refused,
            "certificates": [_named(cert_id, issuers, reader) for cert_id in one.cert_ids],
        }
    said = {"certificates": []} if one.basic is None else _basic(one.basic, issuers, reader)
    return {"kind": "response", "response_status": one.status, "response_type": one.type, **said}


def _basic(basic: Basic, issuers: Sequence[KnownIssuer], reader: "Reader | None") -> dict[str, object]:
    by_name, by_key = basic.responder_name, basic.responder_key_hash
    return {
        "responder": {
            "name": None if by_name is None else name_text(by_name),
            "key_hash": None if by_key is None else by_key.hex(),
        },
        "produced_at": basic.produced_at,
        "algorithm": _SIGNATURE_NAMES.get(basic.algorithm, basic.algorithm),
        "signature_bytes": basic.signature_bytes,
        "embedded_certificates": basic.certificates,
        "extensions": list(basic.extensions),
        "certificates": [{**_named(one.cert_id, issuers, reader), **_said(one)} for one in basic.statements],
    }


def _named(cert_id: CertID, issuers: Sequence[KnownIssuer], reader: "Reader | None") -> dict[str, object]:
    issuer = issuer_of(cert_id, issuers)
    named: dict[str, object] = {
        "hash": HASH_NAMES.get(cert_id.hash_oid, cert_id.hash_oid),
        "issuer_name_hash": cert_id.issuer_name_hash.hex(),
        "issuer_key_hash": cert_id.issuer_key_hash.hex(),
        "serial": f"{cert_id.serial_number:x}",
        "issuer": None if issuer is None else issuer.name,
        "issuer_subject": None if issuer is None else issuer.subject,
    }
    if reader is not None:
        answer = reader.lookup(cert_id)
        named["published"] = None if answer is None else answer.status
        named["published_until"] = None if answer is None else clock.text(answer.next_update)
    return named


def _said(one: SingleResponse) -> dict[str, object]:
    return {
        "status": one.status,
        "revoked_at": one.revoked_at,
        "reason": one.reason,
        "this_update": one.this_update,
        "next_update": one.next_update,
        "state": _state(one),
    }


def _state(one: SingleResponse) -> str:
    """Return whether a response holds now; texts of RFC 3339 in UTC are in the order of their instants."""
    now = clock.text(clock.now())
    if now < one.this_update:
        return "early"
    return "expired" if one.next_update is not None and now > one.next_update else "current"


def _certificates(document: dict[str, object]) -> list[dict[str, object]]:
    listed = document["certificates"]
    return listed if isinstance(listed, list) else []


def _all_certificates(document: dict[str, object]) -> list[dict[str, object]]:
    others = document.get("other_readings")
    readings = [document, *(others if isinstance(others, list) else [])]
    return [certificate for reading in readings for certificate in _certificates(reading)]


def _lines(document: dict[str, object]) -> list[str]:
    certificates = _certificates(document)
    counted = f"{len(certificates)} certificate{'' if len(certificates) == 1 else 's'}"
    head = f"{document['kind']}{' for' if document['kind'] == 'request' else ', about'} {counted}"
    plain = [(name.replace("_", " "), _plain(value)) for name, value in document.items() if name not in _NO_LINES]
    lines = [head, *aligned([(name, value) for name, value in plain if value])]
    for certificate in certificates:
        known = [(name.replace("_", " "), value) for name, value in certificate.items() if value is not None]
        if "published" in certificate and certificate["published"] is None:
            known.append(("published", "no response: an edge answers unauthorized"))
        lines += ["", *(f"  {line}" for line in aligned(known))]
    return lines


_NO_LINES = {"kind", "certificates"}


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {one}" for name, one in value.items() if one is not None)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None or value is False:
        return ""
    return "yes" if value is True else str(value)
