"""Figures: what was measured, and what is asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PER_CPU_SECOND = "/CPU-s"
Verdict = Literal["wish", "must", "missed"]
Detail = Mapping[str, str | int | float]


class BenchError(Exception):
    """A measurement could not be made, or what was measured gave a wrong result; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked of a figure: it must reach the one value, and better the other.

    Attributes:
        must: where it has to be.
        wish: where it should be.
        at_most: small values are the good ones.
    """

    must: float
    wish: float
    at_most: bool = False

    def verdict(self, value: float) -> Verdict:
        """Return the better of the two values that `value` reaches, or ``missed``.

        >>> Target(must=0.68, wish=0.8).verdict(0.7), Target(must=450, wish=250, at_most=True).verdict(451)
        ('must', 'missed')
        """
        sign = -1 if self.at_most else 1
        if sign * value >= sign * self.wish:
            return "wish"
        return "must" if sign * value >= sign * self.must else "missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value.

    Attributes:
        name: dotted, the same in every run; the part of the bench comes first.
        group: what it belongs to, for people.
        title: what it is, within its group.
        value: how much.
        unit: of what; empty for a ratio.
        target: what is asked of it, where something is.
        samples: the single measurements that `value` sums up, in the order of time, where there are several.
        detail: what else belongs to it.
    """

    name: str
    group: str
    title: str
    value: float
    unit: str = ""
    target: Target | None = None
    samples: tuple[float, ...] = ()
    detail: Detail = field(default_factory=dict)

    @property
    def spread(self) -> float:
        """How far the samples lie apart, as a share of the lowest: 0.0 where all are equal."""
        return max(self.samples) / min(self.samples) - 1 if self.samples else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """What could not be measured here, and why; names as in `Figure`."""

    name: str
    group: str
    title: str
    reason: str


Finding = Figure | Skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured.

    Attributes:
        judged: whether targets apply: they are set for the full sizes; in smaller runs the start-up weighs more.
        raw_s: CPU seconds of each run of a raw loop.
        multibuffer_rows, software_rows: snapshots for the two engines.
        memory_rows: a small snapshot, for the memory that a run takes whatever its size.
        lookup_rows: snapshot of the store that is read.
        lookups: certificates that are looked up in each round.
        rounds: of lookups and of their reference, in turns.
    """

    judged: bool
    raw_s: float
    multibuffer_rows: int
    software_rows: int
    memory_rows: int
    lookup_rows: int
    lookups: int
    rounds: int

    @property
    def most_rows(self) -> int:
        """Rows of the largest snapshot; only one lies on the disk at a time."""
        return max(self.multibuffer_rows, self.software_rows, self.memory_rows, self.lookup_rows)


FULL = Sizes(
    judged=True,
    raw_s=3.0,
    multibuffer_rows=5_000_000,
    software_rows=1_000_000,
    memory_rows=200_000,
    lookup_rows=1_000_000,
    lookups=50_000,
    rounds=5,
)
QUICK = Sizes(
    judged=False,
    raw_s=1.0,
    multibuffer_rows=1_000_000,
    software_rows=200_000,
    memory_rows=50_000,
    lookup_rows=200_000,
    lookups=20_000,
    rounds=3,
)
