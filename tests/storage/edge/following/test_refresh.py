import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from storage.edge.following.refresh import PERIOD_S, Refresher
from storage.edge.logs.log import SERVER
from storage.errors import NothingPublishedError, NotServableError
from tests.storage.edge.answers import FakeSource
from tests.storage.edge.processes import PATIENCE_S, wait_until


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


class Hanging(Store):
    """A source whose refreshes do not end before the test says so."""

    def __init__(self, *ends: int | Exception) -> None:
        super().__init__(*ends)
        self.wakes = threading.Event()
        self.begun = 0

    def refresh(self) -> bool:
        self.begun += 1
        self.wakes.wait()
        return super().refresh()


@contextmanager
def refreshing(store: Store, refreshes: int) -> Iterator[None]:
    refresher = Refresher(store, period_s=0.001)
    refresher.start(PATIENCE_S)
    wait_until(lambda: store.refreshes >= refreshes)
    refresher.stop()
    refresher.join(PATIENCE_S)
    yield


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == SERVER]


def test_the_first_generation_is_there_when_start_returns() -> None:
    store = Store(7)
    refresher = Refresher(store, period_s=60)
    refresher.start(PATIENCE_S)
    refresher.stop()

    assert store.generation == 7


def test_start_does_not_wait_for_ever_for_a_store_that_does_not_answer() -> None:
    store = Hanging(7)
    refresher = Refresher(store, period_s=60)
    refresher.start(patience_s=0.01)
    refresher.stop()

    assert store.refreshes == 0, "it hangs until this says that it shall not"
    store.wakes.set()
    refresher.join(PATIENCE_S)
    assert store.refreshes == 1


def test_a_new_generation_is_looked_for_well_within_the_ten_seconds_that_are_promised() -> None:
    assert 2 * PERIOD_S < 10


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
    store = Hanging(7)
    patient, impatient = (Refresher(store, period_s=60, hangs_s=hangs_s) for hangs_s in (600, 0.001))
    for refresher in (patient, impatient):
        refresher.tell_if_it_hangs()
        assert messages(caplog) == [], "it has not begun"
        refresher.start(patience_s=0.01)
    wait_until(lambda: store.begun == 2)
    time.sleep(0.001)
    for _ in range(3):
        for refresher in (patient, impatient):
            refresher.tell_if_it_hangs()

    (message,) = messages(caplog)
    assert re.fullmatch(r"refresh hangs, for \d s so far: the store is silent; nothing is loaded", message)
    assert caplog.records[0].__dict__["alarm"] is True
    store.wakes.set()
    for refresher in (patient, impatient):
        refresher.stop()
        refresher.join(PATIENCE_S)
