"""Times of revocation that lie where calendars have edges: what a program writes that has no time to write.

Whoever revokes certificates in bulk gives thousands of them one time, to the second; but that is the second in which a
statement ran, and hardly one of the clock's full quarters (one second in 900), or of the turn of a year. So one same
time in `_FEW` rows at least is odd where it is

    a turn of a year    midnight of 1 January or 31 December, or the second before it, in whatever zone
    alone and aligned   on a full quarter of an hour, and a year before whatever else is revoked; on any other second
                        that is only worth a warning
    aligned and common  midnight UTC in one row of a hundred, `_MANY` at least: worth a warning

Where times are dates, or most of them are aligned, all of them look so: then only a turn of a year that is `_TIMES` as
common as any other time, in `_MANY` rows at least, is refused, and `_MANY` that are alone are worth a warning.

    2000-01-01, 2001-01-01      turns of a year, and of the calendars of PostgreSQL and of Apple
    1999-12-31T23:00:00Z        the same, in Berlin
    1997-05-05, 2004-02-29      alone and aligned
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import Severity

_FEW, _MANY, _TIMES = 3, 20, 3
_SHARE = 100  # one row in so many
_QUARTER_S, _HOUR_S, _DAY_S, _YEAR_S = 900, 3_600, 86_400, 366 * 86_400
_FARTHEST_S = 14 * _HOUR_S  # that a zone is from UTC
_LEAST_DISTINCT = 4
_LOWEST = 16  # distinct times that are kept


@dataclass(frozen=True, slots=True)
class Same:
    """Rows with one same time: when, how many, how the file writes it, and where the first of them is."""

    second: int
    count: int
    text: str
    example: str

    def plus(self, later: "Same") -> "Same":
        """Return both together."""
        return replace(self, count=self.count + later.count)


class OddTimes(NamedTuple):
    """What is odd about some times, and which ones."""

    what: str
    severity: Severity
    times: list[Same]


@dataclass(slots=True)
class Calendar:
    """How many distinct times batches have, how many are aligned, whether they are dates, and the first ones."""

    count: int = 0
    aligned: int = 0
    are_dates: bool = False
    lowest: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, other: "Calendar") -> None:
        """Count what was noted elsewhere too."""
        self.count += other.count
        self.aligned += other.aligned
        self.are_dates |= other.are_dates
        self.lowest = np.union1d(self.lowest, other.lowest)[:_LOWEST]

    def note(self, seconds: NDArray[np.int64], kind: pa.DataType, *, has_status: bool) -> NDArray[np.bool_]:
        """Note times, int64[k], of a column of some type, and return which may be a turn of a year, bool[k]."""
        turns = are_turns(seconds)
        distinct = np.unique(seconds if not has_status or turns.any() else seconds[:_LOWEST])
        self.count += len(distinct)
        self.aligned += int(np.count_nonzero(distinct % _QUARTER_S == 0))
        self.are_dates |= pa.types.is_date(kind)
        self.lowest = np.union1d(self.lowest, distinct[:_LOWEST])[:_LOWEST]
        return turns

    def odd(self, same: list[Same], rows: int, as_of_s: int, *, has_status: bool) -> Iterator[OddTimes]:
        """Yield what is odd about times that several rows have, of so many rows of a snapshot of `as_of_s`."""
        seconds = np.array([one.second for one in same], np.int64)
        turns = [one for one, is_turn in zip(same, are_turns(seconds).tolist(), strict=True) if is_turn]
        others = [one for one in same if one not in turns]
        is_coarse = self._is_coarse(len(turns))
        least = max(_MANY, _TIMES * max((one.count for one in others), default=0)) if is_coarse else _FEW
        if turns := [one for one in turns if one.count >= least]:
            yield OddTimes("is the turn of a year", "warning" if has_status else "error", turns)
        if has_status:
            return
        early = self._alone(as_of_s)
        alone = [one for one in others if one.second in early and one.count >= (_MANY if is_coarse else _FEW)]
        for is_aligned, severity in ((True, "warning" if is_coarse else "error"), (False, "warning")):
            if those := [one for one in alone if (one.second % _QUARTER_S == 0) == is_aligned]:
                yield OddTimes("is one same time, long before any other,", _severity(severity), those)
        common = [one for one in others if one not in alone and _is_common_midnight(one, rows)]
        if common and not is_coarse:
            yield OddTimes("is one same midnight", "warning", common)

    def _is_coarse(self, less: int) -> bool:
        """Whether most times are dates, or full quarters of an hour; few of them tell nothing, nor do the odd ones."""
        rest = self.count - less
        return self.are_dates or (rest >= _LEAST_DISTINCT and (self.aligned - less) * 2 >= rest)

    def _alone(self, as_of_s: int) -> frozenset[int]:
        """Return the first times, as far as each of them is more than a year before the next, or before as_of."""
        apart = np.diff(self.lowest, append=as_of_s) > _YEAR_S
        return frozenset(self.lowest[: len(apart) if apart.all() else int(apart.argmin())].tolist())


def _severity(text: str) -> Severity:
    return "error" if text == "error" else "warning"


def _is_common_midnight(one: Same, rows: int) -> bool:
    return one.second % _DAY_S == 0 and one.count >= _MANY and one.count * _SHARE >= rows


def are_turns(seconds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which times are midnight of 1 January or 31 December, or the second before it, in some zone, bool[n].

    >>> times = ["2000-01-01T00:00:00", "1999-12-31T23:00:00", "2001-12-31T23:59:59", "2001-01-01T00:00:01"]
    >>> are_turns(np.array(times, "datetime64[s]").astype(np.int64)).tolist()
    [True, True, True, False]
    """
    found = np.zeros(len(seconds), np.bool_)
    candidates = np.flatnonzero((seconds % _QUARTER_S == 0) | (seconds % _QUARTER_S == _QUARTER_S - 1))
    if not len(candidates):
        return found
    full = -(-seconds[candidates] // _QUARTER_S) * _QUARTER_S
    years = (full + 2 * _DAY_S).astype("datetime64[s]").astype("datetime64[Y]")  # of the turn that is near, if one is
    after = full - years.astype("datetime64[s]").astype(np.int64)
    found[candidates] = (after >= -_DAY_S - _FARTHEST_S) & (after <= _FARTHEST_S)
    return found
