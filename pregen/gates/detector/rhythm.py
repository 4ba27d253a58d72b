"""How an issuer works: which silences are usual to it, and until when its issuance is dense.

A nightly batch is silent for a day, an office for a weekend, a small CA for a month, and an automated CA for minutes.
What is usual, an issuer's own last 35 days say. Their longest silence is left out: a maintenance, or hours that a copy
has lost, happen once, and would hide the next ones; nights and weekends happen again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.gates.detector.observation import BIN_S, BINS, Observation

# So many of the 5 minutes must have been used: with fewer, the longest silence of a CA that works at random is a matter
# of luck, and twice as long is no wonder.
_MIN_BINS = 200
MIN_SPAN_S, LONG_SPAN_S = 7 * 86_400, 15 * 86_400  # one weekend is among them, two are
# Of the rows that a used bin usually has: what is less does not count as use. Postdated certificates are fewer.
USED = 0.1
# Which share of the bins that are used on the average is dense, in windows where so many are to be expected. The long
# one tells a few postdated certificates from issuance, the short one where that ends.
DENSITY, _WINDOWS = 0.3, (10, 40)
HABIT = 7  # so many holes in 35 days, one in five days, are how the issuer works
_WEEK, _WEEKS, _MOSTLY = 7 * 86_400 // BIN_S, 4, 3

# How many times as long as is usual a silence is too long; of many issuers, one is silent twice as long by chance every
# few days, so that each run would warn.
SILENCES, MANY_SILENCES, MANY_ISSUERS = 2.0, 3.0, 10
# Less than half an hour is not called a silence, whatever is usual: an automated CA is never silent for five minutes,
# and a restart of ten is no finding. With six times as long, a thousand simulated snapshots made no false error.
LEAST_SILENCE_S, HOLE_SILENCES = 1_800, 6.0
MAX_SILENCE_S = 6 * 3_600  # the longest of an issuer that counts as never silent: shorter than any night
STOP_GROWS = 3  # times as long as the stop that was accepted: up to then, nobody is asked again
# Bins in which an issuer was busy in other weeks: three hours and twenty minutes are nearly half a working day, and
# more than a long lunch or a maintenance.
MISSED = 40

Ages = NDArray[np.int64]
Span = tuple[int, int]  # from and to, in seconds since 1970


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How an issuer works, of 35 days.

    Attributes:
        busy: whether that is enough to judge it: `_MIN_BINS` of its 5 minutes were used, over `MIN_SPAN_S`.
        lag_s: how far dense issuance is behind as_of, in seconds; None: it is not busy.
        silence_s: the longest silence but one, in seconds; of less than `LONG_SPAN_S`, the longest.
        ages: int64[k], ascending: the bins that it is taken from.
        dense: int64[k], ascending: those from which on, towards the past, issuance is dense; all where it is not busy.
    """

    busy: bool
    lag_s: int | None
    silence_s: int
    ages: Ages
    dense: Ages


class Bins(NamedTuple):
    """A silence in bins before as_of."""

    newer: int
    older: int


def rhythm(ages: Ages, holes: Sequence[Bins] = ()) -> Rhythm:
    """Return how an issuer works.

    Args:
        ages: int64[k], ascending and distinct: how many whole bins of 5 minutes before as_of something was issued.
        holes: silences that are not usual.
    """
    if len(ages) >= _MIN_BINS and (ages[-1] - ages[0]) * BIN_S >= MIN_SPAN_S:
        dense = ages[_is_dense(ages)]  # at the end, no more than the past is known: so all silences are measured
        if len(dense) > 2:
            return Rhythm(True, int(dense[0]) * BIN_S, _usual_silence(dense, holes), ages, dense)
    return Rhythm(False, None, _usual_silence(ages, holes), ages, ages)


def dense_either_way(own: Rhythm) -> Ages:
    """Return the bins where issuance is dense towards the past, or towards the future: ascending."""
    return np.union1d(own.dense, own.ages[_is_dense(-own.ages[::-1])[::-1]])


def ages_of(observation: Observation, row: int) -> Ages:
    """Return the used bins of one row of `Observation.bins`, an issuer or revocations, counted from as_of.

    What has less than a tenth (`USED`) of the rows that are usual is not used.
    """
    first, end = np.searchsorted(observation.bins, [row * BINS, (row + 1) * BINS])
    count = observation.bin_counts[first:end]
    ages = observation.bins[first:end] - row * BINS
    if not len(count) or count.max() * USED <= 1:  # one row is a tenth of them
        return ages
    return ages[count >= USED * np.median(count)]


def silences_factor(issuers: int) -> float:
    """Return how many times as long as is usual a silence is too long, where so many issuers are judged."""
    return MANY_SILENCES if issuers > MANY_ISSUERS else SILENCES


def is_long(silence_s: int, usual_s: int) -> bool:
    """Whether a silence is so much longer than the usual ones that something is missing."""
    return silence_s >= HOLE_SILENCES * max(usual_s, LEAST_SILENCE_S)


def missed(ages: Ages, newer: int, older: int) -> int:
    """Return how many bins between two were used at the same time in most of the four weeks before."""
    if older - newer <= MISSED:  # nobody asks whether it is fewer than that
        return 0
    used = np.zeros(BINS + 1, np.bool_)
    used[ages] = True
    between = np.arange(newer + 1, older)
    weeks = sum(used[np.minimum(between + week * _WEEK, BINS)].astype(np.int64) for week in range(1, _WEEKS + 1))
    return int(np.count_nonzero(weeks >= _MOSTLY))


def _is_dense(ages: Ages) -> NDArray[np.bool_]:
    """Tell, of each bin, whether issuance is dense from it on: towards the past, where bins are ages; bool[k]."""
    dense = np.ones(len(ages), np.bool_)
    for expected in _WINDOWS:
        width = max(expected, -(-expected * int(ages[-1] - ages[0] + 1) // len(ages)))
        reached = np.searchsorted(ages, ages + width)  # how many bins are used up to the end of the window from each
        dense &= reached - np.arange(len(ages)) >= DENSITY * expected
    return dense


def _usual_silence(ages: Ages, holes: Sequence[Bins]) -> int:
    silences = np.diff(ages)
    for newer, older in holes if len(holes) < HABIT else ():
        silences = np.where((ages[:-1] < older) & (ages[1:] > newer), 0, silences)
    longest = np.sort(silences)[-2:]  # the longest one, which happened once, is left out; see the module's docstring
    if not len(longest):
        return 0
    is_short = (ages[-1] - ages[0]) * BIN_S < LONG_SPAN_S
    return int(longest[-1 if is_short else 0]) * BIN_S
