"""The entries of all CRLs that count, united: a delta changes its base, and parts of an issuer's CRLs come together."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.clock import DAY_S
from pregen.errors import MAX_EXAMPLES, Finding, InputError, Severity
from pregen.reasons import CERTIFICATE_HOLD, REMOVE_FROM_CRL
from pregen.snapshot.crls.crl import Crl, read_crls
from pregen.snapshot.crls.crl_entries import NO_CRL_ENTRIES, CrlEntries
from pregen.snapshot.crls.lists import RevocationList
from pregen.snapshot.crls.revocations import WORDS, Listing, Revocations, Words, shown_serial, words_of
from pregen.snapshot.crls.rules import CrlIssuer, Effective, effective_crls, namesakes
from pregen.snapshot.crls.scope import Uncovered, partition_findings, uncovered
from pregen.validity import CLOCK_SKEW_S
from storage.certid import serial_text

_FAULTS = {
    "crl.critical-extension": "entries have critical extensions that are not known here, so they may mean something "
    "else (RFC 5280, 5.3): issue CRLs without them",
    "crl.indirect": "entries are about certificates of another issuer (certificateIssuer), which is not read here: "
    "issue direct CRLs",
    "crl.entry": "entries cannot be used (a reason that is none, a time before 1970 or after 2106, a serial of more "
    "than 23 octets, or removeFromCRL in a base): issue the CRL again",
}


def open_revocations(
    patterns: Sequence[str], folder: Path, issuers: Sequence[CrlIssuer], now: int, *, lists_cas: bool = False
) -> tuple[Revocations, int | None, list[Finding]]:
    """Read all CRLs and unite those that count.

    Args:
        patterns: files and globs.
        folder: what relative ones start from.
        issuers: whose certificates are asked about.
        now: seconds since 1970.
        lists_cas: whether any rows say which certificates are those of CAs; what the CRLs do not cover is told by
            `Snapshot.findings` then, when it is known of which kinds there are any.

    Returns:
        the revocations; the earliest instant for which any of the CRLs that count is right, in seconds since 1970 (None
        if none counts); and everything that is wrong or odd.
    """
    findings: list[Finding] = []
    crls: list[Crl] = []
    for pattern in patterns:
        paths = _matches(pattern, folder)
        if not paths:
            text = f"{folder / pattern}: there is no such file: correct crls in [snapshot], or fetch the CRL"
            findings.append(Finding("crl.unreadable", "error", text))
        for path in paths:
            try:
                crls += read_crls(path)
            except InputError as error:
                findings += error.findings
    effective, more = effective_crls(crls, issuers, now)
    left_out = uncovered(effective)
    more += partition_findings(effective)
    if not lists_cas:
        more += [one.unread() for one in left_out]
        left_out = ()
    parts = []
    namesake = namesakes(issuers)
    for one in effective:
        part, odd = _part(one, int(namesake[one.issuer.index]))
        parts.append(part)
        more += odd
    earliest = min((one.this_update for one in effective), default=None)
    united = _united(parts, namesake, left_out)
    lost = [_lost(one, crl, united) for one in effective for crl in one.superseded]
    return replace(united, lost=tuple(part for part in lost if len(part.entries))), earliest, findings + more


def _matches(pattern: str, folder: Path) -> list[Path]:
    if (folder / pattern).is_file():
        return [folder / pattern]
    names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 Path.glob takes no absolute patterns
    return [folder / name for name in names if (folder / name).is_file()]


_NOTHING = Listing(
    np.empty((0, WORDS), np.uint64),
    np.empty(0, np.int32),
    np.empty(0, np.uint32),
    np.empty(0, np.int8),
    np.empty(0, np.int32),
    (),
)


def _part(effective: Effective, issuer: int) -> tuple[Listing, list[Finding]]:
    """Return what a base and its delta say together of an issuer's certificates, and what is wrong with the entries."""
    part = _NOTHING
    findings: list[Finding] = []
    for crl in (effective.base, effective.delta):
        if crl is None:
            continue
        try:
            entries = crl.entries()
        except InputError as error:
            findings += error.findings
            continue
        own = _columns(crl, entries, issuer)
        findings += _entry_findings(crl, entries)
        findings += _repeated(crl, own)
        # Once each: the second of two removals would meet a removal, not what the base says, and count.
        part = _joined([part, own.take(np.sort(_last_of_each(own)))])
    part, not_held = _lifted(part)
    if effective.delta is not None and len(not_held):
        text = (
            "entries are taken back (removeFromCRL) that were not on hold: only a hold can be released (RFC 5280, "
            "5.3.1), so they stay revoked, unless their certificates have expired"
        )
        serials = [shown_serial(words) for words in not_held[:MAX_EXAMPLES]]
        findings.append(_counted("crl.not-held", "warning", effective.delta, text, len(not_held), serials))
    part = part.take(_last_of_each(part))
    return part.take(np.flatnonzero(part.reason != REMOVE_FROM_CRL)), findings


def _lost(effective: Effective, crl: Crl, united: Revocations) -> RevocationList:
    """Return what a superseded CRL lists, and those that count do not: where it has a row, a revocation was lost."""
    try:
        entries = crl.entries()
    except InputError:  # it is worth a warning already, and nobody needs it
        entries = NO_CRL_ENTRIES
    found = united.find(entries.serial, np.full(len(entries), effective.issuer.index, np.int32))
    return RevocationList.of(crl, effective.issuer.index, entries.filtered(found < 0), is_superseded=True)


