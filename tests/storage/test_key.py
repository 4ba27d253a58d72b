import hashlib
import itertools
from typing import Any, ClassVar, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.key import KEY32, issuer_id, key32, overlapping, part_of, split

PARTS = st.integers(1, 1 << 20)


@given(parts=PARTS, part=st.integers(0, (1 << 20) - 1), offset=st.sampled_from((-1, 0, 1)))
def test_a_key_at_any_boundary_lies_in_the_one_range_that_holds_it(parts: int, part: int, offset: int) -> None:
    part %= parts
    bound = -(-part * KEY32 // parts)
    key = min(max(bound + offset, 0), KEY32 - 1)

    found = part_of(key, 0, KEY32, parts)

    assert -(-found * KEY32 // parts) <= key < -(-(found + 1) * KEY32 // parts)
    assert part_of(bound, 0, KEY32, parts) == part


@given(shards=st.integers(1, 300), buckets=st.integers(1, 300), key=st.integers(0, KEY32 - 1))
@pytest.mark.parametrize("edge", [None, 0, KEY32 - 1])
def test_every_key_falls_into_exactly_one_shard_and_one_bucket_of_it(
    shards: int, buckets: int, key: int, edge: int | None
) -> None:
    key = key if edge is None else edge
    bounds = split(0, KEY32, shards)
    holding = [i for i, (low, high) in enumerate(itertools.pairwise(bounds)) if low <= key < high]
    assert holding == [part_of(key, 0, KEY32, shards)]

    low, high = bounds[holding[0] : holding[0] + 2]
    inner = split(low, high, buckets)
    within = [i for i, (start, end) in enumerate(itertools.pairwise(inner)) if start <= key < end]
    assert within == [part_of(key, low, high, buckets)]


@given(low=st.integers(0, 50), width=st.integers(1, 50), parts=st.integers(1, 120))
def test_parts_cut_a_range_without_hole_or_overlap_also_when_there_are_more_than_keys(
    low: int, width: int, parts: int
) -> None:
    bounds = split(low, low + width, parts)
    assert (bounds[0], bounds[-1], len(bounds)) == (low, low + width, parts + 1)
    assert bounds == sorted(bounds)
    for key in range(low, low + width):
        part = part_of(key, low, low + width, parts)
        assert bounds[part] <= key < bounds[part + 1]


class Range(NamedTuple):
    """Some keys."""

    low: int
    high: int


@given(bounds=st.lists(st.integers(0, 30), max_size=12), low=st.integers(0, 31), high=st.integers(0, 31))
def test_ranges_that_overlap_a_range_are_found_whether_or_not_there_are_gaps_between_them(
    bounds: list[int], low: int, high: int
) -> None:
    edges = sorted(set(bounds))
    for step in (1, 2):
        ranges = tuple(Range(*one) for one in itertools.pairwise(edges))[::step]
        expected = tuple(one for one in ranges if one.low < high and low < one.high and low < high)
        assert overlapping(ranges, low, high) == expected


class Seen(tuple[Range, ...]):
    """Ranges that count how often one of them is looked at."""

    __slots__ = ()
    looks: ClassVar = [0]

    def __getitem__(self, at: Any) -> Any:
        self.looks[0] += not isinstance(at, slice)
        return super().__getitem__(at)


def test_to_find_the_shard_of_a_range_few_of_many_are_looked_at() -> None:
    shards = Seen(Range(*one) for one in itertools.pairwise(split(0, KEY32, 15_264)))
    one = shards[9_000]
    shards.looks[0] = 0
    assert overlapping(shards, one.low, one.high) == (one,)
    assert 0 < shards.looks[0] < 2 + 2 * 15


def test_an_issuers_number_follows_from_its_sha256_cert_id() -> None:
    name, key = b"a name", b"a key"
    digests = hashlib.sha256(name).digest() + hashlib.sha256(key).digest()
    assert issuer_id(name, key) == int.from_bytes(hashlib.sha256(digests).digest()[:8], "big")
    assert issuer_id(name, key) != issuer_id(key, name)


def test_keys_are_the_upper_half_of_xxh64_as_published() -> None:
    # XXH64 of nothing is 0xef46db3751d8e999 with seed 0, and 0xd5afba1336a3be4b with seed 1.
    assert (key32(b"", 0), key32(b"", 1)) == (0xEF46DB37, 0xD5AFBA13)
