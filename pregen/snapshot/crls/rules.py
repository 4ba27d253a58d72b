"""Which CRLs count, and what is wrong with the others: issuer, signature, freshness, base and delta.

Every rule is applied to every CRL, so that all findings come at once. What a CRL must be is in RFC 5280: 5.1 (head),
5.2.3 and 5.2.4 (numbers and deltas), 5.2.5 (what it covers), 6.3.3 (when it may be used). What is decided here:

* A CRL belongs to the issuer with its name **and** the key that verifies its signature; cross-certificates share both.
* Its entries are about certificates of that name, whichever of the configured keys signed these: after a key rollover
  the new key's CRL may list what the old key issued (4.1.2.2: issuer name and serial identify a certificate).
* A CRL of nobody is an error, not ignored: it may be the one part of a partitioned CRL that matters.
* SHA-1 is a warning (the files come from the CA itself), MD5 an error.
* CRLs that cover different parts of an issuer's certificates (IssuingDistributionPoint) are united; what all of them
  leave out is told by scope.py.
* Of the same part, the base with the highest number counts, then the one made last; one delta with a higher number may
  change it, the newest, because each holds all changes since its base. Numbers increase with time (5.2.3): where they
  do not, or two bases that differ share number or time, nobody can tell which CRL is the newest, an error. Between a
  base and a delta, which may be made side by side, five minutes do not matter; one made with the base has its number
  and says nothing else (5.2.3, 5.2.4).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.errors import Finding, Severity
from pregen.names import name_key
from pregen.snapshot.crls.crl import Crl
from pregen.validity import CLOCK_SKEW_S

_FORBIDDEN, _WEAK = frozenset({"md2", "md5"}), frozenset({"sha1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CrlIssuer:
    """An issuer whose CRLs are wanted.

    Attributes:
        index: the issuer's index.
        name: what messages call it.
        subject: DER Name.
        public_key: DER SubjectPublicKeyInfo.
    """

    index: int
    name: str
    subject: bytes
    public_key: bytes


def namesakes(issuers: Sequence[CrlIssuer]) -> NDArray[np.int32]:
    """Return by index the first issuer of the same name, int32[highest index + 1]: one CA has several keys in turn."""
    found = np.arange(max((issuer.index for issuer in issuers), default=-1) + 1, dtype=np.int32)
    first: dict[str, int] = {}
    for issuer in sorted(issuers, key=lambda one: one.index):
        found[issuer.index] = first.setdefault(name_key(issuer.subject), issuer.index)
    return found


class Effective(NamedTuple):
    """What tells the revocations of one part of an issuer's certificates: a base, and a delta that changes it."""

    issuer: CrlIssuer
    base: Crl
    delta: Crl | None
    superseded: tuple[Crl, ...] = ()  # the last one of each kind before these

    @property
    def this_update(self) -> int:
        """The instant for which it is right, in seconds since 1970."""
        return self.base.this_update if self.delta is None else self.delta.this_update


class _Owned(NamedTuple):
    """A CRL and whose it is."""

    issuer: CrlIssuer
    crl: Crl


def effective_crls(
    crls: Iterable[Crl], issuers: Sequence[CrlIssuer], now: int
) -> tuple[tuple[Effective, ...], list[Finding]]:
    """Return the CRLs that count, those made last at the end, and what is wrong with any.

    Args:
        crls: all that are named.
        issuers: whose certificates are asked about.
        now: seconds since 1970.
    """
    owned, findings = [], []
    suspects: set[int] = set()  # issuers that have a CRL, though one that cannot be used
    for crl in {crl.der: crl for crl in crls}.values():
        issuer, faults = _owner(crl, issuers)
        faults += _content_findings(crl, now)
        findings += faults
        if issuer is not None and not any(fault.severity == "error" for fault in faults):
            owned.append(_Owned(issuer, crl))
        else:
            suspects |= {one.index for one in issuers if name_key(one.subject) == name_key(crl.issuer)}
    parts: dict[tuple[int, bytes], list[_Owned]] = {}
    for one in owned:
        parts.setdefault((one.issuer.index, one.crl.scope), []).append(one)
    effective = []
    for part in parts.values():
        found, more = _combined(part)
        findings += more
        if found is not None:
            effective.append(found)
            findings += _freshness(found, now)
    present = suspects | {one.issuer.index for one in owned}
    findings += [_missing(issuer) for issuer in issuers if issuer.index not in present]
    return tuple(sorted(effective, key=lambda one: (one.this_update, one.base.path))), findings


