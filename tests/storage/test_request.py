import pickle
import subprocess
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from storage.certid import SHA1, SHA256, CertID
from storage.der import BOOLEAN, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, Cursor, tlv
from storage.request import MalformedRequestError, _ocsp_request, parse_request
from tests.judges.programs import judge
from tests.storage.edge.answers import (
    NONCE,
    cert_id,
    encode_cert_id,
    encode_request,
    nonce_extension,
)

ASKED = cert_id()
SERIALS = st.integers(-(2**167), 2**167 - 1)


def vector(name: str) -> bytes:
    return files("cryptography_vectors").joinpath("x509", "ocsp", name).read_bytes()


@pytest.mark.parametrize(
    ("name", "serial"),
    [
        ("ocsp-army.inapplicable-req.der", 0x1),
        ("ocsp-army.revoked-req.der", 0x391AE),
        ("ocsp-army.valid-req.der", 0x391AD),
        ("req-acceptable-responses.der", 0xE5249FDAA8B47C86E7CCB85DDCF0162F),
        ("req-duplicate-ext.der", 0x1AF1EFBDD5EAE0952320B24FE6B5568),
        ("req-ext-nonce.der", 0x1AF1EFBDD5EAE0952320B24FE6B5568),
        ("req-ext-unknown-oid.der", 0x1AF1EFBDD5EAE0952320B24FE6B5568),
        ("req-sha1.der", 0x98D9E5C0B4C373552DF77C5D0F1EB5128E4945F9),
    ],
)
def test_the_requests_of_the_vectors_are_read_as_cryptography_reads_them(name: str, serial: int) -> None:
    request = parse_request(vector(name))

    assert request.hash_oid == SHA1
    assert request.serial_number == serial
    if name != "req-duplicate-ext.der":  # refused there, while pre-produced answers ignore extensions
        peer = ocsp.load_der_ocsp_request(vector(name))
        assert request[1:3] == (peer.issuer_name_hash, peer.issuer_key_hash)


def test_a_request_with_an_unknown_hash_is_read_so_that_the_log_can_name_it() -> None:
    assert parse_request(vector("req-invalid-hash-alg.der")).hash_oid == "1.3.6.1.4.1.37476.3.2.1.99.1"


@pytest.mark.parametrize(
    ("name", "why"), [("req-invalid-version.der", "version"), ("req-multi-sha1.der", "more than one")]
)
def test_the_vectors_that_must_be_refused_are_malformed(name: str, why: str) -> None:
    with pytest.raises(MalformedRequestError, match=why):
        parse_request(vector(name))


@given(serial=SERIALS, hash_oid=st.sampled_from([SHA1, SHA256]), null=st.booleans())
def test_every_serial_comes_back_as_it_was_sent(serial: int, hash_oid: str, null: bool) -> None:
    asked = cert_id(serial, hash_oid)
    encoded = encode_request(encode_cert_id(asked, parameters=tlv(NULL) if null else b""))

    assert parse_request(encoded) == asked
    assert parse_request(encoded).serial_number == serial


UNKNOWN, SERVICE_LOCATOR = b"\x2a\x03", bytes.fromhex("2b0601050507300107")
RESPONSE_TYPES, PREFERRED_ALGORITHMS = bytes.fromhex("2b0601050507300104"), bytes.fromhex("2b0601050507300108")
BASIC = tlv(SEQUENCE, tlv(OID, UNKNOWN), tlv(OID, bytes.fromhex("2b0601050507300101")))


def extension(name: bytes, value: bytes = b"x", *, critical: bytes | None = None) -> bytes:
    flag = b"" if critical is None else tlv(BOOLEAN, critical)
    return tlv(SEQUENCE, tlv(OID, name), flag, tlv(OCTET_STRING, value))


def extensions(*each: bytes) -> bytes:
    return tlv(0xA2, tlv(SEQUENCE, *each))


