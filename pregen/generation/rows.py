"""The rows of one shard, as its worker sees them: sorted by key, repetitions collapsed, expired ones left out.

A certificate has expired when all of its rows have; nobody asks what these said.

A precertificate's serial counts as assigned (TLS Baseline Requirements, 4.9.9), so its row alone gets an answer. Beside
the row of the final certificate it is the same certificate, and not a repetition: both differ by two extensions alone
(RFC 6962, 3.1). Such a pair is joined in whatever order and files its rows come:

* Their expiries must be a day apart at most, where both say one; else the rows are judged as any two of one serial.
* Revoked is what one of both says is revoked. Where both are, the time and the reason of the earlier revocation count,
  but one that is final wins over a hold, and at the same time one with a reason over one without, then the final
  certificate's. Good and unknown contradict each other as ever.
* Several precertificates, or several final certificates, are judged among themselves.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, VerificationError
from pregen.generation.endings import Endings
from pregen.generation.routing_key import serial_matrix
from pregen.generation.spill import (
    AGAIN,
    FLAGS,
    LAST_SECOND,
    PRECERTIFICATE,
    ROW_BYTES,
    SERIAL_AT,
    SPILLED,
    WITHHELD,
    Places,
    Spilled,
    SpillFile,
    clipped,
    read_spilled,
    take,
)
from pregen.snapshot import GOOD, MAX_SERIAL_BYTES, NO_REASON, REVOKED

# What the responses of a group look like: status, and whether a reason is given.
KINDS = (("good", False), ("revoked", False), ("revoked", True), ("unknown", False))

_UNKNOWN = KINDS.index(("unknown", False))
_IS_REVOKED = np.array([status == "revoked" for status, _ in KINDS])
CODE = np.array([1 << 8, 1 << 2, 1, 1 << 32])  # `Group.code` as a product
_DAY_S = 86_400
_HOLD = 6  # certificateHold (RFC 5280, 5.3.1)
_HALF, _LOWER = np.uint64(32), np.uint64(2**32 - 1)


class Group(NamedTuple):
    """Rows whose responses differ only in serial, revocation time and reason; sorts in the order of packs.

    Attributes:
        issuer: index in the configuration.
        serial_bytes: length of the serial.
        kind: index in `KINDS`.
        span_s: of windows that end with their certificates, from the start of the run to their end; 0: the usual one.
    """

    issuer: int
    serial_bytes: int
    kind: int
    span_s: int = 0

    @property
    def code(self) -> int:
        """One number for the four, of which the lower 32 bits are that of a row of a spill file."""
        return (self.span_s << 32) | (self.issuer << 8) | (self.serial_bytes << 2) | self.kind

    @classmethod
    def of_code(cls, code: int) -> "Group":
        """Return the group of a number.

        >>> Group.of_code(Group(3, 16, 2, 60).code)
        Group(issuer=3, serial_bytes=16, kind=2, span_s=60)
        """
        return cls(code >> 8 & 0xFF_FFFF, code >> 2 & 63, code & 3, code >> 32)


def group_codes(
    issuer: NDArray[np.int32], serial_bytes: NDArray[np.int32], status: NDArray[np.uint8], reason: NDArray[np.int8]
) -> NDArray[np.uint32]:
    """Return `Group.code` of each row, uint32[n]: there are less than 2**22 issuers."""
    kind = np.where(status == GOOD, 0, np.where(status == REVOKED, 1 + (reason >= 0), 3))
    return ((issuer << 8) | (serial_bytes << 2) | kind).astype(np.uint32)


def again_for(codes: NDArray[np.uint32], issuer: int) -> NDArray[np.uint32]:
    """Return codes of spooled rows as those of another issuer, for which they are spooled once more."""
    return (codes & (PRECERTIFICATE | np.uint32(0xFF))) | AGAIN | np.uint32(issuer << 8)


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


class Precertificates(NamedTuple):
    """What became of the rows of precertificates.

    Attributes:
        joined: those that are one certificate with the row of a final one, which is counted in their place.
        alone: those that get an answer of their own.
        differing: those of the joined ones that differ from the other row in status, time or reason of revocation.
        examples: the first of these.
    """

    joined: int = 0
    alone: int = 0
    differing: int = 0
    examples: tuple[Pair, ...] = ()


NO_PRECERTIFICATES = Precertificates()


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
        precertificates: what became of their rows.
        again: certificates that are answered for a further name or key of their issuer; they are here, but no count of
            rows is about them.
        again_rows: their rows.
        undated: those whose window is to end with them, and of which nobody says when that is.
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
    precertificates: Precertificates = NO_PRECERTIFICATES
    again: int = 0
    again_rows: int = 0
    undated: int = 0
    keys: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    not_after: NDArray[np.uint32] = field(default_factory=lambda: np.empty(0, np.uint32))

    def serials(self, rows: NDArray[np.intp], size: int) -> NDArray[np.uint8]:
        """Return the serials of rows whose serials have `size` octets, uint8[n, size]."""
        return serial_matrix(self.octets, self.starts[rows], size)

    def spilled(self, rows: NDArray[np.intp]) -> Spilled:
        """Return rows as they were spooled, which say where in the snapshot they are."""
        return serial_matrix(self.octets, self.starts[rows] - SERIAL_AT, ROW_BYTES).view(SPILLED)[:, 0]

    def groups(self) -> dict[Group, int]:
        """Return the number of rows of each group."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return {Group.of_code(code): count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}

    def digest(self) -> int:
        """Return what `Survey.digest` is if nothing else was surveyed."""
        codes, counts = np.unique(self.codes, return_counts=True)
        return digest_of(codes, counts, self.repeated, self.expired, self.precertificates)


