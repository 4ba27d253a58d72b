"""`pregen history`: what the commits of a store were, and which could be rolled back to."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from storage.commits import CommitTerms, find_head, new_publisher, publish
from storage.manifest import read_manifest
from storage.removals import encode_removals
from storage.stores import LocalStore
from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Program
from tests.storage.golden_store import COMBINED, GOLDEN, VERSION_2


def commits(pregen: Program, *words: object) -> list[dict[str, object]]:
    """Return the commits that a history shows, the newest first."""
    shown = pregen("history", *words, "--json")
    assert shown.code == 0, shown.err
    found = shown.document["commits"]
    assert isinstance(found, list)
    return found


def remove(store: LocalStore, names: list[str]) -> None:
    """Announce the removal of objects, and leave them where they are."""
    head = find_head(store)
    assert head is not None
    name, octets = encode_removals(names)
    store.put(name, octets)
    terms = CommitTerms(
        publisher=new_publisher(), as_of=head.commit.as_of, started_at=0, kind="gc", by="eve", note="n", removals=name
    )
    publish(store, head, read_manifest(store, head.commit.manifest), terms)


def test_each_commit_says_what_it_was_and_until_when_it_can_be_rolled_back_to(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    ca.export(as_of=ca.now + timedelta(seconds=1))
    assert pregen("run", ca.config).code == 0

    newest, first = commits(pregen, ca.store)

    assert (newest["number"], newest["kind"], newest["base"]) == (2, "run", 2)
    assert newest["rollback"] == {"possible": False, "until": None, "why_not": "it is the current one"}
    assert (first["number"], first["as_of"]) == (1, ca.now.isoformat().replace("+00:00", "Z"))
    assert first["counts"] == {
        "rows_in": 3,
        "certificates": 3,
        "responses": 6,
        "excluded": {},
        "revoked": 1,
        "overlays": 0,
        "in_overlays": 0,
        "revoked_in_overlays": 0,
    }
    rollback = first["rollback"]
    assert isinstance(rollback, dict)
    assert rollback["possible"] is True
    assert rollback["until"] == (ca.now + 3 * DAY - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
    shown = pregen("history", ca.store).out
    assert shown.startswith("commit 2: run, as of ")
    assert f"    can be rolled back to until {rollback['until']}\n" in shown


def test_how_often_runs_take_place_decides_until_when(ca: Ca, pregen: Program) -> None:
    for number in range(2):
        ca.export(as_of=ca.now + timedelta(seconds=number))
        assert pregen("run", ca.config).code == 0
    ca.configure(refresh={"every": "3d"})
    [_, first] = commits(pregen, "--config", ca.config)
    assert first["rollback"]["until"] == (ca.now + DAY - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")  # type: ignore[index]

    ca.configure(refresh={"every": "4d"})
    [_, first] = commits(pregen, "--config", ca.config)
    assert first["rollback"] == {"possible": False, "until": None, "why_not": "its answers end before the next run"}


def test_who_accepted_what_and_why_is_shown_with_the_commit(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    ca.export_many(2)
    words = ("--accept", "shrink", "--accept", "unrevoke", "--reason", "the old CA was closed", "--by", "alice")
    assert pregen("run", ca.config, "--as-of", (ca.now + timedelta(seconds=1)).isoformat(), *words).code == 0
    store = LocalStore(ca.store)
    remove(store, ["packs/00000000-" + "0" * 32])

    cleaned, accepted, _ = commits(pregen, ca.store)

    assert {"gate": "shrink", "reason": "the old CA was closed", "user": "alice"} in accepted["acceptances"]  # type: ignore[operator]
    assert (cleaned["kind"], cleaned["by"], cleaned["note"], cleaned["base"]) == ("gc", "eve", "n", 2)
    assert cleaned["acceptances"] == []  # it has said nothing itself
    assert "shrink accepted by alice: the old CA was closed" in pregen("history", ca.store).out


def test_what_a_list_holds_is_gone_while_it_is_still_there(ca: Ca, pregen: Program) -> None:
    for number in range(3):
        ca.export(as_of=ca.now + timedelta(seconds=number))
        assert pregen("run", ca.config).code == 0
    store = LocalStore(ca.store)
    first = commits(pregen, ca.store)[2]
    assert first["rollback"]["possible"] is True  # type: ignore[index]
    packs = {info.name for info in store.list("packs/")}
    head = find_head(store)
    assert head is not None
    kept = {one.pack for one in read_manifest(store, head.commit.manifest).searched}
    remove(store, sorted(packs - kept)[:1])

    found = commits(pregen, ca.store)

    assert [one["rollback"]["why_not"] for one in found].count("it was cleaned up") == 1  # type: ignore[index]
    assert len(found) == 4


def test_what_was_removed_or_damaged_is_told_and_hides_nothing_else(ca: Ca, pregen: Program) -> None:
    for number in range(4):
        ca.export(as_of=ca.now + timedelta(seconds=number))
        assert pregen("run", ca.config).code == 0
    log = ca.store / "commits"
    (log / f"{1:020d}").unlink()
    (log / f"{2:020d}").write_bytes(b"{}")
    third = commits(pregen, ca.store)[1]
    store = LocalStore(ca.store)
    numbers = [one["number"] for one in commits(pregen, ca.store)]
    assert numbers == [4, 3, 2, 1]
    names = {info.name for info in store.list("manifests/")}
    head = find_head(store)
    assert head is not None
    store.delete(sorted(names - {head.commit.manifest}))

    _, third, second, first = commits(pregen, ca.store)

    assert third["rollback"]["why_not"] == "it was cleaned up"  # type: ignore[index]
    assert third["counts"] is None
    assert "does not end with its checksum" in str(second["rollback"])
    assert "commit 1 is lost" in str(first["rollback"])


def test_the_last_ones_alone_are_shown_where_there_are_many(ca: Ca, pregen: Program) -> None:
    for number in range(3):
        ca.export(as_of=ca.now + timedelta(seconds=number))
        assert pregen("run", ca.config).code == 0

    shown = pregen("history", ca.store, "--last", "2")

    assert "commit 2: run" in shown.out
    assert "commit 1: run" not in shown.out
    assert shown.out.endswith("1 earlier commits: --last 0 shows all\n")
    assert len(commits(pregen, ca.store, "--last", "0")) == 3


@pytest.mark.parametrize("folder", [GOLDEN, COMBINED, VERSION_2], ids=["version-1", "combined", "version-2"])
def test_stores_of_earlier_versions_have_a_history(folder: Path, tmp_path: Path, pregen: Program) -> None:
    shutil.copytree(folder / "store", tmp_path / "store")

    found = commits(pregen, tmp_path / "store")

    assert {one["kind"] for one in found} == {"run"}
    assert [one["number"] for one in found] == [one["base"] for one in found]


def test_a_store_without_commits_has_no_history(tmp_path: Path, pregen: Program) -> None:
    assert pregen("history", tmp_path / "none").code == 4