@pytest.mark.parametrize(
    "request_der",
    [
        encode_request(ASKED, before=tlv(0xA0, tlv(INTEGER, b"\0"))),
        encode_request(ASKED, before=tlv(0xA1, tlv(0x82, b"client.example"))),
        encode_request(ASKED, signature=tlv(0xA0, tlv(SEQUENCE, b"whatever"))),
        encode_request(ASKED, in_request=tlv(0xA0, tlv(SEQUENCE, extension(SERVICE_LOCATOR)))),
        encode_request(ASKED, after=nonce_extension(b"n")),
        encode_request(ASKED, after=nonce_extension(bytes(128))),
        encode_request(ASKED, after=nonce_extension(bytes(range(1, 17)), wrapped=False)),
        encode_request(ASKED, after=extensions(extension(UNKNOWN))),
        encode_request(ASKED, after=extensions(extension(UNKNOWN, critical=b"\0"))),
        encode_request(ASKED, after=extensions(extension(NONCE, b"\4\1n", critical=b"\xff"))),
        encode_request(ASKED, after=extensions(extension(RESPONSE_TYPES, BASIC, critical=b"\xff"))),
        encode_request(ASKED, after=extensions(extension(RESPONSE_TYPES, b"whatever"))),
    ],
    ids=[
        "version",
        "name",
        "signature",
        "single",
        "nonce-1",
        "nonce-128",
        "nonce-raw",
        "unknown",
        "said not to be critical",
        "critical nonce",
        "critical basic response",
        "response types",
    ],
)
def test_what_a_stored_answer_cannot_honour_is_ignored(request_der: bytes) -> None:
    assert parse_request(request_der) == ASKED


GOOD = encode_request(ASKED)
MALFORMED = {
    "empty": (b"", "empty request"),
    "not a sequence": (b"\x04\x00", "tag 0x04"),
    "cut off": (GOOD[:-1], "cut off"),
    "trailing octet": (GOOD + b"\0", "too many"),
    "two requests": (encode_request(ASKED, cert_id(7)), "more than one"),
    "the same request twice": (encode_request(ASKED, ASKED), "more than one"),
    "no request": (encode_request(), "no certificate"),
    "version 2": (encode_request(ASKED, before=tlv(0xA0, tlv(INTEGER, b"\1"))), "version"),
    "empty version": (encode_request(ASKED, before=tlv(0xA0, tlv(INTEGER))), "version"),
    "nonce of 0": (encode_request(ASKED, after=nonce_extension(b"")), "nonce of 0"),
    "raw nonce of 0": (encode_request(ASKED, after=nonce_extension(b"", wrapped=False)), "nonce of 0"),
    "nonce of 129": (encode_request(ASKED, after=nonce_extension(bytes(129))), "nonce of 129"),
    "empty serial": (encode_request(ASKED._replace(serial=b"")), "empty serial"),
    "padded serial": (encode_request(ASKED._replace(serial=b"\0\x12")), "not minimal"),
    "padded negative serial": (encode_request(ASKED._replace(serial=b"\xff\x80")), "not minimal"),
    "endless serial": (encode_request(ASKED._replace(serial=b"\1" * 65)), "more than 64"),
    "hash parameters": (encode_request(encode_cert_id(ASKED, parameters=tlv(INTEGER, b"\0"))), "too many"),
    "NULL with a value": (encode_request(encode_cert_id(ASKED, parameters=tlv(NULL, b"\0"))), "too many"),
    "cut off OID": (encode_request(encode_cert_id(ASKED, oid=b"\x2b\x8e")), "OID"),
    "octets behind the list": (encode_request(ASKED, after=tlv(INTEGER, b"\0")), "too many"),
    "octets behind a CertID": (encode_request(ASKED, in_request=tlv(INTEGER, b"\0")), "too many"),
    "octets behind the whole": (encode_request(ASKED, signature=tlv(INTEGER, b"\0")), "too many"),
    "a flag of two octets": (encode_request(ASKED, after=extensions(extension(UNKNOWN, critical=b"\0\0"))), "2 octets"),
    "extensions of one certificate that are none": (encode_request(ASKED, in_request=tlv(0xA0, tlv(NULL))), "tag 0x05"),
    "extensions that are none": (encode_request(ASKED, after=tlv(0xA2, tlv(INTEGER, b"\0"))), "tag 0x02"),
    "indefinite length": (b"\x30\x80" + GOOD[2:] + b"\0\0", "bad length"),
    "long length": (b"\x30\x81" + GOOD[1:], "not minimal"),
}


