"""Local times to instants by columns: one search in a table of wall-clock time, made once for each zone.

A change of the clocks is two points of wall-clock time: between them lies a gap, which no clock ever showed, or a fold,
which clocks showed twice. All points of a zone until the year 10001, sorted, cut wall-clock time into segments. Within
a segment everything is constant: the offset, and whether it is a gap or a fold. So the segment of a time, found by one
`searchsorted`, says all. The table is written out rather than folded into the 400 years after which the calendar
repeats: the division would cost more than the search in a table that fits the processor's cache.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.config.columns import Ambiguous, Nonexistent
from pregen.snapshot.times.tzif import Transitions, read_tzif
from pregen.zones import zone_octets

_FOLD, _GAP = 1, 2
_DOUBTFUL = 2**60  # stands where an offset alone does not say which instant it is; far from every offset
_TABLES = 32  # about a megabyte each
_BLOCK_ROWS = 65_536  # bounds the memory of long columns, and keeps what lies between search and result in the cache


class Converted(NamedTuple):
    """Local times as instants.

    Attributes:
        seconds: since 1970, int64[n]; where the policy is "error", flagged rows hold the earliest instant or the first
            one after the gap.
        ambiguous: where clocks showed the time twice, whatever the policy, bool[n].
        nonexistent: where no clock showed it, whatever the policy, bool[n].
    """

    seconds: NDArray[np.int64]
    ambiguous: NDArray[np.bool_]
    nonexistent: NDArray[np.bool_]


class WallTable(NamedTuple):
    """Segments of a zone's wall-clock time; segment s ends before ``breaks[s]``, and the last one never.

    Attributes:
        breaks: seconds since 1970 on the wall clock, ascending, int64[s - 1].
        clear: the offset to subtract, int64[s]; of folds and gaps, a number that is none: that one comparison finds
            the few times in them is what keeps the usual case at one search and one take.
        earliest, latest: the offset to subtract, int64[s]; they differ in folds alone.
        kinds: 0, or 1 for a fold, 2 for a gap, uint8[s].
        gap_ends: of gaps, the instant of the change, int64[s].
    """

    breaks: NDArray[np.int64]
    clear: NDArray[np.int64]
    earliest: NDArray[np.int64]
    latest: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    gap_ends: NDArray[np.int64]


def local_to_utc(
    local: NDArray[np.int64], name: str, ambiguous: Ambiguous = "error", nonexistent: Nonexistent = "error"
) -> Converted:
    """Return the instants that wall clocks of a zone mean; `local` is seconds since 1970 as if they were UTC, int64[n].

    >>> noon = np.array([1_795_478_400 + 43_200])  # 2026-11-24
    >>> (local_to_utc(noon, "America/Denver").seconds - noon).tolist()
    [25200]

    Raises:
        ValueError: no zone is called so.
    """
    table = wall_table(name)
    count = len(local)
    done = Converted(np.empty(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    if not len(table.breaks):
        np.subtract(local, table.earliest[0], out=done.seconds)
        return done
    for start in range(0, count, _BLOCK_ROWS):
        rows = slice(start, start + _BLOCK_ROWS)
        seconds = done.seconds[rows]
        first, last = table.breaks.searchsorted([local[rows].min(), local[rows].max()], "right")
        if first == last and table.clear[first] != _DOUBTFUL:  # mostly: times between two changes of the clocks
            np.subtract(local[rows], table.clear[first], out=seconds)
            continue
        segment = table.breaks.searchsorted(local[rows], "right")
        table.clear.take(segment, out=seconds, mode="wrap")  # never wraps; "raise" would copy
        doubtful = np.flatnonzero(seconds == _DOUBTFUL) if seconds.max() == _DOUBTFUL else None
        np.subtract(local[rows], seconds, out=seconds)
        if doubtful is not None:
            where, at = segment[doubtful], start + doubtful
            gaps = table.kinds[where] == _GAP
            offsets = (table.latest if ambiguous == "latest" else table.earliest)[where]
            change = table.gap_ends[where] - (nonexistent == "shift-backward")
            done.seconds[at] = np.where(gaps, change, local[at] - offsets)
            done.nonexistent[at] = gaps
            done.ambiguous[at] = ~gaps
    return done


@lru_cache(maxsize=_TABLES)
def wall_table(name: str) -> WallTable:
    """Return the segments of a zone's wall-clock time.

    Raises:
        ValueError: no zone is called so.
    """
    return wall_segments(read_tzif(zone_octets(name)))


def wall_segments(transitions: Transitions) -> WallTable:
    """Cut wall-clock time at every change of the clocks, and look which instants each segment stands for.

    Each segment is looked at by itself, as two changes in one day may have gaps and folds that overlap.
    """
    at, offset = transitions
    wall_before, wall_after = at + offset[:-1], at + offset[1:]
    breaks = np.unique(np.concatenate([wall_before, wall_after]))
    sample = np.concatenate([breaks[:1] - 1, breaks]) if len(breaks) else np.zeros(1, np.int64)

    # the periods between changes (period k ends with change k) that can hold a time of the segment
    first = at.searchsorted(sample - offset.max(), "right")
    last = at.searchsorted(sample - offset.min(), "right")
    times = np.zeros(len(sample), np.int64)
    earliest, latest = np.zeros_like(sample), np.zeros_like(sample)
    gap = np.full(len(sample), -1)
    for step in range(int((last - first).max()) + 1):
        period = np.minimum(first + step, last)
        here = (first + step <= last) & (at.searchsorted(sample - offset[period], "right") == period)
        earliest[here & (times == 0)] = offset[period][here & (times == 0)]
        latest[here] = offset[period][here]
        times += here
        if len(at):
            change = np.minimum(period, len(at) - 1)
            skipped = (gap < 0) & (wall_before[change] <= sample) & (sample < wall_after[change])
            gap[skipped] = change[skipped]
    kinds = np.where(times > 1, _FOLD, np.where(times == 0, _GAP, 0)).astype(np.uint8)
    gap_ends = np.zeros_like(sample)
    gap_ends[times == 0] = at[gap[times == 0]]
    earliest[times == 0] = latest[times == 0] = offset[gap[times == 0]]
    return WallTable(breaks, np.where(kinds == 0, earliest, _DOUBTFUL), earliest, latest, kinds, gap_ends)
