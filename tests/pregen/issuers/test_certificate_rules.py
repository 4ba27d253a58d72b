from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pregen.issuers import inspect_issuers
from tests import pki
from tests.pki import DAY, NOW
from tests.pregen.issuers.office import SECOND, Fields, Office, found

LAB = {"validity.profile": "lab"}
URL = x509.UniformResourceIdentifier("http://example.org/")


def test_a_leaf_is_no_issuer(office: Office) -> None:
    assert set(found(office.own(pki.make_issuer(ca=False)))) == {"error issuer.not-ca"}
    assert set(found(office.own(pki.make_issuer(ca=None)))) == {"warning issuer.not-ca"}


def test_an_expired_issuer_is_refused_to_the_second(office: Office) -> None:
    config = office.own(pki.make_issuer(not_after=NOW))

    assert found(config, NOW) == {}
    assert "expired at 2026-11-24T00:00:00Z" in found(config, NOW + SECOND)["error issuer.expired"]


def test_an_issuer_that_is_not_yet_valid_is_refused_to_the_second(office: Office) -> None:
    config = office.own(pki.make_issuer(not_before=NOW))

    assert found(config, NOW) == {}
    assert "from 2026-11-24T00:00:00Z on" in found(config, NOW - SECOND)["error issuer.not-yet-valid"]


def test_an_issuer_signs_itself_only_with_digital_signature(office: Office) -> None:
    root = pki.make_issuer(uses=("key_cert_sign", "crl_sign"))

    assert "name a responder_certificate" in found(office.own(root))["error issuer.key-usage"]
    assert found(office.delegated(root, pki.make_responder(root))) == {}


def test_a_responder_of_the_rules_causes_no_finding(office: Office) -> None:
    root = pki.make_issuer()

    assert found(office.delegated(root, pki.make_responder(root))) == {}


def test_a_responder_of_another_issuer_is_refused(office: Office) -> None:
    responder = pki.make_responder(pki.make_issuer("Other Root"))

    assert (
        "names another issuer" in found(office.delegated(pki.make_issuer(), responder))["error responder.wrong-issuer"]
    )


def test_a_responder_that_only_names_the_issuer_is_refused(office: Office) -> None:
    namesake = pki.make_issuer()

    message = found(office.delegated(pki.make_issuer(), pki.make_responder(namesake)))["error responder.wrong-issuer"]

    assert "is not signed with its key" in message


@pytest.mark.parametrize("kind", ["p256", "rsa2048"])
def test_a_sha1_signature_is_refused(office: Office, kind: pki.KeyKind) -> None:
    root = pki.make_issuer(key=pki.make_key(kind))

    findings = found(office.delegated(root, pki.make_responder(root, sha1=True)))

    assert set(findings) == {"error responder.weak-signature"}


def test_ocsp_signing_is_needed(office: Office) -> None:
    root = pki.make_issuer()

    assert set(found(office.delegated(root, pki.make_responder(root, eku=())))) == {"error responder.no-eku"}
    other = pki.make_responder(root, eku=(ExtendedKeyUsageOID.SERVER_AUTH,))
    assert "error responder.no-eku" in found(office.delegated(root, other))


@pytest.mark.parametrize(("nocheck", "text"), [(None, "lacks id-pkix-ocsp-nocheck"), (b"\x04\x00", "is not NULL")])
def test_nocheck_is_needed(office: Office, nocheck: bytes | None, text: str) -> None:
    root = pki.make_issuer()

    findings = found(office.delegated(root, pki.make_responder(root, nocheck=nocheck)))

    assert text in findings.pop("error responder.no-nocheck")
    assert findings == {}

    lenient = found(office.delegated(root, pki.make_responder(root, nocheck=nocheck), **LAB))

    assert set(lenient) == {"warning responder.no-nocheck"}


def test_a_responder_needs_digital_signature(office: Office) -> None:
    root = pki.make_issuer()

    findings = found(office.delegated(root, pki.make_responder(root, uses=("crl_sign",))))

    assert set(findings) == {"error responder.key-usage", "error responder.profile"}


def test_validity_is_judged_to_the_second(office: Office) -> None:
    root = pki.make_issuer()
    config = office.delegated(root, pki.make_responder(root, not_before=NOW, not_after=NOW + DAY))

    assert found(config, NOW) == found(config, NOW + DAY) == {}
    assert set(found(config, NOW - SECOND)) == {"error responder.not-yet-valid"}
    assert set(found(config, NOW + DAY + SECOND)) == {"error responder.expired"}


