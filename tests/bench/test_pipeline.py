from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.figure import BenchError, Figure, Skipped, Target
from bench.pipeline import (
    GATES_SHARE,
    Row,
    figures_of_gates,
    figures_of_run,
    figures_of_steps,
    measure_row,
    missing_engine,
    reference,
)
from bench.raw import SingleLoop
from bench.runs import RunReport
from pregen.signers import ALGORITHMS, AUTO, P256_SHA256, Engine
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.software import SoftwareEngine

ROW = Row(name="p256.software", engine="software", rows=1000, ratio=Target(must=0.8, wish=0.9))
REPORT = RunReport(
    certificates=1000,
    responses=1000,
    engine="software",
    workers=1,
    seconds=0.6,
    wall_seconds=1.0,
    cpu_seconds=0.5,
    stored_bytes=80_500,
    peak_rss_mib=123.4,
    cpu_by_step={"read": 0.05, "sign": 0.4, "idle": 0.0},
)


def figures(*raw: float) -> dict[str, Figure]:
    return {figure.name.rpartition(".")[2]: figure for figure in figures_of_run(ROW, REPORT, raw)}


def test_a_run_is_compared_with_the_mean_of_the_raw_rates_around_it() -> None:
    found = figures(2000, 3000)
    assert found["rate"].value == 2000
    assert found["raw"].value == 2500
    assert list(found["raw"].samples) == [2000, 3000]
    assert found["ratio"].value == pytest.approx(0.8)
    assert found["ratio"].target == ROW.ratio


def test_a_run_without_raw_rates_has_no_ratio() -> None:
    assert figures().keys() == {"rate", "overhead", "memory"}


def test_what_is_stored_counts_beyond_serial_and_signature() -> None:
    assert figures()["overhead"].value == pytest.approx(0.5)


def test_a_run_whose_engine_does_not_work_here_is_skipped_with_the_reason(tmp_path: Path) -> None:
    row = replace(ROW, engine="multibuffer")
    (skipped,) = measure_row(row, 0.01, tmp_path, [MultibufferEngine(lambda: "no such library")])
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "no such library"
    assert not list(tmp_path.iterdir())


def parts(steps: Mapping[str, float], raw: float) -> dict[str, tuple[object, str]]:
    report = msgspec.structs.replace(REPORT, cpu_by_step=steps)
    return {one.title: (pytest.approx(one.value), one.note) for one in figures_of_steps(ROW, report, raw)}


def test_all_of_the_cpu_time_is_shown_once_the_largest_part_first() -> None:
    shown = parts({"read": 0.05, "sign": 0.4, "idle": 0.0}, raw=4000)
    assert shown == {
        "sign: raw signatures": (250, "50.0%"),
        "sign: all else": (150, "30.0%"),
        "read": (50, "10.0%"),
        "outside of all steps": (50, "10.0%"),
    }
    assert list(shown)[:2] == ["sign: raw signatures", "sign: all else"]


def test_steps_of_any_name_are_shown() -> None:
    assert parts({"brew coffee": 0.5}, raw=4000) == {
        "brew coffee": (500, "100.0%"),
        "outside of all steps": (0, "0.0%"),
    }


def test_a_report_without_steps_shows_none() -> None:
    assert parts({}, raw=4000) == {}


def test_the_steps_are_shown_where_the_row_asks_for_them() -> None:
    names = {figure.name for figure in figures_of_run(replace(ROW, steps=True), REPORT, (4000,))}
    assert "pipeline.p256.software.cpu.sign.raw_signatures" in names
    assert "pipeline.p256.software.cpu.outside_of_all_steps" in names


GATED = replace(ROW, rows=800, gated=True)


def gates(steps: Mapping[str, float]) -> dict[str, Figure]:
    report = msgspec.structs.replace(REPORT, cpu_by_step=steps)
    return {one.name.rpartition(".")[2]: one for one in figures_of_gates(GATED, report)}


def test_what_gates_cost_is_a_share_of_all_cpu_time_and_a_time_a_row() -> None:
    found = gates({"read": 0.2, "observe": 0.01, "gates": 0.03})
    assert {name: pytest.approx(one.value) for name, one in found.items()} == {
        "gates_share": 0.08,
        "gates_us_a_row": 50,
    }
    assert found["gates_share"].detail == {"observe": 0.01, "gates": 0.03, "cpu_seconds": 0.5}
    assert found["gates_us_a_row"].note == "observe 12.500, gates 37.500"


@pytest.mark.parametrize(("spent", "verdict"), [(0.049, "wish"), (0.05, "wish"), (0.051, "missed")])
def test_gates_may_take_a_tenth_of_a_run(spent: float, verdict: str) -> None:
    share = gates({"observe": 0.0, "gates": spent})["gates_share"]
    assert share.target is GATES_SHARE
    assert share.target.verdict(share.value) == verdict


def test_a_run_that_does_not_say_what_gates_took_is_an_error() -> None:
    with pytest.raises(BenchError, match="does not say what observe took"):
        gates({"read": 0.2, "gates": 0.03})


def test_the_gates_are_shown_where_the_row_asks_for_them() -> None:
    report = msgspec.structs.replace(REPORT, cpu_by_step={"observe": 0.01, "gates": 0.03})
    names = {figure.name.rpartition(".")[2] for figure in figures_of_run(GATED, report, (4000,))}
    assert names - figures(4000).keys() == {"gates_share", "gates_us_a_row"}


def test_the_reference_of_auto_is_the_fastest_engine_that_works_here() -> None:
    engines: list[Engine] = [MultibufferEngine(lambda: "no such library"), SoftwareEngine()]
    assert isinstance(reference(AUTO, P256_SHA256, engines), SingleLoop)


def test_an_engine_without_the_algorithm_is_missing_too() -> None:
    assert missing_engine("awslc", ALGORITHMS["ed25519"]) is not None
    assert missing_engine("software", ALGORITHMS["ed25519"]) is None
    assert missing_engine(AUTO, ALGORITHMS["ed25519"]) is None
