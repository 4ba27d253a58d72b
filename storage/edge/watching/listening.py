"""Addresses where machines ask how an edge is: a port or a Unix socket, apart from those of its clients."""

import contextlib
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import BaseServer, TCPServer, ThreadingMixIn
from typing import Final

_UNIX: Final = "unix:"
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:]*)):([0-9]{1,5})")
_LISTENERS = 16


def listen(address: str) -> socket.socket:
    """Listen at ``host:port``, ``[address]:port``, ``:port`` (of this machine alone) or ``unix:/path``.

    Raises:
        ValueError: this is no address.
        OSError: one cannot listen there; in most cases because somebody else does.
    """
    if address.startswith(_UNIX):
        return _listen_unix(address.removeprefix(_UNIX))
    found = _HOST_PORT.fullmatch(address)
    if found is None or not int(found[3]) <= 65_535:
        raise ValueError(f"{address!r} is no address: write 127.0.0.1:9464, [::1]:9464 or unix:/run/metrics.sock")
    host = found[1] or found[2] or "127.0.0.1"
    family, kind, _, _, where = socket.getaddrinfo(host, int(found[3]), type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(_LISTENERS)
    except OSError:
        listener.close()
        raise
    return listener


def free_path(path: str) -> None:
    """Make sure that one can listen at a path: a socket that a server has left behind, which was killed, is removed.

    Raises:
        ValueError: one cannot listen there; the text says why.
    """
    try:
        if not _is_left_behind(path):
            raise ValueError(f"cannot listen at {path}: another server does")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
        Path(path).unlink()
    except OSError as error:  # a path that is too long has no number of an error
        raise ValueError(f"cannot listen at {path}: {error.strerror or error}") from None


def _listen_unix(path: str) -> socket.socket:
    """Listen at a path; a socket that a server has left behind, which was killed, is replaced."""
    if not path:
        raise ValueError("unix: is no address: write unix:/run/metrics.sock")
    _is_left_behind(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        listener.listen(_LISTENERS)
    except OSError:
        listener.close()
        raise
    return listener


def _is_left_behind(path: str) -> bool:
    """Remove a socket at which nobody answers; tell whether none is there any more."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - as bind takes it
            if _is_answered(path):
                return False
            Path(path).unlink()
    return True


def _is_answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.settimeout(1)
        try:
            asking.connect(path)
        except OSError:
            return False
        return True


class SideServer(ThreadingMixIn, TCPServer):
    """Answers each connection to a listener in a thread of its own; what a client does is never an error here."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, handler: type) -> None:
        super().__init__(("", 0), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client has gone, or has sent nonsense."""


@contextmanager
def serving(server: BaseServer, name: str) -> Iterator[None]:
    """Serve in a thread, and remove a Unix socket at the end."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name=name, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        if isinstance(server.server_address, str) and server.server_address:
            Path(server.server_address).unlink(missing_ok=True)
