"""What is compared is measured in rounds, one after the other in each, so that a machine that drifts hits all."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Gained = TypeVar("Gained")


def take_turns(rounds: int, *works: Callable[[], Gained]) -> Sequence[list[Gained]]:
    """Return what each of several pieces of work gave, round by round.

    >>> count = iter(range(9))
    >>> take_turns(2, lambda: next(count), lambda: -next(count))
    ([0, 2], [-1, -3])
    """
    gained: tuple[list[Gained], ...] = tuple([] for _ in works)
    for _ in range(rounds):
        for work, own in zip(works, gained, strict=True):
            own.append(work())
    return gained
