"""Laws of `storage.response`: it assembles the octets that two other implementations make of the same values."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pregen.generation.making.templates import HASH_BYTES, Form, Values, make_template, oracle, oracle_response
from storage.certid import SHA1, SHA256
from storage.errors import MalformedError
from storage.response import Assembler, generalized_time, minimal_integer, signature_value
from storage.tables import KnownAnswer, ResponseShape, Run, Shape, StoredIssuer, Tables, Window
from tests import pki

ECDSA = bytes.fromhex("300a06082a8648ce3d040302")
RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
NAME = pki.make_name("Example OCSP 1").public_bytes()[2:]
ISSUER = pki.make_issuer()
RESPONDER = pki.make_responder(ISSUER)
ENTITY = hashlib.sha1(b"key", usedforsecurity=False).digest()
LAST_U32 = (1 << 32) - 1
RUN = Run(0, 0, 0)
WINDOW = Window(produced_at=0, this_update=0, next_update=1, refresh_by=0)

forms = st.builds(
    Form,
    hashes=st.sampled_from([(SHA1,), (SHA256,), (SHA1, SHA256)]),
    serial_bytes=st.integers(1, 21),
    status=st.sampled_from(["good", "revoked", "unknown"]),
    has_reason=st.booleans(),
    responder_kind=st.sampled_from(["by-key", "by-name"]),
    responder_id_bytes=st.just(20),
).map(lambda form: form._replace(responder_id_bytes=len(NAME)) if form.responder_kind == "by-name" else form)
windows = st.builds(
    Window,
    produced_at=st.integers(0, LAST_U32),
    this_update=st.integers(0, LAST_U32),
    next_update=st.integers(0, LAST_U32),
    refresh_by=st.just(0),
)


@pytest.mark.usefixtures("leap_seconds")
def test_times_are_those_of_posix_also_where_the_c_library_counts_leap_seconds() -> None:
    assert generalized_time(1_795_478_400) == b"20261124000000"


@given(seconds=st.integers(0, 253_402_300_799))
def test_times_are_written_as_datetime_counts_them(seconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    assert generalized_time(seconds) == moment.strftime("%Y%m%d%H%M%S").encode()


def number(size: int) -> st.SearchStrategy[bytes]:
    """Return numbers of a size, with few and with many leading zeros, with and without the top bit."""
    short = st.integers(0, size).flatmap(lambda used: st.binary(min_size=used, max_size=used))
    return short.map(lambda octets: octets.rjust(size, b"\0"))


def minimal(serial: bytes) -> bool:
    return len(serial) == 1 or (serial[0] != (0xFF if serial[1] & 0x80 else 0x00))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Form, Values, Tables, bytes, bytes]:
    """Return a form, its values, tables of one run, a record, and the record's signature as stored."""
    form = draw(forms)
    window = draw(windows)
    serial = draw(st.binary(min_size=form.serial_bytes, max_size=form.serial_bytes).filter(minimal))
    revoked_at, reason = draw(st.integers(0, LAST_U32)), draw(st.sampled_from([1, 2, 3, 4, 5, 6, 9, 10]))
    encoding, size = draw(st.sampled_from([("ecdsa", 32), ("ecdsa", 48), ("ecdsa", 66), ("octets", 128)]))
    signature = draw(number(size)) + draw(number(size))
    name_hashes = {oid: draw(st.binary(min_size=n, max_size=n)) for oid, n in HASH_BYTES.items()}
    key_hashes = {oid: draw(st.binary(min_size=n, max_size=n)) for oid, n in HASH_BYTES.items()}
    values = Values(
        name_hashes=name_hashes,
        key_hashes=key_hashes,
        responder_id=draw(st.binary(min_size=20, max_size=20)) if form.responder_kind == "by-key" else NAME,
        serial=serial,
        produced_at=generalized_time(window.produced_at),
        this_update=generalized_time(window.this_update),
        next_update=generalized_time(window.next_update),
        revoked_at=generalized_time(revoked_at),
        reason=bytes([reason]),
    )
    fields = ("revoked_at", "reason")[: 1 + form.has_reason] if form.status == "revoked" else ()
    record = serial
    for field in fields:
        record += revoked_at.to_bytes(4, "little") if field == "revoked_at" else bytes([reason])
    response = ResponseShape(
        template=0,
        hashes=form.hashes,
        algorithm=ECDSA if encoding == "ecdsa" else RSA,
        encoding=encoding,
        signature_bytes=2 * size,
    )
    shape = Shape(
        serial_bytes=form.serial_bytes,
        status=form.status,
        fields=fields,
        responses=(response,),
        known_answer=KnownAnswer(issuer=0, window=WINDOW, record=b"", sha256=()),
    )
    issuer = StoredIssuer(
        issuer_id=0,
        names=(),
        certificates=(),
        name_hashes=name_hashes,
        key_hashes=key_hashes,
        responder_id=values.responder_id,
        responder_certificate=draw(st.sampled_from([None, RESPONDER.der])),
    )
    tables = Tables(
        issuers=(issuer,), templates=(make_template(form),), shapes=(shape,), windows=(window,), runs=(RUN,)
    )
    return form, values, tables, record + signature, signature