def _lifted(part: Listing) -> tuple[Listing, Words]:
    """Return the entries of a base and its delta without removals of what is not on hold, and the serials of these.

    Each certificate has one entry at most in either.
    """
    if not (part.reason == REMOVE_FROM_CRL).any():
        return part, part.words[:0]
    order, again = _by_certificate(part)
    before = np.full(len(order), CERTIFICATE_HOLD, np.int8)
    before[1:] = np.where(again[1:], part.reason[order[:-1]], CERTIFICATE_HOLD)
    wrong = order[(part.reason[order] == REMOVE_FROM_CRL) & (before != CERTIFICATE_HOLD)]
    return part.take(np.delete(np.arange(len(order)), wrong)), part.words[np.sort(wrong)]


def _repeated(crl: Crl, part: Listing) -> Iterator[Finding]:
    """Yield certificates that have several entries in one CRL that differ."""
    order, again = _by_certificate(part)
    at = np.flatnonzero(again)
    now, before = order[at], order[at - 1]
    differs = (part.revoked_at[now] != part.revoked_at[before]) | (part.reason[now] != part.reason[before])
    first = np.flatnonzero(~again)
    wrong = np.unique(order[first[np.searchsorted(first, at[differs]) - 1]])
    if len(wrong):
        text = "certificates have several entries that differ, and nobody can tell which one is right: issue it again"
        serials = [shown_serial(part.words[one]) for one in wrong[:MAX_EXAMPLES]]
        yield _counted("crl.repeated", "error", crl, text, len(wrong), serials)


def _columns(crl: Crl, entries: CrlEntries, issuer: int) -> Listing:
    count = len(entries)
    return Listing(
        words_of(entries.serial),
        np.full(count, issuer, np.int32),
        entries.revoked_at.astype(np.uint32),
        entries.reason,
        np.zeros(count, np.int32),
        (crl.path,),
    )


def _joined(parts: Sequence[Listing]) -> Listing:
    """Return the entries of all parts, in their order."""
    starts = np.cumsum([0, *(len(part.paths) for part in parts)])
    return Listing(
        np.concatenate([part.words for part in parts]),
        np.concatenate([part.issuer for part in parts]),
        np.concatenate([part.revoked_at for part in parts]),
        np.concatenate([part.reason for part in parts]),
        np.concatenate([part.source + np.int32(start) for part, start in zip(parts, starts, strict=False)]),
        tuple(path for part in parts for path in part.paths),
    )


def _last_of_each(part: Listing) -> NDArray[np.int64]:
    """Return the last entry of each certificate: a delta comes after its base, a newer CRL after an older one."""
    order, again = _by_certificate(part)
    last = np.ones(len(order), np.bool_)
    last[:-1] = ~again[1:]
    return order[last]


def _by_certificate(part: Listing) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the places of entries by certificate, equal ones in their order, and which are of the one before too."""
    order = np.lexsort((*part.words.T, part.issuer))  # stable
    words, issuer = part.words[order], part.issuer[order]
    again = np.zeros(len(order), np.bool_)
    again[1:] = (words[1:] == words[:-1]).all(axis=1) & (issuer[1:] == issuer[:-1])
    return order, again


def _united(parts: Sequence[Listing], namesake: NDArray[np.int32], left_out: tuple[Uncovered, ...]) -> Revocations:
    """Return all entries, ready to be looked up; those of later parts win, but none undoes what another revokes."""
    part = _joined([_NOTHING, *parts])
    return Revocations.of(part.take(_last_of_each(part)), namesake, left_out)


def _entry_findings(crl: Crl, entries: CrlEntries) -> Iterator[Finding]:
    """Yield what is wrong with single entries of a CRL."""
    for code, odd in entries.odd.items():
        yield _counted(code, "error", crl, _FAULTS[code], odd.count, odd.serials)
    removed = np.flatnonzero(entries.reason == REMOVE_FROM_CRL)
    if len(removed) and not crl.is_delta:
        yield _counted("crl.entry", "error", crl, _FAULTS["crl.entry"], len(removed), _serials(entries, removed))
    after_s = entries.revoked_at - crl.this_update
    far = np.flatnonzero(after_s > DAY_S)
    if len(far):
        text = (
            "entries were revoked more than a day after thisUpdate, which no clock explains: issue the CRL again, with "
            "the times at which certificates were revoked"
        )
        yield _counted("crl.entry-late", "error", crl, text, len(far), _times(entries, far))
    late = np.flatnonzero((after_s > CLOCK_SKEW_S) & (after_s <= DAY_S))
    if len(late):
        text = (
            f"entries were revoked more than {CLOCK_SKEW_S // 60} minutes after thisUpdate: either the CA backdates "
            "thisUpdate, or its clocks disagree; they count as they are"
        )
        yield _counted("crl.entry-late", "warning", crl, text, len(late), _times(entries, late))


def _counted(code: str, severity: Severity, crl: Crl, text: str, count: int, serials: Iterable[str]) -> Finding:
    examples = tuple(f"{crl.path}, serial, {serial}" for serial in serials)
    return Finding(code, severity, f"{crl.label}: {text}", count, examples)


def _serials(entries: CrlEntries, rows: NDArray[np.int64]) -> list[str]:
    first = (entries.serial[at].as_py() or b"" for at in rows[:MAX_EXAMPLES].tolist())
    return [serial_text(octets) for octets in first]


def _times(entries: CrlEntries, rows: NDArray[np.int64]) -> list[str]:
    """Return the first serials, and when they were revoked."""
    at = (clock.text(second) for second in entries.revoked_at[rows[:MAX_EXAMPLES]].tolist())
    return [f"{serial}, revoked {when}" for serial, when in zip(_serials(entries, rows), at, strict=True)]
