"""Workers that die, fail, are many or few: with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from pregen.errors import Finding, SigningError, WorkerError
from pregen.generation.work.workers import WorkerPool

PROJECT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Task:
    number: int
    act: str = "answer"

    @property
    def label(self) -> str:
        return f"shard {self.number}"


class StubbornError(Exception):
    """An error that does not survive pickling: its constructor wants more than its arguments."""

    def __init__(self, *, why: str) -> None:
        super().__init__(why)


@dataclass(frozen=True)
class Answer:
    number: int
    process: int
    calls: int
    argument: str


class Caller:
    """What a worker calls for each task."""

    def __init__(self, argument: str) -> None:
        if argument == "fail":
            raise SigningError("the key is not there", (Finding("key.gone", "error", "look for it"),))
        self._argument = argument
        self._calls = 0

    def __call__(self, task: Task) -> Answer:
        self._calls += 1
        match task.act:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "terminate":
                os.kill(os.getpid(), signal.SIGTERM)
            case "exit":
                sys.exit(3)
            case "os-error":
                raise FileNotFoundError(2, "no such pack", "packs/1")
            case "stubborn":
                raise StubbornError(why="no way home")
            case "slow":
                time.sleep(1.5)
        return Answer(task.number, os.getpid(), self._calls, self._argument)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    """Two workers, for tests that leave them alive."""
    with WorkerPool(2) as pool:
        yield pool


def test_many_tasks_go_over_few_workers_and_each_is_prepared_once(pool: WorkerPool) -> None:
    answers = list(pool.map(Caller, "a", [Task(number) for number in range(40)]))
    assert sorted(answer.number for answer in answers) == list(range(40))
    workers = {answer.process for answer in answers}
    assert len(workers) == 2
    assert os.getpid() not in workers
    for worker in workers:
        calls = [answer.calls for answer in answers if answer.process == worker]
        assert sorted(calls) == list(range(1, len(calls) + 1))


def test_a_pool_takes_another_job_after_the_first(pool: WorkerPool) -> None:
    first = list(pool.map(Caller, "one", [Task(0), Task(1), Task(2)]))
    second = list(pool.map(Caller, "two", [Task(0), Task(1)]))
    assert {answer.argument for answer in first} == {"one"}
    assert {answer.argument for answer in second} == {"two"}
    assert {answer.process for answer in second} <= {answer.process for answer in first}


def test_fewer_tasks_than_workers_and_none_at_all_are_fine(pool: WorkerPool) -> None:
    assert [answer.number for answer in pool.map(Caller, "a", [Task(9)])] == [9]
    assert list(pool.map(Caller, "a", [])) == []


def test_results_come_as_they_are_ready(pool: WorkerPool) -> None:
    tasks = [Task(0, "slow"), *(Task(number) for number in range(1, 6))]
    assert [answer.number for answer in pool.map(Caller, "a", tasks)] == [1, 2, 3, 4, 5, 0]


@pytest.mark.parametrize(
    ("act", "how"),
    [
        ("kill", "was killed by SIGKILL (the kernel does that when memory runs out: see dmesg)"),
        ("terminate", "was killed by SIGTERM:"),
        ("exit", "ended with exit code 3:"),
    ],
)
def test_a_worker_that_ends_is_missed_and_its_shard_is_named(act: str, how: str) -> None:
    with WorkerPool(1) as pool, pytest.raises(WorkerError) as caught:
        list(pool.map(Caller, "a", [Task(0), Task(7, act), Task(8)]))
    assert caught.value.message.startswith(f"the worker process of shard 7 {how}")
    assert "nothing was published" in caught.value.message
    assert caught.value.exit_code == 6


def test_an_error_of_a_task_comes_home_as_it_was_and_closes_the_pool() -> None:
    with WorkerPool(1) as pool:
        with pytest.raises(FileNotFoundError) as caught:
            list(pool.map(Caller, "a", [Task(0), Task(1, "os-error")]))
        assert (caught.value.errno, caught.value.filename) == (2, "packs/1")
        assert any("test_workers.py" in note for note in caught.value.__notes__), "where it came from is lost"
        with pytest.raises(ValueError, match="closed"):
            list(pool.map(Caller, "a", [Task(2)]))


def test_an_error_of_the_factory_comes_home_with_its_findings() -> None:
    with WorkerPool(1) as pool, pytest.raises(SigningError) as caught:
        list(pool.map(Caller, "fail", [Task(0)]))
    assert caught.value.message == "the key is not there"
    assert caught.value.findings == (Finding("key.gone", "error", "look for it"),)


def test_an_error_that_cannot_travel_is_quoted() -> None:
    with WorkerPool(1) as pool, pytest.raises(WorkerError, match="StubbornError: no way home"):
        list(pool.map(Caller, "a", [Task(0, "stubborn")]))


def test_a_map_that_is_given_up_ends_its_workers() -> None:
    with WorkerPool(2) as pool:
        results = cast("Generator[Answer, None, None]", pool.map(Caller, "a", [Task(number) for number in range(10)]))
        process = next(results).process
        results.close()
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_leaving_the_pool_ends_all_workers() -> None:
    with WorkerPool(2) as pool:
        workers = {answer.process for answer in pool.map(Caller, "a", [Task(0, "slow"), Task(1, "slow")])}
    for process in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


PARENT = """
from pregen.generation.work.workers import WorkerPool
from tests.pregen.generation.work.test_workers import Caller, Task
if __name__ == "__main__":
    with WorkerPool(2) as pool:
        tasks = [Task(0), Task(1)] + [Task(number, "slow") for number in range(2, 50)]
        for answer in pool.map(Caller, "a", tasks):
            print(answer.process, flush=True)
"""


def test_workers_end_by_themselves_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    workers = {int(parent.stdout.readline()) for _ in range(2)}
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not any(is_alive(worker) for worker in workers))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended but was not waited for by its new parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
