"""Requests to a remote store are counted by what came of them, and are otherwise those of the store."""

from pathlib import Path

import pytest

from storage.edge.watching.cells import Cells, Ledger
from storage.edge.watching.counted_store import CountedStore
from storage.edge.watching.counters import STORE, Counts
from storage.stores import MemoryStore
from tests.fakes import FlakyStore


def test_what_a_store_gives_lacks_or_fails_at_is_counted(tmp_path: Path) -> None:
    inner = FlakyStore(MemoryStore())
    inner.put("packs/1", b"octets")
    store = CountedStore(inner, Counts(Cells(tmp_path)))

    assert (store.url, store.is_local) == (inner.url, inner.is_local)
    assert store.get("packs/1") == b"octets"
    assert store.get_range("packs/1", 1, 2) == b"ct"
    assert (store.exists("packs/1"), store.exists("packs/2")) == (True, False)
    assert store.clock_s(may_write=False) == pytest.approx(inner.clock_s(may_write=False), abs=60)
    with pytest.raises(FileNotFoundError):
        store.get("packs/2")
    with pytest.raises(EOFError):
        store.get_range("packs/1", 5, 2)
    inner.fail("get", times=2)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            store.get("packs/1")

    counted = {key[1:]: number for key, number in Ledger(tmp_path).read().sums.items() if key[0] == STORE and number}
    assert counted == {
        ("get", "ok"): 1,
        ("get", "absent"): 1,
        ("get", "error"): 2,
        ("get_range", "ok"): 1,
        ("get_range", "error"): 1,
        ("exists", "ok"): 2,
        ("clock", "ok"): 1,
    }
