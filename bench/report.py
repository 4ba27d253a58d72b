"""The results as JSON for programs, as Markdown for papers, as a table for the terminal: one content, three forms."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from bench.figure import Figure, Result, Skipped
from bench.machine import MeasuringMachine
from bench.workload import DESCRIPTION
from pregen import clock

SCHEMA = 1
UNSTEADY = 0.05  # samples further apart than this are pointed out: the machine was doing something else too
HEADERS = ("what", "measured", "must", "wish", "reached")
NUMERIC = HEADERS[1:4]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that one run of the bench found.

    Attributes:
        date: when it began.
        revision: of the project, then (`bench.machine.revision_of`).
        judged: whether targets apply (`Sizes.judged`).
        only: the one part that was measured; None for all.
        machine: where.
        findings: in the order of the bench.
    """

    date: datetime
    revision: str | None
    judged: bool
    only: str | None
    machine: MeasuringMachine
    findings: Sequence[Result]

    @property
    def file_stem(self) -> str:
        """Name of the result files: date, CPU, and what makes them less than a full run."""
        cpu = re.sub("[^a-z0-9]+", "-", self.machine.cpu.lower()).strip("-")
        parts = (f"{self.date:%Y-%m-%d}", cpu, "" if self.judged else "quick", self.only)
        return "-".join(filter(None, parts))


def document(results: Results) -> dict[str, object]:
    """Return the results as one JSON object; a missing value is null, never left out."""
    return {
        "schema": SCHEMA,
        "date": clock.text(results.date),
        "revision": results.revision
        and {"commit": results.revision.removesuffix("-dirty"), "dirty": results.revision.endswith("-dirty")},
        "mode": "full" if results.judged else "quick",
        "only": results.only,
        "data": DESCRIPTION,
        "machine": {**asdict(results.machine), "flags": list(results.machine.flags)},
        "figures": [_figure(one, judged=results.judged) for one in results.findings if isinstance(one, Figure)],
        "skipped": [asdict(one) for one in results.findings if isinstance(one, Skipped)],
    }


def markdown(results: Results) -> str:
    """Return the results as Markdown: one table, and under it what the figures are true for."""
    rows = [HEADERS, tuple("---:" if header in NUMERIC else "---" for header in HEADERS)]
    for group, findings in _grouped(results):
        rows += [(f"**{group}**", "", "", "", ""), *(cells(one, judged=results.judged) for one in findings)]
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", *(f"* {line}" for line in remarks(results)), ""])


def print_table(results: Results, console: Console) -> None:
    """Print the results for people."""
    table = Table(title=f"Pregen on {results.machine.cpu}", title_justify="left")
    for header in HEADERS:
        table.add_column(header, justify="right" if header in NUMERIC else "left", no_wrap=header in NUMERIC)
    for group, findings in _grouped(results):
        table.add_section()
        table.add_row(group, style="bold")
        for one in findings:
            title, *rest = cells(one, judged=results.judged)
            table.add_row(Padding(title, (0, 0, 0, 2)), *rest)
    console.print(table)
    for line in remarks(results):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def save(results: Results, folder: Path) -> list[Path]:
    """Write the results as JSON and Markdown; return the paths, JSON first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.file_stem}.json"
    path.write_text(json.dumps(document(results), indent=1, ensure_ascii=False) + "\n")
    text = path.with_suffix(".md")
    text.write_text(markdown(results))
    return [path, text]


def cells(finding: Result, *, judged: bool) -> tuple[str, ...]:
    """Return the row of a finding: what `HEADERS` says."""
    if isinstance(finding, Skipped):
        return finding.title, "skipped", "", "", finding.reason
    value = f"{number(finding.value)} {finding.unit}".rstrip()
    if finding.target is None:
        return finding.title, value, "", "", finding.note
    bound = "≤" if finding.target.at_most else "≥"
    must, wish = (f"{bound} {number(one)}" for one in (finding.target.must, finding.target.wish))
    return finding.title, value, must, wish, finding.target.verdict(finding.value) if judged else "-"


def remarks(results: Results) -> list[str]:
    """Return what a reader of the table has to know."""
    machine = results.machine
    versions = ", ".join(f"{name} {version or 'not installed'}" for name, version in machine.versions.items())
    cpu = f"{machine.cpu} ({machine.cpus} CPUs; {' '.join(machine.flags)})"
    lines = [
        f"{clock.text(results.date)}, {cpu}, {machine.system}, load {machine.load}",
        f"revision {results.revision or 'unknown: not measured in a checkout'}",
        versions,
        f"data: {DESCRIPTION}",
    ]
    if not results.judged:
        lines.append("quick: nothing is judged, for in smaller snapshots start-up weighs more; no very large snapshot")
    lines += [
        f"unsteady: {figure.name} was measured {len(figure.samples)} times, {figure.spread:.0%} apart "
        f"({', '.join(map(number, figure.samples))}): was the machine busy with something else?"
        for figure in results.findings
        if isinstance(figure, Figure) and figure.spread > UNSTEADY
    ]
    return lines


def _grouped(results: Results) -> Iterator[tuple[str, Iterator[Result]]]:
    return itertools.groupby(results.findings, key=lambda finding: finding.group)


def number(value: float) -> str:
    """Return a number for people.

    >>> number(157034.2), number(0.81849), number(1), number(231.46)
    ('157,034', '0.8185', '1', '231.5')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _figure(figure: Figure, *, judged: bool) -> dict[str, object]:
    target = figure.target
    return {
        "name": figure.name,
        "group": figure.group,
        "title": figure.title,
        "value": figure.value,
        "unit": figure.unit,
        "must": target and target.must,
        "wish": target and target.wish,
        "better": target and ("lower" if target.at_most else "higher"),
        "reached": target.verdict(figure.value) if target and judged else None,
        "samples": list(figure.samples),
        "detail": dict(figure.detail),
        "note": figure.note,
    }
