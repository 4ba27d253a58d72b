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
    """Return duplicates of the sockets of all connections to where this process listens."""
    listeners, others = list[socket.socket](), list[socket.socket]()
    for entry in list(Path("/proc/self/fd").iterdir()):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                found = socket.socket(fileno=os.dup(int(entry.name)))
                is_listener = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                (listeners if is_listener else others).append(found)
    places = {_place(listener) for listener in listeners} - {None}
    for listener in listeners:
        listener.close()
    kept = list[socket.socket]()
    for other in others:
        if _place(other) in places:
            kept.append(other)
        else:
            other.close()
    return kept


def _place(opened: socket.socket) -> int | str | None:
    """Return the port of a socket of ours, or the path; None: it has none."""
    name = opened.getsockname()
    if opened.family in (socket.AF_INET, socket.AF_INET6):
        return int(name[1])
    return str(name) or None if opened.family == socket.AF_UNIX and isinstance(name, str) else None


def unanswered(connections: Connections) -> int:
    """Return how many of these connections hold a request that nobody has read, and close them all."""
    count = 0
    for connection in connections:
        with connection, suppress(OSError):
            count += connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    return count
