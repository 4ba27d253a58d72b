"""The gates that stand before the first signature: each a function from evidence to one result.

All of them are asked, whatever the others say: nobody wants to repair a snapshot one refusal at a time. What the
operator accepts is taken into account afterwards (`pregen.gates.acceptance`).
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from pregen.clock import length_text, text
from pregen.config import GatesConfig, Limit, parse_duration
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.gates.history import History, IssuerHistory
from pregen.gates.results import GateResult, Outcome

DAY_S = 86_400
MIN_RELEASED = 10  # holds: when more of them end at once, and more than half of all, it is no decision on each
_IS_DAMAGED = "the history of the current generation is damaged, and nothing of the rest is wrong"
Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a snapshot when all its rows are counted; times are seconds since 1970.

    Attributes:
        as_of: of the snapshot.
        started: when the run began.
        is_public: whether any issuer is under a public profile.
        rows_in: rows that were read.
        repeated: rows that say the same as another one.
        invalid: rows that cannot be published.
        rows: what is wrong with these.
        against_profile: what of rows that can be published their profile forbids.
        conflicts: rows that contradict each other.
        repetitions: where the first of the repeated rows stand, and which rows they repeat.
        empty: ids of the issuers that no row names, and that are not declared to be empty.
        revoked_elsewhere: what says revoked, and rows say otherwise.
        precertificates: what differs between them and their final certificates; None: nothing.
        listed: how many entries of CRLs were held against the rows.
        mislabelled: rows of one issuer under the label of another.
        proved: how many issuers have a certificate under their label that one of their CRLs or anchors has.
        zone: what the times say about zones (`pregen.gates.zone.judge`).
        certificates: that get answers, by issuer id.
        issuers: what messages call the configured issuers, by id.
        alike: ids of issuers that answer for the same rows, under several names or keys of one CA.
        why_absent: why there is no history; None: there is.
        damage: what of the history cannot be read.
        history: of the current generation.
        comparison: with its certificates.
        excused: how many certificates may seem to have vanished because their rows are refused anyhow.
        named: what messages call the certificate of a key.
    """

    as_of: int
    started: int
    is_public: bool
    rows_in: int
    repeated: int = 0
    invalid: int = 0
    rows: tuple[Finding, ...] = ()
    against_profile: tuple[Finding, ...] = ()
    conflicts: tuple[Finding, ...] = ()
    repetitions: tuple[str, ...] = ()
    empty: tuple[int, ...] = ()
    revoked_elsewhere: tuple[Finding, ...] = ()
    precertificates: Finding | None = None
    listed: int = 0
    mislabelled: tuple[Finding, ...] = ()
    proved: int = 0
    zone: tuple[Finding, ...] = ()
    certificates: Mapping[int, int]
    issuers: Mapping[int, str]
    alike: tuple[frozenset[int], ...] = ()
    why_absent: str | None = None
    damage: tuple[str, ...] = ()
    history: History | None = None
    comparison: Comparison = NOT_COMPARED
    excused: int = 0
    named: Callable[[int], str] = "key {:016x}".format


def judge_all(evidence: Evidence, config: GatesConfig) -> tuple[GateResult, ...]:
    """Return what each gate says, in the order of `GATES`; of errors nothing is accepted yet."""
    return tuple(gate(evidence, config) for gate in _GATES)


def _result(gate: str, figures: Mapping[str, object], *findings: Finding) -> GateResult:
    failed = any(finding.severity == "error" for finding in findings)
    outcome: Outcome = "failed" if failed else "warned" if findings else "passed"
    return GateResult(gate=gate, outcome=outcome, findings=findings, figures=figures)


def _skipped(gate: str, why: str) -> GateResult:
    return GateResult(gate=gate, outcome="skipped", figures={"why": why})


def _zone(evidence: Evidence, _: GatesConfig) -> GateResult:
    return _result("zone", {"findings": len(evidence.zone)}, *evidence.zone)


