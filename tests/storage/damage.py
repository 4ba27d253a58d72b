"""Ways in which a store can be damaged, each with the error that it must raise: named changes of the golden store."""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias, cast

from storage.commits import commit_name, decode_commit, encode_commit
from storage.errors import (
    BadMagicError,
    ChecksumError,
    KnownAnswerError,
    MalformedError,
    StorageError,
    TruncatedError,
    UnknownFeatureError,
    UnsupportedVersionError,
    UpgradeNeededError,
)
from storage.pack import MAGIC, TRAILER

Objects = dict[str, bytes]
Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | None"
Json = dict[str, Value]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of damage.

    Attributes:
        name: of the case, and of its folder in golden/damaged.
        error: what a reader must raise.
        seen: when it loads the generation, or when it looks a certificate up in the damaged pack.
        changed: from the objects of the golden store to those that are other or new.
        is_committed: whether its files are committed, for readers in other languages.
    """

    name: str
    error: type[StorageError]
    seen: Literal["load", "lookup"]
    changed: Callable[[Objects], Objects]
    is_committed: bool = False


def head_number(objects: Objects) -> int:
    """Return the number of the newest commit."""
    return max(int(name.rpartition("/")[2]) for name in objects if name.startswith("commits/"))


def manifest_of(objects: Objects) -> Json:
    """Return the newest manifest."""
    number = head_number(objects)
    manifest: Json = json.loads(objects[decode_commit(number, objects[commit_name(number)]).commit.manifest])
    return manifest


def with_manifest(objects: Objects, manifest: Json) -> Objects:
    """Return a new commit with this manifest."""
    number = head_number(objects)
    octets = json.dumps(manifest).encode()
    name = f"manifests/{hashlib.sha256(octets).hexdigest()}"
    newest = json.loads(objects[commit_name(number)])
    return {name: octets, **with_commit(number + 1, {**newest, "number": number + 1, "manifest": name})}


def with_commit(number: int, members: Json) -> Objects:
    """Return a commit with these members and a right checksum."""
    body = json.dumps({name: value for name, value in members.items() if name != "crc"}).encode().removesuffix(b"}")
    return {commit_name(number): body + b',"crc":"%08x"}' % zlib.crc32(body)}


def with_tables(objects: Objects, change: Callable[[Json], None]) -> Objects:
    """Return a new commit whose newest overlay has changed tables, stored under their right name."""
    manifest = manifest_of(objects)
    shard = shards_of(manifest, "overlays")[0]
    tables = json.loads(objects[str(shard["tables"])])
    change(tables)
    octets = json.dumps(tables).encode()
    shard["tables"] = f"tables/{hashlib.sha256(octets).hexdigest()}"
    return {str(shard["tables"]): octets, **with_manifest(objects, manifest)}


def shards_of(manifest: Json, kind: Literal["shards", "overlays"] = "shards") -> list[Json]:
    """Return the shards or overlays of a manifest, to be changed in place."""
    return cast("list[Json]", manifest[kind])


def packs_of(objects: Objects) -> list[str]:
    """Return the names of the packs of all shards, in the order of their keys."""
    return [str(shard["pack"]) for shard in shards_of(manifest_of(objects))]


def directory_of(objects: Objects, pack: str) -> int:
    """Return where a pack's directory begins."""
    shard = next(shard for shard in shards_of(manifest_of(objects)) if shard["pack"] == pack)
    at = shard["directory_at"]
    assert isinstance(at, int)
    return at


def bounds(objects: Objects, pack: str, bucket: int) -> tuple[int, int]:
    """Return where a bucket begins and ends."""
    at = directory_of(objects, pack) + 4 * bucket
    octets = objects[pack]
    return int.from_bytes(octets[at : at + 4], "little"), int.from_bytes(octets[at + 4 : at + 8], "little")


def buckets_of(objects: Objects, pack: str) -> list[bytes]:
    """Return a pack's buckets."""
    at, octets = directory_of(objects, pack), objects[pack]
    count = (len(octets) - at - TRAILER.size) // 4 - 1
    return [octets[slice(*bounds(objects, pack, bucket))] for bucket in range(count)]


def edited(octets: bytes, at: int, new: bytes) -> bytes:
    """Return octets with some replaced."""
    return octets[:at] + new + octets[at + len(new) :]


