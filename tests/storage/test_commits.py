import errno
import hashlib
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage.commits import (
    LATEST,
    PLAIN_WRITER,
    READER_VERSION,
    WRITER_VERSION,
    Commit,
    CommitTerms,
    Head,
    check_log,
    check_writable,
    commit_name,
    decode_commit,
    encode_commit,
    find_head,
    new_publisher,
    publish,
    read_commit,
)
from storage.errors import (
    ChecksumError,
    CommitRefusedError,
    CommitUnknownError,
    FormatError,
    MalformedError,
    StorageError,
    UpgradeNeededError,
)
from storage.manifest import Manifest, Shard, read_manifest
from storage.stores import Store
from storage.stores.memory import MemoryStore
from tests.fakes import CountingStore, FlakyStore
from tests.storage.damage import with_commit

SHARD = Shard(
    low=0,
    high=1 << 32,
    pack=f"packs/00000000-{0:032x}",
    size_bytes=44,
    sha256=bytes(32),
    directory_at=8,
    directory_crc=0,
    windows=f"tables/{0:064x}",
    rows=0,
    revoked=0,
    refresh_by=0,
    next_update=0,
)
REMOVALS = f"removals/{0:064x}"
MANIFEST = Manifest(profile="lab", shards=(SHARD,), counts={"certificates": 1}, gates={})


def published(store: Store, parent: Head | None, publisher: str | None = None) -> Head:
    head, _ = publish(store, parent, MANIFEST, terms(publisher or new_publisher()))
    return head


def terms(publisher: str = "one", **members: Any) -> CommitTerms:
    return CommitTerms(publisher=publisher, as_of=1, started_at=2, **members)


def log_of(length: int, store: Store | None = None) -> tuple[Store, list[Head]]:
    """Return a store with so many commits, and the commits."""
    store = store or MemoryStore()
    heads: list[Head] = []
    for _ in range(length):
        heads.append(published(store, heads[-1] if heads else None))
    return store, heads


