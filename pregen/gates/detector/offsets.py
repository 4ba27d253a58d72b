"""Differences between times as they were read and as they must be, and the time zones that explain them.

A time that was read in the wrong zone is off by the difference of two zones' offsets: always whole quarters of an hour
today, 28 hours at most (a sign mistake at +14:00). Read later than true is positive, everywhere here:

    read - true = offset of the zone that was meant - offset of the zone that was declared, or of UTC
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.clock import DAY_S
from pregen.snapshot.column import Column
from pregen.zones import utc_offset, zone_names, zone_octets

QUARTER_S = 900
MAX_SHIFT_S = 28 * 3_600
TOLERANCE_S = 300  # clocks of two machines, and what is written a little later, are no zone mistake
ALIGNED_S = 60  # between a difference and whole quarters of an hour; further from it, it is none of two zones
# Instants at which the zone's offset must have been what the data show: two a month of a year, so that zones with other
# clock changes drop out; each more costs a look into all zones.
_MAX_SAMPLES = 24
_MISSES = 0.1  # which share of the samples may fail: near clock changes, a wrong zone garbles local times


class Sample(NamedTuple):
    """At the instant `at`, in seconds since 1970, the zone that was meant was `offset_s` ahead of UTC."""

    at: int
    offset_s: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How two columns of times that should be equal differ.

    Attributes:
        compared: pairs.
        aligned: pairs that differ by whole quarters of an hour, up to a minute.
        odd: pairs that differ by something else.
        shifts: how often which difference of whole quarters was seen, in seconds, the commonest first.
        samples: what the zone's offset must have been, at up to 24 instants, of those that are aligned.
        of_dates: whether they are days without a time, which say nothing below a day: none of them is aligned.
    """

    compared: int
    aligned: int
    odd: int
    shifts: tuple[tuple[int, int], ...]
    samples: tuple[Sample, ...]
    of_dates: bool = False

    @property
    def shift_s(self) -> int | None:
        """The one difference that nearly all different pairs share; None: there is no such."""
        # The rest may be rows that were corrected since, or lie near a change of clocks.
        if not self.shifts or self.shifts[0][1] < 0.9 * (self.aligned + self.odd):
            return None
        return self.shifts[0][0]


def compare(read: NDArray[np.int64], true: NDArray[np.int64], column: Column) -> Difference:
    """Return how times that were read differ from the true ones, both int64[n] in seconds since 1970."""
    delta = read - true
    same = are_same(read, true, column)
    if is_date(column):
        return Difference(len(delta), 0, int((~same).sum()), (), (), of_dates=True)
    quarters = nearest_quarters(delta)
    shifted = ~same & (quarters != 0) & (np.abs(delta - quarters) <= ALIGNED_S) & (np.abs(quarters) <= MAX_SHIFT_S)
    counts = Counter(quarters[shifted].tolist())
    usable = np.flatnonzero(same | shifted)
    usable = usable[np.argsort(true[usable], kind="stable")]
    if len(usable) > _MAX_SAMPLES:
        usable = usable[np.linspace(0, len(usable) - 1, _MAX_SAMPLES).astype(np.intp)]
    samples = tuple(
        Sample(at, shift + declared_offset(column, seen))
        for at, shift, seen in zip(true[usable].tolist(), quarters[usable].tolist(), read[usable].tolist(), strict=True)
    )
    ordered = tuple(sorted(counts.items(), key=lambda item: (-item[1], abs(item[0]), item[0])))
    return Difference(len(delta), int(shifted.sum()), int((~same & ~shifted).sum()), ordered, samples)


def is_date(column: Column) -> bool:
    """Whether a column holds days without a time: what it is read as may be off by a day, whatever its zone."""
    return column.time_of_day is not None


def are_same(read: NDArray[np.int64], true: NDArray[np.int64], column: Column) -> NDArray[np.bool_]:
    """Return which times of a column, int64[n], mean the true ones: bool[n]. Of dates, the time of day is unknown."""
    delta = np.abs(read - true)
    if not is_date(column):
        same: NDArray[np.bool_] = delta <= TOLERANCE_S
        return same
    same = delta < DAY_S
    for at in np.flatnonzero(~same & (delta < DAY_S + 2 * 3_600)):  # a day on which clocks go back has 25 hours
        same[at] = _local_day(column, int(read[at])) == _local_day(column, int(true[at]))
    return same


