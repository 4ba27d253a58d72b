"""Which objects go away: a list that a commit names before the first of them is deleted (FORMAT.md, section 8).

What a list holds counts as gone from its commit on, also while it is still there: no publisher names it any more.
"""

import hashlib
import re
from collections.abc import Iterable

from storage.commits import Commit, commit_name, read_commit
from storage.document import Document, encode, new_random
from storage.errors import ChecksumError, MalformedError, UnsupportedVersionError
from storage.stores.base import ReadableStore

REMOVALS_VERSION = 1
REMOVALS_NAME = re.compile("removals/[0-9a-f]{64}")
# Commits are never removed, and their hint is no object of any generation.
_REMOVABLE = re.compile(
    "(?:packs|tables|windows|manifests|history|keys|removals|runs|probes)/[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}"
)


def encode_removals(names: Iterable[str]) -> tuple[str, bytes]:
    """Return the object name of a list, and its octets.

    Raises:
        MalformedError: it names what must never go.
    """
    listed = sorted(names)
    octets = encode({"version": REMOVALS_VERSION, "random": new_random(), "names": listed})
    name = _name(octets)
    _check(name, listed)
    return name, octets


def read_removals(store: ReadableStore, name: str) -> frozenset[str]:
    """Return the names of the objects that went away with a commit.

    Args:
        store: where the list is.
        name: what the commit says.

    Raises:
        FormatError: it is damaged, or names what must never go; nothing of it may be believed then.
        FileNotFoundError: it was removed itself, which a later list says.
        OSError: the store does not answer.
    """
    if not REMOVALS_NAME.fullmatch(name):
        raise MalformedError(name, "is not the name of a list of removals")
    octets = store.get(name)
    if _name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    if (version := document.number("version")) != REMOVALS_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {REMOVALS_VERSION}")
    names = document.texts("names")
    _check(name, names)
    return frozenset(names)


def removed_since(store: ReadableStore, since: int, head: Commit) -> frozenset[str]:
    """Return what has gone since a commit, by the lists of all later ones up to the head.

    Whoever is about to commit asks for what went since the oldest commit that it depends on: what it names of that must
    be made anew, also where it is still there.

    Args:
        store: where the commits are.
        since: number of that commit.
        head: the newest commit.

    Raises:
        FormatError: a commit or a list is damaged, or lost: what has gone since nobody knows then.
        OSError: the store does not answer.
    """
    gone: set[str] = set()
    for number in range(since + 1, head.number + 1):
        found = head if number == head.number else _commit(store, number)
        if found.removals is not None:
            try:
                gone |= read_removals(store, found.removals)
            except FileNotFoundError:
                raise MalformedError(found.removals, f"is gone: commit {since} is too old to go on from") from None
    return frozenset(gone)


def _commit(store: ReadableStore, number: int) -> Commit:
    found = read_commit(store, number)
    if found is None:
        raise MalformedError(commit_name(number), "is lost, but commits are never to be deleted: restore it")
    return found.commit


def _name(octets: bytes) -> str:
    return f"removals/{hashlib.sha256(octets).hexdigest()}"


def _check(name: str, names: Iterable[str]) -> None:
    odd = next((one for one in names if not _REMOVABLE.fullmatch(one)), None)
    if odd is not None:
        raise MalformedError(name, f"names {odd!r}, which is never removed")
