"""What is published in a store, for people and for monitoring."""

from collections import Counter
from dataclasses import dataclass

from storage.certificate import CertificateEnds, certificate_ends
from storage.commits import Commit, Head, find_head, read_commit
from storage.errors import NothingPublishedError
from storage.freshness import Freshness
from storage.manifest import Manifest
from storage.reader import Generation
from storage.stores import Store
from storage.tables import StoredIssuer, Window

RECENT_COMMITS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The state of a store.

    Attributes:
        url: of the store.
        commits: the newest first, at most `RECENT_COMMITS`.
        manifest: of the newest one.
        issuers: that the newest one answers for.
        windows: of its responses.
        objects: number and octets of the objects in each folder, all generations together.
        current_bytes: octets of the packs of the newest generation.
        freshness: until when its answers hold.
        ends: when the certificates of each issuer end, by its id.
    """

    url: str
    commits: tuple[Commit, ...]
    manifest: Manifest
    issuers: tuple[StoredIssuer, ...]
    windows: tuple[Window, ...]
    objects: dict[str, tuple[int, int]]
    current_bytes: int
    freshness: Freshness
    ends: dict[int, CertificateEnds]


def inspect_store(store: Store) -> Inspection:
    """Return the state of a store.

    Raises:
        NothingPublishedError, StorageError, OSError: it is empty or damaged, or does not answer.
    """
    head = find_head(store)
    if head is None:
        raise NothingPublishedError(store.url)
    generation = Generation(store, head)
    tables = [loaded.tables for loaded in generation.tables.values()]
    counts, sizes = Counter[str](), Counter[str]()
    for info in store.list():
        folder = info.name.partition("/")[0]
        counts[folder] += 1
        sizes[folder] += info.size_bytes
    return Inspection(
        url=store.url,
        commits=tuple(_recent(store, head)),
        manifest=generation.manifest,
        issuers=tuple({issuer.issuer_id: issuer for one in tables for issuer in one.issuers}.values()),
        windows=tuple(dict.fromkeys(window for one in tables for window in one.windows)),
        objects={folder: (counts[folder], sizes[folder]) for folder in sorted(counts)},
        current_bytes=sum(shard.size_bytes for shard in generation.manifest.searched),
        freshness=generation.freshness,
        ends=certificate_ends(tables),
    )


def _recent(store: Store, head: Head) -> list[Commit]:
    commits = [head.commit]
    while commits[-1].number > 1 and len(commits) < RECENT_COMMITS:
        older = read_commit(store, commits[-1].number - 1)
        if older is None:
            break
        commits.append(older.commit)
    return commits
