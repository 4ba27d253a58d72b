import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from bench.figure import Figure, Result, Skipped, Target
from bench.machine import MeasuringMachine
from bench.report import Results, document, markdown, print_table, save

RATIO = Figure(
    name="pipeline.x.ratio",
    group="pregen run, x",
    title="responses / raw signatures",
    value=0.71,
    target=Target(must=0.68, wish=0.80),
)
MEMORY = Figure(
    name="pipeline.x.memory",
    group="pregen run, x",
    title="memory",
    value=231.46,
    unit="MiB",
    target=Target(must=450, wish=250, at_most=True),
    detail={"rows": 7},
)
RATE = Figure(
    name="raw.x",
    group="raw signatures",
    title="x",
    value=157_034.2,
    unit="/CPU-s",
    samples=(150_000.0, 164_068.4),
    note="each checked",
)
SKIPPED = Skipped(name="raw.y", group="raw signatures", title="y", reason="this CPU cannot")


def results_of(*findings: Result, judged: bool = True, only: str | None = None) -> Results:
    machine = MeasuringMachine(
        "Some CPU (R) 9000", 2, ("adx", "avx512ifma"), "Linux 6 x86_64", 0.1, {"python": "3", "x": None}
    )
    return Results(
        date=datetime(2026, 11, 24, tzinfo=UTC),
        revision="f0a4426",
        judged=judged,
        only=only,
        machine=machine,
        findings=findings,
    )


ALL = results_of(RATE, SKIPPED, RATIO, MEMORY)


def figures_of(results: Results) -> list[dict[str, object]]:
    figures = document(results)["figures"]
    assert isinstance(figures, list)
    return figures


def test_a_figure_says_what_is_asked_of_it_and_whether_it_is_reached() -> None:
    rate, ratio, memory = figures_of(ALL)
    assert ratio == {
        "name": "pipeline.x.ratio",
        "group": "pregen run, x",
        "title": "responses / raw signatures",
        "value": 0.71,
        "unit": "",
        "must": 0.68,
        "wish": 0.80,
        "better": "higher",
        "reached": "must",
        "samples": [],
        "detail": {},
        "note": "",
    }
    assert (memory["better"], memory["reached"], memory["detail"]) == ("lower", "wish", {"rows": 7})
    assert (rate["must"], rate["wish"], rate["better"], rate["reached"]) == (None, None, None, None)
    assert rate["samples"] == [150_000.0, 164_068.4]


def test_the_object_says_what_was_measured_where_and_what_was_not() -> None:
    made = document(ALL)
    assert made.keys() == {"schema", "date", "revision", "mode", "only", "data", "machine", "figures", "skipped"}
    assert (made["schema"], made["date"], made["mode"], made["only"]) == (1, "2026-11-24T00:00:00Z", "full", None)
    assert made["skipped"] == [{"name": "raw.y", "group": "raw signatures", "title": "y", "reason": "this CPU cannot"}]
    machine = made["machine"]
    assert isinstance(machine, dict)
    assert machine["versions"] == {"python": "3", "x": None}


def test_the_revision_is_named_and_whether_it_was_changed() -> None:
    assert document(ALL)["revision"] == {"commit": "f0a4426", "dirty": False}
    assert "* revision f0a4426" in markdown(ALL).splitlines()
    dirty = replace(ALL, revision="f0a4426-dirty")
    assert document(dirty)["revision"] == {"commit": "f0a4426", "dirty": True}
    assert "* revision f0a4426-dirty" in markdown(dirty).splitlines()


def test_outside_of_a_checkout_there_is_no_revision() -> None:
    elsewhere = replace(ALL, revision=None)
    assert document(elsewhere)["revision"] is None
    assert "* revision unknown: not measured in a checkout" in markdown(elsewhere).splitlines()


def test_a_quick_run_is_not_judged() -> None:
    quick = replace(ALL, judged=False)
    assert [figure["reached"] for figure in figures_of(quick)] == [None, None, None]
    assert [figure["must"] for figure in figures_of(quick)] == [None, 0.68, 450]
    assert document(quick)["mode"] == "quick"
    assert "nothing is judged" in markdown(quick)


def test_markdown_is_one_table_with_remarks() -> None:
    lines = markdown(ALL).splitlines()
    assert lines[:8] == [
        "| what | measured | must | wish | reached |",
        "| --- | ---: | ---: | ---: | --- |",
        "| **raw signatures** |  |  |  |  |",
        "| x | 157,034 /CPU-s |  |  | each checked |",
        "| y | skipped |  |  | this CPU cannot |",
        "| **pregen run, x** |  |  |  |  |",
        "| responses / raw signatures | 0.71 | ≥ 0.68 | ≥ 0.8 | must |",
        "| memory | 231.5 MiB | ≤ 450 | ≤ 250 | wish |",
    ]
    assert "* 2026-11-24T00:00:00Z, Some CPU (R) 9000 (2 CPUs; adx avx512ifma), Linux 6 x86_64, load 0.1" in lines
    assert "* python 3, x not installed" in lines


def test_samples_that_lie_far_apart_are_pointed_out() -> None:
    assert "unsteady: raw.x was measured 2 times, 9% apart (150,000, 164,068)" in markdown(ALL)
    steady = replace(RATE, samples=(150_000.0, 150_100.0))
    assert "unsteady" not in markdown(results_of(steady))


def test_the_table_holds_every_cell() -> None:
    console = Console(file=StringIO(), width=120)
    print_table(ALL, console)
    assert isinstance(console.file, StringIO)
    text = console.file.getvalue()
    for cell in ("157,034 /CPU-s", "skipped", "this CPU cannot", "0.71", "≥ 0.68", "≤ 250", "must", "wish", "Some CPU"):
        assert cell in text


@pytest.mark.parametrize(
    ("judged", "only", "stem"),
    [
        (True, None, "2026-11-24-some-cpu-r-9000"),
        (False, None, "2026-11-24-some-cpu-r-9000-quick"),
        (False, "raw", "2026-11-24-some-cpu-r-9000-quick-raw"),
    ],
)
def test_files_are_named_by_date_and_cpu_and_a_partial_run_never_hides_a_full_one(
    judged: bool, only: str | None, stem: str, tmp_path: Path
) -> None:
    results = results_of(RATIO, judged=judged, only=only)
    (path, *_) = paths = save(results, tmp_path / "results")
    assert path == tmp_path / "results" / f"{stem}.json"
    assert json.loads(path.read_text()) == document(results)
    assert path.with_suffix(".md").read_text() == markdown(results)
    assert names(tmp_path / "results") == [f"{stem}.json", f"{stem}.md"] == [one.name for one in paths]


def names(folder: Path) -> Sequence[str]:
    return sorted(path.name for path in folder.iterdir())
