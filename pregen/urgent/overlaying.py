"""What changes is signed, stored and read back as shards of a run are, and becomes an overlay."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen import clock
from pregen.generation.making.plan import Plan, make_plan
from pregen.generation.making.shard import ShardSigner, SignedShard, SigningJob, SignTask
from pregen.generation.rows.rows import load_shard
from pregen.generation.work.workers import Pool
from pregen.overlays import Origin
from pregen.progress import Progress
from pregen.urgent.ground import Ground
from pregen.urgent.orders import ORIGIN_OF, ChangeKind
from pregen.urgent.resolving import Resolved
from storage.overlay_part import OverlayColumns, OverlayPart, encode_overlay_part
from storage.sealed import SEALED_ID_BYTES

_WITHIN_UNIT_S = 1023  # histories round notAfter down, and nothing revoked may be forgotten before it ends


@dataclass(frozen=True, slots=True)
class OverlayJob:
    """What a worker needs to sign packs of an overlay.

    Attributes:
        signing: what it needs to sign shards.
        as_of: since when all of it is true, in seconds since 1970.
        origin: where all of it comes from.
    """

    signing: SigningJob
    as_of: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class SignedOverlay:
    """A pack of an overlay that is stored and read back, what is remembered of its records, and their keys."""

    signed: SignedShard
    part: OverlayPart
    keys: NDArray[np.uint64]


class Overlay(NamedTuple):
    """A whole overlay: its packs by ascending keys, and octets put of its tables and windows."""

    packs: tuple[SignedOverlay, ...]
    plan: Plan

    @property
    def names(self) -> frozenset[str]:
        """Names of all objects that were put for it."""
        packs = [name for one in self.packs for name in (one.signed.shard.pack, one.part.name)]
        return frozenset([*packs, *self.plan.objects])


class OverlaySigner:
    """Signs packs of an overlay in one worker process."""

    def __init__(self, job: OverlayJob) -> None:
        self._job = job
        self._store = job.signing.open_store()
        self._signer = ShardSigner(job.signing)

    def __call__(self, task: SignTask) -> SignedOverlay:
        """Sign, store and read back one pack, and put what is remembered of it.

        Raises:
            SigningError, VerificationError, PublishError, OSError: it cannot be.
        """
        signed = self._signer(task)
        rows = load_shard(task.file)
        keys, count = rows.keys.astype("<u8"), len(rows.keys)
        columns = OverlayColumns(
            keys=keys.tobytes(),
            as_of=np.full(count, self._job.as_of, "<u8").tobytes(),
            not_after=(rows.not_after | np.uint32(_WITHIN_UNIT_S)).astype("<u4").tobytes(),
            origins=np.full(count, self._job.origin, np.uint8).tobytes(),
        )
        part, octets = encode_overlay_part(os.urandom(SEALED_ID_BYTES), signed.shard.pack, columns)
        self._store.put(part.name, octets)
        return SignedOverlay(signed, part, rows.keys)


def plan_overlay(ground: Ground, resolved: Iterable[Resolved]) -> Plan:
    """Return what is going to be signed."""
    groups = sorted({group for one in resolved for group in one.groups})
    current = {one.tables_name: one.tables for one in ground.current.tables.values() if one.tables_name != one.name}
    return make_plan(ground.issuers, ground.windows, groups, current)


def sign_overlay(
    ground: Ground, kind: ChangeKind, resolved: Sequence[Resolved], pool: Pool, progress: Progress
) -> Overlay:
    """Return a signed overlay, whose tables are in the store.

    Raises:
        SigningError, VerificationError, PublishError, WorkerError, OSError: it cannot be made.
    """
    plan = plan_overlay(ground, resolved)
    for name, octets in plan.objects.items():
        ground.store.put(name, octets)
    signing = SigningJob(
        ground.issuers,
        ground.windows,
        plan,
        ground.engine_of,
        ground.open_store,
        clock.seconds(ground.as_of),
        remembers=False,
        engine_may_differ=ground.engine_may_differ,
    )
    as_of = signing.as_of
    if kind is not ChangeKind.DELTA:  # a command has seen what it changes, be the clock of that publisher fast
        as_of = max([as_of, *(one.newest for one in resolved)])
    total, done = sum(one.file.rows for one in resolved), 0
    packs = []
    for one in pool.map(OverlaySigner, OverlayJob(signing, as_of, ORIGIN_OF[kind]), _tasks(ground, resolved)):
        packs.append(one)
        done += one.signed.shard.rows
        progress("sign", done, total)
    return Overlay(tuple(sorted(packs, key=lambda one: one.signed.number)), plan)


def _tasks(ground: Ground, resolved: Sequence[Resolved]) -> list[SignTask]:
    """Return a task for each pack; each group is proved by the first one that has it."""
    tasks: list[SignTask] = []
    for one in resolved:
        seen = frozenset[object]().union(*(task.proofs for task in tasks))
        tasks.append(SignTask(one.file, None, ground.endings, frozenset(one.groups.keys() - seen)))
    return tasks
