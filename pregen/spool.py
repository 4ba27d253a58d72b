"""The folder for spill files: made for one run, readable by its user alone, gone at its end whatever happens."""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pregen.errors import SpoolError

PREFIX = "pregen-spool-"
ROW_BYTES = 60  # of spill files; measured 50 to 56 with serials of 16 to 20 octets
LOCK = "lock"


@contextlib.contextmanager
def spool_folder(parent: Path, rows: int) -> Iterator[Path]:
    """Give a new folder, mode 0700, with room for `rows` rows; remove it afterwards.

    Folders that killed runs left behind are removed too: their locks are free.

    Raises:
        SpoolError: the parent cannot be written, or has too little space.
    """
    try:
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    except OSError as e:
        raise SpoolError(
            f"{parent}: cannot make a folder for spill files there ({e.strerror}): "
            "set [run] spool to one that can be written"
        ) from e
    try:
        with (folder / LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _check_space(parent, rows)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_space(parent: Path, rows: int) -> None:
    free, needed = shutil.disk_usage(parent).free, rows * ROW_BYTES
    if free < needed:
        raise SpoolError(
            f"{parent}: {rows:,} rows need {needed / 2**20:,.0f} MiB for spill files, "
            f"{free / 2**20:,.0f} MiB are free: free some, or set [run] spool to a larger disk"
        )


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            with (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, another user's, or being made at this moment
