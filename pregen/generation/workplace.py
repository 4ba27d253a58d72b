"""Where a run works: its workers, and the folder where rows wait in their shards until these are signed."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pregen.errors import ConfigError
from pregen.generation.cluster.figures import ClusterFigures
from pregen.generation.preparation import Prepared
from pregen.generation.rows.routing import RoutingTask, routing_tasks
from pregen.generation.rows.sharding import Range, record_bytes, shard_bounds
from pregen.generation.rows.spool import Spool, open_spool
from pregen.generation.work.memory import keep_freed_memory
from pregen.generation.work.workers import Pool, open_pool

if TYPE_CHECKING:
    from pregen.generation.cluster.pool import ClusterPool


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
    with open_spool(prepared.config.spool, estimate) as spool:
        if prepared.cluster is None:
            with open_pool(workers) as pool:
                yield Workplace(pool, spool, bounds, _reading(prepared, pool))
        else:
            with _open_cluster(prepared, spool) as cluster:
                yield Workplace(cluster, spool, bounds, _reading(prepared, cluster), cluster.figures)


def _open_cluster(prepared: Prepared, spool: Spool) -> "AbstractContextManager[ClusterPool]":
    try:
        from pregen.generation.cluster.connection import open_cluster  # noqa: PLC0415 - Dask, which few have
    except ModuleNotFoundError as error:
        raise ConfigError(f"--cluster needs {error.name}: pip install 'ocsp-pregen[sign,cluster]'") from error
    assert prepared.cluster is not None
    return open_cluster(prepared.config, prepared.cluster, spool)


def _reading(prepared: Prepared, pool: Pool) -> list[RoutingTask]:
    return routing_tasks(prepared.snapshot, pool.size) if pool.size > 1 else []
