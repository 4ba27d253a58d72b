"""The application behind granian: its worker processes, their beginning and their end.

The only module that needs the extra ``edge``.
"""

import logging
import multiprocessing
import os
import signal
import time
from contextlib import suppress
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer, WorkerProcess

from storage.edge.logs.log import SERVER, configuration
from storage.edge.serving.application import DRAIN
from storage.edge.serving.farewell import DRAIN_S
from storage.edge.serving.limits import CONNECTIONS, connections_within, raise_descriptors
from storage.edge.serving.settings import BODY_S, Settings
from storage.edge.serving.worker import OpenSource, make_application

# A connection that says nothing, or says it slowly, is one of 1,024 of its worker: it is kept as long as a slow
# body, and not for half a minute. What it has said is kept too: 16 KiB, and not 400.
_HTTP1 = HTTP1Settings(header_read_timeout=int(BODY_S * 1000), max_buffer_size=16 * 1024)
_DRAIN_MARGIN_S = 0.25
_STOP_S = 15  # longer than a store's time-out, so that requests under way end by themselves

_log = logging.getLogger(SERVER)


class _Server(MPServer):
    """A server whose workers never see SIGINT; SIGTERM from their parent ends them.

    Ctrl-C reaches all processes of a terminal: a worker that is still starting would die of it with a traceback.
    """

    def _spawn_worker(self, *arguments: object, **options: object) -> WorkerProcess:
        made: WorkerProcess = super()._spawn_worker(*arguments, **options)
        made.__class__ = _Worker
        return made

    def signal_handler_reload(self, *_: object) -> None:
        """Have the workers open their log again (SIGHUP); granian would replace all of them."""
        for worker in self.wrks:
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, signal.SIGHUP)

    def _stop_workers(self) -> None:
        for worker in self.wrks:
            worker.interrupt_by_parent = True
            with suppress(ProcessLookupError):
                os.kill(worker.inner.pid, DRAIN)
        time.sleep(DRAIN_S + _DRAIN_MARGIN_S)  # they end by themselves; who does not is told to
        super()._stop_workers()  # type: ignore[no-untyped-call] # granian has no types here


class _Worker(WorkerProcess):
    """A worker process that inherits a mask of signals without SIGINT, nor those that it has no handlers for yet."""

    def start(self) -> None:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, DRAIN})
        try:
            super().start()  # type: ignore[no-untyped-call] # granian has no types here
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def run(
    open_source: OpenSource,
    *,
    host: str,
    port: int,
    workers: int,
    settings: Settings,
    log_file: Path | None = None,
    is_quiet: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT, then let the requests under way end; return the exit code.

    Args:
        open_source: called in every worker.
        host: address to listen at.
        port: port to listen at.
        workers: number of processes.
        settings: how they answer.
        log_file: where the lines about requests go; stdout without it.
        is_quiet: whether the server's own log has warnings and errors alone.
    """
    multiprocessing.set_start_method("spawn", force=True)  # obstore does not survive a fork
    resource_tracker.ensure_running()  # or the first worker's start does it, and lifts the mask that `_Worker` sets
    descriptors = raise_descriptors()
    connections = connections_within(descriptors)
    server = _Server(
        "storage.edge",
        address=host,
        port=port,
        uds=settings.unix,
        uds_permissions=settings.unix_mode,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=_HTTP1,
        websockets=False,
        workers=workers,
        backpressure=connections,  # of each worker; granian divides its own default among them
        workers_kill_timeout=_STOP_S,
        respawn_failed_workers=True,
        log_level=LogLevels.warning,
        log_dictconfig=configuration(log_file, is_quiet=is_quiet),
    )
    where = (
        f"http://{f'[{host}]' if ':' in host else host}:{port}" if settings.unix is None else f"unix:{settings.unix}"
    )
    _log.info("serving at %s with %d worker(s)", where, workers)
    if connections < CONNECTIONS:
        _log.warning("a worker takes %d connections and no more: ulimit -n is %d", connections, descriptors)
    loader = partial(make_application, open_source, settings)
    try:
        server.serve(target_loader=loader, wrap_loader=False)  # type: ignore[arg-type] # it takes RSGI objects too
    except SystemExit:  # a worker died, and was not to be replaced, or died while all were asked to end
        return 0 if server.interrupt_signal else 1
    return 0
