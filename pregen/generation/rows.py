"""The rows of one shard, as its worker sees them: sorted by key, repetitions collapsed, expired ones left out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.generation.routing_key import serial_matrix
from pregen.generation.spill import ROW_BYTES, SERIAL_AT, Places, Spilled, clipped, read_spilled, take
from pregen.snapshot import GOOD, MAX_SERIAL_BYTES, REVOKED

MAX_EXAMPLES = 20
# What the responses of a group look like: status, and whether a reason is given.
KINDS = (("good", False), ("revoked", False), ("revoked", True), ("unknown", False))

_HALF, _LOWER = np.uint64(32), np.uint64(2**32 - 1)


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


def group_codes(
    issuer: NDArray[np.int32], serial_bytes: NDArray[np.int32], status: NDArray[np.uint8], reason: NDArray[np.int8]
) -> NDArray[np.uint32]:
    """Return `Group.code` of each row, uint32[n]: there are less than 2**23 issuers."""
    kind = np.where(status == GOOD, 0, np.where(status == REVOKED, 1 + (reason >= 0), 3))
    return ((issuer << 8) | (serial_bytes << 2) | kind).astype(np.uint32)


class RowNumber(NamedTuple):
    """Where a row is in the snapshot: number of the file, and of the row in it, both from 0."""

    file: int
    row: int


class Conflict(NamedTuple):
    """Two rows of one certificate that contradict each other, and its serial."""

    row: RowNumber
    other: RowNumber
    serial: bytes


@dataclass(frozen=True, slots=True)
class ShardRows:
    """The rows that get responses, in the order of their keys.

    Attributes:
        key32: uint32[n], upper halves of the keys, ascending.
        octets: uint8[...], all serials of the shard, and other things.
        starts: intp[n], where each serial begins in `octets`.
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
    starts: Places
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
        path: the folder of the shard's files.
        expired_before: certificates whose not_after is before it are left out, in seconds since 1970; None keeps all.
    """
    rows, suspects = _in_order(read_spilled(path))
    collapsed = _collapse(rows, suspects) if len(suspects) else _Collapsed()
    kept = np.ones(len(rows), bool)
    kept[collapsed.dropped] = False
    certificates = len(rows) - len(collapsed.dropped)
    if expired_before is not None:
        kept &= rows["not_after"] >= clipped(np.array(expired_before))
    if not kept.all():
        rows = take(rows, np.flatnonzero(kept))
    return ShardRows(
        key32=(rows["key"] >> _HALF).astype(np.uint32),
        octets=rows.view(np.uint8),
        starts=np.arange(SERIAL_AT, rows.nbytes, ROW_BYTES),
        codes=rows["code"].astype(np.int64),
        revoked_at=rows["revoked_at"].copy(),
        reason=rows["reason"].copy(),
        repeated=len(collapsed.dropped),
        expired=certificates - len(rows),
        conflicts=collapsed.conflicts,
        conflict_count=collapsed.conflict_count,
    )


def _in_order(spilled: Spilled) -> tuple[Spilled, Places]:
    """Return rows by key, equal ones in the order of the snapshot; and the places of those that have equal keys.

    Upper halves and places are sorted as one number each, which is three times as fast as any sort that returns places;
    the few rows whose upper halves are equal are put in order afterwards.
    """
    places = np.arange(len(spilled), dtype=np.uint64)
    by_half = np.sort(((spilled["key"] >> _HALF) << _HALF) | places)
    order = (by_half & _LOWER).astype(np.intp)
    tied = _with_equal_neighbour(by_half >> _HALF)
    these = order[tied]
    # Stable: the rows of one file are all in one router's files, in their order.
    order[tied] = these[np.lexsort((spilled["file"][these], spilled["key"][these]))]
    rows = take(spilled, order)
    return rows, tied[_with_equal_neighbour(rows["key"][tied])]


def _with_equal_neighbour(values: NDArray[np.uint64]) -> Places:
    """Return the places of values that occur more than once, given ascending ones.

    >>> _with_equal_neighbour(np.array([1, 2, 2, 3, 3, 3], np.uint64)).tolist()
    [1, 2, 3, 4, 5]
    """
    equal = np.zeros(len(values) + 1, bool)
    np.equal(values[1:], values[:-1], out=equal[1:-1])
    return np.flatnonzero(equal[1:] | equal[:-1])


class _Collapsed(NamedTuple):
    dropped: Places = np.empty(0, np.intp)
    conflicts: tuple[Conflict, ...] = ()
    conflict_count: int = 0


def _collapse(rows: Spilled, suspects: Places) -> _Collapsed:
    """Find, among rows with equal keys, those of one certificate: the first gets the latest not_after, others go.

    Rows that differ in status, revocation time or reason are conflicts; equal keys of different certificates are legal.
    """
    these = take(rows, suspects)
    in_snapshot = np.lexsort((these["row"], these["file"]))
    these, suspects = take(these, in_snapshot), suspects[in_snapshot]
    _, first, member = np.unique(_identities(these), return_index=True, return_inverse=True)
    leader = first[member]  # the first row of each one's certificate
    np.maximum.at(rows["not_after"], suspects[leader], these["not_after"])
    differs = np.zeros(len(these), bool)
    for name in ("code", "revoked_at", "reason"):
        differs |= these[name] != these[name][leader]
    conflicts = tuple(
        Conflict(_row_number(these[leader[i]]), _row_number(these[i]), _serial(these[i]))
        for i in np.flatnonzero(differs)[:MAX_EXAMPLES]
    )
    return _Collapsed(suspects[leader != np.arange(len(these))], conflicts, int(differs.sum()))


def _identities(rows: Spilled) -> NDArray[np.void]:
    """Return issuer, serial length and serial of rows as comparable octets."""
    of_serial = np.arange(MAX_SERIAL_BYTES) < (rows["code"] >> 2 & 63)[:, None]
    out = np.empty((len(rows), 4 + MAX_SERIAL_BYTES), np.uint8)
    out[:, :4] = (rows["code"] >> 2)[:, None].view(np.uint8)
    out[:, 4:] = np.where(of_serial, rows.view(np.uint8).reshape(-1, ROW_BYTES)[:, SERIAL_AT:], 0)
    return out.view(f"V{out.shape[1]}")[:, 0]


def _row_number(row: np.void) -> RowNumber:
    return RowNumber(int(row["file"]), int(row["row"]))


def _serial(row: np.void) -> bytes:
    return bytes(row["serial"])[: Group.of_code(int(row["code"])).serial_bytes]


@dataclass(frozen=True, slots=True)
class Survey:
    """What one shard holds, counted before anything is signed."""

    shard: int
    groups: dict[Group, int]
    repeated: int
    expired: int
    conflicts: tuple[Conflict, ...]
    conflict_count: int
    steps: dict[str, float] = field(default_factory=dict)


def total(surveys: Iterable[Survey]) -> dict[Group, int]:
    """Return the number of rows of each group over all shards, in the order of groups."""
    counts: dict[Group, int] = {}
    for survey in surveys:
        for group, count in survey.groups.items():
            counts[group] = counts.get(group, 0) + count
    return dict(sorted(counts.items()))
