"""First pass: the rows of a snapshot go to shards by their keys, into parts of a spool.

Only now is it known which rows belong together, so a worker has the rows of one part or one shard in memory, however
large the snapshot is. Whoever began the run has the indexes of all parts: see `parts.part_rows`. The
files of a snapshot are read one after the other, or by several workers at once: the shards are the same.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pregen.errors import CrashError
from pregen.gates.detector import Observation, Observer, Watch
from pregen.generation.rows.parts import Pieces, SpooledPart, part_rows, pieces_of
from pregen.generation.rows.router import Repeats, Router
from pregen.generation.rows.spool import Spool
from pregen.generation.rows.truth import Overlaid
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Pool, WorkerPool
from pregen.snapshot import Reading, Snapshot, StatusBatch
from pregen.snapshot.files import crashed

_FEW_ROWS = 1 << 13  # are not worth a task
_TASKS_EACH = 4  # so that workers come to the end together


@dataclass(frozen=True, slots=True)
class ShardFile:
    """Where the rows of one shard are spooled: those with keys whose upper 32 bits are in [low, high).

    Attributes:
        pieces: its rows.
        digest: `ShardCount.digest` of the shard; None before it is counted.
        made_of: `ShardCount.made_of` of the shard; None before, or where nobody asked.
        overlaid: what overlays say of its certificates; None: nothing.
    """

    number: int
    low: int
    high: int
    pieces: Pieces
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
        return self.pieces.total


def route(
    batches: Iterable[StatusBatch],
    spool: Spool,
    bounds: Sequence[int],
    issuer_ids: NDArray[np.uint64],
    steps: Steps,
    observer: Observer | None = None,
    repeats: Repeats = (),
    rows: int = 0,
) -> tuple[ShardFile, ...]:
    """Spool all rows by their shards.

    Args:
        batches: the snapshot.
        spool: for the parts.
        bounds: of the shards' key ranges, ascending, from 0 to 2**32.
        issuer_ids: uint64[issuers].
        steps: told what reading and routing take.
        observer: shown all rows.
        repeats: which issuers' rows are spooled for which others as well.
        rows: how many there are, about; 0: few.

    Raises:
        SpoolError: the spool has no space.
    """
    router = Router(spool, bounds, issuer_ids, repeats, rows)
    for batch in steps.each("read", batches):
        _pass(batch, router, observer, steps)
    with steps("route"):
        return _shard_files(spool, bounds, router.take_parts())


def _pass(batch: StatusBatch, router: Router, observer: Observer | None, steps: Steps) -> None:
    with steps("route"):
        key = router.write(batch)
    if observer is not None:
        with steps("observe"):
            observer.add(batch, key)


@dataclass(frozen=True, slots=True)
class RoutingTask:
    """What of a snapshot one worker reads and routes: neighbouring files, or neighbouring parts of one.

    Attributes:
        number: of the task, in the order of the snapshot.
        parts: numbers of files, and of parts of these.
        label: what messages call it.
    """

    number: int
    parts: tuple[tuple[int, int], ...]
    label: str


@dataclass(frozen=True, slots=True)
class RoutingJob:
    """What a worker needs to route files; it pickles.

    Attributes:
        snapshot: whose files these are.
        spool: for the parts.
        bounds: of the shards' key ranges.
        issuer_ids: uint64[issuers].
        watch: what to look for in the rows; None: nothing.
        repeats: which issuers' rows are spooled for which others as well.
    """

    snapshot: Snapshot
    spool: Spool
    bounds: tuple[int, ...]
    issuer_ids: NDArray[np.uint64]
    watch: Watch | None = None
    repeats: Repeats = ()


@dataclass(frozen=True, slots=True)
class Routed:
    """What was read, and its rows spooled.

    Attributes:
        number: of the task.
        readings: what was noted about rows, by file and part of it.
        parts: with all rows, in their order.
        steps: what reading and routing took.
        observation: of the rows; None: nobody looked.
    """

    number: int
    readings: dict[tuple[int, int], Reading]
    parts: list[SpooledPart]
    steps: dict[str, float]
    observation: Observation | None = None


class FileRouter:
    """Routes files of a snapshot in one worker process."""

    def __init__(self, job: RoutingJob) -> None:
        self._snapshot = job.snapshot
        self._router = Router(job.spool, job.bounds, job.issuer_ids, job.repeats, job.snapshot.row_estimate)
        self._observer = Observer(job.watch) if job.watch else None

    def __call__(self, task: RoutingTask) -> Routed:
        """Read and route what a task names.

        Raises:
            InputError: one is damaged further on, or was replaced.
            SpoolError: the spool has no space.
        """
        readings, steps = {one: Reading() for one in task.parts}, Steps()
        for (number, part), reading in readings.items():
            for batch in steps.each("read", self._snapshot.read(number, reading, part)):
                _pass(batch, self._router, self._observer, steps)
        with steps("route"):
            parts = self._router.take_parts()
        observation = None
        if self._observer is not None:
            with steps("observe"):
                observation = self._observer.take()
        return Routed(task.number, readings, parts, steps.take(), observation)


def route_files(
    pool: Pool,
    job: RoutingJob,
    tasks: Sequence[RoutingTask],
    steps: Steps,
    progress: Callable[[], None],
    observe: Callable[[Observation], None] = lambda _: None,
) -> tuple[ShardFile, ...]:
    """Spool all rows of a snapshot as `route` does, with a task at a time in every worker.

    Args:
        pool: the workers.
        job: what they need; its snapshot learns what they note.
        tasks: all files, in the order of the snapshot (`routing_tasks`).
        steps: told what reading and routing took.
        progress: called after every task.
        observe: given what was observed of every task.

    Raises:
        InputError: a file is damaged further on, was replaced, or made its reader crash.
        SpoolError: the spool has no space.
        WorkerError: a worker died.
    """
    parts: dict[int, list[SpooledPart]] = {}
    try:
        for routed in pool.map(FileRouter, job, _largest_first(job.snapshot, tasks)):
            for (number, part), reading in routed.readings.items():
                job.snapshot.add(number, part, reading)
            parts[routed.number] = routed.parts
            steps.add(routed.steps)
            if routed.observation is not None:
                observe(routed.observation)
            progress()
    except CrashError as error:
        found = _found(error, job, tasks)
        raise crashed(found.label, found.how) from error
    return _shard_files(job.spool, job.bounds, [part for number in sorted(parts) for part in parts[number]])


def _largest_first(snapshot: Snapshot, tasks: Sequence[RoutingTask]) -> list[RoutingTask]:
    """Return tasks by the rows of their files; those of one stay in their order, since its readings are added up so."""
    return sorted(tasks, key=lambda task: -sum(sum(snapshot.estimates_of(number)) for number in _files(task)))


def _files(task: RoutingTask) -> list[int]:
    return [*dict.fromkeys(number for number, _ in task.parts)]


def routing_tasks(snapshot: Snapshot, workers: int, shards: int) -> list[RoutingTask]:
    """Return what so many workers should read, in the order of the snapshot: small files together, large ones in parts.

    Of what cannot be cut, a task has more rows than others.
    """
    most = part_rows(snapshot.row_estimate, shards)
    wanted = min(most, max(_FEW_ROWS, snapshot.row_estimate // (_TASKS_EACH * workers)))
    together: list[list[tuple[int, int]]] = []
    left = -1  # how many rows the last task still takes; below 0, it takes nothing more
    for number in range(len(snapshot.files)):
        estimates = snapshot.estimates_of(number)
        is_large = sum(estimates) > wanted  # then it has tasks of its own
        left = -1 if is_large else left
        for parts in ([part] for part in range(len(estimates))) if is_large else [range(len(estimates))]:
            rows = sum(estimates[part] for part in parts)
            if rows > left:
                together.append([])
                left = wanted
            together[-1] += [(number, part) for part in parts]
            left -= rows
        left = -1 if is_large else left
    return [RoutingTask(number, tuple(some), _label(snapshot, some)) for number, some in enumerate(together)]


def _label(snapshot: Snapshot, parts: Sequence[tuple[int, int]]) -> str:
    """Return the name of the one file, however it is cut, or of several."""
    (first, _), (last, _) = parts[0], parts[-1]
    name = str(snapshot.files[first])
    return name if first == last else f"{last - first + 1:,} files from {name} to {snapshot.files[last]}"


def _found(error: CrashError, job: RoutingJob, tasks: Sequence[RoutingTask]) -> CrashError:
    """Return the crash with the name of the one file that made it happen, where its task had several."""
    task = next((task for task in tasks if task.label == error.label), None)
    files = _files(task) if task else []
    for number in files if len(files) > 1 else ():
        parts = tuple((number, part) for part in range(len(job.snapshot.estimates_of(number))))
        try:
            with WorkerPool(1) as pool:
                list(pool.map(FileRouter, job, [RoutingTask(number, parts, str(job.snapshot.files[number]))]))
        except CrashError as found:
            return found
    return error


def _shard_files(spool: Spool, bounds: Sequence[int], parts: Sequence[SpooledPart]) -> tuple[ShardFile, ...]:
    ranges = list(pairwise(bounds))
    return tuple(
        ShardFile(number, low, high, pieces)
        for number, ((low, high), pieces) in enumerate(zip(ranges, pieces_of(spool, parts, len(ranges)), strict=True))
    )
