"""Rows find their place: compared with sorting them one by one."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pregen.generation.making.layout import Layout, RunNumbers
from pregen.generation.making.plan import Plan
from pregen.generation.rows.groups import Group
from pregen.generation.rows.rows import ShardRows
from storage.pack import MAX_BUCKET_BYTES, Segment, bucket_count
from storage.tables import Tables

LOW, HIGH = 1_000, 9_000
EMPTY = ShardRows(
    key32=np.empty(0, np.uint32),
    octets=np.empty(0, np.uint8),
    starts=np.empty(0, np.int32),
    codes=np.empty(0, np.int64),
    revoked_at=np.empty(0, np.uint32),
    reason=np.empty(0, np.int8),
)


class World(NamedTuple):
    """Rows as (key, run), ascending by key, and for each run its shape, ascending, and its stride."""

    rows: list[tuple[int, int]]
    shapes: list[int]
    strides: list[int]

    @property
    def layout(self) -> Layout:
        keys, runs = (
            np.array([key for key, _ in self.rows], np.uint32),
            np.array([run for _, run in self.rows], np.intp),
        )
        return Layout(replace(EMPTY, key32=keys), runs, np.array(self.shapes, np.intp))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    shapes = sorted(draw(st.lists(st.integers(0, 3), min_size=1, max_size=12)))
    strides = [80 + 4 * shape for shape in shapes]
    rows = draw(st.lists(st.tuples(st.integers(LOW, HIGH - 1), st.integers(0, len(shapes) - 1)), max_size=60))
    return World(sorted(rows, key=lambda row: row[0]), shapes, strides)


@given(worlds())
def test_blocks_hold_each_row_once_by_run_and_then_by_key(world: World) -> None:
    placed = []
    for block in world.layout.blocks():
        assert len(block.rows) == len(block.runs) > 0
        assert {world.shapes[run] for run in block.runs} == {block.shape}
        assert [world.rows[row][1] for row in block.rows] == block.runs.tolist()
        placed += block.rows.tolist()
    assert placed == sorted(range(len(world.rows)), key=lambda row: (world.rows[row][1], row))


@given(worlds())
def test_each_record_is_traced_to_its_row(world: World) -> None:
    layout = world.layout
    for run, count in enumerate(layout.counts.tolist()):
        rows = [row for row, (_, its_run) in enumerate(world.rows) if its_run == run]
        assert [layout.row(run, index) for index in range(count)] == rows
        assert layout.row(run, count) is layout.row(run, -1) is None


@given(worlds(), st.integers(1, 9))
def test_segments_are_what_shares_bucket_and_run_in_the_order_of_both(world: World, buckets: int) -> None:
    layout = world.layout
    blocks = [list(zip(block.rows.tolist(), block.runs.tolist(), strict=True)) for block in layout.blocks()]
    found = []
    for segment in map(Segment._make, layout.segments(np.array(world.strides, np.intp), LOW, HIGH, buckets)):
        stride = world.strides[segment.run]
        assert (segment.end - segment.start) == segment.records * stride > 0
        held = blocks[segment.block][segment.start // stride : segment.end // stride]
        assert {run for _, run in held} == {segment.run}
        found += [(segment.bucket, segment.run, row) for row, _ in held]
    assert found == sorted(
        ((key - LOW) * buckets // (HIGH - LOW), run, row) for row, (key, run) in enumerate(world.rows)
    )


def test_a_shard_without_rows_has_neither_blocks_nor_segments() -> None:
    layout = Layout(EMPTY, np.empty(0, np.intp), np.array([0, 0, 1], np.intp))
    assert list(layout.blocks()) == []
    assert list(layout.segments(np.array([80, 80, 84], np.intp), LOW, HIGH, bucket_count(0))) == []
    assert layout.counts.tolist() == [0, 0, 0]


def layout_of(keys: NDArray[np.uint32]) -> Layout:
    """Return the layout of rows of one run with these keys."""
    return Layout(replace(EMPTY, key32=np.sort(keys)), np.zeros(len(keys), np.intp), np.zeros(1, np.intp))


@pytest.mark.parametrize("stride", [146, 532, 4_858, 9_270], ids=["p256", "rsa-2048", "ml-dsa-44", "ml-dsa-87"])
def test_no_bucket_is_larger_than_its_limit_whatever_the_size_of_records(stride: int) -> None:
    keys = np.random.default_rng(stride).integers(0, 1 << 32, (8 << 20) // stride, np.uint32)
    layout, strides = layout_of(keys), np.array([stride], np.intp)
    buckets = layout.buckets(strides, 0, 1 << 32)
    sizes = np.zeros(buckets, np.int64)
    for bucket, _, _, start, end, _ in layout.segments(strides, 0, 1 << 32, buckets):
        sizes[bucket] += end - start
    assert sizes.sum() == len(keys) * stride
    assert sizes.max() <= MAX_BUCKET_BYTES
    of_lookups = (sizes.astype(float) ** 2).sum() / sizes.sum()  # what a record's bucket has, on average
    assert of_lookups < 8_192 * 2.1 + stride


def test_a_few_large_records_among_many_small_ones_cut_nothing_more_finely() -> None:
    random = np.random.default_rng(5)
    keys = np.sort(random.integers(0, 1 << 32, 50_000, np.uint32))
    runs = (random.random(len(keys)) < 0.01).astype(np.intp)
    layout = Layout(replace(EMPTY, key32=keys), runs, np.array([0, 1], np.intp))
    strides = np.array([146, 4_858], np.intp)
    assert layout.buckets(strides, 0, 1 << 32) == bucket_count(int(layout.counts @ strides))


def test_a_crowd_of_keys_is_cut_more_finely_while_that_helps() -> None:
    strides = np.array([1_000], np.intp)
    apart = np.concatenate([np.arange(100) << 8, np.arange(300) << 23]).astype(np.uint32)
    crowd = layout_of(apart).buckets(strides, 0, 1 << 32)
    assert crowd > bucket_count(400_000)
    together = np.concatenate([np.full(100, 7), np.arange(300) << 23]).astype(np.uint32)
    assert layout_of(together).buckets(strides, 0, 1 << 32) <= crowd
    assert layout_of(np.empty(0, np.uint32)).buckets(strides, 0, 1 << 32) == 1


def test_groups_that_were_not_planned_are_an_error() -> None:
    planned = {Group(0, 16, 0): 0, Group(3, 20, 2): 1}
    tables = Tables(issuers=(), templates=(), shapes=(), windows=(), runs=())
    numbers = RunNumbers(Plan(tables, planned, "", {}))
    codes = np.array([group.code for group in planned], np.int64)
    assert numbers.of(codes[::-1]).tolist() == [1, 0]
    assert numbers.of(codes[:0]).tolist() == []
    for other in (Group(0, 16, 1), Group(4, 1, 0), Group(3, 20, 3)):
        with pytest.raises(KeyError, match="not there when the run was planned"):
            numbers.of(np.array([*codes, other.code], np.int64))
