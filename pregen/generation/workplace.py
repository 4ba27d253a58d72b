"""Where a run works: its workers, and the folder where rows wait in their shards until these are signed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from pregen.generation.preparation import Prepared
from pregen.generation.rows.routing import RoutingTask, routing_tasks
from pregen.generation.rows.sharding import Range, record_bytes, shard_bounds
from pregen.generation.rows.spool import Spool, open_spool
from pregen.generation.work.memory import keep_freed_memory
from pregen.generation.work.workers import Pool, open_pool


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the steps of a run share while it lasts.

    Attributes:
        pool: the workers, which take one job after the other.
        spool: where rows wait.
        bounds: where keys are cut into shards.
        reading: what workers read, each task by one of them; where there are not several, the parent reads.
    """

    pool: Pool
    spool: Spool
    bounds: tuple[int, ...]
    reading: list[RoutingTask]


@contextlib.contextmanager
def open_workplace(prepared: Prepared) -> Iterator[Workplace]:
    """Give a workplace for a run; its workers end, and its spill files are gone, with the context.

    Raises:
        SpoolError: there is no space for spill files, or no folder can be made for them.
    """
    keep_freed_memory()
    estimate = prepared.snapshot.row_estimate
    shards_now = prepared.current.manifest.shards if prepared.current else ()
    current = [Range(one.low, one.high, one.rows) for one in shards_now]
    bounds = shard_bounds(estimate, record_bytes(prepared.issuers), current, at_once=prepared.full)
    shards = len(bounds) - 1
    workers = min(prepared.workers, shards)
    reading = routing_tasks(prepared.snapshot, workers) if workers > 1 else []
    with (
        open_spool(prepared.config.spool, estimate) as spool,
        open_pool(workers) as pool,
    ):
        yield Workplace(pool, spool, bounds, reading)
