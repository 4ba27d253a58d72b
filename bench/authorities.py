"""Many issuers, each with its own key, that sign their answers themselves."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pregen.demo.authority import make_ca_certificate, write_key

SECTION = """
[[issuer]]
name = "{name}"
certificate = "{name}.pem"
key = "{name}.key"
responder_id = "by-key"
cert_ids = "sha1"
"""
MONTH, DECADE = timedelta(days=30), timedelta(days=3650)


def make_authorities(folder: Path, count: int, now: datetime) -> list[str]:
    """Write NAME.pem and NAME.key of so many issuers into a folder; return their names."""
    names = [f"ca-{number:04}" for number in range(count)]
    for name in names:
        key, subject = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        )
        certificate = make_ca_certificate(subject, subject, key, key, now - MONTH, now + DECADE, signs_answers=True)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        write_key(folder / f"{name}.key", key)
    return names
