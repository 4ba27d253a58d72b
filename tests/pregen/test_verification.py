"""The judge of our own responses: right ones pass, and nothing else does, whatever was done to it."""

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.hashes import SHA256 as SHA256_HASH
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pregen.errors import VerificationError
from pregen.generation.templates import Form, Values, oracle, oracle_response
from pregen.signers import P256_SHA256, RSA2048_SHA256
from pregen.verification import (
    PublicKey,
    Statement,
    load_public_key,
    parse_response,
    verify_response,
    verify_signature,
)
from storage.certid import SHA1, SHA256
from tests import pki

REASONS = (1, 2, 3, 4, 5, 6, 9, 10)
NAME, KEY = b"\x01" * 20, b"\x02" * 20


@cache
def key_of(kind: pki.KeyKind) -> pki.Key:
    return pki.make_key(kind)


@cache
def certificate() -> bytes:
    return pki.make_issuer().der


@cache  # ECDSA is random, and hypothesis wants the same octets again
def signed(
    serial: bytes,
    status: str = "good",
    reason: int = 0,
    kind: pki.KeyKind = "p256",
    oid: str = SHA1,
    embedded: bool = False,
) -> bytes:
    """Return a response as the oracle encodes it, signed by a fixed key."""
    form = Form((oid,), len(serial), status, reason > 0, "by-key", 20)
    hashes = [hashlib.new("sha1" if oid == SHA1 else "sha256", part).digest() for part in (NAME, KEY)]
    values = Values(
        name_hashes={oid: hashes[0]},
        key_hashes={oid: hashes[1]},
        responder_id=b"\x03" * 20,
        serial=serial,
        produced_at=b"20261124000000",
        this_update=b"20261124000001",
        next_update=b"20261128000000",
        revoked_at=b"20261001000000",
        reason=bytes([reason]),
    )
    data, key = oracle(form, values), key_of(kind)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        signature, algorithm = key.sign(data, ec.ECDSA(SHA256_HASH())), P256_SHA256
    else:
        assert not isinstance(key, ed25519.Ed25519PrivateKey)
        signature, algorithm = key.sign(data, padding.PKCS1v15(), SHA256_HASH()), RSA2048_SHA256
    return oracle_response(data, algorithm.identifier, signature, certificate() if embedded else None)


def meant(serial: bytes, status: str = "good", reason: int = 0, oid: str = SHA1) -> Statement:
    hashes = [hashlib.new("sha1" if oid == SHA1 else "sha256", part).digest() for part in (NAME, KEY)]
    return Statement(
        hash_oid=oid,
        issuer_name_hash=hashes[0],
        issuer_key_hash=hashes[1],
        serial_number=int.from_bytes(serial, "big", signed=True),
        status=status,
        revoked_at=1_790_812_800 if status == "revoked" else None,
        reason=reason or None,
        produced_at=1_795_478_400,
        this_update=1_795_478_401,
        next_update=1_795_824_000,
    )


def public(kind: pki.KeyKind = "p256") -> PublicKey:
    spki = key_of(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return load_public_key(spki)


SERIALS = [b"\x01", b"\x00\x80", b"\x7f" * 20, b"\x00" + b"\xff" * 20, b"\x80", b"\xff\x01" * 10]


@pytest.mark.parametrize("serial", SERIALS, ids=bytes.hex)
@pytest.mark.parametrize("oid", [SHA1, SHA256])
@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_right_responses_pass_whatever_their_serial(serial: bytes, oid: str, kind: pki.KeyKind) -> None:
    for status, reason in [("good", 0), ("unknown", 0), ("revoked", 0), *(("revoked", reason) for reason in REASONS)]:
        verify_response(signed(serial, status, reason, kind, oid), meant(serial, status, reason, oid), public(kind))


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=["by cryptography", "by asn1crypto"])
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
        verify_response(signed(serial, "revoked", 1), wanted, public())


@pytest.mark.parametrize("serial", [b"\x01", b"\x80"], ids=["by cryptography", "by asn1crypto"])
@pytest.mark.parametrize(("reason", "match"), [(0, "reason is 0 where None"), (7, "."), (8, "reason is 8 where None")])
def test_a_reason_that_must_not_be_encoded_is_not_taken_for_none(serial: bytes, reason: int, match: str) -> None:
    whole = signed(serial, "revoked", 1)
    changed = whole.replace(b"\xa0\x03\x0a\x01\x01", b"\xa0\x03\x0a\x01" + bytes([reason]))
    assert changed != whole
    with pytest.raises(VerificationError, match=match):
        verify_response(changed, meant(serial, "revoked"), public())


@given(data=st.data(), serial=st.sampled_from([b"\x11" * 16, b"\x81" * 16]), embedded=st.booleans())
def test_no_flipped_bit_passes_or_raises_anything_else(data: st.DataObject, serial: bytes, embedded: bool) -> None:
    whole = bytearray(signed(serial, "revoked", 1, embedded=embedded))
    end = len(whole) - (len(certificate()) + 8 if embedded else 0)  # the certificate is the oracle's to compare
    # How many bits of the signature's last octet are unused: parsers do not tell, the oracle compares it.
    unused_at = whole.index(parse_response(bytes(whole)).signature) - 1
    at = data.draw(st.integers(0, end - 1).filter(lambda at: at != unused_at), label="damaged octet")
    whole[at] ^= 1 << data.draw(st.integers(0, 7), label="flipped bit")
    with pytest.raises(VerificationError):
        verify_response(bytes(whole), meant(serial, "revoked", 1), public())


@given(data=st.data(), serial=st.sampled_from([b"\x11" * 16, b"\x81" * 16]))
def test_no_cut_response_passes_or_raises_anything_else(data: st.DataObject, serial: bytes) -> None:
    whole = signed(serial)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(VerificationError):
        verify_response(cut, meant(serial), public())


@given(st.binary(max_size=60))
def test_octets_that_are_no_response_are_refused(octets: bytes) -> None:
    with pytest.raises(VerificationError):
        parse_response(octets)


@pytest.mark.parametrize("status", [1, 2, 3, 5, 6])
def test_an_ocsp_error_is_no_response(status: int) -> None:
    with pytest.raises(VerificationError, match="not an OCSP response"):
        parse_response(bytes([0x30, 3, 0x0A, 1, status]))


def test_a_signature_of_another_key_or_kind_is_refused() -> None:
    parsed = parse_response(signed(b"\x01"))
    other = pki.make_key("p256").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="not one of the responder's key"):
        verify_signature(parsed, load_public_key(other))
    with pytest.raises(VerificationError, match="signed by algorithm"):
        verify_signature(parsed, public("rsa2048"))


def test_keys_that_sign_no_responses_are_refused() -> None:
    spki = pki.make_key("ed25519").public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(VerificationError, match="Ed25519"):
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
    assert parsed.statement.status in {"good", "revoked", "unknown"}
