"""A scheduler and workers of Dask, as processes of their own, which tests kill and stop."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client
from distributed.security import Security

PROJECT = Path(__file__).parents[4]
START_S = 120.0
_ALONE = ("--no-dashboard",)


@dataclass
class Cluster:
    """A cluster on the loopback."""

    folder: Path
    address: str
    scheduler: "subprocess.Popen[bytes]"
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def add(
        self,
        count: int = 1,
        environment: Mapping[str, str] = {},
        threads: int = 1,
        security: Security | None = None,
        cwd: Path = PROJECT,
    ) -> None:
        """Start workers, and wait until the scheduler knows all of them."""
        for _ in range(count):
            words = ["worker", self.address, "--nthreads", str(threads), "--no-nanny", *_ALONE]
            self.workers.append(_started(self.folder, f"worker-{len(self.workers)}", words, environment, cwd))
        with Client(self.address, security=security, timeout=START_S, set_as_default=False) as client:
            client.wait_for_workers(sum(one.poll() is None for one in self.workers), timeout=START_S)

    def kill_workers(self) -> None:
        """Kill all workers, whatever they do, and wait for them."""
        for process in self.workers:
            process.kill()
            process.wait()
        self.workers.clear()

    def logs(self) -> bytes:
        """Return all that scheduler and workers have written."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def running_cluster(
    folder: Path, workers: int = 0, environment: Mapping[str, str] = {}, protocol: str = "tcp"
) -> Iterator[Cluster]:
    """Give a scheduler with so many workers."""
    folder.mkdir(exist_ok=True, parents=True)
    told = folder / "scheduler.json"
    words = [
        "scheduler",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--protocol",
        protocol,
        "--scheduler-file",
        str(told),
        *_ALONE,
    ]
    scheduler = _started(folder, "scheduler", words, environment)
    cluster = Cluster(folder, "", scheduler)
    try:
        ends = time.monotonic() + START_S
        while not told.exists():
            assert time.monotonic() < ends, cluster.logs().decode()
            time.sleep(0.05)
        cluster.address = _address(told, ends)
        if workers:
            cluster.add(workers)
        yield cluster
    finally:
        for process in (scheduler, *cluster.workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
            process.wait()


def _address(told: Path, ends: float) -> str:
    while time.monotonic() < ends:
        with contextlib.suppress(ValueError):
            return str(json.loads(told.read_text())["address"])
        time.sleep(0.05)
    raise AssertionError(told.read_text())


def _started(
    folder: Path, name: str, words: list[str], environment: Mapping[str, str], cwd: Path = PROJECT
) -> "subprocess.Popen[bytes]":
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words],
            stdout=log,
            stderr=log,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(PROJECT), "DASK_TEMPORARY_DIRECTORY": str(folder), **environment},
        )
