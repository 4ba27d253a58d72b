"""Whether a log is whole: what of an interval is not in it, and why.

The counters of a worker prove the lines between them. Nobody can say of anything else whether a request was there: the
time after the last counters of a worker that has not ended in order, a worker's lines that are not there, requests that
were left out on purpose, lines of edges that write no counters, and time of which there is no log at all.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from pregen import clock
from pregen.logs.log_reading import FileFacts
from pregen.logs.stretches import CountedSpan, Counters, WorkerStretch, in_order

PERIOD_MS: Final = 60_000
"""A worker writes its counters once in this time."""

LATEST_MS: Final = 2 * PERIOD_MS
"""A worker without counters for so long has died."""

RESTART_MS: Final = 60_000
"""So long an edge may be away between an orderly end and a start without being missed: nobody was answered then."""


ENDLESS_MS: Final = 1 << 62
"""The end of a time that goes on."""


class Interval(NamedTuple):
    """From when until when, in milliseconds since 1970; the end does not belong to it."""

    from_ms: int
    to_ms: int

    def __str__(self) -> str:
        begin = clock.text(self.from_ms // 1000)
        return f"{begin} to {clock.text(self.to_ms // 1000)}" if self.is_ended else f"from {begin} on"

    @property
    def is_ended(self) -> bool:
        """Whether it has an end."""
        return self.to_ms < ENDLESS_MS

    def meets(self, other: "Interval") -> bool:
        """Return whether an instant belongs to both."""
        return max(self.from_ms, other.from_ms) < min(self.to_ms, other.to_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Something that keeps anybody from saying that there was no request.

    Attributes:
        code: ``lines-missing``, ``lines-twice``, ``lines-lost``, ``sampled``, ``unfinished``, ``no-counters`` or
            ``no-log``.
        when: in which time.
        message: what it is.
    """

    code: str
    when: Interval
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedWorker:
    """All that the logs have of one worker of an edge.

    Attributes:
        stretch: its lines and counters, of all files.
        goes_on_to_ms: until when the file of its last lines goes on, with lines of others of its machine.
    """

    stretch: WorkerStretch
    goes_on_to_ms: int

    @classmethod
    def of(cls, stretches: Sequence[tuple[WorkerStretch, int]]) -> Self:
        """Return a worker, of what each file has of it, each with the last time of any line of its machine there."""
        ends = dict(zip(map(id, (one for one, _ in stretches)), (end for _, end in stretches), strict=True))
        parts = in_order([one for one, _ in stretches])
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.then(part)
        return cls(stretch=_begun(whole).condensed(), goes_on_to_ms=ends[id(parts[-1])])

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"worker {self.stretch.worker}" + (f" of {self.stretch.host}" if self.stretch.host else "")

    @property
    def has_ended(self) -> bool:
        """Whether its end was in order, and is in the log."""
        return bool(self.stretch.counters) and self.stretch.counters[-1].is_end and self.stretch.seen[-1] == 1

    @property
    def known(self) -> Interval:
        """When it is known to have been at work: from its start, or its first line, to its last counters."""
        counters = self.stretch.counters
        if not counters:
            return Interval(self.stretch.first_ms, self.stretch.first_ms)
        spans = self.stretch.spans()
        # The time before the first line of these logs is of another one.
        first = counters[1] if spans[0].missing > 0 and len(counters) > 1 else counters[0]
        return Interval(first.time_ms, counters[-1].time_ms)

    @property
    def doubt(self) -> Interval:
        """In which time after its last counters it may have had requests that are not in the log."""
        counters = self.stretch.counters
        since = counters[-1].proven_until_ms if counters else self.stretch.first_ms
        if self.has_ended:
            return Interval(counters[-1].time_ms, counters[-1].time_ms)
        last = max(self.stretch.last_ms, counters[-1].time_ms if counters else 0)
        # A worker that lives has written counters since, where the log of its machine goes on: this one is dead.
        return Interval(since, last + LATEST_MS if self.goes_on_to_ms > last + LATEST_MS else ENDLESS_MS)

    def lacks(self) -> Iterator[Lack]:
        """Yield what of its time is not in the log."""
        for span in self.stretch.spans():
            times = sorted((span.first.proven_until_ms, span.last.time_ms))
            yield from _lacks_of(span, self.name, Interval(times[0], max(times[1], times[0] + 1)))
        if self.doubt.to_ms > self.doubt.from_ms:
            since = clock.text(self.doubt.from_ms // 1000)
            text = f"{self.name} has not ended in order: whether it had requests after {since} is not in the log"
            if not self.stretch.counters:
                text = f"{self.name} has no counters in the log: nobody can say whether its lines are all there"
            yield Lack(code="unfinished", when=self.doubt, message=text)


def workers_of(files: Sequence[FileFacts]) -> list[LoggedWorker]:
    """Return what all files have of each worker."""
    parts: dict[str, list[tuple[WorkerStretch, int]]] = {}
    for file in files:
        ends: dict[str | None, int] = {None: 0}  # a file may have the logs of several machines, cut where they were
        for stretch in file.stretches.values():
            if stretch.host is not None:
                ends[stretch.host] = max(ends.get(stretch.host, 0), stretch.last_ms)
        for stretch in file.stretches.values():
            parts.setdefault(stretch.worker, []).append((stretch, ends[stretch.host]))
    return [LoggedWorker.of(found) for found in parts.values()]


def known_interval(workers: Sequence[LoggedWorker]) -> Interval | None:
    """Return the time of which logs can know all: without the minute at each end that a log that is cut there lacks.

    None: there is no such time, as where they have no counters, or those of one instant.
    """
    known = [worker for worker in workers if worker.stretch.counters]
    if not known:
        return None
    first, last = min(worker.known.from_ms for worker in known), max(worker.known.to_ms for worker in known)
    begins = [one.known.from_ms for one in known if one.stretch.counters[0].time_ms < one.known.from_ms]
    from_ms = max([first, *(at for at in begins if at <= first + LATEST_MS)])
    ends = [one.doubt.from_ms for one in known if not one.has_ended]
    to_ms = min([last, *(at for at in ends if at >= last - LATEST_MS)])
    return Interval(from_ms, to_ms) if from_ms < to_ms else None


def time_of(files: Sequence[FileFacts]) -> Interval | None:
    """Return the time from the first line of the logs to the last one; None: they have none."""
    times = [time_ms for file in files for time_ms in file.nameless or ()]
    times += [ms for file in files for one in file.stretches.values() for ms in (one.first_ms, one.last_ms)]
    return Interval(min(times), max(times[0] + 1, *times)) if times else None


def lacks_in(interval: Interval, files: Sequence[FileFacts], workers: Sequence[LoggedWorker]) -> list[Lack]:
    """Return what of an interval is not in the logs, in the order of time; none: each request would be there."""
    found = [lack for worker in workers for lack in worker.lacks()]
    for file in files:
        if file.nameless is not None:
            text = f"{file.name} has lines without the name of a worker, which no counters prove"
            found.append(Lack(code="no-counters", when=Interval(file.nameless[0], file.nameless[1] + 1), message=text))
    found += _without_log(interval, workers)
    return sorted((lack for lack in found if lack.when.meets(interval)), key=lambda lack: lack.when)


def _begun(stretch: WorkerStretch) -> WorkerStretch:
    """Return a stretch with the counters of its worker's start, which are 0, before all others."""
    if not stretch.counters:
        return stretch
    first = stretch.counters[0]
    start = Counters(first.began_ms, first.began_ms, 0, 0, 0, 0, 0, first.sample, is_end=False)
    return WorkerStretch(
        worker=stretch.worker,
        host=stretch.host,
        first_ms=stretch.first_ms,
        last_ms=stretch.last_ms,
        seen=(0, *stretch.seen),
        counters=(start, *stretch.counters),
    )


def _lacks_of(span: CountedSpan, name: str, when: Interval) -> Iterator[Lack]:
    if span.missing > 0:
        text = f"{span.missing:,} of {span.missing + span.seen:,} lines of {name} are not there"
        yield Lack(code="lines-missing", when=when, message=f"{text}: add the file that has them, if there is one")
    elif span.missing + span.lost < 0:  # what waited to be written while counters were made may have been lost later
        text = f"{name} has {-span.missing:,} lines more than it has written: some are there twice"
        yield Lack(code="lines-twice", when=when, message=text)
    if span.lost:
        yield Lack(code="lines-lost", when=when, message=f"{name} could not write {span.lost:,} lines")
    if span.left_out:
        text = f"{name} has left out {span.left_out:,} good answers: it logs one of {span.last.sample:,}"
        yield Lack(code="sampled", when=when, message=text)


def _without_log(interval: Interval, workers: Sequence[LoggedWorker]) -> Iterator[Lack]:
    """Yield when no worker was at work that the logs know of; a restart is no such time."""
    end, is_orderly = interval.from_ms, False
    counted = [worker for worker in workers if worker.stretch.counters]
    for worker in sorted(counted, key=lambda worker: worker.stretch.counters[0].time_ms):
        first, last = worker.stretch.counters[0].time_ms, worker.stretch.counters[-1].time_ms
        if first > end and not (is_orderly and first - end <= RESTART_MS):
            yield _no_log(Interval(end, first))
        if last >= end:
            end, is_orderly = last, worker.has_ended
    if end < interval.to_ms:
        yield _no_log(Interval(end, interval.to_ms))


def _no_log(when: Interval) -> Lack:
    return Lack(code="no-log", when=when, message="no edge has counters of that time in these logs: add its logs")
