"""The gates' place in a run: what is looked for, what is refused by them, and what is kept of what they say.

Before a row is read it is known what to look for (`watch_of`). When all rows are counted, every gate is asked (`ask`),
and all that fail are shown at once. What is left for the next generation's gates is written before the commit.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pregen import clock
from pregen.clock import DAY_S
from pregen.errors import MAX_EXAMPLES, Finding, GateError, InputError, VerificationError
from pregen.gates import GateResult, History
from pregen.gates.acceptance import acceptable, decide, is_refused
from pregen.gates.detector import Case, Observation, Verdict, Watch, judge, remember
from pregen.gates.evidence import Evidence
from pregen.gates.gates import judge_all
from pregen.gates.history import witness_share
from pregen.generation.comparing.by_issuer import certificates_of
from pregen.generation.comparing.claims import Claims, make_claims
from pregen.generation.comparing.comparer import ComparisonJob
from pregen.generation.comparing.tally import Tally
from pregen.generation.evidence import evidence_of, match_name, matched_before
from pregen.generation.lost import frees_lost
from pregen.generation.preparation import Prepared
from pregen.generation.rows.groups import Group
from pregen.generation.staying import ahead
from pregen.snapshot import Snapshot
from pregen.validity import REASON_CODES
from storage.manifest import Shard

INVALID = "invalid"  # the reason of rows that are left out because they cannot be published
_OF_ROWS = frozenset({"rows-invalid", "duplicate"})  # as these rows get no answers


def watch_of(prepared: Prepared) -> Watch:
    """Return what to look for in the rows."""
    history = prepared.past.history
    remembered = history.witnesses["key"] if history else np.empty(0, np.uint64)
    listed_as_of = prepared.snapshot.listed_as_of
    return Watch(
        as_of=clock.seconds(prepared.snapshot.as_of),
        skew_s=prepared.config.gates.skew_s,
        issuers=len(prepared.issuers),
        keys=np.unique(np.concatenate([prepared.anchors.keys, remembered]).astype(np.uint64, copy=False)),
        witness_share=witness_share(prepared.snapshot.row_estimate),
        listed_as_of=None if listed_as_of is None else clock.seconds(listed_as_of),
    )


def comparison_job(prepared: Prepared) -> ComparisonJob | None:
    """Return what workers compare shards with; None: there is nothing."""
    past, expired_before = prepared.past, prepared.expired_before
    if past.commit is None:
        return None
    if expired_before is not None:  # an export that runs for long leaves out what expires meanwhile
        expired_before += prepared.config.gates.skew_s
    return ComparisonJob(
        prepared.open_store,
        past.parts if past.history else None,
        expired_before,
        prepared.head,
        prepared.dropped,
        frozenset() if frees_lost(prepared) else frozenset(issuer.issuer_id for issuer in prepared.issuers),
        past.ended,
    )


def claims_of(prepared: Prepared) -> Claims:
    """Return what CRLs and anchors say of certificates."""
    return make_claims(
        prepared.anchors.lists + prepared.snapshot.lists,
        prepared.anchors.certificates,
        prepared.issuers,
        clock.seconds(prepared.snapshot.as_of),
        prepared.config.gates.skew_s,
    )


def judge_times(prepared: Prepared, observation: Observation, watch: Watch, *, is_whole: bool = True) -> Verdict:
    """Return what the times of all rows say about the zones that they are read in; `is_whole`: as of `Case`."""
    case = replace(_case_of(prepared, observation, watch), is_whole=is_whole)
    return judge(case, prepared.anchors, is_public=bool(prepared.public_windows))


def _case_of(prepared: Prepared, observation: Observation, watch: Watch) -> Case:
    """Return what the zone detector judges: a zone that was declared and that no time needed counts for none."""
    unused = prepared.snapshot.unused_zones
    columns = {
        name: replace(column, zone=None) if name in unused else column
        for name, column in prepared.snapshot.columns.items()
    }
    return Case(
        observation=observation,
        watch=watch,
        columns=columns,
        issuers=prepared.issuers,
        history=prepared.past.history,
    )


def ask(
    prepared: Prepared, tally: Tally, verdict: Verdict, watch: Watch, excluded: Mapping[str, int], claims: Claims
) -> tuple[tuple[GateResult, ...], tuple[Finding, ...]]:
    """Return what all gates say, what is accepted taken into account, and all warnings about the snapshot.

    Args:
        prepared: what is known beside the rows.
        tally: of all rows.
        verdict: on the times of all rows.
        watch: what was looked for.
        excluded: rows without answers, by reason.
        claims: what was held against the rows.

    Raises:
        InputError: rows cannot be read, or contradict each other; with whatever else fails.
        GateError: a gate fails, or nothing is left to sign.
    """
    evidence = evidence_of(prepared, tally, verdict, watch, excluded.get(INVALID, 0), claims)
    decided, unneeded = _decided(evidence, prepared)
    findings = prepared.snapshot.findings(matched_before(prepared))
    rows = tuple(finding for finding in findings if finding.severity == "warning")
    from_gates = tuple(finding for result in decided for finding in result.findings)
    warnings = tuple(finding for finding in from_gates if finding.severity == "warning")
    errors = [finding for finding in from_gates if finding.severity == "error"]
    if prepared.past.history is None and prepared.past.commit is not None and not prepared.past.damage:
        text = (
            f"{prepared.past.why_absent}; this run compares with what its packs say, which takes longer, this once; "
            "they do not say when certificates end, so what is gone may have expired: what of it was revoked stays "
            "revoked until a row says when it ends; if all of it has expired, --accept revocation.lost forgets it"
        )
        warnings += (Finding("history.absent", "warning", text),)
    if tally.counts.undated:
        text = (
            "end_with_certificate is set, and these certificates have no not_after (or one after the year 2105), so "
            "their answers may be valid for longer than they are: export not_after"
        )
        warnings += (Finding("window.undated", "warning", text, tally.counts.undated),)
    warnings = rows + warnings + _late(prepared) + ahead(prepared, tally.staying) + unneeded
    failed = [result.gate for result in decided if result.outcome == "failed"]
    if failed or not tally.groups:
        # What is wrong with rows comes first: much of the rest may follow from it.
        of_rows = {id(one) for result in decided if result.gate in _OF_ROWS for one in result.findings}
        errors.sort(key=lambda finding: id(finding) not in of_rows)
        refused = [one.gate for one in prepared.accept if is_refused(one, decided)]
        raise _refusal(failed, acceptable(decided), refused, evidence, excluded, (*errors, *warnings))
    return decided, warnings


def _late(prepared: Prepared) -> tuple[Finding, ...]:
    """Return a warning of revocations of an offline CA that clients get to know later than a day after they were made.

    Status of subordinate CAs must be newer within 24 hours of a revocation (TLS Baseline Requirements, 4.9.9).
    """
    if prepared.head is None:
        return ()
    times = prepared.snapshot.revoked_of_cas
    late = times[(times > prepared.head.commit.as_of) & (times < clock.seconds(prepared.started) - DAY_S)]
    if not len(late):
        return ()
    text = (
        "under profile offline-ca, certificates were revoked after the generation that is published, and more than 24 "
        "hours before this run, which is when their status had to be renewed (TLS Baseline Requirements, 4.9.9): "
        "publish at once, and run within a day of each revocation"
    )
    examples = tuple(f"revoked {clock.text(one)}" for one in late[:MAX_EXAMPLES].tolist())
    return (Finding("revocation.late", "warning", text, len(late), examples),)


def _decided(evidence: Evidence, prepared: Prepared) -> tuple[tuple[GateResult, ...], tuple[Finding, ...]]:
    """Return what gates say; while rows are refused, what seems to have vanished because of them is no finding more."""
    refused = evidence.invalid + sum(finding.count for finding in evidence.conflicts)
    gates, accept = prepared.config.gates, prepared.accept
    decided, unneeded = decide(judge_all(replace(evidence, excused=refused), gates), accept)
    if not refused or any(result.gate in _OF_ROWS and result.outcome == "failed" for result in decided):
        return decided, unneeded
    return decide(judge_all(evidence, gates), accept)


def _counted(excluded: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} rows: {reason}" for reason, count in excluded.items())


def _refusal(
    failed: Sequence[str],
    options: Sequence[str],
    refused: Sequence[str],
    evidence: Evidence,
    excluded: Mapping[str, int],
    findings: tuple[Finding, ...],
) -> InputError | GateError:
    gates = ", ".join(failed)
    if "rows-invalid" in failed or evidence.conflicts:
        text = "the snapshot holds rows that cannot be published; nothing was published"
        if refused:
            text = f"--accept {refused[0]} does not help: contradictions cannot be accepted; {text}"
        return InputError(f"{text} (gates that refuse it: {gates})", findings)
    if not any(evidence.certificates.values()):
        return GateError(
            f"all {evidence.rows_in:,} rows are excluded ({_counted(excluded)}): nothing is left to sign; look at "
            "keep_expired and at the status values",
            findings,
        )
    return GateError(
        f"the snapshot can be read, but must not be published as it is (gates that refuse it: {gates}); nothing was "
        "published. Correct what the findings say; only where the snapshot is right all the same: "
        f"{' '.join(f'--accept {option}' for option in options)} --reason TEXT",
        findings,
    )


def invalid_rows(snapshot: Snapshot, routed: int) -> int:
    """Return how many rows cannot be published: whatever came in, was not left out on purpose, and was not routed.

    Raises:
        VerificationError: more rows are missing than were found to be bad.
    """
    invalid = snapshot.rows_in - sum(snapshot.excluded.values()) - routed
    errors = (finding for finding in snapshot.findings() if finding.severity == "error")
    noted = sum(finding.count for finding in errors if finding.code not in REASON_CODES)
    if not 0 <= invalid <= noted:
        raise VerificationError(
            f"{snapshot.rows_in:,} rows came in, of which {routed:,} were routed and {noted:,} found to be bad: "
            f"{invalid - noted:,} are lost; nothing was published; please report this"
        )
    return invalid


def remembered(
    prepared: Prepared, groups: Mapping[Group, int], verdict: Verdict, observation: Observation, watch: Watch
) -> History:
    """Return what the next generation's gates need to know of this one, its keys apart."""
    history = remember(verdict, _case_of(prepared, observation, watch), certificates_of(prepared.issuers, groups))
    matched = frozenset(match_name(prepared, index) for index in prepared.snapshot.matched)
    return replace(history, anchored=history.anchored | matched)


def after_signing(
    rows_in: int,
    excluded: Mapping[str, int],
    again: int,
    shards: Iterable[Shard],
    windows: Iterable[tuple[int, int]],
    verified: int,
) -> tuple[GateResult, GateResult]:
    """Return the results of the last two gates, which have passed: what they refuse ends a run where it is found."""
    certificates = sum(shard.rows for shard in shards)
    read = sorted(windows)
    lengths = [end - start + 1 for start, end in read]
    return (
        GateResult(
            gate="coverage",
            outcome="passed",
            figures={
                "rows_in": rows_in,
                "certificates": certificates,
                "excluded": dict(excluded),
                **({"again": again} if again else {}),
            },
        ),
        GateResult(
            gate="window",
            outcome="passed",
            figures={
                "parsed": verified,
                "windows": len(read),
                "shortest_s": min(lengths, default=0),
                "longest_s": max(lengths, default=0),
                "last_next_update": clock.text(max(end for _, end in read)) if read else None,
            },
        ),
    )
