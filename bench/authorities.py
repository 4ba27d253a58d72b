"""Many issuers, each with its own key, that sign their answers themselves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

SECTION = """
[[issuer]]
name = "{name}"
certificate = "{name}.pem"
key = "{name}.key"
responder_id = "by-key"
cert_ids = "sha1"
"""
MONTH, DECADE = timedelta(days=30), timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Authority:
    """One issuer: files NAME.pem and NAME.key.

    Attributes:
        name: what the snapshot calls it.
    """

    name: str

    @property
    def section(self) -> str:
        """Its section of the configuration."""
        return SECTION.format(name=self.name)


def make_authorities(folder: Path, count: int, now: datetime) -> list[Authority]:
    """Write certificates and keys of `count` issuers into a folder."""
    authorities = [Authority(f"ca-{number:04}") for number in range(count)]
    for one in authorities:
        key = ec.generate_private_key(ec.SECP256R1())
        (folder / f"{one.name}.pem").write_bytes(_certificate(one.name, key, now).public_bytes(Encoding.PEM))
        key_file = folder / f"{one.name}.key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return authorities


def _certificate(name: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = x509.KeyUsage(
        digital_signature=True,  # without it, an issuer may not sign answers
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - MONTH)
        .not_valid_after(now + DECADE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
