"""Markers of publishers that are at work: put at the beginning, renewed, gone at the end."""

import pytest

from storage.markers import DEAD_AFTER_S, Marker, at_work, encode_marker, live_markers
from storage.stores.memory import MemoryStore
from tests.fakes import FlakyStore
from tests.pregen.upkeep.stores import NOW, DatedStore


def test_a_publisher_has_a_marker_while_it_works() -> None:
    store = DatedStore()

    with at_work(store, NOW - 7) as name:
        assert live_markers(store, NOW) == [Marker(name, NOW - 7, NOW + DEAD_AFTER_S)]
    assert live_markers(store, NOW) == []
    assert list(store.list()) == []


def test_it_goes_also_when_the_work_fails() -> None:
    store = MemoryStore()

    with pytest.raises(KeyboardInterrupt), at_work(store, NOW):
        raise KeyboardInterrupt

    assert list(store.list()) == []


def test_who_may_not_delete_leaves_it_behind_and_it_is_dead_in_a_few_hours() -> None:
    store = DatedStore()
    flaky = FlakyStore(store)
    flaky.fail("delete", "runs/", error=PermissionError("s3:DeleteObject"))
    with at_work(flaky, NOW) as name:
        pass

    assert live_markers(store, NOW + DEAD_AFTER_S - 1) == [Marker(name, NOW, NOW + DEAD_AFTER_S)]
    assert live_markers(store, NOW + DEAD_AFTER_S + 1) == []


def test_one_that_was_renewed_in_hours_to_come_is_dead_too() -> None:
    store = DatedStore()
    store.age(2 * DEAD_AFTER_S)
    store.put(f"runs/{1:032x}", encode_marker(NOW))

    assert live_markers(store, NOW) == [], "the store's clock was wrong, and whoever lives has renewed it since"


def test_one_that_cannot_be_read_has_begun_at_any_time_and_what_is_none_does_not_count() -> None:
    store = DatedStore()
    store.put(f"runs/{1:032x}", encode_marker(NOW)[:-1])
    store.put("runs/notes", encode_marker(NOW))

    assert live_markers(store, NOW) == [Marker(f"runs/{1:032x}", 0, NOW + DEAD_AFTER_S)]


def test_a_store_that_cannot_be_written_to_is_noticed_before_the_work() -> None:
    store = FlakyStore(MemoryStore())
    store.fail("put", "runs/", error=PermissionError("s3:PutObject"))

    with pytest.raises(PermissionError), at_work(store, NOW):
        pytest.fail("the work began")
