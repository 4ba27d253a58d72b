"""Manifests: all that a generation consists of (FORMAT.md, section 7).

What is said of shards is written in columns: a generation may have thousands of them, and of one object for each of
them, most octets and most of a reader's time went into the names of the members. Manifests of version 1 have such
objects, and are read.
"""

import hashlib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, TypeVar

from storage.document import LAST_SECOND, Document, encode, new_random
from storage.errors import ChecksumError, MalformedError
from storage.key import KEY32, overlapping
from storage.overlay_keys import KEYS_NAME
from storage.pack import PACK_NAME
from storage.stores.base import ReadableStore
from storage.tables_document import TABLE_NAME, check_kind
from storage.windows import RUNS_NAME

MANIFEST_VERSION = 2
WITH_OBJECTS = 1  # the version that has an object for each shard
MANIFEST_NAME = re.compile("manifests/[0-9a-f]{64}")
_Value = TypeVar("_Value")
_Other = TypeVar("_Other")


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
        windows: object name of what its runs are numbers of: windows, or tables of version 1 (`storage.windows`).
        rows: records in it.
        revoked: how many of them are revoked.
        refresh_by: the earliest of its windows, in seconds since 1970.
        next_update: the latest of its windows, in seconds since 1970.
        as_of: the instant for which its statuses are complete, in seconds since 1970; None: that of the commit.
    """

    low: int
    high: int
    pack: str
    size_bytes: int
    sha256: bytes
    directory_at: int
    directory_crc: int
    windows: str
    rows: int
    revoked: int
    refresh_by: int
    next_update: int
    as_of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftBehind:
    """An issuer that could not sign, and whose records stayed as they were.

    Attributes:
        name: what messages call it.
        trouble: why it could not sign.
        as_of: the instant for which its answers are complete, in seconds since 1970; None: it has none yet.
        left_out: how many of its certificates have no right record, because what they had said less than their rows, or
            because they had none.
    """

    name: str
    trouble: str
    as_of: int | None
    left_out: int = 0


class Contents(NamedTuple):
    """How much a generation holds. What overlays hold is never added: it may lie in several of them, and in a shard.

    Attributes:
        certificates: in the shards, which are all that the run has published.
        revoked: of these, or on hold.
        overlays: packs of these.
        in_overlays: records in them.
        revoked_in_overlays: of these, or on hold.
    """

    certificates: int
    revoked: int
    overlays: int
    in_overlays: int
    revoked_in_overlays: int


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
        overlay_keys: object name of the merged keys of all records in overlays (`storage.overlay_keys`); None: every
            overlay is searched for every certificate.
        history: object name of what the next run's gates need (`storage.history`); None where there is none. Whoever
            reads it checks it: readers of answers ignore it, whatever a later version may write there.
        left_behind: issuers that could not sign. Readers of answers ignore them.
        took_s: what the longest of the publisher's last runs took, in seconds; None: nobody knows. Readers of answers
            ignore it.
        probed_at: when a publisher last saw that the store's conditional writes are atomic, in seconds since 1970; None
            where nobody looked. Readers of answers ignore it.
    """

    profile: str
    shards: tuple[Shard, ...]
    overlays: tuple[Shard, ...] = ()
    counts: dict[str, object]
    gates: dict[str, object]
    overlay_keys: str | None = None
    history: str | None = None
    left_behind: tuple[LeftBehind, ...] = ()
    took_s: int | None = None
    probed_at: int | None = None

    @property
    def searched(self) -> tuple[Shard, ...]:
        """All packs of the generation in the order in which a certificate is looked for: overlays, then shards."""
        return (*self.overlays, *self.shards)

    def searched_in(self, low: int, high: int) -> tuple[Shard, ...]:
        """Return those of `searched` that may hold keys of a range: upper 32 bits from `low` up to below `high`."""
        return (*self.overlays_in(low, high), *self.shards_in(low, high))

    def overlays_in(self, low: int, high: int) -> tuple[Shard, ...]:
        """Return the overlays that may hold keys of a range."""
        return tuple(one for one in self.overlays if one.low < high and low < one.high)

    def shards_in(self, low: int, high: int) -> tuple[Shard, ...]:
        """Return the shards that hold the keys of a range."""
        return overlapping(self.shards, low, high)

    @property
    def contents(self) -> Contents:
        """How much it holds, shards and overlays apart."""
        return Contents(
            certificates=sum(one.rows for one in self.shards),
            revoked=sum(one.revoked for one in self.shards),
            overlays=len(self.overlays),
            in_overlays=sum(one.rows for one in self.overlays),
            revoked_in_overlays=sum(one.revoked for one in self.overlays),
        )

    def dated(self, as_of: int) -> "Manifest":
        """Return the same manifest, in which each shard and overlay says for which instant its statuses are complete.

        Args:
            as_of: that of the commit, which counts for those that do not say.
        """
        if all(one.as_of is not None for one in self.searched):
            return self
        return replace(self, shards=_dated(self.shards, as_of), overlays=_dated(self.overlays, as_of))


