"""First pass: the rows of a snapshot go to shards by their keys, into spill files.

Only now is it known which rows belong together, so memory is bounded by the shard, however large the snapshot is. The
files of a snapshot are read one after the other, or by several workers at once: the shards are the same.
"""

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pregen.errors import CrashError
from pregen.gates.detector import Observation, Observer, Watch
from pregen.generation.rows.router import Repeats, Router, Written, spooling
from pregen.generation.rows.spill import SpillFile, shard_folder
from pregen.generation.rows.truth import Overlaid
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Pool
from pregen.snapshot import Location, Reading, Snapshot, StatusBatch
from pregen.snapshot.files import crashed


@dataclass(frozen=True, slots=True)
class ShardFile:
    """Where the rows of one shard are spooled: those with keys whose upper 32 bits are in [low, high).

    Attributes:
        path: the folder of its spill files, one of each router.
        written: what these files are.
        digest: `ShardCount.digest` of the shard; None before it is counted.
        made_of: `ShardCount.made_of` of the shard; None before, or where nobody asked.
        overlaid: what overlays say of its certificates; None: nothing.
    """

    number: int
    low: int
    high: int
    path: Path
    written: tuple[SpillFile, ...]
    digest: int | None = None
    made_of: bytes | None = None
    overlaid: Overlaid | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"shard {self.number}"

    @property
    def rows(self) -> int:
        """How many were spooled."""
        return sum(file.rows for file in self.written)


def route(
    batches: Iterable[StatusBatch],
    folder: Path,
    bounds: Sequence[int],
    issuer_ids: NDArray[np.uint64],
    steps: Steps,
    observer: Observer | None = None,
    repeats: Repeats = (),
) -> tuple[ShardFile, ...]:
    """Spool all rows to the files of their shards.

    Args:
        batches: the snapshot.
        folder: for the files.
        bounds: of the shards' key ranges, ascending, from 0 to 2**32.
        issuer_ids: uint64[issuers].
        steps: told what reading and routing take.
        observer: shown all rows.
        repeats: which issuers' rows are spooled for which others as well.

    Raises:
        SpoolError: the disk is full, or too few files may be open at once.
    """
    _make_folders(folder, bounds)
    router = Router(folder, bounds, issuer_ids, "0", repeats)
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
        bounds: of the shards' key ranges.
        issuer_ids: uint64[issuers].
        watch: what to look for in the rows; None: nothing.
        repeats: which issuers' rows are spooled for which others as well.
    """

    snapshot: Snapshot
    folder: Path
    bounds: tuple[int, ...]
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
        # Each process appends to files of its own, which are called after it, so that none waits for another.
        self._router = Router(job.folder, job.bounds, job.issuer_ids, str(os.getpid()), job.repeats)
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
    steps: Steps,
    progress: Callable[[], None],
    observe: Callable[[Observation], None] = lambda _: None,
) -> tuple[ShardFile, ...]:
    """Spool all rows of a snapshot as `route` does, with a file at a time in every worker, the largest ones first.

    Args:
        pool: the workers.
        job: what they need; its snapshot learns what they note.
        steps: told what reading and routing took.
        progress: called after every file.
        observe: given what was observed of every file.

    Raises:
        InputError: a file is damaged further on, was replaced, or made its reader crash.
        SpoolError: the disk is full, or too few files may be open at once.
        WorkerError: a worker died.
    """
    _make_folders(job.folder, job.bounds)
    last: dict[str, Written] = {}
    tasks = [FileTask(number, job.snapshot.files[number]) for number in job.snapshot.by_size()]
    try:
        for routed in pool.map(FileRouter, job, tasks):
            job.snapshot.add(routed.number, routed.reading)
            last[routed.written.name] = routed.written  # a router counts on from file to file: its last word holds
            steps.add(routed.steps)
            if routed.observation is not None:
                observe(routed.observation)
            progress()
    except CrashError as error:
        raise crashed(error.label, error.how) from error
    return _shard_files(job.folder, job.bounds, last.values())


def _make_folders(folder: Path, bounds: Sequence[int]) -> None:
    with spooling(folder):
        for number in range(len(bounds) - 1):
            shard_folder(folder, number).mkdir()


def _shard_files(folder: Path, bounds: Sequence[int], written: Collection[Written]) -> tuple[ShardFile, ...]:
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
