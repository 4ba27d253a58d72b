"""A pool whose workers are those of a Dask cluster: tasks go there, and results come back, whatever happens to either.

Dask finds out that a worker has died and gives its tasks to another. What it does not find out is told here: a worker
that hangs, whose tasks are given to another after a while, and workers that may not work. No more tasks are under way
than keep all workers busy, so that neither the client nor the scheduler grows with their number.
"""

import asyncio
import contextlib
import hashlib
import os
import pickle
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias

from distributed import CancelledError, Client, Future, KilledWorker

from pregen.errors import Finding, PregenError, WorkerError
from pregen.generation.cluster.admission import Asked, Machine, machine_here, objections
from pregen.generation.cluster.afar import Done, Parcel, about, admit, work
from pregen.generation.cluster.figures import ClusterFigures
from pregen.generation.cluster.parcels import pack
from pregen.generation.cluster.safety import check_safe
from pregen.generation.rows.spool import Spool
from pregen.generation.work.workers import Argument, Result, Task

_AHEAD = 2  # tasks a worker: one that it does, and the next one
_LOOK_S = 1.0  # how often it is looked whether something hangs
_ANSWER_S = 60.0  # what a worker may take to say what it is: where it reads its program first, some seconds
_ALONE_S = 60.0  # without any worker: a supervisor may be starting some anew
_Ended: TypeAlias = "queue.SimpleQueue[Future[bytes]]"
_NOTHING = "nothing was published, the current generation is what it was"


@dataclass(frozen=True, slots=True)
class ClusterTerms:
    """What a pool has to know of a run.

    Attributes:
        spool: where jobs are put, which all workers reach.
        config: the configuration of the client.
        config_there: that of each worker.
        task_timeout_s: after how long a task is given to another worker.
    """

    spool: Spool
    config: str
    config_there: str
    task_timeout_s: float


@dataclass(slots=True, eq=False)
class _JobAttempt(Generic[Task]):
    """A task that is under way."""

    task: Task
    number: int
    octets: bytes
    future: Future[bytes]
    since_s: float
    tries: int = 1


