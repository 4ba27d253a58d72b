"""`pregen history`: what each commit was, who made it and why, and whether it could be rolled back to.

A commit can be rolled back to while all that it names is there, and while its answers hold until the next run: a
rollback signs nothing anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice, zip_longest

from pregen.upkeep.commit_log import Logged, walk_back
from pregen.upkeep.lasting import answers_end
from pregen.upkeep.named_objects import named_directly
from pregen.upkeep.parallel import at_once
from storage.commits import ROLLBACK, Commit, find_head
from storage.errors import FormatError, NothingPublishedError
from storage.manifest import Manifest, read_manifest
from storage.reader import LoadedTables, load_tables
from storage.removals import read_removals
from storage.stores import Store

_BATCH = 64
_CLEANED_UP = "it was cleaned up"


@dataclass(frozen=True, slots=True, kw_only=True)
class PastCommit:
    """What a commit was.

    Attributes:
        number: of it.
        commit: None: it cannot be read.
        manifest: None: it was removed, or cannot be read.
        gates: what its own checks said; a change on top of a generation carries on what the checks of that said.
        until: the last second in which it can be rolled back to; None: it cannot be.
        why_not: why not; empty: it can be.
    """

    number: int
    commit: Commit | None
    manifest: Manifest | None
    gates: Mapping[str, object]
    until: int | None
    why_not: str

    @property
    def acceptances(self) -> list[dict[str, str]]:
        """What was accepted by name for this commit: gate, reason and user."""
        return [one for result in self.gates.values() for one in _acceptances(result)]

    @property
    def reason(self) -> str | None:
        """Why it was made, where its kind asks for a reason."""
        figures = _member(self.gates.get(ROLLBACK), "figures")
        reason = _member(figures, "reason")
        return reason if isinstance(reason, str) else None


def _member(of: object, name: str) -> object:
    """Return a member of what tools wrote, which may be anything; None: it has no such member."""
    return of.get(name) if isinstance(of, dict) else None


def _acceptances(result: object) -> Iterator[dict[str, str]]:
    found = _member(result, "acceptances")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict):
            yield {name: str(one.get(name, "")) for name in ("gate", "reason", "user")}


def history_of(store: Store, every_s: int, now: int, last: int | None = None) -> tuple[PastCommit, ...]:
    """Return the commits of a store, the newest first.

    Args:
        store: where they are.
        every_s: how often runs take place.
        now: in seconds since 1970.
        last: how many; None: all.

    Raises:
        NothingPublishedError: there is none.
        StorageError, OSError: the newest is damaged, or the store does not answer.
    """
    head = find_head(store)
    if head is None:
        raise NothingPublishedError(store.url)
    judge = _Judge(store, every_s, now)
    found: list[PastCommit] = []
    for batch in _batches(islice(walk_back(store, head), last)):
        for logged, manifest in zip(batch, at_once(partial(_manifest_of, store), batch), strict=True):
            found.append(judge.judged(logged, manifest))
    return tuple(_with_own_gates(found))


def _with_own_gates(commits: Sequence[PastCommit]) -> Iterator[PastCommit]:
    for one, before in zip_longest(commits, commits[1:]):
        if one.commit is None or one.commit.is_base or before is None or before.manifest is None:
            yield one
        else:
            said = before.manifest.gates
            yield replace(one, gates={name: result for name, result in one.gates.items() if said.get(name) != result})


def _batches(log: Iterable[Logged]) -> Iterator[list[Logged]]:
    rest = iter(log)
    while batch := list(islice(rest, _BATCH)):
        yield batch


def _manifest_of(store: Store, logged: Logged) -> Manifest | str:
    """Return the manifest of a commit, or why there is none."""
    if logged.commit is None:
        return logged.damage
    try:
        return read_manifest(store, logged.commit.manifest)
    except FileNotFoundError:
        return _CLEANED_UP
    except FormatError as e:
        return str(e)


class _Judge:
    """Tells of one commit after the other, the newest first, whether it can be rolled back to."""

    def __init__(self, store: Store, every_s: int, now: int) -> None:
        self._store = store
        self._every_s = every_s
        self._now = now
        self._is_head = True
        self._gone: set[str] = set()  # by the lists of the commits that came later
        self._is_beyond = False  # a list is gone itself: then so is all that commits before it named
        self._tables: dict[str, LoadedTables] = {}

    def judged(self, logged: Logged, manifest: Manifest | str) -> PastCommit:
        """Return what is said of the next older commit, whose manifest, or what is wrong with it, was read."""
        commit = logged.commit
        until, why_not = self._until(commit, manifest)
        if commit is not None and commit.removals is not None:
            self._note_removals(commit.removals)
        self._is_head = False
        return PastCommit(
            number=logged.number,
            commit=commit,
            manifest=None if isinstance(manifest, str) else manifest,
            gates={} if isinstance(manifest, str) else manifest.gates,
            until=until,
            why_not=why_not,
        )

    def _until(self, commit: Commit | None, manifest: Manifest | str) -> tuple[int | None, str]:
        """Return until when a commit can be rolled back to, and why it cannot be."""
        if commit is None or isinstance(manifest, str):
            return None, str(manifest)
        if self._is_head:
            return None, "it is the current one"
        if self._is_beyond or not self._gone.isdisjoint(named_directly(commit, manifest)):
            return None, _CLEANED_UP
        end = self._end(manifest)
        if isinstance(end, str):
            return None, end
        if end - self._every_s < self._now:
            return None, "its answers end before the next run"
        return end - self._every_s, ""

    def _end(self, manifest: Manifest) -> int | str:
        """Return until when the answers of a generation hold, or why nobody knows."""
        try:
            tables = self._loaded(manifest)
        except FileNotFoundError:
            return _CLEANED_UP
        except FormatError as e:
            return str(e)
        return answers_end(manifest, {name: one.tables for name, one in tables.items()})

    def _loaded(self, manifest: Manifest) -> Mapping[str, LoadedTables]:
        proven = {one.tables_name: one.tables for one in self._tables.values()}
        loaded: dict[str, LoadedTables] = {}
        for name in dict.fromkeys(one.windows for one in manifest.searched):
            one = self._tables.get(name) or load_tables(self._store, name, proven)
            loaded[name] = one
            proven[one.tables_name] = one.tables
        self._tables = loaded
        return loaded

    def _note_removals(self, name: str) -> None:
        try:
            self._gone |= read_removals(self._store, name)
        except (FileNotFoundError, FormatError):
            self._is_beyond = True
