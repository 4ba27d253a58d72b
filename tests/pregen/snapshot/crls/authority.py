"""CRLs of any kind, right by default: what cryptography's builder refuses to make is put together with asn1crypto."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

from asn1crypto import core, parser
from asn1crypto import crl as asn1
from asn1crypto import x509 as names
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pregen.snapshot import CrlIssuer
from tests.pki import DAY, NOW, Party, make_name

Digest: TypeAlias = Literal["sha256", "sha1", "md5"]
_DIGESTS: dict[str, type[SHA256 | SHA1 | MD5]] = {"sha256": SHA256, "sha1": SHA1, "md5": MD5}
_REASON, _INVALIDITY, _CERTIFICATE_ISSUER = "2.5.29.21", "2.5.29.24", "2.5.29.29"
REVOKED_AT = NOW - 3 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; `extensions` are OID, critical and the octets of the value."""

    serial: int
    at: datetime = REVOKED_AT
    reason: int | None = None
    extensions: tuple[tuple[str, bool, bytes], ...] = ()


def built(
    issuer: Party,
    serials: Sequence[int] = (),
    *,
    reason: x509.ReasonFlags | None = None,
    number: int = 7,
    this_update: datetime = NOW - timedelta(hours=1),
) -> bytes:
    """Return a plain CRL in DER, made by cryptography's builder."""
    builder = x509.CertificateRevocationListBuilder(issuer.certificate.subject, this_update, this_update + 7 * DAY)
    for serial in serials:
        entry = x509.RevokedCertificateBuilder(serial, REVOKED_AT)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.add_extension(x509.CRLNumber(number), critical=False).sign(issuer.key, SHA256())
    return signed.public_bytes(Encoding.DER)


def forged(
    issuer: Party,
    entries: Sequence[Entry] = (),
    *,
    number: int | None = 7,
    base_number: int | None = None,
    this_update: datetime = NOW - timedelta(hours=1),
    next_update: datetime | None = NOW + 6 * DAY,
    scope: Mapping[str, object] | None = None,
    extensions: Sequence[tuple[str, bool, bytes]] = (),
    subject: bytes | None = None,
    digest: Digest = "sha256",
    encoded_default: bool = False,
) -> bytes:
    """Return a CRL in DER, each parameter another field; `encoded_default` writes a critical flag that is FALSE."""
    own: list[tuple[str, bool, bytes]] = []
    if number is not None:
        own.append(("2.5.29.20", False, core.Integer(number).dump()))
    if base_number is not None:
        own.append(("2.5.29.27", True, core.Integer(base_number).dump()))
    if scope is not None:
        own.append(("2.5.29.28", True, asn1.IssuingDistributionPoint(dict(scope)).dump()))
    kind = "rsa" if isinstance(issuer.key, rsa.RSAPrivateKey) else "ecdsa"
    body: dict[str, object] = {
        "version": "v2",
        "signature": {"algorithm": f"{digest}_{kind}"},
        "issuer": names.Name.load(subject or issuer.certificate.subject.public_bytes()),
        "this_update": names.Time({"utc_time": this_update}),
    }
    if own or extensions:
        body["crl_extensions"] = asn1.TBSCertListExtensions.load(_extensions((*own, *extensions)))
    if next_update is not None:
        body["next_update"] = names.Time({"utc_time": next_update})
    if entries:
        body["revoked_certificates"] = [_entry(entry) for entry in entries]
    octets = asn1.TbsCertList(body).dump()
    if encoded_default:  # between the OID of the CRL number and its value
        oid = bytes.fromhex("0603551d14")
        octets = _grown(octets, oid, b"\x01\x01\x00")
    whole = {
        "tbs_cert_list": asn1.TbsCertList.load(octets),
        "signature_algorithm": {"algorithm": f"{digest}_{kind}"},
        "signature": _signature(issuer, octets, digest),
    }
    return bytes(asn1.CertificateList(whole).dump())