def flipped(octets: bytes, at: int, bits: int = 1) -> bytes:
    """Return octets with some bits of one turned over."""
    return edited(octets, at, bytes([octets[at] ^ bits]))


def _pack(change: Callable[[Objects, str, bytes], bytes]) -> Callable[[Objects], Objects]:
    """Return a change of the first shard's pack."""

    def changed(objects: Objects) -> Objects:
        name = packs_of(objects)[0]
        return {name: change(objects, name, objects[name])}

    return changed


def _pack_and_crc(change: Callable[[bytes], bytes]) -> Callable[[Objects], Objects]:
    """Return a change of the first shard's trailer, with a manifest that agrees: what a newer publisher would write."""

    def changed(objects: Objects) -> Objects:
        manifest = manifest_of(objects)
        shard = shards_of(manifest)[0]
        name, at = str(shard["pack"]), directory_of(objects, str(shard["pack"]))
        octets = change(objects[name])
        shard["directory_crc"] = f"{zlib.crc32(octets[at:]):08x}"
        return {name: octets, **with_manifest(objects, manifest)}

    return changed


def _trailer(field_at: int, new: bytes) -> Callable[[bytes], bytes]:
    return lambda octets: edited(octets, len(octets) - TRAILER.size + field_at, new)


def _rebuilt(change: Callable[[list[bytes], list[bytes]], list[bytes]]) -> Callable[[Objects], Objects]:
    """Return a change of the first pack's buckets, seen beside the second's; directory and manifest agree with it."""

    def changed(objects: Objects) -> Objects:
        manifest = manifest_of(objects)
        shard = shards_of(manifest)[0]
        name, other = packs_of(objects)[:2]
        buckets = change(buckets_of(objects, name), buckets_of(objects, other))
        offsets = [len(MAGIC), *accumulate(map(len, buckets), initial=len(MAGIC))][1:]
        directory = struct.pack(f"<{len(offsets)}I", *offsets) + objects[name][-TRAILER.size :]
        octets = b"".join([MAGIC, *buckets, directory])
        shard.update(size=len(octets), directory_at=offsets[-1], directory_crc=f"{zlib.crc32(directory):08x}")
        return {name: octets, **with_manifest(objects, manifest)}

    return changed


def _another_packs_directory(objects: Objects, name: str, octets: bytes) -> bytes:
    other = packs_of(objects)[1]
    at = directory_of(objects, name)
    return edited(octets, at, objects[other][directory_of(objects, other) :][: len(octets) - at])


def _hole(objects: Objects) -> Objects:
    manifest = manifest_of(objects)
    shards_of(manifest).pop(1)
    return with_manifest(objects, manifest)


def _overlap(objects: Objects) -> Objects:
    manifest = manifest_of(objects)
    shard = shards_of(manifest)[1]
    shard["low"] = cast("int", shard["low"]) - 1
    return with_manifest(objects, manifest)


def _wrong_known_answer(tables: Json) -> None:
    answer = cast("list[dict[str, Json]]", tables["shapes"])[0]["known_answer"]
    answer["sha256"] = ["00" * 32] * len(cast("list[Value]", answer["sha256"]))


def _member(name: str, value: Value) -> Callable[[Json], None]:
    return lambda document: document.update({name: value})


def _future_manifest(objects: Objects) -> Objects:
    return with_manifest(objects, {**manifest_of(objects), "version": 2})


def _future_commit(objects: Objects) -> Objects:
    number = head_number(objects) + 1
    return with_commit(number, {"number": number, "reader_min": 2, "writer_min": 2, "shape": "of a later format"})


def _newest_commit(change: Callable[[bytes], bytes]) -> Callable[[Objects], Objects]:
    def changed(objects: Objects) -> Objects:
        name = commit_name(head_number(objects))
        return {name: change(objects[name])}

    return changed


def _commit_from_elsewhere(objects: Objects) -> Objects:
    return {commit_name(head_number(objects) + 1): objects[commit_name(1)]}


def _commit_leading_out(objects: Objects) -> Objects:
    number = head_number(objects)
    commit = decode_commit(number, objects[commit_name(number)]).commit
    members = json.loads(encode_commit(commit))
    return with_commit(number + 1, {**members, "number": number + 1, "manifest": "../../etc/passwd"})


