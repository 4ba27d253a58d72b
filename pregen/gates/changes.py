"""The gates that compare a snapshot with what was published last: what is gone, new, or revoked no more.

Where there is no history, what packs say is compared: everything but when certificates end. Where nothing was published
before, they are skipped; where packs are damaged too, what they find may be less than there is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pregen.config import GatesConfig, Limit
from pregen.errors import MAX_EXAMPLES, Finding, Severity
from pregen.gates.evidence import Evidence
from pregen.gates.history import History
from pregen.gates.judging import about_certificates, allowed, result, share_of, shown, skipped
from pregen.gates.results import GateResult
from storage.history import IssuerHistory

MIN_RELEASED = 10  # holds: when more of them end at once, and more than half of all, it is no decision on each
_NO_HISTORY = "there is no history"
_IS_DAMAGED = "the history of the current generation is damaged, and nothing of the rest is wrong"


def shrink(evidence: Evidence, config: GatesConfig) -> GateResult:
    """Judge certificates that are gone, became unknown or known, or expire at another time."""
    seen, limit = evidence.comparison, config.shrink
    damaged = (_damaged(evidence),) if evidence.damage else ()
    if not evidence.is_compared:
        why = evidence.why_absent or _NO_HISTORY
        return result("shrink", {"why": why}, *damaged) if damaged else skipped("shrink", why)
    figures: dict[str, object] = {
        "before": evidence.before,
        "after": _total(evidence),
        "vanished": seen.vanished,
        **({"answered": seen.answered} if seen.answered else {}),
        "expired": seen.expired,
        "dropped": seen.dropped,
        "unknown": seen.unknown,
        "known": seen.known,
        "moved": seen.moved,
        **({"why": evidence.why_absent} if evidence.history is None else {}),
        **({"unended": seen.unended} if seen.unended else {}),
        **shown(limit),
    }
    before = evidence.before
    findings = [*damaged, *_vanished(evidence, config), *_unended(evidence)]
    if seen.unknown:
        severity: Severity = "error" if _exceeds(seen.unknown, before, limit) else "warning"
        message = (
            f"{seen.unknown:,} of {before:,} certificates were good, and are unknown ({allowed(limit, 'or')} are "
            "allowed): clients reject them like revoked ones; look at the statuses at their source, and how they are "
            "mapped"
        )
        findings.append(about_certificates(evidence, "shrink.unknown", severity, message, "unknown"))
    if _exceeds(seen.known, before, limit):
        message = (
            f"{seen.known:,} of {before:,} certificates were unknown, and are good ({allowed(limit, 'or')} are "
            "usual): look at the statuses at their source, and how they are mapped"
        )
        findings.append(about_certificates(evidence, "shrink.known", "warning", message, "known"))
    if seen.moved:
        severity = "error" if _exceeds(seen.moved, before, limit) else "warning"
        message = (
            f"{seen.moved:,} of {before:,} certificates expire at another time than in the current generation, or are "
            f"not known to ({allowed(limit, 'or')} are allowed), and may be left out too early: the notAfter of a "
            "certificate never changes; look whether not_after is exported, the right column, in the right zone"
        )
        findings.append(about_certificates(evidence, "shrink.expiry", severity, message, "moved"))
    return result("shrink", figures, *findings)


def _vanished(evidence: Evidence, config: GatesConfig) -> Iterator[Finding]:
    """Yield what to say about certificates that are gone, and are not known to have expired."""
    seen, before, limit = evidence.comparison, evidence.before, config.shrink
    if seen.vanished <= evidence.excused:
        return
    stay = seen.answered + (seen.lost if seen.lost <= config.unrevoke else 0)  # which keep their records then
    is_refused = _exceeds(seen.vanished - evidence.excused, before, limit)
    message = (
        f"{seen.vanished:,} of {before:,} certificates of the current generation have vanished without having expired "
        f"({allowed(limit, 'or')} are allowed): {_what_becomes(seen.vanished, stay)}; look for rows that the "
        "export lost, and for expiry dates that were changed or read in a wrong zone"
    )
    if seen.vanished_undated:
        message = (
            f"{seen.vanished:,} of {before:,} certificates of the current generation have vanished "
            f"({allowed(limit, 'or')} are allowed), and of {seen.vanished_undated:,} of them nobody can tell whether "
            "they have expired; their expiry is not known: export not_after; look for rows that the export lost"
        )
        message += f"; {_what_becomes(seen.vanished, stay)}" if stay else ""
    yield about_certificates(evidence, "shrink.vanished", "error" if is_refused else "warning", message, "vanished")


def _what_becomes(vanished: int, stay: int) -> str:
    """Return what becomes of the answers of certificates that have vanished, some of which overlays go on to have.

    >>> _what_becomes(3, 1)
    'the answers of 1 of them stay, in an overlay, and the other 2 would become unauthorized'
    """
    if not stay:
        return "their answers would become unauthorized"
    if stay == vanished:
        return "their answers stay, in an overlay, as urgent changes or a run before have made them"
    gone = vanished - stay
    return f"the answers of {stay:,} of them stay, in an overlay, and the other {gone:,} would become unauthorized"


def _unended(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning of certificates that are gone, where nothing says when they expire."""
    if seen := evidence.comparison.unended:
        message = (
            f"{seen:,} of {evidence.before:,} certificates of the current generation are gone, and without its history "
            "nobody knows whether they have expired: their answers become unauthorized, but for those of revoked ones; "
            "if they are more than have expired since then, look for rows that the export lost"
        )
        yield about_certificates(evidence, "shrink.unknown-expiry", "warning", message, "unended")