def _local_day(column: Column, at: int) -> int:
    return (at + declared_offset(column, at)) // DAY_S


def nearest_quarters(seconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return durations, int64[n], rounded to quarters of an hour."""
    return (seconds + QUARTER_S // 2) // QUARTER_S * QUARTER_S


def nearest_quarter(seconds: float) -> int:
    """Return a duration rounded to quarters of an hour.

    >>> nearest_quarter(-24_900)
    -25200
    """
    return round(seconds / QUARTER_S) * QUARTER_S


def offset_text(seconds: int) -> str:
    """Return an offset as people write it.

    >>> offset_text(-25_200), offset_text(20_700)
    ('-07:00', '+05:45')
    """
    sign, size = "-" if seconds < 0 else "+", abs(seconds)
    text = f"{sign}{size // 3_600:02}:{size // 60 % 60:02}"
    return f"{text}:{size % 60:02}" if size % 60 else text


def declared_offset(column: Column, at: int) -> int:
    """Return the offset with which a column was read: that of its declared zone, else 0, in seconds."""
    return utc_offset(column.zone, at) if column.zone else 0


def zones_with(samples: Sequence[Sample], configured: Iterable[str] = ()) -> tuple[str, ...]:
    """Return every zone of tzdata that had these offsets at these instants: configured, canonical, then other names.

    One miss in ten is allowed: near a clock change, local times that were read in a wrong zone are ambiguous. Where no
    zone is left, those that have the commonest of the offsets at its latest instant.
    """
    if not samples:
        return ()
    # Not one after the other, but seven apart: neighbours are of one season, in which most zones that differ agree, and
    # of samples from all seasons the first few rule out nearly all zones.
    order = sorted(range(len(samples)), key=lambda at: (at * 7) % len(samples))
    allowed = int(_MISSES * len(samples))
    asked = [samples[at] for at in order]
    found = [name for names in _same_rules() if _fits(names[0], asked, allowed) for name in names]
    if not found and len(samples) > 1:
        commonest = Counter(sample.offset_s for sample in samples).most_common(1)[0][0]
        return zones_with([max(sample for sample in samples if sample.offset_s == commonest)], configured)
    first = dict.fromkeys(name for name in configured if name in set(found))
    canonical = _canonical()
    rest = sorted(found, key=lambda name: (name not in canonical, name))
    return tuple(dict.fromkeys([*first, *rest]))


def possible_shifts(column: Column, at: int) -> frozenset[int]:
    """Return by how many seconds a column can be read too late (negative: too early) at an instant, 0 excepted.

    Some zone must have the offset that explains it, given the zone in which the column was read.
    """
    declared = declared_offset(column, at)
    shifts = (offset - declared for offset in _offsets_on(at // 3_600))
    return frozenset(shift for shift in shifts if 0 < abs(shift) <= MAX_SHIFT_S)


def nearest_possible(shift_s: float, possible: frozenset[int]) -> int | None:
    """Return the possible shift that an estimate means: at most a quarter of an hour away, of its sign; else None.

    >>> nearest_possible(6_900, frozenset({3_600, 7_200}))
    7200
    """
    near = [shift for shift in possible if abs(shift - shift_s) <= QUARTER_S and shift * shift_s > 0]
    return min(near, key=lambda shift: (abs(shift - shift_s), shift)) if near else None


@lru_cache(maxsize=256)
def _offsets_on(hour: int) -> frozenset[int]:
    return frozenset(utc_offset(names[0], hour * 3_600) for names in _same_rules())


def _fits(name: str, samples: Sequence[Sample], allowed: int) -> bool:
    misses = 0
    for sample in samples:
        misses += utc_offset(name, sample.at) != sample.offset_s
        if misses > allowed:
            return False
    return True


@lru_cache(maxsize=1)
def _same_rules() -> tuple[tuple[str, ...], ...]:
    """Return all zones, those together that have the same rules: nearly half are other names."""
    groups: dict[bytes, list[str]] = {}
    for name in zone_names():
        groups.setdefault(zone_octets(name), []).append(name)
    return tuple(tuple(names) for names in groups.values())


@lru_cache(maxsize=1)
def _canonical() -> frozenset[str]:
    """Return the zones that stand for a region each, without older names for the same rules."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone1970.tab").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in table.splitlines() if line and not line.startswith("#")]
    return frozenset(fields[2] for fields in lines) | {"UTC"}
