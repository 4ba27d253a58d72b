"""First pass: the rows of a snapshot go to shards by their keys, into spill files.

Only now is it known which rows belong together, so memory is bounded by the shard, however large the snapshot is. The
files of a snapshot are read one after the other, or by several workers at once: the shards are the same.
"""

import contextlib
import os
import resource
import weakref
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import SpoolError
from pregen.gates.evidence import Observation, Observer, Watch
from pregen.generation.routing_key import keys, serial_matrix, serial_octets, serial_offsets
from pregen.generation.rows import again_for, group_codes
from pregen.generation.spill import (
    PRECERTIFICATE,
    ROW_BYTES,
    SPILLED,
    WITHHELD,
    Spilled,
    SpillFile,
    clipped,
    shard_folder,
    take,
)
from pregen.generation.steps import Steps
from pregen.generation.workers import Pool
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON, Location, Reading, Snapshot, StatusBatch, Withheld

SHARD_ROWS = 65_536
PACK_BYTES = 8 << 20  # a worker needs a few times that
EVEN_SHARDS = 8
MAX_SHARDS = 1 << 16  # shard numbers are uint16; and a file may lie about its rows
SPARE_FILES = 256  # what the rest of the process has open
BUFFERS_BYTES = 16 << 20  # of one router, for all of its files
BUFFER_BYTES = 64 << 10  # of one file, at most

Counts = NDArray[np.int64]
Repeats: TypeAlias = tuple[tuple[int, int], ...]  # indices of issuers: whose rows are spooled for whom as well


@dataclass(frozen=True, slots=True)
class ShardFile:
    """Where the rows of one shard are spooled: those with keys whose upper 32 bits are in [low, high).

    Attributes:
        path: the folder of its spill files, one of each router.
        written: what these files are.
        surveyed: `pregen.generation.rows.Survey.digest` of the shard; None before it is surveyed.
    """

    number: int
    low: int
    high: int
    path: Path
    written: tuple[SpillFile, ...]
    surveyed: int | None = None

    @property
    def rows(self) -> int:
        """How many were spooled."""
        return sum(file.rows for file in self.written)


