"""Which rows of a shard keep the record that the current generation has, and where its octets are; in a worker.

A row is matched with a record by key, issuer and serial. Whatever a signature of today would not have makes it signed
anew, and so does a window that is due; what is left is carried over, octet by octet. Packs are looked at from the
oldest to the newest, shards before overlays: the newest record of a certificate counts, as for a reader.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pregen.generation.making.carry_job import CarryJob, RunColumns
from pregen.generation.making.former import FormerPack, FormerPackError, read_former_pack
from pregen.generation.making.layout import Numbers
from pregen.generation.making.terms import DIFFERENCES
from pregen.generation.making.why_signed import (
    ALL,
    CARRIED,
    CHANGED,
    DUE,
    LEFT_OUT,
    NEW,
    PACK_DAMAGED,
    SPREAD,
    WHY_SIGNED,
    Reasons,
)
from pregen.generation.rows.endings import as_today
from pregen.generation.rows.groups import HAS_REASON, IS_REVOKED, RESPONSE_KINDS
from pregen.generation.rows.rows import ShardRows
from pregen.routing_key import same_serials, serial_matrix, xxh64
from pregen.signers import Octets
from pregen.snapshot import NO_REASON
from pregen.validity import Fit
from storage.key import part_of
from storage.manifest import Shard
from storage.stores import Store

WIDE_BYTES = 64 << 20  # of packs that a worker keeps because several of its shards need them
_HOLDER = 0x3FFF_FFFF  # of a group's code without its kind: index of the issuer, and octets of the serial
# How much a record of each kind says, for issuers that are left behind: of a good one, least.
_WEIGHT = np.array([{"good": 0, "unknown": 1, "revoked": 2}[status] for status, _ in RESPONSE_KINDS])


@dataclass(frozen=True, slots=True)
class CarriedRows:
    """Which rows of a shard are carried over.

    Attributes:
        run: intp[n], the number that the run of each row's record has tonight; -1: the row is signed.
        known: bool[n], whether the current generation has a record of it.
        reasons: why.
        is_resumed: whether a pack of an earlier attempt of this run was there to be copied from.
    """

    run: Numbers
    known: NDArray[np.bool_]
    reasons: Reasons
    is_resumed: bool = False
    _packs: Sequence[Octets] = ()
    _pack: Numbers = field(default_factory=lambda: np.empty(0, np.intp))
    _start: Numbers = field(default_factory=lambda: np.empty(0, np.intp))

    def records(self, members: Numbers, stride: int) -> Octets:
        """Return the records of rows, which are all carried over, uint8[n, stride].

        Args:
            members: intp[n], indexes of rows.
            stride: octets of each of their records.
        """
        if len(self._packs) == 1:
            return serial_matrix(self._packs[0], self._start[members], stride)
        records, pack_of = np.empty((len(members), stride), np.uint8), self._pack[members]
        for number, octets in enumerate(self._packs):
            own = np.flatnonzero(pack_of == number)
            if len(own):
                records[own] = serial_matrix(octets, self._start[members[own]], stride)
        return records

    def said(self, members: Numbers, sizes: Numbers, kinds: Numbers) -> tuple[NDArray[np.uint32], NDArray[np.int8]]:
        """Return times and reasons of revocation that the records of rows say, which are all carried over.

        Args:
            members: intp[n], indexes of rows.
            sizes: of their serials.
            kinds: of their records, as indexes into `RESPONSE_KINDS`.
        """
        times, reasons = np.zeros(len(members), np.uint32), np.full(len(members), NO_REASON, np.int8)
        for number, octets in enumerate(self._packs):
            own = self._pack[members] == number
            for has, column, skipped, kind in ((IS_REVOKED, times, 0, "<u4"), (HAS_REASON, reasons, 4, "i1")):
                these = np.flatnonzero(own & has[kinds])
                at = self._start[members[these]] + sizes[these] + skipped
                column[these] = serial_matrix(octets, at, np.dtype(kind).itemsize).view(kind)[:, 0]
        return times, reasons

    def of(self, kept: NDArray[np.bool_]) -> "CarriedRows":
        """Return the same of some of the rows, bool[n]; the others are in no shard."""
        if not len(self._packs):
            return replace(self, run=self.run[kept], known=self.known[kept])
        parts = {name: getattr(self, name)[kept] for name in ("run", "known", "_pack", "_start")}
        return replace(self, **parts)


def all_signed(rows: ShardRows, staying: NDArray[np.bool_]) -> CarriedRows:
    """Return that all rows are signed, whatever the current generation has; but for those of some issuers.

    Args:
        rows: of the shard.
        staying: bool[issuers], which issuers are left behind.
    """
    codes, none = rows.codes[~staying[rows.codes >> 8 & 0xFF_FFFF]], np.full(len(rows.keys), -1, np.intp)
    signed = {"all": len(codes)} if len(codes) else {}
    return CarriedRows(none, none >= 0, Reasons(signed, by_issuer=_counted(codes)))


def _counted(codes: NDArray[np.int64]) -> dict[int, int]:
    """Return how many rows each issuer has, by its index."""
    counts = np.bincount(codes >> 8 & 0xFF_FFFF)
    return {at: int(counts[at]) for at in np.flatnonzero(counts).tolist()}


class Carrier:
    """Finds what is carried over, in one worker.

    Args:
        job: what a record must be like.
        store: where the packs of the current generation are.
    """

    def __init__(self, job: CarryJob, store: Store) -> None:
        self._job = job
        self._store = store
        self._wide: dict[str, FormerPack | str] = {}  # packs that other shards need too, or what is wrong with them

    @property
    def is_full(self) -> bool:
        """Whether all is signed that no pack of an earlier attempt has."""
        return self._job.is_full

    def carried(self, rows: ShardRows, packs: Sequence[Shard], low: int, high: int) -> CarriedRows:
        """Return which rows of a shard are carried over.

        Args:
            rows: the shard's rows.
            packs: those of the current generation that have keys of the shard, in the order in which readers search.
            low: lowest key of the shard.
            high: the one behind its highest.

        Raises:
            OSError: the store does not answer.
        """
        found = _FoundRecords(rows, self._job)
        for shard in reversed(packs):
            columns = self._job.runs[shard.windows]
            pack = self._wide.get(shard.pack)
            if pack is None:
                pack = self._read(shard, columns)
                found.octets_read += 0 if isinstance(pack, str) else len(pack.octets)
                if shard.low < low or shard.high > high:
                    self._remember(shard, pack)
            is_earlier = shard.windows in self._job.earlier
            if not isinstance(pack, str):
                found.take(_of_keys(pack, shard, low, high), columns, is_earlier=is_earlier)
            elif not is_earlier:  # else it is as if that attempt had not come so far
                found.miss(shard, pack)
        return found.result()

    def _read(self, shard: Shard, columns: RunColumns) -> FormerPack | str:
        try:
            return read_former_pack(self._store, shard, columns.stride)
        except FormerPackError as e:
            return str(e)

    def _remember(self, shard: Shard, pack: FormerPack | str) -> None:
        """Keep a pack for further shards, and of all packs no more than `WIDE_BYTES`: the first ones go first."""
        self._wide[shard.pack] = pack
        sizes = {name: len(one.octets) for name, one in self._wide.items() if isinstance(one, FormerPack)}
        while sum(sizes.values()) > WIDE_BYTES and len(sizes) > 1:
            name = next(iter(sizes))
            del sizes[name], self._wide[name]


def _of_keys(pack: FormerPack, shard: Shard, low: int, high: int) -> FormerPack:
    """Return the records of a pack whose keys may be in [low, high)."""
    if low <= shard.low and shard.high <= high:
        return pack
    first, last = max(low, shard.low), min(high, shard.high) - 1
    return pack.between(*(part_of(key, shard.low, shard.high, pack.count) for key in (first, last)))


class _FoundRecords:
    """What the packs of the current generation have for the rows of one shard."""

    def __init__(self, rows: ShardRows, job: CarryJob) -> None:
        count = len(rows.keys)
        self._rows, self._job = rows, job
        self._holder = rows.codes >> 2 & _HOLDER
        self._has_spans = bool((rows.codes >> 32).any())
        self._reason = np.full(count, NEW, np.uint8)
        self._differs = np.zeros(count, np.uint8)
        self._run = np.full(count, -1, np.intp)
        self._known = np.zeros(count, np.bool_)
        self._pack = np.zeros(count, np.intp)
        self._start = np.zeros(count, np.intp)
        self._packs: list[Octets] = []
        self._is_resumed = False
        self.octets_read = 0
        self._damaged: list[str] = []

    def miss(self, shard: Shard, why: str) -> None:
        """Note that a pack cannot be used: nobody knows which of its certificates are new."""
        key = self._rows.key32
        lost = (key >= shard.low) & (key < shard.high) & (self._reason == NEW)
        self._reason[lost], self._differs[lost] = ALL, len(DIFFERENCES)
        self._damaged.append(why)

    def take(self, pack: FormerPack, columns: RunColumns, *, is_earlier: bool) -> None:
        """Decide for all rows of which a pack has a record; `is_earlier`: it is of an earlier attempt of this run."""
        self._is_resumed |= is_earlier
        at, records = self._matched(pack, columns)
        runs = pack.runs[records]
        self._known[at] = True
        self._reason[at] = self._decided(at, runs, columns)
        self._differs[at] = columns.differs[runs]
        self._pack[at], self._start[at] = len(self._packs), pack.starts[records]
        self._compare_fields(at, pack, records, columns)
        carried = self._reason[at] == CARRIED
        number = np.where(carried, columns.number[runs], -1)
        if np.count_nonzero(number >= 0) < np.count_nonzero(carried):
            raise KeyError("a record is carried over for whose run the plan has no number")
        self._run[at] = number
        self._packs.append(pack.octets)

    def result(self) -> CarriedRows:
        """Return what came of all packs."""
        if self._job.staying.any():
            self._reason[self._job.staying[self._holder >> 6] & (self._reason != CARRIED)] = LEFT_OUT
        counts = np.bincount(self._reason, minlength=LEFT_OUT + 1).tolist()
        differs = np.bincount(self._differs[self._reason == ALL], minlength=len(DIFFERENCES) + 1).tolist()
        reasons = Reasons(
            signed={name: count for name, count in zip(WHY_SIGNED, counts, strict=False) if count},
            carried=counts[CARRIED],
            octets_read=self.octets_read,
            differs={name: count for name, count in zip((*DIFFERENCES, PACK_DAMAGED), differs, strict=True) if count},
            damaged=tuple(self._damaged),
            by_issuer=_counted(self._rows.codes[self._reason < CARRIED]),
        )
        return CarriedRows(self._run, self._known, reasons, self._is_resumed, self._packs, self._pack, self._start)

    def _matched(self, pack: FormerPack, columns: RunColumns) -> tuple[Numbers, Numbers]:
        """Return rows and the records that are theirs, by key, issuer and serial."""
        rows, places, records = self._rows, [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        holder_of = columns.issuer << 6 | columns.serial_bytes
        for size in np.unique(columns.serial_bytes[columns.issuer >= 0]).tolist() if len(rows.keys) else []:
            these = np.flatnonzero(((columns.serial_bytes == size) & (columns.issuer >= 0))[pack.runs])
            if not len(these):
                continue
            serials = serial_matrix(pack.octets, pack.starts[these], size)
            keys = xxh64(serials, columns.issuer_id[pack.runs[these]])
            at = np.searchsorted(rows.keys, keys)
            # Nearly always once: certificates of equal keys lie side by side.
            while len(at):
                there = rows.keys[np.minimum(at, len(rows.keys) - 1)] == keys
                if not there.all():
                    at, keys, these, serials = at[there], keys[there], these[there], serials[there]
                same = self._holder[at] == holder_of[pack.runs[these]]
                alike = np.flatnonzero(same)
                same[alike] = same_serials(rows.serials(at[alike], size), serials[alike])
                places.append(at[same])
                records.append(these[same])
                at, keys, these, serials = at[~same] + 1, keys[~same], these[~same], serials[~same]
        return np.concatenate(places), np.concatenate(records)

    def _decided(self, at: Numbers, runs: Numbers, columns: RunColumns) -> NDArray[np.uint8]:
        """Return why each row is signed, without its fields: what counts more comes later."""
        verdicts = np.full(len(columns.issuer), CARRIED, np.uint8)  # what holds for all records of a run
        if not self._has_spans:
            verdicts[self._due(self._job.usual_next[columns.issuer], columns, slice(None))] = DUE
        verdicts[columns.is_over] = DUE
        verdicts[columns.differs > 0] = ALL
        reason = verdicts[runs]
        self._spread(reason, at, runs, columns)
        if self._has_spans:
            tonight = self._rows.codes[at] >> 32
            ends_at = np.where(tonight > 0, self._job.started + tonight, self._job.usual_next[columns.issuer[runs]])
            reason[self._due(ends_at, columns, runs) & (reason != ALL)] = DUE
        open_fits = (columns.differs == 0) & (columns.fit != Fit.ANY)
        if open_fits.any():
            ending = np.flatnonzero(open_fits[runs])
            reason[ending[~self._as_today(at[ending], runs[ending], columns)]] = CHANGED
        kinds, wanted = columns.kind[runs], self._rows.codes[at] & 3
        reason[kinds != wanted] = CHANGED
        if columns.stays.any():
            stays = np.flatnonzero((columns.stays & (columns.differs == 0))[runs])
            says_less = _WEIGHT[kinds[stays]] < _WEIGHT[wanted[stays]]
            reason[stays] = np.where(says_less, CHANGED, CARRIED)
        return reason

    def _due(self, ends_at: NDArray[np.int64], columns: RunColumns, of: slice | Numbers) -> NDArray[np.bool_]:
        """Return what is due, of runs or of their records, given where their windows would end if made tonight."""
        due = self._job.refreshing.due(columns.refresh_by[of], columns.next_update[of], ends_at)
        # One that was made at the start of this run, by an earlier attempt, would have the same window.
        is_tonights: NDArray[np.bool_] = columns.produced_at[of] == self._job.started
        return due & ~is_tonights

    def _spread(self, reason: NDArray[np.uint8], at: Numbers, runs: Numbers, columns: RunColumns) -> None:
        """Note which rows are in this period's slot of their cycles, of those that would be carried over."""
        refreshing = self._job.refreshing
        if not refreshing.spread:
            return
        is_older = ~refreshing.made_now(columns.produced_at)
        for cycle in np.unique(columns.cycle[is_older]).tolist():
            own = np.flatnonzero((is_older & (columns.cycle == cycle))[runs] & (reason == CARRIED))
            reason[own[refreshing.in_slot(self._rows.key32[at[own]], cycle)]] = SPREAD

    def _as_today(self, at: Numbers, runs: Numbers, columns: RunColumns) -> NDArray[np.bool_]:
        """Return whose window is the one that today's settings would have given then, by their notAfter."""
        return as_today(
            columns.fit[runs], columns.produced_at[runs], columns.next_update[runs], self._rows.not_after[at]
        )

    def _compare_fields(self, at: Numbers, pack: FormerPack, records: Numbers, columns: RunColumns) -> None:
        """Note where time or reason of a revocation have changed."""
        kind = columns.kind[pack.runs[records]]
        compared = IS_REVOKED[kind] & ~columns.stays[pack.runs[records]]
        revoked = np.flatnonzero(compared & (kind == self._rows.codes[at] & 3))
        if not len(revoked):
            return
        at, records, kind = at[revoked], records[revoked], kind[revoked]
        begin = pack.starts[records] + columns.serial_bytes[pack.runs[records]]
        changed = serial_matrix(pack.octets, begin, 4).view("<u4")[:, 0] != self._rows.revoked_at[at]
        given = np.flatnonzero(HAS_REASON[kind])
        changed[given] |= pack.octets[begin[given] + 4] != self._rows.reason[at[given]].view(np.uint8)
        self._reason[at[changed]] = CHANGED
