"""The bench, small: what it finds, and what it leaves behind; all of it among the slow tests, lookups in each run."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bench.bucket import missing_server
from bench.command import deliver, main, run_bench
from bench.figure import BenchError, Figure
from bench.golang import go_missing
from bench.pipeline import missing_engine
from bench.pressure import missing_pressure
from bench.report import Results, document
from bench.sizes import FULL_SIZES, QUICK_SIZES
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, RSA2048_SHA256
from tests.bench.conftest import TINY

PATIENCE_S = 120
GATED = ("p256.multibuffer", "p256.awslc", "p256.software")
COMMANDS = (
    *("check", "run", "full", "import", "verify", "against", "delta", "revoke", "merge", "release", "rollback"),
    *("compared", "status", "history", "inspect", "lookup", "gc"),
)
RUN_FIGURES = ("rate", "ratio", "raw", "overhead", "memory")
EXPECTED = {
    *(
        f"raw.{algorithm.name}.{engine.name}"
        for algorithm in ALGORITHMS.values()
        for engine in ENGINES
        if engine.supports(algorithm)
    ),
    "peers.cryptography.builder",
    *(f"peers.go.{one}" for one in ("create_response", "p256", "rsa2048")),
    *(f"peers.openssl.{one}" for one in ("ecdsap256", "ecdsap384", "rsa2048", "ed25519")),
    *(
        f"pipeline.{run}.{one}"
        for run in ("p256.multibuffer", "p256.awslc", "p256.software", "p384.multibuffer", "rsa2048")
        for one in RUN_FIGURES
    ),
    *(f"pipeline.{run}.{one}" for run in GATED for one in ("gates_share", "gates_us_a_row")),
    *(f"pipeline.p256.small.{one}" for one in ("rate", "overhead", "memory")),
    *(f"scale.layouts.{one}" for one in ("separate", "combined", "ratio")),
    *(f"scale.workers.{one}" for one in ("one", "two", "raw", "ratio")),
    *(f"scale.issuers.{one}" for one in ("one", "many", "memory", "ratio")),
    *(f"scale.large.{one}" for one in ("rate", "medium", "ratio", "memory")),
    *(f"lookups.{one}" for one in ("rate", "ratio", "reference", "ranged_gets")),
    *(f"overlaid.{one}" for one in ("rate", "ratio", "ranged_gets")),
    *(f"{part}.{one.name}" for part in ("carry", "nights") for one in (P256_SHA256, RSA2048_SHA256)),
    *(f"nothing-to-do.{one}" for one in ("check", "run", "ratio")),
    *(f"{place}.{one}" for place in ("urgent", "urgent.s3") for one in ("visible_s", "mass_s", "mass_ratio")),
    *(f"memory.{one}" for one in COMMANDS),
    *(f"cluster.{one}" for one in ("p256-sha256", "rsa2048-sha256", "one-file", "memory")),
    *(f"edge.{one}.cpu_us" for one in ("bare", "get", "post", "zipf", "two", "cfssl")),
    *(f"edge.{one}" for one in ("get", "post", "zipf", "workers", "log", "p99_us", "p99_bare_us", "p99", "s3")),
    *(f"edge.{one}" for one in ("ready_s", "memory")),
    "peers.over_go",
    "peers.over_builder",
}
JUDGED = {
    "pipeline.p256.multibuffer.ratio": (0.72, 0.82),
    "pipeline.p256.multibuffer.overhead": (1.5, 0.5),
    "pipeline.p256.multibuffer.memory": (450, 250),
    "pipeline.p256.awslc.ratio": (0.83, 0.90),
    "pipeline.p256.awslc.overhead": (1.5, 0.5),
    "pipeline.p256.software.ratio": (0.80, 0.90),
    "pipeline.p256.software.overhead": (1.5, 0.5),
    "pipeline.p384.multibuffer.ratio": (0.85, 0.92),
    "pipeline.p384.multibuffer.overhead": (1.5, 0.5),
    "pipeline.rsa2048.ratio": (0.93, 0.97),
    "pipeline.rsa2048.overhead": (1.5, 0.5),
    **{f"pipeline.{run}.gates_share": (0.10, 0.10) for run in GATED},
    "pipeline.p256.small.overhead": (1.5, 0.5),
    "pipeline.p256.small.memory": (450, 250),
    "peers.over_go": (5.5, 7),
    "peers.over_builder": (4, 6),
    "scale.layouts.ratio": (1.8, 1.95),
    "scale.workers.ratio": (0.92, 0.98),
    "scale.issuers.ratio": (0.5, 0.8),
    "scale.large.ratio": (0.95, 1.0),
    "scale.large.memory": (450, 250),
    "lookups.ratio": (0.22, 0.33),
    "lookups.ranged_gets": (1, 1),
    "overlaid.ratio": (0.85, 0.95),
    "overlaid.ranged_gets": (1.001, 1.001),
    "carry.p256-sha256": (4, 5),
    "carry.rsa2048-sha256": (40, 55),
    "nights.p256-sha256": (0.60, 0.50),
    "nights.rsa2048-sha256": (0.40, 0.36),
    "urgent.visible_s": (5, 4),
    "urgent.s3.visible_s": (6, 5),
    "nothing-to-do.ratio": (1.2, 1.05),
    **{f"memory.{one}": (450, 300) for one in COMMANDS},
    "cluster.p256-sha256": (0.80, 0.90),
    "cluster.rsa2048-sha256": (0.93, 0.98),
    "cluster.one-file": (0.95, 1.0),
    "cluster.memory": (2, 1.3),
    "edge.get": (4, 3.2),
    "edge.post": (0.6, 0.4),
    "edge.zipf": (3, 1.8),
    "edge.workers": (0.95, 1.0),
    "edge.p99": (4, 2),
    "edge.s3": (0.4, 0.2),
    "edge.ready_s": (1, 0.5),
    "edge.memory": (60, 45),
}
MISSING = [engine.name for engine in ENGINES if engine.unavailable() is not None]
if missing_engine("multibuffer", P256_SHA256):
    JUDGED |= {f"{place}.mass_ratio": (3, 2) for place in ("urgent", "urgent.s3")}
    MISSING += ["pipeline.p256.multibuffer", "pipeline.p384.multibuffer", "scale.issuers", "peers.over_"]
if missing_server():
    MISSING += ["urgent.s3", "edge.s3"]
if missing_pressure():
    MISSING += ["edge."]
elif shutil.which("cfssl") is None:
    MISSING += ["edge.post", "edge.cfssl"]
if go_missing():
    MISSING += ["peers.go", "peers.over_go"]
if len(os.sched_getaffinity(0)) < 2:
    MISSING += ["scale.workers"]


def measurable(name: str) -> bool:
    return not any(missing in name for missing in MISSING)


# The part that is measured in every run of the tests: it makes a workload, and a process publishes it.
LOOKUPS = {name for name in EXPECTED if name.startswith("lookups.")}


def figures_of(results: Results) -> dict[str, Figure]:
    return {one.name: one for one in results.findings if isinstance(one, Figure)}


def targets_of(results: Results) -> dict[str, tuple[float, float]]:
    return {name: (one.target.must, one.target.wish) for name, one in figures_of(results).items() if one.target}


@pytest.mark.slow
def test_everything_that_this_machine_can_do_is_measured(results: Results) -> None:
    found = {name for name in figures_of(results) if ".cpu." not in name}  # steps are named by the run
    assert found == set(filter(measurable, EXPECTED))
    # A step may take less than the millisecond that a run reports.
    assert all(figures_of(results)[name].value > 0 for name in found)


@pytest.mark.slow
def test_figures_are_held_against_what_is_asked_of_them(results: Results) -> None:
    asked = targets_of(results)
    assert asked == {name: values for name, values in JUDGED.items() if measurable(name)}


def test_a_part_alone_is_measured_and_held_against_what_is_asked_of_it(lookups: Results) -> None:
    assert figures_of(lookups).keys() == LOOKUPS
    assert targets_of(lookups) == {name: values for name, values in JUDGED.items() if name in LOOKUPS}


@pytest.mark.slow
def test_each_run_that_is_held_against_others_is_the_larger_one(results: Results) -> None:
    shown = {name.removeprefix("scale."): one.detail for name, one in figures_of(results).items() if "scale." in name}
    made = {name: (detail["responses"], detail["workers"]) for name, detail in shown.items() if detail}
    runs = {
        "layouts.combined": (TINY.layout_rows, 1),
        "workers.two": (TINY.worker_rows, 2),
        "issuers.many": (TINY.issuers * TINY.issuer_rows, 1),
        "large.rate": (TINY.large_rows, 1),
    }
    assert made == {name: run for name, run in runs.items() if measurable(f"scale.{name}")}


def test_a_cold_lookup_takes_one_ranged_read(lookups: Results) -> None:
    assert figures_of(lookups)["lookups.ranged_gets"].value == 1


@pytest.mark.slow
def test_nothing_is_left_in_the_folder_where_it_worked(results: Results, work_folder: Path) -> None:
    assert results.findings
    assert not list(work_folder.iterdir())


def test_a_part_alone_leaves_nothing_in_the_folder_where_it_worked(lookups: Results, work_folder: Path) -> None:
    assert lookups.findings
    assert not list(work_folder.iterdir())


def test_with_json_stdout_is_the_object_that_is_also_in_the_file(
    lookups: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(lookups, tmp_path, as_json=True)
    out, err = capsys.readouterr()
    (path,) = tmp_path.glob("*.json")
    assert {one.suffix for one in tmp_path.iterdir()} == {".json", ".md"}
    assert json.loads(out) == json.loads(path.read_text()) == document(lookups)
    assert str(path) in err


def test_without_json_stdout_is_a_table(lookups: Results, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(lookups, tmp_path, as_json=False)
    out, _ = capsys.readouterr()
    assert "lookups / buckets read" in out
    assert lookups.machine.cpu in out


def test_too_small_a_disk_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(BenchError, match=f"too little space in {tmp_path}"):
        run_bench(replace(QUICK_SIZES, lookup_rows=10**15), "lookups")
    assert not list(tmp_path.iterdir())


def test_the_help_says_how_much_disk_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert (
        f"up to {FULL_SIZES.disk_bytes / 2**20:,.0f} MiB, with --quick {QUICK_SIZES.disk_bytes / 2**20:,.0f} MiB"
        in words
    )


def test_a_bench_that_is_terminated_ends_the_run_and_removes_its_files(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "bench", "--quick", "--only", "lookups")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        # The spill files are those of the run that the bench has started.
        until = time.monotonic() + PATIENCE_S
        while not list(tmp_path.glob("pregen-bench-*/lookups/pregen-spool-*")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert not list(tmp_path.iterdir())
