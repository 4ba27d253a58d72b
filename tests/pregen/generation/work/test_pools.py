"""What `Pool` says, held against all kinds: this process, workers of this machine, and those of a cluster."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pregen.config import load_config
from pregen.errors import Finding, SigningError
from pregen.generation.cluster.connection import open_cluster
from pregen.generation.rows.spool import FolderSpool
from pregen.generation.work.workers import OwnProcess, Pool, WorkerPool
from tests.pregen.cli.ca import Ca
from tests.pregen.generation.cluster.dask_processes import running_cluster

NewPool = Callable[[], AbstractContextManager[Pool]]


@pytest.fixture(scope="module")
def cluster_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_cluster(tmp_path_factory.mktemp("cluster"), workers=2) as cluster:
        yield cluster.address


@pytest.fixture(params=["own", "workers", "cluster"])
def new_pool(request: pytest.FixtureRequest, tmp_path: Path) -> NewPool:
    if request.param == "own":
        return lambda: contextlib.nullcontext(OwnProcess())
    if request.param == "workers":
        return lambda: WorkerPool(2)
    config = load_config(Ca(tmp_path).config)
    return lambda: open_cluster(config, request.getfixturevalue("cluster_address"), FolderSpool(tmp_path))


@dataclass(frozen=True)
class Square:
    number: int
    fails: bool = False

    @property
    def label(self) -> str:
        return f"square {self.number}"


class Squarer:
    """Counts how often it is called."""

    def __init__(self, plus: int) -> None:
        if plus < 0:
            raise SigningError("the key is not there", (Finding("key.gone", "error", "look for it"),))
        self._plus, self._calls = plus, 0

    def __call__(self, task: Square) -> tuple[int, int]:
        if task.fails:
            raise SigningError(f"{task.label} cannot be signed", (Finding("sign", "error", "again"),))
        self._calls += 1
        return task.number**2 + self._plus, self._calls


def test_all_results_come_and_each_once(new_pool: NewPool) -> None:
    with new_pool() as pool:
        found = list(pool.map(Squarer, 1, [Square(number) for number in range(30)]))
        again = list(pool.map(Squarer, 2, (Square(number) for number in range(5))))

    assert sorted(value for value, _ in found) == [number**2 + 1 for number in range(30)]
    assert sorted(value for value, _ in again) == [number**2 + 2 for number in range(5)]
    assert max(calls for _, calls in found) >= 30 / pool.size, "what a job prepares serves many tasks"


def test_without_a_task_nothing_is_prepared(new_pool: NewPool) -> None:
    with new_pool() as pool:
        assert list(pool.map(Squarer, -1, [])) == []


def test_tasks_are_asked_for_as_workers_get_free(new_pool: NewPool) -> None:
    asked = itertools.count()
    tasks = (Square(next(asked)) for _ in range(1_000))
    with new_pool() as pool:
        results = pool.map(Squarer, 0, tasks)
        for _ in range(10):
            next(results)
        assert next(asked) <= 10 + 4 * pool.size
        with contextlib.suppress(AttributeError):
            results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("plus", "fails", "message"), [(-1, False, "the key is not"), (0, True, "square 0 cannot")])
def test_what_is_raised_there_is_raised_here_with_its_findings(
    new_pool: NewPool, plus: int, fails: bool, message: str
) -> None:
    with new_pool() as pool, pytest.raises(SigningError, match=message) as caught:
        list(pool.map(Squarer, plus, [Square(0, fails=fails), Square(1)]))
    assert [finding.severity for finding in caught.value.findings] == ["error"]
    assert caught.value.exit_code == 6
