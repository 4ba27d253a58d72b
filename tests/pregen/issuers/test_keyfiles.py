from pathlib import Path
from typing import get_args

import pytest
from asn1crypto import pem
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pregen.errors import ConfigError
from pregen.issuers import KeyFile, load_issuers
from pregen.issuers.keyfiles import is_pair
from pregen.signers import ALGORITHMS, open_fitting_signer, open_signer
from storage.der import INTEGER, OCTET_STRING, SEQUENCE, tlv
from tests import pki
from tests.pki import NOW
from tests.pregen.issuers.office import Office, found, only

KINDS: tuple[pki.KeyKind, ...] = get_args(pki.KeyKind)


def test_an_encrypted_key_opens_with_the_passphrase_of_the_environment(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = pki.make_issuer()
    config = office.own(root, key_passphrase_env="CA_PASS")
    pki.write_key(office.folder / "ca.key", root.key, passphrase="swordfish")

    monkeypatch.setenv("CA_PASS", "swordfish")
    assert only(config).responder.key.public_key() == root.key.public_key()

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


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_key_is_opened_and_signs_for_its_certificate(office: Office, kind: pki.KeyKind) -> None:
    key = pki.shared_key(kind)

    source = only(office.own(pki.make_issuer(key=key))).responder.key

    assert source.public_key() == key.public_key()
    assert isinstance(source, KeyFile)
    assert is_pair(source.open(), key.public_key())


@pytest.mark.parametrize("kind", KINDS)
def test_no_key_is_the_pair_of_another_kind_or_of_a_new_one(kind: pki.KeyKind) -> None:
    key = pki.shared_key(kind)

    assert [other for other in KINDS if is_pair(key, pki.shared_key(other).public_key())] == [kind]
    if not kind.startswith("rsa"):  # another modulus takes seconds to make, and is tried below
        assert not is_pair(key, pki.make_key(kind).public_key())


def test_another_rsa_key_of_the_same_size_is_no_pair() -> None:
    assert not is_pair(pki.shared_key("rsa2048"), pki.make_key("rsa2048").public_key())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (ec.generate_private_key(ec.SECP256K1()), "an elliptic-curve key on secp256k1"),
        (rsa.generate_private_key(65_537, 1_024), "an RSA key of 1024 bits"),
        (ed448.Ed448PrivateKey.generate(), "of the kind Ed448"),
    ],
    ids=["secp256k1", "rsa1024", "ed448"],
)
def test_a_key_of_a_kind_that_nothing_signs_with_is_refused(
    office: Office, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey, name: str
) -> None:
    config = office.own(pki.make_issuer())
    (office.folder / "ca.key").write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))

    message = found(config)["error key.unsupported"]

    assert f"the key is {name}; P-256, P-384, P-521, RSA of 2048, 3072 or 4096 bits, Ed25519 and ML-DSA" in message


def test_rsa_primes_of_unequal_length_are_refused_with_the_way_out(office: Office) -> None:
    key = rsa_of_unequal_primes(1_016, 1_032)
    message = found(office.own(pki.make_issuer(key=key)))["error key.unsupported"]

    assert "two primes of unequal length, which fast engines cannot use: replace it" in message
    assert "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048" in message


def rsa_of_unequal_primes(*bits: int) -> rsa.RSAPrivateKey:
    while True:
        p, q = (rsa.generate_private_key(65_537, 2 * size).private_numbers().p for size in bits)
        d = pow(65_537, -1, (p - 1) * (q - 1))
        if (p * q).bit_length() == 2_048:
            public = rsa.RSAPublicNumbers(65_537, p * q)
            return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


@pytest.mark.parametrize("form", ["expanded", "both"])
@pytest.mark.parametrize("as_pem", [False, True], ids=["DER", "PEM"])
def test_an_ml_dsa_key_that_is_not_its_seed_alone_says_how_to_write_that(
    office: Office, form: str, as_pem: bool
) -> None:
    expanded = tlv(OCTET_STRING, bytes(2_560))
    inside = expanded if form == "expanded" else tlv(SEQUENCE, tlv(OCTET_STRING, bytes(32)), expanded)
    algorithm = ALGORITHMS["ml-dsa-44"].identifier
    der = tlv(SEQUENCE, tlv(INTEGER, b"\0"), algorithm, tlv(OCTET_STRING, inside))  # RFC 9881, 6
    config = office.own(pki.make_issuer())
    (office.folder / "ca.key").write_bytes(pem.armor("PRIVATE KEY", der) if as_pem else der)

    message = found(config)["error key.unreadable"]

    assert "an ML-DSA key in a form other than its seed alone" in message
    assert "openssl pkey -provparam ml-dsa.output_formats=seed-only" in message


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
    text = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    (tmp_path / "ec.key").write_bytes(parameters + text)

    assert KeyFile(tmp_path / "ec.key").open().public_key() == key.public_key()


def test_a_machine_that_cannot_have_the_engine_of_another_signs_with_the_fastest_of_its_own(tmp_path: Path) -> None:
    pki.write_key(tmp_path / "ml.key", pki.make_key("ml-dsa-44"))
    source = KeyFile(tmp_path / "ml.key")
    with pytest.raises(ConfigError):
        open_signer("ml-dsa-44", "multibuffer", [source])

    signer = open_fitting_signer("ml-dsa-44", "multibuffer", [source])

    assert type(signer) is type(open_signer("ml-dsa-44", "software", [source]))
