"""What may happen to a cluster: its workers die, hang, are others than they should be; its scheduler dies."""

import itertools
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pregen.config import load_config
from pregen.errors import ConfigError, WorkerError
from pregen.generation.cluster.connection import open_cluster
from pregen.generation.rows.spool import FolderSpool
from tests.pregen.cli.ca import Ca
from tests.pregen.generation.cluster.dask_processes import Cluster, running_cluster

ONCE = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}


@dataclass(frozen=True)
class Act:
    """A task that does something once, or each time, and says which process has done it."""

    number: int
    act: str = ""
    mark: str = ""

    @property
    def label(self) -> str:
        return f"act {self.number}"


class Actor:
    def __init__(self, _: object) -> None:
        pass

    def __call__(self, task: Act) -> tuple[int, int]:
        time.sleep(0.05)
        if task.mark and not Path(task.mark).exists():
            Path(task.mark).touch()
            match task.act:
                case "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "stop":
                    os.kill(os.getpid(), signal.SIGSTOP)
                case "hang":
                    time.sleep(60)
        if task.act == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        return task.number, os.getpid()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with running_cluster(tmp_path / "cluster", workers=2) as cluster:
        yield cluster


def acts(tmp_path: Path, act: str) -> list[Act]:
    return [Act(number, act, str(tmp_path / "mark") if number == 3 else "") for number in range(12)]


@pytest.mark.parametrize("act", ["kill", "stop", pytest.param("hang", marks=pytest.mark.slow)])
def test_tasks_of_a_worker_that_dies_or_hangs_are_done_by_others_and_it_is_said(
    ca: Ca, cluster: Cluster, tmp_path: Path, act: str
) -> None:
    ca.configure(cluster={"task_timeout": "15s"})  # a busy machine takes its time
    with open_cluster(load_config(ca.config), cluster.address, FolderSpool(tmp_path)) as pool:
        found = list(pool.map(Actor, None, acts(tmp_path, act)))

        assert sorted(number for number, _ in found) == list(range(12))
        assert pool.figures.retried >= 1
        assert {one.code for one in pool.figures.warnings} == {
            "cluster.worker-gone" if act == "kill" else "cluster.worker-hangs"
        }


def test_a_worker_that_joins_in_the_midst_is_looked_at_before_it_does_anything(ca: Ca, tmp_path: Path) -> None:
    config = load_config(ca.config)
    with (
        running_cluster(tmp_path / "cluster", workers=1) as cluster,
        open_cluster(config, cluster.address, FolderSpool(tmp_path)) as pool,
    ):
        endless = pool.map(Actor, None, (Act(number) for number in itertools.count()))
        first = next(endless)[1]
        cluster.add()
        assert next(process for _, process in endless if process != first), "it takes its share"

        cluster.add(threads=2)
        done = list[int]()
        with pytest.raises(WorkerError, match=r"2 threads.*--nthreads 1"):
            done.extend(process for _, process in endless)
        assert cluster.workers[-1].pid not in done, "it may do nothing"


def test_a_task_that_ends_each_worker_is_named(ca: Ca, tmp_path: Path) -> None:
    config = load_config(ca.config)
    with (
        running_cluster(tmp_path / "cluster", workers=2, environment=ONCE) as cluster,
        open_cluster(config, cluster.address, FolderSpool(tmp_path)) as pool,
        pytest.raises(WorkerError, match="act 0 ended each of 1 worker"),
    ):
        list(pool.map(Actor, None, [Act(0, "crash")]))


def test_a_scheduler_that_dies_ends_the_run_with_a_word(ca: Ca, cluster: Cluster, tmp_path: Path) -> None:
    with open_cluster(load_config(ca.config), cluster.address, FolderSpool(tmp_path)) as pool:
        results = pool.map(Actor, None, (Act(number) for number in range(1_000)))
        next(results)
        cluster.scheduler.kill()
        with pytest.raises(WorkerError, match=r"the scheduler of the cluster is away.*nothing was published"):
            list(results)


def test_workers_that_cannot_serve_are_refused_with_the_reason(ca: Ca, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(ca.config.read_text().replace("4d", "3d"))
    with running_cluster(tmp_path / "cluster") as cluster:
        config = load_config(ca.config)
        with pytest.raises(WorkerError, match="the cluster has no workers"), opened(ca, cluster, tmp_path):
            pytest.fail("there is none")

        cluster.add(threads=2)
        with pytest.raises(WorkerError, match=r"2 threads.*--nthreads 1"), opened(ca, cluster, tmp_path):
            pytest.fail("it has two threads")
        with cluster.workers.pop() as gone:
            gone.kill()

        cluster.add()
        ca.configure(cluster={"config": str(other)})
        with (
            pytest.raises(WorkerError, match=r"another configuration.*in validity.lifetime"),
            opened(ca, cluster, tmp_path),
        ):
            pytest.fail("it has another configuration")
        ca.configure(cluster={"config": str(tmp_path / "missing.toml")})
        with pytest.raises(WorkerError, match=r"missing\.toml"), opened(ca, cluster, tmp_path):
            pytest.fail("it has no configuration")
        assert config.path == ca.config


def opened(ca: Ca, cluster: Cluster, folder: Path):  # type: ignore[no-untyped-def]  # noqa: ANN201
    return open_cluster(load_config(ca.config), cluster.address, FolderSpool(folder))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("tcp://192.0.2.1:8786", "reached without TLS, and not on this machine's loopback alone.*must be tls://"),
        ("tcp://scheduler:8786", "reached without TLS, and not on this machine's loopback alone"),
        ("tls://192.0.2.1:8786", r"needs tls_ca, tls_certificate, tls_key in \[cluster\]"),
        ("http://127.0.0.1:8786", "is no address of a scheduler"),
        ("tcp://127.0.0.1", "is no address of a scheduler"),
        ("local:0", "is no address of a scheduler"),
    ],
)
def test_addresses_that_are_none_or_not_safe_are_refused(ca: Ca, tmp_path: Path, address: str, message: str) -> None:
    with (
        pytest.raises(ConfigError, match=message),
        open_cluster(load_config(ca.config), address, FolderSpool(tmp_path)),
    ):
        pytest.fail("it is not safe")


def test_where_nobody_answers_it_is_said(ca: Ca, tmp_path: Path) -> None:
    with (
        pytest.raises(WorkerError, match=r"no scheduler answers at tcp://127\.0\.0\.1:1 "),
        open_cluster(load_config(ca.config), "tcp://127.0.0.1:1", FolderSpool(tmp_path)),
    ):
        pytest.fail("nobody is there")
