"""Which objects go away: a list that a commit names before the first of them is deleted (FORMAT.md, section 8).

What a list holds counts as gone from its commit on, also while it is still there: no publisher names it any more.
"""

import hashlib
import re
from collections.abc import Iterable

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


def _name(octets: bytes) -> str:
    return f"removals/{hashlib.sha256(octets).hexdigest()}"


def _check(name: str, names: Iterable[str]) -> None:
    odd = next((one for one in names if not _REMOVABLE.fullmatch(one)), None)
    if odd is not None:
        raise MalformedError(name, f"names {odd!r}, which is never removed")
