"""Numbers of one worker that outlive it: cells of memory in a file, each with a name, and what it says of itself.

Each worker has three files in a folder that its parent has made, in memory where the system has such a folder:

    ==============  =============================================================================================
    ``ID.cells``    64-bit numbers, mapped into the worker's memory: to count is to add, and a worker that is killed
                    leaves all that it had counted. Locked as long as the worker lives.
    ``ID.names``    a line of JSON for each cell in use: what it counts, and the values of its labels. It is there
                    before the cell is first used.
    ``ID.state``    what holds now (its state, generation and so on), replaced every second.
    ==============  =============================================================================================

No lock is taken to count: a cell has one writer, the worker's own thread, and a reader may be one count late.
"""

import fcntl
import json
import mmap
import os
import secrets
import shutil
import tempfile
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

MOST_CELLS: Final = 16_384
"""Cells of a worker, 128 KiB: labels are bounded so that they suffice."""

SILENT_S: Final = 10.0
"""A worker that has said nothing of itself for so long hangs."""

Key: TypeAlias = tuple[str, ...]
"""What a cell counts, and the values of its labels."""

_CELL_BYTES = 8
_PREFIX = "pregen-edge-"
_OWNER, _UNLOCKED = "owner", "owner.new"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder made in it is for its owner alone
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class Cells:
    """The numbers of this worker.

    Args:
        folder: where its files go; None: nobody reads them, and they are kept in its own memory.

    Raises:
        OSError: the files cannot be made.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.view: memoryview = memoryview(array("q", bytes(MOST_CELLS * _CELL_BYTES)))
        self._names: int | None = None
        self._state: Path | None = None
        self._count = 0
        if folder is not None:
            self._share(folder / f"{os.getpid()}-{secrets.token_hex(4)}")

    def _share(self, stem: Path) -> None:
        """Map the cells, locked before they have the name by which they are found."""
        unnamed, size = stem.with_suffix(".new"), MOST_CELLS * _CELL_BYTES
        descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.posix_fallocate(descriptor, 0, size)  # a full disk is an error here, and not the end of the worker later
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self.view = memoryview(mmap.mmap(descriptor, size)).cast("q")
        self._lock = descriptor  # open, and so locked, as long as this process lives
        self._names = os.open(stem.with_suffix(".names"), _APPEND, 0o600)
        self._state = stem.with_suffix(".state")
        unnamed.rename(stem.with_suffix(".cells"))

    @property
    def free_count(self) -> int:
        """How many more cells there are."""
        return MOST_CELLS - self._count

    def take(self, *keys: Key) -> int:
        """Name the next cells, which follow each other, and return the number of the first.

        Raises:
            ValueError: there are not so many.
        """
        first = self._count
        if len(keys) > self.free_count:
            raise ValueError(f"{MOST_CELLS} cells do not suffice")
        if self._names is not None:
            os.write(self._names, b"".join(json.dumps(key).encode() + b"\n" for key in keys))
        self._count += len(keys)
        return first

    def say(self, state: dict[str, Any]) -> None:
        """Replace what this worker says of itself."""
        if self._state is None:
            return
        fresh = self._state.with_suffix(".fresh")
        with suppress(FileNotFoundError):  # the parent has gone, and its folder with it
            fresh.write_text(json.dumps(state))
            fresh.rename(self._state)


class WorkerNow(NamedTuple):
    """What a living worker says of itself.

    Attributes:
        silent_s: how long ago it has said so.
        state: see `Cells.say`.
    """

    silent_s: float
    state: dict[str, Any]


class Totals(NamedTuple):
    """The numbers of all workers, living and dead, added up; and what those that live say of themselves."""

    sums: dict[Key, int]
    workers: tuple[WorkerNow, ...]
    started: int


class Ledger:
    """Reads the files of all workers, and keeps what those that have ended had counted.

    Args:
        folder: where they are; see `ledger_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ended: dict[Key, int] = {}
        self._names: dict[Path, tuple[int, tuple[Key, ...]]] = {}
        self._ended_count = 0

    def read(self) -> Totals:
        """Return how things stand."""
        with self._lock:
            return self._read()

    def _read(self) -> Totals:
        sums, workers, living = dict(self._ended), list[WorkerNow](), 0
        for cells in sorted(self._folder.glob("*.cells")):
            with cells.open("rb") as file:
                has_ended = _is_unlocked(file.fileno())
                found = self._named(cells, file.read())
            _add(sums, found)
            if has_ended:
                _add(self._ended, found)
                self._ended_count += 1
                del self._names[cells]
                for suffix in (".cells", ".names", ".state", ".fresh"):
                    cells.with_suffix(suffix).unlink(missing_ok=True)
                continue
            living += 1
            with suppress(FileNotFoundError):  # it has just begun
                path = cells.with_suffix(".state")
                workers.append(WorkerNow(max(0.0, time.time() - path.stat().st_mtime), json.loads(path.read_text())))
        return Totals(sums, tuple(workers), self._ended_count + living)

    def _named(self, cells: Path, octets: bytes) -> dict[Key, int]:
        """Return the numbers of a worker by their names, of which those that are new are read."""
        length, keys = self._names.get(cells, (0, ()))
        with cells.with_suffix(".names").open("rb") as file:
            file.seek(length)
            *lines, _ = file.read().split(b"\n")  # what does not end is not whole, nor in use
        keys = (*keys, *(tuple(json.loads(line)) for line in lines))
        self._names[cells] = length + sum(len(line) + 1 for line in lines), keys
        return dict(zip(keys, memoryview(octets).cast("q"), strict=False))


def _is_unlocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _add(sums: dict[Key, int], found: dict[Key, int]) -> None:
    for key, number in found.items():
        sums[key] = sums.get(key, 0) + number


@contextmanager
def ledger_folder() -> Iterator[Path]:
    """Make a folder for the files of all workers of this server, and remove it at the end.

    Those of servers that were killed are removed as well.

    Raises:
        OSError: it cannot be made.
    """
    parent = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with (folder / _UNLOCKED).open("wb") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            (folder / _UNLOCKED).rename(folder / _OWNER)  # locked before anybody can find it
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        # Some are of other users, have just begun, or are removed meanwhile.
        with suppress(OSError), (folder / _OWNER).open("rb") as owner:
            if _is_unlocked(owner.fileno()):
                shutil.rmtree(folder, ignore_errors=True)
