"""What is noted about times while rows are routed: little, by columns, and so that it adds up in any order.

Every process that reads rows has an `Observer`; after each file it hands an `Observation` to the parent. Kept are

    newest       the latest certificate of each issuer that was issued by as_of (`Watch.issued_until`)
    bins         how much each issuer issued in each 5 minutes of the 35 days before that, and how much was revoked
    counts       how many times lie around as_of, and how many revocations and expiries around their issuances
    sightings    rows of anchors, and of certificates that the last generation remembered or the next one shall
    examples     of what should not be, up to 20 a kind: those with the smallest keys
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, StatusBatch

BIN_S = 300
BINS = 35 * 86_400 // BIN_S
REACH_S = 28 * 3_600  # of `counts`, either way
HALF = REACH_S // BIN_S
COLUMNS = 2 * HALF + 1  # the last one counts what lies beyond

# One row of the snapshot. A serial has `size` octets, the rest is zero; what is not given, and `own_zone`, are as
# in StatusBatch.
SIGHTING = np.dtype(
    [
        ("key", "<u8"),
        ("issuer", "<i4"),
        ("size", "u1"),
        ("serial", "u1", (21,)),
        ("not_before", "<i8"),
        ("not_after", "<i8"),
        ("revoked_at", "<i8"),
        ("own_zone", "u1"),
    ]
)
NO_SIGHTINGS = np.empty(0, SIGHTING)
KINDS = ("ahead", "late", "revoked-early", "expired-early")
_FILTER_BITS = 20
REVOKED_TIMES = 64

RowIndexes = NDArray[np.intp]
Sightings = NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for, made before the first row is read. It pickles.

    Attributes:
        as_of: of the snapshot, in seconds since 1970.
        skew_s: how far times may lie ahead of it.
        issuers: how many are configured.
        keys: uint64[k], ascending and distinct, of anchors and of the certificates that the last generation remembered.
        witness_share: which part of all certificates is to be sighted as witnesses of this generation, 0 to 1, by the
            lower halves of their keys.
        listed_as_of: where revocations come from CRLs, the instant of the list of certificates, which is mostly later
            than that of the oldest CRL; None: there are none, and `revoked_at` is a column as the others are.
    """

    as_of: int
    skew_s: int
    issuers: int
    keys: NDArray[np.uint64]
    witness_share: float
    listed_as_of: int | None = None

    @property
    def witness_limit(self) -> np.uint64:
        """Below which the lower half of a witness's key lies."""
        return np.uint64(min(max(self.witness_share, 0.0), 1.0) * 2**32)

    @property
    def revoked_limit(self) -> np.uint64:
        """The same for certificates that are revoked, of which there are few."""
        return np.uint64(min(max(self.witness_share * REVOKED_TIMES, 0.0), 1.0) * 2**32)

    @property
    def issued_until(self) -> int:
        """Until when issuance is known: what not_before is judged by."""
        return self.as_of if self.listed_as_of is None else self.listed_as_of

    @property
    def has_crls(self) -> bool:
        """Whether revocations come from CRLs, whose times are UTC by standard (RFC 5280, 5.1.2.6)."""
        return self.listed_as_of is not None


@dataclass(frozen=True, slots=True)
class Observation:
    """What was noted of some rows; `add_up` makes one of several.

    Attributes:
        newest: `SIGHTING`[<= issuers], ascending by issuer: of each, the row with the latest not_before up to as_of.
        bins, bin_counts: int64[k], ascending, and int64[k]: issuer * BINS + how many whole 5 minutes before as_of it
            issued something, and how many rows; after those of all issuers, the revocations of all together.
        places, counts: int64[k], ascending, and int64[k]: places are row * COLUMNS + column of the table that
            `table` returns.
        undated: int64[issuers, 2]: of each, how many rows have no not_before, and how many there are.
        sightings: `SIGHTING`[k], in any order.
        examples: `SIGHTING`[<= 20] for each of `KINDS`, ascending by keys; late ones have neither key nor issuer (-1).
    """

    newest: Sightings
    bins: NDArray[np.int64]
    bin_counts: NDArray[np.int64]
    places: NDArray[np.int64]
    counts: NDArray[np.int64]
    undated: NDArray[np.int64]
    sightings: Sightings
    examples: tuple[Sightings, ...] = field(default=(NO_SIGHTINGS,) * len(KINDS))

    def table(self, watch: Watch) -> NDArray[np.int64]:
        """Return the counts as int64[issuers + 3, COLUMNS], by 5 minutes from `REACH_S` before to `REACH_S` after.

        Row i: not_before of issuer i, from `issued_until` + skew; row issuers: revoked_at of all, from as_of + skew
        (nothing where they come from CRLs); the next one: revoked_at from not_before; the last one: not_after from
        not_before. Column HALF begins just after the origin (the last two rows: at it); the last column holds all that
        is later, what is earlier is not counted in the first two kinds and is in column 0 of the others.
        """
        dense = np.zeros((watch.issuers + 3) * COLUMNS, np.int64)
        dense[self.places] = self.counts
        return dense.reshape(-1, COLUMNS)


