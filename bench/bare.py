"""The reference of the edge: granian with an application that answers every request with the same octets.

`python -m bench.bare PORT OCTETS` serves with one worker: all that a Python server costs before it does anything.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels
from granian.rsgi import Scope
from granian.server.mp import MPServer

_HEADERS = [("content-type", "application/ocsp-response")]
_body = b""


class Connection(Protocol):
    """What granian gives an application to answer with, as far as it is used here."""

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Send the reply."""


async def application(_scope: Scope, connection: Connection) -> None:
    """Answer a request, whatever it is."""
    connection.response_bytes(200, _HEADERS, _body)


def load(octets: int) -> Callable[..., Any]:
    """Return the application, in a worker, with a body of so many octets."""
    global _body  # noqa: PLW0603 - one a process, and nothing may be looked up on the way
    _body = bytes(octets)
    return application


def main(port: int, octets: int) -> None:
    """Serve until SIGTERM."""
    server = MPServer(
        "bench.bare",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        workers=1,
        log_level=LogLevels.warning,
    )
    server.serve(target_loader=partial(load, octets), wrap_loader=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
