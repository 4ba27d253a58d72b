"""Where an urgent change works: its workers, and the folder where rows wait, in ranges of their keys."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.gates.detector import Observer
from pregen.generation.rows.routing import ShardFile, route
from pregen.generation.rows.sharding import record_bytes, rows_wanted, shard_count
from pregen.generation.rows.spool import spool_folder
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Pool, open_pool
from pregen.issuers import Issuer
from pregen.snapshot import StatusBatch
from pregen.urgent.ground import Ground
from pregen.urgent.resolving import Resolved, Resolver, ResolvingJob, ResolvingTask, Rules
from storage import key


@dataclass(frozen=True, slots=True)
class Place:
    """Where an urgent change works: its workers, and the folder where rows wait."""

    ground: Ground
    pool: Pool
    folder: Path
    bounds: list[int]

    @property
    def most_rows(self) -> int:
        """How many rows a pack should have at most."""
        return rows_wanted(record_bytes(self.ground.issuers))

    def routed(self, batches: Iterable[StatusBatch], observer: Observer | None = None) -> tuple[ShardFile, ...]:
        """Spool rows to the ranges of their keys, and show them to an observer.

        Raises:
            SpoolError: the disk is full.
        """
        issuers = self.ground.issuers
        repeats = tuple((of, index) for index, issuer in enumerate(issuers) for of in issuer.rows_of)
        return route(batches, self.folder, self.bounds, ids_of(issuers), Steps(), observer, repeats)

    def resolved(self, ground: Ground, files: Sequence[ShardFile], rules: Rules) -> list[Resolved]:
        """Hold rows against the head, by ascending keys.

        Raises:
            StorageError, OSError: it cannot be read.
            SpoolError, WorkerError: rows cannot be.
        """
        job = ResolvingJob(
            open_store=ground.open_store,
            head=ground.head,
            index=ground.index,
            issuer_ids=ids_of(ground.issuers),
            rules=rules,
            as_of=clock.seconds(ground.as_of),
            folder=self.folder,
            endings=ground.endings,
            unable=np.array([bool(issuer.trouble) for issuer in ground.issuers], np.bool_),
        )
        tasks = [ResolvingTask(file) for file in files if file.rows]
        if len(tasks) == 1:  # nothing that is open already is opened again
            return [Resolver(job, ground.current)(tasks[0])]
        return sorted(self.pool.map(Resolver, job, tasks), key=lambda one: one.file.number)


def ids_of(issuers: Sequence[Issuer]) -> NDArray[np.uint64]:
    """Return the ids of issuers, uint64[n]."""
    return np.array([issuer.issuer_id for issuer in issuers], np.uint64)


@contextlib.contextmanager
def place_of(ground: Ground, rows: int) -> Iterator[Place]:
    """Give a place to work at; its workers end, and its spill files are gone, with the context.

    Raises:
        SpoolError: there is no space for spill files, or no folder can be made for them.
    """
    shards = shard_count(rows, record_bytes(ground.issuers))
    spool = ground.config.resolve(ground.config.run.spool)
    with spool_folder(spool, 2 * rows, 2 * shards) as folder, open_pool(min(ground.workers, shards)) as pool:
        yield Place(ground, pool, folder, key.split(0, key.KEY32, shards))
