"""A worker process: it opens the source, ends when its parent is gone, and leaves without being torn down."""

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import TypeAlias

from storage.edge.application import Application
from storage.edge.log import finish
from storage.edge.source import LiveSource

# Returns the source and whether it is local; called by the thread that serves. Travels to workers, so it must pickle.
OpenSource: TypeAlias = Callable[[], tuple[LiveSource, bool]]


def make_application(
    open_source: OpenSource, refresh_s: float, max_age_cap_s: int, store_deadline_s: float, unready_when_degraded: bool
) -> Application:
    """Open the source in this worker process and return its application."""
    atexit.register(_leave)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    source, is_local = open_source()
    return Application(
        source,
        is_local=is_local,
        refresh_s=refresh_s,
        max_age_cap_s=max_age_cap_s,
        store_deadline_s=store_deadline_s,
        unready_when_degraded=unready_when_degraded,
        at_end=_leave,  # at once: threads that hang in the store would keep the process
    )


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
