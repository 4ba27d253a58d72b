"""A root, an issuer and a delegated responder, made for the demo and for nothing else."""

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pregen.signers import ALGORITHMS, PrivateKey, make_key

YEAR = timedelta(days=365)


def make_authority(folder: Path, kind: str, now: datetime) -> ec.EllipticCurvePrivateKey:
    """Write root.pem, issuer.pem, ocsp.pem and ocsp.key; return the issuer's key, which like the root's is not kept.

    Args:
        folder: where to.
        kind: of the responder's key, as `pregen.signers.Algorithm.key` has it; root and issuer have P-256.
        now: the certificates have been valid for a while at this instant.
    """
    root_key, issuer_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    responder_key = make_key(next(algorithm for algorithm in ALGORITHMS.values() if algorithm.key == kind))
    root_name, issuer_name = _name("Demo Root"), _name("Demo Issuing CA R1")
    began = now - timedelta(days=30)
    root = make_ca_certificate(root_name, root_name, root_key, root_key, began, now + 20 * YEAR)
    issuer = make_ca_certificate(issuer_name, root_name, issuer_key, root_key, began, now + 10 * YEAR)
    responder = (
        _builder(_name("Demo OCSP Responder"), issuer_name, responder_key, began, now + timedelta(days=60))
        # TLS Baseline Requirements, 7.1.2.8
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    for name, certificate in (("root", root), ("issuer", issuer), ("ocsp", responder)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    write_key(folder / "ocsp.key", responder_key)
    return issuer_key


def write_key(path: Path, key: PrivateKey) -> None:
    """Write a key that only its owner can read."""
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def make_ca_certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    not_before: datetime,
    not_after: datetime,
    *,
    signs_answers: bool = False,
) -> x509.Certificate:
    """Return the certificate of a CA, signed by its issuer; `signs_answers`: it may sign OCSP responses itself."""
    return (
        _builder(subject, issuer, key, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=signs_answers, key_cert_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, not_before: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Pregen Demo"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )
