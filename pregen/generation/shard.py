"""Second pass, one shard at a time in a worker: sort, fill, sign, pack, store, read back.

The unit of work, retry and publishing. No Python object is made for a row: rows of a group are filled, signed and
packed as arrays of octets.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.errors import PublishError, explained
from pregen.generation.plan import Plan
from pregen.generation.readback import ReadBack
from pregen.generation.routing import ShardFile
from pregen.generation.rows import Group, ShardRows, Survey, load_rows
from pregen.issuers import Issuer, Responder
from pregen.signers import ALGORITHMS, Octets, Signer, engine_named
from pregen.validity import ValidityWindow
from storage.manifest import Shard
from storage.pack import ID_BYTES, Segment, bucket_count, build_pack, pack_name
from storage.response import Assembler
from storage.stores.base import Store
from storage.tables import Shape

BATCH_ROWS = 4096  # messages of one call of a signer: they stay in the second-level cache


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to survey or to sign.

    Attributes:
        file: its rows.
        expired_before: see `pregen.generation.rows.load_rows`.
        proofs: groups of which one response at least is verified here (one of each group in a run).
    """

    file: ShardFile
    expired_before: int | None
    proofs: frozenset[Group] = frozenset()

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"shard {self.file.number}"


@dataclass(frozen=True, slots=True)
class SigningJob:
    """What a worker needs to sign shards; descriptions only, so that it pickles.

    Attributes:
        issuers: as configured; keys are opened by the worker.
        windows: one for each issuer.
        plan: what is signed.
        engines: name of the engine by algorithm name.
        open_store: returns the store, opened in the process that calls it.
    """

    issuers: tuple[Issuer, ...]
    windows: tuple[ValidityWindow, ...]
    plan: Plan
    engines: dict[str, str]
    open_store: Callable[[], Store]


@dataclass(frozen=True, slots=True)
class SignedShard:
    """A shard whose pack is stored and read back."""

    number: int
    shard: Shard
    responses: int
    verified: int


class Surveyor:
    """Counts what a shard holds, and finds rows that contradict each other, before anything is signed."""

    def __init__(self, _: None = None) -> None:
        """Take no argument: a survey needs nothing but its task."""

    def __call__(self, task: ShardTask) -> Survey:
        """Return the survey of one shard."""
        rows = load_rows(task.file.path, task.expired_before)
        return Survey(task.file.number, rows.groups(), rows.repeated, rows.expired, rows.conflicts, rows.conflict_count)


def open_signer(responder: Responder, engine: str) -> Signer:
    """Return a signer with a responder's key, which is opened here."""
    algorithm = ALGORITHMS[responder.algorithm]
    return engine_named(engine, algorithm).open(responder.key.open(), algorithm)


class ShardSigner:
    """Signs shards in one worker process; holds its keys, its signers and its store.

    Args:
        job: what to sign, and for whom.
        open_signer: returns the signer of a responder, given the engine's name.
    """

    def __init__(self, job: SigningJob, open_signer: Callable[[Responder, str], Signer] = open_signer) -> None:
        self._job = job
        self._open_signer = open_signer
        self._store = job.open_store()
        self._signers: dict[int, Signer] = {}
        self._read_back = ReadBack(job.issuers, job.windows, job.plan)

    def __call__(self, task: ShardTask) -> SignedShard:
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

    def _signed(self, task: ShardTask) -> SignedShard:
        rows = load_rows(task.file.path, task.expired_before)
        plan, low, high = self._job.plan, task.file.low, task.file.high
        groups = list(_grouped(rows))
        shapes = [plan.tables.shapes[plan.tables.runs[plan.runs[group]].shape] for group, _ in groups]
        stored_bytes = sum(shape.stride * len(members) for shape, (_, members) in zip(shapes, groups, strict=True))
        buckets = bucket_count(stored_bytes, len(rows.codes))
        blocks = [self._sign(rows, group, members) for group, members in groups]

        identity = os.urandom(ID_BYTES)
        name = pack_name(low, identity)
        bucket_of = (rows.key32.astype(np.int64) - low) * buckets // (high - low)
        runs = [plan.runs[group] for group, _ in groups]
        segments = _segments([bucket_of[members] for _, members in groups], runs, [b.shape[1] for b in blocks])
        pack = build_pack(identity, buckets, segments, [block.data.cast("B") for block in blocks], name)
        self._store.put(name, pack.octets)
        checked = self._read_back.check(self._store, name, pack, (low, high), rows, dict(groups), task.proofs)
        windows = [plan.tables.windows[plan.tables.runs[run].window] for run in runs] or list(plan.tables.windows)
        shard = Shard(
            low=low,
            high=high,
            pack=name,
            size_bytes=len(pack.octets),
            sha256=checked.sha256,
            directory_at=pack.directory_at,
            directory_crc=pack.directory_crc,
            tables=plan.name,
            rows=checked.records,
            revoked=sum(len(m) for shape, (_, m) in zip(shapes, groups, strict=True) if shape.status == "revoked"),
            refresh_by=min(window.refresh_by for window in windows),
            next_update=max(window.next_update for window in windows),
        )
        return SignedShard(task.file.number, shard, checked.responses, checked.verified)

    def _sign(self, rows: ShardRows, group: Group, members: NDArray[np.intp]) -> Octets:
        """Return the records of a group, uint8[n, stride], in the order of `members`."""
        plan = self._job.plan
        number = plan.runs[group]
        run = plan.tables.runs[number]
        shape = plan.tables.shapes[run.shape]
        records = _records(rows, shape, members)
        signer = self._signer(group.issuer)
        for which in range(len(shape.responses)):
            assembler = Assembler(plan.name, plan.tables, run, which)
            messages = Messages(assembler, min(BATCH_ROWS, len(members)))
            for at in range(0, len(members), BATCH_ROWS):
                part = records[at : at + BATCH_ROWS]
                part[:, assembler.signature] = signer.sign(messages.fill(part))
        return records

    def _signer(self, issuer: int) -> Signer:
        if issuer not in self._signers:
            responder = self._job.issuers[issuer].responder
            self._signers[issuer] = self._open_signer(responder, self._job.engines[responder.algorithm])
        return self._signers[issuer]


