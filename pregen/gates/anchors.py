"""Anchors: what the CA itself issued, compared with the rows that say the same; the only certain evidence about zones.

The times of a certificate and of a CRL are UTC by standard (RFC 5280, 4.1.2.5 and 5.1.2.6), and their signatures are
checked when they are read. So a row that says otherwise was read wrongly, or is wrong.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from asn1crypto import pem
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, mldsa, rsa
from numpy.typing import NDArray

from pregen import clock
from pregen.config import Config
from pregen.errors import ConfigError, Finding
from pregen.gates.clues import Clue, example, hex_number, issuer_name, shifts_text
from pregen.gates.evidence import EXAMPLES, Sightings, serial_of
from pregen.gates.offsets import TOLERANCE_S, Difference, compare
from pregen.issuers import Issuer, parse_certificate, read_certificates, signed_with
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE
from pregen.snapshot.columns import Column

MAX_ENTRIES = 16_384  # of a CRL: spread over all of it, they prove as much as a million do
_SIGNERS = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | ed25519.Ed25519PublicKey
    | ed448.Ed448PublicKey
    | dsa.DSAPublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)
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
    """All anchors of a configuration."""

    certificates: tuple[CertificateAnchor, ...] = ()
    crls: tuple[CrlAnchor, ...] = ()

    @property
    def keys(self) -> NDArray[np.uint64]:
        """The keys of their certificates, uint64[k], ascending and distinct."""
        single = np.array([anchor.key for anchor in self.certificates], np.uint64)
        return np.unique(np.concatenate([single, *(crl.keys for crl in self.crls)]))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What anchors say: clues, plain findings, and the columns (canonical names) that they prove to be right."""

    clues: tuple[Clue, ...]
    findings: tuple[Finding, ...]
    proved: frozenset[str]


def identity(column: Column) -> str:
    """Return a name for a declared column, which changes with everything that decides how its times are read."""
    parts = [column.canonical, column.name, column.zone, column.encoding, column.ambiguous, column.nonexistent]
    return json.dumps([*parts, column.time_of_day])


def load_anchors(config: Config, issuers: Sequence[Issuer]) -> Anchors:
    """Read the anchors that a configuration names, and check that a configured issuer signed them.

    Raises:
        ConfigError: one cannot be used; the findings name all of them.
    """
    certificates, crls = [], []
    findings: list[Finding] = []
    for section in config.snapshot.anchor:
        try:
            if section.certificate:
                certificates.append(_certificate(config.resolve(section.certificate), issuers))
            elif section.crl:
                crls.append(_crl(config.resolve(section.crl), issuers))
        except ConfigError as error:
            findings += error.findings
    if findings:
        many = "s" * (len(findings) > 1)
        raise ConfigError(f"{len(findings)} anchor{many} cannot be used; correct {config.path}", findings)
    return Anchors(tuple(certificates), tuple(crls))


def compare_anchors(
    anchors: Anchors, sightings: Sightings, columns: Mapping[str, Column], issuers: Sequence[Issuer], as_of: int
) -> Comparison:
    """Compare anchors with the rows of their certificates (`SIGHTING`[k], among others)."""
    rows = _Rows(sightings)
    pairs: dict[str, list[_Pair]] = {"not_before": [], "not_after": [], "revoked_at": []}
    findings = [
        *(_match_certificate(anchor, rows, pairs, issuers, as_of) for anchor in anchors.certificates),
        *(_match_crl(anchor, rows, pairs, issuers) for anchor in anchors.crls),
    ]
    clues = []
    proved = set()
    for canonical, compared in pairs.items():
        if not compared:
            continue
        clue = _clue(compared, columns[canonical], issuers)
        if clue is None:
            proved.add(canonical)
        else:
            clues.append(clue)
    return Comparison(tuple(clues), tuple(found for found in findings if found), frozenset(proved))


def no_anchor_findings(
    columns: Mapping[str, Column], *, proved: frozenset[str], judged: frozenset[str], remembered: frozenset[str]
) -> Iterator[Finding]:
    """Yield the declared columns that no anchor has proved yet.

    Args:
        columns: by canonical name.
        proved: canonical names of columns that anchors have proved now.
        judged: canonical names of columns that anchors have refuted, which is said elsewhere.
        remembered: identities of columns that were proved before.
    """
    for canonical, column in columns.items():
        if column.zone is None or canonical in proved | judged or identity(column) in remembered:
            continue
        kind = 'crl = "issuer.crl"' if canonical == "revoked_at" else 'certificate = "any-issued.pem"'
        text = (
            f"column {column.name!r} is read in the declared zone {column.zone}, and nothing proves that this is the "
            f"right one: add [[snapshot.anchor]] with {kind}, a file that one of these issuers signed; it is needed "
            "once, then it is remembered with the generation"
        )
        yield Finding("time.no-anchor", "error", text)


