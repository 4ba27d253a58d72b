"""The rows of one shard, as its worker sees them: sorted by key, repetitions collapsed, expired ones left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from pregen.generation.routing_key import serial_matrix, serial_octets, serial_offsets
from pregen.snapshot import GOOD, MAX_SERIAL_BYTES, REVOKED

MAX_EXAMPLES = 20
# What the responses of a group look like: status, and whether a reason is given.
KINDS = (("good", False), ("revoked", False), ("revoked", True), ("unknown", False))


class Group(NamedTuple):
    """Rows whose responses differ only in serial, revocation time and reason; sorts in the order of packs.

    Attributes:
        issuer: index in the configuration.
        serial_bytes: length of the serial.
        kind: index in `KINDS`.
    """

    issuer: int
    serial_bytes: int
    kind: int

    @property
    def code(self) -> int:
        """One number for the three."""
        return (self.issuer << 8) | (self.serial_bytes << 2) | self.kind

    @classmethod
    def of_code(cls, code: int) -> "Group":
        """Return the group of a number.

        >>> Group.of_code(Group(3, 16, 2).code)
        Group(issuer=3, serial_bytes=16, kind=2)
        """
        return cls(code >> 8, code >> 2 & 63, code & 3)


class Conflict(NamedTuple):
    """Two rows of one certificate that contradict each other: their numbers in the snapshot, and the serial."""

    row: int
    other: int
    serial: bytes


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The rows that get responses, in the order of their keys.

    Attributes:
        key32: uint32[n], upper halves of the keys, ascending.
        octets: of all serials of the shard.
        starts: int32[n], where each serial begins in `octets`.
        codes: int64[n], the group of each row (`Group.code`).
        revoked_at: uint32[n], seconds since 1970.
        reason: int8[n].
        repeated: rows that said the same as another one.
        expired: certificates that need no response any more.
        conflicts: the first ones.
        conflict_count: how many rows contradict an earlier one.
    """

    key32: NDArray[np.uint32]
    octets: NDArray[np.uint8]
    starts: NDArray[np.int32]
    codes: NDArray[np.int64]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    repeated: int = 0
    expired: int = 0
    conflicts: tuple[Conflict, ...] = field(default=())
    conflict_count: int = 0

    def serials(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        """Return the serials of rows whose serials have `size` octets, uint8[n, size]."""
        return serial_matrix(self.octets, self.starts[rows], size)

    def groups(self) -> dict[Group, int]:
        """Return the number of rows of each group."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return {Group.of_code(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}


def load_rows(path: Path, expired_before: int | None) -> ShardRows:
    """Return the rows of a spooled shard.

    Args:
        path: the shard's file.
        expired_before: certificates whose not_after is before it are left out, in seconds since 1970; None keeps all.
    """
    spooled = _read(path)
    key, not_after = spooled.key, spooled.not_after
    order = np.argsort(key)
    ascending = key[order]
    equal = np.nonzero(ascending[1:] == ascending[:-1])[0]
    collapsed = None
    if len(equal):
        # Ties would come in an order that depends on the CPU; a stable sort keeps that of the snapshot.
        order = np.argsort(key, kind="stable")
        collapsed = _collapse(spooled, order[np.union1d(equal, equal + 1)])
        not_after = collapsed.not_after
        order = order[~np.isin(order, collapsed.dropped)]
    certificates = len(order)
    if expired_before is not None:
        order = order[not_after[order] >= expired_before]
    status, reason = spooled.status[order], spooled.reason[order]
    kind = np.where(status == GOOD, 0, np.where(status == REVOKED, 1 + (reason >= 0), 3))
    offsets = serial_offsets(spooled.serial)
    sizes = np.diff(offsets)[order]
    return ShardRows(
        key32=(key[order] >> np.uint64(32)).astype(np.uint32),
        octets=serial_octets(spooled.serial),
        starts=offsets[:-1][order],
        codes=(spooled.issuer[order].astype(np.int64) << 8) | (sizes << 2) | kind,
        revoked_at=spooled.revoked_at[order],
        reason=reason,
        repeated=len(collapsed.dropped) if collapsed else 0,
        expired=certificates - len(order),
        conflicts=collapsed.conflicts if collapsed else (),
        conflict_count=collapsed.conflict_count if collapsed else 0,
    )


class _Spooled(NamedTuple):
    """The columns of a spooled shard (pregen.generation.routing.COLUMNS)."""

    key: NDArray[np.uint64]
    serial: pa.BinaryArray
    issuer: NDArray[np.int32]
    status: NDArray[np.uint8]
    reason: NDArray[np.int8]
    revoked_at: NDArray[np.uint32]
    not_after: NDArray[np.int64]
    row: NDArray[np.int64]


def _read(path: Path) -> _Spooled:
    with pa.memory_map(str(path)) as source:
        table = ipc.open_stream(source).read_all()
    serial = cast("pa.BinaryArray", table["serial"].combine_chunks())
    columns = {name: table[name].to_numpy() for name in table.schema.names if name != "serial"}
    return _Spooled(serial=serial, **columns)


class _Collapsed(NamedTuple):
    not_after: NDArray[np.int64]
    dropped: NDArray[np.intp]
    conflicts: tuple[Conflict, ...]
    conflict_count: int


def _collapse(spooled: _Spooled, suspects: NDArray[np.intp]) -> _Collapsed:
    """Find, among rows with equal keys, those of one certificate: the first stays, with the latest not_after.

    Rows that differ in status, revocation time or reason are conflicts; equal keys of different certificates are legal.
    """
    suspects = np.sort(suspects)
    _, first, member = np.unique(_identities(spooled, suspects), return_index=True, return_inverse=True)
    leader = suspects[first][member]  # the first row of each one's certificate
    not_after = spooled.not_after.copy()
    np.maximum.at(not_after, leader, not_after[suspects])
    differs = np.zeros(len(suspects), bool)
    for values in (spooled.status, spooled.revoked_at, spooled.reason):
        differs |= values[suspects] != values[leader]
    conflicts = tuple(
        Conflict(int(spooled.row[leader[i]]), int(spooled.row[suspects[i]]), spooled.serial[int(suspects[i])].as_py())
        for i in np.nonzero(differs)[0][:MAX_EXAMPLES]
    )
    return _Collapsed(not_after, suspects[leader != suspects], conflicts, int(differs.sum()))


def _identities(spooled: _Spooled, rows: NDArray[np.intp]) -> NDArray[np.void]:
    """Return issuer, serial length and serial of rows as comparable octets."""
    offsets, octets = serial_offsets(spooled.serial), serial_octets(spooled.serial)
    sizes = np.diff(offsets)[rows]
    out = np.zeros((len(rows), 5 + MAX_SERIAL_BYTES), np.uint8)
    out[:, :4] = spooled.issuer[rows].view(np.uint8).reshape(-1, 4)
    out[:, 4] = sizes
    for size in np.unique(sizes):
        these = np.nonzero(sizes == size)[0]
        out[these, 5 : 5 + size] = serial_matrix(octets, offsets[rows[these]], int(size))
    return out.view(f"V{out.shape[1]}")[:, 0]


@dataclass(frozen=True, slots=True)
class Survey:
    """What one shard holds, counted before anything is signed."""

    shard: int
    groups: dict[Group, int]
    repeated: int
    expired: int
    conflicts: tuple[Conflict, ...]
    conflict_count: int


def total(surveys: Iterable[Survey]) -> dict[Group, int]:
    """Return the number of rows of each group over all shards, in the order of groups."""
    counts: dict[Group, int] = {}
    for survey in surveys:
        for group, count in survey.groups.items():
            counts[group] = counts.get(group, 0) + count
    return dict(sorted(counts.items()))
