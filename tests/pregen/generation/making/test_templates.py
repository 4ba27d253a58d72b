"""Templates: what is assembled of them is what the oracles write, octet by octet."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal

import pytest
from asn1crypto import ocsp as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.clock import seconds
from pregen.errors import SigningError
from pregen.generation.making import templates
from pregen.generation.making.plan import Record, forms, make_plan, oracle_of
from pregen.generation.making.templates import Form, make_template, oracle
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.issuers import Issuer, KeyFile
from pregen.validity import ValidityWindow
from storage.certid import SHA1, SHA256
from storage.response import Assembler, generalized_time
from tests import pki
from tests.pregen.generation.workshop import REASONS, make_issuers, make_window

KINDS_OF_KEYS: tuple[pki.KeyKind, ...] = ("p256", "rsa2048")
IDS: tuple[Literal["by-key", "by-name"], ...] = ("by-key", "by-name")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, bool], Issuer]:
    """Issuers by kind of key, of responder id, and by whether a delegated responder signs."""
    return {
        (kind, identity, alone): make_issuers(
            tmp_path_factory.mktemp("issuer"),
            {"responder_id": identity, "self-signing": "yes" if alone else "no"},
            key=kind,
        )[0]
        for kind in KINDS_OF_KEYS
        for identity in IDS
        for alone in (False, True)
    }


def is_minimal(serial: bytes) -> bool:
    return len(serial) == 1 or serial[0] not in {0x00, 0xFF} or (serial[0] ^ serial[1]) >= 0x80


serials = st.integers(1, 21).flatmap(lambda size: st.binary(min_size=size, max_size=size)).filter(is_minimal)
instants = st.integers(0, 2**32 - 1)


@cache
def numbers_of(size: int) -> bytes:
    return bytes(range(1, 1 + size))


@settings(max_examples=100, deadline=None)
@given(
    serial=serials,
    kind=st.integers(0, 3),
    reason=st.sampled_from(REASONS),
    revoked_at=instants,
    start=st.integers(0, 2**32 - 10**6),
    length_s=st.integers(1, 10**6),
    key=st.sampled_from(KINDS_OF_KEYS),
    identity=st.sampled_from(IDS),
    alone=st.booleans(),
    signature=st.binary(min_size=256, max_size=256),
)
def test_assembled_responses_are_the_oracles(
    world: dict[tuple[str, str, bool], Issuer],
    serial: bytes,
    kind: int,
    reason: int,
    revoked_at: int,
    start: int,
    length_s: int,
    key: str,
    identity: str,
    alone: bool,
    signature: bytes,
) -> None:
    issuer, group = world[key, identity, alone], Group(0, len(serial), kind)
    first = datetime.fromtimestamp(start, UTC)
    window = ValidityWindow(
        produced_at=first, this_update=first, next_update=first + timedelta(seconds=length_s), refresh_by=first
    )
    plan = make_plan([issuer], [window], [group])
    (run,) = plan.tables.runs
    shape = plan.tables.shapes[run.shape]
    status, has_reason = RESPONSE_KINDS[kind]
    assert (shape.status, len(shape.responses)) == (status, 2)

    octets = serial
    octets += revoked_at.to_bytes(4, "little") if status == "revoked" else b""
    octets += bytes([reason]) if has_reason else b""
    size = shape.responses[0].signature_bytes
    octets += signature[:size] * 2
    row = Record(serial, revoked_at, reason if has_reason else -1, signature[:size])
    for which, form in enumerate(forms(issuer, group)):
        response = Assembler(plan.name, plan.tables, run, which).response(octets)
        assert response == oracle_of(issuer, plan.tables.windows[0], form, row)


REASON_FLAGS = {
    1: x509.ReasonFlags.key_compromise,
    2: x509.ReasonFlags.ca_compromise,
    3: x509.ReasonFlags.affiliation_changed,
    4: x509.ReasonFlags.superseded,
    5: x509.ReasonFlags.cessation_of_operation,
    6: x509.ReasonFlags.certificate_hold,
    9: x509.ReasonFlags.privilege_withdrawn,
    10: x509.ReasonFlags.aa_compromise,
}
STATUSES = {
    "good": ocsp.OCSPCertStatus.GOOD,
    "revoked": ocsp.OCSPCertStatus.REVOKED,
    "unknown": ocsp.OCSPCertStatus.UNKNOWN,
}


def by_cryptography(issuer: Issuer, form: Form, serial: bytes, revoked_at: int, reason: int) -> ocsp.OCSPResponse:
    """Return the response that cryptography's builder makes."""
    window, revoked = make_window(), form.status == "revoked"
    assert isinstance(issuer.responder.key, KeyFile)
    key = issuer.responder.key.open()
    signer = x509.load_der_x509_certificate(issuer.responder.certificate or issuer.certificates[0])
    builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
        issuer_name_hash=issuer.name_hashes[form.hashes[0]],
        issuer_key_hash=issuer.key_hashes[form.hashes[0]],
        serial_number=int.from_bytes(serial, "big"),
        algorithm=hashes.SHA1() if form.hashes == (SHA1,) else hashes.SHA256(),
        cert_status=STATUSES[form.status],
        this_update=window.this_update,
        next_update=window.next_update,
        revocation_time=datetime.fromtimestamp(revoked_at, UTC) if revoked else None,
        revocation_reason=REASON_FLAGS[reason] if form.has_reason else None,
    )
    encoding = ocsp.OCSPResponderEncoding.HASH if form.responder_kind == "by-key" else ocsp.OCSPResponderEncoding.NAME
    builder = builder.responder_id(encoding, signer)
    if issuer.responder.certificate is not None:
        builder = builder.certificates([signer])
    return builder.sign(key, hashes.SHA256())


