"""Issuers that are published, and are not to be any more: who drops one says so by name, and why."""

from collections.abc import Sequence

from pregen.errors import Finding, GateError
from pregen.gates import Acceptance, GateResult
from pregen.gates.acceptance import DROP
from pregen.issuers import Issuer
from storage.reader import Generation


def judge_drops(
    current: Generation, issuers: Sequence[Issuer], dropped: Sequence[str], why: Sequence[Acceptance]
) -> tuple[tuple[Finding, ...], tuple[GateResult, ...]]:
    """Return warnings about issuers that the configuration lacks, and what the commit is to remember of that.

    Args:
        current: the generation that is published.
        issuers: those of the configuration.
        dropped: names of `--drop-issuer`.
        why: a reason for each of them; empty: nobody says why.

    Raises:
        GateError: an issuer is published, and neither configured nor dropped: the store may be another CA's.
    """
    stored = {issuer.issuer_id: issuer for one in current.tables.values() for issuer in one.tables.issuers}
    kept = {issuer.issuer_id for issuer in issuers}
    lost = {number: {issuer.label, *issuer.names} for number, issuer in stored.items() if number not in kept}
    missing = [stored[number].label for number, names in lost.items() if not names & set(dropped)]
    if missing:
        options = " ".join(f"--drop-issuer {name}" for name in missing)
        raise GateError(
            f"commit {current.commit.number} answers for {', '.join(missing)}, which the configuration lacks: "
            "publishing would make all its certificates unauthorized. Add the missing [[issuer]], use another store, "
            f"or say {options} --reason TEXT, which also forgets what of theirs was revoked"
        )
    known = {name for names in lost.values() for name in names}
    warnings = [
        Finding("drop-issuer.nothing", "warning", f"--drop-issuer {name}: nothing to drop by that name")
        for name in sorted(set(dropped) - known)
    ]
    names = [name for name in dict.fromkeys(dropped) if name in known]
    if not names:
        return tuple(warnings), ()
    reasons = {one.gate: one for one in why}
    given = tuple(reasons[f"{DROP} {name}"] for name in names if f"{DROP} {name}" in reasons)
    if len(given) < len(names):
        text = "--drop-issuer takes all answers of these away and forgets what was revoked: say why, by --reason TEXT"
        found = Finding("drop-issuer.no-reason", "warning", text, len(names), tuple(names))
    else:
        said = "; ".join(f"{one.gate} by {one.user}: {one.reason}" for one in given)
        text = f"their answers are taken away, and what was revoked is forgotten, as was asked for: {said}"
        found = Finding("drop-issuer.dropped", "warning", text, len(names), tuple(names))
    result = GateResult(
        gate=DROP,
        outcome="accepted" if given else "warned",
        findings=(found,),
        figures={"issuers": len(names)},
        acceptances=given,
    )
    return (*warnings, found), (result,)
