"""Makes the golden store with overlays anew: `python -m tests.storage.make_golden_of_changes`; see golden/README.md.

Commands of pregen publish it: a run, a delta, a revocation, a hold, and a clean-up.
"""

import shutil
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from pregen.__main__ import main
from pregen.clock import text
from storage.commits import CommitTerms, find_head, new_publisher, publish
from storage.manifest import read_manifest
from storage.removals import encode_removals
from storage.stores.local import LocalStore
from tests.storage.golden_of_changes import START, Certificate, lay_out, write_snapshot
from tests.storage.golden_store import OVERLAYS, objects_of, store_of
from tests.storage.make_golden import Row, issuers_of, rows, write_answers, write_objects

HOUR = timedelta(hours=1)
STATUSES = ("good", "revoked", "unknown")


def make() -> None:
    """Write the store and its answers."""
    base = rows()
    of = {row.label: row for row in base if row.label}
    changed = [
        Row(0, of["good-09"].serial, 1, 4, "changed-revoked"),
        Row(0, of["revoked-reason-6"].serial, 0, label="changed-good"),
        Row(0, b"\x2dnot in the shards", label="changed-new"),
    ]
    revoked = [Row(0, of["good"].serial, 1, 1, "urgent"), Row(1, of["good-self-signed"].serial, 1, 1, "urgent-2")]
    on_hold = [Row(0, of["good-16"].serial, 1, 6, "on-hold")]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        config = lay_out(folder, with_store=False)
        write_snapshot(folder / "snapshot.parquet", map(certificate_of, base))
        changes = write_snapshot(folder / "changes.parquet", map(certificate_of, changed))
        as_of = ("--as-of", text(START - HOUR / 2))
        _pregen("run", config, "--now", text(START), *as_of, "--note", "the first night")
        _pregen("delta", config, changes, "--now", text(START + HOUR), "--as-of", text(START + HOUR / 2))
        for row, name in zip(revoked, ("delegated", "self-signed"), strict=True):
            words = "--issuer", name, "--serial", row.serial.hex(), "--reason", "keyCompromise"
            _pregen("revoke", config, *words, "--now", text(START + 2 * HOUR), "--by", "Ann", "--note", "stolen laptop")
        held = "--issuer", "delegated", "--serial", on_hold[0].serial.hex()
        _pregen("hold", config, *held, "--now", text(START + 3 * HOUR))
        _clean_up(LocalStore(folder / "store"))
        objects = objects_of(folder / "store")
    write_objects(OVERLAYS / "store", objects)
    write_answers(OVERLAYS, store_of(objects), issuers_of(OVERLAYS), [*on_hold, *revoked, *changed, *base])


def certificate_of(row: Row) -> Certificate:
    """Return a row as a snapshot has it."""
    reason = row.reason if row.reason >= 0 else None
    return Certificate(row.issuer, row.serial, STATUSES[row.status], reason)


def _pregen(*words: object) -> None:
    if code := main([str(word) for word in words]):
        sys.exit(code)


def _clean_up(store: LocalStore) -> None:
    """Publish once more what is there, with a list of what goes away: a pack that nobody names, and is gone already."""
    head = find_head(store)
    assert head is not None
    name, octets = encode_removals([f"packs/00000000-{'0123456789abcdef' * 2}"])
    store.put(name, octets)
    commit = head.commit
    terms = CommitTerms(
        publisher=new_publisher(), as_of=commit.as_of, started_at=commit.started_at, kind="gc", removals=name
    )
    publish(store, head, read_manifest(store, commit.manifest), terms)


if __name__ == "__main__":
    shutil.rmtree(OVERLAYS / "store", ignore_errors=True)
    make()