def _dated(shards: Sequence[Shard], as_of: int) -> tuple[Shard, ...]:
    return tuple(shard if shard.as_of is not None else replace(shard, as_of=as_of) for shard in shards)


def read_manifest(store: ReadableStore, name: str) -> Manifest:
    """Return a manifest.

    Raises:
        FileNotFoundError: it was removed.
        FormatError: it is damaged, newer, or its shards do not hold every key once.
    """
    octets = store.get(name)
    if manifest_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    if document.number("version") == WITH_OBJECTS:
        shards = tuple(_read_shard(item) for item in document.children("shards"))
        overlays = tuple(_read_shard(item) for item in document.children("overlays"))
    else:
        check_kind(document, (WITH_OBJECTS, MANIFEST_VERSION))
        shards, overlays = _shards_in_columns(document), _overlays_in_columns(document)
    # A key without a shard would be unauthorized, and one with two would get the answer of whichever is found.
    bounds = [0, *(shard.high for shard in shards)]
    if [shard.low for shard in shards] != bounds[:-1] or bounds[-1] != KEY32 or bounds != sorted(set(bounds)):
        raise MalformedError(name, "its shards do not hold every key once")
    return Manifest(
        profile=document.for_people(document.text, "profile", ""),
        shards=shards,
        overlays=overlays,
        counts=document.for_people(document.plain, "counts", {}),
        gates=document.for_people(document.plain, "gates", {}),
        overlay_keys=document.object_name("overlay_keys", KEYS_NAME) if document.has("overlay_keys") else None,
        history=document.for_people(document.text, "history", "") or None,
        left_behind=document.for_people(partial(_left_behind, document), "left_behind", ()),
        took_s=document.for_people(document.number, "took", None),
        probed_at=document.for_people(document.instant, "probed_at", None),
    )


def _left_behind(document: Document, member: str) -> tuple[LeftBehind, ...]:
    return tuple(
        LeftBehind(
            name=item.text("name"),
            trouble=item.for_people(item.text, "trouble", ""),
            as_of=item.for_people(item.instant, "as_of", None),
            left_out=item.for_people(item.number, "left_out", 0),
        )
        for item in document.children(member)
    )


def _left_members(one: LeftBehind) -> dict[str, object]:
    as_of = {} if one.as_of is None else {"as_of": one.as_of}
    return {"name": one.name, "trouble": one.trouble, **as_of, "left_out": one.left_out}


def manifest_name(octets: bytes) -> str:
    """Return the name under which an encoded manifest is stored."""
    return f"manifests/{hashlib.sha256(octets).hexdigest()}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the stored form of a manifest."""
    names = {name: index for index, name in enumerate(dict.fromkeys(one.windows for one in manifest.searched))}
    overlays = _columns(manifest.overlays, names)
    overlays["high"] = [one.high for one in manifest.overlays]
    return encode(
        {
            "version": MANIFEST_VERSION,
            "features": [],
            "random": new_random(),
            "profile": manifest.profile,
            "windows": list(names),
            "shards": _columns(manifest.shards, names),
            "overlays": overlays,
            **({} if manifest.overlay_keys is None else {"overlay_keys": manifest.overlay_keys}),
            "counts": manifest.counts,
            "gates": manifest.gates,
            **({} if manifest.history is None else {"history": manifest.history}),
            **({"left_behind": [_left_members(one) for one in manifest.left_behind]} if manifest.left_behind else {}),
            **({} if manifest.took_s is None else {"took": manifest.took_s}),
            **({} if manifest.probed_at is None else {"probed_at": manifest.probed_at}),
        }
    )


