"""Runs that are overtaken: urgent changes land beside them, another run does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pregen.config import load_config
from pregen.generation.preparation import RunOptions, prepare
from pregen.generation.publication import Published, publish_prepared
from pregen.generation.work.steps import Steps
from storage.errors import CommitRefusedError
from storage.stores import Store
from tests.fakes import WrappedStore
from tests.pregen.cli.ca import Ca, Program
from tests.pregen.cli.source import GOOD, NEW, OTHER, Source
from tests.pregen.cli.test_left_behind import found
from tests.pregen.cli.two import SECOND, Row, export, second_issuer

Change = Callable[[], object]


class SlowStore(WrappedStore):
    """Lets others publish before each of the first commits that are put through it."""

    def __init__(self, inner: Store, *changes: Change) -> None:
        super().__init__(inner)
        self.changes = list(changes)

    def _call(self, operation: str, name: str, /) -> None:
        """Nothing happens to any other call."""

    def put_if_absent(self, name: str, data: bytes) -> None:
        if name.startswith("commits/") and self.changes:
            self.changes.pop(0)()
        self.inner.put_if_absent(name, data)


@pytest.fixture
def source(ca: Ca, pregen: Program) -> Source:
    source = Source(ca, pregen)
    assert source.run(as_of=ca.now - timedelta(minutes=30)).code == 0
    return source


def overtaken(source: Source, *changes: Change) -> Published:
    """Run while others publish."""
    source.export()
    prepared = prepare(load_config(source.ca.config), RunOptions(workers=1))
    store = SlowStore(prepared.store, *changes)
    published = publish_prepared(replace(prepared, store=store), Steps(), lambda *_: None)
    assert not store.changes
    return published


def test_a_revocation_that_lands_before_the_commit_of_a_run_is_on_top_of_it(source: Source) -> None:
    published = overtaken(source, lambda: source.change("revoke", GOOD, "--reason", "keyCompromise"))

    assert published.commit == 3
    assert source.says(GOOD) == ("revoked", "keyCompromise")
    assert source.says(OTHER)[0] == "good"
    assert source.current().commit.kind == "run"
    assert source.current().commit.base == 3
    ended = source.run()
    assert ended.code == 0, ended.err
    assert source.says(GOOD) == ("revoked", "keyCompromise")


def test_one_change_after_the_other_starves_no_run(source: Source) -> None:
    source.rows |= dict.fromkeys(range(8193, 8198), ("good", None))
    source.ends |= dict.fromkeys(source.rows, source.ends[GOOD])
    assert source.run().code == 0
    some = [serial for serial in source.rows if serial >= 0x2001]
    published = overtaken(source, *(lambda serial=serial: source.change("revoke", serial) for serial in some))

    assert published.commit == 3 + len(some)
    assert {source.says(serial)[0] for serial in some} == {"revoked"}


def test_what_was_heard_and_stays_is_below_what_was_published_meanwhile(source: Source) -> None:
    assert source.change("hold", GOOD).code == 0
    overtaken(source, lambda: source.change("release", GOOD))
    assert source.says(GOOD)[0] == "good"

    assert source.change("hold", GOOD).code == 0
    overtaken(source, lambda: source.change("revoke", GOOD))
    assert source.says(GOOD) == ("revoked", None)


def test_a_hold_that_lands_on_what_the_run_revokes_for_good_is_dropped(source: Source) -> None:
    source.rows[GOOD] = "revoked", 4

    def holds() -> None:
        assert source.change("hold", GOOD).code == 0
        assert source.change("revoke", OTHER).code == 0

    overtaken(source, holds)

    assert source.says(GOOD) == ("revoked", "superseded")
    assert source.says(OTHER)[0] == "revoked"
    assert source.current().manifest.overlays


def test_a_release_that_lands_on_what_the_run_revokes_for_good_is_dropped(source: Source) -> None:
    assert source.change("hold", GOOD).code == 0
    source.rows[GOOD] = "revoked", 1
    overtaken(source, lambda: source.change("release", GOOD))

    assert source.says(GOOD) == ("revoked", "keyCompromise")
    assert not source.current().manifest.overlays


def test_a_run_that_is_overtaken_by_another_run_publishes_nothing(source: Source) -> None:
    other = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)

    def runs() -> None:
        assert source.change("revoke", GOOD).code == 0
        assert source.run(as_of=other).code == 0

    with pytest.raises(CommitRefusedError):
        overtaken(source, runs)
    assert source.current().commit.number == 3
    assert source.says(GOOD)[0] == "revoked"


def test_two_first_runs_do_not_both_land(ca: Ca, pregen: Program) -> None:
    source = Source(ca, pregen)
    with pytest.raises(CommitRefusedError):
        overtaken(source, lambda: source.run(as_of=ca.now - timedelta(minutes=30)))


def test_a_new_certificate_that_lands_meanwhile_stays(source: Source) -> None:
    source.rows[NEW] = "good", None
    source.export()
    delta = source.ca.snapshot.rename(source.ca.folder / "delta.parquet")
    del source.rows[NEW]
    overtaken(source, lambda: source.pregen("delta", source.ca.config, delta, "--json"))

    assert source.says(NEW)[0] == "good"


def response(source: Source, serial: int) -> bytes:
    """Return the octets that an edge would answer."""
    path = source.ca.folder / "response.der"
    words = ("--issuer", source.ca.pem, "--serial", f"{serial:x}", "--out", path)
    assert source.pregen("lookup", source.ca.store, *words).code == 0
    return path.read_bytes()


def test_what_is_taken_over_keeps_its_signatures(source: Source) -> None:
    source.rows[GOOD] = "revoked", 4
    landed = []

    def holds() -> None:
        assert source.change("hold", GOOD).code == 0
        assert source.change("revoke", OTHER).code == 0
        landed.append(response(source, OTHER))

    overtaken(source, holds)

    assert source.says(GOOD) == ("revoked", "superseded")
    assert [response(source, OTHER)] == landed
    assert source.pregen("verify", source.ca.store, "--all").code == 0


def test_what_the_run_has_heard_is_not_taken_over_again_though_it_lies_in_another_pack(source: Source) -> None:
    some = range(8193, 8193 + 9)
    source.rows |= dict.fromkeys(some, ("good", None))
    source.ends |= dict.fromkeys(source.rows, source.ends[GOOD])
    assert source.run().code == 0
    for serial in some[:8]:
        assert source.change("revoke", serial).code == 0

    overtaken(source, lambda: source.change("revoke", some[8]))

    assert {source.says(serial)[0] for serial in some} == {"revoked"}
    assert sum(one.rows for one in source.current().manifest.overlays) == len(some)
    assert source.pregen("verify", source.ca.store, "--all").code == 0


def test_what_lands_of_an_issuer_that_is_left_behind_is_taken_over(ca: Ca, pregen: Program) -> None:
    """Its key is lost where the run is, and not where others revoke."""
    second_issuer(ca)
    ca.profile = "lab"
    ca.configure({**SECOND, "on_trouble": "leave-behind"})
    some = [Row(serial, name) for name, first in (("r1", 0x100), ("r2", 0x200)) for serial in range(first, first + 4)]
    export(ca, some, as_of=ca.now - timedelta(minutes=30))
    assert pregen("run", ca.config).code == 0
    key, lost = ca.folder / "ocsp2.key", ca.folder / "lost.key"
    key.rename(lost)
    export(ca, [row._replace(revoked_at=ca.now - timedelta(hours=1)) if row.serial == 0x101 else row for row in some])

    def changes() -> None:
        lost.rename(key)
        for command, issuer, serial in (("hold", "r1", 0x101), ("revoke", "r1", 0x102), ("revoke", "r2", 0x202)):
            ended = pregen(command, ca.config, "--issuer", issuer, "--serial", f"{serial:x}")
            assert ended.code == 0, ended.err
        key.rename(lost)

    prepared = prepare(load_config(ca.config), RunOptions(workers=1))
    published = publish_prepared(replace(prepared, store=SlowStore(prepared.store, changes)), Steps(), lambda *_: None)

    assert [one.name for one in published.left_behind] == ["r2"]
    pems = {1: ca.pem, 2: ca.folder / "other.pem"}
    said = {
        serial: found(pregen, ca, pems[serial >> 8], serial) for serial in (0x100, 0x101, 0x102, 0x200, 0x201, 0x202)
    }
    assert [serial for serial, status in said.items() if status == "revoked"] == [0x101, 0x102, 0x202]
    assert {said[serial] for serial in (0x100, 0x200, 0x201)} == {"good"}
    assert pregen("verify", ca.store, "--all").code == 0
