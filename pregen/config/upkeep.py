"""How a store is kept up: the section ``[refresh]``, and what of old generations stays (`keep` of ``[publish]``)."""

from collections.abc import Iterator
from typing import Annotated

import msgspec

from pregen.config.section import Duration, FieldProblem, Section, duration_problems, parse_duration

_LEAST_S = 60
_GREATEST_S = 366 * 86_400


class RefreshConfig(Section, frozen=True, kw_only=True):
    """When answers that still hold are signed again (`pregen.validity.refreshing`).

    Attributes:
        every: how often runs take place, from a minute to 366 days: an answer is signed again where the next run would
            come too late for it.
        missed_runs: how many runs in a row may fail before any answer runs out.
        spread: whether the work is spread over the runs until all answers are due, so that each signs about as many;
            false: all that is due is signed at once.
    """

    every: Duration = "1d"
    missed_runs: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 1
    spread: bool = True

    @property
    def every_s(self) -> int:
        """How often runs take place, in seconds."""
        return int(parse_duration(self.every).total_seconds())

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        bad = list(duration_problems("every", self.every))
        yield from bad
        if not bad and not _LEAST_S <= self.every_s <= _GREATEST_S:
            text = (
                f"{self.every!r} is not how often runs can take place: write 1m to 366d, such as 1d for a run each "
                "night"
            )
            yield FieldProblem("config.bad-value", "every", text)


class KeepConfig(Section, frozen=True, kw_only=True):
    """Which old generations stay, when a run cleans at its end: those that any of these rules keeps.

    Attributes:
        generations: the newest ones, so many of them, a run or rollback with its urgent changes being one; the current
            one is among them, so 1 at least. Absent: by `days` alone.
        days: those that have been current in so many days. Absent: by `generations` alone.
    """

    generations: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    days: Annotated[int, msgspec.Meta(ge=0, le=36_525)] | None = None

    @property
    def is_given(self) -> bool:
        """Whether runs clean at all."""
        return self.generations is not None or self.days is not None

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        if not self.is_given:
            text = "an empty table keeps nothing: write { generations = 7, days = 14 }, or leave keep out"
            yield FieldProblem("config.bad-value", "generations", text, ("days",))