@pytest.mark.parametrize("key", KINDS_OF_KEYS)
@pytest.mark.parametrize("identity", IDS)
@pytest.mark.parametrize("alone", [False, True], ids=["delegated", "alone"])
def test_cryptographys_builder_makes_the_same_octets(
    world: dict[tuple[str, str, bool], Issuer], key: str, identity: str, alone: bool
) -> None:
    issuer, window = world[key, identity, alone], make_window()
    for size in range(1, 21):
        kind, reason = size % 4, REASONS[size % 8]
        group, serial = Group(0, size, kind), numbers_of(size)
        plan = make_plan([issuer], [window], [group])
        for which, form in enumerate(forms(issuer, group)):
            theirs = by_cryptography(issuer, form, serial, 1_700_000_000, reason)
            fixed = theirs.signature
            if key == "p256":
                fixed = b"".join(number.to_bytes(32, "big") for number in decode_dss_signature(theirs.signature))
            record = serial
            record += (1_700_000_000).to_bytes(4, "little") if form.status == "revoked" else b""
            record += bytes([reason]) if form.has_reason else b""
            # The builder takes producedAt from the clock.
            stored = replace(plan.tables.windows[0], produced_at=seconds(theirs.produced_at_utc))
            tables = replace(plan.tables, windows=(stored,))
            assembler = Assembler(plan.name, tables, tables.runs[0], which)
            assert assembler.response_data(record) == theirs.tbs_response_bytes
            whole = assembler.response(record + fixed * 2)
            certs = ocsp.load_der_ocsp_response(whole).certificates
            assert certs == theirs.certificates
            assert whole == theirs.public_bytes(Encoding.DER)


FORM = Form((SHA1,), 16, "revoked", True, "by-key", 20)


def test_holes_are_as_many_and_as_large_as_the_form_has_fields() -> None:
    template = make_template(FORM)
    assert [(hole.field, hole.size, hole.hash_oid) for hole in template.holes] == [
        ("responder_id", 20, None),
        ("produced_at", 14, None),
        ("issuer_name_hash", 20, SHA1),
        ("issuer_key_hash", 20, SHA1),
        ("serial", 16, None),
        ("revoked_at", 14, None),
        ("reason", 1, None),
        ("this_update", 14, None),
        ("next_update", 14, None),
    ]


def test_a_serial_of_one_octet_is_not_found_in_a_hash() -> None:
    template = make_template(FORM._replace(serial_bytes=1))
    (hole,) = [hole for hole in template.holes if hole.field == "serial"]
    assert template.tbs[hole.at - 2 : hole.at] == b"\x02\x01"


def test_a_combined_response_has_the_serial_and_times_twice_and_each_hash_once() -> None:
    template = make_template(FORM._replace(hashes=(SHA1, SHA256)))
    fields = [hole.field for hole in template.holes]
    assert {field: fields.count(field) for field in set(fields)} == {
        "responder_id": 1,
        "produced_at": 1,
        "issuer_name_hash": 2,
        "issuer_key_hash": 2,
        "serial": 2,
        "revoked_at": 2,
        "reason": 2,
        "this_update": 2,
        "next_update": 2,
    }
    assert [hole.hash_oid for hole in template.holes if hole.field == "issuer_name_hash"] == [SHA1, SHA256]


@pytest.mark.parametrize("form", [FORM._replace(serial_bytes=0), FORM._replace(responder_id_bytes=0)])
def test_a_field_without_octets_has_no_hole_and_is_refused(form: Form) -> None:
    with pytest.raises(SigningError, match="does not stand in pieces of 0 octets"):
        make_template(form)


@pytest.fixture
def without_memory() -> None:
    make_template.cache_clear()


