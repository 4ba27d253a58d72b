"""Where each row of a shard goes: into which run, which block of records, and which bucket of the pack.

A block is all that has one shape: records of one length, made and signed together. Within a block, rows lie in the
order of their runs, then of their keys, so that whatever shares a run and a bucket is one contiguous segment.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.generation.making.plan import Plan
from pregen.generation.rows.rows import ShardRows
from storage.pack import MAX_BUCKET_BYTES, SegmentLike, bucket_count

Numbers = NDArray[np.intp]
_TABLE = 1 << 32  # codes of groups with the usual windows


class Block(NamedTuple):
    """Rows of one shape.

    Attributes:
        shape: number of the shape.
        rows: intp[n], indexes of rows (`ShardRows`), by run, then by key.
        runs: intp[n], the run number of each, ascending.
    """

    shape: int
    rows: Numbers
    runs: Numbers


class Layout:
    """The order of a shard's rows in its pack.

    Attributes:
        counts: intp[runs], records of each run.
        order: intp[n], indexes of rows, by run, then by key.
    """

    def __init__(self, rows: ShardRows, runs: Numbers, shapes: Numbers) -> None:
        """Arrange rows.

        Args:
            rows: the shard's rows, in the order of their keys.
            runs: intp[n], the run number of each row.
            shapes: intp[runs], the shape of each run, ascending.
        """
        self.counts: Numbers = np.bincount(runs, minlength=len(shapes))
        # In the smallest type that holds it: numpy sorts 8 and 16 bits by radix.
        self.order: Numbers = np.argsort(runs.astype(np.min_scalar_type(len(shapes))), kind="stable")
        self._key32 = rows.key32
        self._runs = runs[self.order]
        self._ends = np.cumsum(self.counts)
        self._shapes = shapes
        self._cut: tuple[int, int, int] | None = None
        self._bucket: NDArray[np.int64] = np.empty(0, np.int64)

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks, in the order of their shapes."""
        start = 0
        last_runs = np.nonzero(np.diff(self._shapes, append=-1))[0]
        for last in last_runs.tolist():
            end = int(self._ends[last])
            if end > start:
                yield Block(int(self._shapes[last]), self.order[start:end], self._runs[start:end])
            start = end

    def row(self, run: int, index: int) -> int | None:
        """Return the row that record `index` of a run is made of; None where the run has no so many."""
        if not 0 <= index < self.counts[run]:
            return None
        return int(self.order[self._ends[run] - self.counts[run] + index])

    def buckets(self, strides: Numbers, low: int, high: int) -> int:
        """Return how many buckets the pack has: those that `bucket_count` wants, and more while some are too large.

        Args:
            strides: intp[runs], octets of a record.
            low: lowest key of the shard.
            high: the one behind its highest.
        """
        buckets, before = bucket_count(int(self.counts @ strides)), 0
        while len(self.order):
            largest = self._largest_bucket(strides, low, high, buckets)
            # Records of one key stay together, however fine the cut.
            if largest <= MAX_BUCKET_BYTES or largest == before:
                break
            buckets, before = 2 * buckets, largest
        return buckets

    def _largest_bucket(self, strides: Numbers, low: int, high: int, buckets: int) -> int:
        """Return how many octets of records the largest bucket has; where it is surely within the limit, a bound."""
        bucket = self._buckets_of(low, high, buckets)
        bound = int(np.bincount(bucket).max()) * int(strides[self.counts > 0].max())
        if bound <= MAX_BUCKET_BYTES:
            return bound
        return int(np.bincount(bucket, weights=strides[self._runs]).max())

    def _buckets_of(self, low: int, high: int, buckets: int) -> NDArray[np.int64]:
        """Return the bucket of each row, in the order of runs, then of keys; what was asked last is kept."""
        cut = low, high, buckets
        if self._cut != cut:
            self._cut = cut
            self._bucket = (self._key32[self.order].astype(np.int64) - low) * buckets // (high - low)
        return self._bucket

    def segments(self, strides: Numbers, low: int, high: int, buckets: int) -> Iterable[SegmentLike]:
        """Return where the records of each bucket lie (`storage.pack.Segment`), in the order of buckets, then of runs.

        Blocks are numbered in the order in which `blocks` yields them.

        Args:
            strides: intp[runs], octets of a record.
            low: lowest key of the shard.
            high: the one behind its highest.
            buckets: how many the pack has.
        """
        if not len(self.order):
            return []
        bucket = self._buckets_of(low, high, buckets)
        place = self._runs * buckets + bucket  # ascending: one number for run and bucket
        starts = np.concatenate([[0], np.nonzero(np.diff(place))[0] + 1])
        counts = np.diff(starts, append=len(place))
        runs = self._runs[starts]
        shapes = self._shapes[runs]
        block = np.cumsum(np.diff(shapes, prepend=shapes[0]) != 0)
        first = starts[np.searchsorted(block, np.arange(int(block[-1]) + 1))][block]  # where the segment's block begins
        begin = (starts - first) * strides[runs]
        columns = (bucket[starts], runs, block, begin, begin + counts * strides[runs], counts)
        order = np.argsort(bucket[starts] * len(self.counts) + runs)
        in_bucket, of_run, of_block, begins, ends, records = (column[order].tolist() for column in columns)
        # Bare tuples: with many issuers there is one for nearly every row.
        return zip(in_bucket, of_run, of_block, begins, ends, records, strict=True)


class RunNumbers:
    """Finds the runs of rows by their groups, for one plan."""

    def __init__(self, plan: Plan) -> None:
        codes = np.array([group.code for group in plan.runs], np.int64)
        order = np.argsort(codes)
        self._codes, self._runs = codes[order], np.array(list(plan.runs.values()), np.intp)[order]
        # Windows that end with their certificates make large codes, which are looked for; the others have a table.
        usual = self._codes[self._codes < _TABLE]
        self._table = np.full(int(usual.max(initial=0)) + 1, -1, np.intp)
        self._table[usual] = self._runs[: len(usual)]

    def of(self, codes: NDArray[np.int64]) -> Numbers:
        """Return the run number of each row, intp[n].

        Raises:
            KeyError: a group that the plan does not have.
        """
        if not len(codes):
            return np.empty(0, np.intp)
        runs = self._table[np.minimum(codes, len(self._table) - 1)]
        beyond = np.flatnonzero(codes >= len(self._table))
        if len(beyond):
            at = np.minimum(np.searchsorted(self._codes, codes[beyond]), len(self._codes) - 1)
            runs[beyond] = np.where(self._codes[at] == codes[beyond], self._runs[at], -1)
        if runs.min() < 0:
            raise KeyError("a shard holds rows that were not there when the run was planned")
        return runs
