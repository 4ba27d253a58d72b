"""Certificates as this program needs them: identity, validity, and what their extensions allow.

Read with asn1crypto, because real issuers are odd: of the 1,147 in the Common CA Database, cryptography refuses seven
(policy qualifiers, encoded defaults, trailing octets) and warns about 77 (serials of zero or below).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from asn1crypto import core, pem
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.utils import CryptographyDeprecationWarning

from pregen.errors import ConfigError, Finding
from pregen.signatures import verifies

AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"
BASIC_CONSTRAINTS = "2.5.29.19"
EXTENDED_KEY_USAGE = "2.5.29.37"
KEY_USAGE = "2.5.29.15"
OCSP_NOCHECK = "1.3.6.1.5.5.7.48.1.5"
OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"
# All of them seen from asn1crypto, for octets that are something else or are damaged.
_NO_CERTIFICATE = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
_LABELS = ("CERTIFICATE", "X509 CERTIFICATE")  # the second is what old programs wrote


class Extension(NamedTuple):
    """One extension: its critical flag, the octets of its value, and (where the value is read) what it says."""

    critical: bool
    octets: bytes
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate, read once.

    Attributes:
        path: the file it came from.
        der: the whole certificate.
        subject, issuer: DER Names, as encoded there.
        subject_octets: content octets of the subject's RDNSequence.
        public_key: DER SubjectPublicKeyInfo.
        public_key_algorithm: dotted OID.
        key_bits: the public key's bits, without tag, length and unused-bits octet, as CertIDs hash them.
        not_before, not_after: validity, both ends included.
        version: 1 to 3.
        extensions: by dotted OID; `names` holds the bits of key usage (``digital_signature``), the dotted OIDs of
            extended key usage, and ``ca`` for basic constraints.
    """

    path: Path
    der: bytes
    subject: bytes
    issuer: bytes
    subject_octets: bytes
    public_key: bytes
    public_key_algorithm: str
    key_bits: bytes
    not_before: datetime
    not_after: datetime
    version: int
    extensions: Mapping[str, Extension]

    def allows(self, use: str) -> bool:
        """Whether the key usage allows `use`, such as ``digital_signature``; without that extension, all is allowed."""
        usage = self.extensions.get(KEY_USAGE)
        return usage is None or use in usage.names

    @property
    def is_ca(self) -> bool:
        """Whether it says that it is a CA's."""
        constraints = self.extensions.get(BASIC_CONSTRAINTS)
        return constraints is not None and "ca" in constraints.names

    def load_public_key(self) -> PublicKeyTypes:
        """Return the public key.

        Raises:
            ValueError: not a key that cryptography can use.
        """
        try:
            return load_der_public_key(self.public_key)
        except UnsupportedAlgorithm as error:
            raise ValueError(str(error)) from error


def read_certificates(path: Path) -> tuple[Certificate, ...]:
    """Return the certificates of a file, PEM (one or more) or DER (one).

    Raises:
        ConfigError: the file cannot be read, or holds no certificate; with the finding.
    """
    try:
        return tuple(parse_certificate(path, der) for der in _blocks(path.read_bytes()))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except ValueError as error:
        reason = f"holds no certificate, PEM or DER, that can be read ({_first_line(error)})"
    text = f"{path}: {reason}"
    raise ConfigError(text, (Finding("certificate.unreadable", "error", text),))


def parse_certificate(path: Path, der: bytes) -> Certificate:
    """Return the certificate that some octets are; `path` says where they came from.

    Raises:
        ValueError: they are none, or a damaged one.
    """
    try:
        return _parsed(path, der)
    except _NO_CERTIFICATE as error:
        raise ValueError(_first_line(error)) from error


def serial_of(certificate: Certificate) -> bytes:
    """Return the content octets of a certificate's serial number."""
    return bytes(asn1.Certificate.load(certificate.der)["tbs_certificate"]["serial_number"].contents)


