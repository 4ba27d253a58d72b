"""What runs on a worker of a cluster: it is admitted, takes a job from the spool, and does task after task of it.

Nothing is raised to Dask, which would write what it is given into logs, and do it again: what a task raises is a
result, as its value is.
"""

import hashlib
import os
import pickle
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

from pregen.errors import WorkerError
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
        config: the worker's own configuration.
        admitted: `Machine.digest` of the client.
    """

    spool: Spool
    name: str
    size_bytes: int
    sha256: bytes
    config: str
    admitted: str


class Done(NamedTuple):
    """What a task has come to: its result, what it raised, or why it was not done."""

    result: object = None
    raised: Exception | None = None
    refused: Machine | None = None


class _Work:
    """What this process does at the moment; Dask may have several threads, and only one of them works."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.name = ""
        self.call: Callable[[object], object] | None = None
        self.machine: dict[str, Machine] = {}
        self.keys: dict[str, KeysHere] = {}


_work = _Work()


def about(config: str) -> Machine:
    """Return what this worker is.

    Raises:
        ConfigError: its configuration cannot be read.
    """
    return machine_here(Path(config))


def work(parcel: Parcel, task: bytes) -> bytes:
    """Do one task of a job, and return a `Done`, pickled."""
    with _work.lock:
        return pickle.dumps(_done(parcel, task))


def _done(parcel: Parcel, task: bytes) -> Done:
    try:
        if parcel.config not in _work.machine:
            forbid_core_dumps()
            keep_freed_memory()
            _work.machine[parcel.config] = about(parcel.config)
            _work.keys[parcel.config] = KeysHere(Path(parcel.config))
        machine, keys = _work.machine[parcel.config], _work.keys[parcel.config]
        if machine.digest != parcel.admitted:
            del _work.machine[parcel.config]  # it may have been corrected when it is asked again
            return Done(refused=machine)
        if _work.name != parcel.name:
            _work.call, _work.name = None, ""
            factory, argument = cast("_Job", unpack(_octets(parcel), keys))
            _work.call, _work.name = factory(argument), parcel.name
        assert _work.call is not None
        return Done(result=_work.call(unpack(task, keys)))
    except Exception as e:  # noqa: BLE001 - whatever it is, the client raises it
        e.add_note(f"on the worker {os.uname().nodename}, process {os.getpid()}:\n{traceback.format_exc()}")
        return Done(raised=portable(e))


def _octets(parcel: Parcel) -> bytes:
    octets = bytearray(parcel.size_bytes)
    parcel.spool.fetch([PartRange(parcel.name, 0, parcel.size_bytes)], memoryview(octets))
    if hashlib.sha256(octets).digest() != parcel.sha256:  # unpickling runs what it says
        raise WorkerError(
            f"{parcel.spool.place_of(parcel.name)}: it is not what the client wrote; nothing was published"
        )
    return bytes(octets)
