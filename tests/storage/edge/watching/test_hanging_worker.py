"""A worker that says nothing any more, on a real server; the small version is in test_pool.py and test_metrics.py."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.judges.conftest import make_authority
from tests.ports import free_port
from tests.storage.edge.processes import start, wait_until
from tests.storage.edge.watching.asking import scrape, value, workers_of


def agent_says(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 30) as asked:
        return asked.recv(100)


@pytest.mark.slow
def test_a_worker_that_hangs_is_missed_after_ten_seconds_and_makes_its_server_degraded(tmp_path: Path) -> None:
    authority, metrics, agent = make_authority(tmp_path), free_port(), free_port()
    given = ("--workers", "2", "--metrics", f":{metrics}", "--agent-port", str(agent))
    with start(tmp_path, "-m", "storage.edge", str(authority.store), "--port", "PORT", *given) as server:
        wait_until(lambda: agent_says(agent) == b"up 100%\n")
        hanging, *_ = workers_of(server)
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: agent_says(agent) == b"up 10%\n")
        samples = scrape(metrics)
        os.kill(hanging, signal.SIGCONT)

        assert (value(samples, "workers", state="ready"), value(samples, "workers_wanted")) == (1, 2)
        wait_until(lambda: agent_says(agent) == b"up 100%\n")
        assert value(scrape(metrics), "worker_starts_total") == 2
