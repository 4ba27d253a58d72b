"""What may happen to a run of a cluster: each ends with a commit that is right, or with none and a clear message."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.processes import RunningProgram
from tests.pregen.cli.ca import Ca, Outcome, Program
from tests.pregen.generation.cluster.dask_processes import Cluster, running_cluster
from tests.pregen.generation.cluster.days import write_day
from tests.pregen.generation.cluster.illness import Illness

ROUTING = "pregen.generation.rows.routing:FileRouter.__call__"
SURVEYING = "pregen.generation.comparing.counting:ShardCounter.__call__"
SIGNING = "pregen.generation.making.shard:ShardSigner.__call__"
ONE_OF_THREE = [
    pytest.param(ROUTING, id="routing", marks=pytest.mark.slow),
    pytest.param(SURVEYING, id="surveying", marks=pytest.mark.slow),
    pytest.param(SIGNING, id="signing"),
]
IllCluster = Callable[..., tuple[Cluster, Illness]]


@pytest.fixture
def ill_cluster(tmp_path: Path) -> Iterator[IllCluster]:
    """Start two workers, one of which will fall ill: `ill_cluster(where, act, at="call")`."""
    with ExitStack() as started:

        def start(where: str, act: str, at: str = "call") -> tuple[Cluster, Illness]:
            illness = Illness(where, act, str(tmp_path / "ill"), at)
            cluster = started.enter_context(running_cluster(tmp_path / "cluster"))
            cluster.add(2, environment=illness.environment)
            return cluster, illness

        yield start


def write_rows(ca: Ca, *, for_tasks: int = 1) -> None:
    """Write a snapshot, which is just large enough to be read in so many tasks."""
    write_day(ca, 1, files=2, most_rows=200 if for_tasks == 1 else 6_000)


def assert_right(ca: Ca, pregen: Program, found: Outcome, commit: int = 1) -> None:
    """The run has published what its snapshot says."""
    assert found.code == 0, found.err
    assert found.document["commit"] == commit
    assert pregen("verify", ca.store, "--issuer", ca.pem).code == 0
    against = pregen("verify", ca.store, "--against", ca.config)
    assert against.code == 0, against.err
    ca.assert_clean()


def assert_nothing_published(ca: Ca, found: Outcome, code: int, message: str) -> None:
    assert found.code == code, found.err
    assert message in found.err
    assert "Traceback" not in found.err
    assert ca.published() == {}
    ca.assert_clean()


def packs(ca: Ca) -> int:
    return sum(name.startswith("packs/") for name in ca.stored())


@pytest.mark.parametrize("where", [ROUTING, SURVEYING, SIGNING], ids=["routing", "surveying", "signing"])
def test_a_worker_that_is_killed_is_replaced_by_the_other(
    ca: Ca, pregen: Program, ill_cluster: IllCluster, where: str
) -> None:
    write_rows(ca, for_tasks=2 if where == ROUTING else 1)
    cluster, illness = ill_cluster(where, "kill")

    found = pregen("run", ca.config, "--json", "--cluster", cluster.address)

    assert illness.has_come, found.err
    assert_right(ca, pregen, found)
    assert "cluster.worker-gone" in found.err
    assert found.document["cluster"]["retried"] >= 1  # type: ignore[index]


def test_a_pack_that_was_stored_twice_is_counted_once_and_cleaning_removes_the_other(
    ca: Ca, pregen: Program, ill_cluster: IllCluster
) -> None:
    write_rows(ca)
    cluster, _ = ill_cluster(SIGNING, "kill", at="return")  # its pack is stored, and its answer never comes

    found = pregen("run", ca.config, "--json", "--cluster", cluster.address)

    assert_right(ca, pregen, found)
    assert packs(ca) == 1 + found.document["shards"]  # type: ignore[operator]
    stored = sum(len(octets) for name, octets in ca.stored().items() if name.startswith("packs/"))
    assert found.document["stored_bytes"] < stored  # type: ignore[operator]
    cleaned = pregen("gc", ca.config, "--grace", "0s", "--json")
    assert cleaned.code == 0, cleaned.err
    assert cleaned.document["removed"]["folders"]["packs"]["count"] == 1  # type: ignore[index]
    assert packs(ca) == found.document["shards"]
    assert pregen("verify", ca.store, "--against", ca.config).code == 0


@pytest.mark.parametrize("where", ONE_OF_THREE)
def test_a_scheduler_that_dies_ends_the_run_and_the_next_one_publishes(
    ca: Ca, pregen: Program, ill_cluster: IllCluster, where: str
) -> None:
    write_rows(ca, for_tasks=2 if where == ROUTING else 1)
    cluster, illness = ill_cluster(where, "wait")

    with ThreadPoolExecutor(1) as alone:
        scheduler = alone.submit(lambda: kill_in(illness, cluster.scheduler.pid))
        found = pregen("run", ca.config, "--json", "--cluster", cluster.address)
        scheduler.result()

    assert_nothing_published(ca, found, 6, "the scheduler of the cluster is away: nothing was published")
    assert_right(ca, pregen, pregen("run", ca.config, "--json"))


def kill_in(illness: Illness, pid: int) -> None:
    """Kill a process while a worker waits."""
    with illness.waited_for():
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("where", ONE_OF_THREE)
def test_a_client_that_is_killed_has_published_nothing_and_the_next_run_on_the_same_cluster_cleans_up(
    ca: Ca, pregen: Program, ill_cluster: IllCluster, where: str
) -> None:
    write_rows(ca, for_tasks=2 if where == ROUTING else 1)
    cluster, illness = ill_cluster(where, "wait")
    with RunningProgram(ca.folder, "run", ca.config, "--cluster", cluster.address) as client, illness.waited_for():
        os.kill(client.pid, signal.SIGKILL)
        client.process.wait()
        assert [path.name for path in ca.spool.iterdir() if path.name.startswith("pregen-spool-")]

    assert ca.published() == {}
    found = pregen("run", ca.config, "--json", "--cluster", cluster.address)
    assert_right(ca, pregen, found)
    assert found.document["cluster"] == {
        "workers": 2,
        "threads": 2,
        "bytes_spooled": found.document["rows_in"] * 48,  # type: ignore[operator]
        "retried": 0,
    }
    cluster.kill_workers()  # else one might still store what the dead client had wanted
    for marker in (ca.store / "runs").glob("*"):
        os.utime(marker, (0, 0))  # hours ago
    assert pregen("gc", ca.config, "--grace", "0s").code == 0
    assert packs(ca) == found.document["shards"]


@pytest.mark.parametrize(
    ("do", "message"),
    [("change", "octets, and had "), pytest.param("remove", "it was removed, ", marks=pytest.mark.slow)],
)
def test_a_worker_that_sees_other_files_than_the_client_names_the_file(
    ca: Ca, pregen: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, do: str, message: str
) -> None:
    """What `/proc/self/cwd` is, depends on who asks: the client and the workers are in folders of other octets."""
    write_rows(ca, for_tasks=2)
    ca.configure(snapshot={"path": "/proc/self/cwd/day/*.parquet"})
    there = shutil.copytree(ca.folder / "day", tmp_path / "elsewhere" / "day")
    if do == "change":
        (there / "1.parquet").write_bytes((there / "0.parquet").read_bytes())
    else:
        (there / "1.parquet").unlink()
    monkeypatch.chdir(ca.folder)
    with running_cluster(tmp_path / "cluster") as cluster:
        cluster.add(2, cwd=there.parent)
        found = pregen("run", ca.config, "--json", "--cluster", cluster.address)

    assert_nothing_published(ca, found, 3, "/proc/self/cwd/day/1.parquet: it was changed while it was being read")
    assert message in found.err
    assert "sees it, which must see the same files as the machine that began the run" in found.err
