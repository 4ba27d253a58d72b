"""The observer: takes notes of the rows that one process reads, and the notes of all processes are added up."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES
from pregen.gates.detector.observation import (
    BIN_S,
    BINS,
    DISTANCES,
    HALF,
    REACH_S,
    SIGHTING_KINDS,
    Observation,
    Watch,
)
from pregen.gates.detector.sightings import (
    NO_SIGHTINGS,
    Sightings,
    first_by_key,
    late_sightings,
    latest_of_issuers,
    sighted,
)
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE, StatusBatch

_FILTER_BITS = 20  # a megabyte, which a processor's cache holds: one look for a row that nobody asks for

RowIndexes = NDArray[np.intp]


def all_observed(observations: Iterable[Observation], watch: Watch) -> Observation:
    """Return what was noted of all rows together."""
    parts = [Observer(watch).take(), *observations]
    bins, bin_counts = _summed([part.bins for part in parts], [part.bin_counts for part in parts])
    places, counts = _summed([part.places for part in parts], [part.counts for part in parts])
    newest = latest_of_issuers(np.concatenate([part.newest for part in parts]))
    assert not len(newest) or newest["issuer"][-1] < watch.issuers
    return Observation(
        newest=newest,
        bins=bins,
        bin_counts=bin_counts,
        places=places,
        counts=counts,
        undated=np.sum([part.undated for part in parts], axis=0, initial=0),
        sightings=np.concatenate([part.sightings for part in parts]),
        examples=tuple(map(first_by_key, map(np.concatenate, zip(*(part.examples for part in parts), strict=True)))),
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
        self._table = np.zeros((watch.issuers + 3) * DISTANCES, np.int64)
        # Most keys are nobody's: one look at a small table tells so.
        self._filter = np.zeros(1 << _FILTER_BITS, np.bool_)
        self._filter[watch.keys >> np.uint64(64 - _FILTER_BITS)] = True
        self._forget()

    def _forget(self) -> None:
        self._new_newest: list[Sightings] = [NO_SIGHTINGS]
        self._used: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
        self._sightings: list[Sightings] = [NO_SIGHTINGS]
        self._examples = [NO_SIGHTINGS] * len(SIGHTING_KINDS)
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
            self._sightings.append(sighted(batch, key, rows))

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
            newest=latest_of_issuers(np.concatenate(self._new_newest)),
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
        column = np.minimum((after_s - self._watch.skew_s - 1) // BIN_S + HALF, DISTANCES - 1)
        inside = column >= 0
        np.add.at(self._table, row[inside] * DISTANCES + column[inside], 1)

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
            self._keep_sightings("late", late_sightings(late.examples))
        rows = rows[batch.not_before[rows] != NO_ISSUANCE]
        delay = batch.revoked_at[rows] - batch.not_before[rows]
        column = np.clip(delay // BIN_S + HALF, 0, DISTANCES - 1)
        np.add.at(self._table, (self._watch.issuers + 1) * DISTANCES + column, 1)
        early = rows[delay < 0]
        if len(early):
            self._keep("revoked-early", batch, key, early)

    def _note_expiries(self, batch: StatusBatch, key: NDArray[np.uint64]) -> None:
        """Nearly all are right: those are only counted, as if far off."""
        given = (batch.not_before != NO_ISSUANCE) & (batch.not_after != NO_EXPIRY)
        early = np.flatnonzero((batch.not_before > batch.not_after) & given)
        row = (self._watch.issuers + 2) * DISTANCES
        self._table[row + DISTANCES - 1] += np.count_nonzero(given) - len(early)
        if len(early):
            delay = batch.not_after[early] - batch.not_before[early]
            np.add.at(self._table, row + np.clip(delay // BIN_S + HALF, 0, DISTANCES - 1), 1)
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
            self._new_newest.append(sighted(batch, key, rows))

    def _keep(self, kind: str, batch: StatusBatch, key: NDArray[np.uint64], rows: RowIndexes) -> None:
        if len(rows) > MAX_EXAMPLES:
            rows = rows[np.argpartition(key[rows], MAX_EXAMPLES)[:MAX_EXAMPLES]]
        self._keep_sightings(kind, sighted(batch, key, rows))

    def _keep_sightings(self, kind: str, sightings: Sightings) -> None:
        at = SIGHTING_KINDS.index(kind)
        self._examples[at] = first_by_key(np.concatenate([self._examples[at], sightings]))