def _exceeds(count: int, of: int, limit: Limit) -> bool:
    return share_of(count, of) > limit.share or count > limit.count


def _damaged(evidence: Evidence) -> Finding:
    return Finding(
        "history.damaged",
        "error",
        "what the current generation has left behind is damaged, so nobody can tell all that vanished, or is revoked "
        "no more: restore these objects from a copy; without one, look at this snapshot with great care, then accept "
        "it by --accept history.damaged, which may free what was revoked where packs are damaged too",
        len(evidence.damage),
        evidence.damage[:MAX_EXAMPLES],
    )


def growth(evidence: Evidence, config: GatesConfig) -> GateResult:
    """Judge how many certificates there are more; without a history nobody knows for whom they were."""
    if evidence.history is None:
        return skipped("growth", evidence.why_absent or _NO_HISTORY)
    before, limit = evidence.before, config.growth
    after = _total(evidence) - _answered_before(evidence, evidence.history)
    more = max(after - before, 0)
    figures = {"before": before, "after": after, **shown(limit)}
    if not (share_of(more, before) > limit.share and more > limit.count):
        return result("growth", figures)
    message = (
        f"{after:,} certificates, {more:,} more than the current generation has ({allowed(limit, 'and')} more are "
        "allowed): look whether the snapshot holds certificates of someone else, or twice under different issuers"
    )
    return result("growth", figures, Finding("growth.certificates", "error", message))


def _answered_before(evidence: Evidence, history: History) -> int:
    """Return how many certificates are answered under a name or key that is new, and were under another one before."""
    count = 0
    for ids in evidence.alike:
        known = max((evidence.certificates[one] for one in ids if one in history.issuers), default=0)
        count += sum(min(known, evidence.certificates[one]) for one in ids if one not in history.issuers)
    return count


def issuer_missing(evidence: Evidence, config: GatesConfig) -> GateResult:
    """Judge issuers that have no certificates any more, or none yet."""
    history = evidence.history.issuers if evidence.history else {}
    had = {number: one.certificates for number, one in history.items() if one.certificates}
    missing = [number for number in evidence.issuers if number in had and not evidence.certificates.get(number)]
    figures = {
        "before": len(had),
        "missing": len(missing),
        "empty": len(evidence.empty),
        "limit_count": config.issuer_missing,
    }
    return result(
        "issuer-missing",
        figures,
        *_vanished_issuers(evidence, had, missing, config),
        *_empty(evidence),
        *_in_spite(evidence),
    )


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


def _in_spite(evidence: Evidence) -> Iterator[Finding]:
    """Yield a warning about issuers that are declared to be empty, and have rows."""
    if evidence.in_spite:
        message = (
            "issuers with empty = true in their [[issuer]] have rows: if they are labelled rightly, leave empty out, "
            "since while it stands there nobody is told of a snapshot that has lost all rows of such an issuer; if "
            "not, look how the export tells issuers apart"
        )
        shown = tuple(f"{evidence.issuers[one]}: {rows:,} rows" for one, rows in evidence.in_spite.items())
        yield Finding("issuer.not-empty", "warning", message, sum(evidence.in_spite.values()), shown[:MAX_EXAMPLES])


def _never_had(known: IssuerHistory) -> bool:
    """Whether an issuer has no certificates in the current generation, and is not known to have had any."""
    return not known.certificates and known.newest is None


