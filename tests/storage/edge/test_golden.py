"""The edge in front of the golden store: what overlays say is final, also at the border."""

from hashlib import sha256

import pytest

from storage.certid import SHA1, SHA256
from storage.commits import read_commit
from storage.edge.guard import singles_in
from storage.edge.record import OcspStatus, Outcome
from storage.edge.respond import HttpRequest, Reply, respond
from storage.reader import Generation, Reader, open_reader
from tests.storage.edge.answers import encode_request
from tests.storage.golden_store import COMBINED, Expected, answer_to, expected_answers, golden_store


@pytest.fixture(scope="module")
def reader() -> Reader:
    return open_reader(golden_store())


def ask(reader: Reader, expected: Expected, now: int) -> Reply:
    request = HttpRequest(method="POST", raw_path=b"/", headers={}, body=encode_request(expected.cert_id))
    return respond(reader, request, now)


def servable(expected: Expected) -> int:
    """Return an instant at which the answer may be served."""
    assert expected.next_update is not None
    return expected.next_update - 3600


def test_every_golden_answer_leaves_the_edge_octet_by_octet(reader: Reader) -> None:
    served = [one for one in expected_answers() if one.der is not None and one.next_update is not None]
    assert served
    for expected in served:
        reply = ask(reader, expected, servable(expected))
        assert (reply.record.outcome, reply.body) == (Outcome.ANSWERED, expected.der), expected.label


def test_one_combined_response_leaves_the_edge_for_either_hash() -> None:
    reader, served = open_reader(golden_store(COMBINED)), dict[bytes, dict[str, bytes]]()
    for expected in expected_answers(COMBINED):
        if expected.sha256 is not None:
            reply = ask(reader, expected, servable(expected))
            assert reply.record.outcome is Outcome.ANSWERED, expected.label
            assert sha256(reply.body).hexdigest() == expected.sha256
            served.setdefault(reply.body, {})[expected.cert_id.hash_oid] = expected.cert_id.serial

    assert {SHA1, SHA256} in map(set, served.values())
    for body, asked in served.items():
        assert {(one.cert_id.hash_oid, one.cert_id.serial) for one in singles_in(body)} == set(asked.items())


def test_a_revocation_in_an_overlay_is_served_instead_of_the_shards_good(reader: Reader) -> None:
    expected = answer_to("overlay-revoked.sha1")
    head = read_commit(golden_store(), 1)  # the generation before its overlays
    assert head is not None
    before = Generation(golden_store(), head).lookup(expected.cert_id)
    assert before is not None
    assert before.status == "good"

    assert ask(reader, expected, servable(expected)).body == expected.der != before.der


def test_an_expired_answer_of_an_overlay_gives_try_later_and_never_the_shards_good(reader: Reader) -> None:
    expected, current = answer_to("overlay-expired.sha1"), answer_to("good-16.sha1")
    now = servable(current)
    assert expected.next_update is not None
    assert expected.next_update < now
    assert ask(reader, current, now).record.outcome is Outcome.ANSWERED
    head = read_commit(golden_store(), 1)
    assert head is not None
    shard = Generation(golden_store(), head).lookup(expected.cert_id)
    assert shard is not None
    assert shard.status == "good"
    assert shard.next_update > now

    reply = ask(reader, expected, now)

    assert reply.record.ocsp is OcspStatus.tryLater
    assert reply.record.outcome is Outcome.EXPIRED
