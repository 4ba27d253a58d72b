"""Manifests of both versions: what is written is read back, and what cannot be is refused, whichever way it is put."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import ChecksumError, FormatError, MalformedError, UnknownFeatureError, UnsupportedVersionError
from storage.key import KEY32, split
from storage.manifest import Manifest, Shard, encode_manifest, manifest_name, read_manifest
from storage.stores import Store
from storage.stores.memory import MemoryStore

Document: TypeAlias = dict[str, Any]
Ranges: TypeAlias = Sequence[tuple[int, int]]
SHARD = Shard(
    low=0,
    high=KEY32,
    pack=f"packs/00000000-{0:032x}",
    size_bytes=44,
    sha256=bytes(32),
    directory_at=8,
    directory_crc=0,
    windows=f"windows/{0:064x}",
    rows=3,
    revoked=1,
    refresh_by=5,
    next_update=7,
    as_of=4,
)
MANIFEST = Manifest(profile="lab", shards=(SHARD,), counts={"certificates": 3}, gates={})
MEMBERS = {"size": 44, "directory_at": 8, "directory_crc": "00000000", "refresh_by": 5, "next_update": 7}
PEOPLE = {"sha256": "00" * 32, "rows": 3, "revoked": 1}


def of_version_1(ranges: Ranges, **members: object) -> Document:
    """Return a manifest of version 1, with these members in each of its shards."""
    usual = {"pack": SHARD.pack, "tables": f"tables/{0:064x}", **MEMBERS, **PEOPLE, **members}
    shards = [{"low": low, "high": high, **usual} for low, high in ranges]
    document = {"version": 1, "profile": "lab", "shards": shards, "overlays": []}
    return {**document, "counts": {"certificates": 3}, "gates": {}}


def of_version_2(ranges: Ranges, **members: object) -> Document:
    """Return a manifest of version 2, with these members in each row of its shards."""
    usual = {"pack": SHARD.pack, "windows": 0, **MEMBERS, **PEOPLE, "as_of": 4, **members}
    columns = {name: [value] * len(ranges) for name, value in usual.items()}
    document: Document = json.loads(encode_manifest(MANIFEST))
    document["shards"] = {"low": [low for low, _ in ranges], **columns}
    return document


def stored(document: Document) -> tuple[Store, str]:
    store, octets = MemoryStore(), json.dumps(document).encode()
    store.put(manifest_name(octets), octets)
    return store, manifest_name(octets)


BOTH = pytest.mark.parametrize("document_of", [of_version_1, of_version_2])


def test_a_manifest_comes_back_as_it_was_written() -> None:
    bounds = split(0, KEY32, 3)
    shards = tuple(
        replace(SHARD, low=low, high=high, windows=f"windows/{low % 2:064x}", as_of=low)
        for low, high in pairwise(bounds)
    )
    older = replace(SHARD, low=5, high=6, windows=f"tables/{9:064x}")
    manifest = replace(MANIFEST, shards=shards, overlays=(older, SHARD), history="history/x", probed_at=1)
    octets, store = encode_manifest(manifest), MemoryStore()
    store.put(manifest_name(octets), octets)
    assert read_manifest(store, manifest_name(octets)) == manifest
    assert json.loads(octets)["windows"] == [older.windows, SHARD.windows, f"windows/{1:064x}"]


@given(
    parts=st.integers(1, 9),
    overlays=st.lists(st.lists(st.integers(0, KEY32), min_size=2, max_size=2, unique=True).map(sorted), max_size=4),
    bounds=st.lists(st.integers(0, KEY32), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_the_packs_of_a_range_are_those_that_overlap_it_in_the_order_in_which_they_are_searched(
    parts: int, overlays: list[list[int]], bounds: list[int]
) -> None:
    manifest = replace(
        MANIFEST,
        shards=tuple(replace(SHARD, low=low, high=high) for low, high in pairwise(split(0, KEY32, parts))),
        overlays=tuple(replace(SHARD, low=low, high=high, pack=f"{at}") for at, (low, high) in enumerate(overlays)),
    )
    low, high = bounds

    assert manifest.searched_in(low, high) == tuple(
        one for one in manifest.searched if one.low < high and low < one.high
    )


def test_both_versions_say_the_same() -> None:
    first, second = (read_manifest(*stored(of([(0, 9), (9, KEY32)]))) for of in (of_version_1, of_version_2))
    tables = f"tables/{0:064x}"
    assert first == replace(second, shards=tuple(replace(one, as_of=None, windows=tables) for one in second.shards))


def test_no_two_manifests_have_one_name() -> None:
    assert len({manifest_name(encode_manifest(MANIFEST)) for _ in range(3)}) == 3


def test_shards_of_which_some_have_no_as_of_say_none() -> None:
    manifest = replace(MANIFEST, shards=(replace(SHARD, high=9), replace(SHARD, low=9, as_of=None)))
    octets, store = encode_manifest(manifest), MemoryStore()
    store.put(manifest_name(octets), octets)
    assert [shard.as_of for shard in read_manifest(store, manifest_name(octets)).shards] == [None, None]


RANGES: dict[str, Ranges] = {
    "none": [],
    "late": [(1, KEY32)],
    "order": [(5, KEY32), (0, 5)],
    "twice": [(0, KEY32), (0, KEY32)],
}
# Ends are told by version 1 alone: by version 2, each shard ends where the next one begins.
ENDS: dict[str, Ranges] = {"short": [(0, 5)], "hole": [(0, 5), (6, KEY32)], "overlap": [(0, 6), (5, KEY32)]}


@pytest.mark.parametrize("ranges", [*RANGES.values(), *ENDS.values()], ids=[*RANGES, *ENDS])
def test_shards_that_do_not_hold_every_key_once_are_refused(ranges: Ranges) -> None:
    with pytest.raises(MalformedError, match="do not hold every key once"):
        read_manifest(*stored(of_version_1(ranges)))


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_columns_that_do_not_hold_every_key_once_are_refused(ranges: Ranges) -> None:
    with pytest.raises(MalformedError):
        read_manifest(*stored(of_version_2(ranges)))


@BOTH
@pytest.mark.parametrize(
    "members",
    [
        {"pack": "../../etc/passwd"},
        {"pack": "packs/00000000-" + "G" * 32},
        {"pack": SHARD.pack + "\n"},
        {"directory_at": 44},
        {"directory_crc": "0"},
        {"directory_crc": "0000000G"},
        {"size": -1},
        {"size": 1.5},
        {"size": 1 << 53},
        {"size": True},
        {"refresh_by": 253_402_300_800},
        {"next_update": None},
    ],
    ids=str,
)
def test_a_shard_that_cannot_be_is_refused(document_of: Callable[..., Document], members: Document) -> None:
    with pytest.raises(MalformedError):
        read_manifest(*stored(document_of([(0, KEY32)], **members)))


@pytest.mark.parametrize("name", [f"tables/{0:063x}", f"/tables/{0:064x}", f"windows/{0:064x}"])
def test_a_shard_of_version_1_names_tables(name: str) -> None:
    with pytest.raises(MalformedError):
        read_manifest(*stored(of_version_1([(0, KEY32)], tables=name)))


@pytest.mark.parametrize("name", [f"windows/{0:063x}", f"packs/{0:064x}", f"/windows/{0:064x}", None, 7])
def test_names_of_version_2_are_windows_or_tables_of_version_1(name: object) -> None:
    with pytest.raises(MalformedError):
        read_manifest(*stored({**of_version_2([(0, KEY32)]), "windows": [name]}))


def test_a_number_of_windows_that_are_not_there_is_refused() -> None:
    with pytest.raises(MalformedError):
        read_manifest(*stored(of_version_2([(0, KEY32)], windows=1)))


@pytest.mark.parametrize("member", ["pack", "size", "windows", "next_update"])
def test_a_column_that_is_short_or_absent_is_refused(member: str) -> None:
    document = of_version_2([(0, 9), (9, KEY32)])
    document["shards"][member].pop()
    with pytest.raises(MalformedError, match="columns of different lengths"):
        read_manifest(*stored(document))
    del document["shards"][member]
    with pytest.raises(MalformedError):
        read_manifest(*stored(document))


def test_an_overlay_ends_behind_its_beginning() -> None:
    octets = encode_manifest(replace(MANIFEST, overlays=(replace(SHARD, low=6, high=5),)))
    with pytest.raises(MalformedError, match="hold no keys"):
        read_manifest(*stored(json.loads(octets)))


def test_later_versions_and_features_are_refused_as_such() -> None:
    with pytest.raises(UnsupportedVersionError, match="this reader knows 1 and 2"):
        read_manifest(*stored({**of_version_2([(0, KEY32)]), "version": 3}))
    with pytest.raises(UnknownFeatureError, match="two levels"):
        read_manifest(*stored({**of_version_2([(0, KEY32)]), "features": ["two levels"]}))


@BOTH
def test_unknown_members_are_ignored(document_of: Callable[..., Document]) -> None:
    document = document_of([(0, KEY32)])
    later = document_of([(0, KEY32)], later=[1]) | {"later": {}}
    assert read_manifest(*stored(later)) == read_manifest(*stored(document))


@BOTH
@pytest.mark.parametrize("odd", [None, 1.5, [True], {"rows": {}}], ids=["absent", "fraction", "list", "object"])
def test_members_for_people_are_no_reason_to_refuse(document_of: Callable[..., Document], odd: object) -> None:
    usual = read_manifest(*stored(document_of([(0, KEY32)])))
    document = document_of([(0, KEY32)], sha256=odd, rows=odd, revoked=odd, as_of=odd)
    document.update(profile=odd, gates=[odd], counts=odd, history=odd, probed_at=odd, random=odd)
    if odd is None:
        document = {name: value for name, value in document.items() if value is not None}
    read = read_manifest(*stored(document))
    assert (read.profile, read.gates, read.history, read.probed_at) == ("", {}, None, None)
    assert read.shards == (replace(usual.shards[0], sha256=b"", rows=0, revoked=0, as_of=None),)


def test_a_manifest_under_another_name_is_refused() -> None:
    store = MemoryStore()
    name = manifest_name(b"others")
    store.put(name, encode_manifest(MANIFEST))
    with pytest.raises(ChecksumError):
        read_manifest(store, name)


JSON: st.SearchStrategy[object] = (
    st.none() | st.integers() | st.text(max_size=4) | st.just([]) | st.just([[]]) | st.just({}) | st.just([1.5])
)


@given(data=st.data())
def test_any_member_may_hold_anything_and_only_format_errors_are_raised(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from([of_version_1, of_version_2]), label="version")([(0, 9), (9, KEY32)])
    parent: Any = {"": document}
    key: Any = ""
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.integers(0, 3), label="deeper"):
        parent = parent[key]
        key = data.draw(st.sampled_from(list(parent) if isinstance(parent, dict) else range(len(parent))))
    parent[key] = data.draw(JSON, label="value")
    try:
        read_manifest(*stored(document))
    except FormatError:
        pass
    else:
        assert parent is not None
