"""Whole lines to a descriptor that may stall, fail or vanish: who writes them never waits, and what is lost is counted.

A pipe that nobody reads, a stopped terminal, a full disk or a dead network mount must cost lines, and nothing else. So
lines go through a queue of bounded length to one thread, and that one alone waits. How lines stay whole:

* Workers share one pipe: what has at most 4,096 octets (PIPE_BUF) goes into it undivided (POSIX, write). So a line has
  no more, and lines are written together as long as they have no more. Files are opened for appending, and take many
  lines at once.
* Lines may wait for others for a moment, for it is the waking of a thread that costs, and not the writing.
* A disk that fills up takes a part of a line. The next line that it takes begins on a line of its own.
"""

import os
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

LINE_BYTES: Final = 4096
"""A line has no more octets, its end included: as many as a pipe takes undivided."""

QUEUE_LINES: Final = 10_000
"""So many lines wait for a slow reader: a few seconds of a busy worker, in about 4 MiB."""

_FILE_BYTES = 64 * 1024
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
_MODE = 0o644
_POLL_MS = 1000
_REMINDER_S = 60.0
_TOO_SLOW = "what reads them is too slow, or does not read"


def open_log(path: Path) -> int:
    """Return a descriptor that appends to a file, which is made if need be; a FIFO must have its reader already.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, _APPEND, _MODE)


def hold_standard_descriptors() -> None:
    """Keep the numbers 0 to 2 from whatever is opened next, where the caller has closed them (``>&-``).

    A connection or a pack of that number would get the lines of the log. What holds them refuses to be written to, so
    that lines are counted as lost. For the first thread of a process, whose children inherit them.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # which takes the lowest number that is free


class LineWriter:
    """A queue of lines, and the thread that writes them to a descriptor, or to a file that may be moved away.

    Args:
        target: a descriptor, or the path of a file.
        say: told of lost lines, by whichever thread notices: at the first, then once a minute, and at the end.
        gap: returns the line that is written where so many are missing.
        queue_lines: how many lines may wait.
        gather_s: how long a line waits for others, to be written with them.
    """

    def __init__(
        self,
        target: int | Path,
        *,
        say: Callable[[str], None],
        gap: Callable[[int], bytes],
        queue_lines: int = QUEUE_LINES,
        gather_s: float = 0,
    ) -> None:
        self._path = target if isinstance(target, Path) else None
        self._descriptor = None if isinstance(target, Path) else target
        self._say = say
        self._gap = gap
        self._queue_lines = queue_lines
        self._gather_s = gather_s
        self._queue: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_awake = self._must_follow = False
        self._wake, self._close = threading.Event(), threading.Event()
        self._closed = False
        self._in_hand = 0
        self._is_torn = False
        self._missing = 0  # lost since a line was last written
        self._untold, self._why, self._told_at = 0, "", time.monotonic() - _REMINDER_S
        self.lost_count = 0
        self.written_count = 0

    def put(self, line: bytes) -> None:
        """Take a line, without its end, to be written soon; never waits."""
        if self._closed or len(self._queue) >= self._queue_lines:
            self._lose(1, _TOO_SLOW)
            return
        self._queue.append(line[: LINE_BYTES - 1] + b"\n")
        if not self._is_awake:
            self._start()

    def reopen(self) -> None:
        """Look soon whether the file was moved away, though there be nothing to write; never waits."""
        self._must_follow = True
        self._wake.set()

    def close(self, patience_s: float) -> int:
        """Write what waits, but for no longer than that; return how many lines are left."""
        self._closed = True
        self._close.set()
        self._wake.set()
        thread = self._thread
        if thread is not None:
            thread.join(patience_s)
        self._tell(reminder_s=0)
        return len(self._queue) + self._in_hand

    def _start(self) -> None:
        """Wake the thread up; begin it, if need be."""
        self._is_awake = True
        self._wake.set()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._close.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._gather_s:
                self._close.wait(self._gather_s)
            self._is_awake = False  # before the lines are taken: who puts one after that wakes this thread again
            if self._must_follow:
                self._must_follow = False
                with suppress(OSError):  # the next line tells, which is lost then
                    self._follow()
            while self._queue:
                try:
                    lines = self._next()
                except OSError as failure:  # of a descriptor that somebody has closed
                    self._queue.popleft()
                    self._lose(1, failure.strerror or str(failure))
                    continue
                self._write(lines)
                self._in_hand = 0

    def _next(self) -> bytes:
        """Return lines that can be written at once."""
        room = self._room()
        line = self._queue.popleft()
        batch, size = [line], len(line)
        while self._queue and size + len(self._queue[0]) <= room:
            line = self._queue.popleft()
            batch.append(line)
            size += len(line)
        self._in_hand = len(batch)
        return b"".join(batch)

    def _room(self) -> int:
        """Return how many octets may be put together; one line where it may be a pipe."""
        if self._descriptor is None or not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            return LINE_BYTES
        return _FILE_BYTES

    def _write(self, lines: bytes) -> None:
        try:
            self._follow()
            if self._is_torn:
                self._put_whole(b"\n")
            if missing := self._missing:
                self._put_whole(self._gap(missing) + b"\n")
                with self._lock:
                    self._missing -= missing
            self._put_whole(lines, are_counted=True)
        except OSError as failure:
            self._lose(self._in_hand, failure.strerror or str(failure))
            return
        self._tell()

    def _put_whole(self, octets: bytes, *, are_counted: bool = False) -> None:
        """Write octets, and wait for whoever takes them."""
        assert self._descriptor is not None  # `_follow` has opened it
        start = 0
        while start < len(octets):
            try:
                end = start + os.write(self._descriptor, memoryview(octets)[start:])
            except BlockingIOError:  # a FIFO, or a pipe that someone else has made non-blocking
                poll = select.poll()
                poll.register(self._descriptor, select.POLLOUT)
                poll.poll(_POLL_MS)
                continue
            self._is_torn = octets[end - 1] != ord("\n")
            if are_counted:
                whole = octets.count(b"\n", start, end)
                self._in_hand -= whole
                self.written_count += whole
            start = end

    def _follow(self) -> None:
        """Open the file, again where it was moved away or removed (logrotate)."""
        if self._path is None:
            return
        if self._descriptor is not None:
            held = os.fstat(self._descriptor)
            with suppress(OSError):
                there = self._path.stat()
                if (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino):
                    return
        try:
            fresh = open_log(self._path)
        except OSError:
            if self._descriptor is not None and held.st_nlink:
                return  # moved away, and not to be made anew: its lines can still be found in the old one
            raise
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._is_torn = fresh, False

    def _lose(self, lines: int, why: str) -> None:
        with self._lock:
            self.lost_count += lines
            self._missing += lines
            self._untold += lines
            self._why = why
        self._tell()

    def _tell(self, reminder_s: float = _REMINDER_S) -> None:
        with self._lock:
            now, untold = time.monotonic(), self._untold
            if not untold or now - self._told_at < reminder_s:
                return
            self._untold, self._told_at = 0, now
        self._say(f"{untold} line(s) of the log are lost: {self._why}")
