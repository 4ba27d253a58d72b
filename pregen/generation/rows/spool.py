"""Where routed rows lie until their shards are signed: what every spool does, and one in a folder.

A spool takes parts, each under a name of its own, and gives back ranges of them. It pickles: whoever works for a run
reaches the same parts. It is gone at the end, or, where a run is killed, when the next one begins.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from pregen.errors import SpoolError
from pregen.generation.rows.checksums import BY_CRC32, Checksum
from pregen.generation.rows.spill import ROW_BYTES
from storage.markers import DEAD_AFTER_S, renewed

SPOOL_PREFIX = "pregen-spool-"
_WRITE_BYTES = 64 << 10
_ADVICE = (
    "nothing was published; look at the disk and the memory of this machine, and for whoever writes there, then run "
    "again, or set [run] spool to another place"
)


class PartRange(NamedTuple):
    """Some octets of a part."""

    name: str
    start: int
    size_bytes: int


class Spool(Protocol):
    """A place for parts; tests/pregen/generation/rows/test_spools.py holds all kinds against what is said here."""

    @property
    def checksum(self) -> Checksum:
        """What rows in it are held against: strong, where others than the user may write."""

    def put(self, name: str, pieces: Iterable[memoryview]) -> None:
        """Keep a part, all of its pieces in their order; no other part has its name.

        Raises:
            SpoolError: there is no space, or the place cannot be written.
        """

    def fetch(self, ranges: Sequence[PartRange], into: memoryview) -> None:
        """Read ranges, one after the other, into as many octets as they have.

        Raises:
            SpoolError: a part is missing, is shorter than that, or cannot be read.
        """

    def place_of(self, name: str) -> str:
        """Return what messages call a part."""


@dataclass(frozen=True, slots=True)
class FolderSpool:
    """A spool in a folder: of this machine, or one that all machines of a run share."""

    folder: Path

    @property
    def checksum(self) -> Checksum:
        """CRC-32: its mode is 0700."""
        return BY_CRC32

    def put(self, name: str, pieces: Iterable[memoryview]) -> None:
        """Write the file of a part."""
        try:
            with (self.folder / name).open("xb", _WRITE_BYTES) as file:
                for piece in pieces:
                    file.write(piece)
        except OSError as e:
            raise SpoolError(
                f"{self.folder}: writing spill files failed ({e}): free some space, or set [run] spool"
            ) from e

    def fetch(self, ranges: Sequence[PartRange], into: memoryview) -> None:
        """Read ranges of files."""
        at = 0
        for one in ranges:
            self._read(one, into[at : at + one.size_bytes])
            at += one.size_bytes

    def place_of(self, name: str) -> str:
        """Return the path of a part."""
        return str(self.folder / name)

    def _read(self, one: PartRange, into: memoryview) -> None:
        try:
            descriptor = os.open(self.folder / one.name, os.O_RDONLY)
            try:
                start = one.start
                while into and (count := os.preadv(descriptor, [into], start)):
                    into, start = into[count:], start + count
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise broken(self, one.name, "this spill file is missing") from None
        except OSError as e:
            raise broken(self, one.name, f"reading this spill file failed ({e})") from e
        if into:
            raise broken(self, one.name, f"this spill file ends at {start:,} octets, and more were written")


def broken(spool: Spool, name: str, what: str) -> SpoolError:
    """Return the error for a part that is not what was written."""
    return SpoolError(f"{spool.place_of(name)}: {what}: {_ADVICE}")


@contextlib.contextmanager
def spool_folder(parent: Path, rows: int) -> Iterator[FolderSpool]:
    """Give a spool in a new folder, mode 0700, with room for `rows` rows; remove it afterwards.

    Folders that killed runs left behind are removed too: their locks are free. A lock says that of runs on this machine
    alone; where machines share the parent, a folder of another one is left behind once nobody has renewed it for hours,
    as the markers of publishers are (`storage.markers`).

    Raises:
        SpoolError: the parent cannot be written, or has too little space.
    """
    try:
        folder, lock = _make_locked(parent)
    except OSError as e:
        raise SpoolError(
            f"{parent}: cannot make a folder for spill files there ({e.strerror}): "
            "set [run] spool to one that can be written"
        ) from e
    try:
        remove_abandoned_folders(parent, folder.stat().st_mtime)
        _check_space(parent, rows)
        with renewed(lambda: os.utime(folder)):
            yield FolderSpool(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Return a new folder and a descriptor that holds its lock; the kernel frees it when this process dies."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{SPOOL_PREFIX}{_machine()}-", dir=parent))
        # Before it is locked, another run may take the folder for an abandoned one; then it is gone, and we try again.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _check_space(parent: Path, rows: int) -> None:
    free, needed = shutil.disk_usage(parent).free, rows * ROW_BYTES
    if free < needed:
        raise SpoolError(
            f"{parent}: {rows:,} rows need {needed / 2**20:,.0f} MiB for spill files, "
            f"{free / 2**20:,.0f} MiB are free: free some, or set [run] spool to a larger disk"
        )


def remove_abandoned_folders(parent: Path, now_s: float, *, is_dry: bool = False) -> tuple[int, int]:
    """Remove the folders of dead runs; return how many files they held, and their octets.

    Args:
        parent: of the folders.
        now_s: what the clock of the parent's file system says.
        is_dry: whether only to look.
    """
    files, octets = 0, 0
    for folder in parent.glob(f"{SPOOL_PREFIX}*"):
        # In use, another user's, or gone by now: not ours to remove.
        with contextlib.suppress(OSError), _opened(folder) as lock:
            is_here = folder.name.startswith(f"{SPOOL_PREFIX}{_machine()}-")
            if is_here or abs(folder.stat().st_mtime - now_s) >= DEAD_AFTER_S:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sizes = [path.stat().st_size for path in folder.iterdir()]
                files, octets = files + len(sizes), octets + sum(sizes)
                if not is_dry:
                    shutil.rmtree(folder, ignore_errors=True)
    return files, octets


def _machine() -> str:
    """Return what tells this machine from others that share a folder; a name of its own gives a container one too."""
    return hashlib.sha256(os.uname().nodename.encode()).hexdigest()[:12]


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
