"""The commits of a store from the newest back, and what has gone with them.

A run or a rollback makes a generation; whatever is changed on top of it (deltas, revocations, cleaning) belongs to it:
`Commit.base` says to which one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pregen.upkeep.parallel import at_once
from storage.commits import Commit, Head, read_commit
from storage.errors import FormatError
from storage.stores import ReadableStore

_AHEAD = 64  # commits that are read before anybody has asked for them


@dataclass(frozen=True, slots=True)
class Logged:
    """A commit of the log.

    Attributes:
        number: of it.
        commit: None: it cannot be read.
        damage: why not.
    """

    number: int
    commit: Commit | None
    damage: str = ""


def walk_back(store: ReadableStore, head: Head, *, to: int = 1) -> Iterator[Logged]:
    """Yield the commits from the head back, down to number `to`.

    Raises:
        OSError: the store does not answer.
    """
    yield Logged(head.commit.number, head.commit)
    high, ahead = head.commit.number, 1
    while high > to:
        low = max(to, high - ahead)
        yield from at_once(partial(_logged, store), range(high - 1, low - 1, -1))
        high, ahead = low, _AHEAD


def _logged(store: ReadableStore, number: int) -> Logged:
    try:
        found = read_commit(store, number)
    except FormatError as e:
        return Logged(number, None, str(e))
    return Logged(number, found.commit) if found else Logged(number, None, f"commit {number} is lost")