@given(cases())
def test_a_response_is_octet_by_octet_the_oracles(case: tuple[Form, Values, Tables, bytes, bytes]) -> None:
    form, values, tables, record, signature = case
    assembler = Assembler("tables/x", tables, RUN, 0)
    response = tables.shapes[0].responses[0]

    data = oracle(form, values)
    assert assembler.response_data(record) == data
    expected = oracle_response(
        data,
        response.algorithm,
        signature_value(response.encoding, signature),
        tables.issuers[0].responder_certificate,
    )
    assert assembler.response(record) == expected
    assert assembler.response(record) == expected  # from what the first call left behind


@given(cases(), st.lists(st.tuples(number(32), number(32)), min_size=2, max_size=5))
def test_one_assembler_makes_responses_of_signatures_of_all_lengths(
    case: tuple[Form, Values, Tables, bytes, bytes], signatures: list[tuple[bytes, bytes]]
) -> None:
    _, _, tables, record, _ = case
    shape = tables.shapes[0]
    response = replace(shape.responses[0], encoding="ecdsa", signature_bytes=64, algorithm=ECDSA)
    tables = replace(tables, shapes=(replace(shape, responses=(response,)),))
    assembler = Assembler("tables/x", tables, RUN, 0)
    for r, s in signatures:
        made = assembler.response(record[: shape.signatures_at] + r + s)
        parsed = asn1.OCSPResponse.load(made, strict=True).basic_ocsp_response
        wanted = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
        assert parsed["signature"].native == wanted
        assert parsed["tbs_response_data"].dump() == assembler.response_data(record)


@given(number(32), number(66))
def test_numbers_are_minimal_and_positive(short: bytes, long: bytes) -> None:
    for octets in (short, long):
        content = minimal_integer(octets)
        assert int.from_bytes(content, "big", signed=True) == int.from_bytes(octets, "big")
        assert minimal(content)


def test_each_response_of_a_record_is_made_of_its_own_signature() -> None:
    tables = _two_responses()
    record = b"\x05" + b"\1" * 64 + b"\2" * 64
    for which, octet in enumerate((1, 2)):
        assembler = Assembler("tables/x", tables, RUN, which)
        made = asn1.OCSPResponse.load(assembler.response(record), strict=True).basic_ocsp_response
        half = int.from_bytes(bytes([octet]) * 32, "big")
        assert made["signature"].native == encode_dss_signature(half, half)
        assert record[assembler.signature] == bytes([octet]) * 64


def _two_responses() -> Tables:
    forms_ = [Form((oid,), 1, "good", False, "by-key", 20) for oid in (SHA1, SHA256)]
    responses = tuple(
        ResponseShape(template=i, hashes=form.hashes, algorithm=ECDSA, encoding="ecdsa", signature_bytes=64)
        for i, form in enumerate(forms_)
    )
    known = KnownAnswer(issuer=0, window=WINDOW, record=b"", sha256=())
    shape = Shape(serial_bytes=1, status="good", fields=(), responses=responses, known_answer=known)
    issuer = StoredIssuer(
        issuer_id=0,
        names=(),
        certificates=(),
        name_hashes={oid: bytes(n) for oid, n in HASH_BYTES.items()},
        key_hashes={oid: bytes(n) for oid, n in HASH_BYTES.items()},
        responder_id=ENTITY,
        responder_certificate=None,
    )
    return Tables(
        issuers=(issuer,),
        templates=tuple(map(make_template, forms_)),
        shapes=(shape,),
        windows=(WINDOW,),
        runs=(RUN,),
    )


