import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from storage.certid import SHA256, CertID
from storage.commits import LATEST, CommitTerms, commit_name, find_head, new_publisher, publish
from storage.errors import NothingPublishedError, StorageError, TruncatedError
from storage.manifest import Manifest, read_manifest
from storage.reader import Reader, load_tables, open_reader
from storage.stores.memory import MemoryStore
from tests.fakes import CountingStore, FlakyStore
from tests.storage.damage import CASES, Case, with_tables
from tests.storage.golden_store import GOLDEN, answer_to, expected_answers, golden_store, objects_of, store_of

LOADING = [case for case in CASES if case.seen == "load"]


@pytest.fixture
def store() -> MemoryStore:
    return golden_store()


def first_generation() -> MemoryStore:
    """Return the golden store before its overlays: commit 1 alone."""
    objects = objects_of(GOLDEN / "store")
    del objects[commit_name(2)]
    return store_of(objects | {LATEST: b"1"})


def publish_again(store: MemoryStore, change: Callable[[Manifest], Manifest] = lambda manifest: manifest) -> None:
    head = find_head(store)
    assert head is not None
    manifest = change(read_manifest(store, head.commit.manifest))
    publish(store, head, manifest, CommitTerms(publisher=new_publisher(), as_of=head.commit.as_of, started_at=0))


def asked(label: str) -> CertID:
    return answer_to(label).cert_id


# What a lookup costs


def test_a_cold_lookup_is_one_ranged_read_with_the_directory_in_memory_and_two_without() -> None:
    counting = CountingStore(first_generation())
    reader = open_reader(counting)
    packs: set[str] = set()
    for expected in expected_answers():
        counting.reset()
        reader.lookup(expected.cert_id)
        if not counting.requests:  # no run can hold it
            continue
        (pack,) = {name for _, name in counting.requests}
        assert counting.operations == {"get_range": 1 if pack in packs else 2}
        packs.add(pack)
    assert len(packs) == 3


def test_a_cold_start_reads_hint_commit_probe_manifest_tables_directory_and_bucket() -> None:
    counting = CountingStore(first_generation())
    assert open_reader(counting).lookup(asked("good-16.sha1")) is not None
    assert counting.operations == {"get": 5, "get_range": 2}


def test_refreshing_without_news_is_one_read() -> None:
    counting = CountingStore(golden_store())
    reader = open_reader(counting)
    counting.reset()
    assert reader.refresh() is False
    assert counting.requests == {("get", commit_name(3)): 1}


def test_directories_and_tables_that_stay_are_not_read_again(store: MemoryStore) -> None:
    counting = CountingStore(store)
    reader = open_reader(counting)
    before = reader.lookup(asked("good-16.sha1"))
    publish_again(store)
    counting.reset()
    assert reader.refresh() is True
    after = reader.lookup(asked("good-16.sha1"))
    assert {name.partition("/")[0] for _, name in counting.requests} == {"commits", "manifests", "packs"}
    assert counting.operations["get_range"] == 3  # a bucket of each overlay and of the shard
    assert before is not None
    assert after is not None
    assert (before.der, before.generation, after.generation) == (after.der, 2, 3)


def test_a_certificate_that_no_run_can_hold_costs_no_read(store: MemoryStore) -> None:
    counting = CountingStore(store)
    reader = open_reader(counting)
    counting.reset()
    for size in range(22, 65):
        assert reader.lookup(asked("good-16.sha1")._replace(serial=b"\x01" * size)) is None
    assert counting.reads == 0


# Who gets an answer


def test_other_issuers_get_none(store: MemoryStore) -> None:
    reader = open_reader(store)
    mine, other = asked("good-16.sha1"), asked("good-self-signed.sha1")
    for stranger in (
        mine._replace(issuer_name_hash=bytes(20)),
        mine._replace(issuer_key_hash=bytes(20)),
        mine._replace(issuer_key_hash=other.issuer_key_hash),
        mine._replace(serial=other.serial),
        mine._replace(hash_oid=SHA256),
        mine._replace(hash_oid="2.16.840.1.101.3.4.2.2"),
        mine._replace(serial=mine.serial[:-1]),
        mine._replace(serial=b"\0" + mine.serial),
    ):
        assert reader.lookup(stranger) is None


