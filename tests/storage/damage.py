"""Ways in which a store can be damaged, each with the error that it must raise: named changes of the golden store."""

import hashlib
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeAlias, cast

from storage.certid import HASH_OIDS
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
from storage.key import key32, part_of
from storage.pack import PACK_MAGIC, RUN_COUNT, RUN_HEADER, TRAILER, bucket_seed, pack_id
from tests.storage.golden_store import answer_to

Objects = dict[str, bytes]
Value: TypeAlias = "dict[str, Value] | list[Value] | str | int | float | None"
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


@dataclass(frozen=True, slots=True)
class Oddity:
    """What a reader must not refuse, although a publisher does not write it: all golden answers stay as they are.

    Attributes:
        name: of the case, and of its folder in golden/accepted.
        changed: as of a `Case`.
        asked: what is answered otherwise, or not in the golden store: members as in answers.json, where the answer may
            be an ``error``.
    """

    name: str
    changed: Callable[[Objects], Objects]
    asked: Callable[[Objects], Sequence[Json]] = lambda _: ()


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
        offsets = [len(PACK_MAGIC), *accumulate(map(len, buckets), initial=len(PACK_MAGIC))][1:]
        directory = struct.pack(f"<{len(offsets)}I", *offsets) + objects[name][-TRAILER.size :]
        octets = b"".join([PACK_MAGIC, *buckets, directory])
        shard.update(size=len(octets), directory_at=offsets[-1], directory_crc=f"{zlib.crc32(directory):08x}")
        return {name: octets, **with_manifest(objects, manifest)}

    return changed


def resealed(identity: bytes, number: int, bucket: bytes) -> bytes:
    """Return a bucket with the checksum that its octets have in this place."""
    return zlib.crc32(bucket[4:], bucket_seed(identity, number)).to_bytes(4, "little") + bucket[4:]


def _with_a_bad_run_behind(objects: Objects) -> Objects:
    """Return a first pack whose first bucket has one more run, of more records than there is room for."""

    def change(mine: list[bytes], _: list[bytes]) -> list[bytes]:
        (runs,) = RUN_COUNT.unpack_from(mine[0], 4)
        grown = mine[0][:4] + RUN_COUNT.pack(runs + 1) + mine[0][6:] + RUN_HEADER.pack(0, 60_000)
        return [resealed(pack_id(packs_of(objects)[0]), 0, grown), *mine[1:]]

    return _rebuilt(change)(objects)


def _absent_from_the_first_bucket(objects: Objects) -> list[Json]:
    """Return the question for a serial that would lie in the first bucket of the first pack, but is not there."""
    pack = packs_of(objects)[0]
    shard = next(one for one in shards_of(manifest_of(objects)) if one["pack"] == pack)
    tables = json.loads(objects[str(shard["tables"])])
    high, buckets = cast("int", shard["high"]), len(buckets_of(objects, pack))
    for number in range(1 << 16):
        serial = number.to_bytes(15, "big") + b"!"
        key = key32(serial, int(tables["issuers"][0]["id"], 16))
        if key < high and part_of(key, 0, high, buckets) == 0:
            return [{"issuer": 0, "hash": "sha256", "serial": serial.hex(), "error": "MalformedError"}]
    raise AssertionError("no serial of 65,536 lies in the first bucket")


def _reason_0(objects: Objects) -> Objects:
    """Return the pack that holds one certificate with a reason, which is 0 now."""
    serial = answer_to("revoked-reason-1.sha256").cert_id.serial
    (name,) = (pack for pack in packs_of(objects) if serial in objects[pack])
    octets = edited(objects[name], objects[name].index(serial) + len(serial) + 4, b"\0")
    for number in range(len(buckets_of(objects, name))):
        start, end = bounds(objects, name, number)
        octets = edited(octets, start, resealed(pack_id(name), number, octets[start:end]))
    return {name: octets}


def _asked_for_reason_0(_: Objects) -> list[Json]:
    """Return what that certificate is answered: as before, but for the octet of the reason."""
    asked: list[Json] = []
    for hash_name in HASH_OIDS:
        answer = answer_to(f"revoked-reason-1.{hash_name}")
        before, reason = answer.der or b"", bytes.fromhex("a0030a01")  # [0] EXPLICIT ENUMERATED of one octet
        assert before.count(reason) == 1
        octets = edited(before, before.index(reason) + len(reason), b"\0")
        digest = hashlib.sha256(octets).hexdigest()
        asked.append({"issuer": 0, "hash": hash_name, "serial": answer.cert_id.serial.hex(), "sha256": digest})
    return asked