@dataclass(frozen=True, slots=True)
class _Pair:
    issuer: int
    serial: bytes
    read: int
    true: int


_Pairs = dict[str, list[_Pair]]  # by canonical column


class _Rows:
    """Sighted rows, found by certificate: equal keys of different certificates are legal."""

    def __init__(self, sightings: Sightings) -> None:
        self._rows = sightings
        self._places: dict[int, list[int]] = {}
        for at, key in enumerate(sightings["key"].tolist()):
            self._places.setdefault(key, []).append(at)

    def find(self, key: int, issuer: int, serial: bytes) -> list[np.void]:
        rows = [self._rows[at] for at in self._places.get(key, ())]
        return [row for row in rows if int(row["issuer"]) == issuer and serial_of(row) == serial]


def _match_certificate(
    anchor: CertificateAnchor, rows: _Rows, pairs: _Pairs, issuers: Sequence[Issuer], as_of: int
) -> Finding | None:
    """Add what a certificate and its row say to `pairs`; return a finding where there is no row."""
    found = rows.find(anchor.key, anchor.issuer, anchor.serial)
    times = (("not_before", NO_ISSUANCE, anchor.not_before), ("not_after", NO_EXPIRY, anchor.not_after))
    for row in found:
        for canonical, absent, true in times:
            if int(row[canonical]) != absent:
                pairs[canonical].append(_Pair(anchor.issuer, anchor.serial, int(row[canonical]), true))
    return None if found else _certificate_missing(anchor, issuers, as_of)


def _match_crl(anchor: CrlAnchor, rows: _Rows, pairs: _Pairs, issuers: Sequence[Issuer]) -> Finding | None:
    """Add what a CRL and the revoked ones of its rows say to `pairs`; return a finding where there is no row at all."""
    entries = zip(anchor.keys.tolist(), anchor.serials, anchor.revoked_at.tolist(), strict=True)
    found = [(row, serial, true) for key, serial, true in entries for row in rows.find(key, anchor.issuer, serial)]
    pairs["revoked_at"] += [
        _Pair(anchor.issuer, serial, int(row["revoked_at"]), true) for row, serial, true in found if row["revoked_at"]
    ]
    return None if found or not anchor.serials else _crl_missing(anchor, issuers)


def _clue(pairs: Sequence[_Pair], column: Column, issuers: Sequence[Issuer]) -> Clue | None:
    read = np.array([pair.read for pair in pairs], np.int64)
    true = np.array([pair.true for pair in pairs], np.int64)
    difference = compare(read, true, column)
    wrong = np.flatnonzero(np.abs(read - true) > TOLERANCE_S)
    if not _is_serious(difference, len(wrong)):
        return None
    shown = tuple(
        example(issuer_name(issuers, pairs[at].issuer), pairs[at].serial, column.name, pairs[at].read, pairs[at].true)
        for at in wrong[:EXAMPLES].tolist()
    )
    what = "the CRL says" if column.canonical == "revoked_at" else "the issued certificate says"
    text = f"{len(wrong):,} of {len(read):,} values are not what {what} ({shifts_text(difference)})"
    return Clue(
        code="time.anchor-mismatch",
        severity="error",
        canonical=column.canonical,
        text=text,
        advice="map the column that holds exactly this time, or correct the rows",
        shift_s=difference.shift_s,
        samples=difference.samples if difference.shifts else (),
        count=len(wrong),
        examples=shown,
    )


def _is_serious(difference: Difference, wrong: int) -> bool:
    """Whether anchors refute a column: an anchor is certain, yet a CRL's single entry may have been corrected since."""
    return wrong > 0 and (difference.compared < 100 or wrong > 0.005 * difference.compared)


