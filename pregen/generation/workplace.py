"""Where a run works: its workers, and the folder where rows wait in their shards until these are signed."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from pregen.errors import ConfigError
from pregen.generation.cluster.figures import ClusterFigures
from pregen.generation.means import Means
from pregen.generation.preparation import Prepared
from pregen.generation.rows.routing import RoutingTask, routing_tasks
from pregen.generation.rows.sharding import Range, record_bytes, shard_bounds
from pregen.generation.rows.spool import Spool
from pregen.generation.rows.spooling import open_spool
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
        cluster: what becomes of the work of a cluster; None: this machine does it.
    """

    pool: Pool
    spool: Spool
    bounds: tuple[int, ...]
    reading: list[RoutingTask]
    cluster: ClusterFigures | None = None


@contextlib.contextmanager
def open_workplace(prepared: Prepared) -> Iterator[Workplace]:
    """Give a workplace for a run; its workers end, and its spill files are gone, with the context.

    Raises:
        SpoolError: there is no space for spill files, or no folder can be made for them.
        ConfigError, WorkerError: the cluster cannot be reached, or not be used.
    """
    keep_freed_memory()
    estimate = prepared.snapshot.row_estimate
    shards_now = prepared.current.manifest.shards if prepared.current else ()
    current = [Range(one.low, one.high, one.rows) for one in shards_now]
    bounds = shard_bounds(estimate, record_bytes(prepared.issuers), current, at_once=prepared.full)
    workers = min(prepared.workers, len(bounds) - 1)
    with (
        open_spool(prepared.config.spool_for(prepared.cluster), estimate) as spool,
        open_workers(prepared, workers, spool) as (pool, cluster),
    ):
        yield Workplace(pool, spool, bounds, _reading(prepared, pool, len(bounds) - 1), cluster)


@contextlib.contextmanager
def open_workers(means: Means, count: int, spool: Spool) -> Iterator[tuple[Pool, ClusterFigures | None]]:
    """Give the workers of a cluster, with what becomes of their work, or so many of this machine.

    Raises:
        ConfigError, WorkerError: the cluster cannot be reached, or not be used.
    """
    if means.cluster is None:
        with open_pool(count) as pool:
            yield pool, None
        return
    try:
        from pregen.generation.cluster.connection import open_cluster  # noqa: PLC0415 - Dask, which few have
    except ModuleNotFoundError as error:
        raise ConfigError(f"--cluster needs {error.name}: pip install 'ocsp-pregen[sign,cluster]'") from error
    with open_cluster(means.config, means.cluster, spool) as cluster:
        yield cluster, cluster.figures


def _reading(prepared: Prepared, pool: Pool, shards: int) -> list[RoutingTask]:
    return routing_tasks(prepared.snapshot, pool.size, shards) if pool.size > 1 else []
