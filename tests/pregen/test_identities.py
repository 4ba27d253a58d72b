"""Who a certificate is, without a library: the same as the tolerant reader says, for all kinds of files."""

import base64
from pathlib import Path

import cryptography_vectors
import pytest

from pregen.errors import ConfigError
from pregen.identities import identity_of, read_identity
from pregen.issuers.certificates import read_certificates, serial_of
from tests.pki import make_issuer

# Certificates that others use to test their readers with, odd and damaged ones among them.
VECTORS = Path(cryptography_vectors.__path__[0]) / "x509"


def test_certificates_of_all_kinds_have_the_same_identity_for_both_readers() -> None:
    read = refused = 0
    for path in (*VECTORS.rglob("*.pem"), *VECTORS.rglob("*.der")):
        try:
            tolerant = read_certificates(path)[0]
        except ConfigError:
            continue
        identity = read_identity(path)
        assert identity == (tolerant.subject, tolerant.key_bits, serial_of(tolerant)), path
        try:
            assert identity == identity_of(tolerant.der), path
            read += 1
        except ValueError:
            refused += 1

    assert read > 100
    assert refused < 10


def test_pem_and_der_files_are_read_the_first_certificate_of_several(tmp_path: Path) -> None:
    first, second = make_issuer("First"), make_issuer("Second")
    path = tmp_path / "file"
    expected = identity_of(first.der)

    path.write_bytes(first.der)
    assert read_identity(path) == expected
    blocks = [
        f"-----BEGIN {label}-----\r\n{base64.encodebytes(party.der).decode()}-----END {label}-----\n"
        for party, label in ((first, "X509 CERTIFICATE"), (second, "CERTIFICATE"))
    ]
    path.write_text("subject: some text of openssl's\n" + "".join(blocks))
    assert read_identity(path) == expected
    path.write_bytes(second.der)
    assert read_identity(path) != expected


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\x30\x03\x02\x01\x01", None], ids=repr)
def test_what_is_no_certificate_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"file\.pem") as refused:
        read_identity(path)

    assert refused.value.findings[0].code == "certificate.unreadable"


def test_octets_behind_a_certificate_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.der"
    path.write_bytes(make_issuer().der + b"\0")

    with pytest.raises(ConfigError):
        read_identity(path)
