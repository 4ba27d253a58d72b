"""The second step of a run: all that can be refused without a signature.

Every row is read and routed to its shard, every shard is sorted, counted and compared with the current generation, and
all gates are asked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pregen.errors import Finding
from pregen.gates import GateResult, History
from pregen.gates.detector import Observation, Observer, Watch, all_observed
from pregen.generation.comparing.by_issuer import IssuerFigures, figures_by_issuer
from pregen.generation.comparing.counting import CountingJob, CountTask, ShardCounter
from pregen.generation.comparing.makings import Keepable
from pregen.generation.comparing.tally import ShardCount, Tally, add_up
from pregen.generation.gatekeeping import (
    INVALID,
    ask,
    claims_of,
    comparison_job,
    invalid_rows,
    judge_times,
    remembered,
    watch_of,
)
from pregen.generation.lost import lost_but_staying
from pregen.generation.making.left_out import LEFT_BEHIND, NOTHING_LEFT_OUT, LeftOut
from pregen.generation.preparation import Prepared
from pregen.generation.rows.counts import RowCounts
from pregen.generation.rows.groups import Group
from pregen.generation.rows.routing import RoutingJob, ShardFile, route, route_files
from pregen.generation.rows.truth import Overlaid
from pregen.generation.staying import StayingRows, overlaid_of, spool_staying
from pregen.generation.work.steps import Steps
from pregen.generation.workplace import Workplace
from pregen.issuers import Issuer
from pregen.progress import Progress
from pregen.snapshot import Snapshot, StatusBatch
from pregen.snapshot.files import end_readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """A snapshot in its shards, counted.

    Attributes:
        files: the shards.
        tally: what they hold in all, less what was left out since.
        rows_in: rows read.
        excluded: rows without answers, by reason.
        warnings: all of them.
        gates: what the gates said that look at the snapshot.
        history: what the next generation's gates need; None where nobody looked.
        by_issuer: figures of each issuer.
        left_out: of issuers that are left behind, rows that got no answers; among `excluded`, once all is signed.
        staying: what stays in overlays beside the shards, spooled.
    """

    files: tuple[ShardFile, ...]
    tally: Tally
    rows_in: int
    excluded: dict[str, int]
    warnings: tuple[Finding, ...]
    gates: tuple[GateResult, ...] = ()
    history: History | None = field(default=None)
    by_issuer: tuple[IssuerFigures, ...] = ()
    left_out: LeftOut = NOTHING_LEFT_OUT
    staying: StayingRows = field(default_factory=StayingRows)

    @property
    def all_groups(self) -> list[Group]:
        """The groups of all rows that get responses, and of what stays in overlays, in their order."""
        return sorted({*self.tally.groups, *self.staying.groups})

    @property
    def certificates(self) -> int:
        """Rows that get responses."""
        return sum(self.tally.groups.values())

    @property
    def kept(self) -> int:
        """How many of them are in shards whose packs are kept."""
        return sum(self.tally.kept_groups.values())

    def without(self, left: LeftOut) -> "Survey":
        """Return the same without rows that got no answers because their issuers are left behind."""
        if left.is_nothing:
            return self
        rows = sum(left.groups.values()) - left.again
        return replace(
            self,
            tally=self.tally.without(left.groups, left.again),
            excluded={**self.excluded, LEFT_BEHIND: rows} if rows else self.excluded,
            left_out=left,
        )

    def responses(self, issuers: Sequence[Issuer]) -> int:
        """Return how many responses that makes."""
        return _responses(issuers, self.tally.groups)

    def kept_responses(self, issuers: Sequence[Issuer]) -> int:
        """Return how many of them are in shards of which something is kept."""
        return _responses(issuers, self.tally.kept_groups)


def survey(
    prepared: Prepared, place: Workplace, steps: Steps, progress: Progress, keepable: Keepable | None = None
) -> Survey:
    """Route all rows to shards, count them, and ask all gates.

    The shards, and the order of the rows in them, are those of the snapshot, however many workers there are.

    Args:
        prepared: what to read, and for whom.
        place: where the rows go, and who counts them.
        steps: told what reading, routing and counting took.
        progress: told how many rows are read.
        keepable: what of the current generation may be kept; None: nobody wants to know, and nothing is.

    Raises:
        InputError: rows that cannot be read, or that contradict each other; all kinds are counted.
        GateError: a gate refuses the snapshot, or nothing is left to sign.
        PublishError: the store did not return what the snapshot is to be compared with.
        SpoolError: no space for spill files, or they are not what was written.
    """
    snapshot = prepared.snapshot
    watch, observations = watch_of(prepared), list[Observation]()
    files = _told(_routed(prepared, place, watch, observations.append, steps, progress), overlaid_of(prepared))
    end_readers()  # nothing is read any more, and only the CPU time of children that have ended is told
    with steps("gates"):
        claims = claims_of(prepared)
    parts = zip(files, claims.split([(file.low, file.high) for file in files]), strict=True)
    former = keepable.shards if keepable else {}
    tasks = [
        CountTask(file, prepared.expired_before, prepared.endings, part, former.get((file.low, file.high)))
        for file, part in parts
    ]
    job = CountingJob(comparison_job(prepared), keepable.makings if keepable else None)
    tally = add_up(_timed(place.pool.map(ShardCounter, job, tasks), steps))
    with steps("gates"):
        observation = all_observed(observations, watch)
        verdict = judge_times(prepared, observation, watch)
        counts = tally.counts
        invalid = invalid_rows(snapshot, sum(file.rows for file in files) - counts.withheld - counts.again_rows)
        excluded = _excluded(snapshot, counts, invalid)
        gates, warnings = ask(prepared, tally, verdict, watch, excluded, claims)
        history = remembered(prepared, tally.groups, verdict, observation, watch)
        # After the gates, which may refuse the run: then nothing is to be spooled.
        lost = lost_but_staying(prepared, tally.comparison)
        staying = spool_staying(prepared, place, (*tally.staying, lost), len(files))
    return Survey(
        files=tuple(
            replace(file, digest=tally.digests[file.number], made_of=tally.made_of[file.number]) for file in files
        ),
        tally=tally,
        rows_in=snapshot.rows_in,
        excluded=excluded,
        warnings=prepared.warnings + warnings,
        gates=(*gates, *prepared.drops),
        history=history,
        by_issuer=figures_by_issuer(prepared.issuers, snapshot, tally.groups, observation),
        staying=staying,
    )


def _told(files: Sequence[ShardFile], overlaid: Overlaid | None) -> tuple[ShardFile, ...]:
    """Return shards with what overlays say of their certificates."""
    if overlaid is None:
        return tuple(files)
    return tuple(replace(one, overlaid=overlaid.between(one.low, one.high)) for one in files)


def _routed(
    prepared: Prepared,
    place: Workplace,
    watch: Watch,
    observe: Callable[[Observation], None],
    steps: Steps,
    progress: Progress,
) -> tuple[ShardFile, ...]:
    """Read and route all rows: file by file in the workers, where several have something to read, or else here."""
    snapshot, spool, bounds = prepared.snapshot, place.spool, place.bounds
    repeats = tuple((of, index) for index, issuer in enumerate(prepared.issuers) for of in issuer.rows_of)
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)

    def show() -> None:
        rows = snapshot.rows_in
        progress("read", rows, max(snapshot.row_estimate, rows))

    if len(place.reading) > 1:
        job = RoutingJob(snapshot, spool, bounds, ids, watch, repeats)
        return route_files(place.pool, job, place.reading, steps, show, observe)
    observer = Observer(watch)
    files = route(_counted(snapshot, show), spool, bounds, ids, steps, observer, repeats, snapshot.row_estimate)
    with steps("observe"):
        observe(observer.take())
    return files


def _counted(snapshot: Snapshot, show: Callable[[], None]) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        show()


def _timed(shards: Iterable[ShardCount], steps: Steps) -> Iterator[ShardCount]:
    for one in shards:
        steps.add(one.steps)
        yield one


def _responses(issuers: Sequence[Issuer], groups: Mapping[Group, int]) -> int:
    return sum(len(issuers[group.issuer].cert_ids) * count for group, count in groups.items())


def _excluded(snapshot: Snapshot, counted: RowCounts, invalid: int) -> dict[str, int]:
    counts = {
        **snapshot.excluded,
        "expired": counted.expired,
        "joined-precertificate": counted.joined,
        "repeated": counted.repeated,
        INVALID: invalid,
    }
    return {reason: count for reason, count in sorted(counts.items()) if count}