def _shrink(evidence: Evidence, config: GatesConfig) -> GateResult:
    seen, limit = evidence.comparison, config.shrink
    damaged = (_damaged(evidence),) if evidence.damage else ()
    if evidence.history is None:
        why = evidence.why_absent or "there is no history"
        return _result("shrink", {"why": why}, *damaged) if damaged else _skipped("shrink", why)
    figures: dict[str, object] = {
        "before": evidence.history.certificates,
        "after": _total(evidence),
        "vanished": seen.vanished,
        "expired": seen.expired,
        "dropped": seen.dropped,
        "unknown": seen.unknown,
        "known": seen.known,
        "moved": seen.moved,
        **_shown(limit),
    }
    before = evidence.history.certificates
    findings = [*damaged, *_vanished(evidence, limit)]
    if seen.unknown:
        severity: Severity = "error" if _exceeds(seen.unknown, before, limit) else "warning"
        message = (
            f"{seen.unknown:,} of {before:,} certificates were good, and are unknown ({_allowed(limit, 'or')} are "
            "allowed): clients reject them like revoked ones; look at the statuses at their source, and how they are "
            "mapped"
        )
        findings.append(_finding(evidence, "shrink.unknown", severity, message, "unknown"))
    if _exceeds(seen.known, before, limit):
        message = (
            f"{seen.known:,} of {before:,} certificates were unknown, and are good ({_allowed(limit, 'or')} are "
            "usual): look at the statuses at their source, and how they are mapped"
        )
        findings.append(_finding(evidence, "shrink.known", "warning", message, "known"))
    if seen.moved:
        severity = "error" if _exceeds(seen.moved, before, limit) else "warning"
        message = (
            f"{seen.moved:,} of {before:,} certificates expire at another time than in the current generation, or are "
            f"not known to ({_allowed(limit, 'or')} are allowed), and may be left out too early: the notAfter of a "
            "certificate never changes; look whether not_after is exported, the right column, in the right zone"
        )
        findings.append(_finding(evidence, "shrink.expiry", severity, message, "moved"))
    return _result("shrink", figures, *findings)


def _vanished(evidence: Evidence, limit: Limit) -> Iterator[Finding]:
    """Yield what to say about certificates that are gone, and are not known to have expired."""
    seen, before = evidence.comparison, evidence.history.certificates if evidence.history else 0
    if seen.vanished <= evidence.excused:
        return
    is_refused = _exceeds(seen.vanished - evidence.excused, before, limit)
    message = (
        f"{seen.vanished:,} of {before:,} certificates of the current generation have vanished without having expired "
        f"({_allowed(limit, 'or')} are allowed): their answers would become unauthorized; look for rows that the "
        "export lost, and for expiry dates that were changed or read in a wrong zone"
    )
    if seen.vanished_undated:
        message = (
            f"{seen.vanished:,} of {before:,} certificates of the current generation have vanished "
            f"({_allowed(limit, 'or')} are allowed), and of {seen.vanished_undated:,} of them nobody can tell whether "
            "they have expired; their expiry is not known: export not_after; look for rows that the export lost"
        )
    yield _finding(evidence, "shrink.vanished", "error" if is_refused else "warning", message, "vanished")


def _exceeds(count: int, of: int, limit: Limit) -> bool:
    return _share(count, of) > limit.share or count > limit.count


def _damaged(evidence: Evidence) -> Finding:
    return Finding(
        "history.damaged",
        "error",
        "the history of the current generation is damaged, so what vanished or is revoked no more cannot be known: "
        "restore these objects from a copy; without one, look at this snapshot with great care, then accept it by "
        "--accept history.damaged",
        len(evidence.damage),
        evidence.damage[:MAX_EXAMPLES],
    )


