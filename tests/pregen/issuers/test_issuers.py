import hashlib
import pickle
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import cryptography_vectors
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Config, load_config
from pregen.errors import ConfigError
from pregen.issuers import Issuer, KeySource, inspect_issuers, load_issuers
from pregen.issuers.certificates import read_certificates
from storage.certid import SHA1, SHA256
from tests import pki
from tests.pki import DAY, NOW

SECOND = DAY / 86_400
Fields: TypeAlias = dict[str, str | list[str]]


@dataclass
class Office:
    """A folder with certificates, keys and a configuration that names them."""

    folder: Path

    def config(self, *sections: Fields) -> Config:
        lines = ['[publish]\nstore = "answers"']
        for section in sections:
            lines += ["[[issuer]]", *(f"{field} = {value!r}" for field, value in section.items())]
        path = self.folder / "pregen.toml"
        path.write_text("\n".join(lines))
        return load_config(path)

    def delegated(self, issuer: pki.Party, responder: pki.Party, **changes: str | list[str]) -> Config:
        """One issuer whose answers a responder signs."""
        pki.write_certificates(self.folder / "ca.pem", issuer)
        responder.write(self.folder, "ocsp")
        section: Fields = {
            "name": "r1",
            "certificate": "ca.pem",
            "responder_certificate": "ocsp.pem",
            "key": "ocsp.key",
        }
        return self.config(section | changes)

    def own(self, issuer: pki.Party, **changes: str | list[str]) -> Config:
        """One issuer that signs itself."""
        issuer.write(self.folder, "ca")
        section: Fields = {"name": "r1", "certificate": "ca.pem", "key": "ca.key"}
        return self.config(section | changes)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


@pytest.fixture(scope="module")
def damage_office(tmp_path_factory: pytest.TempPathFactory) -> tuple[Office, Config]:
    """A right office in DER, where every octet counts; whoever damages a file restores it."""
    office = Office(tmp_path_factory.mktemp("damage"))
    root = pki.make_issuer()
    responder = pki.make_responder(root)
    config = office.delegated(root, responder)
    (office.folder / "ca.pem").write_bytes(root.der)
    (office.folder / "ocsp.pem").write_bytes(responder.der)
    key = responder.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (office.folder / "ocsp.key").write_bytes(key)
    return office, config


def found(config: Config, now: datetime = NOW) -> dict[str, str]:
    """Return the messages of all findings, by severity and code."""
    _, findings = inspect_issuers(config, now)
    assert len({finding.code for finding in findings}) == len(findings)
    return {f"{finding.severity} {finding.code}": finding.message for finding in findings}


def only(config: Config, now: datetime = NOW) -> Issuer:
    (issuer,), findings = load_issuers(config, now)
    assert findings == ()
    return issuer


def test_the_hashes_are_those_that_clients_compute(office: Office) -> None:
    root = pki.make_issuer()
    leaf = pki.make_issuer("Example CA", parent=root)

    issuer = only(office.delegated(root, pki.make_responder(root)))

    for oid, algorithm in ((SHA1, hashes.SHA1()), (SHA256, hashes.SHA256())):
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf.certificate, root.certificate, algorithm).build()
        assert issuer.name_hashes[oid] == request.issuer_name_hash
        assert issuer.key_hashes[oid] == request.issuer_key_hash
    number = hashlib.sha256(issuer.name_hashes[SHA256] + issuer.key_hashes[SHA256]).digest()[:8]
    assert issuer.issuer_id.to_bytes(8, "big") == number
    assert issuer.subject == root.certificate.subject.public_bytes()
    assert issuer.certificates == (root.der,)


@pytest.mark.parametrize("kind", ["by-key", "by-name"])
def test_the_responder_id_names_the_signer(office: Office, kind: str) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(root)

    made = only(office.delegated(root, responder, responder_id=kind)).responder

    assert made.id_kind == kind
    assert made.certificate == responder.der
    if kind == "by-key":
        assert made.id_octets == x509.SubjectKeyIdentifier.from_public_key(responder.key.public_key()).digest
    else:
        name = responder.certificate.subject.public_bytes()
        assert (name[0], name[2:]) == (0x30, made.id_octets)


