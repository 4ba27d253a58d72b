"""What runs on a worker of a cluster: it is admitted, takes a job from the spool, and does task after task of it.

Nothing is raised to Dask, which would write what it is given into logs, and do it again: what a task raises is a
result, as its value is.
"""

import hashlib
import os
import pickle
import threading
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

from distributed import get_worker

from pregen.errors import SpoolError, WorkerError
from pregen.generation.cluster.admission import Machine, machine_here
from pregen.generation.cluster.parcels import KeysHere, unpack
from pregen.generation.rows.spool import PartRange, Spool
from pregen.generation.work.memory import forbid_core_dumps, keep_freed_memory
from pregen.generation.work.workers import portable

_Job: TypeAlias = tuple[Callable[[object], Callable[[object], object]], object]


class Parcel(NamedTuple):
    """A job in the spool.

    Attributes:
        spool: where it is.
        name: of its object.
        size_bytes, sha256: of the object.
        run: which run of which client it belongs to: see `admit`.
        config: the worker's own configuration.
        admitted: `Machine.digest` of the client.
    """

    spool: Spool
    name: str
    size_bytes: int
    sha256: bytes
    run: str
    config: str
    admitted: str


class Done(NamedTuple):
    """What a task has come to: its result, what it raised, or why it was not done; and the address of the worker.

    Attributes:
        is_stranger: whether the client has not looked at this worker yet, which has done nothing then.
    """

    result: object = None
    raised: Exception | None = None
    refused: Machine | None = None
    is_stranger: bool = False
    worker: str = ""


class _Work:
    """What this process does at the moment; Dask may have several threads, and only one of them works."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.name = ""
        self.call: Callable[[object], object] | None = None
        self.keys: KeysHere | None = None
        self.runs: deque[str] = deque(maxlen=_RUNS)


_RUNS = 1_000  # that a worker is admitted to at once, which is more than there are clients
_work = _Work()


def about(config: str) -> Machine:
    """Return what this worker is.

    Raises:
        ConfigError: its configuration cannot be read.
    """
    return machine_here(Path(config))


def admit(run: str) -> None:
    """Let this worker work for a run: its client has looked at it. One that is started anew is asked again."""
    _work.runs.append(run)


def work(parcel: Parcel, task: bytes) -> bytes:
    """Do one task of a job, and return a `Done`, pickled."""
    with _work.lock:
        return pickle.dumps(_done(parcel, task)._replace(worker=get_worker().address))


def _done(parcel: Parcel, task: bytes) -> Done:
    if parcel.run not in _work.runs:
        return Done(is_stranger=True)
    try:
        if _work.name != parcel.name:  # configuration and keys are looked at anew for each job: they may have changed
            _work.call, _work.name, _work.keys = None, "", KeysHere(Path(parcel.config))
            forbid_core_dumps()
            keep_freed_memory()
            machine = about(parcel.config)
            if machine.digest != parcel.admitted:
                return Done(refused=machine)
            factory, argument = cast("_Job", unpack(_octets(parcel), _work.keys))
            _work.call, _work.name = factory(argument), parcel.name
        assert _work.call is not None
        assert _work.keys is not None
        return Done(result=_work.call(unpack(task, _work.keys)))
    except Exception as e:  # noqa: BLE001 - whatever it is, the client raises it
        _work.name = ""  # what it has half done, such as rows of a part, is no other task's
        e.add_note(f"on the worker {os.uname().nodename}, process {os.getpid()}:\n{traceback.format_exc()}")
        return Done(raised=portable(e))


def _octets(parcel: Parcel) -> bytes:
    octets = bytearray(parcel.size_bytes)
    try:
        parcel.spool.fetch([PartRange(parcel.name, 0, parcel.size_bytes)], memoryview(octets))
    except SpoolError as e:
        raise WorkerError(
            f"{os.uname().nodename} cannot read what the client has spooled: let [run] spool be a folder that all "
            f"machines share, or a store ({e.message})"
        ) from e
    if hashlib.sha256(octets).digest() != parcel.sha256:  # unpickling runs what it says
        raise WorkerError(
            f"{parcel.spool.place_of(parcel.name)}: it is not what the client wrote; nothing was published"
        )
    return bytes(octets)
