"""The contract of storage/stores/base.py, run against every backend."""

import pickle
import secrets
import time
import tracemalloc
from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from storage.stores import LocalStore, MemoryStore, ObjectInfo, Store, StoreAddress, open_store
from storage.stores.probe import probe_racing_creates
from tests.s3 import S3Server

NewStore = Callable[[], Store]


@pytest.fixture(scope="session")
def bucket(s3_server: S3Server) -> str:
    return s3_server.new_bucket()


@pytest.fixture(params=["local", "memory", "s3"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> NewStore:
    """Make an empty store, another one at each call."""
    numbers = count()
    if request.param == "memory":
        return MemoryStore
    if request.param == "local":
        return lambda: LocalStore(tmp_path / f"store-{next(numbers)}")
    request.getfixturevalue("s3_environment")
    bucket = request.getfixturevalue("bucket")
    return lambda: open_store(StoreAddress(f"s3://{bucket}/{secrets.token_hex(8)}"))


@pytest.fixture
def store(new_store: NewStore) -> Store:
    return new_store()


def listed(store: Store, prefix: str = "") -> list[ObjectInfo]:
    return sorted(store.list(prefix))


@pytest.mark.parametrize("data", [b"", b"octets"])
@pytest.mark.parametrize("name", ["LATEST", "packs/one"])
def test_an_object_exists_from_its_writing_to_its_deletion(store: Store, name: str, data: bytes) -> None:
    assert not store.exists(name)
    store.put(name, data)
    assert store.exists(name)
    store.delete([name])
    assert not store.exists(name)
    assert not store.exists("packs")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        bytes(range(256)) * 40,
        bytearray(b"mutable"),
        memoryview(b"a part of it")[2:6],
        memoryview(array("I", [1, 2, 3])),
    ],
    ids=["empty", "one", "10KiB", "bytearray", "slice", "words"],
)
def test_what_was_put_is_what_is_read(store: Store, data: bytes | bytearray | memoryview) -> None:
    store.put("tables/one", data)

    octets = store.get("tables/one")

    assert octets == bytes(data)
    assert type(octets) is bytes


def test_a_put_replaces_the_whole_object(store: Store) -> None:
    store.put("LATEST", b"a long first value")
    store.put("LATEST", b"short")

    assert store.get("LATEST") == b"short"
    assert listed(store) == [ObjectInfo("LATEST", 5)]


def test_an_object_is_created_once(store: Store) -> None:
    store.put_if_absent("commits/1", b"mine")

    with pytest.raises(FileExistsError, match="commits/1"):
        store.put_if_absent("commits/1", b"yours")

    assert store.get("commits/1") == b"mine"
    assert listed(store) == [ObjectInfo("commits/1", 4)]


def test_a_create_does_not_replace_what_was_put(store: Store) -> None:
    store.put("commits/1", b"put")

    with pytest.raises(FileExistsError):
        store.put_if_absent("commits/1", b"created")

    assert store.get("commits/1") == b"put"


def test_what_is_not_there_is_not_found(store: Store) -> None:
    store.put("packs/there", b"x")

    for name in ("packs/absent", "packs", "LATEST", "nowhere/at/all"):
        with pytest.raises(FileNotFoundError, match=name):
            store.get(name)
        with pytest.raises(FileNotFoundError, match=name):
            store.get_range(name, 0, 1)
        store.delete([name])

    assert store.get("packs/there") == b"x"


@pytest.mark.parametrize("name", ["packs/one", "manifests/one"])
def test_a_deleted_object_is_gone_also_when_it_was_read_before(store: Store, name: str) -> None:
    store.put(name, b"octets")
    assert store.get_range(name, 0, 6) == b"octets"

    store.delete([name])

    with pytest.raises(FileNotFoundError):
        store.get_range(name, 0, 6)
    with pytest.raises(FileNotFoundError):
        store.get(name)
    assert listed(store) == []


def test_as_many_objects_are_deleted_as_are_named_and_no_others(store: Store) -> None:
    for name in ("LATEST", "packs/a", "packs/b", "packs/b2", "deep/er/one"):
        store.put(name, b"octets")

    store.delete([])
    assert len(listed(store)) == 5
    store.delete(("packs/b", "deep/er/one", "packs/absent", "nowhere/at/all", "packs", "packs/b"))

    assert [info.name for info in listed(store)] == ["LATEST", "packs/a", "packs/b2"]
    store.delete(["packs/b", "packs/a"])
    store.put("packs/b", b"again")
    assert [info.name for info in listed(store)] == ["LATEST", "packs/b", "packs/b2"]


