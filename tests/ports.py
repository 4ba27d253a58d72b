"""Ports for the servers of tests: each process that runs tests has some of its own, which no other takes meanwhile.

Servers share their ports (SO_REUSEPORT), so that of two that are given the same one, each quietly gets some requests of
the other's. Therefore a process owns its ports for as long as it lives, on the whole machine: whoever else runs tests
there, in another worker or another checkout, has others. They lie below those that the kernel gives to clients, 32768
and above.
"""

import functools
import itertools
import os
import random
import socket

FIRST, A_PROCESS, PROCESSES = 16_000, 200, 80


@functools.cache
def _owned() -> tuple[socket.socket, "itertools.cycle[int]"]:
    """Return what shows that ports are this process's own, and these ports, again and again."""
    at = random.randrange(PROCESSES)
    for block in (*range(at, PROCESSES), *range(at)):
        first = FIRST + block * A_PROCESS
        owner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # UDP: no server of a test wants that
        try:
            owner.bind(("127.0.0.1", first))
        except OSError:
            owner.close()
            continue
        os.register_at_fork(after_in_child=owner.close)
        return owner, itertools.cycle(range(first, first + A_PROCESS))
    raise OSError(f"all of {PROCESSES} ranges of ports are taken by processes that run tests")


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens, and another one each time until all had their turn."""
    for port in itertools.islice(_owned()[1], A_PROCESS):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"all of {A_PROCESS} ports are taken")
