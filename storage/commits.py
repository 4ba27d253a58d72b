"""The commit log: which generation is the truth, and how a new one becomes it (FORMAT.md, sections 6 and 7).

* Commits are numbered from 1 without gaps, written put-if-absent, and never deleted: the highest number is the truth.
* `LATEST` is a hint. Readers start there and probe forward; without it they find the head by galloping.
* Packs come first, then tables, manifest, commit: readers see the old generation or the new one, never a mixture.
* The outcome of a put-if-absent that raised is learned by reading the commit back: our publisher id means that we won.
"""

import contextlib
import hashlib
import secrets
from dataclasses import dataclass

from storage.document import Document, encode
from storage.errors import (
    ChecksumError,
    CommitRefusedError,
    MalformedError,
    UnsupportedVersionError,
    UpgradeNeededError,
)
from storage.stores.base import Store

VERSION = 1  # of the whole format: what reader_min and writer_min are compared with
LATEST = "LATEST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A pack and the keys that it holds: upper 32 bits from `low` up to below `high`."""

    low: int
    high: int
    pack: str
    size_bytes: int
    sha256: bytes
    directory_at: int
    directory_crc: int
    tables: str
    rows: int
    revoked: int
    refresh_by: int
    next_update: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """All that a generation consists of.

    Attributes:
        profile: name of the validity profile that the windows were checked against.
        shards: in the order of their keys; together they hold every key once.
        overlays: small packs that are searched first, the newest first; a hit there is final.
        counts: rows in, certificates, responses, excluded by reason.
        gates: results of the gates, by name.
    """

    profile: str
    shards: tuple[Shard, ...]
    overlays: tuple[Shard, ...] = ()
    counts: dict[str, object]
    gates: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One generation becomes the truth."""

    number: int
    parent: bytes | None
    publisher: str
    as_of: int
    started_at: int
    manifest: str
    reader_min: int = VERSION
    writer_min: int = VERSION


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
    return secrets.token_hex(16)


def read_commit(store: Store, number: int) -> Head | None:
    """Return a commit, or None if there is none of that number.

    Raises:
        FormatError: it is damaged.
    """
    name = commit_name(number)
    try:
        octets = store.get(name)
    except FileNotFoundError:
        return None
    document = Document.parse(name, octets)
    commit = Commit(
        number=document.number("number"),
        parent=document.hexadecimal("parent", 32) if document.has("parent") else None,
        publisher=document.text("publisher"),
        as_of=document.number("as_of"),
        started_at=document.number("started_at"),
        manifest=document.text("manifest"),
        reader_min=document.number("reader_min"),
        writer_min=document.number("writer_min"),
    )
    if commit.number != number:
        raise MalformedError(name, f"says that it is commit {commit.number}")
    return Head(commit, octets)


def find_head(store: Store, known: int = 0) -> Head | None:
    """Return the newest commit, or None where nothing is published.

    Gallops forward from the hint, so the usual cost is one read of the commit and one probe of the next.

    Args:
        store: where to look.
        known: number of a commit that is known to exist.
    """
    base = max(known, _hint(store))
    found = read_commit(store, base) if base else None
    if found is None:
        base = known if base != known else 0
        found = read_commit(store, base) if base else None
    step = 1
    low = base
    while (ahead := read_commit(store, low + step)) is not None:
        found, low, step = ahead, low + step, step * 2
    high = low + step  # absent; the head is in [low, high)
    while high - low > 1:
        middle = (low + high) // 2
        at_middle = read_commit(store, middle)
        if at_middle is None:
            high = middle
        else:
            found, low = at_middle, middle
    return found


def _hint(store: Store) -> int:
    try:
        text = store.get(LATEST)
    except FileNotFoundError:
        return 0
    return int(text) if text.isdigit() and len(text) <= 20 else 0


def check_readable(commit: Commit) -> None:
    """Refuse a generation that needs a newer reader."""
    if commit.reader_min > VERSION:
        raise UpgradeNeededError(commit.number, commit.reader_min, VERSION, "reader")


def check_writable(commit: Commit) -> None:
    """Refuse to publish after a generation that needs a newer publisher."""
    check_readable(commit)
    if commit.writer_min > VERSION:
        raise UpgradeNeededError(commit.number, commit.writer_min, VERSION, "publisher")


def read_manifest(store: Store, name: str) -> Manifest:
    """Return a manifest.

    Raises:
        FileNotFoundError: it was removed.
        FormatError: it is damaged, newer, or its shards do not hold every key once.
    """
    octets = store.get(name)
    if manifest_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    if (version := document.number("version")) > VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {VERSION}")
    shards = tuple(_read_shard(item) for item in document.children("shards"))
    bounds = [0, *(shard.high for shard in shards)]
    if [shard.low for shard in shards] != bounds[:-1] or bounds[-1] != 1 << 32 or bounds != sorted(set(bounds)):
        raise MalformedError(name, "its shards do not hold every key once")
    return Manifest(
        profile=document.text("profile"),
        shards=shards,
        overlays=tuple(_read_shard(item) for item in document.children("overlays")),
        counts=document.plain("counts"),
        gates=document.plain("gates"),
    )


def manifest_name(octets: bytes) -> str:
    """Return the name under which an encoded manifest is stored."""
    return f"manifests/{hashlib.sha256(octets).hexdigest()}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the stored form of a manifest."""
    return encode(
        {
            "version": VERSION,
            "profile": manifest.profile,
            "shards": [_shard_members(shard) for shard in manifest.shards],
            "overlays": [_shard_members(shard) for shard in manifest.overlays],
            "counts": manifest.counts,
            "gates": manifest.gates,
        }
    )


