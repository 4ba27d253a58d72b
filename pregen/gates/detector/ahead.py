"""Times that have not come yet at as_of: a column that is read later than it happened.

An export that runs while certificates are issued, and single postdated certificates, are no mistake. A wrong zone
looks otherwise: the column goes on after as_of **as densely as before**, up to the offset, and then ends. So the
5 minutes after as_of are compared with the same ones a day earlier; and with those of all 35 days, since the day
before is what a copy lacks that reads all that is new too late.

An export in the order of issuance looks the same while it runs. Where witnesses prove that an issuer's earlier rows are
read rightly, only what is new since the last generation could be wrong; that would leave a hole as long as the offset
before it. Without such a hole it is the export, for up to `MAX_EXPORT_S`. An anchor proves nothing here: it is one row,
of any age.

Dates say nothing below a day: of them, only what lies more than a day ahead is told, as a warning. Where revocations
come from CRLs, issuance is compared with the instant of the list of certificates, and revocations with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.clock import DAY_S, length_text
from pregen.gates.detector.case import Case
from pregen.gates.detector.clues import Clue, examples, until_text
from pregen.gates.detector.observation import BIN_S, BINS, DISTANCES, HALF, SIGHTING_KINDS
from pregen.gates.detector.offsets import is_date, nearest_possible, offset_text, possible_shifts
from pregen.gates.detector.rhythm import ages_of, rhythm
from pregen.gates.detector.witnesses import Witnessed
from storage.history import IssuerHistory

# A stretch needs so many rows, and so many of them in its last quarter: else a few postdated certificates behind a
# dense hour would pull its end, and with it the offset that is named, far ahead.
_MIN_COUNT, MIN_LAST = 10, 3
# Of what is usual at that time of day, as a whole and in the last quarter. A shifted column should have all of it; a
# holiday or a weekend, when an automated customer asks for half, and a busy day before must not hide it.
MIN_DENSITY = 0.3
# Which share of the bins must usually be used where 35 days are the measure: postdated certificates are scattered over
# days, and of an issuer with few of them any two in a row would look dense.
MIN_USED = 0.25
_MIN_BINS = 3  # of 5 minutes: a batch of certificates that are valid from tomorrow on is one
# The least offset is half an hour, less what lies between two issuances. Exports run for up to so long by themselves.
MIN_REACH_S = 1_200
# How long a hole is, in offsets, at least and at most: its ends are known to 5 minutes and to a silence.
HOLE = (0.8, 1.25)
MAX_EXPORT_S = 3 * 3_600  # an export that runs for longer is told apart by `[gates] skew`: most offsets are larger
_DAY = 86_400 // BIN_S
_USUAL_LAG_S = 150  # of the newest issuance behind as_of: half of the 5 minutes in which it lies


@dataclass(frozen=True, slots=True)
class Part:
    """Times of one issuer, or of several.

    Attributes:
        counts: int64[DISTANCES], by 5 minutes around as_of + skew (`Observation.table`).
        ages: int64[k], ascending: how many bins of 5 minutes before as_of were used, in 35 days; none of revocations.
        lag_s: how far the newest one usually is behind as_of.
        is_proved: whether earlier ones are known to be read rightly.
    """

    counts: NDArray[np.int64]
    ages: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lag_s: int = _USUAL_LAG_S
    is_proved: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A dense stretch after as_of.

    Attributes:
        count: how many rows it has.
        end_s: where it ends, in seconds after as_of + skew.
        used: which share of its 5 minutes has any.
    """

    count: int
    end_s: int
    used: float


