from datetime import timedelta

from storage import commits
from storage.manifest import read_manifest
from storage.stores import LocalStore
from tests.pregen.cli.ca import SERIALS, Ca, Program


def test_an_inspection_shows_commits_shards_counts_windows_and_stored_octets(ca: Ca, pregen: Program) -> None:
    first = pregen("run", ca.config, "--json").document
    ca.export(as_of=ca.now + timedelta(seconds=1))
    second = pregen("run", ca.config, "--full", "--json").document

    ended = pregen("inspect", ca.store, "--json")

    assert (ended.code, ended.err) == (0, "")
    found = ended.document
    commits, shards, objects = found["commits"], found["shards"], found["objects"]
    assert isinstance(commits, list)
    assert isinstance(shards, list)
    assert isinstance(objects, dict)
    assert [one["number"] for one in commits] == [2, 1]
    assert commits[0]["as_of"] == f"{ca.now + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    assert [(one["rows"], one["revoked"]) for one in shards] == [(3, 1)]
    assert found["counts"] == {name: second[name] for name in ("rows_in", "certificates", "responses", "excluded")}
    stored = ca.stored()
    assert sum(folder["bytes"] for folder in objects.values()) == sum(map(len, stored.values()))
    assert objects["packs"]["count"] == 2
    assert found["current_bytes"] == len(stored[shards[0]["pack"]])
    windows = found["windows"]
    assert isinstance(windows, list)
    assert {window["next_update"] for window in windows} == {second["next_update"]}
    assert first["commit"] == 1


def test_people_see_the_newest_commit_first(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    store = LocalStore(ca.store)
    for _ in range(11):
        head = commits.find_head(store)
        assert head is not None
        manifest = read_manifest(store, head.commit.manifest)
        at = head.commit.as_of
        terms = commits.CommitTerms(publisher=commits.new_publisher(), as_of=at, started_at=at)
        commits.publish(store, head, manifest, terms)

    out = pregen("inspect", ca.store).out

    assert f"certificates  {len(SERIALS)}" in out
    numbers = [line.split(":")[0] for line in out.splitlines() if line.startswith("commit ")]
    assert numbers == [f"commit {number}" for number in range(12, 2, -1)]


def test_a_folder_without_commits_is_exit_code_4(ca: Ca, pregen: Program) -> None:
    ended = pregen("inspect", ca.store, "--json")

    assert ended.code == 4
    assert "run `pregen run` with this store, or check the address" in ended.err
    assert ended.error["code"] == "not-found"
