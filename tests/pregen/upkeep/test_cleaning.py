"""What nothing keeps goes away, announced first; and what anybody may still need stays."""

import os
import shutil
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pregen.gates.author import Author
from pregen.upkeep import Cleaned, CleaningTerms, RetentionRules, clean
from pregen.upkeep.cleaning import DELETED_AT_ONCE
from storage.commits import CommitTerms, find_head, new_publisher, publish
from storage.errors import CommitUnknownError, FormatError, MalformedError, NothingPublishedError
from storage.markers import DEAD_AFTER_S, at_work, encode_marker
from storage.reader import open_reader
from storage.removals import read_removals, removed_since
from storage.stores import LocalStore, ObjectInfo, Store
from storage.stores.memory import MemoryStore
from tests.fakes import CountingStore, FlakyStore
from tests.pregen.upkeep.stores import (
    DAY,
    HOUR,
    NOW,
    DatedStore,
    OvertakenStore,
    assert_whole,
    generation,
    manifest_of,
    named,
    names,
    put,
)
from tests.storage.golden_store import COMBINED, GOLDEN, VERSION_2, expected_answers


@pytest.fixture
def store() -> DatedStore:
    return DatedStore()


def rules(generations: int | None = 1, days: float | None = None, grace_s: int = 0) -> RetentionRules:
    return RetentionRules(generations=generations, keep_s=None if days is None else int(days * DAY), grace_s=grace_s)


def cleaned(store: Store, keep: RetentionRules, *, is_dry: bool = False, list_names: int = 1_000) -> Cleaned:
    terms = CleaningTerms(rules=keep, is_dry=is_dry, author=Author("alice", "t-1"), list_names=list_names)
    return clean(store, terms, lambda *_: None)


def nights(store: DatedStore, count: int, *, overlays: int = 0) -> None:
    for _ in range(count):
        generation(store, overlays=overlays)
        store.age(DAY)


def test_what_the_kept_generations_name_stays_and_all_else_goes(store: DatedStore) -> None:
    nights(store, 4, overlays=1)
    old = named(store, 1, 2) - named(store, 3, 4)

    done = cleaned(store, rules(generations=2))

    assert_whole(store, 3, 4, 5)
    assert not old & names(store)
    assert {folder: one.objects for folder, one in done.gone.items()} == {
        "history": 4,
        "keys": 2,
        "manifests": 2,
        "packs": 4,
        "tables": 4,
        "windows": 4,
    }
    assert (done.generations, done.kept, done.commits) == (2, 2, (5,))
    assert {f"commits/{number:020d}" for number in range(1, 6)} <= names(store)
    head = find_head(store)
    assert head is not None
    commit = head.commit
    assert (commit.kind, commit.by, commit.note, commit.base, commit.as_of) == ("gc", "alice", "t-1", 4, NOW)
    assert commit.removals is not None
    assert read_removals(store, commit.removals) == old


def test_a_second_cleaning_has_nothing_to_do_and_makes_no_commit(store: DatedStore) -> None:
    nights(store, 3)
    cleaned(store, rules())

    again = cleaned(store, rules())

    assert (again.total.objects, again.commits) == (0, ())
    assert again.head.number == 4


def test_a_run_with_its_urgent_changes_is_one_generation(store: DatedStore) -> None:
    for kind in ("run", "delta", "revoke", "run", "hold", "rollback", "delta", "gc"):
        generation(store, kind)
        store.age(DAY)
    gone = named(store, 3) - named(store, 4)

    done = cleaned(store, rules(generations=2))

    assert (done.generations, done.kept) == (2, 5)
    assert_whole(store, 4, 5, 6, 7, 8)
    assert not gone & names(store)


def test_a_generation_stays_for_days_after_it_was_the_current_one(store: DatedStore) -> None:
    nights(store, 4)  # current from day 0, 1, 2 and 3 on; now it is day 4

    assert cleaned(store, rules(None, days=3.5), is_dry=True).generations == 4
    assert cleaned(store, rules(None, days=2.5), is_dry=True).generations == 3
    assert cleaned(store, rules(None, days=0), is_dry=True).generations == 1
    assert cleaned(store, rules(3, days=0), is_dry=True).generations == 3  # any rule keeps it
    cleaned(store, rules(None, days=2.5))

    assert_whole(store, 2, 3, 4)


def test_what_was_named_within_the_grace_stays(store: DatedStore) -> None:
    generation(store)
    store.age(10 * DAY)  # it is old itself, and yet edges have it loaded until the next one comes
    generation(store)
    store.age(2 * HOUR)

    assert cleaned(store, rules(grace_s=3 * HOUR)).total.objects == 0
    assert_whole(store, 1, 2)
    store.age(2 * HOUR)
    assert cleaned(store, rules(grace_s=3 * HOUR)).total.objects > 0
    assert_whole(store, 2)


