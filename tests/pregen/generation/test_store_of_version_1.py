"""A store that an earlier version made is published over, and what stays from night to night is stored once."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from pregen.config import load_config
from pregen.generation import Published, RunOptions, run
from pregen.issuers import load_issuers
from pregen.signers import ALGORITHMS
from pregen.verification import load_public_key, parse_response, verify_signature
from storage.commits import find_head
from storage.reader import Reader, open_reader
from storage.stores.local import LocalStore
from tests.pregen.generation.workshop import NOW
from tests.storage.golden_store import COMBINED, expected_answers

DAY = timedelta(days=1)
ISSUERS = ("p256", "ed25519", "pss")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a golden store of version 1 with the keys and all certificates of its issuers."""
    shutil.copytree(COMBINED / "keys", tmp_path, dirs_exist_ok=True)
    shutil.copytree(COMBINED / "store", tmp_path / "store")
    for key in tmp_path.glob("*.key"):
        key.chmod(0o600)
    config = tmp_path / "pregen.toml"
    config.write_text(f'[snapshot]\npath = "s.parquet"\n[validity]\nprofile = "lab"\n{config.read_text()}')
    asked = [one for one in json.loads((COMBINED / "answers.json").read_bytes())["answers"] if one["sha256"]]
    labels = [ISSUERS[one["issuer"]] for one in asked]
    statuses = said_by(open_reader(LocalStore(COMBINED / "store")))
    rows = sorted(set(zip(labels, [bytes.fromhex(one["serial"]) for one in asked], statuses, strict=True)))
    table = pa.table(
        {
            "issuer": [issuer for issuer, _, _ in rows],
            "serial": pa.array([serial for _, serial, _ in rows], pa.binary()),
            "status": [status for _, _, status in rows],
            "revoked_at": pa.array(
                [NOW - DAY if status == "revoked" else None for _, _, status in rows], pa.timestamp("s", "UTC")
            ),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "s.parquet")
    return tmp_path


def said_by(reader: Reader) -> list[str]:
    """Return the status of each certificate that the golden store was asked for."""
    answers = [reader.lookup(one.cert_id) for one in expected_answers(COMBINED) if one.sha256]
    return [answer.status if answer else "none" for answer in answers]


def publish(folder: Path, day: int) -> Published:
    now = NOW + day * DAY
    options = RunOptions(now=now, as_of=now - timedelta(minutes=1), workers=1)
    return run(load_config(folder / "pregen.toml"), options, lambda *_: None)


def objects(store: LocalStore, place: str) -> set[str]:
    return {info.name for info in store.list(place)}


def test_a_store_of_version_1_becomes_one_of_version_2_with_its_next_generation(folder: Path) -> None:
    store = LocalStore(folder / "store")
    reader: Reader = open_reader(store)
    assert reader.current is not None
    assert reader.current.commit.reader_min == 1
    before = {name: store.get(name) for name in objects(store, "")}

    published = publish(folder, day=1)

    assert published.commit == 2
    assert {name: store.get(name) for name in before if name != "LATEST"} == {
        name: octets for name, octets in before.items() if name != "LATEST"
    }
    head = find_head(store)
    assert head is not None
    assert (head.commit.reader_min, head.commit.writer_min) == (2, 2)
    assert json.loads(store.get(head.commit.manifest))["version"] == 2
    assert reader.refresh() is True
    assert said_by(reader) == said_by(open_reader(LocalStore(COMBINED / "store")))
    assert {"good", "revoked", "unknown"} == set(said_by(reader))
    answers = [reader.lookup(one.cert_id) for one in expected_answers(COMBINED) if one.sha256]
    assert {answer and answer.generation for answer in answers} == {2}


def test_a_night_stores_its_windows_and_names_the_tables_that_are_there(folder: Path) -> None:
    store = LocalStore(folder / "store")
    of_version_1 = objects(store, "tables/")
    publish(folder, day=1)
    first, windows = objects(store, "tables/"), objects(store, "windows/")
    assert (len(first - of_version_1), len(windows)) == (1, 1)
    reader = open_reader(store)

    publish(folder, day=2)

    assert objects(store, "tables/") == first
    assert len(objects(store, "windows/") - windows) == 1
    assert reader.refresh() is True
    answer = reader.lookup(expected_answers(COMBINED)[0].cert_id)
    assert answer is not None
    assert answer.this_update > (NOW + DAY).timestamp()


def test_what_version_1_signed_is_carried_over_or_signed_anew_and_all_of_it_verifies(folder: Path) -> None:
    first = publish(folder, day=1)
    assert first.reasons.carried + sum(first.reasons.signed.values()) == first.survey.certificates
    issuers = {one.issuer_id: one for one in load_issuers(load_config(folder / "pregen.toml"), NOW)[0]}
    reader = open_reader(LocalStore(folder / "store"))
    assert reader.current is not None
    known = {
        (oid, stored.name_hashes[oid]): issuers[stored.issuer_id]
        for loaded in reader.current.tables.values()
        for stored in loaded.tables.issuers
        for oid in stored.name_hashes
    }
    for asked in (one.cert_id for one in expected_answers(COMBINED) if one.sha256):
        answer, responder = reader.lookup(asked), known[asked.hash_oid, asked.issuer_name_hash].responder
        assert answer is not None
        parsed = parse_response(answer.der)
        verify_signature(parsed, load_public_key(responder.public_key), ALGORITHMS[responder.algorithm])
        assert {one.status for one in parsed.statements} == {answer.status}
    second = publish(folder, day=1)
    assert second.reasons.carried + second.kept == second.survey.certificates
