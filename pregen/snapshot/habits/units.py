"""Times that are read in another unit than they were written in, or with day and month in another order.

Seconds that are read as milliseconds all lie in January 1970, and milliseconds that are read as seconds lie after the
year 9999, where each of them is a fault of its row. Both are told by a whole column: `_MANY` times at least lie before
`FIRST_S`, where no public CA was, or after all years, and nothing else does; and another unit would bring all of them
to where times of certificates are. By chance none of them would lie so; 1970-01-01 itself stands for none
(`standins.py`).

Of a UTCTime, DDMMYY is read as YYMMDD without a fault: then the years are days of a month, all of 2001 to 2031 but a
few, and the days are the few years that certificates have lived in. That many distinct dates lie on `w` days of the
month alone, in all those years, has a chance of (w / 30) ** dates; a column is refused below `CHANCE`.

Days beyond 12 that are read as months are faults of their rows, and the other rows would be published with a wrong
date: so where all malformed times of a column have such a month, the column is refused as a whole.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.clock import DAY_S
from pregen.errors import Finding
from pregen.snapshot.column import Column
from pregen.snapshot.habits.odds import CHANCE
from pregen.snapshot.habits.standins import FIRST_S
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.times.instants import Instants

_TIME_ENCODING = "time.encoding"
_MANY = 10
_FEW = 3
_LAST_S = 7_258_118_400  # 2200: what is later is no time of issuance or revocation, and few expiries
_NANOSECONDS = {"epoch-s": 10**9, "epoch-ms": 10**6, "epoch-us": 10**3, "epoch-ns": 1}
_WITH_SHORT_YEARS = ("utctime", "asn1")
_DAYS_AS_YEARS, _FIRST_DAY_AS_YEAR = 15, 2001  # so many years at least, of those that the days of a month look like
_DAY_AS_MONTH = r"^\s*\d{4}-?(?:1[3-9]|2\d|3[01])"
# Of what begins with a year of four digits, the last two would be a month: a date of six digits ends with its time.
_DAY_AS_MONTH_OF_SHORT_YEARS = r"^\s*\d{2}(?:1[3-9]|2\d|3[01])\d{6}(?:\d{2})?(?:\D|$)"


@dataclass(slots=True)
class Units:
    """What was counted of one column of times: how many lie where, and the first and last of those that cannot be."""

    given: int = 0
    odd: int = 0
    first_s: float = np.inf
    last_s: float = -np.inf
    malformed: int = 0
    days_as_months: int = 0
    short_dates: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, other: "Units") -> None:
        """Count what was counted elsewhere too."""
        self.given += other.given
        self.odd += other.odd
        self.first_s = min(self.first_s, other.first_s)
        self.last_s = max(self.last_s, other.last_s)
        self.malformed += other.malformed
        self.short_dates = np.union1d(self.short_dates, other.short_dates)
        self.days_as_months += other.days_as_months

    def note(self, column: ArrowArray, found: Instants, judged: NDArray[np.bool_], encoding: str | None) -> None:
        """Count the times of rows that are judged, bool[n]: what the file holds, and what was read of it."""
        if self.given == self.odd:  # one right time is enough, and nearly every batch begins with one
            seconds = found.seconds[found.given & judged & (found.seconds != 0) & (found.seconds != -1)]
            self.given += len(seconds)
            self._put(seconds[(seconds > 0) & (seconds < FIRST_S)].astype(np.float64))
        if encoding in _WITH_SHORT_YEARS:
            days = np.unique(found.seconds[found.given & judged] // DAY_S)
            self.short_dates = np.union1d(self.short_dates, days)
        for fault in found.faults:
            rows = fault.rows & judged
            if not rows.any():
                continue
            if fault.code == "row.time.malformed" and isinstance(column, pa.StringArray | pa.LargeStringArray):
                text = column.filter(pa.array(rows))
                self.malformed += len(text)
                self.days_as_months += len(text.filter(_have_day_as_month(text, encoding)))
            if fault.code == "row.time.out-of-range" and encoding in _NANOSECONDS:
                numbers = _numbers(column.filter(pa.array(rows)))
                self.given += len(numbers)
                self._put(numbers * (_NANOSECONDS[encoding] / 1e9))

    def _put(self, odd: NDArray[np.float64]) -> None:
        if len(odd):
            self.odd += len(odd)
            self.first_s, self.last_s = min(self.first_s, float(odd.min())), max(self.last_s, float(odd.max()))

    def findings(self, column: Column) -> tuple[Finding, ...]:
        """Return what to refuse."""
        found = []
        if self.odd >= _MANY and self.odd == self.given and (remedy := self._remedy(column)):
            first, last = ("1970" if abs(one) < FIRST_S else "the years to come" for one in (self.first_s, self.last_s))
            where = first if first == last else "other centuries"
            text = f"column {column.name!r}: all {self.odd:,} times lie in {where}, as in a wrong unit: {remedy}"
            found.append(Finding(_TIME_ENCODING, "error", text, self.odd))
        if self.days_as_months >= _FEW and self.days_as_months == self.malformed:
            text = (
                f"column {column.name!r}: {self.malformed:,} times have a month beyond 12, and no other fault, so day "
                "and month stand in another order than is read, also in the other rows: write the year, the month and "
                "the day in the export"
            )
            found.append(Finding(_TIME_ENCODING, "error", text, self.malformed))
        if text := _with_days_as_years(self.short_dates):
            found.append(Finding(_TIME_ENCODING, "error", f"column {column.name!r}: {text}"))
        return tuple(found)

    def _remedy(self, column: Column) -> str:
        """Return which unit would bring all times to where they can be; empty if none would."""
        for power in (3, 6, 9, -3, -6, -9):
            if not FIRST_S <= self.first_s * 10.0**power <= self.last_s * 10.0**power <= _LAST_S:
                continue
            if column.encoding not in _NANOSECONDS:
                return f"the export wrote numbers whose unit is 10**{power} times that of the type: correct it there"
            unit = _NANOSECONDS[column.encoding] * 10.0**power
            right = [name for name, nanoseconds in _NANOSECONDS.items() if nanoseconds == unit]
            if right:
                return (
                    f'set, in [snapshot.columns], {column.canonical} = {{ name = "{column.name}", encoding = ... }} to '
                    f'"{right[0]}"'
                )
        return ""


def _have_day_as_month(text: pa.StringArray | pa.LargeStringArray, encoding: str | None) -> pa.BooleanArray:
    """Say of each text whether it has a month beyond 12, and nothing else before it that cannot be."""
    if encoding == "utctime":
        return pc.match_substring_regex(text, _DAY_AS_MONTH_OF_SHORT_YEARS)
    long = pc.match_substring_regex(text, _DAY_AS_MONTH)
    return pc.or_(long, pc.match_substring_regex(text, _DAY_AS_MONTH_OF_SHORT_YEARS)) if encoding == "asn1" else long


def _with_days_as_years(days: NDArray[np.int64]) -> str:
    """Return what is wrong with dates, in days since 1970, if their years seem to be days; else nothing."""
    dates = days.astype("datetime64[D]")
    years = np.unique(dates.astype("datetime64[Y]").astype(np.int64)) + 1970
    if len(years) < _DAYS_AS_YEARS or years[0] < _FIRST_DAY_AS_YEAR or years[-1] > _FIRST_DAY_AS_YEAR + 30:
        return ""
    of_month = np.unique((dates - dates.astype("datetime64[M]")).astype(np.int64)) + 1
    if (len(days) - len(of_month)) * math.log10(len(of_month) / 30) > math.log10(CHANCE):
        return ""
    listed = ", ".join(map(str, of_month.tolist()))
    return (
        f"its {len(days):,} dates are of {len(years)} of the years 2001 to 2031, and all of them on days {listed} of a "
        "month, as where DDMMYY is written and YYMMDD read: write the year, the month and the day in the export; if "
        f"they are right, say so by --accept {_TIME_ENCODING}"
    )


def _numbers(column: ArrowArray) -> NDArray[np.float64]:
    """Return whole numbers, or texts of them, about as large as they are."""
    if isinstance(column, pa.StringArray | pa.LargeStringArray):
        text = pc.ascii_trim_whitespace(column)
        column = text.filter(pc.match_substring_regex(text, r"^-?\d+$"))
    numbers: NDArray[np.float64] = pc.cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return numbers
