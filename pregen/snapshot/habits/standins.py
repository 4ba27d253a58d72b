"""Times that hardly are times, but stand for "none": a database had to write something.

Without a column of statuses each of them makes a certificate revoked, and everywhere it would be published as the time
of a revocation, or would let an answer vanish because the certificate seems to have expired. Nobody can tell by one
value what was meant, so nothing is repaired here; the finding names the values, and the setting that declares them
(`ColumnConfig.absent`). Refused are

    * times of revocation and expiries before `FIRST_S`: no CA of the Web is older, and 1970-01-01, 0 and -1, 1900-01-01
      and 1980-01-01 all lie there;
    * times of revocation a year before the issuance, `_FEW` of them at least and one in a hundred, of all rows or those
      of an issuer: single ones exist (a certificate that replaces one whose key was lost keeps its time);
    * without a column of statuses, one same time of revocation in a tenth of all rows, or of those of an issuer,
      `_MANY` at least, or in half of them, `SOME` at least. A real incident can look like that, when one statement
      revoked them all; so it can be accepted by its own code;
    * without a column of statuses, the time of issuance as that of the revocation, in as many rows as of one same time;
    * without a column of statuses, what `calendar_times.py` says of rarer ones;
    * one same turn of a year as the expiry of `_MANY` rows at least, two years ago or more, and a year before any other
      expiry. Where most others are aligned too, as where certificates end with a year, that is only worth a warning.

Counters of batches, files and workers are added up; memory is bounded whatever the rows hold.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.batch import NO_EXPIRY
from pregen.snapshot.findings import RowPlace, located, shown
from pregen.snapshot.habits.calendar_times import Calendar, Same
from pregen.snapshot.octets import ArrowArray

_STANDS_FOR_NONE = "time.stands-for-none"
FIRST_S = 757_382_400  # 1994-01-01; the first public CA began that autumn
LONG_S = 366 * 86_400
_FEW, SOME, _MANY = 3, 5, 20
_FEW_SHARE, _MANY_SHARE = 100, 10  # one in so many
_VALUES = 64  # distinct ones that are kept of each kind in one batch
_KEPT = 4_096  # and in all
_SHOWN = 5
_SAMPLED = 64  # expiries of each batch
_QUARTER_S = 900
_SECONDS_BITS, _FIRST_S = 39, -(1 << 37)  # of a time between the years 0 and 9999, counted from before them


class _TimeCounts:
    """Rows of one kind: how many, by issuer, and the distinct times of most of them, by issuer and second."""

    def __init__(self, least: int = 1) -> None:
        """Of a time that fewer than `least` rows of a batch have, nothing more is kept than their count."""
        self.counts: dict[int, int] = {}
        self._values: dict[tuple[int, int], Same] = {}
        self._least = least

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(self.counts.values())

    def note(self, revocations: "Times", chosen: NDArray[np.bool_]) -> None:
        """Count the rows among those of `revocations` that are chosen, bool[k]."""
        rows, seconds, issuer = (one[chosen] for one in (revocations.rows, revocations.seconds, revocations.issuer))
        pairs = issuer.astype(np.int64) << _SECONDS_BITS | seconds - _FIRST_S
        distinct, first, counts = np.unique(pairs, return_index=True, return_counts=True)
        issuers, of_issuers = np.unique(issuer, return_counts=True)
        for one, count in zip(issuers.tolist(), of_issuers.tolist(), strict=True):
            self.counts[one] = self.counts.get(one, 0) + count
        least = self._least if len(distinct) > _VALUES else 1
        places = np.argsort(-counts, kind="stable")[: _VALUES * len(issuers)]
        for place in places[counts[places] >= least][:_KEPT].tolist():
            row = int(rows[first[place]])
            at, text = revocations.first, shown(revocations.column[row])
            example = f"{located(at.path, at.row + row, at.unit)}, {revocations.name}, {text}"
            one = int(distinct[place])
            second = (one & (1 << _SECONDS_BITS) - 1) + _FIRST_S
            self._put((one >> _SECONDS_BITS, second), Same(second, int(counts[place]), text, example))

    def add(self, other: "_TimeCounts") -> None:
        """Count what was noted elsewhere too."""
        for issuer, count in other.counts.items():
            self.counts[issuer] = self.counts.get(issuer, 0) + count
        for key, same in other._values.items():  # noqa: SLF001 - of the same class
            self._put(key, same)

    def _put(self, key: tuple[int, int], same: Same) -> None:
        self._values[key] = self._values[key].plus(same) if key in self._values else same
        if len(self._values) > _KEPT:  # the commoner half stays
            kept = sorted(self._values.items(), key=lambda item: -item[1].count)[: _KEPT // 2]
            self._values = dict(kept)

    def commonest(self, issuer: int | None = None) -> list[Same]:
        """Return the distinct times, of all or of one issuer, the commonest first."""
        found: dict[int, Same] = {}
        for (one, second), same in self._values.items():
            if issuer is None or one == issuer:
                found[second] = found[second].plus(same) if second in found else same
        return sorted(found.values(), key=lambda same: -same.count)


@dataclass(frozen=True, slots=True)
class Times:
    """Times of some rows of a batch: their rows, seconds and issuers (indices), int64[k] each, and where they stand."""

    rows: NDArray[np.int64]
    seconds: NDArray[np.int64]
    issuer: NDArray[np.int32]
    column: ArrowArray
    name: str
    first: RowPlace


@dataclass(slots=True)
class StandIns:
    """What was noted of one file, or of several.

    Attributes:
        rows, revoked: those that were judged, and that are revoked, by issuer (index).
        has_status: whether there is a column of statuses.
        early, before_issuance, at_issuance, same: kinds of times of revocation.
        expired_early: expiries that no certificate has.
        turns: expiries long ago that are a turn of a year.
        first_expiry: the first of all others since 1994.
        sampled, aligned: of some of these, how many there are, and how many are full quarters of an hour, or end one.
        calendar: how times of revocation lie in the calendar.
    """

    rows: dict[int, int] = field(default_factory=dict)
    revoked: dict[int, int] = field(default_factory=dict)
    has_status: bool = False
    early: _TimeCounts = field(default_factory=_TimeCounts)
    expired_early: _TimeCounts = field(default_factory=_TimeCounts)
    before_issuance: _TimeCounts = field(default_factory=_TimeCounts)
    at_issuance: _TimeCounts = field(default_factory=_TimeCounts)
    same: _TimeCounts = field(default_factory=lambda: _TimeCounts(least=2))
    turns: _TimeCounts = field(default_factory=lambda: _TimeCounts(least=2))
    first_expiry: int = NO_EXPIRY
    sampled: int = 0
    aligned: int = 0
    calendar: Calendar = field(default_factory=Calendar)

    def add(self, other: "StandIns") -> None:
        """Count what was noted elsewhere too."""
        _add(self.rows, other.rows.items())
        _add(self.revoked, other.revoked.items())
        self.has_status |= other.has_status
        for mine, others in (
            (self.early, other.early),
            (self.expired_early, other.expired_early),
            (self.before_issuance, other.before_issuance),
            (self.same, other.same),
        ):
            mine.add(others)
        self.at_issuance.add(other.at_issuance)
        self.turns.add(other.turns)
        self.first_expiry = min(self.first_expiry, other.first_expiry)
        self.sampled += other.sampled
        self.aligned += other.aligned
        self.calendar.add(other.calendar)

    def note_rows(self, issuer: NDArray[np.int32]) -> None:
        """Count rows that are judged, by their issuers, int32[k]."""
        _add(self.rows, _counted(issuer))

    def note_revocations(self, times: Times, not_before: NDArray[np.int64]) -> None:
        """Note revoked rows, and when their certificates were issued, int64[k]."""
        _add(self.revoked, _counted(times.issuer))
        if not len(times.rows):
            return
        early = times.seconds < FIRST_S
        if early.any():
            self.early.note(times, early)
        before = ~early & (times.seconds < not_before - LONG_S)
        if before.any():
            self.before_issuance.note(times, before)
        copied = times.seconds == not_before
        if copied.any() and not self.has_status:
            self.at_issuance.note(times, copied)
        of_calendar = self.calendar.note(times.seconds, times.column.type, has_status=self.has_status)
        if not self.has_status:
            of_calendar = np.ones(len(times.rows), np.bool_)
        if of_calendar.any():
            self.same.note(times, of_calendar)

    def note_expiries(self, times: Times) -> None:
        """Note rows with an expiry that no certificate has."""
        early = times.seconds < FIRST_S
        if early.any():
            self.expired_early.note(times, early)

    def note_turns(self, times: Times, others: NDArray[np.int64]) -> None:
        """Note expiries that are a turn of a year, long ago, and the other ones, int64[k]."""
        if len(times.rows):
            self.turns.note(times, np.ones(len(times.rows), np.bool_))
        since = others[:_SAMPLED]
        self.sampled += len(since)
        self.aligned += int(np.count_nonzero((since + 1) % _QUARTER_S <= 1))
        later = others[others >= FIRST_S]
        if len(later):
            self.first_expiry = min(self.first_expiry, int(later.min()))

    def findings(self, revoked_at: str, not_after: str, as_of_s: int) -> tuple[Finding, ...]:
        """Return what to refuse, and what to warn of; the texts are the columns' names in the files."""
        found = [*self._revocations(revoked_at)]
        if not found:
            found = [*self._calendar(revoked_at, as_of_s)]
        if self.expired_early.count:
            count = self.expired_early.count
            what = f"lies before 1994 in {count:,} rows, which would get no answer, as if they had expired"
            found.append(_finding(not_after, "not_after", what, count, self.expired_early.commonest()))
        return (*found, *self._turns(not_after))

    def _turns(self, name: str) -> Iterator[Finding]:
        turns, is_coarse = self.turns.commonest(), self.aligned * 2 >= self.sampled
        later = np.array([self.first_expiry, *(one.second for one in turns if is_coarse)])
        soon = {one: bool(((later > one.second) & (later <= one.second + LONG_S)).any()) for one in turns}
        same = [one for one in turns if one.count >= _MANY and one.second < self.first_expiry and not soon[one]]
        if not same or self.first_expiry == NO_EXPIRY:
            return
        count = sum(one.count for one in same)
        what = (
            f"is the turn of a year, long before any other expiry, in {count:,} of {sum(self.rows.values()):,} rows, "
            "which get no answer, as if they had expired"
        )
        yield _finding(name, "not_after", what, count, same, "warning" if is_coarse else "error")

    def _revocations(self, name: str) -> Iterator[Finding]:
        if self.early.count:
            revoked = sum(self.revoked.values())
            what = (
                f"lies before 1994 in {self.early.count:,} of {revoked:,} revoked rows, and would be published as the "
                "time of a revocation"
            )
            yield _finding(name, "revoked_at", what, self.early.count, self.early.commonest())
        before, revoked = _most(self.before_issuance.counts, self.revoked, _are_few)
        if before:
            what = f"lies more than a year before the issuance in {before:,} of {revoked:,} revoked rows"
            yield _finding(name, "revoked_at", what, before, self.before_issuance.commonest())
        copied, rows = _most(self.at_issuance.counts, self.rows, _are_many)
        if copied:
            what = f"is the time of issuance in {copied:,} of {rows:,} rows, which makes all of them revoked"
            yield _finding(name, "revoked_at", what, copied, self.at_issuance.commonest())
            return
        for issuer in () if self.has_status or self.early.count or before else (None, *self.same.counts):
            rows = sum(self.rows.values()) if issuer is None else self.rows.get(issuer, 0)
            same = [one for one in self.same.commonest(issuer) if _are_many(one.count, rows)]
            if same:
                count = sum(one.count for one in same)
                whose = "" if issuer is None or len(self.rows) == 1 else " of an issuer"
                what = f"is one same time in {count:,} of {rows:,} rows{whose}, which makes all of them revoked"
                yield _finding(name, "revoked_at", what, count, same)
                return

    def _calendar(self, name: str, as_of_s: int) -> Iterator[Finding]:
        rows = sum(self.rows.values())
        for what, severity, same in self.calendar.odd(self.same.commonest(), rows, as_of_s, has_status=self.has_status):
            count = sum(one.count for one in same)
            text = f"{what} in {count:,} of {rows:,} rows, and what it stands for would be published as a revocation"
            yield _finding(name, "revoked_at", text, count, same, severity)


