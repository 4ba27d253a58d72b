"""One CRL as a file has it, base or delta: parsed, not yet judged (RFC 5280, section 5).

The head is read with asn1crypto, which keeps the octets of names; signature and entries (crl_entries.py) with
cryptography. CRLs that cryptography refuses (an encoded default, a superfluous octet) are left to asn1crypto.
"""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from asn1crypto import algos, core, pem
from asn1crypto import crl as asn1
from asn1crypto import x509 as names
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.utils import CryptographyDeprecationWarning

from pregen import clock
from pregen.errors import Finding, InputError
from pregen.signatures import verifies
from pregen.snapshot.crls.crl_entries import (
    ASN1_ERRORS,
    CrlEntries,
    loose_entries,
    plain_extension,
    seconds_of,
    strict_entries,
)

_NUMBER, _DELTA, _DISTRIBUTION_POINT = "2.5.29.20", "2.5.29.27", "2.5.29.28"
# Authority key identifier, issuer's other names, and where newer CRLs are, change nothing here (RFC 5280, 5.2).
_KNOWN = frozenset({_NUMBER, _DELTA, _DISTRIBUTION_POINT, "2.5.29.35", "2.5.29.18", "2.5.29.46", "1.3.6.1.5.5.7.1.1"})
_DIGESTS: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


