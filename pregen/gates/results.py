"""What gates say: one result each, as data, which the manifest keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pregen.errors import Finding

# In the order in which they are reported. The last two look at what was signed; they cannot be accepted.
GATES = (
    "zone",
    "shrink",
    "growth",
    "issuer-missing",
    "unrevoke",
    "mass-revocation",
    "stale-snapshot",
    "duplicate",
    "rows-invalid",
    "coverage",
    "window",
)
NEVER_ACCEPTED = frozenset({"coverage", "window"})
Outcome: TypeAlias = Literal["passed", "warned", "accepted", "failed", "skipped"]


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
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)
    acceptances: tuple[Acceptance, ...] = ()