def test_what_a_later_generation_still_names_stays_however_old_it_is(store: DatedStore) -> None:
    generation(store)
    kept = manifest_of(store)
    for _ in range(5):
        store.age(DAY)
        generation(store, keeps=kept)

    cleaned(store, rules())

    assert {one.pack for one in kept.shards} <= names(store)
    assert_whole(store, 6)


def test_what_a_dead_run_has_left_goes_and_what_a_living_one_has_put_stays(store: DatedStore) -> None:
    generation(store)
    folders = ("packs", "tables", "windows", "manifests", "history", "keys", "removals", "probes")
    dead = {put(store, folder) for folder in folders} | {put(store, "runs", encode_marker(NOW))}
    store.age(2 * DAY)
    with at_work(store, int(store.now_s)) as marker:
        store.age(HOUR)
        put_by_living = put(store, "packs")
        store.age(2 * DAY)
        store.put(marker, store.get(marker))  # renewed

        done = cleaned(store, rules(grace_s=DAY))

        assert not dead & names(store)
        assert {put_by_living, marker} <= names(store)
        assert [one.name for one in done.publishers] == [marker]
        assert done.held_back.objects == 1
    cleaned(store, rules(grace_s=DAY))
    assert put_by_living not in names(store)


def test_a_marker_that_nobody_renews_protects_for_a_few_hours_only(store: DatedStore) -> None:
    generation(store)
    put(store, "runs", encode_marker(NOW))
    orphan = put(store, "packs")
    store.age(DEAD_AFTER_S - 60)
    held = cleaned(store, rules())
    assert (held.total.objects, held.held_back.objects) == (0, 1)
    assert [one.until_s for one in held.publishers] == [NOW + DEAD_AFTER_S]
    store.age(120)

    cleaned(store, rules())

    assert orphan not in names(store)
    assert not [name for name in names(store) if name.startswith("runs/")]


def test_a_marker_that_cannot_be_read_protects_everything(store: DatedStore) -> None:
    nights(store, 2)
    put(store, "runs", b"{}")

    assert cleaned(store, rules()).total.objects == 0


def test_what_lies_there_under_other_names_is_left_alone(store: DatedStore) -> None:
    generation(store)
    others = {"README", "packs/notes.txt", "packs/old/x", "backup/packs/1", "tables/" + "0" * 63, "commits/x"}
    for name in others:
        store.put(name, b"mine")
    store.age(9 * DAY)

    cleaned(store, rules())

    assert others <= names(store)


def test_a_dry_run_tells_the_same_and_changes_nothing(store: DatedStore) -> None:
    nights(store, 3)
    before = {name: store.get(name) for name in names(store)}

    told = cleaned(store, rules(), is_dry=True)

    assert {name: store.get(name) for name in names(store)} == before
    assert told.gone == cleaned(store, rules()).gone
    assert told.commits == ()


def test_killed_after_the_commit_the_next_one_goes_on_with_the_same_list(store: DatedStore) -> None:
    nights(store, 3)
    flaky = FlakyStore(store)
    flaky.fail("delete", times=1)
    with pytest.raises(ConnectionError):
        cleaned(flaky, rules())
    head = find_head(store)
    assert head is not None
    assert head.commit.removals is not None
    announced = read_removals(store, head.commit.removals)
    assert announced <= names(store)

    done = cleaned(store, rules(generations=7, grace_s=9 * DAY))  # gone is gone, whatever the rules are now

    assert not announced & names(store)
    assert (done.finished, done.commits) == (len(announced), ())
    assert_whole(store, 3, 4)


def test_nothing_is_deleted_that_no_commit_has_announced(store: DatedStore) -> None:
    nights(store, 3)
    flaky = FlakyStore(store)
    flaky.fail("put_if_absent", "commits/", times=1)
    before = names(store)

    with pytest.raises(CommitUnknownError, match="no answer"):
        cleaned(flaky, rules())

    assert before <= names(store)


def test_overtaken_it_looks_again_and_takes_nothing_that_is_named_by_then(store: DatedStore) -> None:
    nights(store, 3)
    first = {one.pack for one in manifest_of(store, 1).shards}

    done = cleaned(OvertakenStore(store, 5), rules())

    assert done.commits == (9,)
    assert done.head.base == 3
    assert_whole(store, 8, 9)
    assert not first & names(store)


def test_a_rollback_that_comes_first_keeps_what_it_names(store: DatedStore) -> None:
    nights(store, 3)
    first, second = manifest_of(store, 1), manifest_of(store, 2)

    class RolledBackStore(FlakyStore):
        is_done = False

        def put_if_absent(self, name: str, data: bytes) -> None:
            if not self.is_done and name.startswith("commits/"):
                self.is_done = True
                terms = CommitTerms(publisher=new_publisher(), as_of=NOW, started_at=NOW, kind="rollback")
                publish(self.inner, find_head(self.inner), first, terms)
            super().put_if_absent(name, data)

    cleaned(RolledBackStore(store), rules())

    assert_whole(store, 4, 5)
    assert not {one.pack for one in second.shards} & names(store)