def shard_count(rows: int, record_bytes: int) -> int:
    """Return how many shards a snapshot of about `rows` rows is cut into.

    Args:
        rows: of the snapshot.
        record_bytes: what the largest of its records takes in a pack.

    >>> shard_count(0, 100), shard_count(65_536, 100), shard_count(65_537, 100), shard_count(10**15, 100)
    (1, 1, 2, 65536)
    >>> shard_count(65_536, 1024), shard_count(5_000_000, 100)
    (8, 80)
    """
    shard_rows = max(1, min(SHARD_ROWS, PACK_BYTES // record_bytes))
    shards = max(1, -(-rows // shard_rows))
    # Many are a multiple of eight: so two, four or eight workers come to the end together.
    return min(shards if shards <= EVEN_SHARDS else -(-shards // EVEN_SHARDS) * EVEN_SHARDS, MAX_SHARDS)


@dataclass(frozen=True, slots=True)
class Written:
    """What a router has written so far.

    Attributes:
        name: of its files.
        rows: int64[shards], how many went where.
        crcs: uint32[shards], CRC-32 of the octets of its files.
    """

    name: str
    rows: Counts
    crcs: NDArray[np.uint32]


class Router:
    """Writes batches of rows to its own files of all shards; they are closed at the latest when it goes.

    Raises:
        SpoolError: the disk is full, or too few files may be open at once; so do all methods.
    """

    def __init__(
        self, folder: Path, shards: int, issuer_ids: NDArray[np.uint64], name: str, repeats: Repeats = ()
    ) -> None:
        _allow_open_files(shards + SPARE_FILES)
        self._rows: Counts = np.zeros(shards, np.int64)
        self._crcs = [0] * shards
        self._folder = folder
        self._name = name
        self._issuer_ids = issuer_ids
        self._repeats = repeats
        self._files: list[BinaryIO] = []
        self._abandoned = weakref.finalize(self, _abandon, self._files)
        buffering = min(BUFFER_BYTES, max(ROW_BYTES, BUFFERS_BYTES // shards))
        with _spooling(folder):
            for number in range(shards):
                self._files.append((shard_folder(folder, number) / name).open("xb", buffering))

    def write(self, batch: StatusBatch) -> NDArray[np.uint64]:
        """Spool the rows of one batch, which are in the files after `flush`, and return their keys, uint64[n].

        Withheld rows are spooled too, so that they meet the other rows of their certificates.
        """
        key = self._keys(batch.serial, batch.issuer)
        rows = _spilled(batch, key)
        self._spool(rows, key)
        self._repeat(rows, batch.serial, batch.issuer)
        if (apart := batch.withheld) is not None:
            withheld = self._keys(apart.serial, apart.issuer)
            rows = _withheld(batch, apart, withheld)
            self._spool(rows, withheld)
            self._repeat(rows, apart.serial, apart.issuer)
        return key

    def _repeat(self, rows: Spilled, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> None:
        """Spool the rows of some issuers once more, for the issuers that answer for them as well."""
        for source, target in self._repeats:
            places = np.flatnonzero(issuer == source)
            if not len(places):
                continue
            again = take(rows, places)
            again["key"] = keys(serial.take(pa.array(places, pa.int64())), self._issuer_ids[target : target + 1])
            again["code"] = again_for(again["code"], target)
            self._spool(again, again["key"])

    def _keys(self, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> NDArray[np.uint64]:
        return keys(serial, self._issuer_ids if len(self._issuer_ids) == 1 else self._issuer_ids[issuer])

    def _spool(self, rows: Spilled, key: NDArray[np.uint64]) -> None:
        shards = np.uint64(len(self._files))
        # In the smallest type that holds it: numpy sorts 8 and 16 bits by radix.
        shard = ((key >> np.uint64(32)) * shards >> np.uint64(32)).astype(np.min_scalar_type(len(self._files) - 1))
        routed = take(rows, np.argsort(shard, kind="stable"))
        counts = np.bincount(shard, minlength=len(self._files))
        octets, start = routed.view(np.uint8).data, 0
        with _spooling(self._folder):
            for number, size in enumerate((counts * ROW_BYTES).tolist()):
                if size:
                    part = octets[start : start + size]
                    self._crcs[number] = zlib.crc32(part, self._crcs[number])
                    self._files[number].write(part)
                    start += size
        self._rows += counts

    def written(self) -> Written:
        """Return what was written so far."""
        return Written(self._name, self._rows.copy(), np.array(self._crcs, np.uint32))

    def flush(self) -> None:
        """Finish what was written so far."""
        with _spooling(self._folder):
            for file in self._files:
                file.flush()

    def close(self) -> None:
        """Finish and close all files, even if one of them fails."""
        self._abandoned.detach()
        with _spooling(self._folder), contextlib.ExitStack() as closing:
            for file in self._files:
                closing.callback(file.close)


def _spilled(batch: StatusBatch, key: NDArray[np.uint64]) -> Spilled:
    rows = np.empty(len(batch), SPILLED)
    sizes = _put_serials(rows, batch.serial)
    rows["key"] = key
    rows["row"] = batch.row
    rows["not_after"] = clipped(batch.not_after)
    rows["revoked_at"] = batch.revoked_at
    rows["code"] = group_codes(batch.issuer, sizes, batch.status, batch.reason)
    if batch.precertificate is not None:
        rows["code"] |= batch.precertificate * PRECERTIFICATE
    rows["file"] = batch.file
    rows["reason"] = batch.reason
    return rows


def _withheld(batch: StatusBatch, withheld: Withheld, key: NDArray[np.uint64]) -> Spilled:
    rows = np.zeros(len(withheld.row), SPILLED)
    sizes = _put_serials(rows, withheld.serial)
    rows["key"] = key
    rows["row"] = withheld.row
    rows["code"] = group_codes(withheld.issuer, sizes, withheld.status, np.full(len(rows), NO_REASON, np.int8))
    rows["file"] = batch.file
    rows["reason"] = WITHHELD
    return rows


def _put_serials(rows: Spilled, serial: pa.BinaryArray) -> NDArray[np.int32]:
    """Put serials into rows, and return their lengths."""
    offsets, octets = serial_offsets(serial), serial_octets(serial)
    first, last = int(offsets[0]), int(offsets[-1])
    padded = np.append(octets[first:last], np.zeros(MAX_SERIAL_BYTES, np.uint8))
    serials = serial_matrix(padded, offsets[:-1] - first, MAX_SERIAL_BYTES)
    rows["serial"] = serials.view(f"V{MAX_SERIAL_BYTES}")[:, 0]
    return np.diff(offsets)


def _abandon(files: list[BinaryIO]) -> None:
    """Close files that are finished, or that an error has made worthless: it was said before."""
    for file in files:
        with contextlib.suppress(OSError):
            file.close()


def route(
    batches: Iterable[StatusBatch],
    folder: Path,
    bounds: list[int],
    issuer_ids: NDArray[np.uint64],
    steps: Steps,
    observer: Observer | None = None,
    repeats: Repeats = (),
) -> tuple[ShardFile, ...]:
    """Spool all rows to the files of their shards.

    Args:
        batches: the snapshot.
        folder: for the files.
        bounds: of the shards' key ranges, as `storage.key.split` makes them.
        issuer_ids: uint64[issuers].
        steps: told what reading and routing take.
        observer: shown all rows.
        repeats: which issuers' rows are spooled for which others as well.

    Raises:
        SpoolError: the disk is full, or too few files may be open at once.
    """
    _make_folders(folder, bounds)
    router = Router(folder, len(bounds) - 1, issuer_ids, "0", repeats)
    for batch in steps.each("read", batches):
        _pass(batch, router, observer, steps)
    with steps("route"):
        router.close()
    return _shard_files(folder, bounds, [router.written()])


def _pass(batch: StatusBatch, router: Router, observer: Observer | None, steps: Steps) -> None:
    with steps("route"):
        key = router.write(batch)
    if observer is not None:
        with steps("observe"):
            observer.add(batch, key)


@dataclass(frozen=True, slots=True)
class FileTask:
    """One file of a snapshot to be read and routed."""

    number: int
    path: Location

    @property
    def label(self) -> str:
        """What messages call it."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class RoutingJob:
    """What a worker needs to route files; it pickles.

    Attributes:
        snapshot: whose files these are.
        folder: for the spill files.
        shards: how many there are.
        issuer_ids: uint64[issuers].
        watch: what to look for in the rows; None: nothing.
        repeats: which issuers' rows are spooled for which others as well.
    """

    snapshot: Snapshot
    folder: Path
    shards: int
    issuer_ids: NDArray[np.uint64]
    watch: Watch | None = None
    repeats: Repeats = ()


@dataclass(frozen=True, slots=True)
class RoutedFile:
    """A file whose rows are in the spill files.

    Attributes:
        number: of the file.
        reading: what was noted about its rows.
        written: by its router so far, with the rows of the files before.
        steps: what reading and routing took.
        observation: of its rows; None: nobody looked.
    """

    number: int
    reading: Reading
    written: Written
    steps: dict[str, float]
    observation: Observation | None = None


class FileRouter:
    """Routes files of a snapshot in one worker process, all into the same spill files."""

    def __init__(self, job: RoutingJob) -> None:
        self._snapshot = job.snapshot
        self._router = Router(job.folder, job.shards, job.issuer_ids, str(os.getpid()), job.repeats)
        self._observer = Observer(job.watch) if job.watch else None

    def __call__(self, task: FileTask) -> RoutedFile:
        """Read and route one file.

        Raises:
            InputError: it is damaged further on, or was replaced.
            SpoolError: the disk is full.
        """
        reading, steps = Reading(), Steps()
        for batch in steps.each("read", self._snapshot.read(task.number, reading)):
            _pass(batch, self._router, self._observer, steps)
        with steps("route"):
            self._router.flush()
        observation = None
        if self._observer is not None:
            with steps("observe"):
                observation = self._observer.take()
        return RoutedFile(task.number, reading, self._router.written(), steps.take(), observation)


def route_files(
    pool: Pool,
    job: RoutingJob,
    bounds: list[int],
    steps: Steps,
    progress: Callable[[], None],
    observe: Callable[[Observation], None] = lambda _: None,
) -> tuple[ShardFile, ...]:
    """Spool all rows of a snapshot as `route` does, with a file at a time in every worker, the largest ones first.

    Args:
        pool: the workers.
        job: what they need; its snapshot learns what they note.
        bounds: as of `route`.
        steps: told what reading and routing took.
        progress: called after every file.
        observe: given what was observed of every file.

    Raises:
        InputError: a file is damaged further on, or was replaced.
        SpoolError: the disk is full, or too few files may be open at once.
        WorkerError: a worker died.
    """
    _make_folders(job.folder, bounds)
    last: dict[str, Written] = {}
    tasks = [FileTask(number, job.snapshot.files[number]) for number in job.snapshot.by_size()]
    for routed in pool.map(FileRouter, job, tasks):
        job.snapshot.add(routed.number, routed.reading)
        last[routed.written.name] = routed.written
        steps.add(routed.steps)
        if routed.observation is not None:
            observe(routed.observation)
        progress()
    return _shard_files(job.folder, bounds, last.values())


def _make_folders(folder: Path, bounds: list[int]) -> None:
    with _spooling(folder):
        for number in range(len(bounds) - 1):
            shard_folder(folder, number).mkdir()


def _shard_files(folder: Path, bounds: list[int], written: Collection[Written]) -> tuple[ShardFile, ...]:
    return tuple(
        ShardFile(
            number,
            low,
            high,
            shard_folder(folder, number),
            tuple(SpillFile(one.name, int(one.rows[number]), int(one.crcs[number])) for one in written),
        )
        for number, (low, high) in enumerate(pairwise(bounds))
    )


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