def _manifest(change: Callable[[bytes], bytes]) -> Callable[[Objects], Objects]:
    def changed(objects: Objects) -> Objects:
        number = head_number(objects)
        name = decode_commit(number, objects[commit_name(number)]).commit.manifest
        return {name: change(objects[name])}

    return changed


def _tables(change: Callable[[bytes], bytes]) -> Callable[[Objects], Objects]:
    def changed(objects: Objects) -> Objects:
        name = str(shards_of(manifest_of(objects), "overlays")[0]["tables"])
        return {name: change(objects[name])}

    return changed


CASES = (
    Case("pack-bad-magic", BadMagicError, "lookup", _pack_and_crc(_trailer(0, b"PREGEN\n\n")), is_committed=True),
    Case(
        "pack-future-version", UnsupportedVersionError, "lookup", _pack_and_crc(_trailer(8, b"\2\0")), is_committed=True
    ),
    Case(
        "pack-unknown-feature", UnknownFeatureError, "lookup", _pack_and_crc(_trailer(10, b"\0\x80")), is_committed=True
    ),
    Case("pack-no-buckets", MalformedError, "lookup", _pack_and_crc(_trailer(12, b"\0\0\0\0"))),
    Case("pack-other-id", MalformedError, "lookup", _pack_and_crc(_trailer(16, b"another pack's id"[:16]))),
    Case("pack-truncated", TruncatedError, "lookup", _pack(lambda _o, _n, octets: octets[:-1]), is_committed=True),
    Case("pack-bucket-flipped", ChecksumError, "lookup", _pack(lambda _o, _n, octets: flipped(octets, 500)), True),
    Case("pack-bucket-swapped", ChecksumError, "lookup", _rebuilt(lambda mine, _: [mine[1], mine[0], *mine[2:]]), True),
    Case("pack-bucket-of-another", ChecksumError, "lookup", _rebuilt(lambda mine, other: [other[0], *mine[1:]]), True),
    Case(
        "pack-directory-flipped",
        ChecksumError,
        "lookup",
        _pack(lambda objects, name, octets: flipped(octets, directory_of(objects, name) + 4)),
        is_committed=True,
    ),
    Case("pack-directory-of-another", ChecksumError, "lookup", _pack(_another_packs_directory)),
    Case("tables-flipped", ChecksumError, "load", _tables(lambda octets: flipped(octets, len(octets) // 2))),
    Case("tables-truncated", ChecksumError, "load", _tables(lambda octets: octets[:-1])),
    Case(
        "tables-future-version",
        UnsupportedVersionError,
        "load",
        lambda objects: with_tables(objects, _member("version", 2)),
    ),
    Case(
        "tables-unknown-feature",
        UnknownFeatureError,
        "load",
        lambda objects: with_tables(objects, _member("features", ["stapled"])),
        is_committed=True,
    ),
    Case(
        "tables-wrong-known-answer",
        KnownAnswerError,
        "load",
        lambda objects: with_tables(objects, _wrong_known_answer),
        is_committed=True,
    ),
    Case("tables-no-shapes", MalformedError, "load", lambda objects: with_tables(objects, _member("shapes", []))),
    Case("manifest-flipped", ChecksumError, "load", _manifest(lambda octets: flipped(octets, 40)), is_committed=True),
    Case("manifest-future-version", UnsupportedVersionError, "load", _future_manifest),
    Case("manifest-hole", MalformedError, "load", _hole, is_committed=True),
    Case("manifest-overlap", MalformedError, "load", _overlap),
    Case("commit-future-reader", UpgradeNeededError, "load", _future_commit, is_committed=True),
    Case(
        "commit-flipped", ChecksumError, "load", _newest_commit(lambda octets: flipped(octets, 20)), is_committed=True
    ),
    Case("commit-truncated", TruncatedError, "load", _newest_commit(lambda octets: octets[:-1])),
    Case("commit-empty", TruncatedError, "load", _newest_commit(lambda _: b"")),
    Case("commit-from-elsewhere", MalformedError, "load", _commit_from_elsewhere, is_committed=True),
    Case("commit-leading-out", MalformedError, "load", _commit_leading_out),
)