def test_what_has_gone_since_a_commit_is_what_the_lists_since_then_name(store: DatedStore) -> None:
    nights(store, 3)
    old = named(store, 2) - named(store, 3)
    generation(store, "delta")
    cleaned(store, rules())
    generation(store, "delta")
    head = find_head(store)
    assert head is not None

    assert old <= removed_since(store, 3, head.commit)
    assert removed_since(store, head.commit.number, head.commit) == frozenset()
    store.delete([name for name in names(store) if name.startswith("removals/")])
    with pytest.raises(MalformedError, match="commit 3 is too old to go on from"):
        removed_since(store, 3, head.commit)


def test_a_head_that_cannot_be_read_stops_it_before_anything_goes(store: DatedStore) -> None:
    nights(store, 3)
    history = manifest_of(store).history
    assert history is not None
    octets = store.get(history)
    store.delete([history])
    before = names(store)

    with pytest.raises(FileNotFoundError):
        cleaned(store, rules())
    assert names(store) == before
    store.put(history, octets[:-1])
    with pytest.raises(FormatError):
        cleaned(store, rules())
    assert names(store) == before | {history}


def test_an_old_commit_that_cannot_be_read_is_told_and_stops_nothing(store: DatedStore) -> None:
    nights(store, 4)
    (damaged,) = {name for name in named(store, 2) if name.startswith("manifests/")}
    store.put(damaged, b"{}")

    done = cleaned(store, rules(generations=3))

    assert [(one.code, one.count) for one in done.warnings] == [("gc.unreadable", 1)]
    assert_whole(store, 3, 4)


def test_an_empty_store_is_refused(store: DatedStore) -> None:
    with pytest.raises(NothingPublishedError):
        cleaned(store, rules())


@pytest.mark.parametrize("folder", [GOLDEN, COMBINED, VERSION_2], ids=["version-1", "combined", "version-2"])
def test_a_store_of_an_earlier_version_is_cleaned_and_answers_as_before(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "store", tmp_path / "store")
    store = LocalStore(tmp_path / "store")
    orphan = put(store, "packs")
    old = time.time() - 2 * DAY
    for path in (tmp_path / "store").rglob("*"):
        os.utime(path, (old, old))
    head = find_head(store)
    assert head is not None

    done = cleaned(store, rules(grace_s=DAY))

    assert orphan not in names(store)
    assert done.commits == (head.commit.number + 1,)
    assert_whole(store, head.commit.number + 1)
    reader = open_reader(store)
    for one in expected_answers(folder):
        assert (reader.lookup(one.cert_id) is None) == (one.sha256 is None)


class CrowdedStore(MemoryStore):
    """Lists very many old packs that nobody has put, and notes how many go with one request."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.largest = self.deleted = 0

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        yield from super().list(prefix)
        if prefix == "packs/":
            yield from (ObjectInfo(f"packs/00000000-{number:032x}", 1, 1.0) for number in range(self.count))

    def delete(self, names: Sequence[str]) -> None:
        self.largest = max(self.largest, len(names))
        self.deleted += len(names)
        super().delete(names)


def test_memory_does_not_grow_with_what_goes_and_a_request_names_a_thousand_objects() -> None:
    peaks = []
    for count in (10_000, 40_000):
        store = CrowdedStore(count)
        generation(store)
        tracemalloc.start()
        done = cleaned(store, rules(grace_s=DAY), list_names=5_000)
        # Lists stay in this store, so that they are no part of what the cleaning takes.
        lists = sum(info.size_bytes for info in store.list("removals/"))
        peaks.append(tracemalloc.get_traced_memory()[1] - lists)
        tracemalloc.stop()
        assert (done.total.objects, store.deleted, store.largest) == (count, count, DELETED_AT_ONCE)
        assert len(done.commits) == count // 5_000
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize(("count", "shards"), [(40, 80), pytest.param(1_000, 20, marks=pytest.mark.slow)])
def test_a_store_of_many_generations_is_cleaned_without_looking_into_what_goes(
    count: int, shards: int, tmp_path: Path
) -> None:
    memory = DatedStore()
    for _ in range(count):
        generation(memory, shards=shards)
    for name in names(memory):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(memory.get(name))
        os.utime(path, (1_000_000_000, 1_000_000_000))
    for number in range(1, count + 1):  # the last one has been the current one for an hour, each other for a day
        written = time.time() - (count - number) * DAY - HOUR
        os.utime(tmp_path / f"commits/{number:020d}", (written, written))
    store = CountingStore(LocalStore(tmp_path))
    began = time.monotonic()

    done = cleaned(store, rules(generations=7, days=14, grace_s=DAY), list_names=100_000)

    assert done.generations == 15
    assert done.total.objects == (count - 15) * (2 * shards + 4)
    assert store.reads < 150
    assert time.monotonic() - began < 60 + count / 4
    assert_whole(store, *range(count - 13, count + 1))
