import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from storage.edge.log import SERVER
from storage.edge.refresh import Refresher
from storage.errors import NothingPublishedError, NotServableError
from tests.storage.edge.answers import FakeSource


class Store(FakeSource):
    """A source whose refreshes end as the test says, one after the other, the last one again and again."""

    def __init__(self, *ends: int | Exception) -> None:
        super().__init__(generation=None)
        self.ends = list(ends)
        self.refreshes = 0

    def refresh(self) -> bool:
        self.refreshes += 1
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        before, self.generation = self.generation, end
        return before != end


@contextmanager
def refreshing(store: Store, refreshes: int) -> Iterator[None]:
    refresher = Refresher(store, period_s=0.001)
    refresher.start(patience_s=5)
    deadline = time.monotonic() + 5
    while store.refreshes < refreshes and time.monotonic() < deadline:
        time.sleep(0.001)
    refresher.stop()
    refresher.join(5)
    yield


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == SERVER]


def test_the_first_generation_is_there_when_start_returns() -> None:
    store = Store(7)
    refresher = Refresher(store, period_s=60)
    refresher.start(patience_s=5)
    refresher.stop()

    assert store.generation == 7


def test_start_does_not_wait_for_ever_for_a_store_that_does_not_answer() -> None:
    class Hanging(Store):
        def refresh(self) -> bool:
            time.sleep(0.5)
            return False

    refresher = Refresher(Hanging(7), period_s=60)
    began = time.monotonic()
    refresher.start(patience_s=0.01)
    refresher.stop()

    assert time.monotonic() - began < 0.4
    refresher.join(5)


def test_a_new_generation_is_picked_up_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, SERVER)
    with refreshing(Store(7, 7, 8), refreshes=4):
        assert messages(caplog) == ["generation 7 is loaded", "generation 8 is loaded"]


def test_a_failure_keeps_the_old_generation_and_is_logged_once_until_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, SERVER)
    gone = ConnectionError("no answer")
    store = Store(7, gone, gone, gone, 7)
    with refreshing(store, refreshes=6):
        assert store.generation == 7
        assert messages(caplog) == [
            "generation 7 is loaded",
            "refresh failed, generation 7 stays: ConnectionError: no answer",
            "refresh works again; generation 7 is the newest",
        ]


def test_a_copy_under_way_is_told_once_though_other_packs_are_missing_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, SERVER)
    missing = [NotServableError(8, f"pack {number} is gone") for number in range(3)]
    with refreshing(Store(7, *missing, 8), refreshes=6):
        assert messages(caplog) == [
            "generation 7 is loaded",
            "refresh failed, generation 7 stays: NotServableError: commit 8 cannot be served whole yet: pack 0 is gone",
            "generation 8 is loaded",
        ]


def test_an_empty_store_is_told_and_the_first_commit_is_found(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, SERVER)
    store = Store(NothingPublishedError("file:///store"), 1)
    with refreshing(store, refreshes=3):
        assert store.generation == 1
        assert "nothing is published in file:///store" in messages(caplog)[0]
        assert messages(caplog)[1] == "generation 1 is loaded"


def test_a_defect_does_not_end_the_refreshing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, SERVER)
    store = Store(KeyError("a defect"), 1)
    with refreshing(store, refreshes=3):
        assert store.generation == 1
        assert caplog.records[0].exc_info is not None


def test_a_refresh_that_does_not_end_is_an_alarm_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    class Hanging(Store):
        wakes = threading.Event()

        def refresh(self) -> bool:
            return self.wakes.wait(10)

    refresher = Refresher(Hanging(7), period_s=60, hangs_s=0.05)
    refresher.tell_if_it_hangs()
    refresher.start(patience_s=0.01)
    refresher.tell_if_it_hangs()
    assert messages(caplog) == []
    time.sleep(0.06)
    for _ in range(3):
        refresher.tell_if_it_hangs()

    assert messages(caplog) == ["refresh hangs, for 0 s so far: the store is silent; nothing is loaded"]
    assert caplog.records[0].__dict__["alarm"] is True
    Hanging.wakes.set()
    refresher.stop()
    refresher.join(5)