def test_one_serial_of_two_issuers_is_two_certificates(store: MemoryStore) -> None:
    reader = open_reader(store)
    one, two = answer_to("good-01.sha1"), answer_to("good-self-signed-same-serial.sha1")
    assert one.cert_id.serial == two.cert_id.serial
    for expected in (one, two):
        answer = reader.lookup(expected.cert_id)
        assert answer is not None
        assert answer.der == expected.der


def test_a_hash_that_no_response_answers_gets_none(store: MemoryStore) -> None:
    issuers = json.loads((GOLDEN / "answers.json").read_bytes())["issuers"]
    name_hash, key_hash = map(bytes.fromhex, issuers[1]["sha256"])
    reader = open_reader(store)
    serial = asked("good-self-signed.sha1").serial
    assert reader.lookup(asked("good-self-signed.sha1")) is not None
    assert reader.lookup(CertID(SHA256, name_hash, key_hash, serial)) is None


# Overlays


def test_what_is_said_of_a_generation_is_said_of_its_shards(store: MemoryStore) -> None:
    generation = open_reader(store).current
    assert generation is not None
    manifest = generation.manifest
    assert manifest.overlays, "the golden store has lost its overlays"
    assert manifest.counts["certificates"] == sum(shard.rows for shard in manifest.shards)
    before = open_reader(first_generation()).current
    assert before is not None
    assert generation.freshness.fresh_until == before.freshness.fresh_until
    assert generation.freshness.holds_until == before.freshness.holds_until
    assert generation.freshness.refresh_by == before.freshness.refresh_by


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_a_revocation_in_an_overlay_beats_the_shards_good(name: str) -> None:
    expected = answer_to(f"overlay-revoked.{name}")
    before = open_reader(first_generation()).lookup(expected.cert_id)
    after = open_reader(golden_store()).lookup(expected.cert_id)
    assert before is not None
    assert after is not None
    assert (before.status, after.status, after.der) == ("good", "revoked", expected.der)


def test_an_overlay_answers_also_when_its_window_has_run_out() -> None:
    expected = answer_to("overlay-expired.sha1")
    before = open_reader(first_generation()).lookup(expected.cert_id)
    after = open_reader(golden_store()).lookup(expected.cert_id)
    assert before is not None
    assert after is not None
    assert (before.status, after.status) == ("good", "revoked")
    assert after.next_update < before.this_update


def test_an_overlay_hit_is_final_also_where_its_record_has_no_response_for_the_hash() -> None:
    def for_sha256_alone(tables: Any) -> None:
        for shape in tables["shapes"]:
            shape["responses"][0]["hashes"] = ["1.2.3"]

    objects = objects_of(GOLDEN / "store")
    reader = open_reader(store_of(objects | with_tables(objects, for_sha256_alone)))
    assert reader.lookup(asked("overlay-revoked.sha1")) is None  # and never the shard's "good"
    answer = reader.lookup(asked("overlay-revoked.sha256"))
    assert answer is not None
    assert answer.status == "revoked"


def test_the_newest_overlay_wins(store: MemoryStore) -> None:
    revoked = asked("overlay-revoked.sha1")
    publish_again(
        store,
        lambda manifest: replace(manifest, overlays=manifest.overlays[::-1]),
    )
    answer = open_reader(store).lookup(revoked)
    assert answer is not None
    assert answer.status == "unknown"  # what the older one says


def test_an_overlay_may_hold_what_no_shard_holds(store: MemoryStore) -> None:
    new = asked("overlay-new.sha1")
    assert open_reader(first_generation()).lookup(new) is None
    assert open_reader(store).lookup(new) is not None


def test_an_overlay_without_the_key_is_not_read(store: MemoryStore) -> None:
    def empty_range(manifest: Manifest) -> Manifest:
        return replace(manifest, overlays=tuple(replace(overlay, low=0, high=1) for overlay in manifest.overlays))

    publish_again(store, empty_range)
    counting = CountingStore(store)
    reader = open_reader(counting)
    counting.reset()
    answer = reader.lookup(asked("overlay-revoked.sha1"))
    assert answer is not None
    assert answer.status == "good"
    assert counting.operations == {"get_range": 2}


# Damage


@pytest.mark.parametrize("case", LOADING, ids=lambda case: case.name)
def test_a_damaged_generation_is_refused_and_the_old_one_stays(case: Case) -> None:
    objects = objects_of(GOLDEN / "store")
    store = first_generation()
    reader = open_reader(store)
    before = reader.lookup(asked("overlay-revoked.sha1"))
    for name, octets in (objects | case.changed(objects)).items():
        store.put(name, octets)
    for _ in range(2):
        with pytest.raises(case.error):
            reader.refresh()
        assert reader.generation == 1
        assert reader.lookup(asked("overlay-revoked.sha1")) == before

    for name in case.changed(objects):  # the damage is repaired
        store.delete([name])
    for name, octets in objects.items():
        store.put(name, octets)
    assert reader.refresh() is True
    assert reader.generation == 2


