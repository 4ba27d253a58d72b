import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from storage.certid import CertID
from storage.commits import LATEST, CommitTerms, commit_name, find_head, new_publisher, publish
from storage.edge.following.takeover import ServingReader
from storage.errors import CommitMissingError, NotServableError, VanishedError
from storage.manifest import Manifest, Shard, read_manifest
from storage.reader import Generation
from storage.stores import LocalStore, MemoryStore
from storage.tables import Window
from tests.fakes import CountingStore, FlakyStore, LatencyStore
from tests.judges.conftest import make_authority
from tests.storage.edge.processes import start, wait_until
from tests.storage.golden_store import GOLDEN, Expected, answer_to, golden_store, objects_of, store_of
from tests.storage.synthetic import START, Synthetic

DAY = 86_400


@dataclass(frozen=True, slots=True)
class History:
    """Two generations of a real publisher: the objects of the first, of both, and when they can be served."""

    first: dict[str, bytes]
    both: dict[str, bytes]
    now: int
    first_ends: int
    ends: int

    def new(self, kind: str) -> dict[str, bytes]:
        """Return the objects of the second generation of one kind."""
        return {name: octets for name, octets in self.both.items() if name.startswith(kind) and name not in self.first}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    authority = make_authority(tmp_path_factory.mktemp("authority"))
    first = objects_of(authority.store)
    time.sleep(1.1)  # in another second, else both have the same tables
    authority.publish(full=True)
    both = objects_of(authority.store)
    one, two = window_of(first), window_of(both)
    return History(first, both, two.produced_at + 60, one.next_update, two.next_update)


def window_of(objects: dict[str, bytes]) -> Window:
    store = store_of(objects)
    head = find_head(store)
    assert head is not None
    (window,) = next(iter(Generation(store, head).tables.values())).tables.windows
    return window


def add(store: MemoryStore, objects: dict[str, bytes]) -> None:
    for name, octets in objects.items():
        store.put(name, octets)


def serving(store: MemoryStore | CountingStore | FlakyStore | LatencyStore, now: int) -> ServingReader:
    return ServingReader(store, clock=lambda: now)


@pytest.mark.parametrize("late", ["packs/", "windows/", "manifests/"])
def test_a_copy_in_the_wrong_order_is_taken_over_when_it_is_whole(history: History, late: str) -> None:
    store = store_of(history.first)
    reader = serving(store, history.now)
    assert reader.refresh() is True
    assert history.new(late)
    add(store, {name: octets for name, octets in history.both.items() if name not in history.new(late)})

    for _ in range(2):
        with pytest.raises((NotServableError, FileNotFoundError)):
            reader.refresh()
        assert reader.generation == 1

    add(store, history.new(late))
    assert reader.refresh() is True
    assert reader.generation == 2
    assert reader.refresh() is False


@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_pack_that_is_still_being_copied_is_not_there_yet(history: History, keep: int) -> None:
    store = store_of(history.first)
    reader = serving(store, history.now)
    reader.refresh()
    add(store, history.both)
    (name, octets), *_ = history.new("packs/").items()
    store.put(name, octets[:keep])

    with pytest.raises(
        NotServableError, match=rf"commit 2 cannot be served whole yet: of \d+ packs, 1 .*{name} \(not whole\)"
    ):
        reader.refresh()
    store.put(name, octets)
    assert reader.refresh() is True


def test_a_pack_whose_directory_is_damaged_keeps_the_old_generation(history: History) -> None:
    store = store_of(history.first)
    reader = serving(store, history.now)
    reader.refresh()
    add(store, history.both)
    (name, octets), *_ = history.new("packs/").items()
    store.put(name, octets[:-1] + bytes([octets[-1] ^ 1]))

    with pytest.raises(NotServableError, match=name):
        reader.refresh()
    assert reader.generation == 1


def test_answers_that_begin_later_than_it_is_here_wait_and_the_clocks_are_named(history: History) -> None:
    store = store_of(history.first)
    times = [history.now]
    reader = ServingReader(store, clock=lambda: times[0])
    reader.refresh()
    begins = history.now - 60 - 2 * DAY  # far before any thisUpdate, and within no window either
    times[0] = begins
    add(store, history.both)

    with pytest.raises(
        NotServableError, match=r"its answers begin at 20\S+Z, which is later than it is here: look after"
    ):
        reader.refresh()
    assert reader.generation == 1
    times[0] = history.now
    assert reader.refresh() is True