def test_an_issuer_that_signs_itself_embeds_no_certificate(office: Office) -> None:
    root = pki.make_issuer()

    made = only(office.own(root)).responder

    assert made.certificate is None
    assert made.id_octets == x509.SubjectKeyIdentifier.from_public_key(root.key.public_key()).digest
    assert made.public_key == root.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("choice", "expected"), [("separate", (SHA1, SHA256)), ("sha1", (SHA1,)), ("sha256", (SHA256,))]
)
def test_cert_ids_are_listed_sha1_first(office: Office, choice: str, expected: tuple[str, ...]) -> None:
    assert only(office.own(pki.make_issuer(), cert_ids=choice)).cert_ids == expected


@pytest.mark.parametrize(
    ("kind", "issuer_kind", "algorithm"),
    [("p256", "rsa2048", "p256-sha256"), ("rsa2048", "p384", "rsa2048-sha256"), ("p256", "ed25519", "p256-sha256")],
)
def test_issuer_and_responder_may_have_keys_of_different_kinds(
    office: Office, kind: pki.KeyKind, issuer_kind: pki.KeyKind, algorithm: str
) -> None:
    root = pki.make_issuer(key=pki.make_key(issuer_kind))

    assert (
        only(office.delegated(root, pki.make_responder(root, key=pki.make_key(kind)))).responder.algorithm == algorithm
    )


def test_answers_end_with_whatever_ends_first(office: Office) -> None:
    root = pki.make_issuer(not_after=NOW + 30 * DAY)

    assert only(office.delegated(root, pki.make_responder(root, not_after=NOW + 9 * DAY))).not_after == NOW + 9 * DAY
    assert only(office.delegated(root, pki.make_responder(root, not_after=NOW + 90 * DAY))).not_after == NOW + 30 * DAY
    assert only(office.own(root)).not_after == NOW + 30 * DAY


def test_cross_certificates_are_one_issuer_that_lives_as_long_as_the_longest(office: Office) -> None:
    root, other = pki.make_issuer(not_after=NOW + 30 * DAY), pki.make_issuer("Other Root")
    cross = pki.make_issuer(key=root.key, parent=other, not_after=NOW - DAY)
    pki.write_certificates(office.folder / "cross.pem", cross)

    issuer = only(office.own(root, name=["r1", "r1-cross"], certificate=["cross.pem", "ca.pem", "ca.pem"]))

    assert issuer.names == ("r1", "r1-cross")
    assert issuer.certificates == (cross.der, root.der)
    assert issuer.not_after == NOW + 30 * DAY


def test_one_file_may_hold_all_cross_certificates(office: Office) -> None:
    root, other = pki.make_issuer(), pki.make_issuer("Other Root")
    cross = pki.make_issuer(key=root.key, parent=other)
    config = office.own(root)
    pki.write_certificates(office.folder / "ca.pem", root, cross)

    assert only(config).certificates == (root.der, cross.der)


def test_certificates_and_keys_may_be_der(office: Office) -> None:
    root = pki.make_issuer()
    config = office.own(root)
    (office.folder / "ca.pem").write_bytes(root.der)
    der = root.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (office.folder / "ca.key").write_bytes(der)

    assert only(config).certificates == (root.der,)


def test_an_issuer_travels_to_a_worker_that_opens_the_key_itself(office: Office) -> None:
    root = pki.make_issuer()

    issuer = pickle.loads(pickle.dumps(only(office.own(root))))

    assert issuer == only(office.own(root))
    assert issuer.responder.key.open().public_key() == root.key.public_key()


