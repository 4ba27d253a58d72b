"""The fakes that other tests stand on do what they are told."""

import pytest

from storage.stores import MemoryStore, Store
from tests.fakes import CountingStore, FlakyStore, LatencyStore


def test_a_flaky_store_fails_where_and_as_often_as_told() -> None:
    store = FlakyStore(MemoryStore())
    store.fail("put", "packs/", error=OSError("broken"), skip=1, times=2)

    store.put("packs/1", b"x")
    for name in ("packs/2", "packs/3"):
        with pytest.raises(OSError, match="broken"):
            store.put(name, b"x")
        store.put("tables/1", b"x")
    store.put("packs/4", b"x")

    assert sorted(info.name for info in store.list()) == ["packs/1", "packs/4", "tables/1"]


@pytest.mark.parametrize(("applied", "names"), [(True, ["commits/1"]), (False, [])])
def test_a_lost_answer_is_not_a_lost_write(applied: bool, names: list[str]) -> None:
    store = FlakyStore(MemoryStore())
    store.fail("put_if_absent", applied=applied)

    with pytest.raises(ConnectionError):
        store.put_if_absent("commits/1", b"x")

    assert [info.name for info in store.list()] == names


def test_a_store_that_went_away_comes_back() -> None:
    store = FlakyStore(MemoryStore())
    store.put("one", b"x")

    store.go_away()
    for call in (lambda: store.get("one"), lambda: store.put("one", b"y"), lambda: list(store.list())):
        with pytest.raises(ConnectionError):
            call()
    store.come_back()

    assert store.get("one") == b"x"


def test_a_counting_store_counts_requests() -> None:
    store = CountingStore(MemoryStore())
    store.put("one", b"octets")
    store.get("one")
    store.get_range("one", 0, 2)
    store.get_range("one", 2, 2)

    assert store.reads == 3
    assert store.requests["get_range", "one"] == 2
    store.reset()
    assert store.reads == 0


def test_fakes_are_stores() -> None:
    fakes: list[Store] = [FlakyStore(MemoryStore()), CountingStore(MemoryStore()), LatencyStore(MemoryStore(), 0.0)]

    for store in fakes:
        store.put("one", b"octets")
        assert store.get_range("one", 2, 2) == b"te"
    assert [store.is_local for store in fakes] == [True, True, False]