def digest_of(
    codes: NDArray[np.int64], counts: NDArray[np.int64], repeated: int, expired: int, early: Precertificates
) -> int:
    """Return a CRC-32 of the number of rows of each group, by ascending codes, and of those left out."""
    return zlib.crc32(np.concatenate([codes, counts, [repeated, expired, early.joined, early.alone]]).data)


def load_rows(
    path: Path,
    expired_before: int | None,
    written: Sequence[SpillFile] | None = None,
    surveyed: int | None = None,
    endings: Endings | None = None,
) -> ShardRows:
    """Return the rows of a spooled shard.

    Args:
        path: the folder of the shard's files.
        expired_before: certificates whose not_after is before it are left out, in seconds since 1970; None keeps all.
        written: what the files must be; None takes them as they are.
        surveyed: what `ShardRows.digest` must be; None takes any.
        endings: which certificates get a window that ends with them; None: none do.

    Raises:
        SpoolError: the files cannot be read, or are not what was written.
        VerificationError: the rows are not those that were surveyed.
    """
    rows, suspects = _in_order(read_spilled(path, written))
    limit = 0 if expired_before is None else int(clipped(np.array(expired_before)))
    collapsed = _collapse(rows, suspects, limit) if len(suspects) else _Collapsed()
    kept, own = rows["reason"] != WITHHELD, rows["code"] & AGAIN == 0
    withheld = len(rows) - int(np.count_nonzero(kept))
    own_rows = int(np.count_nonzero(kept & own))
    again_rows = len(rows) - withheld - own_rows
    kept[collapsed.dropped] = False
    certificates = int(np.count_nonzero(kept & own))
    repeated = own_rows - certificates - collapsed.joined
    kept &= rows["not_after"] >= limit
    live = int(np.count_nonzero(kept & own))
    alone = int(np.count_nonzero(kept & own & (rows["code"] & PRECERTIFICATE != 0)))
    if not kept.all():
        rows = take(rows, np.flatnonzero(kept))
    codes, undated = (rows["code"] & ~FLAGS).astype(np.int64), 0
    if endings is not None:
        issuer, own = codes >> 8, rows["code"] & AGAIN == 0
        undated = endings.undated(issuer[own], rows["not_after"][own])
        codes |= endings.spans(issuer, rows["not_after"]) << 32
    loaded = ShardRows(
        key32=(rows["key"] >> _HALF).astype(np.uint32),
        octets=rows.view(np.uint8),
        starts=np.arange(SERIAL_AT, rows.nbytes, ROW_BYTES),
        codes=codes,
        revoked_at=rows["revoked_at"].copy(),
        reason=rows["reason"].copy(),
        repeated=repeated,
        expired=certificates - live,
        conflicts=collapsed.conflicts,
        conflict_count=collapsed.conflict_count,
        withheld=withheld,
        repetitions=collapsed.repetitions,
        precertificates=Precertificates(collapsed.joined, alone, collapsed.differing, collapsed.examples),
        again=len(rows) - live,
        again_rows=again_rows,
        undated=undated,
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
    joined: int = 0
    differing: int = 0
    examples: tuple[Pair, ...] = ()


def _collapse(rows: Spilled, suspects: Places, limit: int) -> _Collapsed:
    """Find, among rows with equal keys, those of one certificate: the first gets the latest not_after, others go.

    Rows that differ in status, revocation time or reason are conflicts, and so is a withheld one that contradicts one
    that is not (`pregen.snapshot.Withheld`), unless the certificate has expired: its latest not_after is before
    `limit`. Equal keys of different certificates are legal. The row of a final certificate is the first of all, and
    takes over what the one of its precertificate says.
    """
    these = take(rows, suspects)
    withheld = these["reason"] == WITHHELD
    early = (these["code"] & PRECERTIFICATE != 0) & ~withheld
    again = these["code"] & AGAIN != 0
    in_snapshot = np.lexsort((these["row"], these["file"], again, early, withheld))
    these, suspects = take(these, in_snapshot), suspects[in_snapshot]
    withheld, early, again = withheld[in_snapshot], early[in_snapshot], again[in_snapshot]
    flags = these["code"] & FLAGS
    these["code"] &= ~FLAGS
    places = np.arange(len(these))
    leader = _first_of(_identities(these))  # the row that each one's certificate is published by
    peer, joined, uneven = leader, np.zeros(len(these), bool), np.zeros(len(these), bool)
    if early.any():
        peer, joined = _paired(these, leader, early)
        uneven = joined & _differ(these, leader)
    differs = _differ(these, peer)
    _take_over(these, leader, np.flatnonzero(uneven))
    changed = leader[uneven]
    rows[suspects[changed]] = these[changed]
    rows["code"][suspects[changed]] |= flags[changed]
    np.maximum.at(rows["not_after"], suspects[leader], these["not_after"])
    follows = leader != places
    differs = np.where(withheld, _contradicts(these, take(these, leader)), differs)
    is_live = rows["not_after"][suspects[leader]] >= limit
    shown = np.where(withheld, leader, peer)
    differs &= is_live & ~(again & again[shown])  # which was found where they were spooled before
    uneven &= is_live & ~again
    conflicts, repetitions, examples = (
        tuple(
            Pair(_row_number(these[one[i]]), _row_number(these[i]), _serial(these[i]), bool(withheld[i]))
            for i in np.flatnonzero(which)[:MAX_EXAMPLES]
        )
        for one, which in (
            (shown, differs),
            (peer, follows & ~differs & ~withheld & ~joined & ~again),
            (leader, uneven),
        )
    )
    counts = int((joined & ~again).sum()), int(uneven.sum())
    return _Collapsed(suspects[follows], conflicts, int(differs.sum()), repetitions, *counts, examples)


def _first_of(identities: NDArray[np.generic]) -> Places:
    """Return for each place the first one of the same identity."""
    _, first, member = np.unique(identities, return_index=True, return_inverse=True)
    found: Places = first[member]
    return found


def _paired(these: Spilled, leader: Places, early: NDArray[np.bool_]) -> tuple[Places, NDArray[np.bool_]]:
    """Return which row each one must agree with, and which rows of precertificates are joined with a final one's.

    `leader` is the row of the final certificate, wherever there is one.
    """
    own = _first_of(2 * leader + early)
    first = np.flatnonzero(early & (own == np.arange(len(these))) & ~early[leader])
    one, other = these[first], these[leader[first]]
    expiries = one["not_after"].astype(np.int64), other["not_after"].astype(np.int64)
    fits = np.abs(expiries[0] - expiries[1]) <= _DAY_S
    fits |= (expiries[0] == LAST_SECOND) | (expiries[1] == LAST_SECOND)  # one of both does not say
    says = one["code"] & 3, other["code"] & 3
    fits &= ((says[0] == _UNKNOWN) == (says[1] == _UNKNOWN)) | _IS_REVOKED[says[0]] | _IS_REVOKED[says[1]]
    joined = np.zeros(len(these), bool)
    joined[first[fits]] = True
    return np.where(early & ~joined[own], leader, own), joined


def _differ(these: Spilled, others: Places) -> NDArray[np.bool_]:
    """Return which rows say another status, revocation time or reason than the ones at `others`."""
    differs = np.zeros(len(these), bool)
    for name in ("code", "revoked_at", "reason"):
        differs |= these[name] != these[name][others]
    return differs


def _take_over(these: Spilled, leader: Places, joined: Places) -> None:
    """Let the rows of final certificates say what those of their precertificates do, where these win."""
    ranks = [
        (~_IS_REVOKED[rows["code"] & 3], rows["reason"] == _HOLD, rows["revoked_at"], rows["reason"] == NO_REASON)
        for rows in (these[joined], these[leader[joined]])
    ]
    wins, tied = np.zeros(len(joined), bool), np.ones(len(joined), bool)
    for mine, other in zip(*ranks, strict=True):
        wins |= tied & (mine < other)
        tied &= mine == other
    for name in ("code", "revoked_at", "reason"):
        these[name][leader[joined[wins]]] = these[name][joined[wins]]


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
