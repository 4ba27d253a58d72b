import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pregen.routing_key import keys, same_serials, serial_offsets, xxh64

SEEDS = st.integers(0, 2**64 - 1)


def binary(values: list[bytes]) -> pa.BinaryArray:
    return pa.array(values, pa.binary())


@given(data=st.data(), width=st.integers(0, 31), seed=SEEDS)
def test_columns_hash_as_xxhash_does_one_by_one(data: st.DataObject, width: int, seed: int) -> None:
    rows = data.draw(st.lists(st.binary(min_size=width, max_size=width), min_size=1, max_size=5))
    matrix = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), width)
    assert xxh64(matrix, np.array([seed], np.uint64)).tolist() == [xxhash.xxh64_intdigest(row, seed) for row in rows]


@given(rows=st.lists(st.tuples(st.binary(min_size=8, max_size=8), SEEDS), min_size=1, max_size=5))
def test_each_row_may_have_a_seed_of_its_own(rows: list[tuple[bytes, int]]) -> None:
    matrix = np.frombuffer(b"".join(octets for octets, _ in rows), np.uint8).reshape(len(rows), 8)
    seeds = np.array([seed for _, seed in rows], np.uint64)
    assert xxh64(matrix, seeds).tolist() == [xxhash.xxh64_intdigest(octets, seed) for octets, seed in rows]


@given(count=st.integers(0, 9), size=st.integers(1, 31), data=st.data())
def test_serials_are_the_same_where_all_of_their_octets_are(count: int, size: int, data: st.DataObject) -> None:
    some = np.frombuffer(data.draw(st.binary(min_size=count * size, max_size=count * size)), np.uint8)
    some = some.reshape(count, size)
    others = some.copy()
    places = st.tuples(st.integers(0, max(count - 1, 0)), st.integers(0, size - 1))
    changed = data.draw(st.sets(places)) if count else set()
    for row, at in changed:
        others[row, at] ^= 1 << data.draw(st.integers(0, 7))
    wanted = [row not in {row for row, _ in changed} for row in range(count)]
    assert same_serials(some, others).tolist() == wanted


def test_more_rows_than_are_hashed_at_once_keep_their_own_seeds() -> None:
    random = np.random.default_rng(1)
    rows = random.integers(0, 256, (20_001, 17), np.uint8)
    seeds = random.integers(0, 2**64, 20_001, np.uint64)
    for own in (seeds, seeds[:1]):
        hashed = xxh64(rows, own)
        for at in (0, 8_191, 8_192, 16_384, 20_000):
            assert int(hashed[at]) == xxhash.xxh64_intdigest(rows[at].tobytes(), int(own[at % len(own)]))


def test_rows_of_32_octets_are_refused() -> None:
    with pytest.raises(ValueError, match="32 octets"):
        xxh64(np.zeros((1, 32), np.uint8), np.zeros(1, np.uint64))


@given(
    serials=st.lists(st.binary(min_size=1, max_size=31), max_size=20),
    before=st.integers(0, 5),
    after=st.integers(0, 5),
    seed=SEEDS,
)
def test_a_slice_has_the_keys_of_its_own_serials(serials: list[bytes], before: int, after: int, seed: int) -> None:
    whole = binary([b"before"] * before + serials + [b"behind the end"] * after)
    part = whole.slice(before, len(serials))
    assert part.offset == before
    wanted = [xxhash.xxh64_intdigest(serial, seed) for serial in serials]
    assert keys(part, np.array([seed], np.uint64)).tolist() == wanted


@given(rows=st.lists(st.tuples(st.binary(min_size=1, max_size=21), SEEDS), min_size=2, max_size=20))
def test_serials_of_many_lengths_keep_their_own_seeds(rows: list[tuple[bytes, int]]) -> None:
    seeds = np.array([seed for _, seed in rows], np.uint64)
    wanted = [xxhash.xxh64_intdigest(serial, seed) for serial, seed in rows]
    assert keys(binary([serial for serial, _ in rows]), seeds).tolist() == wanted


def test_no_serials_have_no_keys() -> None:
    assert len(keys(binary([]), np.ones(1, np.uint64))) == 0
    assert serial_offsets(binary([b"ab", b"c"])).tolist() == [0, 2, 3]
