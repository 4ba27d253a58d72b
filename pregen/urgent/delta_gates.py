"""What gates say of a delta, whose rows are those alone that have changed.

Row by row they are judged as those of a snapshot, and their times by what anchors and their order prove. Nothing can be
told of what is not there: how many there are, who is missing, and how long nothing was issued.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pregen.errors import MAX_EXAMPLES, Finding, GateError, InputError
from pregen.gates import GateResult
from pregen.gates.acceptance import acceptable, decide, is_refused
from pregen.gates.comparison import Comparison
from pregen.gates.detector import Observation, Watch
from pregen.gates.gates import judge_changes
from pregen.gates.judging import result
from pregen.generation.comparing.claims import Claims
from pregen.generation.comparing.held import Held
from pregen.generation.comparing.tally import Tally
from pregen.generation.evidence import evidence_of, matched_before
from pregen.generation.gatekeeping import INVALID, invalid_rows, judge_times
from pregen.generation.preparation import Prepared
from pregen.generation.rows.counts import NOTHING_COUNTED, FirstExamples, RowCounts
from pregen.generation.rows.routing import ShardFile
from pregen.urgent.deciding import Fate
from pregen.urgent.refusing import finding_of
from pregen.urgent.resolving import Resolved

UNREVOKE, UNDONE = "unrevoke", "revocation.undone"
_OF_ROWS = frozenset({"rows-invalid", "duplicate"})

_AHEAD = (
    "rows do not say revoked of certificates that an urgent change has revoked and no snapshot has confirmed yet: they "
    "are left out, the others land; if the source is right, name them once more by --accept unrevoke"
)
_HELD = (
    "rows do not say on hold of certificates that pregen hold has put there: they are left out, the others land; a "
    "hold ends by pregen release"
)


class DeltaGates:
    """Asks the gates about the rows of a delta, as often as another publisher is faster.

    Args:
        prepared: what was looked at before a row was read.
        watch: what was looked for in the rows.
        observation: what was seen of their times.
        files: where they are spooled.
    """

    def __init__(self, prepared: Prepared, watch: Watch, observation: Observation, files: Sequence[ShardFile]) -> None:
        self._prepared = prepared
        self._watch = watch
        self._verdict = judge_times(prepared, observation, watch, is_whole=False)
        self._rows = sum(file.rows for file in files)

    def _invalid(self, counts: RowCounts) -> int:
        return invalid_rows(self._prepared.snapshot, self._rows - counts.withheld - counts.again_rows)

    def excluded(self, resolved: Sequence[Resolved]) -> Mapping[str, int]:
        """Return how many rows are left out, by reason."""
        counts = _tally(resolved).counts
        every = {
            **self._prepared.snapshot.excluded,
            "expired": counts.expired,
            "joined-precertificate": counts.joined,
            "repeated": counts.repeated,
            INVALID: self._invalid(counts),
        }
        return {reason: count for reason, count in sorted(every.items()) if count}

    def ask(self, resolved: Sequence[Resolved]) -> tuple[tuple[GateResult, ...], tuple[Finding, ...]]:
        """Return what the gates say, what is accepted taken into account, and all warnings.

        Raises:
            InputError: rows cannot be read, or contradict each other; with whatever else fails.
            GateError: a gate fails.
        """
        prepared, tally = self._prepared, _tally(resolved)
        evidence = evidence_of(prepared, tally, self._verdict, self._watch, self._invalid(tally.counts), Claims())
        results = (*judge_changes(evidence, prepared.config.gates), _unrevoke(prepared, resolved))
        decided, unneeded = decide(results, prepared.accept)
        found = [finding for one in decided for finding in one.findings]
        of_rows = [one for one in prepared.snapshot.findings(matched_before(prepared)) if one.severity == "warning"]
        warnings = (
            *of_rows,
            *(one for one in found if one.severity == "warning"),
            *_ahead(prepared, resolved),
            *unneeded,
        )
        failed = [one.gate for one in decided if one.outcome == "failed"]
        if failed:
            errors = [one for one in found if one.severity == "error"]
            refused = [one.gate for one in prepared.accept if is_refused(one, decided)]
            raise _refusal(failed, acceptable(decided), refused, (*errors, *warnings))
        return decided, warnings


def _tally(resolved: Sequence[Resolved]) -> Tally:
    groups = dict.fromkeys(sorted({group for one in resolved for group in one.groups}), 0)
    counts, examples = NOTHING_COUNTED, FirstExamples()
    for number, one in enumerate(resolved):
        for group, count in one.groups.items():
            groups[group] += count
        counts = counts.plus(one.counts)
        examples.add(number, one.pairs)
    comparison = Comparison(revoked=sum(one.revoked for one in resolved), new=sum(one.new for one in resolved))
    return Tally(groups, {}, {}, counts, examples.take(), comparison, Held())


def _unrevoke(prepared: Prepared, resolved: Sequence[Resolved]) -> GateResult:
    """Judge rows that take back a final revocation; an entry of an overlay they only take back where that is named."""
    undone, ahead = (sum(one.fates[fate] for one in resolved) for fate in (Fate.UNDOES, Fate.AHEAD))
    figures = {"unrevoked": undone, "ahead": ahead}
    message = (
        "rows say good or unknown, or on hold, of certificates that are revoked, and not only on hold: a revocation is "
        "final (RFC 5280, 5.3.1); look whether the source has lost the statuses, or maps them wrongly"
    )
    fates = (Fate.UNDOES, Fate.AHEAD) if accepts_unrevoke(prepared) else (Fate.UNDOES,)
    each = (finding_of(prepared.issuers, resolved, fate, UNDONE, message) for fate in fates)
    findings = [one for one in each if one is not None]
    if len(findings) > 1:
        first, other = findings
        examples = (*first.examples, *other.examples)[:MAX_EXAMPLES]
        findings = [replace(first, count=first.count + other.count, examples=examples)]
    return result(UNREVOKE, figures, *findings)


def accepts_unrevoke(prepared: Prepared) -> bool:
    """Tell whether it was accepted by name that final revocations are taken back."""
    return any(one.gate in {UNREVOKE, UNDONE} for one in prepared.accept)


def _ahead(prepared: Prepared, resolved: Sequence[Resolved]) -> tuple[Finding, ...]:
    """Return warnings of rows that are left out, since what an urgent change said counts."""
    texts = {Fate.HELD: _HELD} if accepts_unrevoke(prepared) else {Fate.AHEAD: _AHEAD, Fate.HELD: _HELD}
    each = (
        finding_of(prepared.issuers, resolved, fate, "overlay.ahead", text, is_error=False)
        for fate, text in texts.items()
    )
    return tuple(one for one in each if one is not None)


def _refusal(
    failed: Sequence[str], options: Sequence[str], refused: Sequence[str], findings: tuple[Finding, ...]
) -> InputError | GateError:
    gates = ", ".join(failed)
    if not _OF_ROWS.isdisjoint(failed):
        text = "the delta holds rows that cannot be published; nothing was published"
        if refused:
            text = f"--accept {refused[0]} does not help: contradictions cannot be accepted; {text}"
        return InputError(f"{text} (gates that refuse it: {gates})", findings)
    return GateError(
        f"the delta can be read, but must not be published as it is (gates that refuse it: {gates}); nothing was "
        "published. Correct what the findings say; only where it is right all the same: "
        f"{' '.join(f'--accept {option}' for option in options)} --reason TEXT",
        findings,
    )