def publish(
    store: Store, parent: Head | None, manifest: Manifest, *, publisher: str, as_of: int, started_at: int
) -> tuple[Head, int]:
    """Make a generation the truth; its packs and tables must be stored already.

    Returns:
        The new commit, and how many octets were put.

    Raises:
        CommitRefusedError: another publisher was first.
        OSError: the store did not answer and holds no such commit; nothing is published.
    """
    octets = encode_manifest(manifest)
    name = manifest_name(octets)
    store.put(name, octets)
    commit = Commit(
        number=parent.commit.number + 1 if parent else 1,
        parent=hashlib.sha256(parent.octets).digest() if parent else None,
        publisher=publisher,
        as_of=as_of,
        started_at=started_at,
        manifest=name,
    )
    head = Head(commit, _encode_commit(commit))
    _put_commit(store, head)
    with contextlib.suppress(OSError):  # only a hint: readers probe forward from an older one
        store.put(LATEST, str(commit.number).encode())
    return head, len(octets) + len(head.octets) + len(str(commit.number))


def _put_commit(store: Store, head: Head) -> None:
    number = head.commit.number
    try:
        store.put_if_absent(commit_name(number), head.octets)
    except OSError as e:
        winner = read_commit(store, number)
        if winner is None:
            raise
        if winner.commit.publisher != head.commit.publisher:
            raise CommitRefusedError(number, winner.commit.publisher) from e


def _encode_commit(commit: Commit) -> bytes:
    return encode(
        {
            "number": commit.number,
            "parent": commit.parent.hex() if commit.parent else None,
            "publisher": commit.publisher,
            "as_of": commit.as_of,
            "started_at": commit.started_at,
            "manifest": commit.manifest,
            "reader_min": commit.reader_min,
            "writer_min": commit.writer_min,
        }
    )


def _shard_members(shard: Shard) -> dict[str, object]:
    return {
        "low": shard.low,
        "high": shard.high,
        "pack": shard.pack,
        "size": shard.size_bytes,
        "sha256": shard.sha256.hex(),
        "directory_at": shard.directory_at,
        "directory_crc": f"{shard.directory_crc:08x}",
        "tables": shard.tables,
        "rows": shard.rows,
        "revoked": shard.revoked,
        "refresh_by": shard.refresh_by,
        "next_update": shard.next_update,
    }


def _read_shard(item: Document) -> Shard:
    return Shard(
        low=item.number("low", 1 << 32),
        high=item.number("high", (1 << 32) + 1),
        pack=item.text("pack"),
        size_bytes=item.number("size", 1 << 33),
        sha256=item.hexadecimal("sha256", 32),
        directory_at=item.number("directory_at", 1 << 32),
        directory_crc=int.from_bytes(item.hexadecimal("directory_crc", 4), "big"),
        tables=item.text("tables"),
        rows=item.number("rows"),
        revoked=item.number("revoked"),
        refresh_by=item.number("refresh_by"),
        next_update=item.number("next_update"),
    )