def test_waiting_costs_the_probe_of_the_next_commit_and_the_packs_that_are_missing(history: History) -> None:
    store = store_of(history.first)
    counting = CountingStore(store)
    reader = serving(counting, history.now)
    reader.refresh()
    packs = history.new("packs/")
    add(store, {name: octets for name, octets in history.both.items() if name not in packs})
    with pytest.raises(NotServableError):
        reader.refresh()
    counting.reset()
    with pytest.raises(NotServableError):
        reader.refresh()

    missing = {("get_range", name): 1 for name in packs}
    assert counting.requests == {("get", commit_name(3)): 1} | missing


def test_packs_that_stay_are_not_looked_at_again() -> None:
    now, store = GOLDEN_NOW, golden_store()
    counting = CountingStore(store)
    reader = serving(counting, now)
    reader.refresh()
    publish_again(store)
    counting.reset()

    assert reader.refresh() is True
    assert counting.operations["get_range"] == 0


def test_remote_packs_are_looked_at_side_by_side(history: History) -> None:
    store = LatencyStore(store_of(history.both), 0.001)
    reader = serving(store, history.now)

    assert reader.refresh() is True
    assert reader.current is not None
    assert len(reader.current.packs) == len(reader.current.manifest.shards)


def test_a_store_that_goes_away_meanwhile_is_no_reason_to_blame_packs(history: History) -> None:
    store = store_of(history.first)
    flaky = FlakyStore(store)
    reader = serving(flaky, history.now)
    reader.refresh()
    add(store, history.both)
    flaky.fail("get_range", "packs/")

    with pytest.raises(ConnectionError):
        reader.refresh()
    assert reader.generation == 1
    flaky.come_back()
    assert reader.refresh() is True