def _columns(shards: Sequence[Shard], names: Mapping[str, int]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {
        "low": [one.low for one in shards],
        "pack": [one.pack for one in shards],
        "size": [one.size_bytes for one in shards],
        "directory_at": [one.directory_at for one in shards],
        "directory_crc": [f"{one.directory_crc:08x}" for one in shards],
        "windows": [names[one.windows] for one in shards],
        "refresh_by": [one.refresh_by for one in shards],
        "next_update": [one.next_update for one in shards],
        "sha256": [one.sha256.hex() for one in shards],
        "rows": [one.rows for one in shards],
        "revoked": [one.revoked for one in shards],
    }
    if all(one.as_of is not None for one in shards):  # a column has no gaps, and shards of version 1 say none
        columns["as_of"] = [one.as_of for one in shards]
    return columns


def _shards_in_columns(document: Document) -> tuple[Shard, ...]:
    """Return shards of which each ends where the next one begins."""
    columns = document.child("shards")
    lows = columns.column("low", KEY32)
    return _from_columns(document, columns, lows, (*lows[1:], KEY32))


def _overlays_in_columns(document: Document) -> tuple[Shard, ...]:
    columns = document.child("overlays")
    return _from_columns(document, columns, columns.column("low", KEY32), columns.column("high", KEY32 + 1))


def _from_columns(
    document: Document, columns: Document, lows: Sequence[int], highs: Sequence[int]
) -> tuple[Shard, ...]:
    names, count = document.object_names("windows", RUNS_NAME), len(lows)
    needed = (
        highs,
        columns.object_names("pack", PACK_NAME),
        columns.column("size"),
        columns.column("directory_at", KEY32),
        columns.each_hexadecimal("directory_crc", 4),
        columns.column("windows", len(names)),
        columns.column("refresh_by", LAST_SECOND + 1),
        columns.column("next_update", LAST_SECOND + 1),
    )
    if any(len(column) != count for column in needed):
        columns.fail("has columns of different lengths")
    for_people = (
        _for_people(columns, partial(columns.each_hexadecimal, size=32), "sha256", count, b""),
        _for_people(columns, columns.column, "rows", count, 0),
        _for_people(columns, columns.column, "revoked", count, 0),
        _for_people(columns, columns.column, "as_of", count, None),
    )
    if any(map(operator.ge, lows, highs)):
        columns.fail("has ranges that hold no keys")
    if any(map(operator.ge, needed[3], needed[2])):
        columns.fail("has a directory behind the end of its pack")
    return tuple(
        Shard(
            low=low,
            high=high,
            pack=pack,
            size_bytes=size,
            directory_at=directory_at,
            directory_crc=int.from_bytes(crc, "big"),
            windows=names[index],
            refresh_by=due,
            next_update=end,
            sha256=sha256,
            rows=rows,
            revoked=revoked,
            as_of=as_of,
        )
        for low, (high, pack, size, directory_at, crc, index, due, end), (sha256, rows, revoked, as_of) in zip(
            lows, zip(*needed, strict=True), zip(*for_people, strict=True), strict=True
        )
    )


def _for_people(
    columns: Document, read: Callable[[str], Sequence[_Value]], member: str, count: int, default: _Other
) -> Sequence[_Value | _Other]:
    column: Sequence[_Value] = columns.for_people(read, member, ())
    return column if len(column) == count else [default] * count


def _read_shard(item: Document) -> Shard:
    shard = Shard(
        low=item.number("low", KEY32),
        high=item.number("high", KEY32 + 1),
        pack=item.object_name("pack", PACK_NAME),
        size_bytes=item.number("size"),
        sha256=item.for_people(partial(item.hexadecimal, size=32), "sha256", b""),
        directory_at=item.number("directory_at", 1 << 32),
        directory_crc=int.from_bytes(item.hexadecimal("directory_crc", 4), "big"),
        windows=item.object_name("tables", TABLE_NAME),
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
