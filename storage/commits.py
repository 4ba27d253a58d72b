"""The commit log: which generation is the truth, and how a new one becomes it (FORMAT.md, sections 8 to 10).

* Commits are numbered from 1 without gaps, written put-if-absent, and never deleted: the highest number is the truth.
* `LATEST` is a hint. Readers start there and probe forward; without it they find the head by galloping.
* Packs, tables and windows come first, then manifest, commit: readers see the old generation or the new one, never a
  mixture.
* The outcome of a put-if-absent that raised is learned by reading the commit back: our publisher id means that we won.
"""

import contextlib
import hashlib
import os
import re
import zlib
from dataclasses import dataclass
from functools import partial

from storage.document import Document, encode
from storage.errors import (
    ChecksumError,
    CommitRefusedError,
    CommitUnknownError,
    MalformedError,
    TruncatedError,
    UpgradeNeededError,
)
from storage.manifest import MANIFEST_NAME, Manifest, encode_manifest, manifest_name
from storage.stores.base import ReadableStore, Store

# What reader_min and writer_min are compared with. Each grows alone: a publisher may have to know what readers ignore.
READER_VERSION = 2
WRITER_VERSION = 3
# What the next publisher must know of a commit without overlays and removals: version 0.1 may go on from that.
PLAIN_WRITER = 2
RUN, ROLLBACK = "run", "rollback"
BASES = frozenset({RUN, ROLLBACK})
LATEST = "LATEST"
# A commit is the one object whose name says nothing of its octets: its last member is the CRC-32 of all before it.
_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"}')
_CRC_BYTES = len(b',"crc":"00000000"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One generation becomes the truth; times are seconds since 1970.

    Attributes:
        number: from 1 on, without gaps.
        parent: SHA-256 of the octets of the commit before; None for the first.
        publisher: random id of the run that made it.
        as_of: the instant for which the snapshot was complete.
        started_at: when the run began.
        manifest: object name of the manifest.
        reader_min: least format version of a reader.
        writer_min: least format version of the next publisher.
        kind: what made it: ``run``, ``delta``, ``revoke``, ``hold``, ``release``, ``rollback``, ``gc`` or ``merge``.
        by: who made it, as they said; None: nobody said.
        note: what they wanted to be remembered; None: nothing.
        base: number of the run or rollback whose shards it serves: its own, where it is one.
        removals: object name of the list of objects that go away with it (`storage.removals`); None: none do. Whoever
            reads the list checks the name: readers of answers ignore it.
    """

    number: int
    parent: bytes | None
    publisher: str
    as_of: int
    started_at: int
    manifest: str
    reader_min: int = READER_VERSION
    writer_min: int = PLAIN_WRITER
    kind: str = RUN
    by: str | None = None
    note: str | None = None
    base: int
    removals: str | None = None

    @property
    def is_base(self) -> bool:
        """Whether it brought shards: it is a run or a rollback, and no change on top of one."""
        return self.base == self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitTerms:
    """What a publisher says of its commit beside the generation itself; times are seconds since 1970.

    Attributes:
        publisher: random id of the run that makes it (`new_publisher`).
        as_of, started_at, kind, by, note, removals: see `Commit`.
        base: see `Commit`; None: its own number where it is a run or a rollback, else that of its parent's base.
    """

    publisher: str
    as_of: int
    started_at: int
    kind: str = RUN
    by: str | None = None
    note: str | None = None
    removals: str | None = None
    base: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """A commit together with its own octets, whose SHA-256 the next one carries."""

    commit: Commit
    octets: bytes


def commit_name(number: int) -> str:
    """Return the object name of a commit.

    >>> commit_name(42)
    'commits/00000000000000000042'
    """
    return f"commits/{number:020d}"


def new_publisher() -> str:
    """Return a random id for one publication, by which its author knows its own commit."""
    return os.urandom(16).hex()


def read_commit(store: ReadableStore, number: int) -> Head | None:
    """Return a commit, or None if there is none of that number.

    Raises:
        FormatError: it is damaged.
        UpgradeNeededError: it is for newer readers.
    """
    octets = _octets(store, number)
    return None if octets is None else decode_commit(number, octets)


def decode_commit(number: int, octets: bytes) -> Head:
    """Return the commit that is stored under a number.

    Raises:
        FormatError: it is damaged.
        UpgradeNeededError: it is for newer readers; then nothing else of it is looked at.
    """
    name = commit_name(number)
    body, end = octets[:-_CRC_BYTES], _CRC.fullmatch(octets[-_CRC_BYTES:])
    if end is None:
        raise TruncatedError(name, "does not end with its checksum")
    if int(end[1], 16) != zlib.crc32(body):
        raise ChecksumError(name, "is damaged")
    document = Document.parse(name, octets)
    if (needed := document.number("reader_min")) > READER_VERSION:
        raise UpgradeNeededError(number, needed, READER_VERSION, "reader")
    commit = Commit(
        number=document.number("number"),
        parent=document.for_people(partial(document.hexadecimal, size=32), "parent", None),
        publisher=document.text("publisher"),
        as_of=document.instant("as_of"),
        started_at=document.for_people(document.instant, "started_at", 0),
        manifest=document.object_name("manifest", MANIFEST_NAME),
        reader_min=needed,
        writer_min=document.number("writer_min"),
        kind=document.for_people(document.text, "kind", RUN),
        by=document.for_people(document.text, "by", None),
        note=document.for_people(document.text, "note", None),
        base=_base(document, number),
        # A publisher must not take a list that it cannot read for none; a reader of answers does not care.
        removals=document.for_people(document.text, "removals", "") if document.has("removals") else None,
    )
    if commit.number != number:
        raise MalformedError(name, f"says that it is commit {commit.number}")
    return Head(commit, octets)


def _base(document: Document, number: int) -> int:
    base = document.for_people(document.number, "base", number)
    return base if 1 <= base <= number else number


def find_head(store: ReadableStore, known: Head | None = None) -> Head | None:
    """Return the newest commit, or None where nothing is published.

    With a known commit, and nothing newer, the only cost is the probe of the next, and `known` itself comes back; an
    older one never does. Without, it is the hint, the commit and the probe of the next. A hint that lags, or is lost,
    costs two reads for each doubling of the distance. Only the newest commit is looked into.

    Args:
        store: where to look.
        known: a commit that was read from this store before.

    Raises:
        FormatError: the newest commit is damaged.
        UpgradeNeededError: the newest commit is for newer readers.
        OSError: the store does not answer.
    """
    low, newest = (known.commit.number, None) if known else _hinted(store)
    step = 1
    while (ahead := _octets(store, low + step)) is not None:
        newest, low, step = ahead, low + step, step * 2
    high = low + step  # absent: the head is in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        if (found := _octets(store, middle)) is None:
            high = middle
        else:
            newest, low = found, middle
    return known if newest is None else decode_commit(low, newest)


def check_log(store: ReadableStore, head: Head | None) -> None:
    """Refuse to go on with a log whose end is missing: the hint is written after a commit, so that one was there.

    Raises:
        MalformedError: the hint names a commit that is not there.
    """
    newest, hint = head.commit.number if head else 0, read_hint(store)
    if hint <= newest or store.exists(commit_name(hint)):  # published since
        return
    there = f"only those up to {newest} are there" if newest else "there are no commits"
    raise MalformedError(
        LATEST,
        f"names commit {hint}, but {there}: restore the folder commits from a copy, complete the copy that this is, or "
        "publish into a new store",
    )


def _hinted(store: ReadableStore) -> tuple[int, bytes | None]:
    """Return the commit that the hint speaks of, if it is there; else number 0, which never is."""
    number = read_hint(store)
    octets = _octets(store, number) if number else None
    return (0, None) if octets is None else (number, octets)


def _octets(store: ReadableStore, number: int) -> bytes | None:
    try:
        return store.get(commit_name(number))
    except FileNotFoundError:
        return None


def read_hint(store: ReadableStore) -> int:
    """Return which commit the hint speaks of; it was there before the hint was. 0: there is no hint."""
    try:
        text = store.get(LATEST)
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() and len(text) < 20 else 0


def check_readable(commit: Commit) -> None:
    """Refuse a generation that needs a newer reader.

    Raises:
        UpgradeNeededError: it does.
    """
    if commit.reader_min > READER_VERSION:
        raise UpgradeNeededError(commit.number, commit.reader_min, READER_VERSION, "reader")


def check_writable(commit: Commit) -> None:
    """Refuse to publish after a generation that needs a newer publisher.

    Raises:
        UpgradeNeededError: it does.
    """
    check_readable(commit)
    if commit.writer_min > WRITER_VERSION:
        raise UpgradeNeededError(commit.number, commit.writer_min, WRITER_VERSION, "publisher")


def publish(store: Store, parent: Head | None, manifest: Manifest, terms: CommitTerms) -> tuple[Head, int]:
    """Make a generation the truth; its packs, tables, windows and keys must be stored already.

    Args:
        store: where to.
        parent: the newest commit, which this one was planned from; None: there is none.
        manifest: of the generation; shards and overlays without an as_of get that of the commit.
        terms: what the commit says beside.

    Returns:
        The new commit, and how many octets were put.

    Raises:
        CommitRefusedError: another publisher was first.
        CommitUnknownError: the store did not say whether the commit took place, and does not show it.
        FormatError: another publisher was first, with a commit that is damaged.
        OSError: the store refused a write; nothing is published.
    """
    octets = encode_manifest(manifest.dated(terms.as_of))
    name = manifest_name(octets)
    store.put(name, octets)
    number = parent.commit.number + 1 if parent else 1
    inherited = number if parent is None or terms.kind in BASES else parent.commit.base
    commit = Commit(
        number=number,
        parent=hashlib.sha256(parent.octets).digest() if parent else None,
        publisher=terms.publisher,
        as_of=terms.as_of,
        started_at=terms.started_at,
        manifest=name,
        writer_min=WRITER_VERSION if manifest.overlays or terms.removals else PLAIN_WRITER,
        kind=terms.kind,
        by=terms.by,
        note=terms.note,
        base=inherited if terms.base is None else terms.base,
        removals=terms.removals,
    )
    head = Head(commit, encode_commit(commit))
    _put_commit(store, head)
    with contextlib.suppress(OSError):  # only a hint: readers probe forward from an older one
        store.put(LATEST, str(commit.number).encode())
    return head, len(octets) + len(head.octets) + len(str(commit.number))


def _put_commit(store: Store, head: Head) -> None:
    """Create the commit; whatever the store says about it, what the store then shows counts."""
    number, publisher = head.commit.number, head.commit.publisher
    try:
        store.put_if_absent(commit_name(number), head.octets)
    except OSError as e:
        try:
            stored = _octets(store, number)
        except OSError as unanswered:
            raise CommitUnknownError(number, publisher, str(unanswered)) from e
        if stored == head.octets:
            return
        if stored is not None:
            raise CommitRefusedError(number, _publisher_of(number, stored)) from e
        if isinstance(e, ConnectionError):  # a request that timed out may still be on its way
            raise CommitUnknownError(number, publisher, str(e)) from e
        raise


def _publisher_of(number: int, octets: bytes) -> str:
    try:
        return decode_commit(number, octets).commit.publisher
    except UpgradeNeededError:
        return "of a newer version"


def encode_commit(commit: Commit) -> bytes:
    """Return the stored form of a commit."""
    members: dict[str, object] = {
        "number": commit.number,
        "parent": commit.parent.hex() if commit.parent else None,
        "publisher": commit.publisher,
        "as_of": commit.as_of,
        "started_at": commit.started_at,
        "manifest": commit.manifest,
        "reader_min": commit.reader_min,
        "writer_min": commit.writer_min,
        "kind": commit.kind,
        "base": commit.base,
    }
    for member in ("by", "note", "removals"):
        if (value := getattr(commit, member)) is not None:
            members[member] = value
    body = encode(members).removesuffix(b"}")
    return body + f',"crc":"{zlib.crc32(body):08x}"}}'.encode()