def many(issuer: Party, serials: Sequence[int]) -> bytes:
    """Return a CRL with so many entries that it would take minutes to make them one by one."""
    at = parser.emit(0, 0, 0x17, f"{REVOKED_AT:%y%m%d%H%M%SZ}".encode())
    numbers = (parser.emit(0, 0, 2, one.to_bytes(one.bit_length() // 8 + 1, "big")) for one in serials)
    listed = parser.emit(0, 1, 0x10, b"".join(parser.emit(0, 1, 0x10, number + at) for number in numbers))
    whole = asn1.CertificateList.load(forged(issuer))
    whole["tbs_cert_list"]["revoked_certificates"] = asn1.RevokedCertificates.load(listed)
    octets = whole["tbs_cert_list"].dump(force=False)
    whole["signature"] = _signature(issuer, octets, "sha256")
    return bytes(whole.dump())


def damaged(der: bytes) -> bytes:
    """Return a CRL with another signature."""
    whole = asn1.CertificateList.load(der)
    whole["signature"] = whole["signature"].native[:-1] + bytes([whole["signature"].native[-1] ^ 1])
    return bytes(whole.dump(force=True))


def pem(*ders: bytes) -> bytes:
    """Return CRLs as one PEM file."""
    return b"".join(x509.load_der_x509_crl(der).public_bytes(Encoding.PEM) for der in ders)


def crl_issuer(party: Party, index: int = 3, name: str = "demo-r1") -> CrlIssuer:
    key = party.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return CrlIssuer(index=index, name=name, subject=party.certificate.subject.public_bytes(), public_key=key)


def printable_name(common_name: str) -> x509.Name:
    """Return what `tests.pki.make_name` does, in another string type."""
    kind = x509.name._ASN1Type.PrintableString  # noqa: SLF001 - it is public nowhere
    return x509.Name([x509.NameAttribute(one.oid, str(one.value), kind) for one in make_name(common_name)])


def write(folder: Path, name: str, octets: bytes) -> Path:
    path = folder / name
    path.write_bytes(octets)
    return path


def _signature(issuer: Party, octets: bytes, digest: Digest) -> bytes:
    if isinstance(issuer.key, rsa.RSAPrivateKey):
        return issuer.key.sign(octets, padding.PKCS1v15(), _DIGESTS[digest]())
    assert isinstance(issuer.key, ec.EllipticCurvePrivateKey)
    return issuer.key.sign(octets, ec.ECDSA(_DIGESTS[digest]()))


def _extensions(extensions: Sequence[tuple[str, bool, bytes]]) -> bytes:
    """Return extensions in DER; asn1crypto's own types would look into their values."""
    made = b""
    for oid, critical, value in extensions:
        flag = core.Boolean(True).dump() if critical else b""  # FALSE is left out
        made += parser.emit(0, 1, 0x10, core.ObjectIdentifier(oid).dump() + flag + core.OctetString(value).dump())
    return bytes(parser.emit(0, 1, 0x10, made))


def _entry(entry: Entry) -> dict[str, object]:
    extensions = list(entry.extensions)
    if entry.reason is not None:
        extensions.append((_REASON, False, bytes([0x0A, 1, entry.reason])))
    at = names.Time({"utc_time": entry.at}) if entry.at.year < 2050 else names.Time({"general_time": entry.at})
    made: dict[str, object] = {"user_certificate": entry.serial, "revocation_date": at}
    if extensions:
        made["crl_entry_extensions"] = asn1.CRLEntryExtensions.load(_extensions(extensions))
    return made


def _grown(octets: bytes, after: bytes, added: bytes) -> bytes:
    """Return a DER value in which something follows a nested value; the lengths around it grow."""
    kind, method, tag, _, content, _ = parser.parse(octets)
    grown, rest = b"", content
    while rest:
        size = parser.peek(rest)
        inner, rest = rest[:size], rest[size:]
        grown += inner + added if inner == after else _grown(inner, after, added) if after in inner else inner
    return bytes(parser.emit(kind, method, tag, grown))