def _without_members_for_people(objects: Objects) -> Objects:
    manifest, changed = manifest_of(objects), dict[str, bytes]()
    for member in ("profile", "counts", "gates"):
        del manifest[member]
    for shard in (*shards_of(manifest), *shards_of(manifest, "overlays")):
        for member in ("sha256", "rows", "revoked"):
            del shard[member]
        tables = json.loads(objects[str(shard["tables"])])
        for issuer in tables["issuers"]:
            del issuer["names"], issuer["certificates"]
        octets = json.dumps(tables).encode()
        shard["tables"] = f"tables/{hashlib.sha256(octets).hexdigest()}"
        changed[str(shard["tables"])] = octets
    changed |= with_manifest(objects, manifest)
    name = commit_name(head_number(objects) + 1)
    members = json.loads(changed[name])
    del members["parent"], members["started_at"]
    return changed | with_commit(members["number"], members)


def _members_for_people_of_other_types(objects: Objects) -> Objects:
    odd: list[Value] = [1.5, "odd", {}]
    manifest = manifest_of(objects)
    manifest.update(profile=7, counts=[], gates="passed", history={}, probed_at="lately")
    for shard in (*shards_of(manifest), *shards_of(manifest, "overlays")):
        shard.update(sha256=odd, rows=-1, revoked="some")
    changed = with_manifest(objects, manifest)
    members = json.loads(changed[commit_name(head_number(objects) + 1)])
    return changed | with_commit(members["number"], {**members, "parent": 5, "started_at": "then"})


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


def _stray_bits(tables: Json) -> None:
    """Write a responder id, of 20 octets, with bits behind its last octet."""
    issuer = cast("list[Json]", tables["issuers"])[0]
    text = str(issuer["responder_id"])
    assert text.endswith("=")
    assert not text.endswith("==")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    issuer["responder_id"] = text[:-2] + alphabet[alphabet.index(text[-2]) + 1] + "="


def _no_oid(tables: Json) -> None:
    """Give an issuer hashes under a name that is none of a hash."""
    issuer = cast("list[dict[str, Json]]", tables["issuers"])[0]
    for kind in ("name_hashes", "key_hashes"):
        issuer[kind]["sha512"] = "AAAA"


def _of_all_shards(member: str, value: Value) -> Callable[[Objects], Objects]:
    def changed(objects: Objects) -> Objects:
        manifest = manifest_of(objects)
        for shard in shards_of(manifest):
            shard[member] = value
        return with_manifest(objects, manifest)

    return changed


def _member(name: str, value: Value) -> Callable[[Json], None]:
    return lambda document: document.update({name: value})


def _future_manifest(objects: Objects) -> Objects:
    return with_manifest(objects, {**manifest_of(objects), "version": 3})


def _future_commit(objects: Objects) -> Objects:
    number = head_number(objects) + 1
    return with_commit(number, {"number": number, "reader_min": 3, "writer_min": 3, "shape": "of a later format"})


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
    Case("pack-version-0", UnsupportedVersionError, "lookup", _pack_and_crc(_trailer(8, b"\0\0")), is_committed=True),
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
        lambda objects: with_tables(objects, _member("version", 3)),
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
    Case(
        "tables-version-0",
        UnsupportedVersionError,
        "load",
        lambda objects: with_tables(objects, _member("version", 0)),
    ),
    Case("tables-base64-stray-bits", MalformedError, "load", lambda o: with_tables(o, _stray_bits), is_committed=True),
    Case("tables-no-oid", MalformedError, "load", lambda o: with_tables(o, _no_oid), is_committed=True),
    Case("tables-no-shapes", MalformedError, "load", lambda objects: with_tables(objects, _member("shapes", []))),
    Case("manifest-flipped", ChecksumError, "load", _manifest(lambda octets: flipped(octets, 40)), is_committed=True),
    Case("manifest-future-version", UnsupportedVersionError, "load", _future_manifest),
    Case("manifest-fraction", MalformedError, "load", _of_all_shards("refresh_by", 1.5), is_committed=True),
    Case("manifest-number-too-large", MalformedError, "load", _of_all_shards("size", 1 << 53), is_committed=True),
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

ODDITIES = (
    Oddity("no-members-for-people", _without_members_for_people),
    Oddity("members-for-people-of-other-types", _members_for_people_of_other_types),
    Oddity("a-bad-run-behind-a-hit", _with_a_bad_run_behind, _absent_from_the_first_bucket),
    Oddity("reason-0", _reason_0, _asked_for_reason_0),
)
