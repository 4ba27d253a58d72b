import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from bench.figure import BenchError
from bench.runs import (
    Gate,
    RunReport,
    check_compared,
    check_report,
    publish,
    publish_day_before,
    removed,
    run_apart,
)
from bench.workload import Workload, make_workload
from pregen.signers import AUTO

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
)
RESIDENT = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def test_the_memory_of_a_process_is_not_that_of_the_bench_which_started_it() -> None:
    ballast = bytearray(200 << 20)
    code, out = run_apart((sys.executable, "-c", RESIDENT))
    assert code == 0
    assert int(out) << 10 < len(ballast) / 2


def test_the_exit_code_of_a_process_comes_through() -> None:
    assert run_apart((sys.executable, "-c", "print('said'); raise SystemExit(3)")) == (3, "said\n")


def test_a_run_that_fails_is_an_error_with_its_message(published: Workload, tmp_path: Path) -> None:
    shutil.copytree(published.folder, tmp_path / "copy")
    broken = Workload(tmp_path / "copy", published.rows, published.responses, published.signature_bytes)
    broken.snapshots[0].unlink()
    with pytest.raises(BenchError, match=r"exit code [23]: .*snapshot"):
        publish(broken, "software")


@pytest.mark.parametrize("engine", ["software", AUTO])
def test_a_run_that_did_what_it_was_asked_for_passes(engine: str) -> None:
    check_report(REPORT, 1000, engine, 1)


@pytest.mark.parametrize(
    ("responses", "engine", "workers"), [(999, "software", 1), (1000, "awslc", 1), (1000, AUTO, 2)]
)
def test_a_run_of_other_responses_engine_or_workers_is_an_error(responses: int, engine: str, workers: int) -> None:
    with pytest.raises(BenchError, match="did something else"):
        check_report(REPORT, responses, engine, workers)


def test_every_run_is_checked(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "one", 3)
    with pytest.raises(BenchError, match=r"4 responses by 1 worker.* did something else"):
        publish(replace(workload, responses=4), "software")


def test_the_wall_clock_runs_from_before_the_start_to_the_end(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "one", 3)
    started = time.perf_counter()
    report = publish(workload, "software")
    assert report.seconds < report.wall_seconds < time.perf_counter() - started


def test_what_a_later_report_says_beyond_is_not_in_the_way() -> None:
    document = {**msgspec.to_builtins(REPORT), "cpu_by_step": {"sign": 0.25}, "novelty": 1}
    assert msgspec.convert(document, RunReport).cpu_by_step == {"sign": 0.25}


def test_a_run_after_that_of_the_day_before_is_compared_with_it(tmp_path: Path) -> None:
    workload = make_workload(tmp_path / "one", 300, dated=True)
    before = publish_day_before(workload)
    with pytest.raises(BenchError, match="was skipped"):
        check_compared(before)
    report = publish(workload)
    check_compared(report)
    assert before.certificates < report.certificates == 300


@pytest.mark.parametrize(
    ("gates", "said"), [({}, "not asked"), *(({"shrink": Gate(said)}, said) for said in ("skipped", "failed"))]
)
def test_a_run_that_was_not_compared_is_an_error(gates: dict[str, Gate], said: str) -> None:
    with pytest.raises(BenchError, match=f"shrink was to compare this run .* was {said}"):
        check_compared(msgspec.structs.replace(REPORT, gates=gates))


def test_a_workload_is_gone_after_its_use_whatever_happens(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), removed(make_workload(tmp_path / "one", 3)):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