def signed_with(certificate: Certificate, signer: PublicKeyTypes) -> bool:
    """Whether a certificate's signature verifies with a public key.

    Raises:
        ValueError: the certificate, or its signature algorithm, is beyond cryptography.
    """
    strict = _strict(certificate)
    how, digest = strict.signature_algorithm_parameters, strict.signature_hash_algorithm
    signature, message = strict.signature, strict.tbs_certificate_bytes
    return verifies(signer, signature, message, how, digest)


def signature_digest(certificate: Certificate) -> str | None:
    """Return the name of the hash under a certificate's signature, or None where the algorithm names none.

    Raises:
        ValueError: the certificate, or its signature algorithm, is beyond cryptography.
    """
    digest = _strict(certificate).signature_hash_algorithm
    return digest.name if digest else None


def _strict(certificate: Certificate) -> x509.Certificate:
    """Return the certificate as cryptography reads it, which also asks that its signature algorithm is known."""
    try:
        with warnings.catch_warnings():  # what it announces to refuse one day (serials below one) is refused today
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            strict = x509.load_der_x509_certificate(certificate.der)
        _ = strict.signature_hash_algorithm
    except (UnsupportedAlgorithm, x509.InvalidVersion, CryptographyDeprecationWarning) as error:
        raise ValueError(str(error)) from error
    return strict


def _blocks(data: bytes) -> list[bytes]:
    if not pem.detect(data):
        return [data]
    blocks = [der for kind, _, der in pem.unarmor(data, multiple=True) if kind in _LABELS]
    if not blocks:
        raise ValueError("a PEM file without a block CERTIFICATE")
    return blocks


def _parsed(path: Path, der: bytes) -> Certificate:
    whole = asn1.Certificate.load(der, strict=True)
    body = whole["tbs_certificate"]
    # As plain values, because asn1crypto's own type refuses algorithms that it does not know (GOST).
    key_info = core.Sequence.load(body["subject_public_key_info"].dump())
    algorithm = core.Sequence.load(key_info[0].dump())
    _whole_octets(whole["signature_value"])
    return Certificate(
        path=path,
        der=der,
        subject=body["subject"].dump(),
        issuer=body["issuer"].dump(),
        subject_octets=body["subject"].chosen.contents,
        public_key=key_info.dump(),
        public_key_algorithm=core.ObjectIdentifier.load(algorithm[0].dump()).dotted,
        key_bits=_whole_octets(key_info[1]),
        not_before=_instant(body["validity"]["not_before"]),
        not_after=_instant(body["validity"]["not_after"]),
        version=int(body["version"]) + 1,
        extensions=dict(map(_extension, body["extensions"] or ())),
    )


def _whole_octets(item: core.Asn1Value) -> bytes:
    octets: bytes = core.BitString.load(item.dump()).contents
    if octets[:1] != b"\0":
        raise ValueError("a public key or a signature whose bits are not whole octets")
    return octets[1:]


def _instant(time: asn1.Time) -> datetime:
    instant = time.native  # one real root of 1999 writes its UTCTime with an offset of +10:00
    if not isinstance(instant, datetime) or instant.utcoffset() is None:
        raise ValueError(f"a validity that is no instant: {instant!r}")
    return instant.astimezone(UTC).replace(microsecond=0)


def _extension(item: asn1.Extension) -> tuple[str, Extension]:
    # As plain values too: an odd extension that nobody asks for must not make the certificate unreadable.
    parts = core.Sequence.load(item.dump())
    oid = core.ObjectIdentifier.load(parts[0].dump()).dotted
    octets = core.OctetString.load(parts[len(parts) - 1].dump()).native
    names = frozenset[str]()
    if oid == KEY_USAGE:
        names = frozenset(asn1.KeyUsage.load(octets).native)
    elif oid == EXTENDED_KEY_USAGE:
        names = frozenset(purpose.dotted for purpose in asn1.ExtKeyUsageSyntax.load(octets))
    elif oid == BASIC_CONSTRAINTS and asn1.BasicConstraints.load(octets)["ca"].native:
        names = frozenset({"ca"})
    is_critical = len(parts) == 3 and bool(core.Boolean.load(parts[1].dump()).native)  # FALSE is left out
    return oid, Extension(is_critical, octets, names)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