def test_a_name_that_cannot_be_one_is_refused_before_anything_is_deleted(store: Store) -> None:
    for name in ("packs/a", "p"):
        store.put(name, b"octets")

    with pytest.raises(ValueError, match="cannot name an object"):
        store.delete(["packs/a", "../a"])
    with pytest.raises(TypeError, match="'packs/a' is one name: give a list of names"):
        store.delete("packs/a")  # a list of letters, to Python

    assert [info.name for info in listed(store)] == ["p", "packs/a"]


def test_more_objects_than_an_answer_or_a_request_of_a_server_holds(store: Store) -> None:
    names = [f"packs/{number:04}" for number in range(1_010)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: store.put(name, b"x"), ["LATEST", *names]))

    assert listed(store, "packs/") == [ObjectInfo(name, 1) for name in names]
    store.delete(names)

    assert listed(store) == [ObjectInfo("LATEST", 1)]


@pytest.mark.parametrize("name", ["packs/one", "manifests/one"])
def test_a_range_is_complete_or_an_error(store: Store, name: str) -> None:
    data = b"0123456789"
    store.put(name, data)

    for start in range(12):
        for length in range(1, 13):
            if start + length <= len(data):
                assert store.get_range(name, start, length) == data[start : start + length]
            else:
                with pytest.raises(EOFError, match=name):
                    store.get_range(name, start, length)


def test_an_empty_object_has_no_range(store: Store) -> None:
    store.put("packs/empty", b"")

    with pytest.raises(EOFError):
        store.get_range("packs/empty", 0, 1)


@pytest.mark.parametrize("length", [2 << 20, 2**40, 2**62])
def test_a_length_that_damage_made_is_an_error_and_takes_no_memory(store: Store, length: int) -> None:
    store.put("packs/one", b"octets")

    tracemalloc.start()
    try:
        with pytest.raises(EOFError):
            store.get_range("packs/one", 1, length)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak_bytes < 1 << 20


