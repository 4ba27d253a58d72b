"""First pass: the rows of a snapshot go to shards by their keys, spooled as Arrow IPC, one file a shard.

Only now is it known which rows belong together, so memory is bounded by the shard, however large the snapshot is.
"""

import contextlib
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from pregen.errors import SpoolError
from pregen.generation.routing_key import keys
from pregen.snapshot import StatusBatch

SHARD_ROWS = 65_536
MAX_SHARDS = 1 << 16  # shard numbers are uint16; and a file may lie about its rows
SPARE_FILES = 256  # what the rest of the process has open
COLUMNS: dict[str, pa.DataType] = {
    "key": pa.uint64(),
    "serial": pa.binary(),
    "issuer": pa.int32(),
    "status": pa.uint8(),
    "reason": pa.int8(),
    "revoked_at": pa.uint32(),
    "not_after": pa.int64(),
    "row": pa.int64(),
}
SCHEMA = pa.schema(COLUMNS)


@dataclass(frozen=True, slots=True)
class ShardFile:
    """Where the rows of one shard are spooled: those with keys whose upper 32 bits are in [low, high)."""

    number: int
    low: int
    high: int
    path: Path
    rows: int


def shard_count(rows: int) -> int:
    """Return how many shards a snapshot of about `rows` rows is cut into.

    >>> shard_count(0), shard_count(65_536), shard_count(65_537), shard_count(10**15)
    (1, 1, 2, 65536)
    """
    return min(max(1, -(-rows // SHARD_ROWS)), MAX_SHARDS)


class Router:
    """Writes batches of rows to their shards' files."""

    def __init__(self, folder: Path, bounds: list[int], issuer_ids: NDArray[np.uint64]) -> None:
        self._bounds = bounds
        self._issuer_ids = issuer_ids
        self._paths = [folder / f"{number}.arrow" for number in range(len(bounds) - 1)]
        self._rows = np.zeros(len(self._paths), np.int64)
        self._writers = [ipc.new_stream(str(path), SCHEMA) for path in self._paths]

    def write(self, batch: StatusBatch) -> None:
        """Spool the rows of one batch."""
        seeds = self._issuer_ids if len(self._issuer_ids) == 1 else self._issuer_ids[batch.issuer]
        key = keys(batch.serial, seeds)
        shards = np.uint64(len(self._paths))
        # In the smallest type that holds it: numpy sorts 8 and 16 bits by radix.
        shard = ((key >> np.uint64(32)) * shards >> np.uint64(32)).astype(np.min_scalar_type(len(self._paths) - 1))
        order = np.argsort(shard, kind="stable")
        ends = np.cumsum(np.bincount(shard, minlength=len(self._paths)))
        values = (
            batch.issuer,
            batch.status,
            batch.reason,
            batch.revoked_at.astype(np.uint32),
            batch.not_after,
            batch.row,
        )
        routed = pa.record_batch(
            [pa.array(key[order]), batch.serial.take(order), *(pa.array(column[order]) for column in values)],
            schema=SCHEMA,
        )
        start = 0
        for writer, end in zip(self._writers, ends.tolist(), strict=True):
            if end > start:
                writer.write_batch(routed.slice(start, end - start))
            start = end
        self._rows += np.diff(ends, prepend=0)

    def close(self) -> tuple[ShardFile, ...]:
        """Finish all files and return them."""
        for writer in self._writers:
            writer.close()
        return tuple(
            ShardFile(number, self._bounds[number], self._bounds[number + 1], path, int(self._rows[number]))
            for number, path in enumerate(self._paths)
        )


def route(
    batches: Iterable[StatusBatch], folder: Path, bounds: list[int], issuer_ids: NDArray[np.uint64]
) -> tuple[ShardFile, ...]:
    """Spool all rows to the files of their shards.

    Args:
        batches: the snapshot.
        folder: for the files.
        bounds: of the shards' key ranges, as `storage.key.split` makes them.
        issuer_ids: uint64[issuers].

    Raises:
        SpoolError: the disk is full, or too few files may be open at once.
    """
    _allow_open_files(len(bounds) - 1 + SPARE_FILES)
    with _spooling(folder):
        router = Router(folder, bounds, issuer_ids)
    for batch in batches:
        # What reading the snapshot raises is no matter of this folder.
        with _spooling(folder):
            router.write(batch)
    with _spooling(folder):
        return router.close()


@contextlib.contextmanager
def _spooling(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise SpoolError(f"{folder}: writing spill files failed ({e}): free some space, or set [run] spool") from e


def _allow_open_files(count: int) -> None:
    """Raise this process's own limit of open files: all shards are written at once, and the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= count:
        return
    if hard != resource.RLIM_INFINITY and hard < count:
        raise SpoolError(
            f"{count:,} files must be open at once, {hard:,} are allowed here: raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
