"""The files that anchors are: issued certificates and CRLs, read, and signed by a configured issuer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from asn1crypto import x509 as asn1
from numpy.typing import NDArray

from pregen import clock
from pregen.config import Config
from pregen.errors import ConfigError, Finding, InputError
from pregen.issuers import Issuer, parse_certificate, read_certificates, signed_with
from pregen.names import name_key
from pregen.reasons import REMOVE_FROM_CRL
from pregen.snapshot import Crl, RevocationList, read_crls

MAX_ENTRIES = 16_384  # of a CRL: spread over all of it, they prove as much as a million do
_FIX = "correct the file, or name another in [[snapshot.anchor]]"


@dataclass(frozen=True, slots=True)
class CertificateAnchor:
    """One issued certificate: `serial` as content octets, times in seconds since 1970."""

    path: Path
    issuer: int
    serial: bytes
    key: int
    not_before: int
    not_after: int


@dataclass(frozen=True, slots=True)
class CrlAnchor:
    """Entries of one CRL, up to `MAX_ENTRIES`: by ascending keys, uint64[k], what they say of `serials`, int64[k]."""

    path: Path
    issuer: int
    keys: NDArray[np.uint64]
    serials: tuple[bytes, ...]
    revoked_at: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of a configuration; `lists` are the CRLs with all their entries."""

    certificates: tuple[CertificateAnchor, ...] = ()
    crls: tuple[CrlAnchor, ...] = ()
    lists: tuple[RevocationList, ...] = ()

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The keys of their certificates, uint64[k], ascending and distinct."""
        single = np.array([anchor.key for anchor in self.certificates], np.uint64)
        return np.unique(np.concatenate([single, *(crl.keys for crl in self.crls)]))


def load_anchors(config: Config, issuers: Sequence[Issuer]) -> Anchors:
    """Read the anchors that a configuration names, and check that a configured issuer signed them.

    Raises:
        ConfigError: one cannot be used; the findings name all of them.
    """
    certificates, crls = [], list[tuple[CrlAnchor, RevocationList]]()
    findings: list[Finding] = []
    for section in config.snapshot.anchor:
        try:
            if section.certificate:
                certificates.append(_certificate(config.resolve(section.certificate), issuers))
            elif section.crl:
                crls += _crls(config.resolve(section.crl), issuers)
        except ConfigError as error:
            findings += error.findings
    if findings:
        many = "s" * (len(findings) > 1)
        raise ConfigError(f"{len(findings)} anchor{many} cannot be used; correct {config.path}", findings)
    return Anchors(tuple(certificates), tuple(crl for crl, _ in crls), tuple(whole for _, whole in crls))


def _certificate(path: Path, issuers: Sequence[Issuer]) -> CertificateAnchor:
    certificate = read_certificates(path)[0]  # of a chain, the one that was issued comes first
    index = None
    for at, issuer in enumerate(issuers):
        # A further encoding of a name has the key of the first, whose rows it answers: anchors are compared with those.
        if issuer.is_further_name or not _is_name_of(issuer, certificate.issuer):
            continue
        key = parse_certificate(path, issuer.certificates[0]).load_public_key()
        try:
            if signed_with(certificate, key):
                index = at
        except ValueError as error:  # an algorithm that nobody here knows: to pass over it would hide why
            raise _refused("anchor.unreadable", f"{path}: its signature cannot be checked ({error}): {_FIX}") from error
    if index is None:
        raise _unknown(path, any(_is_name_of(issuer, certificate.issuer) for issuer in issuers))
    # Content octets as they are written, as CertIDs and snapshots have them: an integer would lose padding.
    serial: bytes = asn1.Certificate.load(certificate.der)["tbs_certificate"]["serial_number"].contents
    key_number = xxhash.xxh64_intdigest(serial, issuers[index].issuer_id)
    times = clock.seconds(certificate.not_before), clock.seconds(certificate.not_after)
    return CertificateAnchor(path, index, serial, key_number, *times)


def _crls(path: Path, issuers: Sequence[Issuer]) -> list[tuple[CrlAnchor, RevocationList]]:
    try:
        return [_crl(crl, issuers) for crl in read_crls(path)]
    except InputError as error:
        text = error.findings[0].message if error.findings else error.message
        raise _refused("anchor.unreadable", f"{text}, or name another in [[snapshot.anchor]]") from error


def _crl(crl: Crl, issuers: Sequence[Issuer]) -> tuple[CrlAnchor, RevocationList]:
    index = next((at for at, issuer in enumerate(issuers) if _signs(issuer, crl)), None)
    if index is None:
        raise _unknown(crl.path, any(_is_name_of(issuer, crl.issuer) for issuer in issuers))
    entries = crl.entries()
    listed = np.flatnonzero(entries.reason != REMOVE_FROM_CRL)  # what a delta CRL takes back says no time of revocation
    # Every n-th of all, not the first ones: lists are sorted by time or serial, and a zone may be wrong in one season.
    listed = listed[:: -(-len(listed) // MAX_ENTRIES) or 1]
    serials = [entries.serial[at].as_py() or b"" for at in listed.tolist()]
    keys = np.array([xxhash.xxh64_intdigest(serial, issuers[index].issuer_id) for serial in serials], np.uint64)
    order = np.argsort(keys, kind="stable")  # keys that are watched are looked up by search
    anchor = CrlAnchor(
        crl.path, index, keys[order], tuple(serials[at] for at in order.tolist()), entries.revoked_at[listed][order]
    )
    return anchor, RevocationList.of(crl, index, entries)


def _is_name_of(issuer: Issuer, name: bytes) -> bool:
    # Octets first: few names differ in their encoding, and to normalise one is slow.
    return issuer.subject == name or name_key(issuer.subject) == name_key(name)


def _signs(issuer: Issuer, crl: Crl) -> bool:
    if not _is_name_of(issuer, crl.issuer):
        return False
    try:
        return crl.is_signed_by(parse_certificate(crl.path, issuer.certificates[0]).public_key)
    except ValueError as error:
        text = f"{crl.path}: its signature cannot be checked ({error}): {_FIX}"
        raise _refused("anchor.unreadable", text) from error


def _unknown(path: Path, is_name_known: bool) -> ConfigError:
    if is_name_known:
        text = f"{path}: no configured issuer's key verifies its signature, although the name is right: {_FIX}"
        return _refused("anchor.signature", text)
    return _refused("anchor.unknown-issuer", f"{path}: no configured issuer has issued it: {_FIX}")


def _refused(code: str, text: str) -> ConfigError:
    return ConfigError(text, (Finding(code, "error", text),))