def unrevoke(evidence: Evidence, config: GatesConfig) -> GateResult:
    """Judge certificates that are revoked no more, or will soon not be.

    What was revoked for good is freed by name, with a reason, or not at all. The limit is for holds that end, and for
    revocations that have vanished, which stay where it covers them (`pregen.generation.lost`).
    """
    if not evidence.is_compared:
        return skipped("unrevoke", evidence.why_absent or _NO_HISTORY)
    seen = evidence.comparison
    lost = max(seen.lost - evidence.excused, 0)
    # Where not_after is exported for the first time, it is new for all of them.
    dated = 0 if seen.undated == seen.before else seen.dated
    limit = config.unrevoke
    figures = {
        "unrevoked": seen.unrevoked,
        **({"returned": seen.returned} if seen.returned else {}),
        "held": seen.held,
        "lost": seen.lost,
        "shortened": seen.shortened + dated,
        "on_hold": seen.on_hold,
        "released": seen.released,
        "limit_count": limit,
    }
    findings = [
        *_undone(evidence),
        *([_lost(evidence, lost, limit)] if lost else []),
        *([_shortened(evidence, seen.shortened + dated)] if seen.shortened or dated else []),
        *([_released(evidence)] if seen.released > max(MIN_RELEASED, seen.on_hold // 2, limit) else []),
    ]
    if evidence.damage and not findings:
        return skipped("unrevoke", _IS_DAMAGED)
    return result("unrevoke", figures, *findings)


def _undone(evidence: Evidence) -> Iterator[Finding]:
    """Yield what is known of revocations that are none any more, or could be taken back."""
    seen = evidence.comparison
    if seen.unrevoked:
        message = (
            f"{seen.unrevoked:,} certificates that were revoked, and not only on hold, are good or unknown: a "
            "revocation is final (RFC 5280, 5.3.1), and no limit covers that; look whether the export lost the "
            "statuses, or maps them wrongly"
        )
        yield about_certificates(evidence, "revocation.undone", "error", message, "unrevoked")
    if seen.returned:
        message = (
            f"{seen.returned:,} certificates were revoked, and not only on hold, until they had ended; now they have "
            "rows again that say otherwise: a revocation is final (RFC 5280, 5.3.1), the notAfter of a certificate "
            "never changes, and no limit covers that; look whether not_after was moved, and whether the export has "
            "lost the statuses of what has ended"
        )
        yield about_certificates(evidence, "revocation.returned", "error", message, "returned")
    if seen.held:
        message = (
            f"{seen.held:,} certificates that were revoked are on hold, from where they could come back: a revocation "
            "is final (RFC 5280, 5.3.1), and no limit covers that; look why their reason was changed"
        )
        yield about_certificates(evidence, "revocation.weakened", "error", message, "held")


def _lost(evidence: Evidence, count: int, limit: int) -> Finding:
    most = min(limit, MAX_EXAMPLES)  # of so many at most it is known which they are, so that they can stay
    message = (
        f"{evidence.comparison.lost:,} revoked certificates have vanished, and are not known to have expired "
        f"({most:,} are allowed): they must stay until then (TLS Baseline Requirements, 4.10.1), and could come back "
        "as good; look where the export lost them, and export not_after"
    )
    severity: Severity = "error" if count > most else "warning"
    if severity == "warning":
        message += "; they stay revoked in an overlay until they expire"
    return about_certificates(evidence, "revocation.lost", severity, message, "lost")


def _shortened(evidence: Evidence, count: int) -> Finding:
    message = (
        f"{count:,} revoked certificates expire earlier than in the current generation, would soon be left out as "
        "expired, and could come back as good, which no limit covers: the notAfter of a certificate never changes; "
        "correct not_after at its source"
    )
    which = "shortened" if evidence.comparison.shortened else "dated"
    return replace(about_certificates(evidence, "revocation.shortened", "error", message, which), count=count)


def _released(evidence: Evidence) -> Finding:
    seen = evidence.comparison
    message = (
        f"{seen.released:,} of {seen.on_hold:,} certificates that were on hold are good or unknown: holds are "
        "released one by one; look whether the export lost their statuses or reasons, or maps them wrongly"
    )
    return about_certificates(evidence, "revocation.released", "error", message, "released")


def mass_revocation(evidence: Evidence, config: GatesConfig) -> GateResult:
    """Judge how many certificates are newly revoked."""
    if not evidence.is_compared:
        return skipped("mass-revocation", evidence.why_absent or _NO_HISTORY)
    seen, limit = evidence.comparison, config.mass_revocation
    before = evidence.before
    figures = {"revoked": seen.revoked, "before": before, **shown(limit)}
    if not (share_of(seen.revoked, before) > limit.share and seen.revoked > limit.count):
        return skipped("mass-revocation", _IS_DAMAGED) if evidence.damage else result("mass-revocation", figures)
    message = (
        f"{seen.revoked:,} of {before:,} certificates of the current generation are newly "
        f"revoked ({allowed(limit, 'and')} are usual): if nobody ordered that, look at the statuses at their source"
    )
    finding = about_certificates(evidence, "revocation.mass", "warning", message, "revoked")
    return result("mass-revocation", figures, finding)


def _total(evidence: Evidence) -> int:
    return sum(evidence.certificates.values())
