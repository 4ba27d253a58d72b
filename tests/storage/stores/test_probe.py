"""The probe of racing creates must see each way in which a store can break the promise."""

import logging
import subprocess
import sys
import time

import pytest

from storage.stores import MemoryStore
from storage.stores.probe import PROBED_FOR_S, probe_racing_creates, probed_lately
from tests.fakes import CountingStore, FlakyStore


class LooksBeforeItWrites(MemoryStore):
    """Not atomic: time passes between the look and the write."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        if name in self._objects:
            raise FileExistsError(name)
        time.sleep(0.01)
        self.put(name, data)


class TakesWhatLosersSend(MemoryStore):
    """Tells the losers so, but keeps their octets."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        try:
            super().put_if_absent(name, data)
        except FileExistsError:
            self.put(name, data)
            raise


class TakesWhatLatecomersSend(TakesWhatLosersSend):
    """The same, but only when there is no race."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        if data == b"late":
            super().put_if_absent(name, data)
        else:
            MemoryStore.put_if_absent(self, name, data)


class IgnoresTheCondition(MemoryStore):
    """An ordinary put, as a server makes of a header that it does not know."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        self.put(name, data)


class TurnsTheCondition(MemoryStore):
    """Writes only where something is, as a server did once."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        if name not in self._objects:
            raise FileExistsError(name)
        self.put(name, data)


def test_an_atomic_store_passes_and_is_left_clean() -> None:
    store = CountingStore(MemoryStore())

    probe_racing_creates(store)

    assert list(store.list()) == []
    assert store.operations["put_if_absent"] == (2 + 1) + (4 + 1) + (8 + 1)
    assert {name.partition("/")[0] for operation, name in store.requests if operation == "put_if_absent"} == {"probes"}


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        (LooksBeforeItWrites, "2 of 2 racing creates were told that they won"),
        (IgnoresTheCondition, "2 of 2 racing creates were told that they won"),
        (TakesWhatLosersSend, "overwritten by one that lost"),
        (TakesWhatLatecomersSend, "a create that was refused changed the object"),
    ],
)
def test_a_store_that_is_not_atomic_is_caught(broken: type[MemoryStore], seen: str) -> None:
    store = broken()

    with pytest.raises(OSError, match=rf"memory:: conditional writes are not atomic here \(.*({seen})"):
        probe_racing_creates(store)

    assert list(store.list()) == []


class CreatesAgainLater(MemoryStore):
    """Atomic in a race, but forgets: the condition holds for the first two requests only."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def put_if_absent(self, name: str, data: bytes) -> None:
        with self._lock:
            self.asked += 1
            forgets = self.asked > 2
        if forgets:
            self.put(name, data)
        else:
            super().put_if_absent(name, data)


def test_a_store_that_forgets_is_caught() -> None:
    with pytest.raises(OSError, match="an object that was there was created once more"):
        probe_racing_creates(CreatesAgainLater())


def test_a_store_where_nobody_wins_is_caught() -> None:
    with pytest.raises(OSError, match="none was told that it won: repeat"):
        probe_racing_creates(TurnsTheCondition())


def test_what_the_store_raises_comes_through() -> None:
    store = FlakyStore(MemoryStore())
    store.fail("put_if_absent", error=PermissionError("not allowed to write"), times=1)

    with pytest.raises(PermissionError, match="not allowed to write"):
        probe_racing_creates(store)

    assert list(store.list()) == []


def test_a_publisher_that_may_not_delete_may_still_publish(caplog: pytest.LogCaptureFixture) -> None:
    store = FlakyStore(MemoryStore())
    store.fail("delete", error=PermissionError("not allowed to delete"))

    with caplog.at_level(logging.WARNING):
        probe_racing_creates(store, rounds=(8,))

    assert "stays behind: not allowed to delete" in caplog.text


class Elsewhere(MemoryStore):
    """Not on this machine."""

    is_local = False


class ElsewhereIgnoringTheCondition(IgnoresTheCondition):
    is_local = False


def test_a_store_is_probed_once_a_day() -> None:
    store = CountingStore(Elsewhere())

    first = probed_lately(store, None, 1_000_000)
    assert first == 1_000_000
    probes = store.operations["put_if_absent"]
    assert probes > 0

    assert probed_lately(store, first, first + PROBED_FOR_S - 1) == first
    assert store.operations["put_if_absent"] == probes
    assert probed_lately(store, first, first + PROBED_FOR_S) == first + PROBED_FOR_S
    assert store.operations["put_if_absent"] == 2 * probes


def test_a_probe_of_the_future_does_not_count() -> None:
    assert probed_lately(Elsewhere(), 2_000_000, 1_000_000) == 1_000_000


def test_a_store_of_this_machine_is_our_own_code() -> None:
    assert probed_lately(IgnoresTheCondition(), None, 1_000_000) is None


def test_a_store_that_ignores_the_condition_is_refused() -> None:
    with pytest.raises(OSError, match="conditional writes are not atomic here"):
        probed_lately(ElsewhereIgnoringTheCondition(), None, 1_000_000)


PROGRAM = """
import signal
from concurrent.futures import ThreadPoolExecutor
from storage.stores import MemoryStore
from storage.stores.probe import _race
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
with ThreadPoolExecutor(1) as pool:
    _race(MemoryStore(), "probes/one", pool, 2)  # the second of them never starts
"""


def test_a_probe_that_is_interrupted_before_all_have_started_leaves_nobody_waiting() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in ended.stderr