DEPARTURES: dict[str, dict[str, Any]] = {
    "no key usage": {"uses": ()},
    "a key usage that is not digitalSignature alone": {"uses": ("digital_signature", "crl_sign")},
    "alone and critical": {"critical_usage": False},
    "further extended key usages": {
        "eku": (ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH),
    },
    "no authority key identifier": {"authority_key_identifier": False},
    "a subject alternative name": {"alternative_name": "ocsp.example"},
    "CRL distribution points": {
        "further": (x509.CRLDistributionPoints([x509.DistributionPoint([URL], None, None, None)]),),
    },
    "name constraints": {"further": (x509.NameConstraints([x509.DNSName("example")], None),)},
    "the right to issue certificates": {"further": (x509.BasicConstraints(ca=True, path_length=None),)},
}


@pytest.mark.parametrize("departure", DEPARTURES)
def test_a_departure_from_the_baseline_requirements_is_an_error_under_a_public_profile(
    office: Office, departure: str
) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(root, **DEPARTURES[departure])

    for profile in ("strict", "cabf-tls", "cabf-cs", "mozilla", "microsoft"):
        findings = found(office.delegated(root, responder, **{"validity.profile": profile}))
        assert departure in findings.pop("error responder.profile")
        assert findings == {}
    findings = found(office.delegated(root, responder, **LAB))
    assert departure in findings.pop("warning responder.profile")
    assert findings == {}


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        (
            "authority information access",
            x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, URL)]),
        ),
        (
            "certificate policies",
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]),
        ),
    ],
)
def test_what_is_not_recommended_is_a_warning(office: Office, name: str, extension: x509.ExtensionType) -> None:
    root = pki.make_issuer()

    findings = found(office.delegated(root, pki.make_responder(root, further=(extension,))))

    assert name in findings.pop("warning responder.not-recommended")
    assert findings == {}


def test_what_the_baseline_requirements_allow_beyond_the_minimum_is_no_finding(office: Office) -> None:
    root, key = pki.make_issuer(), pki.make_key()
    further = (
        x509.BasicConstraints(ca=False, path_length=None),
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
    )

    assert found(office.delegated(root, pki.make_responder(root, key=key, further=further))) == {}


def test_the_profile_of_each_issuer_counts(office: Office) -> None:
    sections: list[Fields] = []
    for number, profile in enumerate(["strict", "lab", "microsoft"]):
        root = pki.make_issuer(f"Root {number}")
        pki.make_responder(root, alternative_name="ocsp.example").write(office.folder, f"ocsp{number}")
        pki.write_certificates(office.folder / f"{number}.pem", root)
        files = {"certificate": f"{number}.pem", "responder_certificate": f"ocsp{number}.pem"}
        sections.append({"name": f"r{number}", "key": f"ocsp{number}.key", "validity.profile": profile, **files})

    issuers, findings = inspect_issuers(office.config(*sections, profile="lab"), NOW)

    assert [finding.severity for finding in findings] == ["error", "warning", "error"]
    assert [issuer.names for issuer in issuers] == [("r1",)]


def test_what_clients_refuse_is_an_error_under_lab_too(office: Office) -> None:
    root = pki.make_issuer()
    for changes, code in (
        ({"eku": ()}, "responder.no-eku"),
        ({"uses": ("crl_sign",)}, "responder.key-usage"),
        ({"sha1": True}, "responder.weak-signature"),
        ({"not_after": NOW - DAY}, "responder.expired"),
    ):
        responder = pki.make_responder(root, not_before=NOW - 9 * DAY, **changes)
        assert f"error {code}" in found(office.delegated(root, responder, **LAB))


def test_departures_from_the_baseline_requirements_are_one_finding(office: Office) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(
        root,
        uses=(),
        eku=(ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH),
        alternative_name="ocsp.example",
        authority_key_identifier=False,
    )

    message = found(office.delegated(root, responder))["error responder.profile"]

    for departure in ("no key usage", "further extended", "no authority key", "a subject alternative name"):
        assert departure in message


def test_the_issuers_own_certificate_is_no_responder(office: Office) -> None:
    root = pki.make_issuer()

    assert set(found(office.delegated(root, root))) == {"error responder.is-issuer"}


def test_a_responder_that_cannot_be_checked_is_refused(office: Office) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(root, serial=0x0102030405060708)
    config = office.delegated(root, responder)
    negative = responder.der.replace(bytes.fromhex("0102030405060708"), bytes.fromhex("8102030405060708"), 1)
    (office.folder / "ocsp.pem").write_bytes(negative)

    assert "a serial number which wasn't positive" in found(config)["error responder.unsupported"]
