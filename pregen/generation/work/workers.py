"""Worker processes: started by spawn, fed one task at a time, and missed when they die.

Workers get descriptions (paths, addresses, plans) and open keys and stores themselves. Nothing is forked: obstore hangs
after a fork, and keys must not be copied. Where one worker is enough, this process is it: starting another takes a
third of a second, as long as signing 100,000 responses.
"""

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Generic, NamedTuple, NoReturn, Protocol, Self, TypeVar

import multiprocess
from multiprocess import resource_tracker
from multiprocess.connection import Connection, wait
from multiprocess.reduction import ForkingPickler

from pregen.errors import CrashError, WorkerError
from pregen.exit_codes import ExitCode
from pregen.generation.work.memory import forbid_core_dumps, keep_freed_memory
from pregen.interruption import postponed


class Named(Protocol):
    """A task that can be named when its worker dies."""

    @property
    def label(self) -> str:
        """What the task is, for messages, such as ``shard 3``."""


Argument = TypeVar("Argument")
Task = TypeVar("Task", bound=Named)
Result = TypeVar("Result")
_STOP_S = 5.0
_OWN_SIGNAL_S = 0.5
_CRASHES = {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}


class _Job(NamedTuple, Generic[Argument, Task, Result]):
    """What a worker prepares once, and then calls for each task."""

    factory: Callable[[Argument], Callable[[Task], Result]]
    argument: Argument


class Pool(Protocol):
    """Workers that take one job after the other."""

    @property
    def size(self) -> int:
        """How many tasks they do at once."""

    def map(
        self, factory: Callable[[Argument], Callable[[Task], Result]], argument: Argument, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results of all tasks, as they come: see `WorkerPool`. Tasks are asked for as workers get free."""


@contextlib.contextmanager
def open_pool(count: int) -> Iterator[Pool]:
    """Give a pool of `count` workers, which end with the context."""
    if count == 1:
        yield OwnProcess()
    else:
        with WorkerPool(count) as pool:
            yield pool


class OwnProcess:
    """A pool of one: this process, which raises whatever a task raises."""

    size = 1

    def map(
        self, factory: Callable[[Argument], Callable[[Task], Result]], argument: Argument, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results of all tasks, one after the other."""
        call = None
        for task in tasks:
            call = call or factory(argument)
            yield call(task)


class WorkerPool:
    """A fixed number of worker processes, which live until the pool is closed."""

    def __init__(self, count: int) -> None:
        self.size = count
        context = multiprocess.get_context("spawn")
        self._processes: dict[Connection, multiprocess.Process] = {}
        try:
            resource_tracker.ensure_running()  # or the first start does it, and lifts the mask that `postponed` sets
            for _ in range(count):
                ours, theirs = context.Pipe()
                self._processes[ours] = process = context.Process(target=_serve, args=(theirs,), daemon=True)
                with postponed():
                    process.start()
                theirs.close()
        except BaseException:
            self.close(kill=True)
            raise

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        """End all workers; after an error, also those that are in the middle of something."""
        self.close(kill=kind is not None)

    def map(
        self, factory: Callable[[Argument], Callable[[Task], Result]], argument: Argument, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results of all tasks, as they come. A map that does not reach its end closes the pool.

        Args:
            factory: called once in each worker with `argument`; what it returns is called with each task.
            argument: a description that pickles.
            tasks: each goes to the next free worker.

        Raises:
            WorkerError: a worker died; its task is named. A CrashError, if its own code has ended it.
            ValueError: the pool is closed.
            Exception: what a task raised.
        """
        if not self._processes:
            raise ValueError("the pool is closed")
        waiting = iter(tasks)
        busy: dict[Connection, Task] = {}
        finished = False
        try:
            for pipe, task in zip(list(self._processes), waiting, strict=False):
                busy[pipe] = task
                self._send(pipe, task, _Job(factory, argument), task)
            while busy:
                # A dead worker's pipe is ready too: it has nothing more to give.
                for pipe in wait(list(busy)):
                    task = busy.pop(pipe)
                    result: Result = self._receive(pipe, task)
                    if (following := next(waiting, None)) is not None:
                        busy[pipe] = following
                        self._send(pipe, following, following)
                    yield result
            finished = True
        finally:
            if not finished:  # what its workers still send would be taken for answers to the next map
                self.close(kill=True)

    def close(self, *, kill: bool = False) -> None:
        """End all workers and wait for them, so that the CPU time that they took is known."""
        for pipe, process in self._processes.items():
            pipe.close()
            if kill and process.pid:
                process.terminate()
        for process in self._processes.values():
            if process.pid:
                process.join(_STOP_S)
                if process.is_alive():
                    process.kill()
                    process.join()
        self._processes = {}

    def _send(self, pipe: Connection, task: Named, *messages: object) -> None:
        try:
            for message in messages:
                pipe.send(message)
        except OSError:
            raise self._died(pipe, task) from None

    def _receive(self, pipe: Connection, task: Named) -> Any:  # noqa: ANN401 - what the job's call returned
        try:
            worked, result = pipe.recv()
        except (EOFError, OSError):
            raise self._died(pipe, task) from None
        if not worked:
            raise result
        return result

    def _died(self, pipe: Connection, task: Named) -> WorkerError:
        process = self._processes[pipe]
        process.join(_STOP_S)
        code = -signal.SIGTERM if process.exitcode == ExitCode.TERMINATED else process.exitcode
        if code == -signal.SIGTERM:  # service managers end all processes at once: our own may be a moment behind
            time.sleep(_OWN_SIGNAL_S)
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        hint = " (the kernel does that when memory runs out: see dmesg)" if code == -signal.SIGKILL else ""
        message = (
            f"the worker process of {task.label} {how}{hint}: nothing was published, "
            "the current generation is what it was; run again"
        )
        return CrashError(message, task.label, how) if code and -code in _CRASHES else WorkerError(message)


def _serve(pipe: Connection) -> None:
    """Run in the worker: prepare jobs, answer tasks, end when the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends its workers
    forbid_core_dumps()
    keep_freed_memory()
    call: Callable[[object], object] | None = None
    failure: Exception | None = None
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            if readers := sys.modules.get("pregen.snapshot.files.apart"):  # not imported for it, which takes long
                readers.end_readers()
            os._exit(0)  # there is nothing to tidy up, and taking the interpreter down costs a sixth of starting it
        answer: tuple[bool, object]
        try:
            if isinstance(message, _Job):
                call, failure = None, None
                call = message.factory(message.argument)
                continue
            with _unwinding():
                answer = (True, call(message)) if call else (False, failure)
        except Exception as e:  # noqa: BLE001 - whatever it is, the parent raises it
            e.add_note(traceback.format_exc())
            if isinstance(message, _Job):
                failure = portable(e)  # the answer to the first task
                continue
            answer = (False, portable(e))
        try:
            pipe.send(answer)
        except OSError:
            return


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that the local store removes the file that it is writing.

    Elsewhere it ends the process at once: modules that are being imported would make another error of it.
    """

    def terminate(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(ExitCode.TERMINATED)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def portable(error: Exception) -> Exception:
    """Return the error itself, or where it would not survive the way home, a `WorkerError` that quotes it."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # noqa: BLE001 - pickling runs the error's own code
        return WorkerError(f"{type(error).__name__}: {error}")
    return error