def dense_stretch(part: Part, skew_s: int) -> Stretch | None:
    """Return how far times go on after as_of as densely as before; None if they do not.

    `skew_s` is how far they may lie ahead.
    """
    after, before = (
        part.counts[HALF : DISTANCES - 1],
        part.counts[:HALF],
    )  # the last column has no time of its own
    if after.sum() < _MIN_COUNT:
        return None
    # The same time of the day before, as far as it is counted; for hours beyond that, the mean of what is counted.
    day_ago = np.concatenate([before[HALF - _DAY :], np.full(HALF - _DAY, before.mean())])
    found = [_dense(after, day_ago, (day_ago >= 1).astype(np.float64), 0.0, skew_s)]
    if len(part.ages):
        # What is usual at each time of the day: in which share of the days its bins are used, and by how many rows.
        days = max(1, round((int(part.ages[-1]) + 1) / _DAY))
        of_day = np.bincount(-(part.ages + 1 + skew_s // BIN_S) % _DAY, minlength=_DAY) / days
        usual_bins = np.resize(of_day, HALF)
        # A copy that lacks the whole last day has none before: then what lies ahead is the measure of its own rows.
        used = before[before > 0] if before.any() else after[after > 0]
        found.append(_dense(after, usual_bins * float(used.mean()), usual_bins, MIN_USED, skew_s))
    return max((one for one in found if one), key=lambda stretch: stretch.end_s, default=None)


def _dense(
    after: NDArray[np.int64],
    usual_rows: NDArray[np.float64],
    usual_bins: NDArray[np.float64],
    min_used: float,
    skew_s: int,
) -> Stretch | None:
    """Return how far rows go on after as_of as densely as is usual: rows, and used bins, of the same times of day.

    `min_used` is which share of the bins must usually be used.
    """
    rows, usual = np.cumsum(after, dtype=np.float64), np.cumsum(usual_rows)
    bins, most_bins = np.cumsum(after > 0), np.cumsum(usual_bins)
    size = np.arange(1, HALF + 1)
    start = size - np.maximum(1, size // 4)
    last, usual_last = _since(rows, start), _since(usual, start)
    # Each end of a stretch is judged at once: by its rows, by those of its last quarter, and by how many bins they use.
    dense = (rows >= _MIN_COUNT) & (rows >= MIN_DENSITY * usual) & (usual > 0)
    dense &= (last >= MIN_LAST) & (last >= MIN_DENSITY * usual_last) & (after > 0)
    dense &= (bins >= _MIN_BINS) & (bins >= MIN_DENSITY * most_bins) & (size * BIN_S + skew_s >= MIN_REACH_S)
    ends = np.flatnonzero(dense & (most_bins >= min_used * size))
    if not len(ends):
        return None
    end = int(ends[-1])  # the furthest: that is where the offset ends, whatever gaps are before it
    return Stretch(int(rows[end]), int(size[end]) * BIN_S, float(bins[end] / size[end]))


def judge_ahead(case: Case, exact: Witnessed) -> tuple[Clue, ...]:
    """Return what times after as_of say against not_before and revoked_at; `exact` is what witnesses say."""
    observation, watch = case.observation, case.watch
    issued, (revoked, *_) = np.split(observation.table(watch), [case.revocations])
    is_busy = issued[:, HALF:].sum(axis=1) >= _MIN_COUNT
    parts = []
    for at in np.flatnonzero(is_busy).tolist():
        ages = ages_of(observation, at)
        parts.append(Part(issued[at], ages, _backdating(ages, case.before(at)), is_proved=exact.prove(at)))
    # Those with few issuances ahead count together: none of forty small CAs alone would reach `_MIN_COUNT`.
    of_issuers = observation.bins[: np.searchsorted(observation.bins, case.revocations * BINS)]
    ages = np.unique(of_issuers[~is_busy[of_issuers // BINS]] % BINS)
    parts.append(Part(issued[~is_busy].sum(axis=0), ages, is_proved=exact.prove(~is_busy)))
    found = (
        _clue(case, parts, issued, "not_before", "ahead"),
        _clue(case, [Part(revoked)], revoked[None], "revoked_at", "late"),
    )
    return tuple(clue for clue in found if clue is not None)


def has_hole(part: Part, stretch: Stretch, shift_s: int, new_bins: int) -> bool:
    """Whether nothing happened for about `shift_s` before a stretch ends, and mostly not for so long.

    Only what is new can have left it: `new_bins` bins of 5 minutes before as_of.
    """
    after = np.flatnonzero(part.counts[HALF : HALF + stretch.end_s // BIN_S])
    used = np.concatenate([-1 - part.ages[::-1], after])
    silences = np.diff(used) * BIN_S
    if len(silences) < 2:
        return False
    longest = int(silences[used[1:] >= -new_bins].max(initial=0))
    return HOLE[0] * shift_s <= longest <= HOLE[1] * shift_s and longest >= 2 * rhythm(part.ages).silence_s


def _clue(case: Case, parts: Sequence[Part], counts: NDArray[np.int64], canonical: str, kind: str) -> Clue | None:
    """Return what one column says; `parts` are looked at one by one, `counts`, int64[k, DISTANCES], are of all rows."""
    column, watch = case.columns[canonical], case.watch
    new_bins = BINS if case.history is None else (watch.issued_until - case.history.as_of) // BIN_S
    allowed_s = DAY_S if is_date(column) else 0
    ahead = int(counts[:, HALF + allowed_s // BIN_S :].sum())
    if not ahead:
        return None
    votes: dict[int, int] = {}
    for part in () if is_date(column) else parts:
        stretch = dense_stretch(part, watch.skew_s)
        if stretch is None:
            continue
        possible = possible_shifts(column, watch.issued_until)
        shift_s = nearest_possible(stretch.end_s - BIN_S // 2 + watch.skew_s + part.lag_s, possible)
        if shift_s is None:
            continue
        # What is proved by older rows and short, or thin, is an export that ran while certificates were issued; unless
        # there is the hole that new rows leave when they alone are read in another zone.
        is_short = stretch.end_s < MAX_EXPORT_S or stretch.used < MIN_USED
        if not (part.is_proved and is_short) or has_hole(part, stretch, shift_s, new_bins):
            votes[shift_s] = votes.get(shift_s, 0) + stretch.count
    # Most rows decide; of equal ones the larger offset, since a stretch ends too early rather than too late.
    shift = max(votes, key=lambda shift_s: (votes[shift_s], shift_s)) if votes else None
    origin = until_text(watch) if canonical == "not_before" else "as_of"
    text = f"{ahead:,} times lie ahead of {origin} by more than {length_text(watch.skew_s + allowed_s)}"
    if shift is not None:
        text += f", as densely as before, up to about {offset_text(shift)[1:]} ahead"
    rows = case.observation.examples[SIGHTING_KINDS.index(kind)]
    rows = rows[rows[canonical] > (watch.issued_until + watch.skew_s + allowed_s)]
    return Clue(
        code="time.ahead-of-as-of",
        severity="error" if shift is not None else "warning",
        canonical=canonical,
        text=text,
        advice="few or scattered, they may be postdated, or written while the export ran ([gates] skew may be set to "
        "how long that is); where all of them come from one source, look at its zone",
        shift_s=shift,
        count=ahead,
        examples=examples(rows, case.issuers, column, shift),
    )


def _since(cumulated: NDArray[np.float64], start: NDArray[np.int64]) -> NDArray[np.float64]:
    return cumulated - np.where(start > 0, cumulated[np.maximum(start - 1, 0)], 0)


def _backdating(ages: NDArray[np.int64], known: IssuerHistory | None) -> int:
    """Return how far the newest issuance is always behind as_of: more than any silence explains, or next to nothing."""
    least_s = min(known.lags) if known and known.lags else 0
    return least_s if least_s > rhythm(ages).silence_s else _USUAL_LAG_S
