"""How probable it is that values look like something else by chance: the octets that vary tell, column by column.

The question is whether values are made of few kinds of octets (the ten digits, say) because they are that (decimal
numbers) or by chance. Were they drawn at random from more kinds, an octet would be one of the few with a known
probability, such as 10/16 for a hexadecimal digit. But serials are not all random: prefixes are constant, numbers
count. So only octets that *vary* are evidence: those by which a value differs from its neighbour, after sorting, among
values of its length. Neighbours of a sorted column share what issuers, dates and counters make alike, and some of
the random octets too, which errs on the side of silence.

    m    mean count of octets by which neighbours differ, for one length
    p    share ** m, the probability that one value looks so by chance
    n    values of that length, k of which look so

and the chance that k or more of n do is at most exp(-n * KL(k/n || p)) (Chernoff), which is p ** n where all do. A
column is refused below `CHANCE`. So 46 numbers that count through decimal digits alone are enough (0.625 ** 46), or
two random ones of 128 bits; 1 to 9, or 10 to 19, prove nothing.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot.octets import OctetColumn, tails

CHANCE = 1e-9
LENGTHS = 64  # longer values are no serials
Occurrences = NDArray[np.int64]


class Likeness(NamedTuple):
    """What was counted of values that may be something else, by their length, int64[LENGTHS] each; they add up.

    Attributes:
        values: all of them.
        alike: those that look like something else.
        pairs: of neighbours among these.
        moved: octets by which neighbours differ.
    """

    values: Occurrences
    alike: Occurrences
    pairs: Occurrences
    moved: Occurrences

    def plus(self, other: "Likeness") -> "Likeness":
        """Return what was counted in both."""
        return Likeness(*(mine + others for mine, others in zip(self, other, strict=True)))

    def times(self, factor: int) -> "Likeness":
        """Return what a sample of one in so many stands for."""
        return Likeness(*(mine * factor for mine in self))


def no_likeness() -> Likeness:
    """Return what is known before the first value."""
    return Likeness(*(np.zeros(LENGTHS, np.int64) for _ in range(4)))


def count_alike(values: OctetColumn, alike: NDArray[np.bool_]) -> Likeness:
    """Count values, of which those that look like something else are marked, bool[n]."""
    sizes = np.minimum(values.size, LENGTHS - 1)
    found = Likeness(np.bincount(sizes, minlength=LENGTHS), *(np.zeros(LENGTHS, np.int64) for _ in range(3)))
    rows = np.flatnonzero(alike & (values.size < LENGTHS) & (values.size > 0))
    if not len(rows):
        return found
    those = OctetColumn(values.data, values.start[rows], values.end[rows])
    found.alike[:] = np.bincount(those.size, minlength=LENGTHS)
    for size in np.flatnonzero(found.alike > 1).tolist():
        which = those.size == size
        matrix = tails(OctetColumn(those.data, those.start[which], those.end[which]), size)
        order = np.ascontiguousarray(matrix).view(f"S{size}")[:, 0].argsort(kind="stable")
        ordered = matrix[order]
        found.pairs[size] = len(ordered) - 1
        found.moved[size] = np.count_nonzero(ordered[1:] != ordered[:-1])
    return found


def chance_exponent(found: Likeness, share: float, least_moved: float = 1.0) -> float:
    """Return the decimal logarithm of the least chance, of any length, that so many values look so; 0 is certainty.

    Args:
        found: the counts.
        share: of all octets, those that they are made of.
        least_moved: lengths whose neighbours differ by less are no evidence: numbers that count.

    >>> counted = no_likeness()
    >>> counted.values[38], counted.alike[38], counted.pairs[38], counted.moved[38] = 100, 100, 99, 99 * 32
    >>> round(chance_exponent(counted, 10 / 16))
    -653
    """
    least = 0.0
    for size in np.flatnonzero(found.moved).tolist():
        count, alike = int(found.values[size]), int(found.alike[size])
        moved = int(found.moved[size]) / int(found.pairs[size])
        if moved >= least_moved:
            least = min(least, _tail(count, alike, moved * math.log(share)) / math.log(10))
    return least


def _tail(count: int, alike: int, log_p: float) -> float:
    """Return Chernoff's bound of the chance of `alike` or more of `count`, as a natural logarithm."""
    part = alike / count
    if math.log(part) <= log_p:
        return 0.0
    rest = 1 - part
    return -count * (
        part * (math.log(part) - log_p) + (rest * (math.log(rest) - math.log1p(-math.exp(log_p))) if rest else 0)
    )
