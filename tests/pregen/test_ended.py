"""What is remembered of revocations that have ended is what a plain dict says, whatever ranges it lies in."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen import ended
from pregen.ended import REMEMBERED_DAYS, EndedReader, EndedSince, remember
from storage.ended_part import EndedPart, read_ended_part
from storage.errors import FormatError
from storage.key import KEY32
from storage.stores.memory import MemoryStore

DAY = 20_000
keys_drawn = st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([1, 2, 3, 2**63, 2**64 - 1]), max_size=12)


def since(has_ended: Iterable[int] = (), freed: Iterable[int] = ()) -> EndedSince:
    return EndedSince(np.array([*has_ended], np.uint64), np.array([*freed], np.uint64))


def stored(store: MemoryStore, parts: Iterable[EndedPart]) -> dict[int, int]:
    found: dict[int, int] = {}
    for part in parts:
        columns = read_ended_part(store, part)
        keys, days = np.frombuffer(columns.keys, "<u8").tolist(), np.frombuffer(columns.days, "<u2").tolist()
        assert keys == sorted(set(keys))
        assert all(part.low <= key >> 32 < part.high for key in keys)
        assert part.oldest == min(days)
        found |= dict(zip(keys, days, strict=True))
    return found


@given(
    st.lists(st.tuples(keys_drawn, keys_drawn, st.integers(0, 700)), max_size=6),
    st.sampled_from([1, 3, 1 << 20]),
)
def test_generation_after_generation_it_is_what_a_dict_says(
    nights: list[tuple[list[int], list[int], int]], rows: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ended, "_PART_ROWS", rows)  # so that there are many ranges
        store, wanted, day = MemoryStore(), dict[int, int](), DAY
        parts: tuple[EndedPart, ...] = ()
        for has_ended, freed, later in nights:
            day += later
            parts = remember(store, parts, since(has_ended, freed), day)
            wanted |= dict.fromkeys(has_ended, day)
            wanted = {key: at for key, at in wanted.items() if key not in freed and at >= day - REMEMBERED_DAYS}
            assert stored(store, parts) == wanted
            assert EndedReader(store, parts).between(0, KEY32).tolist() == sorted(wanted)
            half = EndedReader(store, parts).between(0, 1 << 31).tolist()
            assert half == sorted(key for key in wanted if key < 1 << 63)


def test_parts_of_which_nothing_changes_are_named_again() -> None:
    store = MemoryStore()
    parts = remember(store, (), since([1, 2**63]), DAY)
    count = len([*store.list("history/")])
    assert remember(store, parts, since(), DAY + 5) == parts
    assert len([*store.list("history/")]) == count
    assert remember(store, parts, since(), DAY + REMEMBERED_DAYS) == parts
    assert remember(store, parts, since(), DAY + REMEMBERED_DAYS + 1) == ()


def test_of_two_generations_the_later_days_count() -> None:
    store = MemoryStore()
    one, other = remember(store, (), since([1, 2]), DAY + 9), remember(store, (), since([2, 3]), DAY)
    both = remember(store, (*one, *other, *one), since([4]), DAY + 10)
    assert stored(store, both) == {1: DAY + 9, 2: DAY + 9, 3: DAY, 4: DAY + 10}


def test_a_part_that_cannot_be_read_is_passed_over_by_name_alone() -> None:
    store = MemoryStore()
    (part,) = remember(store, (), since([1, 2]), DAY)
    store.put(part.name, b"damaged")
    with pytest.raises(FormatError):
        remember(store, [part], since([3]), DAY)
    assert stored(store, remember(store, [part], since([3]), DAY, passes_damage_over=True)) == {3: DAY}


def test_a_million_takes_ten_megabytes() -> None:
    store, many = MemoryStore(), np.random.default_rng(1).integers(0, 2**64, 100_000, np.uint64)
    parts = remember(store, (), EndedSince(ended=many), DAY)
    assert sum(part.size_bytes for part in parts) <= 10.01 * len(many)
