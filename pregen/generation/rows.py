"""The rows of one shard, as its worker sees them: sorted by key, repetitions collapsed, expired ones left out.

A certificate has expired when all of its rows have; nobody asks what these said.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, VerificationError
from pregen.gates.comparison import NOT_COMPARED, Comparison
from pregen.generation.routing_key import serial_matrix
from pregen.generation.spill import (
    ROW_BYTES,
    SERIAL_AT,
    WITHHELD,
    Places,
    Spilled,
    SpillFile,
    clipped,
    read_spilled,
    take,
)
from pregen.snapshot import GOOD, MAX_SERIAL_BYTES, REVOKED

# What the responses of a group look like: status, and whether a reason is given.
KINDS = (("good", False), ("revoked", False), ("revoked", True), ("unknown", False))

_UNKNOWN = KINDS.index(("unknown", False))
_IS_REVOKED = np.array([status == "revoked" for status, _ in KINDS])
_CODE = np.array([1 << 8, 1 << 2, 1])  # `Group.code` as a product
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


class Pair(NamedTuple):
    """Two rows of one certificate, and its serial; `is_withheld`: the other row is bad or left out."""

    row: RowNumber
    other: RowNumber
    serial: bytes
    is_withheld: bool = False


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
        conflict_count: how many rows contradict another one.
        withheld: rows that get none, and are not counted anywhere else.
        repetitions: the first ones.
        keys: uint64[n], the whole keys.
        not_after: uint32[n], as `pregen.generation.spill.clipped`.
    """

    key32: NDArray[np.uint32]
    octets: NDArray[np.uint8]
    starts: Places
    codes: NDArray[np.int64]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    repeated: int = 0
    expired: int = 0
    conflicts: tuple[Pair, ...] = field(default=())
    conflict_count: int = 0
    withheld: int = 0
    repetitions: tuple[Pair, ...] = field(default=())
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    not_after: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))

    def serials(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        """Return the serials of rows whose serials have `size` octets, uint8[n, size]."""
        return serial_matrix(self.octets, self.starts[rows], size)

    def groups(self) -> dict[Group, int]:
        """Return the number of rows of each group."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return {Group.of_code(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}

    def digest(self) -> int:
        """Return what `Survey.digest` is if nothing else was surveyed."""
        return _digest(*np.unique(self.codes, return_counts=True), self.repeated, self.expired)


def _digest(codes: NDArray[np.int64], counts: NDArray[np.int64], repeated: int, expired: int) -> int:
    """Return a CRC-32 of the number of rows of each group, by ascending codes, and of those left out."""
    return zlib.crc32(np.concatenate([codes, counts, [repeated, expired]]).data)


def load_rows(
    path: Path, expired_before: int | None, written: Sequence[SpillFile] | None = None, surveyed: int | None = None
) -> ShardRows:
    """Return the rows of a spooled shard.

    Args:
        path: the folder of the shard's files.
        expired_before: certificates whose not_after is before it are left out, in seconds since 1970; None keeps all.
        written: what the files must be; None takes them as they are.
        surveyed: what `ShardRows.digest` must be; None takes any.

    Raises:
        SpoolError: the files cannot be read, or are not what was written.
        VerificationError: the rows are not those that were surveyed.
    """
    rows, suspects = _in_order(read_spilled(path, written))
    limit = 0 if expired_before is None else int(clipped(np.array(expired_before)))
    collapsed = _collapse(rows, suspects, limit) if len(suspects) else _Collapsed()
    kept = rows["reason"] != WITHHELD
    withheld = len(rows) - int(np.count_nonzero(kept))
    kept[collapsed.dropped] = False
    certificates = int(np.count_nonzero(kept))
    repeated = len(rows) - withheld - certificates
    kept &= rows["not_after"] >= limit
    if not kept.all():
        rows = take(rows, np.flatnonzero(kept))
    loaded = ShardRows(
        key32=(rows["key"] >> _HALF).astype(np.uint32),
        octets=rows.view(np.uint8),
        starts=np.arange(SERIAL_AT, rows.nbytes, ROW_BYTES),
        codes=rows["code"].astype(np.int64),
        revoked_at=rows["revoked_at"].copy(),
        reason=rows["reason"].copy(),
        repeated=repeated,
        expired=certificates - len(rows),
        conflicts=collapsed.conflicts,
        conflict_count=collapsed.conflict_count,
        withheld=withheld,
        repetitions=collapsed.repetitions,
        keys=rows["key"].copy(),
        not_after=rows["not_after"].copy(),
    )
    if surveyed is not None and loaded.digest() != surveyed:
        raise VerificationError(
            f"{path}: {len(rows):,} rows to sign, {loaded.repeated:,} repeated and {loaded.expired:,} expired ones are "
            "not by issuer, serial length and status what was surveyed: nothing was published; please report this"
        )
    return loaded


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
    conflicts: tuple[Pair, ...] = ()
    conflict_count: int = 0
    repetitions: tuple[Pair, ...] = ()


def _collapse(rows: Spilled, suspects: Places, limit: int) -> _Collapsed:
    """Find, among rows with equal keys, those of one certificate: the first gets the latest not_after, others go.

    Rows that differ in status, revocation time or reason are conflicts, and so is a withheld one that contradicts one
    that is not (`pregen.snapshot.Withheld`), unless the certificate has expired: its latest not_after is before
    `limit`. Equal keys of different certificates are legal.
    """
    these = take(rows, suspects)
    in_snapshot = np.lexsort((these["row"], these["file"], these["reason"] == WITHHELD))
    these, suspects = take(these, in_snapshot), suspects[in_snapshot]
    _, first, member = np.unique(_identities(these), return_index=True, return_inverse=True)
    leader = first[member]  # the first row of each one's certificate
    np.maximum.at(rows["not_after"], suspects[leader], these["not_after"])
    differs = np.zeros(len(these), bool)
    for name in ("code", "revoked_at", "reason"):
        differs |= these[name] != these[name][leader]
    follows = leader != np.arange(len(these))
    withheld = these["reason"] == WITHHELD
    differs = np.where(withheld, _contradicts(these, take(these, leader)), differs)
    differs &= rows["not_after"][suspects[leader]] >= limit
    conflicts, repetitions = (
        tuple(
            Pair(_row_number(these[leader[i]]), _row_number(these[i]), _serial(these[i]), bool(withheld[i]))
            for i in np.flatnonzero(which)[:MAX_EXAMPLES]
        )
        for which in (differs, follows & ~differs & ~withheld)
    )
    return _Collapsed(suspects[follows], conflicts, int(differs.sum()), repetitions)


def _contradicts(withheld: Spilled, published: Spilled) -> NDArray[np.bool_]:
    """Return which rows that are withheld contradict those that are published, if these are; bool[n]."""
    says, becomes = withheld["code"] & 3, published["code"] & 3
    wrong: NDArray[np.bool_] = (says == _UNKNOWN) | (_IS_REVOKED[says] & ~_IS_REVOKED[becomes])
    wrong &= published["reason"] != WITHHELD
    return wrong


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
    """What one shard holds, counted before anything is signed; `groups` are in their order.

    `comparison` is with the current generation.
    """

    shard: int
    groups: dict[Group, int]
    repeated: int
    expired: int
    conflicts: tuple[Pair, ...]
    conflict_count: int
    withheld: int = 0
    steps: dict[str, float] = field(default_factory=dict)
    comparison: Comparison = NOT_COMPARED
    repetitions: tuple[Pair, ...] = ()

    def digest(self) -> int:
        """Return a number that changes with the rows of any group, and with those left out."""
        groups = np.fromiter(chain.from_iterable(self.groups), np.int64).reshape(-1, len(Group._fields))
        counts = np.fromiter(self.groups.values(), np.int64)
        return _digest(groups @ _CODE, counts, self.repeated, self.expired)


@dataclass(frozen=True, slots=True)
class Tally:
    """Surveys added up; what is kept grows with the number of groups, and not with that of shards times groups.

    Attributes:
        groups: rows of each, in the order of groups.
        proofs: by shard, the groups that are seen there first, in the order of shards.
        digests: by shard, `Survey.digest`.
        conflicts: the first ones, in the order of shards.
        withheld: rows that were spooled to be compared alone.
        comparison: with the current generation.
        repetitions: the first ones, in the order of shards.
    """

    groups: dict[Group, int]
    proofs: dict[int, frozenset[Group]]
    digests: dict[int, int]
    repeated: int
    expired: int
    conflicts: tuple[Pair, ...]
    conflict_count: int
    withheld: int = 0
    comparison: Comparison = NOT_COMPARED
    repetitions: tuple[Pair, ...] = ()


def add_up(surveys: Iterable[Survey]) -> Tally:
    """Return the sum of surveys, which may come in any order."""
    groups: dict[Group, int] = {}
    first: dict[Group, int] = {}
    digests: dict[int, int] = {}
    conflicts: dict[int, tuple[Pair, ...]] = {}
    repetitions: dict[int, tuple[Pair, ...]] = {}
    repeated = expired = conflict_count = withheld = 0
    comparison = NOT_COMPARED
    for survey in surveys:
        for group, count in survey.groups.items():
            groups[group] = groups.get(group, 0) + count
            first[group] = min(first.get(group, survey.shard), survey.shard)
        digests[survey.shard] = survey.digest()
        _keep(conflicts, survey.shard, survey.conflicts)
        _keep(repetitions, survey.shard, survey.repetitions)
        repeated += survey.repeated
        expired += survey.expired
        conflict_count += survey.conflict_count
        withheld += survey.withheld
        comparison = comparison.plus(survey.comparison)
    proofs: dict[int, set[Group]] = {}
    for group, shard in first.items():
        proofs.setdefault(shard, set()).add(group)
    return Tally(
        groups=dict(sorted(groups.items())),
        proofs={shard: frozenset(proofs[shard]) for shard in sorted(proofs)},
        digests=digests,
        repeated=repeated,
        expired=expired,
        conflicts=_first_of(conflicts),
        conflict_count=conflict_count,
        withheld=withheld,
        comparison=comparison,
        repetitions=_first_of(repetitions),
    )


def _keep(kept: dict[int, tuple[Pair, ...]], shard: int, pairs: tuple[Pair, ...]) -> None:
    """Keep what a shard shows; of the last shard nothing, if those before it have enough without it."""
    if pairs:
        kept[shard] = pairs
    if len(kept) > MAX_EXAMPLES:  # each shows one at least
        del kept[max(kept)]


def _first_of(kept: dict[int, tuple[Pair, ...]]) -> tuple[Pair, ...]:
    return tuple(chain.from_iterable(kept[shard] for shard in sorted(kept)))[:MAX_EXAMPLES]
