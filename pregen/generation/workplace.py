"""Where a run works: its workers, and the folder where rows wait in their shards until these are signed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pregen.generation.preparation import Prepared
from pregen.generation.rows.sharding import Range, record_bytes, shard_bounds
from pregen.generation.rows.spool import spool_folder
from pregen.generation.work.memory import keep_freed_memory
from pregen.generation.work.workers import Pool, open_pool


@dataclass(frozen=True, slots=True)
class Workplace:
    """What the steps of a run share while it lasts.

    Attributes:
        pool: the workers, which take one job after the other.
        spool: the folder for spill files.
        bounds: where keys are cut into shards.
        routers: how many workers read files at once.
    """

    pool: Pool
    spool: Path
    bounds: tuple[int, ...]
    routers: int


@contextlib.contextmanager
def open_workplace(prepared: Prepared) -> Iterator[Workplace]:
    """Give a workplace for a run; its workers end, and its spill files are gone, with the context.

    Raises:
        SpoolError: there is no space for spill files, or no folder can be made for them.
    """
    keep_freed_memory()
    estimate, run = prepared.snapshot.row_estimate, prepared.config.run
    shards_now = prepared.current.manifest.shards if prepared.current else ()
    current = [Range(one.low, one.high, one.rows) for one in shards_now]
    bounds = shard_bounds(estimate, record_bytes(prepared.issuers), current, at_once=prepared.full)
    shards = len(bounds) - 1
    workers = min(prepared.workers, shards)
    routers = min(workers, len(prepared.snapshot.files))
    with (
        spool_folder(prepared.config.resolve(run.spool), estimate, shards * routers) as folder,
        open_pool(workers) as pool,
    ):
        yield Workplace(pool, folder, bounds, routers)