class ClusterPool:
    """Workers of a cluster, as a pool; belongs to the client that it was given."""

    def __init__(self, client: Client, terms: ClusterTerms) -> None:
        """Look at all workers there are.

        Raises:
            WorkerError: there is none, or one may not work for this run.
        """
        self._client, self._terms = client, terms
        self._id = os.urandom(8).hex()
        self._jobs = 0
        self._machine = machine_here(Path(terms.config))
        self._hanging: set[str] = set()
        self._admitted: set[str] = set()
        self._under_way: dict[str, _JobAttempt[Any]] = {}
        self._known: dict[str, int] = {}  # workers, and their threads
        self._heard_s: dict[str, float] = {}  # when each has done a task last
        self._looked_s = self._seen_s = time.monotonic()
        self.figures = ClusterFigures()
        self._admit()
        self.figures.workers, self.figures.threads = len(self._known), sum(self._known.values())
        client.subscribe_topic("all", self._noted)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self._known)

    def map(
        self, factory: Callable[[Argument], Callable[[Task], Result]], argument: Argument, tasks: Iterable[Task]
    ) -> Iterator[Result]:
        """Yield the results of all tasks, as they come; each is taken once, however often it was done.

        Raises:
            WorkerError: workers died at it again and again, none is left, or the scheduler is away.
            SpoolError: the job cannot be put into the spool.
            Exception: what a task raised.
        """
        waiting = enumerate(tasks)
        first = next(waiting, None)
        if first is None:
            return
        job = self._shelved(factory, argument)
        ended: _Ended = queue.SimpleQueue()
        under_way: dict[str, _JobAttempt[Task]] = {}
        self._under_way = under_way

        def begin(number: int, task: Task) -> None:
            attempt = self._submitted(job, _JobAttempt(task, number, pack(task), None, 0.0), ended)  # type: ignore[arg-type]
            under_way[str(attempt.future.key)] = attempt

        try:
            begin(*first)
            while under_way:
                while len(under_way) < _AHEAD * max(1, len(self._known)) and (one := next(waiting, None)):
                    begin(*one)
                if time.monotonic() - self._looked_s > _LOOK_S:
                    self._look(job, under_way, ended)
                try:
                    future = ended.get(timeout=_LOOK_S)
                except queue.Empty:
                    continue
                attempt = under_way.pop(str(future.key), None)
                if attempt is None:  # it was done elsewhere meanwhile
                    continue
                done = self._done(attempt)
                if done.is_stranger:  # it came since the last look, or was started anew, and has done nothing
                    self._admitted.discard(done.worker)
                    self._admit()
                    attempt.tries += 1
                    under_way[str(self._submitted(job, attempt, ended).future.key)] = attempt
                    continue
                yield self._result(done)
        finally:
            self._under_way = {}
            with contextlib.suppress(Exception):  # the scheduler may be what failed
                self._client.cancel([one.future for one in under_way.values()], force=True)

    def _shelved(self, factory: object, argument: object) -> Parcel:
        self._jobs += 1
        octets, name = pack((factory, argument)), f"job-{self._id}-{self._jobs}"
        terms = self._terms
        terms.spool.put(name, [memoryview(octets)])
        return Parcel(
            terms.spool,
            name,
            len(octets),
            hashlib.sha256(octets).digest(),
            self._id,
            terms.config_there,
            self._machine.digest,
        )

    def _submitted(self, job: Parcel, attempt: _JobAttempt[Task], ended: _Ended) -> _JobAttempt[Task]:
        allowed = [worker for worker in self._known if worker not in self._hanging]
        if self._known and not allowed:
            raise WorkerError(f"no worker of the cluster is left for {attempt.task.label}: {_NOTHING}; run again")
        with _reached():
            attempt.future = self._client.submit(
                work,
                job,
                attempt.octets,
                key=f"{job.name}-{attempt.number}-{attempt.tries}",
                pure=False,
                workers=allowed if self._hanging else None,
                priority=-attempt.number,
            )
        attempt.since_s = time.monotonic()
        attempt.future.add_done_callback(ended.put)
        return attempt

    def _done(self, attempt: _JobAttempt[Task]) -> Done:
        label = attempt.task.label
        try:
            with _reached():
                octets = attempt.future.result()
        except KilledWorker as e:
            how = f"ended each of {e.allowed_failures + 1} worker processes that were given it"
            raise WorkerError(f"{label} {how}: {_NOTHING}; look at their logs") from None
        finally:
            attempt.future.release()
        done: Done = pickle.loads(octets)  # noqa: S301 - of a worker, which was trusted with keys of its own
        self._heard_s[done.worker] = time.monotonic()
        return done

    def _result(self, done: Done) -> Any:  # noqa: ANN401 - what the job's call returned
        if done.refused is not None:
            raise self._refusal(done.worker, objections(self._machine, _asked_now(done.refused)))
        if done.raised is not None:
            raise done.raised
        return done.result

    def _admit(self) -> None:
        """Look at workers that were not looked at yet.

        Raises:
            WorkerError: one may not work for this run.
        """
        with _reached():
            # Not `scheduler_info`, whose answer another thread of Dask replaces by one without workers.
            told = self._client.sync(self._identity)["workers"]
        self._known = {name: one["nthreads"] for name, one in told.items()}
        new = [name for name in self._known if name not in self._admitted and name not in self._hanging]
        for name in new:
            check_safe(name, "the worker at")
        with _reached():
            answers = self._client.sync(self._all_asked, new) if new else []
        for name, answer in zip(new, answers, strict=True):
            if isinstance(answer, TimeoutError):
                self._hanging.add(name)
                text = (
                    f"{name} has not said within {_ANSWER_S:.0f} s what it is: it gets no tasks; look at that machine"
                )
                self.figures.warnings.append(Finding("cluster.worker-hangs", "warning", text))
            if isinstance(answer, OSError):  # it went away while it was asked; TimeoutError is one, too
                continue
            if isinstance(answer, PregenError):
                raise self._refusal(name, [str(answer)])
            if not isinstance(answer, Asked):
                raise self._refusal(name, [f"does not answer as one of ours ({type(answer).__name__}: {answer})"])
            found = objections(self._machine, answer)
            if (threads := self._known[name]) > 1:
                found.append(
                    f"has {threads} threads, which one process cannot use: start it with --nthreads 1, one a core"
                )
            if found:
                raise self._refusal(name, found)
            with _reached():
                self._client.run(admit, self._id, workers=[name], on_error="ignore")
            self._admitted.add(name)
        if not self._admitted:
            raise WorkerError(f"the cluster has no workers: {_NOTHING}; start some, and run again")

    async def _all_asked(self, names: list[str]) -> list[Asked | BaseException]:
        """Return what workers say that they are, or why not; one that hangs holds nobody up for long."""
        return await asyncio.gather(*map(self._asked, names), return_exceptions=True)

    async def _asked(self, name: str) -> Asked:
        before = time.time()
        asked = self._client.run(about, self._terms.config_there, workers=[name], on_error="return")
        answer = (await asyncio.wait_for(asked, _ANSWER_S)).get(name, ConnectionError(f"{name} is gone"))
        if isinstance(answer, BaseException):
            raise answer
        return Asked(answer, before, time.time())

    async def _identity(self) -> dict[str, Any]:
        """Return what the scheduler says of itself and of all workers."""
        assert self._client.scheduler is not None
        told: dict[str, Any] = await self._client.scheduler.identity(n_workers=-1)
        return told

    def _refusal(self, name: str, why: list[str]) -> WorkerError:
        return WorkerError(
            f"a worker of the cluster may not work for this run; {_NOTHING}",
            [Finding("cluster.worker", "error", f"{name} {text}") for text in why],
        )

    def _look(self, job: Parcel, under_way: dict[str, _JobAttempt[Task]], ended: _Ended) -> None:
        """Give tasks of workers that hang to others, and look at workers that came."""
        self._admit()
        now = self._looked_s = time.monotonic()
        if self._known:
            self._seen_s = now
        elif now - self._seen_s > _ALONE_S:
            raise WorkerError(f"the cluster has had no worker for {_ALONE_S:.0f} s: {_NOTHING}; start some, run again")
        limit_s = self._terms.task_timeout_s
        if all(now - one.since_s <= limit_s for one in under_way.values()):
            return
        with _reached():
            at = {name: [str(key) for key in keys] for name, keys in self._client.processing().items()}
        waits = {key: one for key, one in under_way.items() if not one.future.done()}
        for name, keys in at.items():
            theirs = [waits[key] for key in keys if key in waits]
            if not theirs or name in self._hanging:
                continue
            # It does one after the other: what it does now, it has begun after it had done the one before.
            began_s = max(self._heard_s.get(name, 0.0), min(one.since_s for one in theirs))
            if now - began_s > limit_s:
                self._hanging.add(name)
                self._tell_hanging(name, [one.task.label for one in theirs])
        if not self._hanging:
            return
        placed = {key for name, keys in at.items() if name not in self._hanging for key in keys}
        for key, attempt in waits.items():
            if key in placed or now - attempt.since_s <= limit_s:
                continue
            del under_way[key]
            with _reached():
                self._client.cancel([attempt.future], force=True)
            attempt.tries += 1
            self.figures.retried += 1
            self._submitted(job, attempt, ended)
            under_way[str(attempt.future.key)] = attempt

    def _tell_hanging(self, name: str, labels: list[str]) -> None:
        text = (
            f"{name} has done nothing of {', '.join(labels)} within {self._terms.task_timeout_s:,.0f} s (task_timeout "
            "of [cluster]): its tasks were given to others, and it gets no more in this run; look at that machine"
        )
        self.figures.warnings.append(Finding("cluster.worker-hangs", "warning", text, len(labels)))

    def _noted(self, event: tuple[float, Any]) -> None:
        """Count tasks that are done again since their worker is gone."""
        _, told = event
        if isinstance(told, dict) and told.get("action") == "remove-worker":
            again = {*told.get("processing-tasks", ()), *told.get("lost-computed-tasks", ())}
            again = {key for key in again if str(key) in self._under_way}
            self.figures.retried += len(again)
            if again:
                text = f"{told.get('worker')} went away; its tasks are done by others"
                self.figures.warnings.append(Finding("cluster.worker-gone", "warning", text, len(again)))


@contextlib.contextmanager
def _reached() -> Iterator[None]:
    """Say in our words that the scheduler does not answer.

    Raises:
        WorkerError: it does not.
    """
    try:
        yield
    except (CancelledError, OSError, TimeoutError) as e:
        raise WorkerError(f"the scheduler of the cluster is away: {_NOTHING}; start it, and run again") from e


def _asked_now(machine: Machine) -> Asked:
    return Asked(machine, machine.clock_s, machine.clock_s)