def test_a_template_for_another_length_is_an_error_and_never_filled() -> None:
    tables = _two_responses()
    longer = replace(tables, shapes=(replace(tables.shapes[0], serial_bytes=2),))
    with pytest.raises(MalformedError, match="2 octets do not fit the hole 'serial' of 1"):
        Assembler("tables/x", longer, RUN, 0)


REASONS = {
    1: x509.ReasonFlags.key_compromise,
    4: x509.ReasonFlags.superseded,
    9: x509.ReasonFlags.privilege_withdrawn,
    10: x509.ReasonFlags.aa_compromise,
}


@pytest.mark.parametrize("oid", [SHA1, SHA256], ids=["sha1", "sha256"])
@pytest.mark.parametrize("responder_kind", ["by-key", "by-name"])
@pytest.mark.parametrize("status", ["good", "unknown", "revoked", 1, 4, 9, 10])
def test_cryptographys_builder_makes_the_same_response(oid: str, responder_kind: str, status: str | int) -> None:
    """The time of production is its own, so it is taken from what it made."""
    reason = status if isinstance(status, int) else None
    status = "revoked" if isinstance(status, int) else status
    this_update, revoked_at = datetime(2026, 11, 24, 5, tzinfo=UTC), datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)
    next_update = this_update + timedelta(days=4, seconds=-1)
    serial = bytes.fromhex("0080ff00112233445566778899aabbccddeeff0102")
    name_hash, key_hash = (bytes([octet]) * HASH_BYTES[oid] for octet in (0xAA, 0xBB))
    encoding = ocsp.OCSPResponderEncoding.HASH if responder_kind == "by-key" else ocsp.OCSPResponderEncoding.NAME
    built = (
        ocsp.OCSPResponseBuilder()
        .add_response_by_hash(
            issuer_name_hash=name_hash,
            issuer_key_hash=key_hash,
            serial_number=int.from_bytes(serial, "big"),
            algorithm=hashes.SHA1() if oid == SHA1 else hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus[status.upper()],
            this_update=this_update,
            next_update=next_update,
            revocation_time=revoked_at if status == "revoked" else None,
            revocation_reason=REASONS[reason] if reason else None,
        )
        .responder_id(encoding, RESPONDER.certificate)
        .certificates([RESPONDER.certificate])
    )
    key = RESPONDER.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signed = built.sign(key, hashes.SHA256())

    identity = signed.responder_key_hash or RESPONDER.certificate.subject.public_bytes()[2:]
    form = Form((oid,), len(serial), status, reason is not None, responder_kind, len(identity))
    fields = () if status != "revoked" else ("revoked_at", "reason")[: 1 + (reason is not None)]
    base = _two_responses()
    response = replace(base.shapes[0].responses[0], template=0, hashes=(oid,))
    shape = replace(base.shapes[0], serial_bytes=len(serial), status=status, fields=fields, responses=(response,))
    issuer = replace(
        base.issuers[0],
        name_hashes={oid: name_hash},
        key_hashes={oid: key_hash},
        responder_id=identity,
        responder_certificate=RESPONDER.der,
    )
    window = Window(
        produced_at=int(signed.produced_at_utc.timestamp()),
        this_update=int(this_update.timestamp()),
        next_update=int(next_update.timestamp()),
        refresh_by=0,
    )
    tables = replace(base, issuers=(issuer,), templates=(make_template(form),), shapes=(shape,), windows=(window,))
    record = serial + int(revoked_at.timestamp()).to_bytes(4, "little") * (status == "revoked")
    record += bytes([reason]) if reason else b""
    native = asn1.OCSPResponse.load(signed.public_bytes(encoding=Encoding.DER)).basic_ocsp_response
    r, s = _fixed_width(native["signature"].native)
    made = Assembler("tables/x", tables, RUN, 0)
    assert made.response_data(record) == signed.tbs_response_bytes
    assert made.response(record + r + s) == signed.public_bytes(Encoding.DER)


def _fixed_width(der: bytes) -> tuple[bytes, bytes]:
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big"), s.to_bytes(32, "big")
