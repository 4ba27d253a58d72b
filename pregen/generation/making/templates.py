"""Templates: to-be-signed bytes with holes, and the oracle that they come from (RFC 6960, 4.2.1).

For given CertID hashes, serial length, status shape and responder id, all responses share everything but holes of fixed
size. Each template comes from the oracle, asn1crypto: encoded with one set of values, and once more for each field
with a value that differs in every octet. Where the two encodings differ is the hole. (Searching for a marker instead
would find a serial of one octet inside a hash.) A length without a template is an error, never the next larger one.
"""

import functools
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from asn1crypto import algos, core, crl, ocsp, x509

from pregen.errors import SigningError
from storage import der
from storage.certid import HASH_NAMES, SHA1, SHA256
from storage.tables import TIME_FIELDS, Hole, Template

HASH_BYTES = {SHA1: 20, SHA256: 32}
# Two instants whose fourteen digits all differ, and two octets that differ and are positive as an INTEGER.
_SAMPLE_TIMES = (b"20110111011011", b"31221222122122")
FILLS = (0x55, 0x2A)
_SAMPLE_REASONS = (b"\x01", b"\x02")


class Form(NamedTuple):
    """What one signed response looks like, its values aside.

    Attributes:
        hashes: OIDs of the CertID hashes, one SingleResponse each.
        serial_bytes: content octets of the serial.
        status: ``good``, ``revoked`` or ``unknown``.
        has_reason: whether a revocation reason is given.
        responder_kind: ``by-key`` or ``by-name``.
        responder_id_bytes: 20, or the content octets of the Name.
    """

    hashes: tuple[str, ...]
    serial_bytes: int
    status: str
    has_reason: bool
    responder_kind: str
    responder_id_bytes: int


class Values(NamedTuple):
    """What fills a form: the octets of each hole; times as 14 digits.

    Attributes:
        name_hashes: by OID.
        key_hashes: by OID.
    """

    name_hashes: dict[str, bytes]
    key_hashes: dict[str, bytes]
    responder_id: bytes
    serial: bytes
    produced_at: bytes
    this_update: bytes
    next_update: bytes
    revoked_at: bytes
    reason: bytes


def oracle(form: Form, values: Values) -> bytes:
    """Return the DER of a ResponseData as asn1crypto encodes it: slow, and right by another's hand."""
    if form.responder_kind == "by-key":
        responder = ocsp.ResponderId(name="by_key", value=core.OctetString(values.responder_id))
    else:
        name = x509.Name.load(der.tlv(der.SEQUENCE, values.responder_id))
        responder = ocsp.ResponderId(name="by_name", value=name)
    # What asn1crypto was given, it encodes anew for each level that is above; what it has loaded, it takes as it is.
    single = [ocsp.SingleResponse.load(_single(form, values, oid).dump()) for oid in form.hashes]
    data = ocsp.ResponseData(
        {"responder_id": responder, "produced_at": _instant(values.produced_at), "responses": single}
    )
    return bytes(data.dump())


def _single(form: Form, values: Values, oid: str) -> ocsp.SingleResponse:
    cert_id = ocsp.CertId(
        {
            "hash_algorithm": algos.DigestAlgorithm.load(_digest_algorithm(oid)),
            "issuer_name_hash": values.name_hashes[oid],
            "issuer_key_hash": values.key_hashes[oid],
            "serial_number": core.Integer.load(der.tlv(der.INTEGER, values.serial)),
        }
    )
    return ocsp.SingleResponse(
        {
            "cert_id": ocsp.CertId.load(cert_id.dump()),
            "cert_status": _status(form, values),
            "this_update": _instant(values.this_update),
            "next_update": _instant(values.next_update),
        }
    )


@functools.cache
def _digest_algorithm(oid: str) -> bytes:
    # NULL parameters: RFC 9919 would allow absent ones, but its example and deployed responders have NULL.
    return bytes(algos.DigestAlgorithm({"algorithm": HASH_NAMES[oid], "parameters": core.Null()}).dump())


