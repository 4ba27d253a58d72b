import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cryptography_vectors
import pytest

from pregen.issuers.certificates import read_certificates, signed_with
from tests import pki
from tests.pregen.issuers.office import Office, found


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
def test_a_file_that_is_no_certificate_is_named(office: Office, spoil: Callable[[Path], object]) -> None:
    config = office.own(pki.make_issuer())
    spoil(office.folder / "ca.pem")

    assert str(office.folder / "ca.pem") in found(config)["error certificate.unreadable"]


@pytest.mark.parametrize("kind", ["p521", "rsa2048", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"])
def test_certificates_of_every_kind_of_key_are_read_and_their_signatures_verified(kind: str, tmp_path: Path) -> None:
    root = pki.make_issuer(key=pki.shared_key(kind))
    responder = pki.make_responder(root, key=pki.shared_key(kind))
    pki.write_certificates(tmp_path / "two.pem", root, responder)

    _, read = read_certificates(tmp_path / "two.pem")

    assert read.load_public_key() == responder.key.public_key()
    assert signed_with(read, root.key.public_key())
    assert not signed_with(read, pki.shared_key("p384").public_key())
    wrong = bytearray(read.der)
    wrong[-1] ^= 1
    assert not signed_with(replace(read, der=bytes(wrong)), root.key.public_key())


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
def test_odd_certificates_of_others_are_read(vector: str, tmp_path: Path) -> None:
    path = tmp_path / Path(vector).name
    with cryptography_vectors.open_vector_file(f"x509/{vector}", "rb") as source, path.open("wb") as copy:
        shutil.copyfileobj(source, copy)

    (certificate,) = read_certificates(path)

    assert certificate.not_before < certificate.not_after
    assert certificate.key_bits in certificate.public_key
    assert certificate.subject in certificate.der
