"""A worker process: it opens the source, ends when its parent is gone, and leaves without being torn down."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import TypeAlias

from storage.edge.logs.log import finish
from storage.edge.serving.application import Application
from storage.edge.serving.settings import Settings
from storage.edge.serving.vigil import counts_in
from storage.edge.source import LiveSource
from storage.edge.watching.counters import Counts

# Takes what counts the requests to a remote store; returns the source and whether it is local. Called by the thread
# that serves. Travels to workers, so it must pickle.
OpenSource: TypeAlias = Callable[[Counts], tuple[LiveSource, bool]]


def make_application(open_source: OpenSource, settings: Settings) -> Application:
    """Open the source in this worker process and return its application."""
    atexit.register(_leave)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    counts = counts_in(settings.counts_folder)
    source, is_local = open_source(counts)
    # At the end it leaves at once: threads that hang in the store would keep the process.
    return Application(source, is_local=is_local, settings=settings, counts=counts, at_end=_leave)


def _end_with_parent() -> None:
    """Stop this worker when its parent is gone: it would keep the port, and a new server could not start."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _leave() -> None:
    """End a worker before the interpreter is torn down, under which granian's threads panic (seen with 2.8)."""
    finish()
    os._exit(0)
