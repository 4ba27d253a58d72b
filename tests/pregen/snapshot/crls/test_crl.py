from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from asn1crypto import x509 as names
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pregen import clock
from pregen.errors import InputError
from pregen.names import name_key
from pregen.reasons import REASONS
from pregen.snapshot import NO_REASON, Crl, CrlEntries, read_crls
from tests.pki import DAY, NOW, make_issuer, make_name, shared_key
from tests.pregen.snapshot.crls.authority import (
    REVOKED_AT,
    Entry,
    built,
    crl_issuer,
    damaged,
    forged,
    pem,
    printable_name,
    write,
)

ISSUER = make_issuer(key=shared_key())
OTHER = make_issuer()
RSA = make_issuer(key=shared_key("rsa2048"))
CRITICAL, INDIRECT, INVALIDITY = "1.2.3.4", "2.5.29.29", "2.5.29.24"


def only(folder: Path, octets: bytes) -> Crl:
    (crl,) = read_crls(write(folder, "one.crl", octets))
    return crl


def serials(entries: CrlEntries) -> list[int]:
    return [int.from_bytes(one.as_py() or b"", "big", signed=True) for one in entries.serial]


def test_a_crl_is_read_from_der_and_from_pem(tmp_path: Path) -> None:
    der = built(ISSUER, [5, 2**158], reason=x509.ReasonFlags.superseded)

    for octets in (der, pem(der)):
        crl = only(tmp_path, octets)
        assert crl.issuer == ISSUER.certificate.subject.public_bytes()
        assert (crl.number, crl.base_number, crl.is_delta, crl.scope) == (7, None, False, b"")
        assert crl.this_update == clock.seconds(NOW) - 3_600
        assert crl.next_update == crl.this_update + 7 * 86_400
        entries = crl.entries()
        assert serials(entries) == [5, 2**158]
        assert entries.revoked_at.tolist() == [clock.seconds(REVOKED_AT)] * 2
        assert entries.reason.tolist() == [4, 4]