def oracle_response(data: bytes, algorithm: bytes, signature: bytes, certificate: bytes | None) -> bytes:
    """Return the DER of a whole OCSPResponse as asn1crypto encodes it.

    Args:
        data: the DER of a ResponseData.
        algorithm: the DER of the AlgorithmIdentifier.
        signature: as the algorithm wants it: for ECDSA the DER of r and s.
        certificate: the DER of the certificate to embed, if any.
    """
    basic = ocsp.BasicOCSPResponse(
        {
            "tbs_response_data": ocsp.ResponseData.load(data),
            "signature_algorithm": algos.SignedDigestAlgorithm.load(algorithm),
            "signature": core.OctetBitString(signature),
        }
    )
    if certificate is not None:
        basic["certs"] = [x509.Certificate.load(certificate)]
    response = ocsp.OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {
                "response_type": "basic_ocsp_response",
                "response": core.ParsableOctetString(basic.dump()),
            },
        }
    )
    return bytes(response.dump())


@functools.cache
def make_template(form: Form) -> Template:
    """Return the template of a form.

    Raises:
        SigningError: a hole is not of one piece, or not of its field's size: never sign with such a template.
    """
    base = _sample(form, 0)
    other = _sample(form, 1)
    tbs = oracle(form, base)
    holes = []
    for field in _open_fields(form):
        if field in {"name_hashes", "key_hashes"}:
            for oid in form.hashes:
                hashes = {**base.name_hashes, oid: other.name_hashes[oid]}
                named = field == "name_hashes"
                values = base._replace(name_hashes=hashes) if named else base._replace(key_hashes=hashes)
                name = "issuer_name_hash" if named else "issuer_key_hash"
                holes += _holes(form, tbs, values, name, HASH_BYTES[oid], oid)
        else:
            value = getattr(other, field)
            holes += _holes(form, tbs, base._replace(**{field: value}), field, len(value), None)
    return Template(tbs, tuple(sorted(holes, key=lambda hole: hole.at)))


def _holes(form: Form, tbs: bytes, values: Values, field: str, size: int, oid: str | None) -> list[Hole]:
    """Return where a field stands: once, or once in each SingleResponse."""
    encoded = oracle(form, values)
    if len(encoded) != len(tbs):
        raise SigningError(f"template of {form}: the field {field} changes the length")
    differ = [at for at, (a, b) in enumerate(zip(tbs, encoded, strict=True)) if a != b]
    starts = differ[:: size or 1]
    if not differ or differ != [start + i for start in starts for i in range(size)]:
        raise SigningError(f"template of {form}: the field {field} does not stand in pieces of {size} octets")
    expected = 1 if oid or field in {"responder_id", "produced_at"} else len(form.hashes)
    if len(starts) != expected:
        raise SigningError(f"template of {form}: the field {field} stands in {len(starts)} places, not in {expected}")
    return [Hole(field, start, size, oid) for start in starts]


def _open_fields(form: Form) -> list[str]:
    fields = ["name_hashes", "key_hashes", "responder_id", "serial", *TIME_FIELDS]
    if form.status == "revoked":
        fields += ["revoked_at"] + ["reason"] * form.has_reason
    return fields


def _sample(form: Form, which: int) -> Values:
    fill = FILLS[which]
    hashes = {oid: bytes([fill]) * HASH_BYTES[oid] for oid in form.hashes}
    return Values(
        name_hashes=hashes,
        key_hashes=hashes,
        responder_id=bytes([fill]) * form.responder_id_bytes,
        serial=bytes([fill]) * form.serial_bytes,
        produced_at=_SAMPLE_TIMES[which],
        this_update=_SAMPLE_TIMES[which],
        next_update=_SAMPLE_TIMES[which],
        revoked_at=_SAMPLE_TIMES[which],
        reason=_SAMPLE_REASONS[which],
    )


def _status(form: Form, values: Values) -> ocsp.CertStatus:
    if form.status == "good":
        return ocsp.CertStatus(name="good", value=core.Null())
    if form.status == "unknown":
        return ocsp.CertStatus(name="unknown", value=core.Null())
    info = {"revocation_time": _instant(values.revoked_at)}
    if form.has_reason:
        info["revocation_reason"] = crl.CRLReason(values.reason[0])
    return ocsp.CertStatus(name="revoked", value=ocsp.RevokedInfo(info))


def _instant(digits: bytes) -> datetime:
    """Return the instant that fourteen digits say; `strptime` would take a fifth of the oracle's time."""
    year, month, day, hour, minute, second = (int(digits[a:b]) for a, b in pairwise((0, 4, 6, 8, 10, 12, 14)))
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
