"""The gates that stand before the first signature: each a function from evidence to one result.

All of them are asked, whatever the others say: nobody wants to repair a snapshot one refusal at a time. What the
operator accepts is taken into account afterwards (`pregen.gates.acceptance`).
"""

from collections.abc import Callable
from dataclasses import replace

from pregen.clock import DAY_S, length_text, text
from pregen.config import GatesConfig, parse_duration
from pregen.errors import Finding
from pregen.gates.changes import growth, issuer_missing, mass_revocation, shrink, unrevoke
from pregen.gates.evidence import Evidence
from pregen.gates.judging import allowed, result, share_of, shown
from pregen.gates.results import GateResult


def judge_all(evidence: Evidence, config: GatesConfig) -> tuple[GateResult, ...]:
    """Return what each gate says, in the order of `GATES`; of errors nothing is accepted yet."""
    return tuple(gate(evidence, config) for gate in _JUDGES)


def judge_changes(evidence: Evidence, config: GatesConfig) -> tuple[GateResult, ...]:
    """Return what the gates say that look at rows by themselves, as at those of a delta: it has what changes alone.

    What they take back of revocations is judged by whoever knows what overlays say.
    """
    return tuple(gate(evidence, config) for gate in _OF_ROWS)


def _zone(evidence: Evidence, _: GatesConfig) -> GateResult:
    return result("zone", {"findings": len(evidence.zone)}, *evidence.zone)


def _issuer_label(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {"issuers": len(evidence.issuers), "proved": evidence.proved}
    return result("issuer-label", figures, *evidence.mislabelled)


def _revoked_elsewhere(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {
        "contradicted": sum(finding.count for finding in evidence.revoked_elsewhere),
        "entries_of_crls": evidence.listed,
    }
    return result("revoked-elsewhere", figures, *evidence.revoked_elsewhere)


def _stale_snapshot(evidence: Evidence, config: GatesConfig) -> GateResult:
    age_s = max(evidence.started - evidence.as_of, 0)
    limit_s = DAY_S if evidence.is_public else None
    if config.stale_snapshot is not None:
        limit_s = int(parse_duration(config.stale_snapshot).total_seconds())
    figures = {"age_s": age_s, "limit_s": limit_s}
    if limit_s is None or age_s <= limit_s:
        return result("stale-snapshot", figures)
    message = (
        f"the snapshot is of {text(evidence.as_of)}, {length_text(age_s)} before this run ({text(evidence.started)}), "
        f"and may be {length_text(limit_s)} old at most: what was issued and revoked since then is missing; export "
        "anew, or set stale_snapshot in [gates]"
    )
    return result("stale-snapshot", figures, Finding("snapshot.stale", "error", message))


def _duplicate(evidence: Evidence, config: GatesConfig) -> GateResult:
    limit = config.duplicate
    conflicts = sum(finding.count for finding in evidence.conflicts)
    figures = {
        "repeated": evidence.repeated,
        "contradicting": conflicts,
        "rows_in": evidence.rows_in,
        **shown(limit),
    }
    findings = list(evidence.conflicts)
    if share_of(evidence.repeated, evidence.rows_in) > limit.share and evidence.repeated > limit.count:
        message = (
            f"{evidence.repeated:,} of {evidence.rows_in:,} rows repeat another one ({allowed(limit, 'and')} are "
            "allowed): look whether files are there twice, or a join multiplies rows"
        )
        findings.append(Finding("row.repeated", "error", message, evidence.repeated, evidence.repetitions))
    if evidence.precertificates is not None:
        findings.append(evidence.precertificates)
    return result("duplicate", figures, *findings)


def _profile(evidence: Evidence, _: GatesConfig) -> GateResult:
    figures = {"forbidden": sum(finding.count for finding in evidence.against_profile)}
    return result("profile", figures, *evidence.against_profile)


def _rows_invalid(evidence: Evidence, config: GatesConfig) -> GateResult:
    figures = {"invalid": evidence.invalid, "rows_in": evidence.rows_in, "limit_count": config.rows_invalid}
    is_of_rows = all(one.code.startswith("row.") for one in evidence.rows)
    if evidence.invalid > config.rows_invalid or not is_of_rows:
        return result("rows-invalid", figures, *evidence.rows)
    note = f"; {config.rows_invalid:,} such rows are allowed (rows_invalid in [gates]), and left out"
    return result(
        "rows-invalid",
        figures,
        *(replace(one, severity="warning", message=one.message + note) for one in evidence.rows),
    )


_JUDGES: tuple[Callable[[Evidence, GatesConfig], GateResult], ...] = (
    _zone,
    shrink,
    growth,
    issuer_missing,
    _issuer_label,
    unrevoke,
    _revoked_elsewhere,
    mass_revocation,
    _stale_snapshot,
    _duplicate,
    _profile,
    _rows_invalid,
)
_OF_ROWS = (_zone, _revoked_elsewhere, mass_revocation, _duplicate, _profile, _rows_invalid)