def _counted(issuer: NDArray[np.int32]) -> Iterable[tuple[int, int]]:
    issuers, counts = np.unique(issuer, return_counts=True) if len(issuer) else (issuer, issuer)
    return zip(issuers.tolist(), counts.tolist(), strict=True)


def _add(sums: dict[int, int], counts: Iterable[tuple[int, int]]) -> None:
    for issuer, count in counts:
        sums[issuer] = sums.get(issuer, 0) + count


def _are_few(count: int, of: int) -> bool:
    return count >= _FEW and count * _FEW_SHARE >= of


def _are_many(count: int, of: int) -> bool:
    return (count >= _MANY and count * _MANY_SHARE >= of) or (count >= SOME and count * 2 >= of)


def _most(counts: dict[int, int], of: dict[int, int], is_so: Callable[[int, int], bool]) -> tuple[int, int]:
    """Return how many rows there are, and of how many, of all issuers or of one of which it is so; else zeros."""
    for count, whole in ((sum(counts.values()), sum(of.values())), *((counts[one], of[one]) for one in counts)):
        if is_so(count, whole):
            return count, whole
    return 0, 0


def _finding(
    name: str,
    canonical: str,
    what: str,
    count: int,
    values: list[Same],
    severity: Literal["error", "warning"] = "error",
) -> Finding:
    texts = [one.text.removeprefix("'").removesuffix("'") for one in values[:_SHOWN]]
    setting = f'{canonical} = {{ name = "{name}", absent = {json.dumps(texts)} }}'
    text = (
        f"column {name!r} {what}: if these values stand for none, declare them, beside what is declared of the column "
        f"already, in [snapshot.columns]: {setting}; if they are times in another unit, correct the encoding"
    )
    if severity == "error":
        text += f"; if they are right, say so by --accept {_STANDS_FOR_NONE}"
    return Finding(_STANDS_FOR_NONE, severity, text, count, tuple(one.example for one in values[:MAX_EXAMPLES]))
