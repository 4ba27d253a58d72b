"""What gates say: one result each, as data, which the manifest keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias

from pregen.errors import Finding

# In the order in which they are reported. The last two look at what was signed; they cannot be accepted.
GATES = (
    "zone",
    "shrink",
    "growth",
    "issuer-missing",
    "issuer-label",
    "unrevoke",
    "revoked-elsewhere",
    "mass-revocation",
    "stale-snapshot",
    "duplicate",
    "profile",
    "rows-invalid",
    "coverage",
    "window",
)
NEVER_ACCEPTED = frozenset({"coverage", "window"})
GateOutcome: TypeAlias = Literal["passed", "warned", "accepted", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An operator publishes in spite of a gate.

    Attributes:
        gate: its name, or the code of one of its findings.
        reason: why.
        user: who, as the operating system names the user.
    """

    gate: str
    reason: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What one gate says of one run.

    Attributes:
        gate: its name (`GATES`).
        outcome: skipped: there was nothing to compare with.
        findings: the evidence.
        figures: what was compared with which threshold, as JSON has it.
        acceptances: of the operator, where it would have failed.
    """

    gate: str
    outcome: GateOutcome
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)
    acceptances: tuple[Acceptance, ...] = ()


# What one manifest may take: examples are few, texts are short, and there are only so many kinds of findings.
MAX_FINDINGS = 20
_MAX_TEXT = 2_000
MAX_EXAMPLE = 300
MAX_ZONES = 40


def gates_document(results: Iterable[GateResult]) -> dict[str, object]:
    """Return results as JSON has them, by the names of their gates; bounded in size, and fit for UTF-8.

    >>> gates_document([GateResult(gate="shrink", outcome="passed", figures={"vanished": 0})])
    {'shrink': {'outcome': 'passed', 'figures': {'vanished': 0}}}
    """
    return {result.gate: _gate_document(result) for result in results}


def _gate_document(result: GateResult) -> dict[str, object]:
    document: dict[str, object] = {"outcome": result.outcome, "figures": dict(result.figures)}
    if result.findings:
        document["findings"] = [_finding_document(finding) for finding in result.findings[:MAX_FINDINGS]]
    if result.acceptances:
        document["acceptances"] = [
            {name: _cut(text) for name, text in asdict(acceptance).items()} for acceptance in result.acceptances
        ]
    return document


def _finding_document(finding: Finding) -> dict[str, object]:
    document: dict[str, object] = {
        "code": finding.code,
        "severity": finding.severity,
        "message": _cut(finding.message),
        "count": finding.count,
    }
    if finding.examples:
        document["examples"] = [_cut(example, MAX_EXAMPLE) for example in finding.examples]
    if finding.zones:
        document["zones"] = list(finding.zones[:MAX_ZONES])
    return document


def _cut(text: str, most: int = _MAX_TEXT) -> str:
    """Return a text that is not too long, and has no half of a surrogate pair, as names of files may."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= most else f"{text[:most]}..."