def add_up(observations: Iterable[Observation], watch: Watch) -> Observation:
    """Return what was noted of all rows together."""
    parts = [Observer(watch).take(), *observations]
    bins, bin_counts = _summed([part.bins for part in parts], [part.bin_counts for part in parts])
    places, counts = _summed([part.places for part in parts], [part.counts for part in parts])
    newest = _latest(np.concatenate([part.newest for part in parts]))
    assert not len(newest) or newest["issuer"][-1] < watch.issuers
    return Observation(
        newest=newest,
        bins=bins,
        bin_counts=bin_counts,
        places=places,
        counts=counts,
        undated=np.sum([part.undated for part in parts], axis=0, initial=0),
        sightings=np.concatenate([part.sightings for part in parts]),
        examples=tuple(_first(np.concatenate(kind)) for kind in zip(*(part.examples for part in parts), strict=True)),
    )


def _summed(
    places: Sequence[NDArray[np.int64]], counts: Sequence[NDArray[np.int64]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct places, ascending, and the sums of their counts."""
    distinct, at = np.unique(np.concatenate(places), return_inverse=True)
    sums = np.zeros(len(distinct), np.int64)
    np.add.at(sums, at, np.concatenate(counts))
    return distinct, sums


class Observer:
    """Takes notes in one process."""

    def __init__(self, watch: Watch) -> None:
        """Make room for the notes: 45 kB an issuer at most, of which the system gives what is touched."""
        self._watch = watch
        self._newest = np.full(watch.issuers, NO_ISSUANCE, np.int64)
        self._newest_key = np.zeros(watch.issuers, np.uint64)
        self._in_bins = np.zeros((watch.issuers + 1) * BINS, np.uint32)
        self._table = np.zeros((watch.issuers + 3) * COLUMNS, np.int64)
        # Most keys are nobody's: one look at a small table tells so.
        self._filter = np.zeros(1 << _FILTER_BITS, np.bool_)
        self._filter[watch.keys >> np.uint64(64 - _FILTER_BITS)] = True
        self._forget()

    def _forget(self) -> None:
        self._new_newest: list[Sightings] = [NO_SIGHTINGS]
        self._used: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._sightings: list[Sightings] = [NO_SIGHTINGS]
        self._examples = [NO_SIGHTINGS] * len(KINDS)
        self._table[:] = 0
        self._undated = np.zeros((self._watch.issuers, 2), np.int64)

    def add(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        """Note the rows of a batch; `key`, uint64[n], are their certificates' keys."""
        self._note_issuance(batch, key)
        self._note_revocations(batch, key)
        self._note_expiries(batch, key)
        self._note_newest(batch, key)
        rows = np.union1d(self._watched(key), self._witnesses(batch, key))
        if len(rows):
            self._sightings.append(_sighted(batch, key, rows))

    def _watched(self, key: NDArray[np.uint64]) -> RowIndexes:
        """Return the rows whose keys are looked for."""
        rows = np.flatnonzero(self._filter[key >> np.uint64(64 - _FILTER_BITS)])
        if not len(rows):
            return rows
        known = self._watch.keys
        found: NDArray[np.bool_] = known[np.minimum(np.searchsorted(known, key[rows]), len(known) - 1)] == key[rows]
        return rows[found]

    def _witnesses(self, batch: StatusBatch, key: NDArray[np.uint64]) -> RowIndexes:
        """Return the rows that the next generation may remember."""
        low = key & np.uint64(0xFFFFFFFF)
        found = low < self._watch.witness_limit
        revoked = np.flatnonzero(batch.revoked_at)
        found[revoked] |= low[revoked] < self._watch.revoked_limit
        return np.flatnonzero(found)

    def take(self) -> Observation:
        """Return what was noted since the last time."""
        bins, places = np.unique(np.concatenate(self._used)), np.flatnonzero(self._table)
        observation = Observation(
            newest=_latest(np.concatenate(self._new_newest)),
            bins=bins,
            bin_counts=self._in_bins[bins].astype(np.int64),
            places=places.astype(np.int64),
            counts=self._table[places],
            undated=self._undated,
            sightings=np.concatenate(self._sightings),
            examples=tuple(self._examples),
        )
        self._in_bins[bins] = 0
        self._forget()
        return observation

    def _note_issuance(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        missing = batch.issuer[batch.not_before == NO_ISSUANCE]
        for column, issuers in enumerate((missing, batch.issuer)):
            self._undated[:, column] += np.bincount(issuers, minlength=self._watch.issuers)
        rows = np.flatnonzero(batch.not_before > self._watch.issued_until - BINS * BIN_S)
        issuer = batch.issuer[rows].astype(np.int64)
        age = self._watch.issued_until - batch.not_before[rows]
        self._count(issuer[age >= 0], age[age >= 0])
        near = age < REACH_S
        self._note_near(issuer[near], -age[near])
        ahead = rows[age < -self._watch.skew_s]
        if len(ahead):
            self._keep("ahead", batch, key, ahead)

    def _count(self, row: NDArray[np.int64], age: NDArray[np.int64]) -> None:
        """Count what happened so many seconds before the instant that it is judged by, in bins."""
        bins = row * BINS + age // BIN_S
        unused = bins[self._in_bins[bins] == 0]
        if len(unused):
            self._used.append(np.unique(unused))
        np.add.at(self._in_bins, bins, np.uint32(1))  # of the same type: else forty times as slow

    def _note_near(self, row: NDArray[np.int64], after_s: NDArray[np.int64]) -> None:
        """Count times, given as seconds after the instant that they are judged by, in rows of the table."""
        column = np.minimum((after_s - self._watch.skew_s - 1) // BIN_S + HALF, COLUMNS - 1)
        inside = column >= 0
        np.add.at(self._table, row[inside] * COLUMNS + column[inside], 1)

    def _note_revocations(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        late = batch.late
        rows = np.flatnonzero(batch.revoked_at)
        revoked_at = np.concatenate([batch.revoked_at[rows], late.revoked_at])
        if not len(revoked_at):
            return
        after = revoked_at - self._watch.as_of
        if not self._watch.has_crls:  # newer CRLs than the oldest one say more
            near, recent = after[after > -REACH_S], after[(after <= 0) & (after > -BINS * BIN_S)]
            self._note_near(np.full(len(near), self._watch.issuers), near)
            self._count(np.full(len(recent), self._watch.issuers), -recent)
        if len(late.revoked_at):
            self._keep_sightings("late", _late(late.examples))
        rows = rows[batch.not_before[rows] != NO_ISSUANCE]
        delay = batch.revoked_at[rows] - batch.not_before[rows]
        column = np.clip(delay // BIN_S + HALF, 0, COLUMNS - 1)
        np.add.at(self._table, (self._watch.issuers + 1) * COLUMNS + column, 1)
        early = rows[delay < 0]
        if len(early):
            self._keep("revoked-early", batch, key, early)

    def _note_expiries(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        """Nearly all are right: those are only counted, as if far off."""
        given = (batch.not_before != NO_ISSUANCE) & (batch.not_after != NO_EXPIRY)
        early = np.flatnonzero((batch.not_before > batch.not_after) & given)
        row = (self._watch.issuers + 2) * COLUMNS
        self._table[row + COLUMNS - 1] += np.count_nonzero(given) - len(early)
        if len(early):
            delay = batch.not_after[early] - batch.not_before[early]
            np.add.at(self._table, row + np.clip(delay // BIN_S + HALF, 0, COLUMNS - 1), 1)
            self._keep("expired-early", batch, key, early)

    def _note_newest(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        issuer, not_before = batch.issuer, batch.not_before
        rows = np.flatnonzero((not_before >= self._newest[issuer]) & (not_before <= self._watch.issued_until))
        rows = rows[not_before[rows] != NO_ISSUANCE]
        if not len(rows):
            return
        latest = self._newest.copy()
        np.maximum.at(latest, issuer[rows], not_before[rows])
        rows = rows[not_before[rows] == latest[issuer[rows]]]
        rows = rows[np.lexsort((key[rows], issuer[rows]))]
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = issuer[rows][1:] != issuer[rows][:-1]
        rows = rows[is_first]
        owner = issuer[rows]
        later = (not_before[rows] > self._newest[owner]) | (key[rows] < self._newest_key[owner])
        rows, owner = rows[later], owner[later]
        if len(rows):
            self._newest[owner], self._newest_key[owner] = not_before[rows], key[rows]
            self._new_newest.append(_sighted(batch, key, rows))

    def _keep(self, kind: str, batch: StatusBatch, key: NDArray[np.uint64], rows: RowIndexes) -> None:
        if len(rows) > MAX_EXAMPLES:
            rows = rows[np.argpartition(key[rows], MAX_EXAMPLES)[:MAX_EXAMPLES]]
        self._keep_sightings(kind, _sighted(batch, key, rows))

    def _keep_sightings(self, kind: str, sightings: Sightings) -> None:
        at = KINDS.index(kind)
        self._examples[at] = _first(np.concatenate([self._examples[at], sightings]))


def serial_of(sighting: np.void) -> bytes:
    """Return the content octets of a sighted certificate's serial."""
    return bytes(sighting["serial"][: int(sighting["size"])])


def _sighted(batch: StatusBatch, key: NDArray[np.uint64], rows: RowIndexes) -> Sightings:
    sightings = np.zeros(len(rows), SIGHTING)
    sightings["key"], sightings["issuer"] = key[rows], batch.issuer[rows]
    for field_name in ("not_before", "not_after", "revoked_at"):
        sightings[field_name] = getattr(batch, field_name)[rows]
    if batch.own_zone is not None:
        sightings["own_zone"] = batch.own_zone[rows]
    _put_serials(sightings, [serial or b"" for serial in batch.serial.take(rows).to_pylist()])
    return sightings


def _late(examples: tuple[tuple[bytes, int], ...]) -> Sightings:
    """Return late revocations: serials and times."""
    sightings = np.zeros(len(examples), SIGHTING)
    sightings["issuer"], sightings["not_before"], sightings["not_after"] = -1, NO_ISSUANCE, NO_EXPIRY
    sightings["revoked_at"] = [at for _, at in examples]
    _put_serials(sightings, [serial for serial, _ in examples])
    return sightings


def _put_serials(sightings: Sightings, serials: Sequence[bytes]) -> None:
    width = sightings.dtype["serial"].shape[0]
    sightings["size"] = list(map(len, serials))
    padded = b"".join(serial.ljust(width, b"\0") for serial in serials)
    sightings["serial"] = np.frombuffer(padded, np.uint8).reshape(-1, width)


def _first(sightings: Sightings) -> Sightings:
    """Return the examples with the smallest keys; of equal keys, those with the earliest times."""
    order = np.lexsort((sightings["revoked_at"], sightings["not_before"], sightings["key"]))
    return sightings[order[:MAX_EXAMPLES]]


def _latest(sightings: Sightings) -> Sightings:
    """Return of each issuer the one with the latest not_before; of equal ones, that with the smallest key."""
    order = np.lexsort((~sightings["key"], sightings["not_before"], sightings["issuer"]))
    ordered = sightings[order]
    is_last = np.ones(len(ordered), np.bool_)
    is_last[:-1] = ordered["issuer"][1:] != ordered["issuer"][:-1]
    return ordered[is_last]
