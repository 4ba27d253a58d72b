"""Revocations from CRLs, joined with the certificates that a snapshot lists.

All entries that count lie in arrays, sorted by a hash of issuer and serial; a batch of rows finds its entries by a
table of the upper bits of the hashes, a binary search for the few that are left, and a comparison of issuer and octets.
One row costs about 0.1 us, one entry 41 octets and 8 of the table.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen import clock
from pregen.clock import DAY_S
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.batch import NO_EXPIRY, NO_REASON, RowStatus
from pregen.snapshot.crls.crl_entries import SERIAL_WIDTH, CrlEntries, minimal_serials
from pregen.snapshot.crls.lists import RevocationList
from pregen.snapshot.crls.scope import Uncovered
from pregen.snapshot.crls.signs import noted, other_signs, sign_findings
from pregen.snapshot.octets import octets_of, tails
from storage.certid import serial_text

_TABLE_BITS = 3  # so that one row in eight that is not revoked is searched for in vain
WORDS = SERIAL_WIDTH // 8
# Odd, so that multiplying loses nothing; those of splitmix64, and the golden ratio.
_FACTORS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0x9E3779B97F4A7C15], np.uint64)

Words = NDArray[np.uint64]


class Statuses(NamedTuple):
    """Columns of a `StatusBatch`: status uint8[n], revoked_at int64[n], reason int8[n]; and whether one is given.

    An unspecified reason is given, bool[n], and yet `NO_REASON`.
    """

    status: NDArray[np.uint8]
    revoked_at: NDArray[np.int64]
    reason: NDArray[np.int8]
    reason_given: NDArray[np.bool_]


class Listing(NamedTuple):
    """Entries of CRLs, by columns, and the files that they came from: see `Revocations`."""

    words: Words
    issuer: NDArray[np.int32]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    source: NDArray[np.int32]
    paths: tuple[Path, ...]

    def take(self, rows: NDArray[np.int64]) -> "Listing":
        """Return some of the entries."""
        return Listing(
            self.words[rows], self.issuer[rows], self.revoked_at[rows], self.reason[rows], self.source[rows], self.paths
        )


@dataclass(frozen=True, slots=True)
class Revocations:
    """What CRLs say, by entry; it pickles.

    Attributes:
        hashes: uint64[n], ascending.
        words: uint64[n, 3], serials as two's complement of 24 octets.
        issuer: int32[n], indices of issuers, each the first of its name (`namesake`).
        revoked_at: uint32[n], seconds since 1970.
        reason: int8[n], CRLReason, 0 (unspecified) where it is given, `NO_REASON` where not.
        source: int32[n], which of `paths` an entry came from.
        paths: files.
        table: bool[2**k], whether there is a hash with these upper bits.
        namesake: int32[issuers], by index the first issuer of the same name: a certificate is identified by the name of
            its issuer and its serial (RFC 5280, 4.1.2.2), whichever of the issuer's keys signed it, and the CRL.
        uncovered: what the CRLs leave out, and rows may be about.
        lost: what superseded CRLs list, and those that count do not.
    """

    hashes: NDArray[np.uint64]
    words: Words
    issuer: NDArray[np.int32]
    revoked_at: NDArray[np.uint32]
    reason: NDArray[np.int8]
    source: NDArray[np.int32]
    paths: tuple[Path, ...]
    table: NDArray[np.bool_]
    namesake: NDArray[np.int32]
    uncovered: tuple[Uncovered, ...]
    lost: tuple[RevocationList, ...] = ()

    @classmethod
    def of(cls, entries: Listing, namesake: NDArray[np.int32], uncovered: tuple[Uncovered, ...] = ()) -> "Revocations":
        """Return the entries of as many certificates, ready to be looked up; the rest as in `Revocations`."""
        hashes = _hashes(entries.words, entries.issuer)
        order = np.argsort(hashes)
        hashes = hashes[order]
        table = np.zeros(1 << (max(len(hashes), 1).bit_length() + _TABLE_BITS), np.bool_)
        table[(hashes >> _shift(table)).astype(np.int64)] = True
        return cls(hashes, *entries.take(order), table, namesake, uncovered)

    def __len__(self) -> int:
        return len(self.hashes)

    def lists(self) -> tuple[RevocationList, ...]:
        """Return what is evidence beside rows: entries by their files, which tell the statuses, and those `lost`."""
        told = []
        for number, path in enumerate(self.paths):
            rows = np.flatnonzero(self.source == number)
            for issuer in np.unique(self.issuer[rows]).tolist():
                own = rows[self.issuer[rows] == issuer]
                serial = minimal_serials(self.words[own].astype(">u8").view(np.uint8).reshape(-1, SERIAL_WIDTH))
                entries = CrlEntries(serial, self.revoked_at[own].astype(np.int64), self.reason[own], {})
                told.append(RevocationList.told(path, issuer, entries))
        return (*told, *self.lost)

    def find(self, serial: pa.BinaryArray, issuer: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the entry of each certificate, int64[n]; -1 where it has none and is good."""
        return self._find(words_of(serial), issuer)

    def find_by_sign(
        self, serial: pa.BinaryArray, issuer: NDArray[np.int32], found: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return rows that `find` found no entry for, and that have one of the other sign; these; and numbers of both.

        See `pregen.snapshot.crls.signs`: of each pair of an entry and the form of a serial there is one number.
        """
        others = other_signs(serial, also_positive=bool((self.words[:, 0] >> np.uint64(63)).any()))
        rows = others.rows[found[others.rows] < 0]
        if not len(rows):
            return rows, rows, rows
        chosen = found[others.rows] < 0
        entries = self._find(others.words[chosen], issuer[rows])
        hit = entries >= 0
        return rows[hit], entries[hit], noted(entries[hit], others.forms[chosen][hit])

    def _find(self, words: Words, issuer: NDArray[np.int32]) -> NDArray[np.int64]:
        found = np.full(len(words), -1, np.int64)
        issuer = self.namesake[issuer]
        hashes = _hashes(words, issuer)
        rows = np.flatnonzero(self.table[(hashes >> _shift(self.table)).astype(np.int64)])
        at = np.searchsorted(self.hashes, hashes[rows])
        while len(rows):  # once, and again for as many entries as share one hash
            inside = at < len(self.hashes)
            rows, at = rows[inside], at[inside]
            same = self.hashes[at] == hashes[rows]
            rows, at = rows[same], at[same]
            equal = (self.words[at] == words[rows]).all(axis=1) & (self.issuer[at] == issuer[rows])
            found[rows[equal]] = at[equal]
            rows, at = rows[~equal], at[~equal] + 1
        return found

    def statuses(self, found: NDArray[np.int64]) -> Statuses:
        """Return what certificates have become by their entries, which `find` has found."""
        revoked = found >= 0
        status = np.where(revoked, RowStatus.REVOKED, RowStatus.GOOD).astype(np.uint8)
        if not len(self):
            return Statuses(status, np.zeros(len(found), np.int64), np.full(len(found), NO_REASON, np.int8), revoked)
        revoked_at = np.where(revoked, self.revoked_at[found].astype(np.int64), 0)
        given = revoked & (self.reason[found] != NO_REASON)
        reason = np.where(given & (self.reason[found] != 0), self.reason[found], NO_REASON).astype(np.int8)
        return Statuses(status, revoked_at, reason, given)

    def with_rows(self, listed: Iterable[NDArray[np.int32]]) -> frozenset[int]:
        """Return the issuers of which an entry has a row, all of a name; `listed` are the entries that rows have."""
        first = {number for entries in listed for number in np.unique(self.issuer[entries]).tolist()}
        return frozenset(np.flatnonzero(np.isin(self.namesake, sorted(first))).tolist())

    def by_sign(self, listed: Iterable[NDArray[np.int32]], pairs: Iterable[NDArray[np.int64]]) -> tuple[Finding, ...]:
        """Return what to say about entries that rows of the other sign were found for; `listed` are those of others."""
        exact = np.zeros(len(self), np.bool_)
        for one in listed:
            exact[one] = True
        return tuple(sign_findings(exact, pairs, self._shown))

    def unlisted(
        self, listed: Iterable[NDArray[np.int32]], oldest: NDArray[np.int64], matched: frozenset[int] = frozenset()
    ) -> tuple[Finding, ...]:
        """Return what to say about entries that no row has, if there are any.

        No certificate is revoked before it is issued: where none of an issuer's entries has a row, those that are older
        than all of its rows are of certificates that have expired, and any later one shows that serials do not match.

        Args:
            listed: the entries that rows have.
            oldest: the earliest not_before of the rows of each issuer, int64[issuers]; `NO_EXPIRY` where it has none,
                which is judged by the rows of all: they may be called another issuer's.
            matched: issuers of which entries had rows in a generation before: their serials do match.
        """
        missing = np.ones(len(self), np.bool_)
        for one in listed:
            missing[one] = False
        with_row = np.bincount(self.issuer[~missing], minlength=len(oldest))
        # A day is more than a wrong zone of not_before makes, or than a time of revocation is dated back.
        since = np.where(oldest == NO_EXPIRY, oldest.min(), oldest) - DAY_S
        is_strange = with_row == 0
        is_strange[sorted(matched)] = False
        strangers = is_strange[self.issuer] & (self.revoked_at >= since[self.issuer])
        return (*self._strangers(strangers), *self._missing(missing & ~strangers))

    def _strangers(self, entries: NDArray[np.bool_]) -> Iterator[Finding]:
        """Yield an error about the entries of issuers of which no row has any."""
        if not entries.any():
            return
        text = (
            "no entry of an issuer's CRLs has a row among the issued certificates, although these are not older than "
            "all rows, so all certificates would be good: look how serials are encoded (serial.encoding in "
            "[snapshot.columns]), whether the list is of this issuer, and whether not_before is exported; only where "
            "all of these certificates have expired: --accept crl.none-listed"
        )
        shown = tuple(self._shown(at) for at in np.flatnonzero(entries)[:MAX_EXAMPLES].tolist())
        yield Finding("crl.none-listed", "error", text, int(np.count_nonzero(entries)), shown)

    def _missing(self, entries: NDArray[np.bool_]) -> Iterator[Finding]:
        """Yield a warning about entries without a row."""
        if not entries.any():
            return
        text = (
            "entries of CRLs have no row among the issued certificates: expired certificates may stay on a CRL, and "
            "have no row any more; but a hole in the export looks the same, and its certificates get no answers"
        )
        shown = tuple(self._shown(at) for at in np.flatnonzero(entries)[:MAX_EXAMPLES].tolist())
        yield Finding("crl.not-issued", "warning", text, int(np.count_nonzero(entries)), shown)

    def _shown(self, at: int) -> str:
        revoked_at = clock.text(int(self.revoked_at[at]))
        return f"{self.paths[self.source[at]]}, serial, {shown_serial(self.words[at])}, revoked {revoked_at}"


def shown_serial(words: Words) -> str:
    """Return one serial, uint64[3], as people write it."""
    return serial_text(words.astype(">u8").tobytes())


def words_of(serial: pa.BinaryArray) -> Words:
    r"""Return serials as two's complement of one width, uint64[n, 3], the highest word first.

    >>> words_of(pa.array([b"\x05", b"\xff"], pa.binary()))[:, [0, 2]].tolist()
    [[0, 5], [18446744073709551615, 18446744073709551615]]
    """
    octets = octets_of(serial)
    matrix = tails(octets, SERIAL_WIDTH)
    first = np.flatnonzero(octets.size)
    negative = first[octets.data[octets.start[first]] >> 7 == 1]
    if len(negative):
        missing = np.arange(SERIAL_WIDTH) < (SERIAL_WIDTH - octets.size[negative])[:, None]
        matrix[negative] |= np.where(missing, np.uint8(0xFF), np.uint8(0))
    return matrix.view(">u8").astype(np.uint64)


def _hashes(words: Words, issuer: NDArray[np.int32]) -> NDArray[np.uint64]:
    """Return a hash of each certificate, uint64[n]; nothing rests on it but speed."""
    hashes: Words = (issuer.astype(np.uint64) + np.uint64(1)) * _FACTORS[WORDS]
    for word, factor in zip(words.T, _FACTORS, strict=False):
        hashes = (hashes ^ word) * factor
        hashes ^= hashes >> np.uint64(29)
    hashes *= _FACTORS[WORDS]
    return hashes


def _shift(table: NDArray[np.bool_]) -> np.uint64:
    return np.uint64(65 - len(table).bit_length())
