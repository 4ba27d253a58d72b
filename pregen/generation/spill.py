"""The spill files of a shard: arrays of rows of 48 octets each, whatever the length of their serials.

Every router has a file of its own for every shard, so that routers need not know of each other. A shard is what all of
them have written, and the numbers of file and row in each row bring back the order of the snapshot.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot import MAX_SERIAL_BYTES

LAST_SECOND = 2**32 - 1
# What a row holds: `code` is that of its group (`pregen.generation.rows.Group`); `not_after` is cut to 32 bits, as by
# `clipped`; `row` is its number in its file, modulo 2**32. What follows a shorter serial means nothing.
SPILLED = np.dtype(
    [
        ("key", np.uint64),
        ("row", np.uint32),
        ("not_after", np.uint32),
        ("revoked_at", np.uint32),
        ("code", np.uint32),
        ("file", np.uint16),
        ("reason", np.int8),
        ("serial", np.void, MAX_SERIAL_BYTES),
    ]
)
ROW_BYTES = SPILLED.itemsize
SERIAL_AT = ROW_BYTES - MAX_SERIAL_BYTES

Spilled = NDArray[np.void]
Places = NDArray[np.intp]


def clipped(seconds: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return times in 32 bits, those before 1970 and after 2106 as the first and the last second that these can name.

    They are only compared with one other time, which is clipped alike. Where it lies outside too, all are kept: nobody
    loses an answer.

    >>> clipped(np.array([-1, 5, 2**62])).tolist()
    [0, 5, 4294967295]
    """
    return np.clip(seconds, 0, LAST_SECOND).astype(np.uint32)


def take(rows: Spilled, places: Places) -> Spilled:
    """Return the rows at `places`: as if indexed, but thirty times as fast, since no field is looked at."""
    return rows.view(f"V{ROW_BYTES}").take(places).view(SPILLED)


def shard_folder(folder: Path, number: int) -> Path:
    """Return where the files of one shard are."""
    return folder / str(number)


def read_spilled(folder: Path) -> Spilled:
    """Return the rows in the files of one shard."""
    files = [np.fromfile(path, SPILLED) for path in sorted(folder.iterdir())]
    return files[0] if len(files) == 1 else np.concatenate([np.empty(0, SPILLED), *files])
