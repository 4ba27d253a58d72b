import pickle
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pregen.errors import MAX_EXAMPLES
from pregen.gates.detector.observation import BIN_S, BINS, DISTANCES, HALF, SIGHTING_KINDS, Watch
from pregen.gates.detector.observer import Observer, all_observed
from pregen.gates.detector.sightings import sighted_serial
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE
from tests.pregen.gates.detector.authorities import DAY, HOUR, Habits, Register, batch_of, observe, watch_for, work

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())
AHEAD, LATE, REVOKED_EARLY, EXPIRED_EARLY = range(len(SIGHTING_KINDS))


def rows(not_before: list[int], **other: list[int]) -> Register:
    """Rows of issuer 0 with keys 1, 2, ..."""
    count = len(not_before)
    key = np.arange(1, count + 1, dtype=np.uint64)
    return Register(
        np.zeros(count, np.int64),
        np.array(not_before, np.int64),
        np.array(other.get("not_after", [NO_EXPIRY] * count), np.int64),
        np.array(other.get("revoked_at", [0] * count), np.int64),
        np.array(other.get("issuer", [0] * count), np.int32),
        key,
        np.repeat(key.astype(np.uint8)[:, None], 16, axis=1),
    )


def watch(issuers: int = 1, keys: tuple[int, ...] = (), share: float = 0.0) -> Watch:
    return Watch(AS_OF, 300, issuers, np.array(keys, np.uint64), share)


def test_the_newest_of_each_issuer_is_the_latest_up_to_as_of() -> None:
    seen = rows([AS_OF - 60, AS_OF + 1, AS_OF - 400 * DAY, NO_ISSUANCE, AS_OF - 60], issuer=[0, 0, 1, 2, 0])
    newest = observe(seen, watch(issuers=3)).newest

    assert newest["issuer"].tolist() == [0, 1]
    assert newest["not_before"].tolist() == [AS_OF - 60, AS_OF - 400 * DAY]
    assert newest["key"].tolist() == [1, 3]
    assert sighted_serial(newest[0]) == b"\x01" * 16


def test_bins_are_the_five_minutes_of_35_days_in_which_an_issuer_issued() -> None:
    ages = [0, 299, 300, BINS * BIN_S - 1, BINS * BIN_S, -1]
    seen = rows([AS_OF - age for age in ages], issuer=[1] * len(ages))

    assert observe(seen, watch(issuers=2)).bins.tolist() == [BINS, BINS + 1, 2 * BINS - 1]


def test_rows_in_a_bin_are_counted_over_batches_and_processes() -> None:
    observer = Observer(watch())
    seen = rows([AS_OF - 60, AS_OF - 61, AS_OF - 700])
    for _ in range(2):
        observer.add(batch_of(seen, AS_OF), seen.key)
    first = observer.take()
    observer.add(batch_of(seen, AS_OF), seen.key)
    both = all_observed([first, observer.take()], watch())

    assert (first.bins.tolist(), first.bin_counts.tolist()) == ([0, 2], [4, 2])
    assert (both.bins.tolist(), both.bin_counts.tolist()) == ([0, 2], [6, 3])


def test_times_after_as_of_count_from_the_allowance_on() -> None:
    seen = rows([AS_OF + 300, AS_OF + 301, AS_OF + 600, AS_OF + 601, AS_OF + 40 * DAY])
    observation = observe(seen, watch())
    row = observation.table(watch())[0]

    assert row[HALF:].tolist()[:2] == [2, 1]
    assert row[DISTANCES - 1] == 1
    assert row[HALF - 1] == 1
    assert observation.examples[AHEAD]["key"].tolist() == [2, 3, 4, 5]


