"""A store that fails at each step of publishing, or loses its answer: before the commit nothing, after it all."""

import errno
from collections.abc import Callable

import pytest

from pregen.__main__ import main
from storage.stores import LocalStore, Store
from tests.fakes import FlakyStore
from tests.pregen.cli.ca import SERIALS, Ca, Program

Plan = Callable[[FlakyStore], None]
plans: list[Plan] = []  # empty in workers: only the publisher's own store fails


def open_flaky(address: str, _endpoint: str | None, _region: str | None) -> Store:
    from pathlib import Path

    store = FlakyStore(LocalStore(Path(address)))
    for plan in plans:
        plan(store)
    return store


@pytest.fixture
def published(ca: Ca, monkeypatch: pytest.MonkeyPatch) -> Ca:
    assert main(["run", str(ca.config)]) == 0
    monkeypatch.setattr("pregen.generation.open_publish_store", open_flaky)
    return ca


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Callable[[Plan], None]:
    return lambda plan: monkeypatch.setattr("tests.faults.test_stores.plans", [plan])