def test_samples_that_coincide_in_an_octet_are_refused(without_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with_one_digit = (b"20110111011011", b"21221222122122")  # the first digit is the same
    monkeypatch.setattr(templates, "_SAMPLE_TIMES", with_one_digit)
    with pytest.raises(SigningError, match="produced_at does not stand in pieces of 14 octets"):
        make_template(FORM)


def test_samples_of_other_lengths_are_refused(without_memory: None, monkeypatch: pytest.MonkeyPatch) -> None:
    original = templates.oracle

    def stretched(form: Form, values: templates.Values) -> bytes:
        longer = values.serial[0] == templates.FILLS[1]
        return original(form, values._replace(serial=values.serial + b"\x2a" * longer))

    monkeypatch.setattr(templates, "oracle", stretched)
    with pytest.raises(SigningError, match="serial changes the length"):
        make_template(FORM)


# The traps of DER in which other responders were caught.


def data_of(form: Form) -> asn1.ResponseData:
    return asn1.ResponseData.load(make_template(form).tbs, strict=True)


@pytest.mark.parametrize("oid", [SHA1, SHA256])
def test_hash_algorithms_have_null_parameters(oid: str) -> None:
    encoded = {SHA1: "300906052b0e03021a0500", SHA256: "300d06096086480165030402010500"}
    assert make_template(FORM._replace(hashes=(oid,))).tbs.count(bytes.fromhex(encoded[oid])) == 1


def test_without_a_reason_none_is_encoded() -> None:
    (single,) = data_of(FORM._replace(has_reason=False))["responses"]
    assert single["cert_status"].chosen["revocation_reason"].native is None
    # [1] of 17 octets holds the time and nothing behind it
    assert b"\xa1\x11\x18\x0f" in make_template(FORM._replace(has_reason=False)).tbs


@pytest.mark.parametrize(("status", "octets"), [("good", b"\x80\x00"), ("unknown", b"\x82\x00")])
def test_good_and_unknown_are_implicit_nulls(status: str, octets: bytes) -> None:
    form = FORM._replace(status=status, has_reason=False)
    template = make_template(form)
    serial = next(hole for hole in template.holes if hole.field == "serial")
    after = serial.at + serial.size
    assert template.tbs[after : after + 2] == octets


def test_there_are_no_extensions_and_no_empty_ones() -> None:
    data = data_of(FORM)
    assert data["response_extensions"].native is None
    assert data["responses"][0]["single_extensions"].native is None
    last = make_template(FORM).holes[-1]
    assert make_template(FORM).tbs[last.at + last.size :] == b"Z"


def test_the_version_is_left_out_because_it_is_the_default() -> None:
    first = make_template(FORM).holes[0]
    assert first.field == "responder_id"
    # SEQUENCE of 128 octets and more, then at once the responder id: [2] of an OCTET STRING of 20
    assert make_template(FORM).tbs[: first.at] == b"\x30\x81\xb6\xa2\x16\x04\x14"


def test_certs_hold_the_responder_alone_and_are_absent_where_the_issuer_signs(
    world: dict[tuple[str, str, bool], Issuer],
) -> None:
    for (key, identity, alone), issuer in world.items():
        group = Group(0, 16, 0)
        plan = make_plan([issuer], [make_window()], [group])
        record = numbers_of(16) + numbers_of(128) * (1 if key == "p256" else 4)
        whole = Assembler(plan.name, plan.tables, plan.tables.runs[0], 0).response(record)
        certs = asn1.OCSPResponse.load(whole, strict=True).basic_ocsp_response["certs"]
        if alone:
            assert certs.native is None, (key, identity)
            assert b"\xa0\x00" not in whole[-4:]
        else:
            assert [one.dump() for one in certs] == [issuer.responder.certificate]


def test_signature_algorithms_are_encoded_as_the_baseline_requirements_fix_them(
    world: dict[tuple[str, str, bool], Issuer],
) -> None:
    fixed = {"p256": "300a06082a8648ce3d040302", "rsa2048": "300d06092a864886f70d01010b0500"}
    for key, octets in fixed.items():
        plan = make_plan([world[key, "by-key", False]], [make_window()], [Group(0, 16, 0)])
        assert {r.algorithm.hex() for shape in plan.tables.shapes for r in shape.responses} == {octets}


def test_the_oracle_writes_what_it_is_given() -> None:
    epoch = generalized_time(0)
    values = templates.Values(
        name_hashes={SHA1: b"n" * 20},
        key_hashes={SHA1: b"k" * 20},
        responder_id=b"r" * 20,
        serial=b"\x80",
        produced_at=epoch,
        this_update=epoch,
        next_update=epoch,
        revoked_at=epoch,
        reason=b"\x09",
    )
    (single,) = asn1.ResponseData.load(oracle(FORM._replace(serial_bytes=1), values))["responses"]
    assert single["cert_id"]["serial_number"].native == -128
    assert single["cert_status"].chosen["revocation_reason"].native == "privilege_withdrawn"