Covered: TypeAlias = Literal["user", "ca"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """A CRL, whose entries are read when they are asked for.

    Attributes:
        path: the file it came from.
        der: the whole of it.
        issuer: DER Name, as encoded there.
        this_update, next_update: seconds since 1970; no nextUpdate: None.
        number: CRLNumber; None where it has none.
        base_number: BaseCRLNumber of a delta CRL; None for a base.
        scope: octets of its IssuingDistributionPoint; empty where it covers all of the issuer's certificates.
        indirect: whether it may speak of certificates of other issuers.
        covers: which certificates its scope is about: "user", "ca" or both; none where it contradicts itself.
        point: a name of its distribution point, such as a URL; None where it names none.
        partial: what of its scope it leaves out, or empty.
        unknown: dotted OIDs of critical extensions that are not known here.
        digest: name of the hash under its signature; None where the algorithm names none, or is unknown.
    """

    path: Path
    der: bytes = field(repr=False)
    issuer: bytes
    this_update: int
    next_update: int | None
    number: int | None
    base_number: int | None
    scope: bytes
    indirect: bool
    covers: frozenset[Covered]
    point: str | None
    partial: str
    unknown: tuple[str, ...]
    digest: str | None

    @property
    def is_delta(self) -> bool:
        """Whether it holds changes to a base alone."""
        return self.base_number is not None

    @property
    def label(self) -> str:
        """What messages call it.

        A file may hold several CRLs, so its number is named too.
        """
        kind = "delta" if self.is_delta else "base"
        number = "" if self.number is None else f" number {self.number}"
        return f"{self.path} ({kind}{number} of {clock.text(self.this_update)})"

    def is_signed_by(self, public_key: bytes) -> bool:
        """Whether the signature verifies with a public key, a DER SubjectPublicKeyInfo.

        Raises:
            ValueError: the key or the algorithm is beyond cryptography.
        """
        try:
            return _is_signed(self.der, load_der_public_key(public_key))
        except (UnsupportedAlgorithm, *ASN1_ERRORS) as error:
            raise ValueError(_first_line(error)) from error

    def entries(self) -> CrlEntries:
        """Return the entries.

        Raises:
            InputError: they cannot be read.
        """
        strict = _strict(self.der)
        if strict is not None:
            with contextlib.suppress(*ASN1_ERRORS):
                return strict_entries(strict, self.der)
        try:
            return loose_entries(self.der)
        except ASN1_ERRORS as error:
            raise _unreadable(self.path, f"its entries cannot be read ({_first_line(error)})") from error


def read_crls(path: Path) -> tuple[Crl, ...]:
    """Return the CRLs of a file, PEM (one or more) or DER (one).

    Raises:
        InputError: the file cannot be read, or holds no CRL; with the finding ``crl.unreadable``.
    """
    try:
        return tuple(_checked(path, der) for der in _blocks(path.read_bytes()))
    except OSError as error:
        raise _unreadable(path, f"cannot be read ({error.strerror})") from error
    except ASN1_ERRORS as error:
        raise _unreadable(path, f"holds no CRL, PEM or DER, that can be read ({_first_line(error)})") from error


def _checked(path: Path, der: bytes) -> Crl:
    try:
        return _parsed(path, der)
    except ASN1_ERRORS as error:
        if _strict(der) is None:
            raise
        text = (
            f"{path}: it is a CRL, but what says whose it is, when it is of, or what it covers cannot be read "
            f"({_first_line(error)}): issue it again as RFC 5280, 5.1 and 5.2, has it"
        )
        raise InputError("the CRLs cannot be used", (Finding("crl.unreadable", "error", text),)) from error


def _blocks(data: bytes) -> list[bytes]:
    if not pem.detect(data):
        return [data]
    blocks = [der for kind, _, der in pem.unarmor(data, multiple=True) if kind == "X509 CRL"]
    if not blocks:
        raise ValueError("a PEM file without a block X509 CRL")
    return blocks


def _parsed(path: Path, der: bytes) -> Crl:
    body = asn1.CertificateList.load(der, strict=True)["tbs_cert_list"]
    listed = [plain_extension(one) for one in body["crl_extensions"] or ()]
    extensions = {oid: octets for oid, _, octets in listed}
    for oid in (_NUMBER, _DELTA, _DISTRIBUTION_POINT):
        if sum(one == oid for one, _, _ in listed) > 1:
            raise ValueError(f"the extension {oid} stands there twice")
    scope = extensions.get(_DISTRIBUTION_POINT, b"")
    point = asn1.IssuingDistributionPoint.load(scope, strict=True) if scope else None
    unknown = (oid for oid, is_critical, _ in listed if is_critical)
    return Crl(
        path=path,
        der=der,
        issuer=body["issuer"].dump(),
        this_update=seconds_of(body["this_update"].native),
        next_update=None if body["next_update"].native is None else seconds_of(body["next_update"].native),
        number=_integer(extensions.get(_NUMBER)),
        base_number=_integer(extensions.get(_DELTA)),
        scope=scope,
        indirect=point is not None and bool(point["indirect_crl"].native),
        covers=_covers(point),
        point=_point(point),
        partial=_left_out(point),
        unknown=tuple(oid for oid in unknown if oid not in _KNOWN),
        digest=_digest(der),
    )


def _covers(point: asn1.IssuingDistributionPoint | None) -> frozenset[Covered]:
    covered: set[Covered] = {"user", "ca"}
    if point is not None and point["only_contains_user_certs"].native:
        covered -= {"ca"}
    if point is not None and point["only_contains_ca_certs"].native:
        covered -= {"user"}
    return frozenset(covered)


def _point(point: asn1.IssuingDistributionPoint | None) -> str | None:
    """Return a name of the distribution point, as far as people can read what RFC 5280, 4.2.1.13, allows there."""
    if point is None or point["distribution_point"].native is None:
        return None
    name = point["distribution_point"].chosen
    if isinstance(name, names.RelativeDistinguishedName):
        return " + ".join(f"{one['type'].human_friendly}: {one['value'].native}" for one in name)
    if not len(name):
        raise ValueError("a distribution point without a name")
    first = name[0].chosen
    try:
        return first.human_friendly if isinstance(first, names.Name) else str(first.native)
    except ASN1_ERRORS:  # it is only shown
        return f"a name of the octets {first.dump().hex()}"


def _left_out(point: asn1.IssuingDistributionPoint | None) -> str:
    """Return what an IssuingDistributionPoint says that a CRL does not tell; empty if nothing that matters here."""
    if point is None:
        return ""
    if point["only_some_reasons"].native:
        return "holds revocations for some reasons alone (onlySomeReasons)"
    if point["only_contains_attribute_certs"].native:
        return "is about attribute certificates alone (onlyContainsAttributeCerts)"
    if not _covers(point):
        return (
            "is about end-entity certificates alone and about CA certificates alone, so about none "
            "(onlyContainsUserCerts, onlyContainsCACerts)"
        )
    return ""


def _integer(octets: bytes | None) -> int | None:
    return None if octets is None else int(core.Integer.load(octets, strict=True))


def _strict(der: bytes) -> x509.CertificateRevocationList | None:
    """Return a CRL as cryptography reads it; None where it refuses."""
    try:
        with warnings.catch_warnings():  # what it announces to refuse one day is refused today
            warnings.simplefilter("error", CryptographyDeprecationWarning)
            return x509.load_der_x509_crl(der)
    except (ValueError, x509.InvalidVersion, CryptographyDeprecationWarning):
        return None


def _digest(der: bytes) -> str | None:
    strict = _strict(der)
    try:
        if strict is None:
            return str(asn1.CertificateList.load(der)["signature_algorithm"].hash_algo)
        digest = strict.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return None
    return digest.name if digest else None


def _is_signed(der: bytes, key: PublicKeyTypes) -> bool:
    whole = asn1.CertificateList.load(der)
    body, named = whole["tbs_cert_list"], whole["signature_algorithm"]
    if body["signature"].dump() != named.dump():  # RFC 5280, 5.1.1.2
        return False
    strict = _strict(der)
    # Not `strict.is_signature_valid`, which calls signatures with SHA-1 wrong.
    if strict is None:
        how, digest = _algorithm(named)
    else:
        how, digest = strict.signature_algorithm_parameters, strict.signature_hash_algorithm
    return verifies(key, whole["signature"].native, body.dump(), how, digest)


def _algorithm(named: algos.SignedDigestAlgorithm) -> tuple[object, hashes.HashAlgorithm | None]:
    """Return padding and hash of the algorithm of a CRL that cryptography refuses; of kinds that such CRLs have.

    Raises:
        ValueError: another kind.
    """
    kind = named.signature_algo
    if kind == "ed25519":
        return None, None
    if kind not in {"rsassa_pkcs1v15", "ecdsa"} or named.hash_algo not in _DIGESTS:
        what = f"it is not encoded as DER demands, and with {named['algorithm'].native} such a CRL is not read here"
        raise ValueError(what)
    return (None if kind == "ecdsa" else padding.PKCS1v15()), _DIGESTS[named.hash_algo]()


def _unreadable(path: Path, what: str) -> InputError:
    text = f"{path}: {what}: name a CRL, PEM or DER, or fetch it again"
    return InputError("the CRLs cannot be used", (Finding("crl.unreadable", "error", text),))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
