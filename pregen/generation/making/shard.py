"""Second pass, one shard at a time in a worker: sort, carry over, fill, sign, pack, store, read back.

The unit of work, retry and publishing. What the current generation has, and a signature of today would have, too, is
copied; the rest is signed. Rows of a shape are filled, signed and packed as arrays of octets; what an
engine cannot take as an array (hashing, one signature a call) is the only work done row by row.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pregen import signers
from pregen.errors import PublishError, explained
from pregen.generation.making.carry_job import CarryJob
from pregen.generation.making.carrying import CarriedRows, Carrier, all_signed
from pregen.generation.making.former import FormerPackError
from pregen.generation.making.journal import Finished
from pregen.generation.making.keyring import KeyRing, OpenSigner
from pregen.generation.making.layout import Block, Layout, Numbers, RunNumbers
from pregen.generation.making.leaving import leave
from pregen.generation.making.left_out import NOTHING_LEFT_OUT, LeftOut
from pregen.generation.making.messages import MESSAGE_ROWS, Messages, Scratch
from pregen.generation.making.plan import Plan
from pregen.generation.making.readback import ReadBack
from pregen.generation.making.recalling import Recalled
from pregen.generation.making.remembering import remember
from pregen.generation.making.why_signed import NO_REASONS, Reasons
from pregen.generation.rows.endings import Endings
from pregen.generation.rows.groups import Group
from pregen.generation.rows.routing import ShardFile
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.work.steps import Steps
from pregen.issuers import Issuer
from pregen.signers import Flight, KeyUse, Octets, Rows
from pregen.validity import ValidityWindow
from storage.history import HistoryPart
from storage.manifest import Shard
from storage.pack import PACK_ID_BYTES, Pack, build_pack, pack_id, pack_name
from storage.stores.base import Store
from storage.tables import RECORD_FIELDS, Shape


@dataclass(frozen=True, slots=True)
class SignTask:
    """One shard to sign.

    Attributes:
        file: its rows.
        expired_before, endings: see `pregen.generation.rows.rows.load_shard`.
        proofs: groups of which one response at least is verified here (one of each group in a run).
        packs: of the current generation, from which records are carried over, in the order in which readers search.
        finished: what an earlier attempt has stored, which may take the place of what would be signed.
    """

    file: ShardFile
    expired_before: int | None = None
    endings: Endings | None = None
    proofs: frozenset[Group] = frozenset()
    packs: tuple[Shard, ...] = ()
    finished: Finished | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file.label


@dataclass(frozen=True, slots=True)
class SigningJob:
    """What a worker needs to sign shards; descriptions only, so that it pickles.

    Attributes:
        issuers: as configured; keys are opened by the worker.
        windows: one for each issuer.
        plan: what is signed.
        engines: name of the engine that signs, of each use of a key.
        open_store: returns the store, opened in the process that calls it.
        as_of: the instant for which the snapshot is complete, in seconds since 1970.
        remembers: whether what the next run compares with is put, as for shards.
        carry: what records must be like that are carried over; None: all rows are signed.
        engine_may_differ: whether a machine that cannot have these engines takes others.
    """

    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...]
    plan: Plan
    engines: Mapping[KeyUse, str]
    open_store: Callable[[], Store]
    as_of: int
    remembers: bool = True
    carry: CarryJob | None = None
    engine_may_differ: bool = False


@dataclass(frozen=True, slots=True)
class SignedShard:
    """A shard whose pack is stored and read back.

    Attributes:
        number: of the shard.
        shard: what the manifest says of it.
        responses: how many there are.
        verified: how many were parsed and verified.
        steps: what took how long.
        history: what the next run compares with; None: the shard is empty.
        windows: of the responses that were parsed, each once, as this_update and next_update.
        reasons: why rows were signed, and how many were carried over.
        runs: numbers of the runs that have records.
        left_out: what it has no records of.
        is_resumed: whether an earlier attempt had stored a pack of it.
        is_recalled: whether that is the pack.
        has_formers: whether it has records of which no signature of today would say who has signed them.
    """

    number: int
    shard: Shard
    responses: int
    verified: int
    steps: Mapping[str, float] = field(default_factory=dict)
    history: HistoryPart | None = None
    windows: frozenset[tuple[int, int]] = frozenset()
    reasons: Reasons = NO_REASONS
    runs: frozenset[int] = frozenset()
    left_out: LeftOut = NOTHING_LEFT_OUT
    is_resumed: bool = False
    is_recalled: bool = False
    has_formers: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether it holds what would be made of its rows again."""
        return self.left_out.is_nothing and not self.has_formers

    def with_windows(self, name: str) -> Self:
        """Return the same shard, whose runs are numbers in the windows of a name."""
        return replace(self, shard=replace(self.shard, windows=name))


