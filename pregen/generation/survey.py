"""The second step of a run: all that can be refused without a signature.

Every row is read and routed to its shard, every shard is sorted and counted, and contradictions are found.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pregen.errors import Finding, GateError, InputError
from pregen.generation.memory import keep_freed_memory
from pregen.generation.preparation import Prepared
from pregen.generation.routing import ShardFile, route, shard_count
from pregen.generation.rows import Conflict, Group, Survey, total
from pregen.generation.shard import ShardTask, Surveyor
from pregen.generation.spool import spool_folder
from pregen.generation.workers import WorkerPool
from pregen.issuers import Issuer
from pregen.snapshot import Snapshot, StatusBatch
from storage import key

Progress = Callable[[str, int, int], None]  # step, done, of how many


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """A snapshot in its shards, counted."""

    pool: WorkerPool
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
def survey(prepared: Prepared, progress: Progress) -> Iterator[Surveyed]:
    """Route all rows to shards and count them; the spill files and the workers live until the end of the context.

    Raises:
        InputError: rows that cannot be read, or that contradict each other; all kinds are counted.
        GateError: nothing is left to sign.
        SpoolError: no space for spill files.
    """
    keep_freed_memory()
    snapshot, config = prepared.snapshot, prepared.config
    estimate = snapshot.row_estimate
    bounds = key.split(0, key.KEY32, shard_count(estimate))
    ids = np.array([issuer.issuer_id for issuer in prepared.issuers], np.uint64)
    with spool_folder(config.resolve(config.run.spool), estimate) as folder:
        files = route(_counted(snapshot, estimate, progress), folder, bounds, ids)
        findings = snapshot.findings()
        tasks = [ShardTask(file, prepared.expired_before) for file in files]
        with WorkerPool(min(prepared.workers, len(files))) as pool:
            surveys = sorted(pool.map(Surveyor, None, tasks), key=lambda one: one.shard)
            findings += _conflict_findings(surveys, snapshot)
            if any(finding.severity == "error" for finding in findings):
                raise InputError("the snapshot holds rows that cannot be published; nothing was published", findings)
            surveyed = Surveyed(
                pool=pool,
                files=files,
                groups=total(surveys),
                proofs=_proofs(surveys),
                rows_in=snapshot.rows_in,
                excluded=_excluded(snapshot, surveys),
                warnings=prepared.warnings + findings,
            )
            if not surveyed.certificates:
                raise GateError(
                    f"all {surveyed.rows_in:,} rows are excluded ({surveyed.excluded}): nothing is left to sign; "
                    "look at keep_expired and at the status values"
                )
            yield surveyed


def _counted(snapshot: Snapshot, estimate: int, progress: Progress) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        progress("read", snapshot.rows_in, max(estimate, snapshot.rows_in))


def _proofs(surveys: list[Survey]) -> dict[int, frozenset[Group]]:
    """Return, by shard, the groups that are seen there first: one response of each is verified there."""
    seen: set[Group] = set()
    proofs = {}
    for one in surveys:
        proofs[one.shard] = frozenset(one.groups.keys() - seen)
        seen |= one.groups.keys()
    return proofs


def _excluded(snapshot: Snapshot, surveys: list[Survey]) -> dict[str, int]:
    counts = {
        **snapshot.excluded,
        "expired": sum(one.expired for one in surveys),
        "repeated": sum(one.repeated for one in surveys),
    }
    return {reason: count for reason, count in sorted(counts.items()) if count}


def _conflict_findings(surveys: list[Survey], snapshot: Snapshot) -> tuple[Finding, ...]:
    count = sum(one.conflict_count for one in surveys)
    if not count:
        return ()
    examples: list[Conflict] = [conflict for one in surveys for conflict in one.conflicts][:20]
    return (
        Finding(
            "row.conflict",
            "error",
            "rows of one certificate differ in status, revocation time or reason: "
            "decide at the source which one is right",
            count,
            tuple(
                f"{snapshot.locate(one.other)}, column serial, {int.from_bytes(one.serial, 'big', signed=True):x}: "
                f"contradicts {snapshot.locate(one.row)}"
                for one in examples
            ),
        ),
    )
