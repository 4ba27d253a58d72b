"""The golden files: answered as they were when they were made, and refused when they are damaged."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from pregen.verification import load_public_key, parse_response, verify_signature
from storage.certid import HASH_OIDS
from storage.errors import StorageError
from storage.reader import open_reader
from tests.storage.damage import CASES, Case
from tests.storage.golden_store import GOLDEN, expected_answers, golden_store, objects_of, store_of

COMMITTED = [case for case in CASES if case.is_committed]


def test_the_golden_store_gives_the_answers_it_always_gave() -> None:
    reader = open_reader(golden_store())
    statuses = set()
    for expected in expected_answers():
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
    parsed = [(one, parse_response(one.der or b"").statement) for one in answers]
    assert {len(one.cert_id.serial) for one in answers} >= set(range(1, 22))
    assert {said.reason for _, said in parsed} == {None, 1, 2, 3, 4, 5, 6, 9, 10}
    assert min(said.serial_number for _, said in parsed) < 0
    for one, said in parsed:
        assert (said.serial_number, said.hash_oid) == (one.cert_id.serial_number, one.cert_id.hash_oid)


def test_golden_answers_are_signed_by_the_golden_keys() -> None:
    keys = {}
    issuers = json.loads((GOLDEN / "answers.json").read_bytes())["issuers"]
    for index, stem in enumerate(("responder", "self-signed")):
        private = load_pem_private_key((GOLDEN / "keys" / f"{stem}.key").read_bytes(), None)
        spki = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for name, (_, key_hash) in issuers[index].items():
            keys[HASH_OIDS[name], key_hash] = load_public_key(spki)
    for one in expected_answers():
        if one.der:
            verify_signature(parse_response(one.der), keys[one.cert_id.hash_oid, one.cert_id.issuer_key_hash.hex()])


def refusal(objects: dict[str, bytes]) -> tuple[type[StorageError], str]:
    """Return what a reader of these objects raises, and when."""
    seen = "load"
    with pytest.raises(StorageError) as refused:  # noqa: PT012 - the point in time is part of the case
        reader = open_reader(store_of(objects))
        seen = "lookup"
        for expected in expected_answers():
            reader.lookup(expected.cert_id)
    return type(refused.value), seen


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_kind_of_damage_is_refused_with_its_own_error(case: Case) -> None:
    objects = objects_of(GOLDEN / "store")
    assert refusal(objects | case.changed(objects)) == (case.error, case.seen)


@pytest.mark.parametrize("case", COMMITTED, ids=lambda case: case.name)
def test_the_committed_damaged_stores_are_what_their_index_says(case: Case) -> None:
    index = json.loads((GOLDEN / "damaged" / "index.json").read_bytes())
    assert index[case.name] == {"error": case.error.__name__, "seen": case.seen}
    objects, damage = objects_of(GOLDEN / "store"), objects_of(GOLDEN / "damaged" / case.name)
    assert refusal(objects | damage) == (case.error, case.seen)
    assert damage == case.changed(objects)


def test_every_committed_damaged_store_is_a_case() -> None:
    folders = {path.name for path in (GOLDEN / "damaged").iterdir() if path.is_dir()}
    assert folders == {case.name for case in COMMITTED}