def test_late_revocations_count_although_their_rows_are_bad() -> None:
    seen = rows([AS_OF - DAY] * 2, revoked_at=[AS_OF + 7 * HOUR, AS_OF - HOUR])
    observation = observe(seen, watch())

    assert observation.table(watch())[1, HALF:].sum() == 1
    assert observation.examples[LATE]["revoked_at"].tolist() == [AS_OF + 7 * HOUR]
    assert sighted_serial(observation.examples[LATE][0]) == b"\x01" * 16


def test_revocations_and_expiries_are_counted_from_issuance() -> None:
    at = AS_OF - 10 * DAY
    seen = rows(
        [at, at, at, NO_ISSUANCE],
        revoked_at=[at - HOUR, at + HOUR, 0, at],
        not_after=[at + DAY, at - 60, NO_EXPIRY, at],
    )
    observation = observe(seen, watch())
    revoked, expired = observation.table(watch())[2:]

    assert (revoked[:HALF].sum(), revoked.sum()) == (1, 2)
    assert revoked[HALF - HOUR // BIN_S] == 1
    assert (expired[:HALF].sum(), expired.sum()) == (1, 2)
    assert observation.examples[REVOKED_EARLY]["key"].tolist() == [1]
    assert observation.examples[EXPIRED_EARLY]["key"].tolist() == [2]


def test_watched_rows_and_witnesses_are_sighted_once_each() -> None:
    low = 2**32
    keys = np.array([5, low * 7 + 3, low - 1, low * 9 + low // 2], np.uint64)
    seen = rows([AS_OF] * 4)
    observer = Observer(watch(keys=(5, low - 1), share=0.25))
    observer.add(batch_of(seen, AS_OF), keys)

    assert sorted(observer.take().sightings["key"].tolist()) == [5, low - 1, low * 7 + 3]


def test_examples_are_the_twenty_with_the_smallest_keys() -> None:
    seen = rows([AS_OF + HOUR] * 200)
    examples = observe(seen, watch()).examples[AHEAD]

    assert examples["key"].tolist() == list(range(1, MAX_EXAMPLES + 1))


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, 400), max_size=6), order=st.randoms(use_true_random=False))
def test_observations_add_up_in_any_order_and_however_the_rows_are_dealt(cuts: list[int], order: Random) -> None:
    habits = Habits(per_day=40, postdated=0.2, revoked=0.5)
    seen = work((habits, habits), AS_OF - 5 * DAY, AS_OF + 2 * HOUR, np.random.default_rng(7))
    looked_for = watch_for(seen, AS_OF, 2, seen.key[::9])
    bounds = [0, *sorted(cuts), len(seen)]
    parts = [observe(part(seen, low, high), looked_for) for low, high in pairwise(bounds)]
    order.shuffle(parts)

    whole, total = observe(seen, looked_for), all_observed(parts, looked_for)
    for name in ("newest", "bins", "bin_counts", "places", "counts"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    np.testing.assert_array_equal(np.sort(total.sightings), np.sort(whole.sightings))
    np.testing.assert_array_equal(total.undated, whole.undated)
    for kind in set(range(len(SIGHTING_KINDS))) - {LATE}:
        np.testing.assert_array_equal(total.examples[kind], whole.examples[kind])


def part(seen: Register, low: int, high: int) -> Register:
    return seen.where((np.arange(len(seen)) >= low) & (np.arange(len(seen)) < high))


def test_nothing_adds_up_to_nothing() -> None:
    nothing = all_observed([], watch())

    assert not nothing.table(watch()).any()
    assert len(nothing.newest) == 0


def test_what_goes_through_pipes_pickles() -> None:
    seen = rows([AS_OF - 60])
    observation = pickle.loads(pickle.dumps(observe(seen, pickle.loads(pickle.dumps(watch())))))

    assert observation.newest["not_before"].tolist() == [AS_OF - 60]


@pytest.mark.parametrize("count", [0, 1])
def test_a_batch_may_be_empty(count: int) -> None:
    seen = rows([AS_OF - 60] * count)

    assert len(observe(seen, watch(share=1.0)).sightings) == count