def test_a_pem_file_may_hold_several_crls(tmp_path: Path) -> None:
    path = write(tmp_path, "all.pem", b"what they are:\n" + pem(built(ISSUER, [1]), built(OTHER, [2])))

    assert [serials(crl.entries()) for crl in read_crls(path)] == [[1], [2]]


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
def test_serials_come_out_as_the_octets_that_certificates_have(tmp_path: Path, encoded_default: bool) -> None:
    numbers = [0, 1, 127, 128, 255, 256, -1, -128, -129, -(2**159), 2**167 - 1, -(2**167)]
    crl = only(tmp_path, forged(ISSUER, [Entry(serial=one) for one in numbers], encoded_default=encoded_default))

    entries = crl.entries()

    assert serials(entries) == numbers
    sizes = [((one if one >= 0 else ~one).bit_length() // 8) + 1 for one in numbers]
    assert [len(one.as_py() or b"") for one in entries.serial] == sizes
    assert max(sizes) == 21


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
@pytest.mark.parametrize("reason", [*REASONS.values(), 8, None])
def test_every_reason_is_read_and_none_is_told_from_unspecified(
    tmp_path: Path, reason: int | None, encoded_default: bool
) -> None:
    crl = only(tmp_path, forged(ISSUER, [Entry(serial=1, reason=reason)], encoded_default=encoded_default))

    assert crl.entries().reason.tolist() == [NO_REASON if reason is None else reason]


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (Entry(serial=9, reason=7), "crl.entry"),
        (Entry(serial=9, at=datetime(1969, 12, 31, tzinfo=UTC)), "crl.entry"),
        (Entry(serial=9, at=datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)), "crl.entry"),
        (Entry(serial=2**200), "crl.entry"),
        (Entry(serial=9, extensions=((CRITICAL, True, b"\x05\x00"),)), "crl.critical-extension"),
        (Entry(serial=9, extensions=((INDIRECT, True, bytes.fromhex("3003820178")),)), "crl.indirect"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_apart_and_the_others_stay(
    tmp_path: Path, entry: Entry, code: str, encoded_default: bool
) -> None:
    listed = [Entry(serial=1), entry, entry, Entry(serial=2)]
    entries = only(tmp_path, forged(ISSUER, listed, encoded_default=encoded_default)).entries()

    assert serials(entries) == [1, 2]
    assert {one: (odd.count, odd.serials) for one, odd in entries.odd.items()} == {code: (2, [f"{entry.serial:x}"] * 2)}


def test_an_invalidity_date_and_unknown_extensions_that_are_not_critical_change_nothing(tmp_path: Path) -> None:
    extra = ((INVALIDITY, False, bytes.fromhex("180f32303236313130313030303030305a")), (CRITICAL, False, b"\x05\x00"))
    entries = only(tmp_path, forged(ISSUER, [Entry(serial=3, reason=1, extensions=extra)])).entries()

    assert (serials(entries), entries.reason.tolist(), entries.odd) == ([3], [1], {})


UNUSED = {
    "invalidity date in UTCTime": (INVALIDITY, False, bytes.fromhex("170d3236313130313030303030305a")),
    "invalidity date with a fraction": (INVALIDITY, False, b"\x18\x1120261101000000.5Z"),
    "invalidity date without seconds": (INVALIDITY, False, b"\x18\x0d202611010000Z"),
    "invalidity date of no octet": (INVALIDITY, False, b""),
    "critical invalidity date of rubbish": (INVALIDITY, True, b"\xff\xff"),
    "hold instruction": ("2.5.29.23", False, b"\x06\x07\x2a\x86\x48\xce\x38\x02\x03"),
    "critical hold instruction of rubbish": ("2.5.29.23", True, b"\x04"),
    "unknown rubbish": (CRITICAL, False, b"\x30\xff"),
}


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("extension", UNUSED.values(), ids=UNUSED.keys())
def test_a_value_that_is_not_used_never_keeps_an_entry_from_being_read(
    tmp_path: Path, extension: tuple[str, bool, bytes], times: int, encoded_default: bool
) -> None:
    listed = [Entry(serial=1), Entry(serial=3, reason=4, extensions=(extension,) * times), Entry(serial=5, reason=1)]
    entries = only(tmp_path, forged(ISSUER, listed, encoded_default=encoded_default)).entries()

    assert (serials(entries), entries.reason.tolist(), entries.odd) == ([1, 3, 5], [NO_REASON, 4, 1], {})


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
@pytest.mark.parametrize("value", [b"\x02\x01\x01", b"\x0a", b"", b"\x0a\x01\x07", b"\x0a\x01\x01\x00"])
@pytest.mark.parametrize("beside", [(), (UNUSED["invalidity date of no octet"],)])
def test_a_reason_that_is_none_is_told_whatever_stands_beside_it(
    tmp_path: Path, value: bytes, beside: tuple[tuple[str, bool, bytes], ...], encoded_default: bool
) -> None:
    odd = Entry(serial=9, extensions=(*beside, ("2.5.29.21", False, value)))
    entries = only(tmp_path, forged(ISSUER, [odd, Entry(serial=2)], encoded_default=encoded_default)).entries()

    assert (serials(entries), {code: one.serials for code, one in entries.odd.items()}) == ([2], {"crl.entry": ["9"]})


@pytest.mark.parametrize("encoded_default", [False, True], ids=["strict", "left to asn1crypto"])
@pytest.mark.parametrize(("other", "odd"), [(b"\x0a\x01\x04", set()), (b"\x0a\x01\x01", {"crl.entry"})])
def test_two_reasons_of_one_entry_must_agree(
    tmp_path: Path, other: bytes, odd: set[str], encoded_default: bool
) -> None:
    listed = [Entry(serial=9, reason=4, extensions=(("2.5.29.21", False, other),))]

    assert set(only(tmp_path, forged(ISSUER, listed, encoded_default=encoded_default)).entries().odd) == odd


@pytest.mark.parametrize("oid", ["2.5.29.35", "2.5.29.18", "2.5.29.46", "1.3.6.1.5.5.7.1.1", CRITICAL])
@pytest.mark.parametrize("times", [1, 2])
def test_an_extension_of_a_crl_whose_value_is_not_used_may_be_any_octets(tmp_path: Path, oid: str, times: int) -> None:
    crl = only(tmp_path, forged(ISSUER, [Entry(serial=3)], extensions=[(oid, False, b"\x30\xff")] * times))

    assert (crl.number, crl.unknown, serials(crl.entries())) == (7, (), [3])
    assert crl.is_signed_by(crl_issuer(ISSUER).public_key)


def test_a_crl_whose_scope_cannot_be_read_is_called_a_crl(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        only(tmp_path, forged(ISSUER, extensions=[("2.5.29.28", True, bytes.fromhex("3004a0020400"))]))

    (finding,) = caught.value.findings
    assert "it is a CRL, but what says whose it is, when it is of, or what it covers cannot be read" in finding.message


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519", "ml-dsa-44"])
def test_a_signature_verifies_with_the_key_that_made_it_alone(tmp_path: Path, kind: str) -> None:
    issuer = make_issuer(key=shared_key(kind))
    digest = None if kind in {"ed25519", "ml-dsa-44"} else SHA256()
    builder = x509.CertificateRevocationListBuilder(issuer.certificate.subject, NOW, NOW + DAY)
    crl = only(tmp_path, builder.sign(issuer.key, digest).public_bytes(Encoding.DER))

    assert crl.is_signed_by(crl_issuer(issuer).public_key)
    assert not crl.is_signed_by(crl_issuer(OTHER).public_key)
    assert crl.digest == ("sha256" if digest else None)


@pytest.mark.parametrize("issuer", [ISSUER, RSA], ids=["ecdsa", "rsa"])
def test_a_signature_of_a_crl_that_cryptography_refuses_is_checked_too(tmp_path: Path, issuer: object) -> None:
    party = ISSUER if issuer is ISSUER else RSA
    der = forged(party, [Entry(serial=1)], encoded_default=True)
    with pytest.raises(ValueError, match="parsing"):
        x509.load_der_x509_crl(der)

    assert only(tmp_path, der).is_signed_by(crl_issuer(party).public_key)
    assert not only(tmp_path, der).is_signed_by(crl_issuer(OTHER).public_key)
    assert not only(tmp_path, damaged(der)).is_signed_by(crl_issuer(party).public_key)


def test_what_a_crl_leaves_out_stands_in_its_distribution_point(tmp_path: Path) -> None:
    part = only(tmp_path, forged(ISSUER, scope={"only_contains_user_certs": True}))
    assert (part.partial, part.indirect, part.scope != b"") == ("", False, True)

    assert only(tmp_path, forged(ISSUER, scope={"indirect_crl": True})).indirect
    assert "onlySomeReasons" in only(tmp_path, forged(ISSUER, scope={"only_some_reasons": {"key_compromise"}})).partial
    assert "attribute" in only(tmp_path, forged(ISSUER, scope={"only_contains_attribute_certs": True})).partial
    none = only(tmp_path, forged(ISSUER, scope={"only_contains_user_certs": True, "only_contains_ca_certs": True}))
    assert "about none" in none.partial


def test_what_a_crl_covers_stands_in_its_distribution_point(tmp_path: Path) -> None:
    def covered(scope: dict[str, object] | None) -> set[str]:
        return set(only(tmp_path, forged(ISSUER, scope=scope)).covers)

    assert covered(None) == covered({"only_contains_user_certs": False}) == {"user", "ca"}
    assert covered({"only_contains_user_certs": True}) == {"user"}
    assert covered({"only_contains_ca_certs": True}) == {"ca"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (names.GeneralName("uniform_resource_identifier", "http://c.example/1.crl"), "http://c.example/1.crl"),
        (names.GeneralName("directory_name", names.Name.build({"common_name": "Part 1"})), "Common Name: Part 1"),
        (names.GeneralName("registered_id", "1.2.3.4"), "1.2.3.4"),
        (names.Name.build({"common_name": "Part 1"}).chosen[0], "Common Name: Part 1"),
    ],
    ids=["URL", "directory name", "other", "relative"],
)
def test_a_distribution_point_is_named_as_people_read_it(tmp_path: Path, name: object, text: str) -> None:
    where = ("full_name", [name]) if isinstance(name, names.GeneralName) else ("name_relative_to_crl_issuer", name)

    crl = only(tmp_path, forged(ISSUER, scope={"distribution_point": names.DistributionPointName(*where)}))

    assert crl.point == text


def test_a_distribution_point_without_a_name_cannot_be_read(tmp_path: Path) -> None:
    nothing = names.DistributionPointName("full_name", [])

    with pytest.raises(InputError) as caught:
        only(tmp_path, forged(ISSUER, scope={"distribution_point": nothing}))

    assert "without a name" in caught.value.findings[0].message


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x03\x02\x01\x01",
        b"plain text",
        built(ISSUER, [1])[:-1],
        built(ISSUER, [1]) + b"\0",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        forged(ISSUER, extensions=[("2.5.29.20", False, b"\x02\x01\x08")]),
    ],
    ids=["empty", "another sequence", "text", "cut off", "more octets", "no CRL", "a number twice"],
)
def test_what_is_no_crl_is_refused_with_its_file(tmp_path: Path, octets: bytes) -> None:
    with pytest.raises(InputError) as caught:
        read_crls(write(tmp_path, "odd.crl", octets))

    (finding,) = caught.value.findings
    assert finding.code == "crl.unreadable"
    assert str(tmp_path / "odd.crl") in finding.message


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_crls(tmp_path / "none.crl")