def _growth(evidence: Evidence, config: GatesConfig) -> GateResult:
    if evidence.history is None:
        return _skipped("growth", evidence.why_absent or "there is no history")
    before, limit = evidence.history.certificates, config.growth
    after = _total(evidence) - _answered_before(evidence, evidence.history)
    more = max(after - before, 0)
    figures = {"before": before, "after": after, **_shown(limit)}
    if not (_share(more, before) > limit.share and more > limit.count):
        return _result("growth", figures)
    message = (
        f"{after:,} certificates, {more:,} more than the current generation has ({_allowed(limit, 'and')} more are "
        "allowed): look whether the snapshot holds certificates of someone else, or twice under different issuers"
    )
    return _result("growth", figures, Finding("growth.certificates", "error", message))


def _answered_before(evidence: Evidence, history: History) -> int:
    """Return how many certificates are answered under a name or key that is new, and were under another one before."""
    count = 0
    for ids in evidence.alike:
        known = max((evidence.certificates[one] for one in ids if one in history.issuers), default=0)
        count += sum(min(known, evidence.certificates[one]) for one in ids if one not in history.issuers)
    return count


def _issuer_missing(evidence: Evidence, config: GatesConfig) -> GateResult:
    history = evidence.history.issuers if evidence.history else {}
    had = {number: one.certificates for number, one in history.items() if one.certificates}
    missing = [number for number in evidence.issuers if number in had and not evidence.certificates.get(number)]
    figures = {
        "before": len(had),
        "missing": len(missing),
        "empty": len(evidence.empty),
        "limit_count": config.issuer_missing,
    }
    return _result("issuer-missing", figures, *_vanished_issuers(evidence, had, missing, config), *_empty(evidence))


def _vanished_issuers(
    evidence: Evidence, had: Mapping[int, int], missing: Sequence[int], config: GatesConfig
) -> Iterator[Finding]:
    # Where nothing has vanished that had not expired, the certificates of these issuers have all expired.
    is_unexplained = evidence.comparison.vanished > evidence.excused or bool(evidence.damage)
    if not missing or (evidence.excused and not is_unexplained):
        return
    examples = tuple(f"{evidence.issuers[number]}: had {had[number]:,}" for number in missing[:MAX_EXAMPLES])
    is_refused = len(missing) > config.issuer_missing and is_unexplained
    advice = (
        "look whether the export left them out, or names them otherwise"
        if is_refused
        else "leave their sections in the configuration as long as that is right"
    )
    message = f"configured issuers that had certificates in the current generation have none in this snapshot: {advice}"
    yield Finding("issuer.vanished", "error" if is_refused else "warning", message, len(missing), examples)


def _empty(evidence: Evidence) -> Iterator[Finding]:
    """Yield issuers without a row: an error the first time, a warning where a generation had none of them already."""
    history = evidence.history.issuers if evidence.history else {}
    kinds: tuple[tuple[Severity, list[int]], ...] = (
        ("error", [number for number in evidence.empty if number not in history]),
        ("warning", [number for number in evidence.empty if number in history and _never_had(history[number])]),
    )
    for severity, issuers in kinds:
        if issuers:
            message = (
                "configured issuers have not a single row, so clients that ask for their certificates get no answer: "
                "look whether the export left them out, or labels their rows as another issuer's; where one has issued "
                "nothing yet, say so by empty = true in its [[issuer]]"
            )
            names = tuple(evidence.issuers[number] for number in issuers[:MAX_EXAMPLES])
            yield Finding("issuer.empty", severity, message, len(issuers), names)


def _never_had(known: IssuerHistory) -> bool:
    """Whether an issuer has no certificates in the current generation, and is not known to have had any."""
    return not known.certificates and known.newest is None


