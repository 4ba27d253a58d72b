"""Anchors: what the CA itself issued, compared with the rows that say the same; the only certain evidence about zones.

The times of a certificate and of a CRL are UTC by standard (RFC 5280, 4.1.2.5 and 5.1.2.6), and their signatures are
checked when they are read. So a row that says otherwise was read wrongly, or is wrong.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.gates.detector.anchor_files import Anchors, CertificateAnchor, CrlAnchor
from pregen.gates.detector.clues import Clue, example, issuer_name, shifts_text
from pregen.gates.detector.offsets import Difference, are_same, compare
from pregen.gates.detector.sightings import Sightings, sighted_serial
from pregen.issuers import Issuer
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, OWN_ZONE
from pregen.snapshot.column import Column
from storage.certid import serial_text

_MIN_SHIFTED = 3  # entries of a CRL with one difference: a single one that was renewed may differ by anything
FEW_AMONG, FEW_SHARE = 100, 0.005  # entries of a CRL: of so many, this share may have been corrected since


@dataclass(frozen=True, slots=True)
class Anchored:
    """What anchors say: clues, plain findings, and the columns (canonical names) that they prove to be right."""

    clues: tuple[Clue, ...]
    findings: tuple[Finding, ...]
    proved: frozenset[str]


def identity(column: Column) -> str:
    """Return a name for a declared column, which changes with everything that decides how its times are read."""
    parts = [column.canonical, column.name, column.declared_zone, column.encoding, column.ambiguous, column.nonexistent]
    return json.dumps([*parts, column.time_of_day])


def compare_anchors(
    anchors: Anchors,
    sightings: Sightings,
    columns: Mapping[str, Column],
    issuers: Sequence[Issuer],
    as_of: int,
    remembered: frozenset[str],
) -> Anchored:
    """Compare anchors with the rows of their certificates (`SIGHTING`[k], among others).

    `remembered` are identities of columns that were proved before.
    """
    rows = _SightedRows(sightings)
    pairs: dict[str, list[_TimePair]] = {"not_before": [], "not_after": [], "revoked_at": []}
    findings = [
        *(_match_certificate(anchor, rows, pairs, issuers, as_of) for anchor in anchors.certificates),
        *(_match_crl(anchor, rows, pairs, issuers) for anchor in anchors.crls),
    ]
    clues = []
    proved = set()
    for canonical, compared in pairs.items():
        column = columns[canonical]
        for uses_zone in (True, False):  # rows that name their own offset say nothing about the others, nor of the zone
            some = [pair for pair in compared if pair.uses_zone == uses_zone]
            clue = _clue(some, column, issuers, is_known=identity(column) in remembered) if some else None
            if clue is not None:
                clues.append(clue)
            # Renewed holds of a CRL do not take away what most of its entries prove; what is mostly otherwise proves
            # nothing, even where that may be legal.
            is_right = clue is None or (clue.severity == "warning" and 2 * clue.count < len(some))
            if some and uses_zone and is_right:
                proved.add(canonical)
    return Anchored(tuple(clues), tuple(found for found in findings if found), frozenset(proved))


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
        if column.declared_zone is None or canonical in proved | judged or identity(column) in remembered:
            continue
        kind = 'crl = "issuer.crl"' if canonical == "revoked_at" else 'certificate = "any-issued.pem"'
        text = (
            f"column {column.name!r} is read in the declared zone {column.declared_zone}, and nothing proves that this "
            f"is the right one: add [[snapshot.anchor]] with {kind}, a file that one of these issuers signed; it is "
            "needed once, then it is remembered with the generation"
        )
        yield Finding("time.no-anchor", "error", text)


@dataclass(frozen=True, slots=True)
class _TimePair:
    issuer: int
    serial: bytes
    read: int
    true: int
    uses_zone: bool  # that of its column: the row names none itself


_Pairs = dict[str, list[_TimePair]]  # by canonical column


class _SightedRows:
    """Sighted rows, found by certificate: equal keys of different certificates are legal."""

    def __init__(self, sightings: Sightings) -> None:
        self._rows = sightings
        self._places: dict[int, list[int]] = {}
        for at, key in enumerate(sightings["key"].tolist()):
            self._places.setdefault(key, []).append(at)

    def find(self, key: int, issuer: int, serial: bytes) -> list[np.void]:
        rows = [self._rows[at] for at in self._places.get(key, ())]
        return [row for row in rows if int(row["issuer"]) == issuer and sighted_serial(row) == serial]


def _pair(issuer: int, serial: bytes, row: np.void, canonical: str, true: int) -> _TimePair:
    uses_zone = not int(row["own_zone"]) & OWN_ZONE[canonical]
    return _TimePair(issuer, serial, int(row[canonical]), true, uses_zone)


def _match_certificate(
    anchor: CertificateAnchor, rows: _SightedRows, pairs: _Pairs, issuers: Sequence[Issuer], as_of: int
) -> Finding | None:
    """Add what a certificate and its row say to `pairs`; return a finding where there is no row."""
    found = rows.find(anchor.key, anchor.issuer, anchor.serial)
    times = (("not_before", NO_ISSUANCE, anchor.not_before), ("not_after", NO_EXPIRY, anchor.not_after))
    for row in found:  # the same certificate may have several rows, and each of them decides about an answer
        for canonical, absent, true in times:
            if int(row[canonical]) != absent:
                pairs[canonical].append(_pair(anchor.issuer, anchor.serial, row, canonical, true))
    return None if found else _certificate_missing(anchor, issuers, as_of)


def _match_crl(anchor: CrlAnchor, rows: _SightedRows, pairs: _Pairs, issuers: Sequence[Issuer]) -> Finding | None:
    """Add what a CRL and the revoked ones of its rows say to `pairs`; return a finding where there is no row at all."""
    entries = zip(anchor.keys.tolist(), anchor.serials, anchor.revoked_at.tolist(), strict=True)
    # An entry without a row says nothing: certificates leave snapshots when they expire, and CRLs may keep them.
    found = [(row, serial, true) for key, serial, true in entries for row in rows.find(key, anchor.issuer, serial)]
    # Nor does a row that is not revoked: its hold was released since. What must not be is for the gate of CRLs to say.
    pairs["revoked_at"] += [
        _pair(anchor.issuer, serial, row, "revoked_at", true) for row, serial, true in found if row["revoked_at"]
    ]
    return None if found or not anchor.serials else _crl_missing(anchor, issuers)


def _clue(pairs: Sequence[_TimePair], column: Column, issuers: Sequence[Issuer], *, is_known: bool) -> Clue | None:
    """Return what anchors say against a column; `is_known`: it was proved before."""
    read = np.array([pair.read for pair in pairs], np.int64)
    true = np.array([pair.true for pair in pairs], np.int64)
    difference = compare(read, true, column)
    wrong = np.flatnonzero(~are_same(read, true, column))
    if not len(wrong):
        return None
    is_crl = column.canonical == "revoked_at"
    # What an issued certificate says never changes, so that one value is enough; a hold may have been renewed since.
    is_refuted = not is_crl or _is_shifted(difference, is_known=is_known)
    if not is_refuted and not _is_much(len(wrong), difference.compared):
        return None
    shown = tuple(
        example(issuer_name(issuers, pairs[at].issuer), pairs[at].serial, column.name, pairs[at].read, pairs[at].true)
        for at in wrong[:MAX_EXAMPLES].tolist()
    )
    what, advice = "the issued certificate says", "map the column that holds exactly this time, or correct the rows"
    if is_crl:
        what, advice = "the CRL says", f"{advice}, or name a newer CRL, since holds may be renewed"
        if is_known:
            advice += "; the column was proved before, so the anchor may be taken out"
    return Clue(
        code="time.anchor-mismatch",
        severity="error" if is_refuted else "warning",
        canonical=column.canonical,
        text=f"{len(wrong):,} of {len(read):,} values are not what {what} ({shifts_text(difference)})",
        advice=advice,
        shift_s=difference.shift_s if is_refuted else None,
        samples=difference.samples if is_refuted and difference.shifts else (),
        count=len(wrong),
        examples=shown,
    )


def _is_shifted(difference: Difference, *, is_known: bool) -> bool:
    """Whether a CRL refutes a column, rather than tells of holds that were renewed since, which is legal.

    A zone makes whole quarters of an hour: one such difference of several entries or of all, and of a column that was
    never proved, any.
    """
    if not difference.shifts:
        return False
    commonest = difference.shifts[0][1]
    # Renewals differ by anything, so that several by the same, or all there are, come from a zone.
    if commonest >= _MIN_SHIFTED or commonest == difference.compared:
        return True
    return not is_known and _is_much(difference.aligned, difference.compared)


def _is_much(wrong: int, compared: int) -> bool:
    """Whether so many entries of a CRL are more than single corrections."""
    return wrong > (FEW_SHARE * compared if compared >= FEW_AMONG else 0)


def _certificate_missing(anchor: CertificateAnchor, issuers: Sequence[Issuer], as_of: int) -> Finding:
    name = issuer_name(issuers, anchor.issuer)
    text = f"{anchor.path}: its certificate ({name}, serial {serial_text(anchor.serial)}) is not in the snapshot"
    if anchor.not_after < as_of:  # snapshots may leave out what has expired
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
