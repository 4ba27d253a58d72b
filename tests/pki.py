"""A small certification authority for tests: right by default, wrong on demand."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pregen import signers
from pregen.signers import ALGORITHMS, PrivateKey

Key: TypeAlias = PrivateKey
KeyKind = Literal[
    "p256", "p384", "p521", "rsa2048", "rsa3072", "rsa4096", "ed25519", "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"
]
Use = Literal["digital_signature", "key_cert_sign", "crl_sign"]

NOW = datetime(2026, 11, 24, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Party:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def write(self, folder: Path, stem: str) -> None:
        """Write `stem`.pem, the certificate, and `stem`.key, mode 0600."""
        write_certificates(folder / f"{stem}.pem", self)
        write_key(folder / f"{stem}.key", self.key)


def make_key(kind: KeyKind = "p256") -> Key:
    return _key(kind)


@cache
def shared_key(kind: str = "p256") -> Key:
    """Return the one key of a kind that all tests of this process may share: large RSA keys take seconds to make."""
    return _key(kind)


def make_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Trust"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def make_issuer(
    name: str | x509.Name = "Example Root R1",
    *,
    parent: Party | None = None,
    key: Key | None = None,
    not_before: datetime = NOW - 365 * DAY,
    not_after: datetime = NOW + 3_650 * DAY,
    uses: tuple[Use, ...] = ("digital_signature", "key_cert_sign", "crl_sign"),
    ca: bool | None = True,
) -> Party:
    """Return a CA; without a parent, a root. `ca` None leaves basicConstraints out."""
    key = key or make_key()
    subject = make_name(name) if isinstance(name, str) else name
    builder = _builder(subject, parent.certificate.subject if parent else subject, key, not_before, not_after)
    builder = builder.add_extension(_key_usage(uses), critical=True)
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    return Party(_signed(builder, parent.key if parent else key), key)


def make_responder(
    issuer: Party,
    name: str | x509.Name = "Example OCSP 1",
    *,
    key: Key | None = None,
    serial: int | None = None,
    not_before: datetime = NOW - DAY,
    not_after: datetime = NOW + 90 * DAY,
    eku: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.OCSP_SIGNING,),
    nocheck: bytes | None = b"\x05\x00",
    uses: tuple[Use, ...] = ("digital_signature",),
    alternative_name: str | None = None,
    authority_key_identifier: bool = True,
    further: tuple[x509.ExtensionType, ...] = (),
    critical_usage: bool = True,
    sha1: bool = False,
) -> Party:
    """Return a delegated responder, as the TLS Baseline Requirements (7.1.2.8) want it; each parameter breaks one rule.

    Args:
        issuer: who signs; a `Party` of another certificate and key makes a responder of nobody.
        name: its subject.
        key: its key.
        serial: its number; random by default.
        not_before, not_after: validity.
        eku: extended key usages; none leaves the extension out.
        nocheck: value of id-pkix-ocsp-nocheck; None leaves it out.
        uses: key usage; none leaves the extension out.
        alternative_name: a DNS name that does not belong there.
        authority_key_identifier: whether it has one.
        further: other extensions, not critical.
        critical_usage: whether the key usage is critical.
        sha1: whether the signature is made with SHA-1.
    """
    key = key or make_key()
    subject = make_name(name) if isinstance(name, str) else name
    builder = _builder(subject, issuer.certificate.subject, key, not_before, not_after, serial)
    if uses:
        builder = builder.add_extension(_key_usage(uses), critical=critical_usage)
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage(eku), critical=False)
    if nocheck is not None:
        oid = x509.OCSPNoCheck.oid
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, nocheck), critical=False)
    if alternative_name:
        names = x509.SubjectAlternativeName([x509.DNSName(alternative_name)])
        builder = builder.add_extension(names, critical=False)
    if authority_key_identifier:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    for extension in further:
        builder = builder.add_extension(extension, critical=False)
    certificate = _signed(builder, issuer.key)
    return Party(_signed_with_sha1(certificate, issuer.key) if sha1 else certificate, key)


def write_certificates(path: Path, *parties: Party) -> None:
    path.write_bytes(b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties))


def write_key(path: Path, key: Key, *, passphrase: str | None = None, mode: int = 0o600) -> None:
    protection = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    path.chmod(mode)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    not_before: datetime,
    not_after: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _key_usage(uses: tuple[Use, ...]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital_signature" in uses,
        key_cert_sign="key_cert_sign" in uses,
        crl_sign="crl_sign" in uses,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key(kind: str) -> Key:
    return signers.make_key(next(algorithm for algorithm in ALGORITHMS.values() if algorithm.key == kind))


def _signed(builder: x509.CertificateBuilder, key: Key) -> x509.Certificate:
    return builder.sign(key, SHA256() if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) else None)


def _signed_with_sha1(certificate: x509.Certificate, key: Key) -> x509.Certificate:
    """Sign a certificate anew, because the builder refuses SHA-1."""
    whole = asn1.Certificate.load(certificate.public_bytes(Encoding.DER))
    name = "sha1_rsa" if isinstance(key, rsa.RSAPrivateKey) else "sha1_ecdsa"
    whole["tbs_certificate"]["signature"] = whole["signature_algorithm"] = {"algorithm": name}
    message = whole["tbs_certificate"].dump(force=True)
    if isinstance(key, rsa.RSAPrivateKey):
        whole["signature_value"] = key.sign(message, padding.PKCS1v15(), SHA1())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        whole["signature_value"] = key.sign(message, ec.ECDSA(SHA1()))
    return x509.load_der_x509_certificate(whole.dump(force=True))
