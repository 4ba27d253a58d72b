"""The end of a worker: connections are let go with an answer, and what came too late for one is counted.

A client that keeps its connection may send a request in the very moment in which the server closes it (RFC 9112, 9.5).
So for a second before the end, each reply says ``Connection: close``, and clients go elsewhere by themselves. Who says
nothing in that second is closed without a word. What such a client has sent by then is found in its socket: a duplicate
of each descriptor outlives the server's own.
"""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

DRAIN_S: Final = 1.0


Connections: TypeAlias = list[socket.socket]


def kept_connections() -> Connections:
    """Return duplicates of the sockets of all connections to ports at which this process listens."""
    listeners, others = list[socket.socket](), list[socket.socket]()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                found = socket.socket(fileno=os.dup(int(entry.name)))
                is_listener = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                (listeners if is_listener else others).append(found)
    ports = {listener.getsockname()[1] for listener in listeners}
    for listener in listeners:
        listener.close()
    kept = list[socket.socket]()
    for other in others:
        if other.family in (socket.AF_INET, socket.AF_INET6) and other.getsockname()[1] in ports:
            kept.append(other)
        else:
            other.close()
    return kept


def unanswered(connections: Connections) -> int:
    """Return how many of these connections hold a request that nobody has read, and close them all."""
    count = 0
    for connection in connections:
        with connection, suppress(OSError):
            count += connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    return count
