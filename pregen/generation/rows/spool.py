"""The folder for spill files: made for one run, readable by its user alone, gone at its end whatever happens."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pregen.errors import SpoolError
from pregen.generation.rows.spill import ROW_BYTES

PREFIX = "pregen-spool-"
BLOCK_BYTES = 4096  # a file takes whole ones


@contextlib.contextmanager
def spool_folder(parent: Path, rows: int, files: int = 1) -> Iterator[Path]:
    """Give a new folder, mode 0700, with room for `rows` rows in `files` files; remove it afterwards.

    Folders that killed runs left behind are removed too: their locks are free.

    Raises:
        SpoolError: the parent cannot be written, or has too little space.
    """
    try:
        _remove_abandoned(parent)
        folder, lock = _make_locked(parent)
    except OSError as e:
        raise SpoolError(
            f"{parent}: cannot make a folder for spill files there ({e.strerror}): "
            "set [run] spool to one that can be written"
        ) from e
    try:
        _check_space(parent, rows, files)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _make_locked(parent: Path) -> tuple[Path, int]:
    """Return a new folder and a descriptor that holds its lock; the kernel frees it when this process dies."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Before it is locked, another run may take the folder for an abandoned one; then it is gone, and we try again.
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _check_space(parent: Path, rows: int, files: int) -> None:
    free, needed = shutil.disk_usage(parent).free, rows * ROW_BYTES + files * BLOCK_BYTES
    if free < needed:
        raise SpoolError(
            f"{parent}: {rows:,} rows need {needed / 2**20:,.0f} MiB for spill files, "
            f"{free / 2**20:,.0f} MiB are free: free some, or set [run] spool to a larger disk"
        )


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        # In use, another user's, or gone by now: not ours to remove.
        with contextlib.suppress(OSError), _opened(folder) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