def test_when_the_old_answers_run_out_half_a_new_generation_is_better(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_of(history.first)
    times = [history.now]
    reader = ServingReader(store, clock=lambda: times[0])
    reader.refresh()
    add(store, {name: octets for name, octets in history.both.items() if name not in history.new("packs/")})
    times[0] = history.first_ends - 60
    with pytest.raises(NotServableError):
        reader.refresh()

    times[0] += 1
    assert reader.refresh() is True
    assert reader.generation == 2
    assert "commit 2 is loaded though it cannot be served whole" in caplog.text
    assert [record.__dict__.get("alarm") for record in caplog.records] == [True]


# A new process


def test_a_new_process_serves_the_last_generation_that_is_whole_until_the_newest_is(history: History) -> None:
    store = store_of(history.both)
    for name in history.new("packs/"):
        store.delete([name])
    reader = serving(store, history.now)

    for _ in range(2):
        with pytest.raises(NotServableError, match="commit 2 cannot be served whole yet"):
            reader.refresh()
        assert reader.generation == 1
    add(store, history.both)
    assert reader.refresh() is True
    assert reader.generation == 2


@pytest.mark.parametrize("kind", ["windows/", "manifests/"])
def test_a_new_process_does_so_too_where_windows_or_manifest_are_missing(history: History, kind: str) -> None:
    store = store_of(history.both)
    for name in history.new(kind):
        store.delete([name])
    reader = serving(store, history.now)

    with pytest.raises(FileNotFoundError):
        reader.refresh()
    assert reader.generation == 1


@pytest.mark.parametrize("now", ["now", "after the end"])
def test_a_new_process_takes_the_newest_as_it_is_where_none_can_be_served(history: History, now: str) -> None:
    store = store_of(history.both)
    for name in history.new("packs/") if now != "now" else [name for name in history.both if name.startswith("packs/")]:
        store.delete([name])
    reader = serving(store, history.now if now == "now" else history.ends + 1)

    assert reader.refresh() is True
    assert reader.generation == 2


def test_a_new_process_goes_not_behind_the_one_before_where_commits_of_a_copy_are_missing() -> None:
    whole, copy = MemoryStore(), MemoryStore()
    synthetic = Synthetic(whole)
    serials = synthetic.serials(3)
    shards, overlays = synthetic.packs(serials), list[Shard]()
    synthetic.commit(shards)
    for serial in serials:
        overlays[:0] = synthetic.packs(serial[None], revoked=True)
        synthetic.commit(shards, overlays, kind="revoke")
    add(copy, {one.name: whole.get(one.name) for one in whole.list() if one.name != commit_name(3)})

    for hint in (b"4", b"5", b"1", b""):  # it may come before its commit, or much later
        copy.put(LATEST, hint)
        reader = serving(copy, START)
        assert reader.refresh() is True
        assert reader.generation == 4
    counting = CountingStore(copy)
    reader = serving(counting, START)
    reader.refresh()
    counting.reset()
    assert reader.refresh() is False
    assert not [one for one in counting.requests if one[0] == "exists" and one[1].startswith("commits/")], (
        "once is enough"
    )


def test_what_is_loaded_without_all_of_its_packs_is_not_called_ready_until_they_are_there(history: History) -> None:
    store = store_of(history.first)
    packs = {name: octets for name, octets in history.first.items() if name.startswith("packs/")}
    for name in packs:
        store.delete([name])
    reader = serving(store, history.now)
    assert reader.refresh() is True

    for _ in range(2):
        with pytest.raises(NotServableError, match=rf"commit 1 .*{next(iter(packs))}"):
            reader.refresh()
    add(store, packs)
    assert reader.refresh() is False


def test_a_server_whose_packs_are_all_missing_is_unready_until_they_are_there(history: History, tmp_path: Path) -> None:
    copy = LocalStore(tmp_path / "copy")
    packs = {name: octets for name, octets in history.first.items() if name.startswith("packs/")}
    for name in history.first.keys() - packs.keys():
        copy.put(name, history.first[name])
    with start(tmp_path, "-m", "storage.edge", str(tmp_path / "copy"), "--port", "PORT") as edge:
        wait_until(lambda: b"generation.waiting" in edge.get(b"/readyz").body)
        assert edge.get(b"/readyz").status == 503
        for name, octets in packs.items():
            copy.put(name, octets)
        wait_until(lambda: edge.get(b"/readyz").status == 200)


def test_a_server_on_a_copy_under_way_answers_from_the_generation_before(history: History, tmp_path: Path) -> None:
    late = history.new("packs/")
    copy = LocalStore(tmp_path / "copy")
    for name, octets in history.both.items():
        copy.put(name, octets[:100] if name in late else octets)
    with start(tmp_path, "-m", "storage.edge", str(tmp_path / "copy"), "--port", "PORT") as edge:
        said = edge.get(b"/readyz")
        document = json.loads(said.body)
        assert (said.status, document["state"], document["generation"]) == (200, "degraded", 1)
        assert [reason["code"] for reason in document["reasons"]] == ["generation.waiting"]
        assert "refresh failed, generation 1 stays: NotServableError: commit 2" in edge.stderr.read_text()
        for name, octets in late.items():
            copy.put(name, octets)
        wait_until(lambda: "generation 2 is loaded" in edge.stderr.read_text())
        assert json.loads(edge.get(b"/readyz").body) == {"state": "ready", "generation": 2, "reasons": []}


# Overlays: golden commit 1 has none, commit 2 has those for urgent changes

GOLDEN_NOW = 1_795_510_000


def publish_again(store: MemoryStore, change: Callable[[Manifest], Manifest] = lambda manifest: manifest) -> None:
    head = find_head(store)
    assert head is not None
    manifest = change(read_manifest(store, head.commit.manifest))
    publish(store, head, manifest, CommitTerms(publisher=new_publisher(), as_of=head.commit.as_of, started_at=0))


def before_overlays() -> MemoryStore:
    store = golden_store()
    store.delete([commit_name(2)])
    store.put(LATEST, b"1")
    return store


def asked(label: str) -> CertID:
    return answer_to(label).cert_id


def test_an_overlay_must_be_there() -> None:
    store = before_overlays()
    reader = serving(store, GOLDEN_NOW)
    reader.refresh()
    whole = golden_store()
    head = find_head(whole)
    assert head is not None
    overlay = read_manifest(whole, head.commit.manifest).overlays[-1].pack
    store.delete([overlay])
    store.put(commit_name(2), whole.get(commit_name(2)))

    with pytest.raises(NotServableError, match=overlay):
        reader.refresh()
    store.put(overlay, whole.get(overlay))
    assert reader.refresh() is True


@pytest.mark.parametrize("late", ["overlay", "shard"])
def test_the_times_of_shards_count_and_those_of_overlays_do_not(late: str) -> None:
    """One urgent answer that begins later must not hold back the others, and shards still answer for the rest."""
    store = golden_store()

    def two_times(manifest: Manifest) -> Manifest:
        later, earlier = manifest.overlays  # whose windows are a month apart
        overlay, shard = (later, earlier) if late == "overlay" else (earlier, later)
        return replace(manifest, overlays=(overlay,), shards=(replace(shard, low=0, high=1 << 32),))

    publish_again(store, two_times)
    for number in (1, 2):
        store.delete([commit_name(number)])
    reader = serving(before_overlays(), 1_793_000_000)
    reader.refresh()
    assert reader.generation == 1, "there is no better one"
    reader = serving(store, 1_793_000_000)
    assert reader.refresh() is True
    assert reader.current is not None
    assert (reader.current.freshness.begins > 1_793_000_000) == (late == "shard")


def remove_all(folder: Path) -> None:
    shutil.rmtree(folder)


def remove_what_is_in_it(folder: Path) -> None:
    for child in folder.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()


def remove_packs(folder: Path) -> None:
    shutil.rmtree(folder / "packs")


def put_another_store_there(folder: Path) -> None:
    for commit in (folder / "commits").iterdir():
        commit.write_bytes(commit.read_bytes().replace(b"publisher", b"PUBLISHER"))


@pytest.mark.parametrize("harm", [remove_all, remove_what_is_in_it, remove_packs, put_another_store_there])
def test_a_store_that_is_harmed_under_a_running_edge_is_noticed_while_its_open_packs_answer(
    harm: Callable[[Path], None], tmp_path: Path
) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    shutil.copytree(GOLDEN / "store", folder)
    shutil.copytree(GOLDEN / "store", copy)
    expected = answer_to("good-16.sha1")
    reader = ServingReader(LocalStore(folder), clock=lambda: now_of(expected))
    assert reader.refresh()
    before = reader.lookup(expected.cert_id)

    harm(folder)
    for _ in range(3):
        with pytest.raises(VanishedError, match=r"no longer holds .* which is loaded: was it removed"):
            reader.refresh()
    assert reader.lookup(expected.cert_id) == before

    shutil.rmtree(folder, ignore_errors=True)
    copy.rename(folder)
    assert reader.refresh() is False


def now_of(expected: Expected) -> int:
    assert expected.next_update is not None
    return expected.next_update - 3600


def test_looking_after_a_remote_store_costs_five_requests_each_half_minute() -> None:
    now = [now_of(answer_to("good-16.sha1"))]
    counting = CountingStore(LatencyStore(golden_store(), 0))
    reader = ServingReader(counting, clock=lambda: now[0])
    reader.refresh()
    counting.reset()
    for _ in range(10):
        now[0] += 3
        assert reader.refresh() is False

    assert counting.operations == {"get": 10 + 2, "exists": 3}


def test_a_server_whose_store_is_removed_raises_an_alarm(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "store", tmp_path / "store")
    with start(tmp_path, "-m", "storage.edge", str(tmp_path / "store"), "--port", "PORT") as server:
        wait_until(lambda: "is loaded" in server.stderr.read_text())
        shutil.rmtree(tmp_path / "store")
        wait_until(lambda: "no longer holds" in server.stderr.read_text())

        assert json.loads(server.stderr.read_text().splitlines()[-1])["alarm"] is True


@pytest.mark.parametrize("hint", [b"3", b"2", b"1", None], ids=["ahead", "next", "behind", "lost"])
def test_a_live_edge_says_which_commit_is_missing_before_a_newer_one(history: History, hint: bytes | None) -> None:
    now = [float(history.now)]
    store = store_of(history.first)
    reader = ServingReader(store, clock=lambda: now[0])
    assert reader.refresh() is True
    assert reader.refresh() is False
    if hint == b"2":
        store.put(LATEST, hint)
    else:
        store.put(commit_name(3), b"of which no octet is read yet")
        store.delete([LATEST])
        if hint is not None:
            store.put(LATEST, hint)

    for seconds in (0, 30, 29):
        now[0] += seconds
        assert reader.refresh() is False, "copies in no order need a moment"
    now[0] += 1
    with pytest.raises(CommitMissingError, match="lacks commit 2, though commit"):
        reader.refresh()
    assert reader.generation == 1

    store.delete([commit_name(3)])
    add(store, {name: octets for name, octets in history.both.items() if history.first.get(name) != octets})
    assert reader.refresh() is True
    now[0] += 60
    assert reader.refresh() is False
    now[0] += 60
    assert reader.refresh() is False


def test_on_a_remote_store_the_look_for_missing_commits_is_rare_and_lasts(history: History) -> None:
    now = [float(history.now)]
    store = CountingStore(LatencyStore(store_of(history.first), 0))
    reader = ServingReader(store, clock=lambda: now[0])
    assert reader.refresh() is True
    store.put(LATEST, b"3")
    raised = []
    for _ in range(120):
        now[0] += 1
        try:
            reader.refresh()
        except CommitMissingError:
            raised.append(now[0] - history.now)

    assert raised == [float(second) for second in range(60, 121)]
