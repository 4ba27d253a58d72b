"""The judge of our own responses: right ones pass, and nothing else does, whatever was done to it."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from asn1crypto import core
from asn1crypto import ocsp as asn1_ocsp
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import VerificationError
from pregen.generation.making.templates import Form, Values, oracle, oracle_response
from pregen.signers import ALGORITHMS, P256_SHA256, Algorithm, PublicKey
from pregen.verification import (
    Statement,
    load_public_key,
    parse_response,
    verify_response,
    verify_signature,
)
from storage import der
from storage.certid import SHA1, SHA256
from tests import pki

REASONS = (1, 2, 3, 4, 5, 6, 9, 10)
NAME, KEY = b"\x01" * 20, b"\x02" * 20


@cache
def certificate() -> bytes:
    return pki.make_issuer().der


@cache  # ECDSA is random, and hypothesis wants the same octets again
def signed(
    serial: bytes,
    status: str = "good",
    reason: int = 0,
    oids: tuple[str, ...] = (SHA1,),
    algorithm: Algorithm = P256_SHA256,
    said: Algorithm | None = None,
    embedded: bool = False,
) -> bytes:
    """Return a response as the oracle encodes it, signed by a fixed key; it may say that it is of another algorithm."""
    form = Form(oids, len(serial), status, reason > 0, "by-key", 20)
    values = Values(
        name_hashes={oid: digest(oid, NAME) for oid in oids},
        key_hashes={oid: digest(oid, KEY) for oid in oids},
        responder_id=b"\x03" * 20,
        serial=serial,
        produced_at=b"20261124000000",
        this_update=b"20261124000001",
        next_update=b"20261128000000",
        revoked_at=b"20261001000000",
        reason=bytes([reason]),
    )
    data = oracle(form, values)
    signature = sign(pki.shared_key(algorithm.key), data, algorithm)
    return oracle_response(data, (said or algorithm).identifier, signature, certificate() if embedded else None)


def sign(key: pki.Key, data: bytes, algorithm: Algorithm) -> bytes:
    known = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
    if algorithm.digest is None:
        assert not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
        return key.sign(data)
    with_hash = known[algorithm.digest]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(with_hash))
    assert isinstance(key, rsa.RSAPrivateKey)
    if algorithm.padding == "pss":
        return key.sign(data, padding.PSS(padding.MGF1(with_hash), 32), with_hash)
    return key.sign(data, padding.PKCS1v15(), with_hash)


def digest(oid: str, octets: bytes) -> bytes:
    return hashlib.new("sha1" if oid == SHA1 else "sha256", octets).digest()


def meant(serial: bytes, status: str = "good", reason: int = 0, oid: str = SHA1) -> Statement:
    return Statement(
        hash_oid=oid,
        issuer_name_hash=digest(oid, NAME),
        issuer_key_hash=digest(oid, KEY),
        serial_number=int.from_bytes(serial, "big", signed=True),
        status=status,
        revoked_at=1_790_812_800 if status == "revoked" else None,
        reason=reason or None,
        produced_at=1_795_478_400,
        this_update=1_795_478_401,
        next_update=1_795_824_000,
    )


def public(kind: str = "p256") -> PublicKey:
    spki = pki.shared_key(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return load_public_key(spki)


BY = ["positive", "negative"]
# Only asn1crypto reads a response that says this: ours, with NULL parameters that do not belong there.
WITH_NULL = replace(P256_SHA256, identifier=bytes.fromhex("300c06082a8648ce3d0403020500"))
SERIALS = [b"\x01", b"\x00\x80", b"\x7f" * 20, b"\x00" + b"\xff" * 20, b"\x80", b"\xff\x01" * 10]


@pytest.mark.parametrize("serial", SERIALS, ids=bytes.hex)
@pytest.mark.parametrize("oid", [SHA1, SHA256])
def test_right_responses_pass_whatever_their_serial(serial: bytes, oid: str) -> None:
    for status, reason in [("good", 0), ("unknown", 0), ("revoked", 0), *(("revoked", reason) for reason in REASONS)]:
        response = signed(serial, status, reason, (oid,))
        verify_response(response, [meant(serial, status, reason, oid)], public(), P256_SHA256)


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
def test_every_algorithm_is_verified_and_tampering_is_noticed(serial: bytes, algorithm: Algorithm) -> None:
    response, key = signed(serial, algorithm=algorithm, embedded=True), public(algorithm.key)
    parsed = parse_response(response)
    assert (parsed.algorithm, parsed.certificate_count) == (algorithm.identifier, 1)

    verify_response(response, [meant(serial)], key, algorithm)

    for field in ("signature", "data"):
        octets = bytearray(getattr(parsed, field))
        octets[-1] ^= 1
        with pytest.raises(VerificationError, match="not one of the responder's key"):
            verify_signature(replace(parsed, **{field: bytes(octets)}), key, algorithm)  # type: ignore[arg-type]


@pytest.mark.parametrize(("made", "said"), [("pkcs1v15", "pss"), ("pss", "pkcs1v15")])
def test_a_padding_other_than_the_identifier_says_is_refused(made: str, said: str) -> None:
    names = {"pkcs1v15": "rsa2048-sha256", "pss": "rsa2048-pss-sha256"}
    response = signed(b"\x01", algorithm=ALGORITHMS[names[made]], said=ALGORITHMS[names[said]])
    key = public("rsa2048")

    with pytest.raises(VerificationError, match="not one of the responder's key"):
        verify_response(response, [meant(b"\x01")], key, ALGORITHMS[names[said]])
    with pytest.raises(VerificationError, match=f"signed by algorithm {names[said]} where {names[made]} belongs"):
        verify_response(response, [meant(b"\x01")], key, ALGORITHMS[names[made]])


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("p256-sha256", "300906072a8648ce3d0401"),  # ecdsa-with-SHA1
        ("p256-sha256", "300a06082a8648ce3d040303"),  # that of P-384
        ("rsa2048-sha256", "300b06092a864886f70d01010b"),  # without the NULL that BR 7.1.3.2.1 wants
        ("rsa2048-pss-sha256", "300d06092a864886f70d01010a3000"),  # all its parameters left to defaults: SHA-1
    ],
)
def test_an_identifier_is_compared_octet_by_octet(serial: bytes, name: str, identifier: str) -> None:
    algorithm = ALGORITHMS[name]
    other = replace(algorithm, identifier=bytes.fromhex(identifier))
    parsed = parse_response(signed(serial, algorithm=algorithm, said=other))

    with pytest.raises(VerificationError, match=f"^signed by algorithm .* where {name} belongs$"):
        verify_signature(parsed, public(algorithm.key), algorithm)


@pytest.mark.parametrize("serial", SERIALS, ids=bytes.hex)
@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("oids", [(SHA1,), (SHA256,), (SHA1, SHA256)], ids=["sha1", "sha256", "combined"])
def test_what_cryptography_refuses_is_read_alike_by_asn1crypto_and_refused_with_its_reason(
    serial: bytes, oids: tuple[str, ...], embedded: bool
) -> None:
    for status, reason in [("good", 0), ("unknown", 0), ("revoked", 0), ("revoked", 1)]:
        odd = signed(serial, status, reason, oids, said=WITH_NULL, embedded=embedded)
        with pytest.raises(ValueError, match="signature_algorithm"):
            _ = ocsp.load_der_ocsp_response(odd)
        usual = parse_response(signed(serial, status, reason, oids, embedded=embedded))

        parsed = parse_response(odd)

        assert replace(parsed, signature=b"", algorithm=b"") == replace(usual, signature=b"", algorithm=b"")
        wanted = [meant(serial, status, reason, oid) for oid in oids]
        with pytest.raises(VerificationError, match=f"^signed by algorithm .*{WITH_NULL.identifier.hex()} where"):
            verify_response(odd, wanted, public(), P256_SHA256)
        verify_signature(replace(parsed, algorithm=P256_SHA256.identifier), public(), P256_SHA256)


def test_asn1crypto_reads_responses_with_certificates_whose_keys_it_does_not_know() -> None:
    embedded = pki.make_issuer(key=pki.shared_key("ml-dsa-44")).der
    usual = parse_response(signed(b"\x01"))
    odd = oracle_response(usual.data, WITH_NULL.identifier, usual.signature, embedded)

    assert parse_response(odd).certificate_count == 1


def test_pss_with_another_salt_is_refused() -> None:
    pss, key = ALGORITHMS["rsa2048-pss-sha256"], pki.shared_key("rsa2048")
    assert isinstance(key, rsa.RSAPrivateKey)
    parsed = parse_response(signed(b"\x01", algorithm=pss))
    signature = key.sign(parsed.data, padding.PSS(padding.MGF1(hashes.SHA256()), 20), hashes.SHA256())

    with pytest.raises(VerificationError, match="not one of the responder's key"):
        verify_signature(replace(parsed, signature=signature), public("rsa2048"), pss)


BOTH = (SHA1, SHA256)


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
def test_a_combined_response_says_both_statements_in_their_order(serial: bytes) -> None:
    response = signed(serial, "revoked", 1, BOTH)
    wanted = [meant(serial, "revoked", 1, oid) for oid in BOTH]

    verify_response(response, wanted, public(), P256_SHA256)

    assert list(parse_response(response).statements) == wanted
    with pytest.raises(VerificationError, match=r"^hash_oid is .* where .* belongs"):
        verify_response(response, wanted[::-1], public(), P256_SHA256)
    with pytest.raises(VerificationError, match=r"^reason is 1 where 4 belongs$"):
        verify_response(response, [wanted[0], replace(wanted[1], reason=4)], public(), P256_SHA256)


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
def test_as_many_statements_are_wanted_as_are_meant(serial: bytes) -> None:
    one, both = [meant(serial)], [meant(serial, oid=oid) for oid in BOTH]

    with pytest.raises(VerificationError, match="it has 2 SingleResponses where 1 belong"):
        verify_response(signed(serial, oids=BOTH), one, public(), P256_SHA256)
    with pytest.raises(VerificationError, match="it has 1 SingleResponses where 2 belong"):
        verify_response(signed(serial), both, public(), P256_SHA256)


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hash_oid", SHA256),
        ("issuer_name_hash", bytes(20)),
        ("issuer_key_hash", bytes(20)),
        ("serial_number", 2),
        ("status", "good"),
        ("revoked_at", 1_790_812_801),
        ("revoked_at", None),
        ("reason", 4),
        ("reason", None),
        ("produced_at", 0),
        ("this_update", 0),
        ("next_update", None),
    ],
)
def test_each_word_of_a_statement_counts(serial: bytes, field: str, value: object) -> None:
    wanted = replace(meant(serial, "revoked", 1), **{field: value})  # type: ignore[arg-type]
    with pytest.raises(VerificationError, match=rf"^{field} is .* belongs$"):
        verify_response(signed(serial, "revoked", 1), [wanted], public(), P256_SHA256)


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=BY)
@pytest.mark.parametrize(("reason", "match"), [(0, "reason is 0 where None"), (7, "."), (8, "reason is 8 where None")])
def test_a_reason_that_must_not_be_encoded_is_not_taken_for_none(serial: bytes, reason: int, match: str) -> None:
    whole = signed(serial, "revoked", 1)
    changed = whole.replace(b"\xa0\x03\x0a\x01\x01", b"\xa0\x03\x0a\x01" + bytes([reason]))
    assert changed != whole
    with pytest.raises(VerificationError, match=match):
        verify_response(changed, [meant(serial, "revoked")], public(), P256_SHA256)


@given(data=st.data(), serial=st.sampled_from([b"\x11" * 16, b"\x81" * 16]), embedded=st.booleans())
def test_no_flipped_bit_passes_or_raises_anything_else(data: st.DataObject, serial: bytes, embedded: bool) -> None:
    whole = bytearray(signed(serial, "revoked", 1, embedded=embedded))
    end = len(whole) - (len(certificate()) + 8 if embedded else 0)  # the certificate is the oracle's to compare
    # How many bits of the signature's last octet are unused: parsers do not tell, the oracle compares it.
    unused_at = whole.index(parse_response(bytes(whole)).signature) - 1
    at = data.draw(st.integers(0, end - 1).filter(lambda at: at != unused_at), label="damaged octet")
    whole[at] ^= 1 << data.draw(st.integers(0, 7), label="flipped bit")
    with pytest.raises(VerificationError):
        verify_response(bytes(whole), [meant(serial, "revoked", 1)], public(), P256_SHA256)


@given(data=st.data(), serial=st.sampled_from([b"\x11" * 16, b"\x81" * 16]))
def test_no_cut_response_passes_or_raises_anything_else(data: st.DataObject, serial: bytes) -> None:
    whole = signed(serial)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(VerificationError):
        verify_response(cut, [meant(serial)], public(), P256_SHA256)


@given(st.binary(max_size=60))
def test_octets_that_are_no_response_are_refused(octets: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_response(octets)


@pytest.mark.parametrize("status", [1, 2, 3, 5, 6])
def test_an_ocsp_error_is_no_response(status: int) -> None:
    with pytest.raises(VerificationError, match="not an OCSP response"):
        parse_response(bytes([0x30, 3, 0x0A, 1, status]))


def test_a_signature_of_another_key_is_refused() -> None:
    parsed = parse_response(signed(b"\x01"))
    other = pki.make_key("p256").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="not one of the responder's key"):
        verify_signature(parsed, load_public_key(other), P256_SHA256)


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [
        ("p256-sha256", "p384"),
        ("p384-sha384", "p256"),
        ("p256-sha256", "rsa2048"),
        ("rsa2048-sha256", "rsa3072"),
        ("ed25519", "ml-dsa-44"),
        ("ml-dsa-44", "ml-dsa-65"),
    ],
)
def test_a_key_of_another_kind_than_the_algorithms_is_refused(algorithm: str, kind: str) -> None:
    parsed = parse_response(signed(b"\x01", algorithm=ALGORITHMS[algorithm]))
    with pytest.raises(VerificationError, match=f"by {algorithm}, and the responder's key is of the kind {kind}$"):
        verify_signature(parsed, public(kind), ALGORITHMS[algorithm])


def test_keys_that_sign_no_responses_are_refused() -> None:
    spki = ed448.Ed448PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="Ed448"):
        load_public_key(spki)


def test_embedded_certificates_are_counted() -> None:
    for serial in (b"\x01", b"\x80"):
        assert parse_response(signed(serial)).certificate_count == 0
        assert parse_response(signed(serial, embedded=True)).certificate_count == 1


VECTORS = sorted((Path(cryptography_vectors.__file__).parent / "x509" / "ocsp").glob("resp-*.der"))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_real_and_odd_responses_are_read_or_refused_and_never_crash(path: Path) -> None:
    try:
        parsed = parse_response(path.read_bytes())
    except VerificationError:
        return
    assert parsed.data in path.read_bytes()
    assert {statement.status for statement in parsed.statements} <= {"good", "revoked", "unknown"}


def with_more(data: bytes, what: str) -> bytes:
    """Return a ResponseData that says more than the oracle's."""
    changed = asn1_ocsp.ResponseData.load(data).copy()
    if what == "version":
        return der.tlv(der.SEQUENCE, der.tlv(0xA0, der.tlv(der.INTEGER, b"\x01")), changed.contents)
    nonce = {"extn_id": "nonce", "critical": True, "extn_value": core.OctetString(b"\x04\x01x")}
    if what == "response extension":
        changed["response_extensions"] = [nonce]
    else:
        unknown = {"extn_id": "1.2.3.4", "critical": True, "extn_value": b"x"}
        changed["responses"][0]["single_extensions"] = [unknown]
    return bytes(changed.dump(force=True))


@pytest.mark.parametrize("what", ["version", "response extension", "single extension"])
def test_what_says_more_than_is_meant_is_refused_though_it_is_signed(what: str) -> None:
    plain = parse_response(signed(b"\x01"))
    data = with_more(plain.data, what)
    response = oracle_response(data, P256_SHA256.identifier, sign(pki.shared_key("p256"), data, P256_SHA256), None)
    assert parse_response(response).data == data
    with pytest.raises(VerificationError, match="more than was meant"):
        verify_response(response, [meant(b"\x01")], public(), P256_SHA256)


def test_a_signature_of_no_whole_number_of_octets_is_refused() -> None:
    response = signed(b"\x01", algorithm=ALGORITHMS["ed25519"])
    at = response.rindex(b"\x03\x41\x00") + 2
    changed = response[:at] + b"\x07" + response[at + 1 :]
    with pytest.raises(VerificationError, match="not an OCSP response"):
        verify_response(changed, [meant(b"\x01")], public("ed25519"), ALGORITHMS["ed25519"])
