"""The body of a request, in time and not too long."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Protocol

from storage.edge.respond import MAX_BODY_BYTES

_LOOK_S = 1.0


class AskedHeaders(Protocol):
    """The headers of a request; names are lower-case, and values that are not ASCII are not there."""

    def get_all(self, key: str) -> Sequence[str]:
        """Return the values of a header in their order."""


class Exchange(Protocol):
    """The half of RSGI that has the body of the request, and the way back."""

    def __call__(self) -> Awaitable[bytes]:
        """Return the whole body; raises RuntimeError where it is broken, or the client has gone."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the body in pieces; none has no octets but the one behind the last, and what stands for a break."""

    def response_bytes(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send the reply."""


class Bodies:
    """The bodies that are being read.

    One timer looks after all of them, once a second: one for each would cost as much as reading it.

    Args:
        patience_s: how long a client may take.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._ends: dict[asyncio.Task[object], float] = {}
        self._late: set[asyncio.Task[object]] = set()
        self._is_looking = False

    async def read(self, headers: AskedHeaders, exchange: Exchange) -> bytes:
        """Return the body, or the beginning of one that is too long.

        Raises:
            TimeoutError: the client takes too long over it.
            RuntimeError: it is broken, or the client has gone.
        """
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # of the server
        self._ends[task] = loop.time() + self._patience_s
        if not self._is_looking:
            self._look_later(loop)
        try:
            return await _read(headers, exchange)
        except asyncio.CancelledError:
            if task not in self._late:
                raise
            task.uncancel()
            raise TimeoutError from None
        finally:
            del self._ends[task]
            self._late.discard(task)

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_looking = True
        loop.call_later(min(_LOOK_S, self._patience_s), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, end in self._ends.items():
            if now >= end and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._is_looking = False
        if self._ends:
            self._look_later(loop)


async def _read(headers: AskedHeaders, exchange: Exchange) -> bytes:
    length = headers.get_all("content-length")
    if length and length[0].isdigit() and int(length[0]) <= MAX_BODY_BYTES:
        return await exchange()
    body, is_ended = bytearray(), False
    async for piece in exchange:
        body += piece
        if len(body) > MAX_BODY_BYTES:
            break
        # A second piece without octets stands for a break, or for fields behind the body, which its head announces.
        if is_ended and not piece and (length or not headers.get_all("trailer")):
            raise RuntimeError("the body is broken")
        is_ended = not piece
    return bytes(body)