@pytest.mark.parametrize("prefix", ["commits/", "manifests/", "tables/"])
def test_a_store_that_goes_away_while_loading_leaves_the_old_generation(prefix: str) -> None:
    inner = first_generation()
    flaky = FlakyStore(inner)
    reader = open_reader(flaky)
    before = reader.lookup(asked("good-16.sha1"))
    for name, octets in objects_of(GOLDEN / "store").items():
        inner.put(name, octets)
    flaky.fail("get", prefix)
    with pytest.raises(ConnectionError):
        reader.refresh()
    assert (reader.generation, reader.lookup(asked("good-16.sha1"))) == (1, before)
    flaky.come_back()
    assert reader.refresh() is True


@pytest.mark.parametrize("folder", ["manifests/", "tables/"])
def test_an_object_that_is_gone_leaves_the_old_generation(folder: str) -> None:
    store = first_generation()
    reader = open_reader(store)
    for name, octets in objects_of(GOLDEN / "store").items():
        store.put(name, octets)
    for name in set(objects_of(GOLDEN / "store")) - {info.name for info in first_generation().list("commits/")}:
        if name.startswith(folder):
            store.delete([name])
    with pytest.raises(FileNotFoundError):
        reader.refresh()
    assert reader.generation == 1


def test_damage_in_one_bucket_leaves_the_answers_of_the_others() -> None:
    objects = objects_of(GOLDEN / "store")
    case = next(case for case in CASES if case.name == "pack-bucket-flipped")
    reader = open_reader(store_of(objects | case.changed(objects)))
    outcomes = {"answered": 0, "refused": 0}
    for expected in expected_answers():
        try:
            answer = reader.lookup(expected.cert_id)
        except case.error:
            outcomes["refused"] += 1
        else:
            outcomes["answered"] += answer is not None
    assert 0 < outcomes["refused"] < outcomes["answered"]


def test_a_pack_that_ends_early_is_truncated_also_after_its_directory_was_read(store: MemoryStore) -> None:
    reader = open_reader(store)
    expected = answer_to("good-01.sha1")
    assert reader.lookup(expected.cert_id) is not None
    for info in list(store.list("packs/")):
        if info.size_bytes > 1000:
            store.put(info.name, store.get(info.name)[:10])
    with pytest.raises(TruncatedError, match="ends within bucket"):
        reader.lookup(expected.cert_id)


def test_a_directory_that_could_not_be_read_is_read_by_the_next_lookup() -> None:
    flaky = FlakyStore(first_generation())
    reader = open_reader(flaky)
    flaky.fail("get_range", "packs/", times=1)
    with pytest.raises(ConnectionError):
        reader.lookup(asked("good-16.sha1"))
    assert reader.lookup(asked("good-16.sha1")) is not None


# Before anything is loaded, and what is said about it


def test_nothing_is_answered_before_anything_is_published() -> None:
    reader = Reader(MemoryStore())
    assert (reader.generation, reader.freshness, reader.current) == (None, None, None)
    with pytest.raises(NothingPublishedError, match="nothing is published in memory:"):
        reader.lookup(asked("good-16.sha1"))
    with pytest.raises(NothingPublishedError):
        reader.refresh()


def test_a_reader_says_which_generation_it_has_and_until_when_it_is_fresh(store: MemoryStore) -> None:
    reader = open_reader(store)
    answers = [reader.lookup(expected.cert_id) for expected in expected_answers()]
    assert reader.generation == 2
    assert reader.freshness is not None
    assert reader.freshness.fresh_until == max(answer.next_update for answer in answers if answer)
    assert {answer.generation for answer in answers if answer} == {2}


def test_tables_are_proven_when_they_are_loaded() -> None:
    objects = objects_of(GOLDEN / "store")
    case = next(case for case in CASES if case.name == "tables-wrong-known-answer")
    changed = case.changed(objects)
    name = next(name for name in changed if name.startswith("tables/"))
    with pytest.raises(StorageError, match="shape 0 does not reproduce its known answer 0"):
        load_tables(store_of(changed), name)
