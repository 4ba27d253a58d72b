"""Figures: what was measured, and what is asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

PER_CPU_SECOND = "/CPU-s"
Reached = Literal["wish", "must", "missed"]
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

    def verdict(self, value: float) -> Reached:
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
        note: what people have to know beside it.
    """

    name: str
    group: str
    title: str
    value: float
    unit: str = ""
    target: Target | None = None
    samples: tuple[float, ...] = ()
    detail: Detail = field(default_factory=dict)
    note: str = ""

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


Result = Figure | Skipped
