"""One small run of the whole bench, and one small published workload, for all tests here."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.command import run_bench
from bench.figure import Sizes
from bench.pipeline import publish
from bench.report import Results
from bench.workload import Workload, make_workload
from pregen.signers import AUTO

TINY = Sizes(
    judged=True,
    raw_s=0.01,
    multibuffer_rows=300,
    software_rows=300,
    memory_rows=300,
    lookup_rows=300,
    lookups=200,
    rounds=2,
)


@pytest.fixture(scope="session")
def work_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the bench of `results` worked."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def results(work_folder: Path) -> Iterator[Results]:
    """Everything, measured in a few seconds: real processes, but sizes at which figures mean nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(work_folder))
        yield run_bench(TINY, None)


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    """A workload and its store."""
    workload = make_workload(Path(tempfile.mkdtemp(dir=tmp_path_factory.getbasetemp())) / "published", 1000)
    publish(workload, AUTO)
    return workload