class Messages:
    """Octets to be signed, uint8[n, size]: the constants are written once, the holes anew for each batch."""

    def __init__(self, assembler: Assembler, rows: int) -> None:
        self._holes = assembler.holes
        self._octets = np.empty((rows, len(assembler.base)), np.uint8)
        self._octets[:] = np.frombuffer(assembler.base, np.uint8)

    def fill(self, records: Octets) -> Octets:
        """Return the messages of some records; valid until the next call."""
        messages = self._octets[: len(records)]
        for hole in self._holes:
            field = records[:, hole.first : hole.last]
            messages[:, hole.at : hole.end] = generalized_times(field) if hole.is_time else field
        return messages


def generalized_times(field: Octets) -> Octets:
    """Return times, uint8[n, 4] in seconds since 1970, little-endian, as the 14 digits of GeneralizedTime.

    >>> generalized_times(np.array([[0, 0, 0, 0]], np.uint8)).tobytes()
    b'19700101000000'
    """
    moments = np.ascontiguousarray(field).view("<u4")[:, 0].astype("datetime64[s]")
    text = np.datetime_as_string(moments).astype("S19").view(np.uint8).reshape(-1, 19)
    return text[:, [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]]


def _grouped(rows: ShardRows) -> Iterator[tuple[Group, NDArray[np.intp]]]:
    """Yield each group with its rows in the order of their keys; groups come in the order of their codes."""
    codes, member = np.unique(rows.codes, return_inverse=True)
    order = np.argsort(member.astype(np.uint16 if len(codes) < 1 << 16 else np.int64), kind="stable")
    ends = np.cumsum(np.bincount(member, minlength=len(codes)))
    start = 0
    for code, end in zip(codes.tolist(), ends.tolist(), strict=True):
        yield Group.of_code(code), order[start:end]
        start = end


def _records(rows: ShardRows, shape: Shape, members: NDArray[np.intp]) -> Octets:
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


def _segments(buckets: Sequence[NDArray[np.int64]], runs: Sequence[int], strides: Sequence[int]) -> Iterable[Segment]:
    """Return where the records of each bucket lie, in the order of buckets, then of runs.

    Args:
        buckets: for each block, the bucket of each record, ascending.
        runs: for each block, its run number.
        strides: for each block, octets of a record.
    """
    parts = []
    for block, (bucket, run, stride) in enumerate(zip(buckets, runs, strides, strict=True)):
        starts = np.concatenate([[0], np.nonzero(np.diff(bucket))[0] + 1]) if len(bucket) else np.empty(0, np.int64)
        ends = np.append(starts[1:], len(bucket))[: len(starts)]
        columns = np.broadcast_arrays(bucket[starts], run, block, starts * stride, ends * stride, ends - starts)
        parts.append(np.stack(columns, axis=1))
    if not parts:
        return []
    table = np.concatenate(parts)
    return map(Segment._make, table[np.lexsort((table[:, 1], table[:, 0]))].tolist())
