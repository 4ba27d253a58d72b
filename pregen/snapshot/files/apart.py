"""Readers that work in a process of their own, so that what ends them is an error about a file, and no more.

A reader is started by the first request of a process, and takes one request after the other: starting one takes as
long as reading millions of rows. It ends when the process that asks it does, however that ends, because its pipe is
closed then. One that could not read a file is ended too, since nobody knows what the file has done to it.
"""

import atexit
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from multiprocess.connection import Connection

from pregen.errors import InputError, PregenError, WorkerError
from pregen.interruption import postponed
from pregen.snapshot.files.base import crashed
from pregen.snapshot.files.sources import ChangedError, Source, unread

_PROGRAM = "import sys; from pregen.snapshot.files.orc_child import main; sys.exit(main(int(sys.argv[1])))"
# The signals by which a process is ended by others, and not by what it does.
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
_OWN_SIGNAL_S = 0.5


class ReadRequest(NamedTuple):
    """Which file, which columns of it (None: its footer), and how many seconds each part of the answer may take."""

    source: Source
    names: list[str] | None
    patience_s: int


def answers(request: ReadRequest) -> Iterator[Any]:
    """Yield what a reader answers, part by part.

    Raises:
        InputError: the file cannot be read, is damaged, or ended the reader.
        WorkerError: somebody else ended the reader, as the kernel does when memory runs out.
    """
    reader = _living() or _ReaderProcess()
    try:
        yield from reader.answers(request)
    except BaseException:
        reader.end()
        raise
    _idle.append(reader)


class _ReaderProcess:
    """A process that answers requests."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with postponed():
                self._process = subprocess.Popen(  # noqa: S603 our own program
                    [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,  # what C++ says when it aborts, which is not for our users
                )
            self._pipe = Connection(ours.detach())

    def answers(self, request: ReadRequest) -> Iterator[Any]:
        """Yield the parts of one answer; None is its end, and an exception says why there is no more."""
        self._send(request)
        while (part := self._part(request)) is not None:
            yield part

    def lives(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()

    def _send(self, request: ReadRequest) -> None:
        try:
            self._pipe.send(request)
        except OSError:
            raise self._ended(request) from None

    def _part(self, request: ReadRequest) -> Any:  # noqa: ANN401 what the reader sent
        try:
            part = self._pipe.recv()
        except (EOFError, OSError):
            raise self._ended(request) from None
        if isinstance(part, Exception):
            raise part
        return part

    def _ended(self, request: ReadRequest) -> PregenError:
        """Return the error for a reader that has ended by itself."""
        number = -self._process.wait()
        how = f"was ended by {signal.Signals(number).name}" if number > 0 else f"ended with exit code {-number}"
        if number <= 0 or number in _FROM_OUTSIDE:
            time.sleep(_OWN_SIGNAL_S)  # service managers end all processes at once: our own may be a moment behind
            hint = " (the kernel does that when memory runs out: see dmesg)" if number == signal.SIGKILL else ""
            return WorkerError(
                f"the reader of {request.source.location} {how}{hint}: nothing was published, "
                "the current generation is what it was; run again"
            )
        return _blamed(request, number, how)


def _blamed(request: ReadRequest, number: int, how: str) -> InputError:
    """Return the error for a file that has ended its reader: it is damaged, unless it was being written."""
    try:
        request.source.check()
    except ChangedError as change:
        return unread(request.source.location, change)
    except OSError:
        pass  # the end of the reader says enough
    if number == signal.SIGALRM:
        how = f"did not come to an end of a part of it within {request.patience_s} s"
    return crashed(request.source.location, how)


_idle: list[_ReaderProcess] = []


def _living() -> _ReaderProcess | None:
    """Return a reader that waits, if there is one that nobody has ended meanwhile."""
    while _idle:
        if (reader := _idle.pop()).lives():
            return reader
        reader.end()
    return None


@atexit.register
def end_readers() -> None:
    """End the readers that wait for requests, so that their CPU time counts as that of children of this process."""
    while _idle:
        _idle.pop().end()
