"""Where an urgent change works: its workers, and the folder where rows wait, in ranges of their keys."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.gates.detector import Observer
from pregen.generation.rows.routing import ShardFile, route
from pregen.generation.rows.sharding import record_bytes, rows_wanted, shard_count
from pregen.generation.rows.spool import Spool
from pregen.generation.rows.spooling import open_spool
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import Pool
from pregen.generation.workplace import open_workers
from pregen.snapshot import StatusBatch
from pregen.urgent.ground import Ground
from pregen.urgent.resolving import Resolved, Resolver, ResolvingJob, ResolvingTask, Rules
from storage import key


@dataclass(frozen=True, slots=True)
class Place:
    """Where an urgent change works: its workers, and the folder where rows wait."""

    ground: Ground
    pool: Pool
    spool: Spool
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
        ground = self.ground
        rows_of = [issuer.rows_of for issuer in ground.issuers] + [one.rows_of for one in ground.elsewhere]
        repeats = tuple((of, index) for index, some in enumerate(rows_of) for of in some)
        return route(batches, self.spool, self.bounds, looked_up(ground), Steps(), observer, repeats)

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
            # Those of `self.ground`, by which rows were routed; what a later head has more was refused.
            issuer_ids=looked_up(self.ground),
            rules=rules,
            as_of=clock.seconds(ground.as_of),
            spool=self.spool,
            endings=ground.endings,
            unable=np.array([bool(issuer.trouble) for issuer in ground.issuers], np.bool_),
        )
        tasks = [ResolvingTask(file) for file in files if file.rows]
        if len(tasks) == 1:  # nothing that is open already is opened again
            return [Resolver(job, ground.current)(tasks[0])]
        return sorted(self.pool.map(Resolver, job, tasks), key=lambda one: one.file.number)


def looked_up(ground: Ground) -> NDArray[np.uint64]:
    """Return the ids under which certificates are looked up, uint64[n]: those of the issuers, then those elsewhere."""
    ids = [*(one.issuer_id for one in ground.issuers), *(one.issuer_id for one in ground.elsewhere)]
    return np.array(ids, np.uint64)


@contextlib.contextmanager
def place_of(ground: Ground, rows: int) -> Iterator[Place]:
    """Give a place to work at; its workers end, and its spill files are gone, with the context.

    Raises:
        SpoolError: there is no space for spill files, or no folder can be made for them.
    """
    shards = shard_count(rows, record_bytes(ground.issuers))
    count = min(ground.workers, shards)
    with (
        open_spool(ground.config.spool_for(ground.cluster), 2 * rows) as spool,
        open_workers(ground, count, spool) as (pool, _),
    ):
        yield Place(ground, pool, spool, key.split(0, key.KEY32, shards))
