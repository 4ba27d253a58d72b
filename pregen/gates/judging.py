"""How gates say what they found: results, findings and limits in one form."""

import math
from collections.abc import Mapping

from pregen.config import Limit
from pregen.errors import Finding, Severity
from pregen.gates.evidence import Evidence
from pregen.gates.results import GateOutcome, GateResult


def result(gate: str, figures: Mapping[str, object], *findings: Finding) -> GateResult:
    """Return what a gate says: that it failed where any of its findings is an error."""
    failed = any(finding.severity == "error" for finding in findings)
    outcome: GateOutcome = "failed" if failed else "warned" if findings else "passed"
    return GateResult(gate=gate, outcome=outcome, findings=findings, figures=figures)


def skipped(gate: str, why: str) -> GateResult:
    """Return that a gate has nothing to go by."""
    return GateResult(gate=gate, outcome="skipped", figures={"why": why})


def share_of(count: int, of: int) -> float:
    """Return which share of all a count is; something of nothing is more than any limit."""
    if of:
        return count / of
    return math.inf if count else 0.0


def shown(limit: Limit) -> dict[str, object]:
    """Return a limit as the figures of a gate have it."""
    return {"limit_share": limit.share, "limit_count": limit.count}


def allowed(limit: Limit, both: str) -> str:
    """Return a limit in words; `both`: how its share and its count go together."""
    return f"{limit.share:.4g} of them {both} {limit.count:,}"


def about_certificates(evidence: Evidence, code: str, severity: Severity, message: str, which: str) -> Finding:
    """Return a finding about certificates (`which` is a count of `Comparison`), the first of them named."""
    names = tuple(evidence.named(key) for key in evidence.comparison.keys.get(which, ()))
    return Finding(code, severity, message, getattr(evidence.comparison, which), names)