def _owner(crl: Crl, issuers: Sequence[CrlIssuer]) -> tuple[CrlIssuer | None, list[Finding]]:
    """Return the issuer of a CRL, or None and why there is none."""
    key = name_key(crl.issuer)
    named = [issuer for issuer in issuers if issuer.subject == crl.issuer or name_key(issuer.subject) == key]
    if not named:
        text = "its issuer is not configured: add [[issuer]] for it, or leave it out of crls in [snapshot]"
        return None, [_error("crl.unknown-issuer", crl, f"{text} (the name is {key})")]
    if crl.digest in _FORBIDDEN:
        text = f"it is signed with {crl.digest}, which anyone can forge: issue it with SHA-256"
        return None, [_error("crl.weak-signature", crl, text)]
    reasons = []
    for issuer in named:
        try:
            if crl.is_signed_by(issuer.public_key):
                return issuer, list(_weakness(crl))
        except ValueError as error:
            reasons.append(str(error))
    names = ", ".join(repr(issuer.name) for issuer in named)
    text = (
        f"it names the issuer {names}, but its signature was not made with its key: it is damaged, or another key's; "
        "fetch it again"
    )
    if reasons:
        text = (
            f"it names the issuer {names}, but its signature cannot be checked ({reasons[0]}), so nobody can tell "
            "whether it is theirs: issue it in DER, with RSA, ECDSA or Ed25519"
        )
    return None, [_error("crl.signature", crl, text)]


def _weakness(crl: Crl) -> Iterator[Finding]:
    if crl.digest in _WEAK:
        text = f"it is signed with {crl.digest}: issue it with SHA-256 from now on"
        yield _finding("crl.weak-signature", "warning", crl, text)


def _content_findings(crl: Crl, now: int) -> list[Finding]:
    """Return why the head of a CRL forbids its use."""
    findings = []
    if crl.unknown:
        text = f"it has critical extensions that are not known here ({', '.join(crl.unknown)}), so it may mean less "
        text += "than it seems to (RFC 5280, 5.2): issue one without them"
        findings.append(_error("crl.critical-extension", crl, text))
    if crl.indirect:
        text = "it may speak of other issuers' certificates (indirectCRL), which is not read here: issue direct CRLs"
        findings.append(_error("crl.indirect", crl, text))
    if crl.partial:
        findings.append(_error("crl.partial", crl, f"it {crl.partial}: name CRLs that tell all"))
    if crl.this_update > now + CLOCK_SKEW_S:
        text = f"its thisUpdate is later than now ({clock.text(now)}): look at the clocks of the CA and of this machine"
        findings.append(_error("crl.future", crl, text))
    return findings


def _combined(part: Sequence[_Owned]) -> tuple[Effective | None, list[Finding]]:
    """Return what tells the revocations of one part of an issuer's certificates, and what is odd about its CRLs."""
    findings: list[Finding] = []
    bases = sorted((one for one in part if not one.crl.is_delta), key=_age)
    deltas = sorted((one for one in part if one.crl.is_delta), key=_age)
    if not bases:
        text = "there is no base CRL that it could change: name the base too, of the same distribution point"
        return None, [_error("crl.delta-without-base", one.crl, text) for one in deltas]
    issuer, base = bases[-1]
    disordered = [*_disordered(bases, deltas), *_twins(bases)]
    findings += [_superseded(one.crl, base) for one in bases[:-1]]
    usable = []
    for _, delta in deltas:
        if base.number is None or delta.number is None or (delta.base_number or 0) > base.number:
            text = f"it changes the base number {delta.base_number}, but the newest one here is {base.label}: name "
            text += "that base, or a newer one; without it, revocations in between would be lost"
            findings.append(_error("crl.delta-without-base", delta, text))
        elif delta.number == base.number and delta.this_update > base.this_update + CLOCK_SKEW_S:
            disordered.append(_order(delta, base))
        elif delta.number == base.number and delta.this_update >= base.this_update - CLOCK_SKEW_S:
            continue  # made with the base
        elif delta.number <= base.number:
            text = f"it is not newer than {base.label}, and is ignored: remove it from crls in [snapshot]"
            findings.append(_finding("crl.delta-stale", "warning", delta, text))
        else:
            usable.append(delta)
    findings += [_superseded(delta, usable[-1]) for delta in usable[:-1]]
    if disordered:  # which CRLs to remove, nobody can tell
        findings = [*disordered, *(finding for finding in findings if finding.severity == "error")]
    superseded = (*(one.crl for one in bases[-2:-1]), *usable[-2:-1])
    return Effective(issuer, base, usable[-1] if usable else None, superseded), findings


