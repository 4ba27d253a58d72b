import hashlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.key import KEY32, issuer_id, key32, part_of, split

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


def test_an_issuers_number_follows_from_its_sha256_cert_id() -> None:
    name, key = b"a name", b"a key"
    digests = hashlib.sha256(name).digest() + hashlib.sha256(key).digest()
    assert issuer_id(name, key) == int.from_bytes(hashlib.sha256(digests).digest()[:8], "big")
    assert issuer_id(name, key) != issuer_id(key, name)


def test_keys_are_the_upper_half_of_xxh64_as_published() -> None:
    # XXH64 of nothing is 0xef46db3751d8e999 with seed 0, and 0xd5afba1336a3be4b with seed 1.
    assert (key32(b"", 0), key32(b"", 1)) == (0xEF46DB37, 0xD5AFBA13)
