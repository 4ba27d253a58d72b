"""Times that hardly are times, but stand for "none": a database had to write something.

Without a column of statuses each of them makes a certificate revoked, and everywhere it would be published as the time
of a revocation, or would let an answer vanish because the certificate seems to have expired. Nobody can tell by one
value what was meant, so nothing is repaired here; the finding names the values, and the setting that declares them
(`ColumnConfig.absent`). Refused are

    * times of revocation and expiries before `FIRST_S`: no CA of the Web is older, and 1970-01-01, 0 and -1, 1900-01-01
      and 1980-01-01 all lie there;
    * times of revocation a year before the issuance, `FEW` of them at least and one in a hundred: single ones exist (a
      certificate that replaces one whose key was lost keeps its time);
    * without a column of statuses, one same time of revocation in a tenth of all rows, `MANY` at least, or in half of
      them, `SOME` at least. A real incident can look like that, when one statement revoked them all; so it can be
      accepted by its own code.

Counters of batches, files and workers are added up; memory is bounded whatever the rows hold.
"""

import json
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.findings import Place, located, shown
from pregen.snapshot.octets import ArrowArray

CODE = "time.stands-for-none"
FIRST_S = 757_382_400  # 1994-01-01; the first public CA began that autumn
LONG_S = 366 * 86_400
FEW, SOME, MANY = 3, 5, 20
_FEW_SHARE, _MANY_SHARE = 100, 10  # one in so many
_VALUES = 64  # distinct ones that are kept of each kind
_SAMPLE_ROWS = 4_096
_SHOWN = 5


@dataclass(slots=True)
class _Same:
    """Rows with one same time: how many, how the file writes it, and where the first of them is."""

    count: int
    text: str
    example: str


@dataclass(slots=True)
class _Kind:
    """Rows of one kind: how many, and the distinct times of most of them, by second."""

    count: int = 0
    values: dict[int, _Same] = field(default_factory=dict)

    def note(
        self, seconds: NDArray[np.int64], rows: NDArray[np.int64], column: ArrowArray, name: str, at: Place
    ) -> None:
        """Count rows, int64[k], whose times are `seconds`, int64[k]."""
        self.count += len(rows)
        distinct, first, counts = np.unique(seconds, return_index=True, return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:_VALUES].tolist():
            row = int(rows[first[place]])
            text = shown(column[row])
            example = f"{located(at.path, at.row + row, at.unit)}, {name}, {text}"
            self._put(int(distinct[place]), _Same(int(counts[place]), text, example))

    def add(self, other: "_Kind") -> None:
        """Count what was noted elsewhere too."""
        self.count += other.count
        for second, same in other.values.items():
            self._put(second, same)

    def _put(self, second: int, same: _Same) -> None:
        known = self.values.get(second)
        if known is not None:
            self.values[second] = _Same(known.count + same.count, known.text, known.example)
        elif len(self.values) < _VALUES:
            self.values[second] = same

    def commonest(self) -> list[_Same]:
        """Return the distinct times, the commonest first."""
        return sorted(self.values.values(), key=lambda same: -same.count)


@dataclass(slots=True)
class StandIns:
    """What was noted of one file, or of several: rows that were judged, that are revoked, and those of each kind."""

    rows: int = 0
    revoked: int = 0
    has_status: bool = False
    early: _Kind = field(default_factory=_Kind)
    expired_early: _Kind = field(default_factory=_Kind)
    before_issuance: _Kind = field(default_factory=_Kind)
    same: _Kind = field(default_factory=_Kind)

    def add(self, other: "StandIns") -> None:
        """Count what was noted elsewhere too."""
        self.rows += other.rows
        self.revoked += other.revoked
        self.has_status |= other.has_status
        for mine, others in (
            (self.early, other.early),
            (self.expired_early, other.expired_early),
            (self.before_issuance, other.before_issuance),
            (self.same, other.same),
        ):
            mine.add(others)

    def note_revocations(
        self,
        revoked_at: NDArray[np.int64],
        not_before: NDArray[np.int64],
        revoked: NDArray[np.bool_],
        column: ArrowArray,
        name: str,
        at: Place,
    ) -> None:
        """Note revoked rows, bool[n], of which all other arguments tell (int64[n])."""
        rows = np.flatnonzero(revoked)
        self.revoked += len(rows)
        if not len(rows):
            return
        seconds = revoked_at[rows]
        early = seconds < FIRST_S
        if early.any():
            self.early.note(seconds[early], rows[early], column, name, at)
        before = ~early & (seconds < not_before[rows] - LONG_S)
        if before.any():
            self.before_issuance.note(seconds[before], rows[before], column, name, at)
        if not self.has_status:
            common = np.isin(seconds, _common(seconds))
            self.same.note(seconds[common], rows[common], column, name, at)

    def note_expiries(
        self, not_after: NDArray[np.int64], judged: NDArray[np.bool_], column: ArrowArray, name: str, at: Place
    ) -> None:
        """Note rows, bool[n], whose expiry, int64[n], no certificate has."""
        early = not_after < FIRST_S
        if early.any() and (early := early & judged).any():
            self.expired_early.note(not_after[early], np.flatnonzero(early), column, name, at)

    def findings(self, revoked_at: str, not_after: str) -> tuple[Finding, ...]:
        """Return what to refuse; the arguments are the columns' names in the files."""
        found = []
        as_revoked = "would be published as the time of a revocation"
        if self.early.count:
            what = f"lies before 1994 in {self.early.count:,} of {self.revoked:,} revoked rows, and {as_revoked}"
            found.append(_finding(revoked_at, "revoked_at", what, self.early.count, self.early.commonest()))
        count = self.before_issuance.count
        if count >= FEW and count * _FEW_SHARE >= self.revoked:
            what = f"lies more than a year before the issuance in {count:,} of {self.revoked:,} revoked rows"
            found.append(_finding(revoked_at, "revoked_at", what, count, self.before_issuance.commonest()))
        same = [] if self.has_status else [one for one in self.same.commonest() if self._is_many(one.count)]
        if same and not found:
            count = sum(one.count for one in same)
            what = f"is one same time in {count:,} of {self.rows:,} rows, which makes all of them revoked"
            found.append(_finding(revoked_at, "revoked_at", what, count, same))
        if self.expired_early.count:
            count = self.expired_early.count
            what = f"lies before 1994 in {count:,} rows, which would get no answer, as if they had expired"
            found.append(_finding(not_after, "not_after", what, count, self.expired_early.commonest()))
        return tuple(found)

    def _is_many(self, count: int) -> bool:
        return (count >= MANY and count * _MANY_SHARE >= self.rows) or (count >= SOME and count * 2 >= self.rows)


def _common(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return times that may be common; which ones a sample tells, as a batch has a hundred thousand rows."""
    sample = seconds[:: max(1, len(seconds) // _SAMPLE_ROWS)]
    distinct, counts = np.unique(sample, return_counts=True)
    return distinct[np.argsort(-counts, kind="stable")[:_SHOWN]]


def _finding(name: str, canonical: str, what: str, count: int, values: list[_Same]) -> Finding:
    texts = [one.text.removeprefix("'").removesuffix("'") for one in values[:_SHOWN]]
    setting = f'{canonical} = {{ name = "{name}", absent = {json.dumps(texts)} }}'
    text = (
        f"column {name!r} {what}: if these values stand for none, declare them, beside what is declared of the column "
        f"already, in [snapshot.columns]: {setting}; if they are times in another unit, correct the encoding; if they "
        f"are right, say so by --accept {CODE}"
    )
    return Finding(CODE, "error", text, count, tuple(one.example for one in values[:MAX_EXAMPLES]))
