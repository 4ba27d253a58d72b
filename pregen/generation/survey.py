"""The second step of a run: all that can be refused without a signature.

Every row is read and routed to its shard, every shard is sorted and counted, and contradictions are found.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pregen.errors import Finding, GateError, InputError
from pregen.generation.memory import keep_freed_memory
from pregen.generation.preparation import Prepared
from pregen.generation.routing import RoutingJob, ShardFile, route, route_files, shard_count
from pregen.generation.rows import Group, Survey, Tally, add_up
from pregen.generation.shard import ShardTask, Surveyor
from pregen.generation.spool import spool_folder
from pregen.generation.steps import Steps
from pregen.generation.workers import Pool, open_pool
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS
from pregen.snapshot import Snapshot, StatusBatch
from storage import key

Progress = Callable[[str, int, int], None]  # step, done, of how many
RECORD_BYTES = 26  # of a record, its signatures apart: the longest serial, time and reason of revocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A snapshot in its shards, counted."""

    pool: Pool
    files: tuple[ShardFile, ...]
    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]]
    rows_in: int
    excluded: dict[str, int]
    warnings: tuple[Finding, ...]

    @property
    def certificates(self) -> int:
        """Rows that get responses."""
        return sum(self.groups.values())

    def responses(self, issuers: Sequence[Issuer]) -> int:
        """Return how many responses that makes."""
        return sum(len(issuers[group.issuer].cert_ids) * count for group, count in self.groups.items())


@contextlib.contextmanager
def survey(prepared: Prepared, steps: Steps, progress: Progress) -> Iterator[Surveyed]:
    """Route all rows to shards and count them; the spill files and the workers live until the end of the context.

    The shards, and the order of the rows in them, are those of the snapshot, however many workers there are.

    Args:
        prepared: what to read, and for whom.
        steps: told what reading, routing and counting took.
        progress: told how many rows are read.

    Raises:
        InputError: rows that cannot be read, or that contradict each other; all kinds are counted.
        GateError: nothing is left to sign.
        SpoolError: no space for spill files, or they are not what was written.
    """
    keep_freed_memory()
    snapshot, config = prepared.snapshot, prepared.config
    estimate = snapshot.row_estimate
    shards = shard_count(estimate, record_bytes(prepared.issuers))
    workers = min(prepared.workers, shards)
    routers = min(workers, len(snapshot.files))
    with (
        spool_folder(config.resolve(config.run.spool), estimate, shards * routers) as folder,
        open_pool(workers) as pool,
    ):
        files = _routed(prepared, pool if routers > 1 else None, folder, shards, steps, progress)
        findings = snapshot.findings()
        tasks = [ShardTask(file, prepared.expired_before) for file in files]
        tally = add_up(_timed(pool.map(Surveyor, None, tasks), steps))
        findings += _conflict_findings(tally, snapshot)
        if any(finding.severity == "error" for finding in findings):
            raise InputError("the snapshot holds rows that cannot be published; nothing was published", findings)
        surveyed = Surveyed(
            pool=pool,
            files=tuple(replace(file, surveyed=tally.digests[file.number]) for file in files),
            groups=tally.groups,
            proofs=tally.proofs,
            rows_in=snapshot.rows_in,
            excluded=_excluded(snapshot, tally),
            warnings=prepared.warnings + findings,
        )
        if not surveyed.certificates:
            raise GateError(
                f"all {surveyed.rows_in:,} rows are excluded ({surveyed.excluded}): nothing is left to sign; "
                "look at keep_expired and at the status values"
            )
        yield surveyed


def record_bytes(issuers: Sequence[Issuer]) -> int:
    """Return what the largest record of any of the issuers takes in a pack."""
    return RECORD_BYTES + max(
        len(issuer.cert_ids) * ALGORITHMS[issuer.responder.algorithm].signature_bytes for issuer in issuers
    )


def _routed(
    prepared: Prepared, pool: Pool | None, folder: Path, shards: int, steps: Steps, progress: Progress
) -> tuple[ShardFile, ...]:
    """Read and route all rows: file by file in the workers, or with None here."""
    snapshot, bounds = prepared.snapshot, key.split(0, key.KEY32, shards)
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)

    def show() -> None:
        rows = snapshot.rows_in
        progress("read", rows, max(snapshot.row_estimate, rows))

    if pool is None:
        return route(_counted(snapshot, show), folder, bounds, ids, steps)
    return route_files(pool, RoutingJob(snapshot, folder, shards, ids), bounds, steps, show)


def _counted(snapshot: Snapshot, show: Callable[[], None]) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        show()


def _timed(surveys: Iterable[Survey], steps: Steps) -> Iterator[Survey]:
    for one in surveys:
        steps.add(one.steps)
        yield one


def _excluded(snapshot: Snapshot, tally: Tally) -> dict[str, int]:
    counts = {**snapshot.excluded, "expired": tally.expired, "repeated": tally.repeated}
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _conflict_findings(tally: Tally, snapshot: Snapshot) -> tuple[Finding, ...]:
    if not tally.conflict_count:
        return ()
    return (
        Finding(
            "row.conflict",
            "error",
            "rows of one certificate differ in status, revocation time or reason: "
            "decide at the source which one is right",
            tally.conflict_count,
            tuple(
                f"{snapshot.locate(*one.other)}, column serial, {int.from_bytes(one.serial, 'big', signed=True):x}: "
                f"contradicts {snapshot.locate(*one.row)}"
                for one in tally.conflicts
            ),
        ),
    )