def _age(one: _Owned) -> tuple[int, int, str]:
    return (-1 if one.crl.number is None else one.crl.number), one.crl.this_update, str(one.crl.path)


def _disordered(bases: Sequence[_Owned], deltas: Sequence[_Owned]) -> list[Finding]:
    """Return an error for each CRL that is later than one with the next higher number (RFC 5280, 5.2.3).

    Neighbours are enough: where bases are in order, and deltas are, a base and a delta that are not have neighbours of
    both kinds between them that are as far apart or farther.
    """
    alike = [*pairwise(one.crl for one in bases), *pairwise(one.crl for one in deltas)]
    found = [_order(crl, higher) for crl, higher in alike if crl.this_update > higher.this_update]
    both = pairwise(one.crl for one in sorted([*bases, *deltas], key=_age))
    mixed = ((crl, higher) for crl, higher in both if crl.is_delta != higher.is_delta)
    return found + [_order(crl, higher) for crl, higher in mixed if crl.this_update > higher.this_update + CLOCK_SKEW_S]


def _twins(bases: Iterable[_Owned]) -> list[Finding]:
    """Return an error for each base, of those sorted by age, that shares its number or its time with the one before.

    One number is of one CRL (RFC 5280, 5.2.3), and what is the same octet by octet was named twice: it is one here.
    """
    findings = []
    for (_, crl), (_, other) in pairwise(bases):
        number = crl.number is not None and crl.number == other.number
        if number or crl.this_update == other.this_update:
            shared = "number" if number else "thisUpdate"
            findings.append(_unordered(other, f"it differs from {crl.label}, and yet has the same {shared}"))
    return findings


def _order(crl: Crl, other: Crl) -> Finding:
    number = "no number" if crl.number is None else "no higher number"
    return _unordered(crl, f"it is later than {other.label}, and yet has {number}")


def _unordered(crl: Crl, what: str) -> Finding:
    text = (
        f"{what}; numbers of one issuer's CRLs increase with time (RFC 5280, "
        "5.2.3), so nobody can tell which CRL is the newest, and revocations could be lost: fetch the newest from the "
        "CA, and remove the others from crls in [snapshot]; if the CA counts anew, remove those from before"
    )
    return _error("crl.order", crl, text)


def _freshness(found: Effective, now: int) -> list[Finding]:
    """Return what is wrong with the times of what counts; a base need not be fresh where a delta is."""
    crl = found.delta or found.base
    if crl.next_update is None:
        text = "it has no nextUpdate (RFC 5280, 5.1.2.5), so nobody can tell whether it is the newest"
        return [_finding("crl.no-next-update", "warning", crl, f"{text}: issue CRLs that have one")]
    if crl.next_update < now:
        text = f"it expired at {clock.text(crl.next_update)} (now: {clock.text(now)}), so newer revocations are missing"
        return [_error("crl.expired", crl, f"{text}: fetch the newest")]
    return []


def _missing(issuer: CrlIssuer) -> Finding:
    text = f"issuer {issuer.name!r} has no CRL, so nobody can tell which of its certificates are revoked: add its base "
    return Finding("crl.missing", "error", f"{text}CRL to crls in [snapshot]")


def _superseded(crl: Crl, by: Crl) -> Finding:
    text = f"it is ignored, because {by.label} is newer: remove it from crls in [snapshot]"
    return _finding("crl.superseded", "warning", crl, text)


def _error(code: str, crl: Crl, text: str) -> Finding:
    return _finding(code, "error", crl, text)


def _finding(code: str, severity: Severity, crl: Crl, text: str) -> Finding:
    return Finding(code, severity, f"{crl.label}: {text}")
