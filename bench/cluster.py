"""Workers of a Dask cluster beside local workers: the same run, on two processes of this machine each.

Scheduler and workers run before the clock starts, as those of a real cluster do; the client connects to them within its
run. Wall-clock time is compared, since a scheduler that kept workers waiting would cost no CPU time.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from distributed import Client

from bench.figure import BenchError, Figure, Result, Target
from bench.runs import removed, run_workload
from bench.sizes import Sizes
from bench.turns import take_turns
from bench.workload import Workload, make_workload
from pregen.config import load_config
from pregen.generation.cluster.connection import open_cluster
from pregen.generation.rows.spool import FolderSpool
from pregen.signers import P256_SHA256, RSA2048_SHA256, Algorithm

ROUNDS, WORKERS, FILES = 3, 2, 8
START_S = 120.0
TARGETS = {P256_SHA256: Target(must=0.80, wish=0.90), RSA2048_SHA256: Target(must=0.93, wish=0.98)}
ONE_FILE = Target(must=0.95, wish=1.0)
MEMORY = Target(must=2, wish=1.3, at_most=True)
FEW, MANY = 80, 8_000
_CLIENT = "import sys; from bench.cluster import do_nothing; do_nothing(*sys.argv[1:])"


def measure_cluster(sizes: Sizes, folder: Path, rounds: int = ROUNDS, many: int = MANY) -> Iterator[Result]:
    """Yield what a cluster takes beside local workers, one file beside several, and memory by the number of shards."""
    for algorithm, rows in ((P256_SHA256, sizes.worker_rows), (RSA2048_SHA256, sizes.rsa_rows)):
        with (
            removed(make_workload(folder / "cluster", rows, algorithm, files=FILES)) as workload,
            running(folder / "dask") as cluster,
        ):
            yield _beside(workload, algorithm, cluster, rounds)
            if algorithm is P256_SHA256:
                with removed(make_workload(folder / "one-file", rows, algorithm)) as one:
                    yield _one_file(one, workload, rounds)
    yield _memory(folder, many)


@dataclass(frozen=True)
class Cluster:
    """A scheduler on the loopback, with two workers."""

    address: str
    scheduler: "subprocess.Popen[bytes]"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Give a cluster of two workers, each one process with one thread."""
    folder.mkdir()
    told = folder / "scheduler.json"
    common = ("--no-dashboard",)
    worker = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
    processes = []

    def start(*words: str) -> "subprocess.Popen[bytes]":
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen((sys.executable, "-m", "dask", *words, *common), stdout=log, stderr=log)  # noqa: S603
        processes.append(process)
        return process

    try:
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(told))
        _wait_for(told)
        for _ in range(WORKERS):
            start("worker", "--scheduler-file", str(told), *worker)
        with Client(scheduler_file=str(told), timeout=START_S, set_as_default=False) as client:
            client.wait_for_workers(WORKERS, timeout=START_S)
            address = str(client.scheduler_info()["address"])
        yield Cluster(address, scheduler)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def _wait_for(path: Path) -> None:
    ends = time.monotonic() + START_S
    while not path.exists() or not path.read_text().endswith("}"):
        if time.monotonic() > ends:
            raise BenchError(f"{path}: no scheduler of Dask has started")
        time.sleep(0.05)


def _beside(workload: Workload, algorithm: Algorithm, cluster: Cluster, rounds: int) -> Figure:
    local, afar = take_turns(
        rounds,
        lambda: run_workload(workload, "--full", "--workers", str(WORKERS)),
        lambda: run_workload(workload, "--full", "--cluster", cluster.address),
    )
    local_s, afar_s = (statistics.median(one.seconds for one in reports) for reports in (local, afar))
    return Figure(
        name=f"cluster.{algorithm.name}",
        group=f"{WORKERS} workers, {workload.rows:,} rows in {FILES} files, {algorithm.name}",
        title="speed of Dask's workers / local ones, wall-clock",
        value=local_s / afar_s,
        target=TARGETS[algorithm],
        note=f"by {local[0].engine}",
        detail={"local_s": local_s, "cluster_s": afar_s},
    )


def _one_file(one: Workload, several: Workload, rounds: int) -> Figure:
    def seconds(workload: Workload) -> float:
        return run_workload(workload, "--full", "--workers", str(WORKERS)).seconds

    alone, apart = take_turns(rounds, lambda: seconds(one), lambda: seconds(several))
    one_s, several_s = statistics.median(alone), statistics.median(apart)
    return Figure(
        name="cluster.one-file",
        group=f"{WORKERS} local workers, {one.rows:,} rows, p256-sha256",
        title=f"speed of one Parquet file / of {FILES}, wall-clock",
        value=several_s / one_s,
        target=ONE_FILE,
        detail={"one_s": one_s, "several_s": several_s},
    )


class Nothing(NamedTuple):
    """A task without any work."""

    number: int

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"task {self.number}"


class Doer:
    """Does nothing."""

    def __init__(self, _: object) -> None:
        pass

    def __call__(self, task: Nothing) -> int:
        """Return the task's number."""
        return task.number


def _memory(folder: Path, many: int) -> Figure:
    """Return the memory of client and scheduler at many tasks over that at few; each in processes of their own."""
    peaks = {}
    for tasks in (FEW, many):
        with removed(make_workload(folder / "tasks", 1)) as workload, running(folder / "dask") as cluster:
            words = (sys.executable, "-c", _CLIENT, str(workload.config), cluster.address, str(tasks))
            client = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
            if client.returncode:
                raise BenchError(f"{tasks:,} tasks ended with exit code {client.returncode}: {client.stderr.strip()}")
            peaks[tasks] = float(client.stdout) + peak_mib(cluster.scheduler.pid)
    return Figure(
        name="cluster.memory",
        group=f"client and scheduler, {many:,} tasks without work / {FEW}",
        title="peak memory",
        value=peaks[many] / peaks[FEW],
        target=MEMORY,
        detail={"few_mib": peaks[FEW], "many_mib": peaks[many]},
    )


def peak_mib(process_id: int) -> float:
    """Return the most memory that a process, which lives, has had so far."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def do_nothing(config: str, address: str, tasks: str) -> None:
    """Give a cluster so many tasks without work, and write the peak of this process's memory, in MiB, to stdout.

    Raises:
        BenchError: not all of them were done.
    """
    path, count = Path(config), int(tasks)
    with open_cluster(load_config(path), address, FolderSpool(path.parent)) as pool:
        done = sum(1 for _ in pool.map(Doer, None, (Nothing(number) for number in range(count))))
    if done != count:
        raise BenchError(f"{done:,} of {count:,} tasks were done")
    sys.stdout.write(f"{peak_mib(os.getpid())}\n")