class TestKeys:
    def test_an_encrypted_key_opens_with_the_passphrase_of_the_environment(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = pki.make_issuer()
        config = office.own(root, key_passphrase_env="CA_PASS")
        pki.write_key(office.folder / "ca.key", root.key, passphrase="swordfish")

        monkeypatch.setenv("CA_PASS", "swordfish")
        assert only(config).responder.key.open().public_key() == root.key.public_key()

        monkeypatch.setenv("CA_PASS", "haddock")
        message = found(config)["error key.passphrase.wrong"]
        assert "environment variable CA_PASS" in message
        assert "haddock" not in message

        monkeypatch.delenv("CA_PASS")
        assert (
            "put its passphrase into the environment variable CA_PASS" in found(config)["error key.passphrase.missing"]
        )

    def test_an_encrypted_key_without_a_variable_says_which_field_to_write(self, office: Office) -> None:
        root = pki.make_issuer()
        config = office.own(root)
        pki.write_key(office.folder / "ca.key", root.key, passphrase="swordfish")

        assert "in key_passphrase_env" in found(config)["error key.passphrase.missing"]

    @pytest.mark.parametrize(
        "content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
    )
    def test_a_file_that_is_no_key_is_named(self, office: Office, content: bytes) -> None:
        config = office.own(pki.make_issuer())
        (office.folder / "ca.key").write_bytes(content)

        message = found(config)["error key.unreadable"]

        assert message.startswith(f'issuer "r1": {office.folder / "ca.key"}: the key file holds no private key')

    def test_a_missing_key_is_named(self, office: Office) -> None:
        config = office.own(pki.make_issuer(), key="nothing.key")

        assert "nothing.key: the key cannot be read: No such file" in found(config)["error key.unreadable"]

    @pytest.mark.parametrize(
        ("kind", "name"),
        [("p384", "secp384r1"), ("rsa3072", "an RSA key of 3072 bits"), ("ed25519", "of the kind Ed25519")],
    )
    def test_a_key_of_another_kind_comes_later(self, office: Office, kind: pki.KeyKind, name: str) -> None:
        message = found(office.own(pki.make_issuer(key=pki.make_key(kind))))["error key.unsupported"]

        assert name in message
        assert "others come later" in message

    def test_the_address_of_a_key_elsewhere_comes_later(self, office: Office) -> None:
        config = office.own(pki.make_issuer(), key="pkcs11:token=ocsp")

        assert "HSM and KMS keys come later" in found(config)["error key.unsupported"]

    def test_a_damaged_rsa_key_is_never_used(self, office: Office) -> None:
        key = pki.make_key("rsa2048")
        assert isinstance(key, rsa.RSAPrivateKey)
        root = pki.make_issuer(key=key)
        config = office.own(root)
        whole = key.private_numbers()
        parts = {name: getattr(whole, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
        for name in ("dmp1", "dmq1", "iqmp"):
            wrong = rsa.RSAPrivateNumbers(**(parts | {name: parts[name] ^ 2}), public_numbers=whole.public_numbers)
            damaged = wrong.private_key(unsafe_skip_rsa_key_validation=True)
            pki.write_key(office.folder / "ca.key", damaged)

            assert "is damaged" in found(config)["error key.unreadable"], name

    def test_a_key_of_another_certificate_is_a_mismatch(self, office: Office) -> None:
        root = pki.make_issuer()
        config = office.delegated(root, pki.make_responder(root))
        pki.write_key(office.folder / "ocsp.key", pki.make_key())

        assert "name the key that belongs to it" in found(config)["error key.mismatch"]

    def test_a_key_of_another_kind_than_the_certificates_is_a_mismatch(self, office: Office) -> None:
        root = pki.make_issuer()
        config = office.delegated(root, pki.make_responder(root))
        pki.write_key(office.folder / "ocsp.key", pki.make_key("rsa2048"))

        assert set(found(config)) == {"error key.mismatch"}

    def test_the_issuers_own_key_for_a_responder_is_explained(self, office: Office) -> None:
        root = pki.make_issuer()
        config = office.delegated(root, pki.make_responder(root))
        pki.write_key(office.folder / "ocsp.key", root.key)

        assert "it is the issuer's own key" in found(config)["error key.mismatch"]

    @pytest.mark.parametrize(("mode", "expected"), [(0o644, True), (0o604, True), (0o602, True), (0o640, False)])
    def test_a_key_that_others_can_read_is_a_warning(self, office: Office, mode: int, expected: bool) -> None:
        config = office.own(pki.make_issuer())
        (office.folder / "ca.key").chmod(mode)

        issuers, findings = load_issuers(config, NOW)

        assert len(issuers) == 1
        assert [(finding.code, finding.severity) for finding in findings] == [("key.permissions", "warning")] * expected


class TestIssuerCertificates:
    @pytest.mark.parametrize(
        "spoil",
        [
            lambda path: path.unlink(),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"no certificate"),
            lambda path: path.write_bytes(path.read_bytes()[:300]),
            lambda path: path.write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
            lambda path: (path.unlink(), path.mkdir()),
        ],
        ids=["missing", "empty", "text", "truncated", "another-block", "folder"],
    )
    def test_a_file_that_is_no_certificate_is_named(self, office: Office, spoil: Callable[[Path], object]) -> None:
        config = office.own(pki.make_issuer())
        spoil(office.folder / "ca.pem")

        assert str(office.folder / "ca.pem") in found(config)["error certificate.unreadable"]

    def test_certificates_of_two_keys_are_not_one_issuer(self, office: Office) -> None:
        pki.make_issuer().write(office.folder, "new")
        config = office.own(pki.make_issuer(), certificate=["ca.pem", "new.pem"])

        assert "give each issuer a section of its own" in found(config)["error issuer.different-keys"]

    def test_a_leaf_is_no_issuer(self, office: Office) -> None:
        assert set(found(office.own(pki.make_issuer(ca=False)))) == {"error issuer.not-ca"}
        assert set(found(office.own(pki.make_issuer(ca=None)))) == {"warning issuer.not-ca"}

    def test_an_expired_issuer_is_refused_to_the_second(self, office: Office) -> None:
        config = office.own(pki.make_issuer(not_after=NOW))

        assert found(config, NOW) == {}
        assert "expired at 2026-11-24T00:00:00Z" in found(config, NOW + SECOND)["error issuer.expired"]

    def test_an_issuer_that_is_not_yet_valid_is_refused_to_the_second(self, office: Office) -> None:
        config = office.own(pki.make_issuer(not_before=NOW))

        assert found(config, NOW) == {}
        assert "from 2026-11-24T00:00:00Z on" in found(config, NOW - SECOND)["error issuer.not-yet-valid"]

    def test_an_issuer_signs_itself_only_with_digital_signature(self, office: Office) -> None:
        root = pki.make_issuer(uses=("key_cert_sign", "crl_sign"))

        assert "name a responder_certificate" in found(office.own(root))["error issuer.key-usage"]
        assert found(office.delegated(root, pki.make_responder(root))) == {}

    @pytest.mark.parametrize(
        "vector",
        [
            "cryptography.io.old_header.pem",
            "custom/negative_serial.pem",
            "belgian-eid-invalid-visiblestring.pem",
            "v1_cert.pem",
            "ecdsa_root.pem",
            "letsencryptx3.pem",
            "e-trust.ru.der",
            "custom/invalid-sct-length.der",
        ],
    )
    def test_odd_certificates_of_others_are_read(self, vector: str, tmp_path: Path) -> None:
        path = tmp_path / Path(vector).name
        with cryptography_vectors.open_vector_file(f"x509/{vector}", "rb") as source, path.open("wb") as copy:
            shutil.copyfileobj(source, copy)

        (certificate,) = read_certificates(path)

        assert certificate.not_before < certificate.not_after
        assert certificate.key_bits in certificate.public_key
        assert certificate.subject in certificate.der


class TestResponderCertificates:
    def test_a_responder_of_the_rules_causes_no_finding(self, office: Office) -> None:
        root = pki.make_issuer()

        assert found(office.delegated(root, pki.make_responder(root))) == {}

    def test_a_responder_of_another_issuer_is_refused(self, office: Office) -> None:
        responder = pki.make_responder(pki.make_issuer("Other Root"))

        assert (
            "names another issuer"
            in found(office.delegated(pki.make_issuer(), responder))["error responder.wrong-issuer"]
        )

    def test_a_responder_that_only_names_the_issuer_is_refused(self, office: Office) -> None:
        namesake = pki.make_issuer()

        message = found(office.delegated(pki.make_issuer(), pki.make_responder(namesake)))[
            "error responder.wrong-issuer"
        ]

        assert "is not signed with its key" in message

    @pytest.mark.parametrize("kind", ["p256", "rsa2048"])
    def test_a_sha1_signature_is_refused(self, office: Office, kind: pki.KeyKind) -> None:
        root = pki.make_issuer(key=pki.make_key(kind))

        findings = found(office.delegated(root, pki.make_responder(root, sha1=True)))

        assert set(findings) == {"error responder.weak-signature"}

    def test_ocsp_signing_is_needed(self, office: Office) -> None:
        root = pki.make_issuer()

        assert set(found(office.delegated(root, pki.make_responder(root, eku=())))) == {"error responder.no-eku"}
        other = pki.make_responder(root, eku=(ExtendedKeyUsageOID.SERVER_AUTH,))
        assert "error responder.no-eku" in found(office.delegated(root, other))

    @pytest.mark.parametrize(("nocheck", "text"), [(None, "lacks id-pkix-ocsp-nocheck"), (b"\x04\x00", "is not NULL")])
    def test_nocheck_is_needed(self, office: Office, nocheck: bytes | None, text: str) -> None:
        root = pki.make_issuer()

        findings = found(office.delegated(root, pki.make_responder(root, nocheck=nocheck)))

        assert text in findings.pop("error responder.no-nocheck")
        assert findings == {}

    def test_a_responder_needs_digital_signature(self, office: Office) -> None:
        root = pki.make_issuer()

        findings = found(office.delegated(root, pki.make_responder(root, uses=("crl_sign",))))

        assert set(findings) == {"error responder.key-usage", "warning responder.profile"}

    def test_validity_is_judged_to_the_second(self, office: Office) -> None:
        root = pki.make_issuer()
        config = office.delegated(root, pki.make_responder(root, not_before=NOW, not_after=NOW + DAY))

        assert found(config, NOW) == found(config, NOW + DAY) == {}
        assert set(found(config, NOW - SECOND)) == {"error responder.not-yet-valid"}
        assert set(found(config, NOW + DAY + SECOND)) == {"error responder.expired"}

    def test_departures_from_the_baseline_requirements_are_one_warning(self, office: Office) -> None:
        root = pki.make_issuer()
        responder = pki.make_responder(
            root,
            uses=(),
            eku=(ExtendedKeyUsageOID.OCSP_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH),
            alternative_name="ocsp.example",
            authority_key_identifier=False,
        )

        message = found(office.delegated(root, responder))["warning responder.profile"]

        for departure in ("no key usage", "further extended", "no authority key", "a subject alternative name"):
            assert departure in message

    def test_the_issuers_own_certificate_is_no_responder(self, office: Office) -> None:
        root = pki.make_issuer()

        assert set(found(office.delegated(root, root))) == {"error responder.is-issuer"}

    def test_a_responder_that_cannot_be_checked_is_refused(self, office: Office) -> None:
        root = pki.make_issuer()
        responder = pki.make_responder(root, serial=0x0102030405060708)
        config = office.delegated(root, responder)
        negative = responder.der.replace(bytes.fromhex("0102030405060708"), bytes.fromhex("8102030405060708"), 1)
        (office.folder / "ocsp.pem").write_bytes(negative)

        assert "a serial number which wasn't positive" in found(config)["error responder.unsupported"]

    def test_a_chain_is_no_responder_certificate(self, office: Office) -> None:
        root = pki.make_issuer()
        responder = pki.make_responder(root)
        config = office.delegated(root, responder)
        pki.write_certificates(office.folder / "ocsp.pem", responder, root)

        assert "holds 2 certificates" in found(config)["error certificate.several"]


class TestAllSections:
    def test_two_sections_of_one_issuer_are_refused_and_the_message_is_the_remedy(self, office: Office) -> None:
        root, other = pki.make_issuer(), pki.make_issuer("Other Root")
        cross = pki.make_issuer(key=root.key, parent=other)
        pki.write_certificates(office.folder / "cross.pem", cross)
        root.write(office.folder, "ca")
        config = office.config(
            {"name": 'r"1', "certificate": "ca.pem", "key": "ca.key", "cert_ids": "sha1"},
            {"name": "r1-cross", "certificate": ["cross.pem", "ca.pem"], "key": "ca.key"},
        )

        message = found(config)["error issuer.same-id"]

        assert 'issuer "r"1": is the same name and key as "r1-cross"' in message
        remedy = message[message.index("[[issuer]]") :]
        assert "# they disagree here" in remedy
        (office.folder / "pregen.toml").write_text(f'{remedy}\n[publish]\nstore = "answers"\n')
        merged = only(load_config(office.folder / "pregen.toml"))
        assert merged.names == ('r"1', "r1-cross")
        assert set(merged.certificates) == {root.der, cross.der}
        assert tomllib.loads(remedy)["issuer"][0]["cert_ids"] == "sha1"

    def test_everything_that_is_wrong_is_reported_at_once(self, office: Office) -> None:
        root = pki.make_issuer()
        pki.make_responder(root, nocheck=None, not_after=NOW - SECOND).write(office.folder, "ocsp")
        pki.write_key(office.folder / "ocsp.key", pki.make_key(), mode=0o644)
        root.write(office.folder, "ca")
        config = office.config(
            {"name": "a", "certificate": "ca.pem", "responder_certificate": "ocsp.pem", "key": "ocsp.key"},
            {"name": "b", "certificate": "missing.pem", "key": "missing.key"},
        )

        with pytest.raises(ConfigError) as caught:
            load_issuers(config, NOW)

        assert caught.value.message.startswith("5 mistakes in keys and certificates")
        assert {(finding.severity, finding.code, finding.message[:10]) for finding in caught.value.findings} == {
            ("error", "responder.expired", 'issuer "a"'),
            ("error", "responder.no-nocheck", 'issuer "a"'),
            ("error", "key.mismatch", 'issuer "a"'),
            ("warning", "key.permissions", 'issuer "a"'),
            ("error", "certificate.unreadable", 'issuer "b"'),
            ("error", "key.unreadable", 'issuer "b"'),
        }

    def test_a_right_issuer_is_still_returned_beside_a_wrong_one(self, office: Office) -> None:
        pki.make_issuer().write(office.folder, "ca")
        config = office.config(
            {"name": "a", "certificate": "missing.pem", "key": "ca.key"},
            {"name": "b", "certificate": "ca.pem", "key": "ca.key"},
        )

        issuers, findings = inspect_issuers(config, NOW)

        assert [issuer.names for issuer in issuers] == [("b",)]
        assert [finding.code for finding in findings] == ["certificate.unreadable"]

    def test_a_key_that_many_sections_share_is_complained_of_once(self, office: Office) -> None:
        key = pki.make_key()
        pki.write_key(office.folder / "shared.key", key, mode=0o644)
        sections: list[Fields] = []
        for number in range(5):
            pki.write_certificates(office.folder / f"{number}.pem", pki.make_issuer(f"Root {number}", key=key))
            sections.append({"name": f"r{number}", "certificate": f"{number}.pem", "key": "shared.key"})

        issuers, findings = load_issuers(office.config(*sections), NOW)

        assert len({issuer.issuer_id for issuer in issuers}) == 5
        assert len(findings) == 1

    def test_findings_are_in_the_order_of_the_file(self, office: Office) -> None:
        sections: list[Fields] = [
            {"name": f"r{number}", "certificate": f"{number}.pem", "key": f"{number}.key"} for number in range(3)
        ]

        _, findings = inspect_issuers(office.config(*sections), NOW)

        assert [finding.message[8:10] for finding in findings] == [
            "r0",
            "r0",
            "r1",
            "r1",
            "r2",
            "r2",
        ]


@given(data=st.data())
def test_whatever_is_damaged_is_explained(data: st.DataObject, damage_office: tuple[Office, Config]) -> None:
    office, config = damage_office
    name = data.draw(st.sampled_from(["ca.pem", "ocsp.pem", "ocsp.key"]), label="damaged file")
    whole = (office.folder / name).read_bytes()
    damaged = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 1), label="damaged octet")
    damaged[at] ^= data.draw(st.integers(1, 255), label="flipped bits")
    (office.folder / name).write_bytes(damaged)

    issuers, findings = inspect_issuers(config, NOW)

    (office.folder / name).write_bytes(whole)
    assert bool(issuers) != any(finding.severity == "error" for finding in findings)
    if name == "ocsp.pem":  # signed by the issuer, so no damage at all may pass
        assert not issuers


def test_the_traditional_file_of_openssl_opens(tmp_path: Path) -> None:
    key = pki.make_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "ec.key").write_bytes(parameters + pem)

    assert KeySource(tmp_path / "ec.key").open().public_key() == key.public_key()