class CommitLog(RuleBasedStateMachine):
    """Publishers race, answers get lost and hints go wrong, but the log is a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryStore()
        self.store = FlakyStore(self.memory)
        self.log: list[Head] = []

    @initialize(length=st.integers(0, 9))
    def begin(self, length: int) -> None:
        _, self.log = log_of(length, self.memory)

    @rule()
    def publish_from_the_head(self) -> None:
        self.log.append(published(self.store, find_head(self.store)))

    @rule(count=st.integers(2, 4))
    def race(self, count: int) -> None:
        parent = find_head(self.store)
        self.log.append(published(self.store, parent))
        for _ in range(count - 1):
            self._lose(parent)

    @rule(data=st.data())
    def publish_from_an_old_head(self, data: st.DataObject) -> None:
        if self.log:
            self._lose(data.draw(st.sampled_from([None, *self.log[:-1]]), label="parent"))

    def _lose(self, parent: Head | None) -> None:
        number = parent.commit.number + 1 if parent else 1
        with pytest.raises(CommitRefusedError) as refused:
            published(self.store, parent)
        assert (refused.value.number, refused.value.winner) == (number, self.log[number - 1].commit.publisher)

    @rule(error=st.sampled_from([ConnectionError("time-out"), FileExistsError("repeated by a library")]))
    def publish_and_lose_the_answer(self, error: OSError) -> None:
        self.store.fail("put_if_absent", "commits/", error=error, applied=True)
        self.log.append(published(self.store, find_head(self.store)))
        self.store.come_back()

    @rule()
    def publish_without_an_answer_and_without_effect(self) -> None:
        self.store.fail("put_if_absent", "commits/")
        with pytest.raises(CommitUnknownError):
            published(self.store, find_head(self.store))
        self.store.come_back()

    @rule()
    def publish_on_a_full_disk(self) -> None:
        self.store.fail("put_if_absent", "commits/", error=OSError(errno.ENOSPC, "no space"))
        with pytest.raises(OSError, match="no space"):
            published(self.store, find_head(self.store))
        self.store.come_back()

    @rule()
    def another_wins_while_the_answer_is_lost(self) -> None:
        parent = find_head(self.store)
        self.log.append(published(self.memory, parent))
        self.store.fail("put_if_absent", "commits/")
        self._lose(parent)
        self.store.come_back()

    @rule()
    def publish_without_a_hint(self) -> None:
        self.store.fail("put", LATEST)
        self.log.append(published(self.store, find_head(self.store)))
        self.store.come_back()

    @rule()
    def lose_the_hint(self) -> None:
        self.memory.delete([LATEST])

    @rule(hint=st.binary(max_size=24) | st.integers(0, 10**25).map(lambda number: str(number).encode()))
    def spoil_the_hint(self, hint: bytes) -> None:
        self.memory.put(LATEST, hint)

    @rule(data=st.data())
    def let_the_hint_lag(self, data: st.DataObject) -> None:
        self.memory.put(LATEST, str(data.draw(st.integers(0, len(self.log) + 3))).encode())

    @invariant()
    def the_head_is_the_last_of_the_log(self) -> None:
        last = self.log[-1] if self.log else None
        assert find_head(self.store) == last
        for known in self.log[-4:]:
            assert find_head(self.store, known) == last

    @invariant()
    def each_commit_carries_the_digest_of_the_one_before(self) -> None:
        for older, newer in zip([None, *self.log], self.log, strict=False):
            assert newer.commit.parent == (hashlib.sha256(older.octets).digest() if older else None)
            assert read_commit(self.store, newer.commit.number) == newer


CommitLog.TestCase.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)
TestCommitLog = CommitLog.TestCase


def test_the_head_costs_the_hint_the_commit_and_a_probe_and_later_the_probe_alone() -> None:
    inner, heads = log_of(40)
    store = CountingStore(inner)
    head = find_head(store)
    assert head == heads[-1]
    assert store.requests == {("get", LATEST): 1, ("get", commit_name(40)): 1, ("get", commit_name(41)): 1}

    store.reset()
    assert find_head(store, head) is head
    assert store.requests == {("get", commit_name(41)): 1}
    assert store.operations["list"] == 0


@pytest.mark.parametrize("hint", [None, b"", b"0", b"-1", b"9" * 19, b"9" * 40, b"1", b"\xff\xfe"])
def test_a_head_far_from_its_hint_is_found_in_twice_the_logarithm_of_reads(hint: bytes | None) -> None:
    inner, heads = log_of(1000)
    inner.delete([LATEST])
    if hint is not None:
        inner.put(LATEST, hint)
    store = CountingStore(inner)
    assert find_head(store) == heads[-1]
    assert store.reads <= 2 + 2 * 10
    assert store.operations["list"] == 0


def test_nothing_is_published_in_an_empty_store() -> None:
    assert find_head(MemoryStore()) is None


def test_a_store_that_does_not_answer_is_not_an_empty_one() -> None:
    store = FlakyStore(log_of(3)[0])
    store.go_away()
    with pytest.raises(ConnectionError):
        find_head(store)


def test_a_known_commit_is_never_left_for_an_older_one() -> None:
    store, heads = log_of(5)
    for number in (3, 4, 5):
        store.delete([commit_name(number)])
    store.put(LATEST, b"2")
    assert find_head(store, heads[-1]) is heads[-1]


def test_only_the_newest_commit_is_looked_into() -> None:
    store, heads = log_of(6)
    for number in (1, 3, 5):
        store.put(commit_name(number), b"damaged")
    store.delete([LATEST])
    assert find_head(store) == heads[-1]


def test_a_store_that_goes_away_during_a_commit_leaves_its_outcome_unknown() -> None:
    store = FlakyStore(MemoryStore())
    store.fail("put_if_absent", "commits/", applied=True)
    store.fail("get", "commits/")
    with pytest.raises(CommitUnknownError, match="commit 1 of publisher abc took place is unknown") as unknown:
        published(store, None, "abc")
    store.come_back()
    head = find_head(store)
    assert head is not None
    assert head.commit.publisher == unknown.value.publisher


def test_packs_manifest_commit_and_hint_are_written_in_this_order() -> None:
    for step, names in (("put", "manifests/"), ("put_if_absent", "commits/")):
        memory = MemoryStore()
        store = FlakyStore(memory)
        store.fail(step, names, error=PermissionError("not allowed"))
        with pytest.raises(PermissionError):
            published(store, None)
        assert [info.name for info in memory.list() if info.name.startswith(("commits/", LATEST))] == []
        assert find_head(memory) is None


def test_publish_tells_how_many_octets_it_put() -> None:
    store = MemoryStore()
    _, put = publish(store, None, MANIFEST, terms())
    assert put == sum(info.size_bytes for info in store.list())


@given(at=st.integers(0, 10_000), bits=st.integers(1, 255))
def test_any_damaged_octet_of_a_commit_is_noticed(at: int, bits: int) -> None:
    octets = bytearray(log_of(2)[1][-1].octets)
    octets[at % len(octets)] ^= bits
    with pytest.raises(FormatError):
        decode_commit(2, bytes(octets))


def test_a_commit_under_another_number_is_refused() -> None:
    _, heads = log_of(2)
    with pytest.raises(MalformedError, match="says that it is commit 1"):
        decode_commit(2, heads[0].octets)


COMMIT = Commit(
    number=7, parent=bytes(32), publisher=new_publisher(), as_of=1, started_at=2, manifest=f"manifests/{0:064x}", base=7
)


def test_a_commit_for_newer_readers_says_upgrade_whatever_else_it_holds() -> None:
    octets = encode_commit(replace(COMMIT, manifest="of another form", reader_min=3))
    with pytest.raises(UpgradeNeededError, match="needs a reader of format version 3, this one knows 2"):
        decode_commit(7, octets)


def test_a_commit_for_newer_publishers_is_read_but_not_built_upon() -> None:
    head = decode_commit(7, encode_commit(replace(COMMIT, writer_min=WRITER_VERSION + 1)))
    with pytest.raises(UpgradeNeededError, match=f"needs a publisher of format version {WRITER_VERSION + 1}"):
        check_writable(head.commit)


def test_a_race_lost_to_a_newer_version_is_lost() -> None:
    store = MemoryStore()
    store.put(commit_name(1), encode_commit(replace(COMMIT, number=1, reader_min=3)))
    with pytest.raises(CommitRefusedError, match="a newer version"):
        published(store, None)


def test_members_for_people_are_no_reason_to_refuse_a_commit() -> None:
    members = json.loads(encode_commit(COMMIT))
    del members["parent"]
    odd = {"started_at": "then", "kind": 7, "by": [], "note": {}, "base": "six"}
    (octets,) = with_commit(7, members | odd).values()
    assert decode_commit(7, octets).commit == replace(COMMIT, parent=None, started_at=0)


def test_a_commit_says_what_made_it_who_and_why() -> None:
    said = replace(COMMIT, kind="revoke", by="Ann", note="laptop stolen", base=5, removals=REMOVALS)
    assert decode_commit(7, encode_commit(said)).commit == said


def test_a_commit_of_an_earlier_version_is_a_run_with_shards_of_its_own() -> None:
    members = json.loads(encode_commit(COMMIT))
    del members["kind"], members["base"]
    (octets,) = with_commit(7, members).values()
    read = decode_commit(7, octets).commit
    assert (read.kind, read.base, read.is_base, read.by, read.note, read.removals) == ("run", 7, True, None, None, None)


@pytest.mark.parametrize("base", [0, 8, -1, 1.5, None])
def test_a_base_that_cannot_be_is_none(base: Any) -> None:
    members = json.loads(encode_commit(COMMIT))
    (octets,) = with_commit(7, {**members, "base": base}).values()
    assert decode_commit(7, octets).commit.base == 7


def test_a_list_of_removals_that_cannot_be_read_is_not_taken_for_none() -> None:
    members = json.loads(encode_commit(COMMIT))
    (octets,) = with_commit(7, {**members, "removals": [REMOVALS]}).values()
    assert decode_commit(7, octets).commit.removals == ""


def test_changes_on_top_of_a_run_serve_its_shards() -> None:
    store, head, bases = MemoryStore(), None, []
    for kind in ("run", "delta", "gc", "revoke", "rollback", "hold", "run"):
        head, _ = publish(store, head, MANIFEST, terms(kind=kind))
        bases.append(head.commit.base)
    assert bases == [1, 1, 1, 1, 5, 5, 7]
    assert head is not None
    assert publish(store, head, MANIFEST, terms(kind="delta", base=3))[0].commit.base == 3


def test_overlays_and_removals_keep_out_publishers_that_know_neither_and_readers_not() -> None:
    overlaid = replace(MANIFEST, overlays=(SHARD,))
    head = None
    found = []
    for manifest, removals in ((MANIFEST, None), (overlaid, None), (MANIFEST, REMOVALS), (MANIFEST, None)):
        head, _ = publish(store := MemoryStore(), None, manifest, terms(removals=removals))
        found.append((head.commit.reader_min, head.commit.writer_min))
        assert find_head(store) == head
    assert found == [(2, 2), (2, 3), (2, 3), (2, 2)]
    assert (READER_VERSION, PLAIN_WRITER, WRITER_VERSION) == (2, 2, 3)


def test_shards_that_do_not_say_for_which_instant_they_are_complete_get_that_of_the_commit() -> None:
    store = MemoryStore()
    shards = (replace(SHARD, high=9), replace(SHARD, low=9, as_of=5))
    head, _ = publish(store, None, replace(MANIFEST, shards=shards, overlays=(SHARD,)), terms())
    assert [one.as_of for one in read_manifest(store, head.commit.manifest).searched] == [1, 1, 5]


@pytest.mark.parametrize(
    "error",
    [
        CommitRefusedError(1, "winner"),
        CommitUnknownError(1, "mine", "time-out"),
        UpgradeNeededError(1, 2, 1, "reader"),
        ChecksumError("packs/x", "is damaged"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_the_way_home_from_a_worker(error: StorageError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), vars(back)) == (type(error), str(error), vars(error))


def test_a_log_that_is_gone_is_not_taken_for_a_new_store() -> None:
    store = MemoryStore()
    check_log(store, find_head(store))
    store.put(LATEST, b"7")
    with pytest.raises(MalformedError, match="names commit 7, but there are no commits"):
        check_log(store, find_head(store))


def test_a_log_whose_end_is_missing_is_not_gone_on_with() -> None:
    store, heads = log_of(5)
    for number in (4, 5):
        store.delete([commit_name(number)])
    with pytest.raises(MalformedError, match=r"names commit 5, but only those up to 3 are there: restore .* complete"):
        check_log(store, find_head(store))
    store.put(commit_name(4), heads[3].octets)
    store.put(LATEST, b"4")
    check_log(store, heads[2])  # somebody has published since that head was found


def test_a_hint_that_lags_or_is_none_is_no_reason_to_refuse() -> None:
    store, heads = log_of(3)
    for hint in (b"1", b"3", b"", b"x"):
        store.put(LATEST, hint)
        check_log(store, heads[-1])