CRITICAL = {
    "unknown": extensions(extension(UNKNOWN, critical=b"\xff")),
    "a flag of BER": extensions(extension(UNKNOWN, critical=b"\1")),
    "behind others": extensions(
        extension(NONCE, b"\4\1n"), extension(UNKNOWN), extension(b"\x2a\x04", critical=b"\xff")
    ),
    "preferred algorithms": extensions(extension(PREFERRED_ALGORITHMS, tlv(SEQUENCE), critical=b"\xff")),
    "service locator": extensions(extension(SERVICE_LOCATOR, tlv(SEQUENCE), critical=b"\xff")),
}


@pytest.mark.parametrize("after", CRITICAL.values(), ids=CRITICAL.keys())
def test_a_critical_extension_that_is_not_understood_is_not_ignored(after: bytes) -> None:
    with pytest.raises(MalformedRequestError, match=r"critical extension that is not understood \([0-9.]+\)"):
        parse_request(encode_request(ASKED, after=after))
    in_single = b"\xa0" + after[1:]
    with pytest.raises(MalformedRequestError, match="critical extension that is not understood"):
        parse_request(encode_request(ASKED, in_request=in_single))


@pytest.mark.parametrize(
    ("der", "named"),
    [
        (encode_request(ASKED, after=CRITICAL["unknown"]), ASKED),
        (encode_request(ASKED, in_request=b"\xa0" + CRITICAL["unknown"][1:]), ASKED),
        (encode_request(ASKED, after=nonce_extension(bytes(129))), ASKED),
        (encode_request(ASKED, before=tlv(0xA0, tlv(INTEGER, b"\1"))), ASKED),
        (GOOD + b"\0", None),
        (encode_request(ASKED, cert_id(7)), None),
        (encode_request(ASKED._replace(serial=b"")), None),
        (GOOD[:-1], None),
        (b"", None),
    ],
    ids=["critical", "critical in one", "nonce", "version", "octets behind", "two", "no serial", "cut off", "empty"],
)
def test_a_malformed_request_says_which_certificate_it_names_if_it_is_one(der: bytes, named: CertID | None) -> None:
    with pytest.raises(MalformedRequestError) as refused:
        parse_request(der)

    assert refused.value.cert_id == named
    assert pickle.loads(pickle.dumps(refused.value)).cert_id == named


def test_a_critical_wish_for_other_responses_than_basic_ones_is_not_ignored() -> None:
    wish = extension(RESPONSE_TYPES, tlv(SEQUENCE, tlv(OID, UNKNOWN)), critical=b"\xff")
    with pytest.raises(MalformedRequestError, match="the basic response is not among those"):
        parse_request(encode_request(ASKED, after=extensions(wish)))


def test_a_critical_nonce_of_one_certificate_is_none_that_is_understood() -> None:
    nonce = extension(NONCE, b"\4\1n", critical=b"\xff")
    with pytest.raises(MalformedRequestError, match="not understood"):
        parse_request(encode_request(ASKED, in_request=tlv(0xA0, tlv(SEQUENCE, nonce))))


@pytest.mark.parametrize(("der", "why"), MALFORMED.values(), ids=MALFORMED.keys())
def test_everything_else_is_malformed_and_says_why(der: bytes, why: str) -> None:
    with pytest.raises(MalformedRequestError, match=why):
        parse_request(der)


@given(der=st.binary(max_size=200))
def test_no_octets_raise_anything_but_malformed(der: bytes) -> None:
    with pytest.raises(MalformedRequestError):
        parse_request(der)


@given(data=st.data())
def test_a_damaged_request_is_malformed_or_means_what_cryptography_reads(data: st.DataObject) -> None:
    damaged = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 3), label="damaged octets")):
        damaged[data.draw(st.integers(0, len(GOOD) - 1), label="at")] = data.draw(st.integers(0, 255), label="octet")
    try:
        asked = parse_request(bytes(damaged))
        peer = ocsp.load_der_ocsp_request(bytes(damaged))
        peer_asked = (peer.issuer_name_hash, peer.issuer_key_hash, peer.serial_number)
    except (MalformedRequestError, ValueError, UnsupportedAlgorithm):
        return
    assert (asked.issuer_name_hash, asked.issuer_key_hash, asked.serial_number) == peer_asked


