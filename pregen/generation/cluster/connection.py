"""A Dask cluster to work on: one that is there, or one of this machine that lives as long as the run.

Whoever reaches a scheduler has its workers run what he likes, beside their keys. So a cluster that is there is reached
by TLS with certificates of both sides, unless all of it is on this machine's loopback; and one that we start has keys
of its own, made for it and never stored, since other users of this machine reach the loopback too.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import dask
from distributed import Client, LocalCluster
from distributed.security import Security

from pregen.config import Config
from pregen.errors import ConfigError, Finding, WorkerError
from pregen.generation.cluster.pool import ClusterPool, ClusterTerms
from pregen.generation.cluster.safety import check_safe
from pregen.generation.rows.spool import Spool
from pregen.interruption import postponed

# Pages for browsers are served by nobody who has keys beside him.
_SETTINGS = {
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}
_LOCAL = re.compile(r"local:([1-9][0-9]{0,3})")
_CLOSE_S, _START_S = 10.0, 120.0
_ANSWER_S = 20.0
_NOTHING = logging.CRITICAL + 1  # a log level that nothing has


@contextlib.contextmanager
def open_cluster(config: Config, address: str, spool: Spool) -> Iterator[ClusterPool]:
    """Give the workers of a cluster as a pool.

    Args:
        config: of the run; its section `[cluster]` says how others are reached.
        address: tls://host:port or tcp://127.0.0.1:port of a scheduler, or local:N for one that is started here.
        spool: reached by all workers.

    Raises:
        ConfigError: the address cannot be one, or is not safe.
        WorkerError: nobody answers there, there are no workers, or one of them may not work for this run.
    """
    terms = ClusterTerms(
        spool=spool,
        config=str(config.path),
        config_there=config.cluster.config or str(config.path),
        task_timeout_s=config.cluster.task_timeout_s,
    )
    with contextlib.ExitStack() as stack:
        # What Dask has to say, we say.
        stack.enter_context(_quiet())
        if local := _LOCAL.fullmatch(address):
            client = stack.enter_context(_started(int(local[1])))
        else:
            client = stack.enter_context(_found(config, address))
        yield ClusterPool(client, terms)


@contextlib.contextmanager
def _started(workers: int) -> Iterator[Client]:
    security = Security.temporary()
    # An interrupt of the terminal reaches all processes: ours ends the others.
    with postponed():
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            protocol="tls://",
            security=security,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            silence_logs=_NOTHING,
        )
    with contextlib.closing(_Ended(cluster)), Client(cluster, security=security, set_as_default=False) as client:
        client.wait_for_workers(workers, timeout=_START_S)
        yield client


class _Ended:
    """Closes a cluster without waiting for ever."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster

    def close(self) -> None:
        self._cluster.close(timeout=_CLOSE_S)


@contextlib.contextmanager
def _found(config: Config, address: str) -> Iterator[Client]:
    security = _security(config) if _scheme_of(address) == "tls" else None
    try:
        client = Client(address, security=security, timeout=_ANSWER_S, set_as_default=False, name="pregen")
    except (OSError, TimeoutError) as e:
        raise WorkerError(
            f"no scheduler answers at {address} ({e}): nothing was published; start one, or correct --cluster"
        ) from e
    with client:
        check_safe(str(client.scheduler_info()["address"]), "the scheduler at")
        yield client


def _scheme_of(address: str) -> str:
    """Return the scheme of an address.

    Raises:
        ConfigError: it is no address, or not safe.
    """
    try:
        parts = urlsplit(address)
        is_whole = bool(parts.hostname and parts.port)
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme not in ("tcp", "tls"):
        raise ConfigError(
            f"--cluster {address!r} is no address of a scheduler: write tls://HOST:8786, or local:4 for four workers "
            "that are started here"
        )
    check_safe(address, "--cluster")
    return parts.scheme


def _security(config: Config) -> Security:
    cluster = config.cluster
    named = {"tls_ca": cluster.tls_ca, "tls_certificate": cluster.tls_certificate, "tls_key": cluster.tls_key}
    missing = [name for name, path in named.items() if path is None]
    if missing:
        raise ConfigError(f"a scheduler at tls:// needs {', '.join(missing)} in [cluster] of {config.path}")
    paths = {name: config.resolve(str(path)) for name, path in named.items()}
    findings = [
        Finding("cluster.tls", "error", f"cluster.{name}: {path} cannot be read: correct the name, or its rights")
        for name, path in paths.items()
        if not _is_readable(path)
    ]
    if findings:
        raise ConfigError("the cluster cannot be reached", findings)
    return Security(
        tls_ca_file=str(paths["tls_ca"]),
        tls_client_cert=str(paths["tls_certificate"]),
        tls_client_key=str(paths["tls_key"]),
        require_encryption=True,
    )


def _is_readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Dask write no log here while it works for us."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application", "asyncio")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(_NOTHING)
    try:
        with dask.config.set(_SETTINGS):
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
