from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pregen.issuers import KeySource, load_issuers
from tests import pki
from tests.pki import NOW
from tests.pregen.issuers.office import Office, found, only


def test_an_encrypted_key_opens_with_the_passphrase_of_the_environment(
    office: Office, monkeypatch: pytest.MonkeyPatch
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
    assert "put its passphrase into the environment variable CA_PASS" in found(config)["error key.passphrase.missing"]


def test_an_encrypted_key_without_a_variable_says_which_field_to_write(office: Office) -> None:
    root = pki.make_issuer()
    config = office.own(root)
    pki.write_key(office.folder / "ca.key", root.key, passphrase="swordfish")

    assert "in key_passphrase_env" in found(config)["error key.passphrase.missing"]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"])
def test_a_file_that_is_no_key_is_named(office: Office, content: bytes) -> None:
    config = office.own(pki.make_issuer())
    (office.folder / "ca.key").write_bytes(content)

    message = found(config)["error key.unreadable"]

    assert message.startswith(f'issuer "r1": {office.folder / "ca.key"}: the key file holds no private key')


def test_a_missing_key_is_named(office: Office) -> None:
    config = office.own(pki.make_issuer(), key="nothing.key")

    assert "nothing.key: the key cannot be read: No such file" in found(config)["error key.unreadable"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("p384", "secp384r1"), ("rsa3072", "an RSA key of 3072 bits"), ("ed25519", "of the kind Ed25519")],
)
def test_a_key_of_another_kind_comes_later(office: Office, kind: pki.KeyKind, name: str) -> None:
    message = found(office.own(pki.make_issuer(key=pki.make_key(kind))))["error key.unsupported"]

    assert name in message
    assert "others come later" in message


def test_the_address_of_a_key_elsewhere_comes_later(office: Office) -> None:
    config = office.own(pki.make_issuer(), key="pkcs11:token=ocsp")

    assert "HSM and KMS keys come later" in found(config)["error key.unsupported"]


def test_a_damaged_rsa_key_is_never_used(office: Office) -> None:
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


def test_a_key_of_another_certificate_is_a_mismatch(office: Office) -> None:
    root = pki.make_issuer()
    config = office.delegated(root, pki.make_responder(root))
    pki.write_key(office.folder / "ocsp.key", pki.make_key())

    assert "name the key that belongs to it" in found(config)["error key.mismatch"]


def test_a_key_of_another_kind_than_the_certificates_is_a_mismatch(office: Office) -> None:
    root = pki.make_issuer()
    config = office.delegated(root, pki.make_responder(root))
    pki.write_key(office.folder / "ocsp.key", pki.make_key("rsa2048"))

    assert set(found(config)) == {"error key.mismatch"}


def test_the_issuers_own_key_for_a_responder_is_explained(office: Office) -> None:
    root = pki.make_issuer()
    config = office.delegated(root, pki.make_responder(root))
    pki.write_key(office.folder / "ocsp.key", root.key)

    assert "it is the issuer's own key" in found(config)["error key.mismatch"]


@pytest.mark.parametrize(("mode", "expected"), [(0o644, True), (0o604, True), (0o602, True), (0o640, False)])
def test_a_key_that_others_can_read_is_a_warning(office: Office, mode: int, expected: bool) -> None:
    config = office.own(pki.make_issuer())
    (office.folder / "ca.key").chmod(mode)

    issuers, findings = load_issuers(config, NOW)

    assert len(issuers) == 1
    assert [(finding.code, finding.severity) for finding in findings] == [("key.permissions", "warning")] * expected


def test_the_traditional_file_of_openssl_opens(tmp_path: Path) -> None:
    key = pki.make_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "ec.key").write_bytes(parameters + pem)

    assert KeySource(tmp_path / "ec.key").open().public_key() == key.public_key()
