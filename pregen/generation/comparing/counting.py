"""The first look at a shard, in a worker: what it holds, what became of it since the current generation.

Nothing is signed here, and no key is needed: whoever counts shards may be another than who signs them.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from pregen.errors import PublishError, explained
from pregen.generation.comparing.claims import NO_CLAIMS, ClaimArray, hold_against
from pregen.generation.comparing.comparer import ComparedRange, Comparer, ComparisonJob, Now
from pregen.generation.comparing.makings import Former, Keeping, Makings, keeping_of
from pregen.generation.comparing.past import entries_of
from pregen.generation.comparing.tally import Returned, ShardCount
from pregen.generation.rows.endings import Endings
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.rows.truth import all_staying
from pregen.generation.work.steps import Steps


@dataclass(frozen=True, slots=True)
class CountTask:
    """One shard to count.

    Attributes:
        file: its rows.
        expired_before, endings: see `pregen.generation.rows.rows.load_shard`.
        claims: to be held against its rows, by ascending keys.
        former: the shard of the current generation that may be kept in its place; None: there is none.
    """

    file: ShardFile
    expired_before: int | None = None
    endings: Endings | None = None
    claims: ClaimArray = field(default_factory=lambda: NO_CLAIMS)
    former: Former | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file.label


@dataclass(frozen=True, slots=True)
class CountingJob:
    """What a worker needs to count shards; it pickles.

    Attributes:
        comparison: what to compare with; None: there is nothing.
        makings: what digests of shards have beside rows; None: nobody wants to know what shards are made of.
    """

    comparison: ComparisonJob | None = None
    makings: Makings | None = None


class ShardCounter:
    """Counts what a shard holds, compares it with the current generation, and finds rows that contradict each other."""

    def __init__(self, job: CountingJob = CountingJob()) -> None:
        self._comparer = Comparer(job.comparison) if job.comparison else None
        self._makings = job.makings

    def __call__(self, task: CountTask) -> ShardCount:
        """Return what one shard holds.

        Raises:
            SpoolError: its rows cannot be read, or are not what was written.
            PublishError: the store did not return what is to be compared with.
        """
        steps = Steps()
        with steps("survey"):
            rows = load_shard(task.file, task.expired_before, task.endings)
            groups = rows.groups()
        with steps("gates"):
            compared = self._compared(task, rows)
            comparison, lost = compared.comparison, compared.lost
            held = hold_against(rows, task.claims)
        with steps("survey"):
            made_of = self._makings.digest(rows) if self._makings else None
            keeping = keeping_of(task.former, made_of, rows)
            if comparison.damaged:  # what cannot be read is not named again
                keeping = min(keeping, Keeping.PACK)
        return ShardCount(
            shard=task.file.number,
            groups=groups,
            counts=rows.counts,
            examples=rows.examples,
            comparison=comparison,
            held=held,
            staying=all_staying([rows.staying, lost]) if len(lost.entries) else rows.staying,
            steps=steps.take(),
            made_of=made_of,
            keeping=keeping,
            since=compared.since,
            returned=_returned(rows, comparison.keys.get("returned", ())),
        )

    def _compared(self, task: CountTask, rows: ShardRows) -> ComparedRange:
        if self._comparer is None:
            return ComparedRange()
        now = Now(entries_of(rows), task.file.overlaid, rows.staying, rows.expired)
        try:
            return self._comparer.compare(task.file.low, task.file.high, now)
        except OSError as e:
            raise PublishError(f"{task.label}: {explained(e)}; nothing was published") from e


def _returned(rows: ShardRows, keys: Collection[int]) -> tuple[Returned, ...]:
    """Return where rows of some keys are."""
    if not keys:
        return ()
    wanted = np.flatnonzero(np.isin(rows.keys, np.array([*keys], np.uint64)))
    return tuple(
        Returned(
            key=int(row["key"]),
            row=(int(row["file"]), int(row["row"])),
            serial=bytes(row["serial"])[: int(row["code"]) >> 2 & 63],
        )
        for row in rows.spilled(wanted)
    )
