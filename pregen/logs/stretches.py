"""What the counters lines of a log tell: how many lines a worker has written, beside how many there are.

Each worker of an edge writes a line of counters at its start, once a minute and at its orderly end. Between two of them
there must be as many lines of this worker as the difference says, in the order of the file. A `WorkerStretch`
holds both sides of that for one worker: of a block of lines, of a file, or of all its files in a row, for stretches
join.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

LONGEST_REQUEST_MS: Final = 60_000
"""No request is under way for longer: the deadlines of an edge end within seconds."""


class Counters(NamedTuple):
    """One line of counters: what a worker has done since its start.

    Attributes:
        time_ms: when it was written, in milliseconds since 1970.
        began_ms: when the worker began.
        requests: requests that were complete by then.
        lines: its lines before this one, whatever they are about, less those that were lost.
        lost: lines that were lost.
        sampled_out: requests that were left out on purpose (``--log-sample``).
        under_way: requests that were complete, and whose lines come later.
        sample: one of so many good answers is logged.
        is_end: whether the worker has ended in order with this line.
    """

    time_ms: int
    began_ms: int
    requests: int
    lines: int
    lost: int
    sampled_out: int
    under_way: int
    sample: int
    is_end: bool

    @property
    def proven_until_ms(self) -> int:
        """Until when each request that was complete has its line, or is counted, before this one."""
        return self.time_ms - LONGEST_REQUEST_MS if self.under_way > 0 else self.time_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedSpan:
    """What lies between two lines of counters of one worker.

    Attributes:
        first: the counters before it.
        last: the counters behind it.
        seen: how many lines are there, the first counters among them.
    """

    first: Counters
    last: Counters
    seen: int

    @property
    def missing(self) -> int:
        """How many lines are not there that should be; negative where there are too many."""
        return self.last.lines - self.first.lines - self.seen

    @property
    def lost(self) -> int:
        """How many lines the edge itself has lost, as it says."""
        return self.last.lost - self.first.lost

    @property
    def left_out(self) -> int:
        """How many requests were left out on purpose."""
        return self.last.sampled_out - self.first.sampled_out

    @property
    def is_whole(self) -> bool:
        """Whether every request has its line."""
        return not (self.missing or self.lost or self.left_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStretch:
    """A part of what one worker has logged.

    Attributes:
        worker: its name in the log.
        host: of which machine it says that it is; None: it does not say.
        first_ms: the earliest time of its lines, in milliseconds since 1970.
        last_ms: the latest one.
        seen: lines before the first counters, from each of them to the next one, and from the last one on: one number
            more than there are counters.
        counters: the lines of counters, in their order.
    """

    worker: str
    host: str | None
    first_ms: int
    last_ms: int
    seen: tuple[int, ...]
    counters: tuple[Counters, ...]

    def then(self, other: Self) -> Self:
        """Return this stretch with the next one of the same worker."""
        return replace(
            self,
            host=self.host or other.host,
            first_ms=min(self.first_ms, other.first_ms),
            last_ms=max(self.last_ms, other.last_ms),
            seen=(*self.seen[:-1], self.seen[-1] + other.seen[0], *other.seen[1:]),
            counters=(*self.counters, *other.counters),
        )

    def spans(self) -> tuple[CountedSpan, ...]:
        """Return what lies between the lines of counters."""
        pairs = zip(self.counters, self.counters[1:], self.seen[1:-1], strict=False)
        return tuple(CountedSpan(first=first, last=last, seen=seen) for first, last, seen in pairs)

    def condensed(self) -> Self:
        """Return the stretch without the counters that only stand between spans that are whole."""
        spans, counters, seen = self.spans(), list(self.counters[:1]), [self.seen[0]]
        for at, span in enumerate(spans):
            if at and span.is_whole and spans[at - 1].is_whole:
                counters[-1] = span.last
                seen[-1] += span.seen
            else:
                counters.append(span.last)
                seen.append(span.seen)
        if self.counters:
            seen.append(self.seen[-1])
        return replace(self, seen=tuple(seen), counters=tuple(counters))

    def members(self) -> dict[str, object]:
        """Return the stretch as members of a JSON object."""
        return {
            "worker": self.worker,
            "host": self.host,
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "seen": list(self.seen),
            "counters": [list(one) for one in self.counters],
        }

    @classmethod
    def of_members(cls, members: Mapping[str, object]) -> Self:
        """Return what `members` has written.

        Raises:
            KeyError, TypeError: it has not.
        """
        rows = members["counters"]
        seen = members["seen"]
        host = members["host"]
        if not isinstance(rows, list) or not isinstance(seen, list):
            raise TypeError("counters and seen must be lists")
        return cls(
            worker=str(members["worker"]),
            host=None if host is None else str(host),
            first_ms=int(str(members["first_ms"])),
            last_ms=int(str(members["last_ms"])),
            seen=tuple(map(int, seen)),
            counters=tuple(Counters(*row) for row in rows),
        )


def joined(stretches: Iterable[WorkerStretch]) -> dict[str, WorkerStretch]:
    """Return one stretch for each worker, of parts in the order in which they were written."""
    by_worker: dict[str, WorkerStretch] = {}
    for stretch in stretches:
        before = by_worker.get(stretch.worker)
        by_worker[stretch.worker] = stretch if before is None else before.then(stretch).condensed()
    return by_worker


def in_order(stretches: Sequence[WorkerStretch]) -> list[WorkerStretch]:
    """Return the stretches of files in the order in which their workers have written them."""
    return sorted(stretches, key=lambda one: (one.first_ms, one.last_ms))