def _issuer_label(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {"issuers": len(evidence.issuers), "proved": evidence.proved}
    return _result("issuer-label", figures, *evidence.mislabelled)


def _unrevoke(evidence: Evidence, config: GatesConfig) -> GateResult:
    if evidence.history is None:
        return _skipped("unrevoke", evidence.why_absent or "there is no history")
    seen, findings = evidence.comparison, []
    lost = max(seen.lost - evidence.excused, 0)
    # Where not_after is exported for the first time, it is new for all of them.
    dated = 0 if seen.undated == seen.before else seen.dated
    limit = config.unrevoke
    figures = {
        "unrevoked": seen.unrevoked,
        "held": seen.held,
        "lost": seen.lost,
        "shortened": seen.shortened + dated,
        "on_hold": seen.on_hold,
        "released": seen.released,
        "limit_count": limit,
    }
    is_refused = seen.unrevoked + seen.held + lost + seen.shortened + dated > limit
    severity: Severity = "error" if is_refused else "warning"
    if seen.unrevoked:
        message = (
            f"{seen.unrevoked:,} certificates that were revoked, and not only on hold, are good or unknown "
            f"({limit:,} are allowed): a revocation is final (RFC 5280, 5.3.1); look whether the export lost the "
            "statuses, or maps them wrongly"
        )
        findings.append(_finding(evidence, "revocation.undone", severity, message, "unrevoked"))
    if seen.held:
        message = (
            f"{seen.held:,} certificates that were revoked are on hold, from where they could come back ({limit:,} are "
            "allowed): a revocation is final (RFC 5280, 5.3.1); look why their reason was changed"
        )
        findings.append(_finding(evidence, "revocation.weakened", severity, message, "held"))
    if lost:
        message = (
            f"{seen.lost:,} revoked certificates have vanished, and are not known to have expired ({limit:,} are "
            "allowed): they must stay until then (TLS Baseline Requirements, 4.10.1), and could come back as good; "
            "look where the export lost them, and export not_after"
        )
        findings.append(_finding(evidence, "revocation.lost", severity, message, "lost"))
    if seen.shortened or dated:
        message = (
            f"{seen.shortened + dated:,} revoked certificates expire earlier than in the current generation "
            f"({limit:,} are allowed), would soon be left out as expired, and could come back as good: the notAfter of "
            "a certificate never changes; correct not_after at its source"
        )
        which = "shortened" if seen.shortened else "dated"
        found = _finding(evidence, "revocation.shortened", severity, message, which)
        findings.append(replace(found, count=seen.shortened + dated))
    if seen.released > max(MIN_RELEASED, seen.on_hold // 2, limit):
        message = (
            f"{seen.released:,} of {seen.on_hold:,} certificates that were on hold are good or unknown: holds are "
            "released one by one; look whether the export lost their statuses or reasons, or maps them wrongly"
        )
        findings.append(_finding(evidence, "revocation.released", "error", message, "released"))
    if evidence.damage and not findings:
        return _skipped("unrevoke", _IS_DAMAGED)
    return _result("unrevoke", figures, *findings)


def _revoked_elsewhere(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {
        "contradicted": sum(finding.count for finding in evidence.revoked_elsewhere),
        "entries_of_crls": evidence.listed,
    }
    return _result("revoked-elsewhere", figures, *evidence.revoked_elsewhere)


def _mass_revocation(evidence: Evidence, config: GatesConfig) -> GateResult:
    if evidence.history is None:
        return _skipped("mass-revocation", evidence.why_absent or "there is no history")
    seen, limit = evidence.comparison, config.mass_revocation
    figures = {"revoked": seen.revoked, "before": evidence.history.certificates, **_shown(limit)}
    if not (_share(seen.revoked, evidence.history.certificates) > limit.share and seen.revoked > limit.count):
        return _skipped("mass-revocation", _IS_DAMAGED) if evidence.damage else _result("mass-revocation", figures)
    message = (
        f"{seen.revoked:,} of {evidence.history.certificates:,} certificates of the current generation are newly "
        f"revoked ({_allowed(limit, 'and')} are usual): if nobody ordered that, look at the statuses at their source"
    )
    finding = _finding(evidence, "revocation.mass", "warning", message, "revoked")
    return _result("mass-revocation", figures, finding)


def _stale_snapshot(evidence: Evidence, config: GatesConfig) -> GateResult:
    age_s = max(evidence.started - evidence.as_of, 0)
    limit_s = DAY_S if evidence.is_public else None
    if config.stale_snapshot is not None:
        limit_s = int(parse_duration(config.stale_snapshot).total_seconds())
    figures = {"age_s": age_s, "limit_s": limit_s}
    if limit_s is None or age_s <= limit_s:
        return _result("stale-snapshot", figures)
    message = (
        f"the snapshot is of {text(evidence.as_of)}, {length_text(age_s)} before this run ({text(evidence.started)}), "
        f"and may be {length_text(limit_s)} old at most: what was issued and revoked since then is missing; export "
        "anew, or set stale_snapshot in [gates]"
    )
    return _result("stale-snapshot", figures, Finding("snapshot.stale", "error", message))


def _duplicate(evidence: Evidence, config: GatesConfig) -> GateResult:
    limit = config.duplicate
    conflicts = sum(finding.count for finding in evidence.conflicts)
    figures = {
        "repeated": evidence.repeated,
        "contradicting": conflicts,
        "rows_in": evidence.rows_in,
        **_shown(limit),
    }
    findings = list(evidence.conflicts)
    if _share(evidence.repeated, evidence.rows_in) > limit.share and evidence.repeated > limit.count:
        message = (
            f"{evidence.repeated:,} of {evidence.rows_in:,} rows repeat another one ({_allowed(limit, 'and')} are "
            "allowed): look whether files are there twice, or a join multiplies rows"
        )
        findings.append(Finding("row.repeated", "error", message, evidence.repeated, evidence.repetitions))
    if evidence.precertificates is not None:
        findings.append(evidence.precertificates)
    return _result("duplicate", figures, *findings)


def _profile(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {"forbidden": sum(finding.count for finding in evidence.against_profile)}
    return _result("profile", figures, *evidence.against_profile)


def _rows_invalid(evidence: Evidence, config: GatesConfig) -> GateResult:
    figures = {"invalid": evidence.invalid, "rows_in": evidence.rows_in, "limit_count": config.rows_invalid}
    is_of_rows = all(one.code.startswith("row.") for one in evidence.rows)
    if evidence.invalid > config.rows_invalid or not is_of_rows:
        return _result("rows-invalid", figures, *evidence.rows)
    allowed = f"; {config.rows_invalid:,} such rows are allowed (rows_invalid in [gates]), and left out"
    return _result(
        "rows-invalid",
        figures,
        *(replace(one, severity="warning", message=one.message + allowed) for one in evidence.rows),
    )


_GATES: tuple[Callable[[Evidence, GatesConfig], GateResult], ...] = (
    _zone,
    _shrink,
    _growth,
    _issuer_missing,
    _issuer_label,
    _unrevoke,
    _revoked_elsewhere,
    _mass_revocation,
    _stale_snapshot,
    _duplicate,
    _profile,
    _rows_invalid,
)


def _total(evidence: Evidence) -> int:
    return sum(evidence.certificates.values())


def _share(count: int, of: int) -> float:
    if of:
        return count / of
    return math.inf if count else 0.0


def _shown(limit: Limit) -> dict[str, object]:
    return {"limit_share": limit.share, "limit_count": limit.count}


def _allowed(limit: Limit, both: str) -> str:
    return f"{limit.share:.4g} of them {both} {limit.count:,}"


def _finding(evidence: Evidence, code: str, severity: Severity, message: str, which: str) -> Finding:
    """Return a finding about certificates (`which` is a count of `Comparison`), the first of them named."""
    names = tuple(evidence.named(key) for key in evidence.comparison.keys.get(which, ()))
    return Finding(code, severity, message, getattr(evidence.comparison, which), names)