@pytest.fixture(scope="module")
def issuer() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Issuer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


def expected(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm, serial: int) -> CertID:
    point = issuer.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    digests = []
    for octets in (issuer.subject.public_bytes(), point):
        digest = hashes.Hash(algorithm)
        digest.update(octets)
        digests.append(digest.finalize())
    oid = SHA1 if isinstance(algorithm, hashes.SHA1) else SHA256
    name_hash, key_hash = digests
    return CertID(oid, name_hash, key_hash, cert_id(serial).serial)


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()], ids=["sha1", "sha256"])
@pytest.mark.parametrize("nonce", [None, b"0123456789abcdef", bytes(32)], ids=["plain", "nonce-16", "nonce-32"])
def test_requests_of_cryptography_are_understood(
    issuer: x509.Certificate, algorithm: hashes.SHA1 | hashes.SHA256, nonce: bytes | None
) -> None:
    builder = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, algorithm)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    der = builder.build().public_bytes(serialization.Encoding.DER)

    assert (NONCE in der) == (nonce is not None)
    assert parse_request(der) == expected(issuer, algorithm, 5)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("serial", ["0x7f", "0x80", "0xffffffffffffffffffffffffffffffffffffffff", "-0x1234"])
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
def test_requests_of_openssl_are_understood(
    issuer: x509.Certificate, tmp_path: Path, hash_name: str, serial: str, nonce: str
) -> None:
    (tmp_path / "issuer.pem").write_bytes(issuer.public_bytes(serialization.Encoding.PEM))
    out = tmp_path / "request.der"
    command = [
        judge("openssl"),
        "ocsp",
        "-issuer",
        str(tmp_path / "issuer.pem"),
        f"-{hash_name}",
        "-serial",
        serial,
        nonce,
    ]
    subprocess.run([*command, "-reqout", str(out)], check=True, capture_output=True)

    algorithm = hashes.SHA1() if hash_name == "sha1" else hashes.SHA256()
    assert parse_request(out.read_bytes()) == expected(issuer, algorithm, int(serial, 16))


REQUESTS = [
    encode_request(encode_cert_id(cert_id(serial, oid), parameters=parameters), after=after)
    for serial in (0x51, -1, 0x1234, 0x7FFF_FFFF_FFFF_FFFF, 1 << 126, (1 << 158) + 12_345)
    for oid in (SHA1, SHA256)
    for parameters in (tlv(NULL), b"")
    for after in (b"", nonce_extension(b"n" * 16))
]


def in_full(der: bytes) -> CertID | str:
    try:
        return _ocsp_request(Cursor(der)) if der else "an empty request"
    except ValueError as error:
        return str(error)


def in_short(der: bytes) -> CertID | str:
    try:
        return parse_request(der)
    except MalformedRequestError as error:
        return str(error)


@given(st.sampled_from(REQUESTS), st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3))))
def test_a_request_that_begins_as_another_one_is_read_as_if_it_were_the_first(
    der: bytes, edits: list[tuple[int, bytes, int]]
) -> None:
    for one in REQUESTS:
        assert parse_request(one) == in_full(one)
    for at, octets, removed in edits:
        der = der[:at] + octets + der[at + removed :]

    assert in_short(der) == in_full(der)
    assert in_short(der) == in_full(der)  # also when it is known itself


@given(st.sampled_from([one for one in REQUESTS if NONCE not in one]), st.binary(min_size=1, max_size=20))
def test_any_serial_behind_a_known_beginning_is_read_as_if_it_were_the_first(der: bytes, serial: bytes) -> None:
    for one in REQUESTS:
        parse_request(one)
    changed = der[: -len(serial)] + serial if len(serial) < len(der) else der

    assert in_short(changed) == in_full(changed)
