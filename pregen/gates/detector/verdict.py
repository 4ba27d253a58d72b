"""The gate `zone`: is a column of times read in a wrong zone? All evidence together, as findings.

    anchors.py     certain: what the CA itself has signed
    witnesses.py   exact: the same certificates in the last generation
    ahead.py       times that have not come yet
    lag.py         the newest issuance is older than it can be
    holes.py       hours without issuances before it
    time_order.py  revoked before issued, issued after expiry

Each yields clues, with the offset where the data show one. An offset that explains several of a column's clues is named
once with its zones, by the strongest of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pregen.errors import Finding
from pregen.gates.detector.ahead import judge_ahead
from pregen.gates.detector.anchor_files import Anchors
from pregen.gates.detector.anchors import compare_anchors, identity, no_anchor_findings
from pregen.gates.detector.case import Case
from pregen.gates.detector.clues import Clue
from pregen.gates.detector.holes import Holes, judge_holes
from pregen.gates.detector.lag import judge_lag, judge_revocations
from pregen.gates.detector.offsets import Sample, declared_offset, offset_text, zones_with
from pregen.gates.detector.rhythm import Span
from pregen.gates.detector.time_order import judge_order
from pregen.gates.detector.witnesses import judge_loss, judge_witnesses
from pregen.gates.history import WITNESS
from pregen.snapshot.column import Column


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all evidence says.

    Attributes:
        findings: errors first.
        anchored: identities of the declared columns that an anchor has proved, now or before.
        odd: issuers (indices) whose lag is refused; the index after the last one is that of revocations.
        holes: that were found, by the same indices.
    """

    findings: tuple[Finding, ...] = ()
    anchored: frozenset[str] = frozenset()
    odd: frozenset[int] = frozenset()
    holes: Mapping[int, tuple[Span, ...]] = field(default_factory=dict)


def judge(case: Case, anchors: Anchors, *, is_public: bool) -> Verdict:
    """Return what all evidence says about the zones of the columns of times.

    Args:
        case: the snapshot.
        anchors: of the configuration.
        is_public: whether the profile is a public one, so that declared zones must be proved.
    """
    history, columns = case.history, case.columns
    sightings = case.observation.sightings
    anchored = history.anchored if history else frozenset[str]()
    certain = compare_anchors(anchors, sightings, columns, case.issuers, case.watch.as_of, anchored)
    witnesses = history.witnesses if history else np.empty(0, WITNESS)
    exact = judge_witnesses(witnesses, sightings, columns, case.issuers)
    # The strongest evidence comes first: `_findings` names the zones of an offset where it meets that offset first.
    clues = [*certain.clues, *exact.clues]
    clues += judge_ahead(case, exact)
    odd: frozenset[int] = frozenset()
    holes = Holes((), {})
    if history is not None and case.is_whole:  # a generation before says what is usual, a whole what is missing
        events = case.events()
        issued, revoked = judge_lag(case, events), judge_revocations(events[-1])
        holes = judge_holes(case, events)
        clues += issued.clues + revoked.clues + holes.clues
        odd = issued.odd | revoked.odd
        clues += judge_loss(case.observation, case.issuers, history.issuers)
    # Order comes last, since it can only tell two columns from each other by what all the others blame.
    clues += (_blamed(clue, clues) for clue in judge_order(case))
    findings = [*_findings(clues, columns, case.watch.issued_until), *(certain.findings if case.is_whole else ())]
    if is_public:
        findings += no_anchor_findings(
            columns,
            proved=certain.proved,
            judged=frozenset(clue.canonical for clue in certain.clues if clue.severity == "error"),
            remembered=anchored,
        )
    proved = {identity(column) for name, column in columns.items() if column.declared_zone and name in certain.proved}
    # "error" sorts before "warning", and what is equal stays as it is: the strongest evidence first in both.
    ordered = tuple(sorted(findings, key=lambda finding: finding.severity))
    return Verdict(ordered, anchored | proved, odd, holes.found)


def _blamed(clue: Clue, others: Sequence[Clue]) -> Clue:
    """Return a clue of order, of which only two columns together can be read, with the one that others blame."""
    shifts = {other.canonical: other.shift_s for other in others if other.severity == "error"}
    issued = shifts.get("not_before")
    # Issuance that is read too early cannot lie after its revocation, so that only one that is too late is to blame.
    if clue.shift_s is None or clue.canonical in {"not_before", *shifts} or issued is None or issued < 0:
        return clue
    return replace(clue, canonical="not_before", shift_s=issued)


def _findings(clues: Iterable[Clue], columns: Mapping[str, Column], as_of: int) -> list[Finding]:
    """Return one finding a clue; zones stand in the first one of each column and offset."""
    configured = tuple(dict.fromkeys(column.zone for column in columns.values() if column.zone))
    said: dict[tuple[str, int | None], str] = {}
    findings = []
    for clue in clues:
        column = columns[clue.canonical]
        samples = clue.samples
        if not samples and clue.shift_s is not None:  # no single rows, but one offset: zones that have it at as_of
            samples = (Sample(as_of, clue.shift_s + declared_offset(column, as_of)),)
        text = f"column {column.name!r}: {clue.text}"
        zones: tuple[str, ...] = ()
        if not samples:
            text += f": {clue.advice}"
        elif earlier := said.get((clue.canonical, clue.shift_s)):
            text += f": the same offset as {earlier} says"
        else:
            zones = zones_with(samples, configured)
            said[clue.canonical, clue.shift_s] = clue.code
            explanation = _explanation(clue, column, samples)
            text += f": either {clue.otherwise}, or {explanation}" if clue.otherwise else f": {explanation}"
        findings.append(Finding(clue.code, clue.severity, text, clue.count, clue.examples, zones))
    return findings


def _explanation(clue: Clue, column: Column, samples: Sequence[Sample]) -> str:
    """Return which offset explains it, and how to declare it."""
    offsets = sorted({sample.offset_s for sample in samples})
    now = " or ".join(map(offset_text, offsets[:4])) + (" or others" if len(offsets) > 4 else "")
    if clue.shift_s is not None:
        way = "later" if clue.shift_s > 0 else "earlier"
        what = f"it is read {offset_text(abs(clue.shift_s))[1:]} {way} than it happened"
    else:
        what = "it is read in a zone with other clock changes than those of the right one"
    if column.zone:
        return (
            f"{what}; its times are those of a zone at {now}, not of {column.zone}: correct "
            f"{column.canonical} = {{ zone = ... }} in [snapshot.columns]"
        )
    return (
        f"{what}; its times are local ones of a zone at {now}, not UTC: correct the export, or let it write times "
        f'without a zone and declare {column.canonical} = {{ name = "{column.name}", zone = "..." }} in '
        "[snapshot.columns]"
    )