@given(at=st.integers(0, 400), flipped=st.integers(1, 255))
def test_a_damaged_crl_is_refused_or_its_signature_is_wrong(
    tmp_path_factory: pytest.TempPathFactory, at: int, flipped: int
) -> None:
    """Whatever octet is damaged: no traceback, and nobody takes it for the issuer's."""
    raw = bytearray(SAMPLE)
    raw[at % len(raw)] ^= flipped
    path = write(tmp_path_factory.getbasetemp(), "damaged.crl", bytes(raw))
    try:
        (crl,) = read_crls(path)
        accepted = crl.is_signed_by(crl_issuer(ISSUER).public_key)
    except (InputError, ValueError):
        return
    assert not accepted or np.array_equal(crl.entries().revoked_at, [clock.seconds(REVOKED_AT)])


SAMPLE = built(ISSUER, [0x1234])


def test_names_are_the_same_whatever_string_types_they_use() -> None:
    one = make_name("Example Root R1")
    other = printable_name("EXAMPLE Root  r1")

    assert one.public_bytes() != other.public_bytes()
    assert name_key(one.public_bytes()) == name_key(other.public_bytes())
    assert name_key(make_name("Another").public_bytes()) != name_key(one.public_bytes())
    assert name_key(b"no name") == b"no name".hex()
