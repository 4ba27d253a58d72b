"""Publishers go on from the golden store with overlays, clean it, and un-revoke nobody."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from pregen.clock import text
from storage.certid import SHA1, CertID
from storage.reader import open_reader
from storage.stores.local import LocalStore
from tests.pregen.cli.ca import Program
from tests.storage.golden_of_changes import START, Certificate, lay_out, write_snapshot
from tests.storage.golden_store import OVERLAYS
from tests.storage.make_golden import rows
from tests.storage.make_golden_of_changes import certificate_of

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BASE = [certificate_of(row) for row in rows()]
NEW = Certificate(0, b"\x2dnot in the shards")
SERIALS = {row.label: row.serial for row in rows() if row.label}
# What the overlays revoke or hold and the snapshot says is good.
AHEAD = {(0, SERIALS["good-09"]), (0, SERIALS["good"]), (1, SERIALS["good-self-signed"]), (0, SERIALS["good-16"])}


class Laid:
    """A copy of the store, with keys, a configuration and a snapshot."""

    def __init__(self, folder: Path) -> None:
        self.config = lay_out(folder, with_store=True)
        self.store = LocalStore(folder / "store")
        self.snapshot([*BASE, NEW])
        self.before = self.said()

    def snapshot(self, of: Sequence[Certificate]) -> None:
        write_snapshot(self.config.parent / "snapshot.parquet", of)

    def said(self) -> dict[tuple[int, bytes], str | None]:
        """Return what is answered, by issuer and serial."""
        reader = open_reader(self.store)
        issuers = json.loads((OVERLAYS / "answers.json").read_bytes())["issuers"]
        found: dict[tuple[int, bytes], str | None] = {}
        for issuer, serial in {(one.issuer, one.serial) for one in [*BASE, NEW]}:
            name_hash, key_hash = map(bytes.fromhex, issuers[issuer]["sha1"])
            answer = reader.lookup(CertID(SHA1, name_hash, key_hash, serial))
            found[issuer, serial] = answer.status if answer else None
        return found


@pytest.fixture
def laid(tmp_path: Path) -> Laid:
    return Laid(tmp_path)


def at(days: int) -> tuple[str, ...]:
    """Return options of a run so many days after the one of the store."""
    return ("--now", text(START + days * DAY), "--as-of", text(START + days * DAY - 5 * MINUTE))


def test_the_overlays_revoke_what_the_runs_snapshot_says_is_good(laid: Laid) -> None:
    assert all(laid.before[one] == "revoked" for one in AHEAD)
    good = {(one.issuer, one.serial) for one in BASE if one.status == "good"}
    assert good >= AHEAD
    assert laid.before[NEW.issuer, NEW.serial] == "good"


@pytest.mark.parametrize("options", [(), ("--full",)], ids=["carry", "full"])
def test_runs_go_on_from_it_and_un_revoke_nobody(laid: Laid, pregen: Program, options: tuple[str, ...]) -> None:
    for days in (1, 2, 3):
        ended = pregen("run", laid.config, *at(days), *options)
        assert ended.code == 0, ended.err
        assert "warning overlay.ahead" in ended.err
        said = laid.said()
        assert all(said[one] == "revoked" for one in AHEAD)
        good = {(one.issuer, one.serial) for one in [*BASE, NEW] if one.status == "good"}
        assert {one for one in good if said[one] != "good"} == AHEAD
        assert pregen("verify", laid.store.url.removeprefix("file://")).code == 0

    agreeing = [
        one._replace(status="revoked", reason=1) if (one.issuer, one.serial) in AHEAD else one for one in [*BASE, NEW]
    ]
    laid.snapshot(agreeing)
    ended = pregen("run", laid.config, *at(4), *options)
    assert ended.code == 0, ended.err
    assert "overlay.ahead" not in ended.err
    current = open_reader(laid.store).current
    assert current is not None
    assert (current.manifest.overlays, current.manifest.overlay_keys, current.commit.writer_min) == ((), None, 2)
    said = laid.said()
    assert all(said[one] == "revoked" for one in AHEAD)


def test_urgent_changes_go_on_from_it(laid: Laid, pregen: Program) -> None:
    serial = SERIALS["good-12"]
    words = ("--issuer", "delegated", "--serial", serial.hex(), "--now", text(START + DAY))

    assert pregen("revoke", laid.config, *words).code == 0

    said = laid.said()
    assert {one for one, status in said.items() if status != laid.before[one]} == {(0, serial)}
    current = open_reader(laid.store).current
    assert current is not None
    assert (current.commit.base, current.commit.kind, len(current.manifest.overlays)) == (1, "revoke", 5)


def test_it_is_cleaned_and_answers_as_before(laid: Laid, pregen: Program) -> None:
    laid.store.put(f"packs/00000000-{7:032x}", b"left by a run that died")

    ended = pregen("gc", laid.config, "--keep", "1", "--grace", "0s")

    assert ended.code == 0, ended.err
    assert laid.said() == laid.before
    kinds = {info.name.partition("/")[0] for info in laid.store.list()}
    assert kinds >= {"commits", "packs", "tables", "windows", "manifests", "history", "keys"}
    assert not laid.store.exists(f"packs/00000000-{7:032x}")
    assert pregen("verify", laid.store.url.removeprefix("file://")).code == 0
