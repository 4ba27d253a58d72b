"""Manifests: all that a generation consists of (FORMAT.md, section 7)."""

import hashlib
import re
from dataclasses import dataclass
from functools import partial

from storage.document import Document, encode
from storage.errors import ChecksumError, MalformedError, UnsupportedVersionError
from storage.pack import PACK_NAME
from storage.stores.base import Store
from storage.tables import TABLE_NAME

MANIFEST_VERSION = 1
MANIFEST_NAME = re.compile("manifests/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A pack and the keys that it holds: upper 32 bits from `low` up to below `high`.

    Attributes:
        low, high: the key range.
        pack: object name of the pack.
        size_bytes: octets of the whole pack.
        sha256: of the whole pack.
        directory_at: where its directory begins.
        directory_crc: CRC-32 of the octets from there on.
        tables: object name of the tables that its runs are numbers of.
        rows: records in it.
        revoked: how many of them are revoked.
        refresh_by: the earliest of its windows, in seconds since 1970.
        next_update: the latest of its windows, in seconds since 1970.
    """

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
        overlays: small packs that are searched first, the newest first; a hit there is final. Times, counts and history
            of a generation are those of its shards alone (FORMAT.md, section 7).
        counts: rows in, certificates, responses, excluded by reason.
        gates: results of the gates, by name.
        history: object name of what the next run's gates need (`storage.history`); None where there is none. Whoever
            reads it checks it: readers of answers ignore it, whatever a later version may write there.
        probed_at: when a publisher last saw that the store's conditional writes are atomic, in seconds since 1970; None
            where nobody looked. Readers of answers ignore it.
    """

    profile: str
    shards: tuple[Shard, ...]
    overlays: tuple[Shard, ...] = ()
    counts: dict[str, object]
    gates: dict[str, object]
    history: str | None = None
    probed_at: int | None = None

    @property
    def searched(self) -> tuple[Shard, ...]:
        """All packs of the generation in the order in which a certificate is looked for: overlays, then shards."""
        return (*self.overlays, *self.shards)


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
    if (version := document.number("version")) != MANIFEST_VERSION:
        raise UnsupportedVersionError(name, f"is of version {version}, this reader knows {MANIFEST_VERSION}")
    shards = tuple(_read_shard(item) for item in document.children("shards"))
    bounds = [0, *(shard.high for shard in shards)]
    if [shard.low for shard in shards] != bounds[:-1] or bounds[-1] != 1 << 32 or bounds != sorted(set(bounds)):
        raise MalformedError(name, "its shards do not hold every key once")
    overlays = tuple(_read_shard(item) for item in document.children("overlays"))
    return Manifest(
        profile=document.for_people(document.text, "profile", ""),
        shards=shards,
        overlays=overlays,
        counts=document.for_people(document.plain, "counts", {}),
        gates=document.for_people(document.plain, "gates", {}),
        history=document.for_people(document.text, "history", "") or None,
        probed_at=document.for_people(document.instant, "probed_at", None),
    )


def manifest_name(octets: bytes) -> str:
    """Return the name under which an encoded manifest is stored."""
    return f"manifests/{hashlib.sha256(octets).hexdigest()}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the stored form of a manifest."""
    return encode(
        {
            "version": MANIFEST_VERSION,
            "profile": manifest.profile,
            "shards": [_shard_members(shard) for shard in manifest.shards],
            "overlays": [_shard_members(shard) for shard in manifest.overlays],
            "counts": manifest.counts,
            "gates": manifest.gates,
            **({} if manifest.history is None else {"history": manifest.history}),
            **({} if manifest.probed_at is None else {"probed_at": manifest.probed_at}),
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
    shard = Shard(
        low=item.number("low", 1 << 32),
        high=item.number("high", (1 << 32) + 1),
        pack=item.object_name("pack", PACK_NAME),
        size_bytes=item.number("size", 1 << 33),
        sha256=item.for_people(partial(item.hexadecimal, size=32), "sha256", b""),
        directory_at=item.number("directory_at", 1 << 32),
        directory_crc=int.from_bytes(item.hexadecimal("directory_crc", 4), "big"),
        tables=item.object_name("tables", TABLE_NAME),
        rows=item.for_people(item.number, "rows", 0),
        revoked=item.for_people(item.number, "revoked", 0),
        refresh_by=item.instant("refresh_by"),
        next_update=item.instant("next_update"),
    )
    if shard.low >= shard.high:
        item.fail("holds no keys")
    if shard.directory_at >= shard.size_bytes:
        item.fail("has its directory behind its end")
    return shard
