"""What the current generation says: its history in parts, whatever its shards were, and whom its keys belong to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pregen.gates import History
from pregen.gates.history import WITNESS
from pregen.generation.comparing.past import Past, entries_of, named, read_past, write_past
from pregen.routing_key import xxh64
from pregen.snapshot import RowStatus
from storage.history import REMEMBERED_STATUSES, IssuerHistory, read_index
from storage.reader import open_reader
from tests.pregen.generation.test_publication import NOW_S, Authority
from tests.pregen.generation.workshop import Row, load, plain_rows, various_rows
from tests.storage.golden_store import VERSION_2, golden_store

REVOKED, UNKNOWN = RowStatus.REVOKED, RowStatus.UNKNOWN


def test_what_is_left_behind_is_read_again(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(plain_rows(5))
    generation, store = authority.generation(), authority.store
    witnesses = np.array([(1, 2, 0), (2**64 - 1, -(2**62), 7)], WITNESS)
    known = IssuerHistory(5, NOW_S - 1, NOW_S - 2, (1, 2), silence_s=900, accepted=1, stopped_s=7, holes=((1, 2),))
    history = History(
        as_of=NOW_S,
        certificates=0,
        issuers={2**64 - 1: known, 3: IssuerHistory(0, -5, -9)},
        witnesses=witnesses,
        anchored=frozenset({"b", "a"}),
    )
    name, size = write_past(store, history, ())
    assert size == len(store.get(name))
    generation.manifest = replace(generation.manifest, history=name)
    past = read_past(store, generation)

    assert past.history is not None
    assert past.why_absent is None
    assert past.history.issuers == {2**64 - 1: known, 3: IssuerHistory(0, None)}
    assert past.history.witnesses.tolist() == witnesses.tolist()
    assert replace(past.history, issuers={}, witnesses=witnesses) == replace(history, issuers={}, witnesses=witnesses)


@pytest.mark.parametrize("history", [None, f"history/{1:064x}", "history/other"])
def test_a_history_that_is_not_there_is_told_apart_from_one_that_is_damaged(
    tmp_path: Path, history: str | None
) -> None:
    authority = Authority(tmp_path)
    authority.publish(plain_rows(5))
    generation = authority.generation()
    generation.manifest = replace(generation.manifest, history=history)

    past = read_past(authority.store, generation)

    assert past.history is None
    assert bool(past.damage) == (history is not None)
    assert "commit 1" in (past.why_absent or "")
    assert read_past(authority.store, None) == Past()
    assert Past().why_absent == "nothing is published yet"


def test_every_status_is_remembered_and_a_hold_is_one_of_its_own(tmp_path: Path) -> None:
    rows = [
        Row(b"\x11" * 8),
        Row(b"\x12" * 8, REVOKED, 5),
        Row(b"\x13" * 8, REVOKED, 5, 1),
        Row(b"\x14" * 8, REVOKED, 5, 6),
        Row(b"\x15" * 8, UNKNOWN, not_after=100),
    ]
    remembered = entries_of(load(tmp_path, rows))
    keys = {int(xxh64(np.frombuffer(row.serial, np.uint8)[None], np.array([1], np.uint64))[0]): row for row in rows}
    said = dict(
        zip(remembered.keys.tolist(), (REMEMBERED_STATUSES[one] for one in remembered.status.tolist()), strict=True)
    )
    assert [said[key] for key in keys] == ["good", "revoked", "revoked", "on-hold", "unknown"]
    expired = remembered.keys[remembered.expired(104)].tolist()
    assert [keys[key] for key in expired] == [rows[4]]
    assert remembered.keys.tolist() == sorted(keys)


def test_a_key_is_named_by_serial_and_issuer(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{}, {"cert_ids": "sha1"}])
    rows = [*various_rows(60, issuers=2), Row(b"\xff")]
    authority.publish(rows)
    generation, issuers = authority.generation(), authority.load()
    for row in rows:
        seed = np.array([issuers[row.issuer].issuer_id], np.uint64)
        key = int(xxh64(np.frombuffer(row.serial, np.uint8)[None], seed)[0])
        assert named(generation, key) == f"{int.from_bytes(row.serial, 'big', signed=True):x} of r{row.issuer}"
    assert named(generation, 0xABC) == "key 0000000000000abc"
    for path in (authority.folder / "store" / "packs").iterdir():
        path.unlink()
    assert named(authority.generation(), key) == f"key {key:016x}", "an example is no reason to stop"


def test_the_index_names_a_part_for_each_shard_that_has_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    published = authority.publish(plain_rows(50))
    name = authority.generation().manifest.history
    assert name is not None
    index = read_index(authority.store, name)
    assert [part.rows for part in index.parts] == [50]
    assert published.committed.history_bytes == index.parts[0].size_bytes + len(authority.store.get(name))


def test_what_overlays_say_is_read_with_the_generation_and_what_is_damaged_of_them_is_told() -> None:
    store = golden_store(VERSION_2)
    current = open_reader(store).current
    past = read_past(store, current)

    assert past.history is None
    assert not past.damage
    assert len(past.overlays) == 3, "of four records one is below a newer one"

    assert current is not None
    gone = current.manifest.overlays[0].pack
    store.delete([gone])
    assert read_past(store, current).damage == (f"{gone}: is missing",)


def test_the_name_of_a_certificate_is_found_in_overlays_too() -> None:
    store = golden_store(VERSION_2)
    current = open_reader(store).current
    assert current is not None
    for key in read_past(store, current).overlays.keys.tolist():
        assert " of " in named(current, key)