@pytest.mark.parametrize(("start", "length"), [(0, 0), (-1, 1), (0, -1), (2**63, 1), (1, 2**63 - 1)])
def test_what_is_no_range_is_refused(store: Store, start: int, length: int) -> None:
    store.put("packs/one", b"octets")

    with pytest.raises(ValueError, match="not a range"):
        store.get_range("packs/one", start, length)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", ".hidden", "a/.hidden", "a b", "a\n"),
        *("a\0b", "a%2e", "a\\b", "ä", "a?b", "a#b", "a" * 201, "http://a/b"),
    ],
)
def test_other_names_are_refused_by_everything(store: Store, name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.get(name),
        lambda: store.get_range(name, 0, 1),
        lambda: store.put(name, b""),
        lambda: store.put_if_absent(name, b""),
        lambda: store.delete([name]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="cannot name an object"):
            call()


@pytest.mark.parametrize("name", ["a", "LATEST", "0", "-", "_", "a..b", "A-1_b.c", "a/b/c/d/e", "n" * 200, "packs/x"])
def test_proper_names_are_taken_as_they_are(store: Store, name: str) -> None:
    store.put_if_absent(name, b"octets")

    assert store.get(name) == b"octets"
    assert store.get_range(name, 1, 2) == b"ct"
    assert listed(store) == [ObjectInfo(name, 6)]


def test_a_listing_has_the_objects_of_any_prefix(store: Store) -> None:
    names = ["LATEST", "packs/00-a", "packs/00-b", "packs/01-a", "packs2/x", "pac", "deep/er/one", "deep/two"]
    for size, name in enumerate(names):
        store.put(name, bytes(size))
    every = {name: ObjectInfo(name, size) for size, name in enumerate(names)}

    assert listed(store) == sorted(every.values())
    for prefix in ["p", "pac", "packs", "packs/", "packs/00", "packs/00-a", "deep", "deep/", "deep/e", "deep/er/o"]:
        assert listed(store, prefix) == sorted(info for name, info in every.items() if name.startswith(prefix))
    for prefix in ["q", "packs/2", "packs//", "/", "../", "..", ".", "deep/../", "LATEST/", "deep/two/x", "ä/", "*"]:
        assert listed(store, prefix) == []


def test_a_listing_tells_when_each_object_was_last_written(store: Store) -> None:
    began_s = time.time()
    store.put("packs/one", b"1")
    store.put_if_absent("packs/two", b"2")
    time.sleep(1.1)
    again_s = time.time()
    store.put("packs/one", b"3")

    written_s = {info.name: info.written_s for info in store.list()}

    assert began_s - 1 <= written_s["packs/two"] < again_s  # a server may leave out fractions
    assert again_s - 1 <= written_s["packs/one"] <= time.time() + 1


def test_an_empty_store_lists_nothing(store: Store) -> None:
    assert listed(store) == []


def test_a_large_object_is_read_whole_and_in_ranges_across_its_parts(store: Store) -> None:
    words = array("Q", range(20_000_000 // 8))
    data = words.tobytes()
    store.put("packs/large", memoryview(words))

    assert store.get("packs/large") == data
    for part in (4 << 20, 8 << 20, 16 << 20):
        assert store.get_range("packs/large", part - 5000, 10_000) == data[part - 5000 : part + 5000]
    assert store.get_range("packs/large", 1, 18 << 20) == data[1 : (18 << 20) + 1]
    assert listed(store) == [ObjectInfo("packs/large", len(data))]
    with pytest.raises(EOFError):
        store.get_range("packs/large", 1, len(data))


def test_a_store_says_what_time_it_is_and_keeps_no_trace_of_that(store: Store) -> None:
    says = store.clock_s()

    assert says is not None
    assert abs(says - time.time()) < 60
    assert listed(store) == []


def test_one_of_many_racing_creates_wins(store: Store) -> None:
    racers = 16 if store.is_local else 6  # SeaweedFS lets losers wait for seconds
    start = Barrier(racers)

    def create(number: int, name: str) -> bool:
        start.wait()
        try:
            store.put_if_absent(name, b"racer %d" % number)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        for turn in range(10 if store.is_local else 1):
            name = f"commits/{turn}"
            won = list(pool.map(create, range(racers), [name] * racers))
            assert won.count(True) == 1
            assert store.get(name) == b"racer %d" % won.index(True)


def test_the_probe_of_racing_creates_is_content_and_cleans_up(store: Store) -> None:
    probe_racing_creates(store)

    assert listed(store) == []


def test_readers_see_one_whole_value_while_writers_race(store: Store) -> None:
    values = [bytes([letter]) * 50_000 for letter in b"ab"]
    store.put("LATEST", values[0])

    def write(value: bytes) -> None:
        for _ in range(8):
            store.put("LATEST", value)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, value) for value in values]
        while not all(writer.done() for writer in writers):
            assert store.get("LATEST") in values
        for writer in writers:
            writer.result()


def test_errors_survive_the_way_home_from_a_worker(store: Store) -> None:
    store.put("one", b"x")
    calls: list[Callable[[], object]] = [
        lambda: store.get("absent"),
        lambda: store.get_range("one", 0, 2),
        lambda: store.put_if_absent("one", b""),
    ]
    for call in calls:
        with pytest.raises((OSError, EOFError)) as caught:
            call()
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (type(copy), str(copy)) == (type(caught.value), str(caught.value))
        assert store.url in str(copy)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None


class StoreAgainstDict(RuleBasedStateMachine):
    """Any sequence of calls has the outcome that a dict would give."""

    new_store: NewStore
    names = st.sampled_from(["LATEST", "packs/a", "packs/b", "packs/b2", "commits/1", "tables/t.json"])
    data = st.binary(max_size=40)

    def __init__(self) -> None:
        super().__init__()
        self.store = self.new_store()
        self.model: dict[str, bytes] = {}

    @rule(name=names, data=data)
    def put(self, name: str, data: bytes) -> None:
        self.store.put(name, data)
        self.model[name] = data

    @rule(name=names, data=data)
    def put_if_absent(self, name: str, data: bytes) -> None:
        if name in self.model:
            with pytest.raises(FileExistsError):
                self.store.put_if_absent(name, data)
        else:
            self.store.put_if_absent(name, data)
            self.model[name] = data

    @rule(name=names)
    def get(self, name: str) -> None:
        if name in self.model:
            assert self.store.get(name) == self.model[name]
        else:
            with pytest.raises(FileNotFoundError):
                self.store.get(name)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def get_range(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        start, length = data.draw(st.integers(0, 45)), data.draw(st.integers(1, 45))
        octets = self.model[name][start : start + length]
        if len(octets) == length:
            assert self.store.get_range(name, start, length) == octets
        else:
            with pytest.raises(EOFError):
                self.store.get_range(name, start, length)

    @rule(names=st.lists(names, max_size=4))
    def delete(self, names: list[str]) -> None:
        self.store.delete(names)
        for name in names:
            self.model.pop(name, None)

    @rule(prefix=st.sampled_from(["packs/", "packs/b", "LATEST", "commits/1", "t"]))
    def list(self, prefix: str) -> None:
        found = [ObjectInfo(name, len(data)) for name, data in self.model.items() if name.startswith(prefix)]
        assert listed(self.store, prefix) == sorted(found)

    @invariant()
    def lists_what_is_there(self) -> None:
        assert listed(self.store) == sorted(ObjectInfo(name, len(data)) for name, data in self.model.items())


def test_a_store_behaves_like_a_dict(new_store: NewStore, request: pytest.FixtureRequest) -> None:
    made = new_store

    class Machine(StoreAgainstDict):
        new_store = staticmethod(made)

    examples = 5 if "s3" in request.node.callspec.id else 25
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=25, deadline=None, database=None)
    )
