"""`pregen gc`: what no retained commit names goes away, announced by a commit before the first object is deleted.

* What stays is what the retained commits name (`retention.py`, `named_objects.py`), and whatever was written within
  the grace, or since the oldest publisher that is at work has begun: a run puts its packs long before the commit that
  names them.
* What goes stands in a list, which a commit names. From that commit on it counts as gone, also while it is still there:
  every publisher reads the lists since the commit that it works from before it commits (`storage.removals`). So it does
  not matter when a deletion takes place, or whether it is repeated.
* Killed in between, the next one deletes what the list names and is still there, without another commit.
* Whoever is overtaken looks again at what stays, and announces what still goes.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.interruption import uninterruptible
from pregen.progress import Progress
from pregen.upkeep.commit_log import Logged
from pregen.upkeep.named_objects import Naming, Readable
from pregen.upkeep.parallel import at_once
from pregen.upkeep.retention import Kept, RetentionRules, retained_commits
from pregen.validity import CLOCK_SKEW_S
from storage.commits import Commit, CommitTerms, Head, check_log, check_writable, find_head, new_publisher, publish
from storage.errors import CommitRefusedError, FormatError, NothingPublishedError, StorageError
from storage.manifest import MANIFEST_NAME, read_manifest
from storage.markers import MARKER_NAME, Marker, is_alive, live_markers
from storage.overlay_keys import KEYS_NAME
from storage.pack import PACK_NAME
from storage.removals import REMOVALS_NAME, encode_removals, read_removals
from storage.stores import ObjectInfo, Store
from storage.tables_document import TABLE_NAME
from storage.windows import WINDOWS_NAME

if TYPE_CHECKING:
    from pregen.gates.author import Author

LIST_NAMES = 100_000  # in one list: some 8 MB, which each publisher may have to read
DELETED_AT_ONCE = 1_000  # what S3 takes in one request
_READ_AT_ONCE = 64  # commits with all that they name, most of which they share
_ATTEMPTS = 100  # each time somebody else has published, which one can hardly do a hundred times meanwhile
# By folder; what has another name there is none of the store's.
_NAMES: Mapping[str, re.Pattern[str]] = {
    "packs": PACK_NAME,
    "windows": WINDOWS_NAME,
    "tables": TABLE_NAME,
    "manifests": MANIFEST_NAME,
    "history": re.compile("history/(?:[0-9a-f]{32}|[0-9a-f]{64})"),
    "keys": KEYS_NAME,
    "removals": REMOVALS_NAME,
}
# What no commit ever names: it goes without being announced.
_LITTER = {"probes": re.compile("probes/[0-9a-f]{32}"), "runs": MARKER_NAME}


@dataclass(frozen=True, slots=True)
class Amount:
    """Some objects: how many, and their octets."""

    objects: int
    octets: int

    def and_one_of(self, octets: int) -> "Amount":
        """Return the amount with one more object."""
        return Amount(self.objects + 1, self.octets + octets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What a cleaning did, or would do.

    Attributes:
        head: the newest commit, at the end.
        commits: numbers of the commits that announced what goes.
        gone: what went, by folder.
        finished: objects among these that an earlier commit had announced.
        generations: how many are retained, and how many commits of theirs.
        publishers: that are at work, or were killed within the last hours.
        held_back: what would go, did it not seem to be theirs.
        warnings: what is odd about the store.
    """

    head: Commit
    commits: tuple[int, ...]
    gone: Mapping[str, Amount]
    finished: int
    generations: int
    kept: int
    publishers: tuple[Marker, ...]
    held_back: Amount
    warnings: tuple[Finding, ...]

    @property
    def total(self) -> Amount:
        """All that went."""
        return Amount(sum(one.objects for one in self.gone.values()), sum(one.octets for one in self.gone.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningTerms:
    """How to clean.

    Attributes:
        rules: what stays.
        is_dry: whether only to look.
        author: who did it and why, for the commits.
        list_names: how many objects one list names at most.
    """

    rules: RetentionRules
    is_dry: bool = False
    author: "Author | None" = None
    list_names: int = LIST_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Retained:
    """What stays, as of one head.

    Attributes:
        head: the newest commit.
        kept: commits that are retained.
        names: all that these name.
        before_s: nothing goes that was written since.
        grace_from_s: nor would it if no publisher were at work.
        announced: what the newest list names, which counts as gone.
        publishers: that are at work, or seem to be.
        warnings: commits that cannot be read.
    """

    head: Head
    kept: Kept
    names: frozenset[str]
    before_s: float
    grace_from_s: float
    announced: frozenset[str]
    publishers: tuple[Marker, ...]
    warnings: tuple[Finding, ...]

    def goes(self, info: ObjectInfo) -> bool:
        """Tell whether nothing keeps an object."""
        return info.name in self.announced or (info.written_s < self.before_s and info.name not in self.names)

    def is_held_back(self, info: ObjectInfo) -> bool:
        """Tell whether an object that does not go would, if no publisher seemed to be at work."""
        return self.before_s <= info.written_s < self.grace_from_s and info.name not in self.names


def clean(
    store: Store, terms: CleaningTerms, progress: Progress, tell_commit: Callable[[Commit], None] = lambda _: None
) -> Cleaned:
    """Remove what nothing keeps.

    Args:
        store: where from.
        terms: what stays, and what the commits say.
        progress: told how many objects are gone.
        tell_commit: told of each commit that announces what goes, before the first of that is deleted.

    Raises:
        NothingPublishedError: there is no commit.
        UpgradeNeededError, FormatError: what is published cannot be read; nothing was removed.
        OSError: the store does not answer, or does not allow it.
    """
    return _Cleaner(store, terms, progress, tell_commit).clean()


def what_could_go(store: Store, rules: RetentionRules) -> Cleaned | None:
    """Return what a cleaning would do; None: nobody knows, since a part of the store cannot be read.

    Raises:
        OSError: the store does not answer.
    """
    try:
        return clean(store, CleaningTerms(rules=rules, is_dry=True), lambda *_: None)
    except (StorageError, FileNotFoundError):  # `pregen verify` says what is wrong
        return None


class _Cleaner:
    """Goes through all objects once, in memory that does not grow with their number."""

    def __init__(
        self, store: Store, terms: CleaningTerms, progress: Progress, tell_commit: Callable[[Commit], None]
    ) -> None:
        self._store = store
        self._terms = terms
        self._progress = progress
        self._tell_commit = tell_commit
        self._naming = Naming(store)
        said = store.clock_s(may_write=not terms.is_dry)
        self._now_s = float(clock.seconds(clock.now())) if said is None else said
        self._standing = self._stand()
        self._objects: Counter[str] = Counter()
        self._octets: Counter[str] = Counter()
        self._commits: list[int] = []
        self._finished = 0
        self._held_back = Amount(0, 0)

    def clean(self) -> Cleaned:
        """Go through all that the store has: finish what was announced, and announce and remove what may go."""
        announced: list[ObjectInfo] = []
        pending: list[ObjectInfo] = []
        for info in self._candidates():
            some = announced if info.name in self._standing.announced else pending
            some.append(info)
            if len(announced) >= DELETED_AT_ONCE:
                self._finish(announced)
            if len(pending) >= self._terms.list_names:
                self._remove(pending)
        self._finish(announced)
        self._remove(pending)
        self._delete(list(self._litter()))
        standing = self._standing
        return Cleaned(
            head=standing.head.commit,
            commits=tuple(self._commits),
            gone={folder: Amount(self._objects[folder], self._octets[folder]) for folder in sorted(self._objects)},
            finished=self._finished,
            generations=standing.kept.generations,
            kept=len(standing.kept.commits),
            publishers=standing.publishers,
            held_back=self._held_back,
            warnings=standing.warnings,
        )

    def _candidates(self) -> Iterator[ObjectInfo]:
        for folder, names in _NAMES.items():
            for info in self._store.list(f"{folder}/"):
                if not names.fullmatch(info.name):
                    continue
                if self._standing.goes(info):
                    yield info
                elif self._standing.is_held_back(info):
                    self._held_back = self._held_back.and_one_of(info.size_bytes)

    def _litter(self) -> Iterator[ObjectInfo]:
        for folder, names in _LITTER.items():
            for info in self._store.list(f"{folder}/"):
                is_old = info.written_s < self._now_s - self._terms.rules.grace_s
                if names.fullmatch(info.name) and is_old and not is_alive(info, self._now_s):
                    yield info

    def _finish(self, announced: list[ObjectInfo]) -> None:
        """Delete what an earlier commit has announced."""
        self._finished += len(announced)
        self._delete(announced)
        announced.clear()

    def _remove(self, pending: list[ObjectInfo]) -> None:
        """Announce what goes, then delete it."""
        if not self._terms.is_dry:
            pending[:] = self._announced(pending)
        self._delete(pending)
        pending.clear()

    def _announced(self, pending: list[ObjectInfo]) -> list[ObjectInfo]:
        """Publish a commit with a list; return what it names."""
        for _ in range(_ATTEMPTS):
            pending = [info for info in pending if self._standing.goes(info)]
            if not pending:
                return []
            try:
                self._publish(pending)
            except CommitRefusedError:
                self._standing = self._stand()
            else:
                return pending
        raise CommitRefusedError(self._standing.head.commit.number + 1, "again and again")

    def _publish(self, pending: list[ObjectInfo]) -> None:
        head, author = self._standing.head, self._terms.author
        name, octets = encode_removals(info.name for info in pending)
        manifest = read_manifest(self._store, head.commit.manifest)
        terms = CommitTerms(
            publisher=new_publisher(),
            as_of=head.commit.as_of,
            started_at=int(self._now_s),
            kind="gc",
            by=author.by if author else None,
            note=author.note if author else None,
            removals=name,
        )
        self._store.put(name, octets)
        with uninterruptible():  # the deletions that follow may be interrupted: the next cleaning goes on with them
            new, _ = publish(self._store, head, manifest, terms)
            self._tell_commit(new.commit)
        self._commits.append(new.commit.number)
        names = self._standing.names | {name, new.commit.manifest}
        self._standing = replace(self._standing, head=new, names=names)

    def _delete(self, infos: list[ObjectInfo]) -> None:
        for first in range(0, len(infos), DELETED_AT_ONCE):
            some = infos[first : first + DELETED_AT_ONCE]
            if not self._terms.is_dry:
                self._store.delete([info.name for info in some])
            for info in some:
                folder = info.name.partition("/")[0]
                self._objects[folder] += 1
                self._octets[folder] += info.size_bytes
            self._progress("remove", self._objects.total(), self._objects.total())

    def _stand(self) -> _Retained:
        """Return what stays, as of the head."""
        head = find_head(self._store)
        check_log(self._store, head)
        if head is None:
            raise NothingPublishedError(self._store.url)
        check_writable(head.commit)
        kept = retained_commits(self._store, head, self._terms.rules, self._now_s)
        names, announced, unreadable = self._named(kept)
        live = live_markers(self._store, self._now_s)
        grace_from_s = self._now_s - self._terms.rules.grace_s
        return _Retained(
            head=head,
            kept=kept,
            names=names,
            before_s=min([grace_from_s, *(marker.began_s - CLOCK_SKEW_S for marker in live)]),
            grace_from_s=grace_from_s,
            announced=announced,
            publishers=tuple(sorted(live, key=lambda marker: marker.began_s)),
            warnings=unreadable,
        )

    def _named(self, kept: Kept) -> tuple[frozenset[str], frozenset[str], tuple[Finding, ...]]:
        """Return all that the kept commits name, what is announced, and a warning where a commit cannot be read.

        Of the head all must be readable: of what it names nothing may be missed.
        """
        newest, *others = kept.commits
        names = set(self._naming.of(newest))
        announced: frozenset[str] | None = None
        damaged = list(kept.unreadable)
        for commit, found in chain([(newest, Readable(frozenset()))], self._readable(others)):
            names |= found.names
            if found.damage:
                damaged.append(Logged(commit.number, commit, found.damage))
            if announced is None and commit.removals is not None:
                # Nothing that was published since then names any of it, or somebody has not read the list.
                announced = self._list(commit.removals) - names
        return frozenset(names), announced or frozenset(), _unreadable(damaged)

    def _readable(self, commits: Sequence[Commit]) -> Iterator[tuple[Commit, Readable]]:
        for first in range(0, len(commits), _READ_AT_ONCE):
            some = commits[first : first + _READ_AT_ONCE]
            yield from zip(some, at_once(self._naming.as_far_as_readable, some), strict=True)

    def _list(self, name: str) -> frozenset[str]:
        """Return what a cleaning has announced; where that cannot be read, it is announced once more."""
        try:
            return read_removals(self._store, name)
        except (FileNotFoundError, FormatError):
            return frozenset()


def _unreadable(damaged: Sequence[Logged]) -> tuple[Finding, ...]:
    if not damaged:
        return ()
    text = (
        "there are commits that would stay and cannot be read: nobody can go back to them, and what only they name "
        "goes; restore from a copy what is named here, before the next cleaning, if they are wanted"
    )
    examples = tuple(f"commit {one.number}: {one.damage}" for one in damaged[:MAX_EXAMPLES])
    return (Finding("gc.unreadable", "warning", text, len(damaged), examples),)
