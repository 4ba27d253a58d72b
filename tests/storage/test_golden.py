"""The golden files: answered as they were when they were made, and refused when they are damaged."""

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pregen.audit import verify_store
from storage.certid import HASH_OIDS
from storage.commits import check_writable, read_commit
from storage.errors import StorageError
from storage.history import read_index
from storage.overlay_part import ORIGINS, read_overlay_part
from storage.reader import open_reader
from storage.removals import read_removals
from tests.judges.parsers import PublicKey, read_by_asn1crypto
from tests.storage.damage import CASES, ODDITIES, Case, Oddity
from tests.storage.damage_of_overlays import CASES_OF_OVERLAYS
from tests.storage.damage_of_version_2 import CASES_OF_VERSION_2
from tests.storage.golden_store import (
    COMBINED,
    GOLDEN,
    OVERLAYS,
    VERSION_2,
    accepted_cases,
    expected_answers,
    golden_store,
    objects_of,
    store_of,
)

ECDSA_SHA256, ED25519, RSASSA_PSS = "1.2.840.10045.4.3.2", "1.3.101.112", "1.2.840.113549.1.1.10"
EVERY = [(GOLDEN, case) for case in CASES] + [(VERSION_2, case) for case in CASES_OF_VERSION_2]
EVERY += [(OVERLAYS, case) for case in CASES_OF_OVERLAYS]
COMMITTED = [(folder, case) for folder, case in EVERY if case.is_committed]


@pytest.mark.parametrize("folder", [GOLDEN, COMBINED, VERSION_2, OVERLAYS])
def test_a_golden_store_gives_the_answers_it_always_gave(folder: Path) -> None:
    reader = open_reader(golden_store(folder))
    statuses = set()
    for expected in expected_answers(folder):
        answer = reader.lookup(expected.cert_id)
        if answer is None:
            assert expected.sha256 is None
            continue
        assert hashlib.sha256(answer.der).hexdigest() == expected.sha256
        assert answer.next_update == expected.next_update
        assert expected.der in {None, answer.der}
        statuses.add(answer.status)
    assert statuses == {"good", "revoked", "unknown"}


def test_golden_answers_hold_every_serial_length_reason_and_a_negative_serial() -> None:
    answers = [one for one in expected_answers() if one.der]
    read = [(one, said) for one in answers for said in read_by_asn1crypto(one.der or b"").statements]
    assert len(read) == len(answers)
    assert {len(one.cert_id.serial) for one in answers} >= set(range(1, 22))
    assert {said.reason for _, said in read} == {None, 1, 2, 3, 4, 5, 6, 9, 10}
    assert min(said.serial for _, said in read) < 0
    for one, said in read:
        assert (said.serial, HASH_OIDS[said.hash_name]) == (one.cert_id.serial_number, one.cert_id.hash_oid)


def test_combined_golden_answers_hold_both_hashes_in_one_response_or_one_hash_alone() -> None:
    document = json.loads((COMBINED / "answers.json").read_bytes())
    answers = list(zip(document["answers"], expected_answers(COMBINED), strict=True))
    names = tuple(HASH_OIDS)
    assert len({one.sha256 for _, one in answers} - {None}) == 18
    for asked, expected in answers:
        answered = (names, names, ("sha256",))[asked["issuer"]]
        assert (expected.der is None) == (asked["hash"] not in answered)
        if expected.der:
            statements = read_by_asn1crypto(expected.der).statements
            assert tuple(one.hash_name for one in statements) == answered
            assert {one.serial for one in statements} == {expected.cert_id.serial_number}


@pytest.mark.parametrize("folder", [GOLDEN, COMBINED, VERSION_2, OVERLAYS])
def test_golden_answers_are_signed_by_the_golden_keys(folder: Path) -> None:
    document = json.loads((folder / "answers.json").read_bytes())
    sections = tomllib.loads((folder / "keys" / "pregen.toml").read_text())["issuer"]
    keys = [load_pem_private_key((folder / "keys" / section["key"]).read_bytes(), None) for section in sections]
    for asked, expected in zip(document["answers"], expected_answers(folder), strict=True):
        if expected.der:
            key = keys[asked["issuer"]].public_key()
            assert isinstance(key, PublicKey)
            read_by_asn1crypto(expected.der).signed.verify(key)


def test_the_combined_golden_store_has_octets_that_are_no_rsa_signature_and_parameters_of_an_algorithm() -> None:
    found = set()
    for expected in expected_answers(COMBINED):
        if expected.der:
            signed = read_by_asn1crypto(expected.der).signed
            found.add((signed.algorithm, len(signed.signature) if signed.algorithm != ECDSA_SHA256 else None))
    assert found == {(ECDSA_SHA256, None), (ED25519, 64), (RSASSA_PSS, 256)}


def refusal(folder: Path, objects: dict[str, bytes]) -> tuple[type[StorageError], str]:
    """Return what a reader of these objects raises, and when."""
    seen = "load"
    with pytest.raises(StorageError) as refused:  # noqa: PT012 - the point in time is part of the case
        reader = open_reader(store_of(objects))
        seen = "lookup"
        for expected in expected_answers(folder):
            reader.lookup(expected.cert_id)
    return type(refused.value), seen


