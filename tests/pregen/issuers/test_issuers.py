import hashlib
import pickle
import tomllib
from datetime import timedelta

import pytest
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import Config, load_config
from pregen.errors import ConfigError
from pregen.issuers import inspect_issuers, load_issuers
from pregen.issuers.issuers import merged_section
from pregen.validity import PROFILES, Validity
from storage.certid import SHA1, SHA256
from tests import pki
from tests.pki import DAY, NOW
from tests.pregen.issuers.office import SECOND, Fields, Office, found, only


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
    ("choice", "expected"),
    [
        ("separate", ((SHA1,), (SHA256,))),
        ("combined", ((SHA1, SHA256),)),
        ("sha1", ((SHA1,),)),
        ("sha256", ((SHA256,),)),
    ],
)
def test_cert_ids_are_listed_by_response_sha1_first(
    office: Office, choice: str, expected: tuple[tuple[str, ...], ...]
) -> None:
    assert only(office.own(pki.make_issuer(), cert_ids=choice)).cert_ids == expected


@pytest.mark.parametrize(
    ("kind", "issuer_kind", "algorithm"),
    [
        ("p256", "rsa2048", "p256-sha256"),
        ("rsa2048", "p384", "rsa2048-sha256"),
        ("p384", "ed25519", "p384-sha384"),
        ("p521", "ml-dsa-44", "p521-sha512"),
        ("rsa3072", "ml-dsa-65", "rsa3072-sha256"),
        ("ed25519", "ml-dsa-87", "ed25519"),
        ("ml-dsa-44", "p256", "ml-dsa-44"),
        ("ml-dsa-65", "p521", "ml-dsa-65"),
        ("ml-dsa-87", "rsa4096", "ml-dsa-87"),
    ],
)
def test_issuer_and_responder_may_have_keys_of_different_kinds(
    office: Office, kind: pki.KeyKind, issuer_kind: pki.KeyKind, algorithm: str
) -> None:
    root, key = pki.make_issuer(key=pki.shared_key(issuer_kind)), pki.shared_key(kind)

    assert only(office.delegated(root, pki.make_responder(root, key=key))).responder.algorithm == algorithm


@pytest.mark.parametrize("kind", ["rsa2048", "rsa3072", "rsa4096"])
def test_an_rsa_key_signs_with_the_padding_that_is_written(office: Office, kind: pki.KeyKind) -> None:
    root = pki.make_issuer(key=pki.shared_key(kind))

    assert only(office.own(root, rsa_padding="pss")).responder.algorithm == f"{kind}-pss-sha256"
    assert only(office.own(root, rsa_padding="pkcs1v15")).responder.algorithm == f"{kind}-sha256"
    assert only(office.own(root)).responder.algorithm == f"{kind}-sha256"


@pytest.mark.parametrize("kind", ["p256", "ed25519", "ml-dsa-44"])
def test_a_padding_is_refused_where_the_key_has_none(office: Office, kind: pki.KeyKind) -> None:
    message = found(office.own(pki.make_issuer(key=pki.shared_key(kind)), rsa_padding="pss"))["error key.padding"]

    assert 'the key is not RSA, which alone has a padding: leave rsa_padding = "pss" out' in message


def test_a_public_key_for_pss_alone_is_refused_with_the_way_to_sign_with_pss(office: Office) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(root, key=pki.shared_key("rsa2048"))
    config = office.delegated(root, responder, rsa_padding="pss")
    whole = asn1.Certificate.load(responder.der)
    whole["tbs_certificate"]["subject_public_key_info"]["algorithm"] = {"algorithm": "rsassa_pss"}
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    message = whole["tbs_certificate"].dump(force=True)
    whole["signature_value"] = root.key.sign(message, ec.ECDSA(hashes.SHA256()))
    (office.folder / "ocsp.pem").write_bytes(whole.dump(force=True))

    text = found(config)["error key.unsupported"]

    assert "TLS Baseline Requirements (7.1.3.1.1) allow rsaEncryption alone" in text
    assert 'to sign with PSS, write rsa_padding = "pss"' in text


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
    assert issuer.responder.key.public_key() == root.key.public_key()