class ShardSigner:
    """Signs shards in one worker process; holds its keys, its signers and its store.

    Args:
        job: what to sign, and for whom.
        open_signer: returns a signer, given algorithm, engine and keys; None: the one of the job's keys.
    """

    def __init__(
        self,
        job: SigningJob,
        open_signer: OpenSigner | None = None,
    ) -> None:
        self._job = job
        self._steps = Steps()
        with self._steps("open"):
            self._store = job.open_store()
            usual = signers.open_fitting_signer if job.engine_may_differ else signers.open_signer
            self._keys = KeyRing(job.plan, job.issuers, job.engines, open_signer or usual)
        tables = job.plan.tables
        self._run_numbers = RunNumbers(job.plan)
        self._shapes: Numbers = np.array([run.shape for run in tables.runs], np.intp)
        self._strides: Numbers = np.array([tables.shapes[run.shape].stride for run in tables.runs], np.intp)
        self._signers: dict[int, set[int]] = {}  # that sign rows of a shape
        for number in job.plan.runs.values():
            self._signers.setdefault(tables.runs[number].shape, set()).add(int(self._keys.signer_of[number]))
        self._scratch = Scratch()
        self._messages: dict[tuple[int, int], Messages] = {}
        self._read_back = ReadBack(job.issuers, job.windows, job.plan)
        self._staying = np.array([bool(issuer.trouble) for issuer in job.issuers], np.bool_)
        self._kinds = np.array([group.kind for group in job.plan.groups], np.intp)
        self._carrier = Carrier(job.carry, self._store) if job.carry else None

    def __call__(self, task: SignTask) -> SignedShard:
        """Sign, store and read back one shard.

        Raises:
            SigningError: an engine could not sign.
            VerificationError: what was stored is not what was meant.
            PublishError: the store did not take the pack, or did not return it.
        """
        try:
            return self._signed(task)
        except OSError as e:
            raise PublishError(
                f"{task.label}: {explained(e)}; nothing was published, the current generation is what it was"
            ) from e

    def _signed(self, task: SignTask) -> SignedShard:
        plan, steps, low, high = self._job.plan, self._steps, task.file.low, task.file.high
        with steps("load"):
            rows = load_shard(task.file, task.expired_before, task.endings)
        with steps("carry"):
            if self._carrier and (task.packs or not self._carrier.is_full):
                carried = self._carrier.carried(rows, task.packs, low, high)
            else:
                carried = all_signed(rows, self._staying)
            rows, carried, left_out = leave(rows, carried, self._job.issuers, self._kinds)
        with steps("load"):
            runs = self._runs(rows, carried)
            layout = Layout(rows, runs, self._shapes)
        recalled = self._recalled(task, rows, layout)
        name, pack = recalled or self._stored(task, rows, layout, carried)
        with steps("verify"):
            checked = self._read_back.check(self._store, name, pack, (low, high), rows, layout, task.proofs)
        with steps("gates"):
            history = remember(self._store, low, high, rows)
        tables = plan.tables
        numbers = np.flatnonzero(layout.counts).tolist()
        used = [tables.runs[run] for run in numbers]
        needed = used or [tables.runs[run] for run in plan.runs.values()]
        windows = [tables.windows[run.window] for run in needed] or list(tables.windows)
        shard = Shard(
            low=low,
            high=high,
            pack=name,
            size_bytes=len(pack.octets),
            sha256=checked.sha256,
            directory_at=pack.directory_at,
            directory_crc=pack.directory_crc,
            windows=plan.name,
            rows=checked.records,
            revoked=sum(
                count
                for run, count in zip(tables.runs, layout.counts.tolist(), strict=True)
                if tables.shapes[run.shape].status == "revoked"
            ),
            refresh_by=min(window.refresh_by for window in windows),
            next_update=max(window.next_update for window in windows),
            as_of=self._job.as_of,
        )
        return SignedShard(
            number=task.file.number,
            shard=shard,
            responses=checked.responses,
            verified=checked.verified,
            steps=steps.take(),
            history=history,
            windows=checked.windows,
            reasons=carried.reasons,
            runs=frozenset(numbers),
            left_out=left_out,
            is_resumed=carried.is_resumed or recalled is not None,
            is_recalled=recalled is not None,
            has_formers=any(one.signer for run in numbers if (one := self._job.plan.carried.get(run))),
        )

    def _runs(self, rows: ShardRows, carried: CarriedRows) -> Numbers:
        """Return the run of each row, whether its record is carried over or signed."""
        runs = carried.run.copy()
        new = np.flatnonzero(runs < 0)
        runs[new] = self._run_numbers.of(rows.codes[new])
        return runs

    def _stored(self, task: SignTask, rows: ShardRows, layout: Layout, carried: CarriedRows) -> tuple[str, Pack]:
        """Sign and store a pack; return its name and its octets."""
        flight = Flight()
        records = [self._filled(rows, block, carried, flight) for block in layout.blocks()]
        with self._steps("sign"):
            flight.land()
        name, pack = self._packed(task, layout, os.urandom(PACK_ID_BYTES), records)
        with self._steps("store"):
            self._store.put(name, pack.octets)
        return name, pack

    def _packed(self, task: SignTask, layout: Layout, identity: bytes, records: Sequence[Octets]) -> tuple[str, Pack]:
        """Return the name of a pack and its octets, given the records of its blocks."""
        low, high = task.file.low, task.file.high
        name = pack_name(low, identity)
        with self._steps("pack"):
            buckets = layout.buckets(self._strides, low, high)
            segments = layout.segments(self._strides, low, high, buckets)
            return name, build_pack(identity, buckets, segments, [block.data.cast("B") for block in records], name)

    def _recalled(self, task: SignTask, rows: ShardRows, layout: Layout) -> tuple[str, Pack] | None:
        """Return the pack of an earlier attempt that is as one of now would be but for signatures; None: there is none.

        It is made again from the rows, with the signatures that it has.
        """
        finished, shapes = task.finished, self._job.plan.tables.shapes
        if finished is None or finished.made_of != task.file.made_of:
            return None
        with self._steps("resume"):
            try:
                found = Recalled(self._store, finished, layout, self._strides)
            except FormerPackError:
                return None
            records = []
            for block in layout.blocks():
                shape = shapes[block.shape]
                own = unsigned_bytes(shape)
                block_records = found.block(len(block.rows), shape.stride)
                block_records[:, :own] = new_records(rows, shape, block.rows)[:, :own]
                records.append(block_records)
        name, pack = self._packed(task, layout, pack_id(found.name), records)
        return (name, pack) if name == found.name and found.is_same(pack.octets) else None

    def _filled(self, rows: ShardRows, block: Block, carried: CarriedRows, flight: Flight) -> Octets:
        """Return the records of a block, uint8[n, stride], in the order of its rows; they are whole when all landed."""
        shape, is_new = self._job.plan.tables.shapes[block.shape], carried.run[block.rows] < 0
        count = int(np.count_nonzero(is_new))
        if count == len(block.rows):
            with self._steps("fill"):
                records = new_records(rows, shape, block.rows)
        elif not count:
            with self._steps("carry"):
                return carried.records(block.rows, shape.stride)
        else:
            with self._steps("carry"):
                records = np.empty((len(block.rows), shape.stride), np.uint8)
                new, old = _apart(is_new, count)
                records[old] = carried.records(block.rows[old], shape.stride)
                records[new] = new_records(rows, shape, block.rows[new])
            self._sign(block, records, new, flight)
            return records
        self._sign(block, records, slice(0, count), flight)
        return records

    def _sign(self, block: Block, records: Octets, new: Rows, flight: Flight) -> None:
        """Have some records of a block signed: those of the places `new`."""
        steps, keys = self._steps, self._keys.key_of[block.runs]
        for which in range(len(self._job.plan.tables.shapes[block.shape].responses)):
            messages = self._messages_of(block.shape, which)
            for signer, part in self._batches(block, new):
                with steps("fill"):
                    filled = messages.fill(records[part], block.runs[part])
                with steps("sign"):
                    flight.sign(self._keys.signers[signer], filled, keys[part], records, part, messages.signature)

    def _batches(self, block: Block, new: Rows) -> Iterator[tuple[int, Rows]]:
        """Yield which of the places `new` of a block go to which signer in one call."""
        signers = self._signers[block.shape]
        if len(signers) == 1 and isinstance(new, slice):  # nearly always, and nothing is copied
            (signer,) = signers
            for at in range(0, new.stop, MESSAGE_ROWS):
                yield signer, slice(at, min(at + MESSAGE_ROWS, new.stop))
            return
        places: Numbers = np.arange(new.stop) if isinstance(new, slice) else new
        of_rows = self._keys.signer_of[block.runs[places]]
        for signer in sorted(signers):
            own = places[of_rows == signer]
            for at in range(0, len(own), MESSAGE_ROWS):
                yield signer, own[at : at + MESSAGE_ROWS]

    def _messages_of(self, shape: int, which: int) -> Messages:
        if (shape, which) not in self._messages:
            self._messages[shape, which] = Messages(self._job.plan, shape, which, self._scratch)
        return self._messages[shape, which]


def _apart(is_new: NDArray[np.bool_], count: int) -> tuple[Rows, Rows]:
    """Return the places of the rows that are signed, of which there are so many, and of those that are not.

    They lie side by side where no run has both, which is nearly always: see `pregen.generation.making.plan`.
    """
    if is_new[:count].all():
        return slice(0, count), slice(count, None)
    return np.flatnonzero(is_new), np.flatnonzero(~is_new)


def unsigned_bytes(shape: Shape) -> int:
    """Return how many octets of a record come before its signatures."""
    return shape.serial_bytes + sum(RECORD_FIELDS[name] for name in shape.fields)


def new_records(rows: ShardRows, shape: Shape, members: Numbers) -> Octets:
    """Return records without their signatures, uint8[n, stride]."""
    records = np.empty((len(members), shape.stride), np.uint8)
    records[:, : shape.serial_bytes] = rows.serials(members, shape.serial_bytes)
    at = shape.serial_bytes
    if "revoked_at" in shape.fields:
        records[:, at : at + 4] = rows.revoked_at[members].astype("<u4").view(np.uint8).reshape(-1, 4)
        at += 4
    if "reason" in shape.fields:
        records[:, at] = rows.reason[members]
    return records
