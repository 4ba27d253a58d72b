"""Windows and runs of version 2: they come back, name their tables, and are refused where they cannot be."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.commits import find_head
from storage.errors import ChecksumError, FormatError, MalformedError, UnknownFeatureError, UnsupportedVersionError
from storage.manifest import read_manifest
from storage.reader import LoadedTables, load_tables
from storage.stores.memory import MemoryStore
from storage.tables import Tables
from storage.tables_document import encode_tables, table_name
from storage.windows import encode_windows, read_tables, windows_name
from tests.fakes import CountingStore
from tests.storage.golden_store import golden_store
from tests.storage.test_tables import with_keys


@pytest.fixture(scope="module")
def tables() -> Tables:
    """Tables of the golden store with their windows and runs."""
    store = golden_store()
    head = find_head(store)
    assert head is not None
    return with_keys(read_tables(store, read_manifest(store, head.commit.manifest).shards[0].windows)[1])


def stored(tables: Tables, change: Callable[[Any], object] = lambda _: None) -> tuple[MemoryStore, str]:
    """Return a store of tables and windows, these with a change, and their name."""
    store, octets = MemoryStore(), encode_tables(tables)
    store.put(table_name(octets), octets)
    document = json.loads(encode_windows(tables, table_name(octets)))
    change(document)
    windows = json.dumps(document).encode()
    store.put(windows_name(windows), windows)
    return store, windows_name(windows)


def test_windows_and_runs_come_back_with_their_tables(tables: Tables) -> None:
    store, name = stored(tables)
    tables_name, back = read_tables(store, name)
    assert (back.windows, back.runs, back.issuers, back.templates) == (
        tables.windows,
        tables.runs,
        tables.issuers,
        tables.templates,
    )
    assert store.exists(tables_name)
    loaded = load_tables(store, name)
    assert (loaded.name, loaded.tables_name, loaded.tables) == (name, tables_name, back)


def test_tables_that_are_known_are_neither_read_nor_proven_again(tables: Tables) -> None:
    store, name = stored(tables)
    first = load_tables(store, name)
    counted = CountingStore(store)
    later = replace(tables, windows=tuple(replace(one, refresh_by=one.refresh_by + 1) for one in tables.windows))
    octets = encode_windows(later, first.tables_name)
    store.put(windows_name(octets), octets)
    again = load_tables(counted, windows_name(octets), {first.tables_name: first.tables})
    assert counted.operations == {"get": 1}
    assert again.tables == replace(first.tables, windows=later.windows)


REFUSED: dict[str, tuple[type[FormatError], Callable[[Any], object]]] = {
    "later version": (UnsupportedVersionError, lambda of: of.update(version=3)),
    "version 1": (UnsupportedVersionError, lambda of: of.update(version=1)),
    "feature": (UnknownFeatureError, lambda of: of.update(features=["stapled"])),
    "no features": (MalformedError, lambda of: of.pop("features")),
    "no tables": (MalformedError, lambda of: of.pop("tables")),
    "windows as tables": (MalformedError, lambda of: of.update(tables=f"windows/{0:064x}")),
    "window after the year 9999": (MalformedError, lambda of: of["windows"][0].update(next_update=253_402_300_800)),
    "window that ends before it begins": (MalformedError, lambda of: of["windows"][0].update(next_update=1)),
    "run of an unknown issuer": (MalformedError, lambda of: of["runs"][0].__setitem__(0, 9)),
    "run of an unknown shape": (MalformedError, lambda of: of["runs"][0].__setitem__(1, 999)),
    "run of an unknown window": (MalformedError, lambda of: of["runs"][0].__setitem__(2, 1)),
    "run of two numbers": (MalformedError, lambda of: of["runs"][0].pop()),
    "run of a truth": (MalformedError, lambda of: of["runs"][0].__setitem__(2, False)),
    "run whose template does not fit its issuer": (
        MalformedError,
        lambda of: [run.__setitem__(0, 1 - run[0]) for run in of["runs"]],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_windows_that_cannot_be_right_are_refused_when_they_are_loaded(tables: Tables, what: str) -> None:
    error, change = REFUSED[what]
    store, name = stored(tables, change)
    with pytest.raises(FormatError) as refused:
        load_tables(store, name)
    assert type(refused.value) is error


def test_octets_of_another_name_are_refused(tables: Tables) -> None:
    store, name = stored(tables)
    store.put(windows_name(b"others"), store.get(name))
    with pytest.raises(ChecksumError):
        read_tables(store, windows_name(b"others"))


def test_one_issuer_may_stand_twice_with_two_responders(tables: Tables) -> None:
    first = tables.issuers[0]
    rolled = replace(first, responder_certificate=None)
    runs = (*tables.runs, *(replace(run, issuer=len(tables.issuers)) for run in tables.runs if run.issuer == 0))
    store, name = stored(replace(tables, issuers=(*tables.issuers, rolled), runs=runs))
    loaded: LoadedTables = load_tables(store, name)
    wanted = loaded.wanted(first.issuer_id, 16)
    assert {loaded.tables.runs[run].issuer for run in wanted} == {0, len(tables.issuers)}
