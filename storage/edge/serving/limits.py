"""How many connections a worker takes, so that its descriptors suffice for them and for the store.

A server that runs out of descriptors cannot open a pack, which costs answers, and cannot accept a connection, which
costs a whole CPU: the connection stays in the queue, so that the next attempt follows at once.
"""

import resource
from typing import Final

CONNECTIONS: Final = 1024
"""A worker takes no more: its memory and its log bear so many, and who has more adds workers."""

_WANTED = 2048
_OWN = 128  # libraries, listeners, logs, and up to 64 connections to a remote store
_FEWEST_CONNECTIONS = 16


def raise_descriptors() -> int:
    """Let this process and its children have as many descriptors as a worker needs, if it may; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED
    if soft < _WANTED:
        soft = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def connections_within(descriptors: int) -> int:
    """Return how many connections a worker may take with so many descriptors.

    An eighth is for packs, which `storage.stores.local` keeps open.

    >>> connections_within(2048), connections_within(1024), connections_within(256)
    (1024, 768, 96)

    Raises:
        ValueError: too few.
    """
    connections = min(CONNECTIONS, descriptors - descriptors // 8 - _OWN)
    if connections < _FEWEST_CONNECTIONS:
        raise ValueError(f"{descriptors} file descriptors (ulimit -n) are too few for a server: give 256 or more")
    return connections