def test_two_sections_of_one_issuer_are_refused_and_the_message_is_the_remedy(office: Office) -> None:
    root, other = pki.make_issuer(key=pki.shared_key("rsa2048")), pki.make_issuer("Other Root")
    cross = pki.make_issuer(key=root.key, parent=other)
    pki.write_certificates(office.folder / "cross.pem", cross)
    root.write(office.folder, "ca")
    config = office.config(
        {"name": 'r"1', "certificate": "ca.pem", "key": "ca.key", "cert_ids": "combined", "rsa_padding": "pss"},
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
    section = tomllib.loads(remedy)["issuer"][0]
    assert (section["cert_ids"], section["rsa_padding"]) == ("combined", "pss")


def test_everything_that_is_wrong_is_reported_at_once(office: Office) -> None:
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


def test_a_right_issuer_is_still_returned_beside_a_wrong_one(office: Office) -> None:
    pki.make_issuer().write(office.folder, "ca")
    config = office.config(
        {"name": "a", "certificate": "missing.pem", "key": "ca.key"},
        {"name": "b", "certificate": "ca.pem", "key": "ca.key"},
    )

    issuers, findings = inspect_issuers(config, NOW)

    assert [issuer.names for issuer in issuers] == [("b",)]
    assert [finding.code for finding in findings] == ["certificate.unreadable"]


def test_each_issuer_has_its_own_validity(office: Office) -> None:
    sections: list[Fields] = []
    changes: list[Fields] = [
        {},
        {"validity.profile": "lab", "validity.lifetime": "30d"},
        {"validity.lifetime": "2d", "validity.backdate": "5m"},
    ]
    for number, change in enumerate(changes):
        pki.make_issuer(f"Root {number}").write(office.folder, f"{number}")
        sections.append({"name": f"r{number}", "certificate": f"{number}.pem", "key": f"{number}.key", **change})

    issuers, _ = load_issuers(office.config(*sections), NOW)

    assert [issuer.validity for issuer in issuers] == [
        Validity(PROFILES["strict"], 4 * DAY, 0 * DAY),
        Validity(PROFILES["lab"], 30 * DAY, 0 * DAY),
        Validity(PROFILES["strict"], 2 * DAY, timedelta(minutes=5)),
    ]


def test_sections_to_be_merged_keep_their_validity(office: Office) -> None:
    root = pki.make_issuer()
    root.write(office.folder, "ca")
    section: Fields = {"certificate": "ca.pem", "key": "ca.key"}
    config = office.config(
        {"name": "a", **section, "validity.profile": "microsoft", "validity.backdate": "1h"}, {"name": "b", **section}
    )

    merged = merged_section(config.issuer)
    path = office.folder / "merged.toml"
    path.write_text(f'[publish]\nstore = "answers"\n{merged}\n')

    assert "[issuer.validity]  # they disagree here" in merged
    assert only(load_config(path)).validity == Validity(PROFILES["microsoft"], 4 * DAY, timedelta(hours=1))


def test_a_key_that_many_sections_share_is_complained_of_once(office: Office) -> None:
    key = pki.make_key()
    pki.write_key(office.folder / "shared.key", key, mode=0o644)
    sections: list[Fields] = []
    for number in range(5):
        pki.write_certificates(office.folder / f"{number}.pem", pki.make_issuer(f"Root {number}", key=key))
        sections.append({"name": f"r{number}", "certificate": f"{number}.pem", "key": "shared.key"})

    issuers, findings = load_issuers(office.config(*sections), NOW)

    assert len({issuer.issuer_id for issuer in issuers}) == 5
    assert len(findings) == 1


def test_findings_are_in_the_order_of_the_file(office: Office) -> None:
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


def test_a_chain_is_no_responder_certificate(office: Office) -> None:
    root = pki.make_issuer()
    responder = pki.make_responder(root)
    config = office.delegated(root, responder)
    pki.write_certificates(office.folder / "ocsp.pem", responder, root)

    assert "holds 2 certificates" in found(config)["error certificate.several"]


def test_certificates_of_two_keys_are_not_one_issuer(office: Office) -> None:
    pki.make_issuer().write(office.folder, "new")
    config = office.own(pki.make_issuer(), certificate=["ca.pem", "new.pem"])

    assert "give each key a section of its own" in found(config)["error issuer.different-keys"]
