"""Runs over urgent changes: what was revoked stays so until the source agrees, and no acceptance of a run frees it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from storage.commits import CommitTerms, find_head, new_publisher, publish
from storage.history import read_index
from storage.manifest import read_manifest
from storage.stores.local import LocalStore
from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Program
from tests.pregen.cli.source import GOOD, Source


@pytest.fixture
def source(ca: Ca, pregen: Program) -> Source:
    source = Source(ca, pregen)
    assert source.run(as_of=ca.now - timedelta(minutes=30)).code == 0
    return source


def test_a_revocation_stays_over_runs_until_the_source_agrees(source: Source) -> None:
    assert source.change("revoke", GOOD, "--reason", "keyCompromise").code == 0
    assert source.says(GOOD) == ("revoked", "keyCompromise")
    assert source.current().commit.writer_min == 3

    for _ in range(2):
        ended = source.run()

        assert ended.code == 0, ended.err
        assert "warning overlay.ahead" in ended.err
        assert source.says(GOOD) == ("revoked", "keyCompromise")
        assert len(source.current().manifest.overlays) == 1
        assert source.current().commit.writer_min == 3

    source.rows[GOOD] = "revoked", 1
    ended = source.run()
    assert ended.code == 0, ended.err
    assert "overlay.ahead" not in ended.err
    assert source.says(GOOD) == ("revoked", "keyCompromise")
    assert not source.current().manifest.overlays
    assert source.current().commit.writer_min == 2


def test_no_acceptance_of_a_run_frees_what_no_snapshot_has_confirmed(source: Source) -> None:
    assert source.change("revoke", GOOD).code == 0

    ended = source.run("--accept", "unrevoke", "--reason", "the export is right")

    assert ended.code == 0, ended.err
    assert source.says(GOOD)[0] == "revoked"
    assert "warning overlay.ahead" in ended.err
    assert "warning accept.unneeded" in ended.err


def test_what_a_snapshot_has_confirmed_is_freed_by_name_alone(source: Source) -> None:
    source.rows[GOOD] = "revoked", 4
    assert source.run().code == 0
    source.rows[GOOD] = "good", None
    source.ca.configure(validity={"profile": "lab", "lifetime": "4d"}, gates={"unrevoke": 9})

    refused = source.run()
    assert refused.code != 0
    assert "revocation.undone" in refused.err
    assert source.says(GOOD)[0] == "revoked"

    assert source.run("--accept", "unrevoke", "--reason", "revoked by mistake").code == 0
    assert source.says(GOOD)[0] == "good"


def test_key_compromise_stays_where_the_source_gives_a_weaker_reason(source: Source) -> None:
    assert source.change("revoke", GOOD, "--reason", "keyCompromise").code == 0
    source.rows[GOOD] = "revoked", 4
    for _ in range(2):
        ended = source.run()
        assert ended.code == 0, ended.err
        assert source.says(GOOD) == ("revoked", "keyCompromise")
        assert "warning overlay.ahead" in ended.err


def test_a_hold_stays_until_it_is_released_and_a_release_counts_for_snapshots_before_it(source: Source) -> None:
    assert source.change("hold", GOOD).code == 0
    assert source.run().code == 0
    assert source.says(GOOD) == ("revoked", "certificateHold")
    assert source.change("release", GOOD).code == 0
    assert source.says(GOOD)[0] == "good"

    assert source.run().code == 0
    assert source.says(GOOD)[0] == "good"
    assert not source.current().manifest.overlays


def test_what_the_snapshot_lacks_counts_for_shrink_and_stays_revoked(source: Source) -> None:
    assert source.change("revoke", GOOD).code == 0
    del source.rows[GOOD]

    refused = source.run()
    assert refused.code != 0
    assert "shrink.vanished" in refused.err
    assert "revocation.lost" not in refused.err, "it stays revoked"

    ended = source.run("--accept", "shrink", "--reason", "moved to another system")
    assert ended.code == 0, ended.err
    assert source.says(GOOD)[0] == "revoked"
    assert "warning overlay.ahead" in ended.err


def test_an_older_snapshot_misses_nothing_that_is_newer_than_it(source: Source) -> None:
    assert source.change("revoke", GOOD).code == 0
    ended = source.run(as_of=source.ca.now - timedelta(minutes=20))

    assert ended.code == 0, ended.err
    assert source.says(GOOD)[0] == "revoked"


def test_what_has_expired_leaves_its_overlay_and_is_not_missed(ca: Ca, pregen: Program) -> None:
    source = Source(ca, pregen)
    source.ends[GOOD] = ca.now + timedelta(hours=2)
    assert source.run(as_of=ca.now - timedelta(minutes=30)).code == 0
    assert source.change("revoke", GOOD).code == 0
    del source.rows[GOOD]
    later = ca.now + 20 * DAY

    ended = source.run("--now", later.isoformat(), as_of=later)

    assert ended.code == 0, ended.err
    assert not source.current().manifest.overlays


def forget(source: Source) -> None:
    """Publish the current generation again, without its history, as an older version might have."""
    store = LocalStore(source.ca.store)
    head = find_head(store)
    assert head is not None
    manifest = replace(read_manifest(store, head.commit.manifest), history=None)
    terms = CommitTerms(publisher=new_publisher(), as_of=head.commit.as_of, started_at=head.commit.started_at)
    publish(store, head, manifest, terms)


def test_what_an_overlay_revokes_stays_where_there_is_no_history(source: Source) -> None:
    assert source.change("revoke", GOOD).code == 0
    forget(source)

    ended = source.run()
    assert ended.code == 0, ended.err
    assert source.says(GOOD)[0] == "revoked"


def test_a_revocation_that_the_limit_lets_vanish_stays_and_comes_back_revoked(source: Source) -> None:
    source.rows[GOOD] = "revoked", 4
    assert source.run().code == 0
    any_size = {"share": 1.0, "count": 1_000}
    source.ca.configure(
        validity={"profile": "lab", "lifetime": "4d"}, gates={"unrevoke": 1, "shrink": any_size, "growth": any_size}
    )
    del source.rows[GOOD]
    for _ in range(2):
        ended = source.run()
        assert ended.code == 0, ended.err
        assert source.says(GOOD) == ("revoked", "superseded")

    source.rows[GOOD] = "good", None
    ended = source.run()
    assert ended.code == 0, ended.err
    assert "warning overlay.ahead" in ended.err
    assert source.says(GOOD) == ("revoked", "superseded")


def test_a_revocation_that_vanished_goes_by_name(source: Source) -> None:
    source.rows[GOOD] = "revoked", 4
    assert source.run().code == 0
    del source.rows[GOOD]
    accepted = ("--accept", "unrevoke", "--accept", "shrink", "--reason", "moved")
    ended = source.run(*accepted)

    assert ended.code == 0, ended.err
    assert not source.current().manifest.overlays


@pytest.mark.parametrize("kind", ["pack", "part"])
def test_what_is_lost_of_an_overlay_is_never_passed_over(source: Source, kind: str) -> None:
    assert source.change("revoke", GOOD).code == 0
    current, store = source.current(), LocalStore(source.ca.store)
    assert current.manifest.history is not None
    (part,) = read_index(store, current.manifest.history).overlays
    store.delete([part.pack if kind == "pack" else part.name])

    refused = source.run()
    assert refused.code != 0
    assert "history.damaged" in refused.err
    assert (part.pack if kind == "pack" else part.name) in refused.err

    assert source.run("--accept", "history.damaged", "--reason", "the disk failed").code == 0
    # Who made the change is forgotten with the part of the history; what it says is in the pack.
    assert source.says(GOOD)[0] == ("good" if kind == "pack" else "revoked")
