import shutil
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.figure import BenchError, Figure, Skipped, Target
from bench.pipeline import Row, RunReport, check_report, figures_of_run, measure_row, publish, run_apart
from bench.workload import Workload
from pregen.signers import AUTO
from pregen.signers.multibuffer import MultibufferEngine

ROW = Row(name="p256.software", engine="software", rows=1000, ratio=Target(must=0.8, wish=0.9))
REPORT = RunReport(
    responses=1000, engine="software", workers=1, cpu_seconds=0.5, stored_bytes=80_500, peak_rss_mib=123.4
)
RESIDENT = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


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


def test_the_memory_of_a_process_is_not_that_of_the_bench_which_started_it() -> None:
    ballast = bytearray(200 << 20)
    code, out = run_apart((sys.executable, "-c", RESIDENT))
    assert code == 0
    assert int(out) << 10 < len(ballast) / 2


def test_the_exit_code_of_a_process_comes_through() -> None:
    assert run_apart((sys.executable, "-c", "print('said'); raise SystemExit(3)")) == (3, "said\n")


def test_a_run_that_fails_is_an_error_with_its_message(published: Workload, tmp_path: Path) -> None:
    shutil.copytree(published.folder, tmp_path / "copy")
    broken = Workload(tmp_path / "copy", published.rows)
    broken.snapshot.unlink()
    with pytest.raises(BenchError, match=r"exit code [23]: .*snapshot\.parquet"):
        publish(broken, "software")


def test_a_run_whose_engine_does_not_work_here_is_skipped_with_the_reason(tmp_path: Path) -> None:
    row = replace(ROW, engine="multibuffer")
    (skipped,) = measure_row(row, 0.01, tmp_path, [MultibufferEngine(lambda: "no such library")])
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "no such library"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ["software", AUTO])
def test_a_run_that_did_what_it_was_asked_for_passes(engine: str) -> None:
    check_report(REPORT, 1000, engine)


@pytest.mark.parametrize(("rows", "engine", "workers"), [(999, "software", 1), (1000, "awslc", 1), (1000, AUTO, 2)])
def test_a_run_of_other_rows_engine_or_workers_is_an_error(rows: int, engine: str, workers: int) -> None:
    with pytest.raises(BenchError, match="did something else"):
        check_report(msgspec.structs.replace(REPORT, workers=workers), rows, engine)