@pytest.mark.parametrize(("folder", "case"), EVERY, ids=lambda value: getattr(value, "name", ""))
def test_every_kind_of_damage_is_refused_with_its_own_error(folder: Path, case: Case) -> None:
    objects = objects_of(folder / "store")
    assert refusal(folder, objects | case.changed(objects)) == (case.error, case.seen)


@pytest.mark.parametrize(("folder", "case"), COMMITTED, ids=lambda value: getattr(value, "name", ""))
def test_the_committed_damaged_stores_are_what_their_index_says(folder: Path, case: Case) -> None:
    index = json.loads((folder / "damaged" / "index.json").read_bytes())
    assert index[case.name] == {"error": case.error.__name__, "seen": case.seen}
    objects, damage = objects_of(folder / "store"), objects_of(folder / "damaged" / case.name)
    assert refusal(folder, objects | damage) == (case.error, case.seen)
    assert damage == case.changed(objects)


@pytest.mark.parametrize("folder", [GOLDEN, VERSION_2, OVERLAYS])
def test_every_committed_damaged_store_is_a_case(folder: Path) -> None:
    folders = {path.name for path in (folder / "damaged").iterdir() if path.is_dir()}
    assert folders == {case.name for of, case in COMMITTED if of == folder}


def test_the_golden_store_of_version_2_has_what_is_new_in_it() -> None:
    current = open_reader(golden_store(VERSION_2)).current
    assert current is not None
    named = [shard.windows.partition("/")[0] for shard in current.manifest.shards]
    assert named == ["windows", "windows", "tables"]  # the last one was carried on from version 1
    loaded = [current.tables[shard.windows] for shard in current.manifest.shards[:2]]
    assert loaded[0].tables_name == loaded[1].tables_name
    assert [len(one.tables.windows) for one in loaded] == [2, 2]
    newest = current.tables[current.manifest.overlays[0].windows].tables
    ids = [issuer.issuer_id for issuer in newest.issuers]
    assert (len(ids), len(set(ids))) == (3, 2)  # one issuer with two responders
    assert all(shard.as_of for shard in current.manifest.searched)


def test_a_publisher_that_knows_no_overlays_keeps_out_of_a_store_with_some_and_this_one_goes_on() -> None:
    current = open_reader(golden_store(VERSION_2)).current
    assert current is not None
    assert current.manifest.overlays
    assert current.commit.writer_min == 3
    check_writable(current.commit)


def test_the_golden_store_with_overlays_has_what_is_new_in_it() -> None:
    store = golden_store(OVERLAYS)
    current = open_reader(store).current
    assert current is not None
    commits = [read_commit(store, number) for number in range(1, current.commit.number + 1)]
    said = [(one.commit.kind, one.commit.base, one.commit.writer_min) for one in commits if one]
    assert said[0] == ("run", 1, 2)
    assert set(said[1:]) == {(kind, 1, 3) for kind in ("delta", "revoke", "hold", "gc")}
    assert (commits[2] and (commits[2].commit.by, commits[2].commit.note)) == ("Ann", "stolen laptop")
    assert current.commit.removals is not None
    assert len(read_removals(store, current.commit.removals)) == 1
    manifest = current.manifest
    assert current.overlay_keys is not None
    assert len(current.overlay_keys) == sum(one.rows for one in manifest.overlays) == 6
    assert manifest.history is not None
    index = read_index(store, manifest.history)
    assert [part.pack for part in index.overlays] == [one.pack for one in manifest.overlays]
    origins = [ORIGINS[origin] for part in index.overlays for origin in read_overlay_part(store, part).origins]
    assert origins == ["hold", "revoke", "revoke", "delta", "delta", "delta"]
    assert all(part.digest for part in index.parts)
    check_writable(current.commit)


def test_the_golden_store_with_overlays_is_what_verify_says_is_right() -> None:
    audit = verify_store(golden_store(OVERLAYS), None, None, lambda *_: None)
    assert audit.verified > 400
    assert {one.code for one in audit.warnings} <= {
        "verify.trust",
        "verify.expired",
        "verify.due",
        "verify.old-answers",
    }


@pytest.mark.parametrize("case", ODDITIES, ids=lambda case: case.name)
def test_what_is_odd_but_harmless_is_answered_as_ever(case: Oddity) -> None:
    objects = objects_of(GOLDEN / "store")
    odd = objects_of(GOLDEN / "accepted" / case.name)
    assert odd == case.changed(objects)
    reader, special = open_reader(store_of(objects | odd)), accepted_cases()[case.name]
    assert len(special) == len(case.asked(objects))
    for cert_id, sha256, error in special:
        if error:
            with pytest.raises(StorageError) as refused:
                reader.lookup(cert_id)
            assert type(refused.value).__name__ == error
        else:
            answer = reader.lookup(cert_id)
            assert (answer and hashlib.sha256(answer.der).hexdigest()) == sha256
    otherwise = {cert_id for cert_id, _, _ in special}
    for expected in expected_answers():
        if expected.cert_id not in otherwise:
            answer = reader.lookup(expected.cert_id)
            assert (answer and hashlib.sha256(answer.der).hexdigest()) == expected.sha256


def test_every_odd_store_is_a_case() -> None:
    assert {path.name for path in (GOLDEN / "accepted").iterdir() if path.is_dir()} == {case.name for case in ODDITIES}