def _certificate_missing(anchor: CertificateAnchor, issuers: Sequence[Issuer], as_of: int) -> Finding:
    name = issuer_name(issuers, anchor.issuer)
    text = f"{anchor.path}: its certificate ({name}, serial {hex_number(anchor.serial)}) is not in the snapshot"
    if anchor.not_after < as_of:
        text += ", and it has expired: name one that is valid"
        return Finding("time.anchor-not-found", "warning", text)
    text += (
        ": look why the export leaves it out, since it gets no answer, or how serials are encoded; if it was never "
        "issued, name another anchor"
    )
    return Finding("time.anchor-not-found", "error", text)


def _crl_missing(anchor: CrlAnchor, issuers: Sequence[Issuer]) -> Finding:
    text = (
        f"{anchor.path}: none of its {len(anchor.serials):,} entries of {issuer_name(issuers, anchor.issuer)} is in "
        "the snapshot: look how serials are encoded, or name a newer CRL"
    )
    return Finding("time.anchor-not-found", "warning", text)


def _certificate(path: Path, issuers: Sequence[Issuer]) -> CertificateAnchor:
    certificate = read_certificates(path)[0]  # of a chain, the one that was issued comes first
    index = None
    for at, issuer in enumerate(issuers):
        if issuer.subject != certificate.issuer:
            continue
        key = parse_certificate(path, issuer.certificates[0]).load_public_key()
        try:
            if signed_with(certificate, key):
                index = at
        except ValueError as error:
            raise _refused("anchor.unreadable", f"{path}: its signature cannot be checked ({error}): {_FIX}") from error
    if index is None:
        raise _unknown(path, any(issuer.subject == certificate.issuer for issuer in issuers))
    serial: bytes = asn1.Certificate.load(certificate.der)["tbs_certificate"]["serial_number"].contents
    key_number = xxhash.xxh64_intdigest(serial, issuers[index].issuer_id)
    times = clock.seconds(certificate.not_before), clock.seconds(certificate.not_after)
    return CertificateAnchor(path, index, serial, key_number, *times)


def _crl(path: Path, issuers: Sequence[Issuer]) -> CrlAnchor:
    try:
        octets = path.read_bytes()
        crl = x509.load_der_x509_crl(pem.unarmor(octets)[2] if pem.detect(octets) else octets)
        issuer_der = crl.issuer.public_bytes()
    except OSError as error:
        raise _refused("anchor.unreadable", f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _refused("anchor.unreadable", f"{path}: holds no CRL that can be read ({error}): {_FIX}") from error
    index = next((at for at, issuer in enumerate(issuers) if _signs(issuer, issuer_der, crl, path)), None)
    if index is None:
        raise _unknown(path, any(issuer.subject == issuer_der for issuer in issuers))
    step = -(-len(crl) // MAX_ENTRIES) or 1
    entries = [entry for entry in crl[::step] if not _is_removed(entry)] if len(crl) else []
    serials = [_content_octets(entry.serial_number) for entry in entries]
    keys = np.array([xxhash.xxh64_intdigest(serial, issuers[index].issuer_id) for serial in serials], np.uint64)
    times = np.array([clock.seconds(entry.revocation_date_utc) for entry in entries], np.int64)
    order = np.argsort(keys, kind="stable")
    return CrlAnchor(path, index, keys[order], tuple(serials[at] for at in order.tolist()), times[order])


def _signs(issuer: Issuer, subject: bytes, crl: x509.CertificateRevocationList, path: Path) -> bool:
    if issuer.subject != subject:
        return False
    key = parse_certificate(path, issuer.certificates[0]).load_public_key()
    try:
        return isinstance(key, _SIGNERS) and crl.is_signature_valid(key)
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        raise _refused("anchor.unreadable", f"{path}: its signature cannot be checked ({error}): {_FIX}") from error


def _is_removed(entry: x509.RevokedCertificate) -> bool:
    """Whether an entry of a delta CRL says that the certificate is good again."""
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except x509.ExtensionNotFound:
        return False
    return reason is x509.ReasonFlags.remove_from_crl


def _content_octets(number: int) -> bytes:
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def _unknown(path: Path, is_name_known: bool) -> ConfigError:
    if is_name_known:
        text = f"{path}: no configured issuer's key verifies its signature, although the name is right: {_FIX}"
        return _refused("anchor.signature", text)
    return _refused("anchor.unknown-issuer", f"{path}: no configured issuer has issued it: {_FIX}")


def _refused(code: str, text: str) -> ConfigError:
    return ConfigError(text, (Finding(code, "error", text),))
