"""One small run of the whole bench, one of a part, and one small published workload, for all tests here."""

import os
import tempfile
from pathlib import Path

import pytest

from bench.command import run_bench
from bench.golang import CACHE
from bench.report import Results
from bench.runs import publish
from bench.sizes import Sizes
from bench.workload import Workload, make_workload

TINY = Sizes(
    judged=True,
    raw_s=0.01,
    reference_s=0.01,
    multibuffer_rows=300,
    awslc_rows=300,
    p384_rows=300,
    rsa_rows=300,
    software_rows=300,
    memory_rows=300,
    layout_rows=300,
    worker_rows=70_000,  # more than a shard: for less, two workers are not started
    large_rows=600,
    medium_rows=300,
    issuers=10,
    issuer_rows=30,
    lookup_rows=300,
    lookups=200,
    rounds=2,
    carry_rows=300,
    carry_rsa_rows=30,
    night_rows=1_000,
    night_rsa_rows=1_000,
    urgent_rows=300,
    urgent_mass_rows=150,
    urgent_rounds=1,
    life_rows=300,
    life_entries=20,
    shards=16,
    edge_rows=300,
    edge_start_rows=300,
    edge_requests=200,
    edge_s=1,
    log_lines=1_000,
)


# What OpenSSL 3.0 prints; the program itself takes a second for each line, and another to verify.
SPEED = """\
+F2:2:2048:4857.575758:81779.000000
+F4:3:256:73103.030303:24798.000000
+F4:4:384:2013.000000:1812.000000
+F6:0:253:Ed25519:45663.000000:16996.000000
"""


@pytest.fixture(scope="session")
def quick_openssl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an `openssl` that has measured already."""
    folder = tmp_path_factory.mktemp("openssl")
    program = folder / "openssl"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = version ] && exec echo "OpenSSL 3.0.0 7 sep 2021"\ncat <<END\n{SPEED}END\n'
    )
    program.chmod(0o755)
    return folder


@pytest.fixture(scope="session")
def go_cache(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Go keeps what it compiled, from one test run to the next if pytest keeps anything."""
    cache: pytest.Cache | None = getattr(pytestconfig, "cache", None)  # not there with -p no:cacheprovider
    return tmp_path_factory.mktemp("go-build") if cache is None else cache.mkdir("go-build")


@pytest.fixture(scope="session")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the benches of `results` and `lookups` worked."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def results(work_folder: Path, go_cache: Path, quick_openssl: Path) -> Results:
    """Everything, measured in some seconds: real processes, but sizes at which figures mean nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(work_folder))
        patch.setenv(CACHE, str(go_cache))
        patch.setenv("PATH", str(quick_openssl), prepend=os.pathsep)
        return run_bench(TINY, None)


@pytest.fixture(scope="session")
def lookups(work_folder: Path) -> Results:
    """The part which measures lookups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(work_folder))
        return run_bench(TINY, "lookups")


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """A workload and its store."""
    workload = make_workload(Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())) / "published", 1000)
    publish(workload)
    return workload
