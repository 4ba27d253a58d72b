"""How an issuer works: which silences are usual to it, and until when its issuance is dense.

A nightly batch is silent for a day, an office for a weekend, a small CA for a month, and an automated CA for minutes.
What is usual, an issuer's own last 35 days say. Their longest silence is left out: a maintenance, or hours that a copy
has lost, happen once, and would hide the next ones; nights and weekends happen again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.gates.evidence import BIN_S, BINS

MIN_BINS = 200
MIN_SPAN_S = 15 * 86_400  # two weekends are among them
# Which share of the bins that are used on the average is dense, in windows where so many are to be expected. The long
# one tells a few postdated certificates from issuance, the short one where that ends.
DENSITY, _WINDOWS = 0.3, (10, 40)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How an issuer works, of 35 days.

    Attributes:
        busy: whether that is enough to judge it: `MIN_BINS` of its 5 minutes were used, over `MIN_SPAN_S`.
        lag_s: how far dense issuance is behind as_of, in seconds; None: it is not busy.
        silence_s: the longest silence but one, in seconds.
        dense: int64[k], ascending: the bins of dense issuance; all that are used where it is not busy.
    """

    busy: bool
    lag_s: int | None
    silence_s: int
    dense: NDArray[np.int64]


def rhythm(ages: NDArray[np.int64]) -> Rhythm:
    """Return how an issuer works.

    Args:
        ages: int64[k], ascending and distinct: how many whole bins of 5 minutes before as_of something was issued.
    """
    if len(ages) >= MIN_BINS and (ages[-1] - ages[0]) * BIN_S >= MIN_SPAN_S:
        is_past = _is_dense(ages)
        past = ages[is_past]  # at the end, no more than the past is known: so all silences are measured
        if len(past) > 2:
            either = ages[is_past | _is_dense(-ages[::-1])[::-1]]
            return Rhythm(busy=True, lag_s=int(past[0]) * BIN_S, silence_s=_usual_silence(past), dense=either)
    return Rhythm(busy=False, lag_s=None, silence_s=_usual_silence(ages), dense=ages)


def ages_of(bins: NDArray[np.int64], issuer: int) -> NDArray[np.int64]:
    """Return the used bins of one issuer, of all (`Observation.bins`), counted from as_of."""
    first, end = np.searchsorted(bins, [issuer * BINS, (issuer + 1) * BINS])
    return bins[first:end] - issuer * BINS


def _is_dense(ages: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell, of each bin, whether issuance is dense from it on: towards the past, where bins are ages; bool[k]."""
    dense = np.ones(len(ages), np.bool_)
    for expected in _WINDOWS:
        width = max(expected, -(-expected * int(ages[-1] - ages[0] + 1) // len(ages)))
        reached = np.searchsorted(ages, ages + width)  # how many bins are used up to the end of the window from each
        dense &= reached - np.arange(len(ages)) >= DENSITY * expected
    return dense


def _usual_silence(ages: NDArray[np.int64]) -> int:
    silences = np.sort(np.diff(ages))
    return int(silences[-2:][0]) * BIN_S if len(silences) else 0
