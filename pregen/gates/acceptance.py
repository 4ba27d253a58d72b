"""Who publishes in spite of a gate, and why: `--accept GATE --reason TEXT`, and what it makes of a gate's result.

Who drops an issuer says why by the same `--reason`, and that is kept like an acceptance.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from pregen.errors import Finding, UsageError
from pregen.gates.author import check_name, system_user
from pregen.gates.results import GATES, NEVER_ACCEPTED, Acceptance, GateOutcome, GateResult
from pregen.validity import REASON_CODES

MAX_REASON = 1_000  # characters: it is kept in every manifest, and shown
HISTORY_DAMAGED, NONE_LISTED, MALFORMED = "history.damaged", "crl.none-listed", "line.malformed"
UNPLACED = "issuer.unplaced"
# Of whole columns: what their values show together.
_OF_VALUES = ("serial.negative", "serial.encoding", "serial.rounded", "time.encoding", "time.stands-for-none")
DROP = "drop-issuer"  # no gate: what the acceptance of a dropped issuer is called, before its name
UNCOVERED, SIGN_UNCLEAR = "crl.scope", "crl.sign-unclear"  # which nothing accepts
# What they hide nobody knows: no acceptance of a whole gate covers them.
_ALONE = frozenset({HISTORY_DAMAGED, NONE_LISTED, MALFORMED, UNPLACED, UNCOVERED, SIGN_UNCLEAR, *_OF_VALUES})
# What can be accepted by itself, beside the whole gate. Findings about rows have more codes than can be listed.
CODES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "zone": (
            "time.no-anchor",
            "time.anchor-mismatch",
            "time.anchor-not-found",
            "time.ahead-of-as-of",
            "time.order",
            "time.lag-shift",
            "time.hole",
            "time.history-mismatch",
        ),
        "shrink": ("shrink.vanished", "shrink.unknown", "shrink.expiry", HISTORY_DAMAGED),
        "growth": ("growth.certificates",),
        "issuer-missing": ("issuer.vanished", "issuer.empty"),
        "issuer-label": ("issuer.mislabelled",),
        "unrevoke": (
            "revocation.undone",
            "revocation.returned",
            "revocation.weakened",
            "revocation.lost",
            "revocation.shortened",
            "revocation.released",
        ),
        "revoked-elsewhere": (
            "revocation.in-columns",
            "revocation.in-crl",
            "revocation.hold-in-crl",
            "revocation.left-out",
        ),
        "mass-revocation": ("revocation.mass",),
        "stale-snapshot": ("snapshot.stale",),
        "duplicate": ("row.repeated",),
        "profile": REASON_CODES,
        "rows-invalid": (NONE_LISTED, UNPLACED, *_OF_VALUES),
    }
)
# What an import accepts, since a run on it sees no more how the source wrote its values.
OF_COLUMNS = (*_OF_VALUES, NONE_LISTED, "revocation.in-columns")
CONFLICT = "row.conflict"
_OF_ROWS = re.compile(r"(row|line)(\.[a-z0-9-]+)+")


def read_acceptances(gates: Sequence[str], reasons: Sequence[str], user: str | None = None) -> tuple[Acceptance, ...]:
    """Return what the command line accepts.

    Args:
        gates: of `--accept`, in their order.
        reasons: of `--reason`: one for all, or one each.
        user: of `--by`: who says so; None: whoever runs this process.

    Raises:
        UsageError: an unknown gate, one that cannot be accepted, or a reason or a name that is missing, empty, too long
            or left over.
    """
    check_name(user)
    if not gates and not reasons:
        return ()
    user = system_user() if user is None else user.strip()
    for gate in gates:
        _check_name(gate)
    if not gates:
        raise UsageError("--reason belongs to --accept GATE: say which gate it is for")
    if not reasons:
        raise UsageError('--accept needs --reason "...": say why it may be published; it is kept with the commit')
    return _with_reasons("--accept", gates, reasons, user)


def read_reasons(
    gates: Sequence[str], issuers: Sequence[str], reasons: Sequence[str], user: str | None = None
) -> tuple[tuple[Acceptance, ...], tuple[Acceptance, ...]]:
    """Return what the command line of a run accepts, and why issuers are dropped; the latter may be left unsaid.

    One reason is for all. Of several, the first are those of `--accept`, in their order, and what is left over is of
    `--drop-issuer`: so command lines from before a dropped issuer had a reason mean what they meant.

    Raises:
        UsageError: as of `read_acceptances`.
    """
    if not issuers:
        return read_acceptances(gates, reasons, user), ()
    split = len(gates) if len(reasons) > 1 else 0
    accepted = read_acceptances(gates, (reasons[:split] or reasons) if gates else (), user)
    rest = reasons[split:]
    if not rest:
        return accepted, ()
    by = system_user() if user is None else user.strip()
    return accepted, _with_reasons("--drop-issuer", [f"{DROP} {name}" for name in issuers], rest, by)


def _with_reasons(option: str, names: Sequence[str], reasons: Sequence[str], user: str) -> tuple[Acceptance, ...]:
    if len(reasons) not in {1, len(names)}:
        told = f"{len(reasons)} times --reason for {len(names)} times {option}"
        raise UsageError(f"{told}: give one reason for all, or one for each, in their order")
    for reason in reasons:
        if not reason.strip():
            raise UsageError("--reason is empty: say why it may be published; it is kept with the commit")
        if len(reason) > MAX_REASON:
            raise UsageError(f"--reason has {len(reason):,} characters: {MAX_REASON:,} are kept, name a ticket instead")
    each = list(reasons) * (len(names) if len(reasons) == 1 else 1)
    return tuple(Acceptance(name, reason.strip(), user) for name, reason in zip(names, each, strict=True))


def _check_name(gate: str) -> None:
    if gate in NEVER_ACCEPTED or gate == CONFLICT:
        raise UsageError(f"--accept {gate}: that cannot be accepted: it is never right to publish")
    codes = {code for some in CODES.values() for code in some}
    if gate not in CODES and gate not in codes and not _OF_ROWS.fullmatch(gate):
        known = ", ".join([*(name for name in GATES if name in CODES), *sorted(codes)])
        raise UsageError(f"--accept {gate}: no such gate; there are: {known}, and the codes of findings about rows")


def decide(
    results: Iterable[GateResult], acceptances: Sequence[Acceptance]
) -> tuple[tuple[GateResult, ...], tuple[Finding, ...]]:
    """Return what gates say once acceptances are taken into account, and a warning for each that nothing needed.

    An error that is accepted becomes a warning that says by whom and why. A gate fails while it has one error more.
    """
    results = tuple(results)
    used: set[Acceptance] = set()
    decided = tuple(_decided(result, acceptances, used) for result in results)
    unneeded = tuple(
        Finding("accept.unneeded", "warning", f"--accept {one.gate}: nothing needed it; leave it out next time")
        for one in acceptances
        if one not in used and not is_refused(one, results)
    )
    return decided, unneeded


def acceptable(results: Iterable[GateResult]) -> tuple[str, ...]:
    """Return what would have to be accepted of the gates that fail: gates, or codes that no gate covers."""
    names: dict[str, None] = {}
    for result in results:
        codes = [one.code for one in result.findings if one.severity == "error"] if result.outcome == "failed" else []
        names |= dict.fromkeys(code if code in _ALONE else result.gate for code in codes)
    return tuple(names)


def is_refused(acceptance: Acceptance, results: Iterable[GateResult]) -> bool:
    """Whether a gate is accepted for findings that never are: rows that contradict each other."""
    codes = (finding.code for result in results if result.gate == acceptance.gate for finding in result.findings)
    return CONFLICT in codes


def _decided(result: GateResult, acceptances: Sequence[Acceptance], used: set[Acceptance]) -> GateResult:
    findings: list[Finding] = []
    mine: dict[Acceptance, None] = {}
    for finding in result.findings:
        accepted = [one for one in acceptances if _covers(one, result.gate, finding)]
        mine |= dict.fromkeys(accepted)
        if accepted:
            by = f"accepted by {accepted[0].user}: {accepted[0].reason}"
            finding = replace(finding, severity="warning", message=f"{finding.message}; {by}")  # noqa: PLW2901
        findings.append(finding)
    used.update(mine)
    return replace(
        result, findings=tuple(findings), outcome=_outcome(result, findings, bool(mine)), acceptances=tuple(mine)
    )


def _covers(acceptance: Acceptance, gate: str, finding: Finding) -> bool:
    if finding.code == CONFLICT or gate in NEVER_ACCEPTED:
        return False
    if finding.severity != "error" and gate != "mass-revocation":  # only warned of, but who ordered it is worth keeping
        return False
    return acceptance.gate == finding.code or (acceptance.gate == gate and finding.code not in _ALONE)


def _outcome(result: GateResult, findings: Sequence[Finding], is_accepted: bool) -> GateOutcome:
    if any(finding.severity == "error" for finding in findings):
        return "failed"
    if is_accepted:
        return "accepted"
    return "warned" if findings else result.outcome
