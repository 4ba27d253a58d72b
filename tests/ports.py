"""Ports for the servers of tests: each worker of pytest has a range of its own, below those that clients are given.

A port that was free a moment ago may be taken when its server starts: by the server of another worker, or by any
client, to whom the kernel gives ports of 32768 and above.
"""

import itertools
import os
import random
import socket

FIRST, A_WORKER, WORKERS = 16_000, 1_000, 16


def _own_ports() -> list[int]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    first = FIRST + worker * A_WORKER
    ports = list(range(first, first + A_WORKER))
    at = random.randrange(A_WORKER)  # so that test runs beside each other seldom want the same ones
    return ports[at:] + ports[:at]


_PORTS = itertools.cycle(_own_ports())


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens, and another one each time until all had their turn."""
    for port in itertools.islice(_PORTS, A_WORKER):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"all of {A_WORKER} ports are taken")
