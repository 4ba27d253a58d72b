"""Where keys are cut into shards, over many nights."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest

from pregen.generation.rows.sharding import MAX_SHARDS, SHARD_ROWS, Range, rows_wanted, shard_bounds
from storage.key import KEY32, split

RECORD_BYTES = 9_280  # 903 rows in a shard, so that a simulation has many shards of few rows
WANTED = rows_wanted(RECORD_BYTES)


def filled(bounds: Sequence[int], rows: int) -> list[Range]:
    """Return shards with even shares of so many rows."""
    return [Range(low, high, round(rows * (high - low) / KEY32)) for low, high in pairwise(bounds)]


def check_whole(bounds: Sequence[int]) -> None:
    assert bounds[0] == 0
    assert bounds[-1] == KEY32
    assert list(bounds) == sorted(set(bounds))


def test_the_first_run_cuts_evenly() -> None:
    assert shard_bounds(10 * SHARD_ROWS, 90) == tuple(split(0, KEY32, 16))


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0, 1.5, 2.0])
def test_bounds_stay_while_shards_hold_half_to_twice_what_is_wanted(share: float) -> None:
    bounds = shard_bounds(80 * SHARD_ROWS, 90)
    rows = int(80 * SHARD_ROWS * share)
    assert shard_bounds(rows, 90, filled(bounds, rows)) == bounds


def test_one_shard_that_has_grown_is_split_and_no_other_one() -> None:
    bounds = split(0, KEY32, 80)
    shards = filled(bounds, 80 * SHARD_ROWS)
    shards[7] = shards[7]._replace(rows=2 * SHARD_ROWS + 1)
    cut = shard_bounds(80 * SHARD_ROWS, 90, shards)
    assert len(cut) == len(bounds) + 1
    assert set(cut) > set(bounds)
    assert cut[8] == (bounds[7] + bounds[8] + 1) // 2


def test_one_shard_that_has_shrunk_is_joined_with_the_smaller_of_its_neighbours() -> None:
    bounds = split(0, KEY32, 80)
    shards = filled(bounds, 80 * SHARD_ROWS * 9 // 10)
    shards[7] = shards[7]._replace(rows=10)
    shards[8] = shards[8]._replace(rows=SHARD_ROWS * 8 // 10)
    cut = shard_bounds(1, 90, shards)  # the snapshot is small, so that what the shards hold counts
    assert set(bounds) - set(cut) == {bounds[8]}


def test_a_small_shard_beside_a_large_one_shares_its_rows() -> None:
    third = KEY32 // 3
    shards = [Range(0, third, WANTED // 3), Range(third, KEY32, 2 * WANTED)]
    assert shard_bounds(1, RECORD_BYTES, shards) == (0, KEY32 // 2, KEY32)


def test_a_store_that_shrinks_to_nothing_has_one_shard_in_the_end() -> None:
    bounds = shard_bounds(500 * WANTED, RECORD_BYTES)
    nights = 0
    while len(bounds) > 2:
        bounds = shard_bounds(1, RECORD_BYTES, filled(bounds, 10))
        check_whole(bounds)
        nights += 1
        assert nights < 20
    assert shard_bounds(1, RECORD_BYTES, filled(bounds, 10)) == bounds


def test_a_snapshot_that_is_suddenly_far_larger_is_cut_before_its_rows_come() -> None:
    bounds = shard_bounds(80 * SHARD_ROWS, 90)
    cut = shard_bounds(800 * SHARD_ROWS, 90, filled(bounds, 80 * SHARD_ROWS))
    assert len(cut) - 1 == 800
    assert set(cut) > set(bounds)


def test_of_shards_that_reach_their_limit_together_a_few_are_cut_each_night() -> None:
    bounds, rows, cuts = shard_bounds(800 * SHARD_ROWS, 90), 1_700 * SHARD_ROWS, []
    for _ in range(20):
        before, bounds = bounds, shard_bounds(rows, 90, filled(bounds, rows))
        cuts.append(len(set(before) ^ set(bounds)))
    assert 0 < max(cuts) <= 1_600 / 16 + 1
    assert cuts[-1] == 0
    assert all(one.rows <= 2 * SHARD_ROWS for one in filled(bounds, rows))


def test_where_all_is_made_anew_anyway_all_that_want_it_are_cut_at_once_and_no_others() -> None:
    bounds, rows = shard_bounds(800 * SHARD_ROWS, 90), 1_700 * SHARD_ROWS
    cut = shard_bounds(rows, 90, filled(bounds, rows), at_once=True)
    assert len(cut) - 1 == 1_600
    stays = 1_500 * SHARD_ROWS
    assert shard_bounds(stays, 90, filled(bounds, stays), at_once=True) == bounds


@pytest.mark.parametrize("claimed", [10**6, 10**15, 10**18])
def test_a_snapshot_that_lies_about_its_rows_gets_no_more_shards_than_there_may_be(claimed: int) -> None:
    bounds = shard_bounds(claimed, 90, [Range(0, KEY32, 100)])
    check_whole(bounds)
    assert len(bounds) - 1 <= MAX_SHARDS


def test_ranges_of_few_keys_are_not_cut_into_more_parts_than_they_have_keys() -> None:
    cut = shard_bounds(1, RECORD_BYTES, [Range(0, 3, 100 * WANTED), Range(3, KEY32, WANTED)])
    assert cut == (0, 1, 2, 3, KEY32)


NIGHTS = 1_000
GROWTH: dict[str, Callable[[int], float]] = {
    "a little each night": lambda night: 1.001**night,
    "much, then as much less": lambda night: 1.005 ** min(night, NIGHTS - night),
    "less each night": lambda night: 0.998**night,
    "up and down with the seasons": lambda night: 1.5 + 0.8 * float(np.sin(night / 60)),
    "a sudden issuer, which goes again": lambda night: 5.0 if 300 <= night < 600 else 1.0,
}


@pytest.mark.parametrize("way", GROWTH)
def test_a_thousand_nights_of_growth_and_shrinkage_rewrite_a_few_shards_a_night(way: str) -> None:
    random, first = np.random.default_rng(7), 24 * WANTED
    bounds: tuple[int, ...] = ()
    shards: list[Range] = []
    again = written = outside = 0
    for night in range(NIGHTS):
        rows = int(first * GROWTH[way](night))
        before, bounds = bounds, shard_bounds(rows, RECORD_BYTES, shards)
        check_whole(bounds)
        # Each night other certificates: keys are hashes, so that a shard has its share of them, more or less.
        counts = random.poisson([rows * (high - low) / KEY32 for low, high in pairwise(bounds)]).tolist()
        shards = [Range(low, high, count) for (low, high), count in zip(pairwise(bounds), counts, strict=True)]
        assert max(counts) <= 4.5 * WANTED
        again += len(set(pairwise(bounds)) - set(pairwise(before))) if night else 0
        outside += sum(not 0.5 * WANTED <= count <= 2 * WANTED for count in counts)
        written += len(shards)
    assert rows / WANTED / 2.1 <= len(shards) <= rows / WANTED * 2.1 + 1
    assert again < written / 100, f"{again} of {written} shards were cut again"
    assert outside < written / 20, f"{outside} of {written} shards held too little or too much"
