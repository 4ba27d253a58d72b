"""Which commits are retained: the newest, those of the last days, and whatever an edge may still have loaded.

A generation is a run or a rollback with all that was changed on top of it. What is newer than a kept commit is kept,
too: so the log is read from the head back to the first commit that nothing keeps, and no further.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Self

from pregen.clock import DAY_S
from pregen.upkeep.commit_log import Logged, walk_back
from storage.commits import Commit, Head
from storage.stores import Store

if TYPE_CHECKING:
    from pregen.config import KeepConfig

DEFAULT_GENERATIONS, DEFAULT_DAYS, DEFAULT_GRACE_S = 7, 14, DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """What is to be retained: a generation is if any of these asks for it.

    Attributes:
        generations: so many of the newest, the current one among them; None: this keeps none.
        keep_s: those that have been current in so many seconds; None: this keeps none.
        grace_s: every commit that has been current in so many seconds: an edge may still have it loaded, and a
            publisher may be working from it. Nor is anything that was written since then taken for what a dead run has
            left.
    """

    generations: int | None
    keep_s: int | None
    grace_s: int = DEFAULT_GRACE_S

    @classmethod
    def usual(cls, grace_s: int = DEFAULT_GRACE_S) -> Self:
        """Return the rules where nobody says any."""
        return cls(generations=DEFAULT_GENERATIONS, keep_s=DEFAULT_DAYS * DAY_S, grace_s=grace_s)

    @classmethod
    def of(cls, keep: "KeepConfig", grace_s: int = DEFAULT_GRACE_S) -> Self:
        """Return the rules of a configuration, which has any (`KeepConfig.is_given`)."""
        keep_s = None if keep.days is None else keep.days * DAY_S
        return cls(generations=keep.generations, keep_s=keep_s, grace_s=grace_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The commits that are retained.

    Attributes:
        commits: the newest first.
        generations: how many these belong to.
        unreadable: commits that would be retained, but cannot be read.
    """

    commits: tuple[Commit, ...]
    generations: int
    unreadable: tuple[Logged, ...] = field(default=())


def retained_commits(store: Store, head: Head, rules: RetentionRules, now_s: float) -> Kept:
    """Return which commits are retained.

    Args:
        store: where they are.
        head: the newest.
        rules: what is kept.
        now_s: what the store's clock says.

    Raises:
        OSError: the store does not answer.
    """
    current_until = _current_until(store, head, now_s)
    commits: list[Commit] = []
    unreadable: list[Logged] = []
    generations, base = 0, 0
    for logged, newest in _with_newest(walk_back(store, head)):
        if logged.commit is not None and logged.commit.base != base:
            generations, base = generations + 1, logged.commit.base
        by_count = rules.generations is not None and generations <= rules.generations
        by_days = rules.keep_s is not None and current_until[newest] > now_s - rules.keep_s
        if not (by_count or by_days or current_until[logged.number] > now_s - rules.grace_s):
            break
        if logged.commit is None:
            unreadable.append(logged)
        else:
            commits.append(logged.commit)
    bases = {commit.base for commit in commits}
    return Kept(commits=tuple(commits), generations=len(bases), unreadable=tuple(unreadable))


def _with_newest(log: Iterator[Logged]) -> Iterator[tuple[Logged, int]]:
    """Yield each commit with the number of the newest one of its generation; one that cannot be read is of the last."""
    base, newest = 0, 0
    for logged in log:
        if not newest or (logged.commit is not None and logged.commit.base != base):
            newest = logged.number
        if logged.commit is not None:
            base = logged.commit.base
        yield logged, newest


def _current_until(store: Store, head: Head, now_s: float) -> "array[float]":
    """Return until when each commit was the current one, by its number, in seconds since 1970.

    That is when the next one was written. In a copy of a store it may seem to be later, and later ones never end before
    earlier ones.
    """
    written = array("d", [now_s]) * (head.commit.number + 2)
    for info in store.list("commits/"):
        number = info.name.removeprefix("commits/")
        if number.isdigit() and 0 < int(number) < len(written):
            written[int(number)] = info.written_s
    until = array("d", accumulate(written[1:], max, initial=0.0))[1:]
    until[head.commit.number :] = array("d", [math.inf]) * (len(until) - head.commit.number)
    return until
