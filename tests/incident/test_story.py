"""What the story of the incident claims, looked at once more: in its databases, with its commands, by other readers."""

import re
import shlex
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from pregen import clock
from pregen.errors import VerificationError
from pregen.gates.history import witness_share
from pregen.zones import zone
from storage.certid import SHA1, SHA256, CertID
from storage.edge.respond import HttpRequest, respond
from storage.reader import open_reader
from storage.stores import LocalStore
from tests.incident.conftest import Story, act
from tests.incident.story import expect
from tests.pregen.cli.ca import Outcome, Program
from tests.storage.edge.answers import encode_request

LOST = 6_450


@pytest.fixture(scope="module")
def before(story: Story, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same CA while commit 1 is the newest: whatever is published now would be commit 2."""
    folder = tmp_path_factory.mktemp("before") / "incident"
    shutil.copytree(story.folder, folder)
    (folder / "store" / "commits" / f"{2:020}").unlink()
    (folder / "store" / "LATEST").unlink()
    return Story(folder, story.rows, story.code, story.out, story.err)


def commits(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "store" / "commits").iterdir())


def errors(outcome: Outcome) -> list[dict[str, Any]]:
    found = outcome.error["findings"]
    assert isinstance(found, list)
    return [one for one in found if one["severity"] == "error"]


def zone_and_offset(story: Story) -> tuple[str, str]:
    """Return the API's zone and its offset, as the story has introduced them."""
    found = re.search(r"its times are those of (America/\w+) \((-0[67]:00)\)", story.out)
    assert found is not None
    return found[1], found[2]


def test_the_story_is_told_to_its_end(story: Story) -> None:
    assert story.code == 0, story.err
    assert re.findall(r"^exit code (\d)$", story.out, re.MULTILINE) == ["4", "3", "3", "3", "3"]
    assert re.findall(r"^published commit (\d)", story.out, re.MULTILINE) == ["1", "2"]
    assert re.findall(r"^(\d)\. ", story.out, re.MULTILINE) == ["1", "2", "3", "4", "5", "6"]


def test_the_sync_loses_exactly_what_was_issued_since_the_deployment(story: Story) -> None:
    name, _ = zone_and_offset(story)
    told = re.search(r"2\. (\S+): new code .*By (\S+) the sync", story.out, re.DOTALL)
    assert told is not None
    deployed, now = (clock.parse_instant(text).astimezone(zone(name)) for text in told.groups())
    assert deployed - now == now.utcoffset()
    since = f"SELECT serial FROM certificates WHERE issued_at > '{deployed:%Y-%m-%d %H:%M:%S}' ORDER BY issued_at"

    assert len(story.lost) == LOST
    assert story.lost == story.column("api", since)
    known = set(story.column("responder", "SELECT serial FROM certificates"))
    assert len(known) == story.rows
    assert known < set(story.column("api", "SELECT serial FROM certificates"))


def test_what_the_responders_have_is_right(story: Story) -> None:
    rules = zone(zone_and_offset(story)[0])
    query = "SELECT serial, {} FROM certificates"
    with closing(sqlite3.connect(story.folder / "api.sqlite")) as api:
        local = dict(api.execute(query.format("issued_at")))
    with closing(sqlite3.connect(story.folder / "responder.sqlite")) as responder:
        for serial, not_before in responder.execute(query.format("not_before")):
            utc = datetime.fromisoformat(local[serial]).replace(tzinfo=rules).astimezone(UTC)
            assert not_before == f"{utc:%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_the_sync_delivers_is_refused_and_the_zone_is_named(before: Story, pregen: Program, command: str) -> None:
    name, offset = zone_and_offset(before)

    ended = pregen(command, before.folder / "synced.toml", "--json")

    assert (ended.code, ended.error["code"]) == (3, "gate")
    (error,) = errors(ended)
    assert error["code"] == "time.lag-shift"
    assert name in error["zones"]
    assert f"is read {offset[1:]} earlier than it happened" in error["message"]
    assert f"a zone at {offset}" in error["message"]
    assert commits(before.folder) == [f"{1:020}"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_local_times_that_say_utc_are_refused_by_anchors_and_by_history(
    before: Story, pregen: Program, command: str
) -> None:
    name, offset = zone_and_offset(before)

    ended = pregen(command, before.folder / "mislabelled.toml", "--json")

    assert (ended.code, ended.error["code"]) == (3, "gate")
    times = [one for one in errors(ended) if one["code"].startswith("time.")]
    assert {one["code"] for one in errors(ended) if one not in times} == {"shrink.expiry", "revocation.shortened"}
    found = {(one["code"], one["message"].split("'")[1]): one for one in times}
    assert {("time.anchor-mismatch", column) for column in ("issued_at", "expires_at", "revoked_at")} <= set(found)
    anchor, history = (found[code, "issued_at"] for code in ("time.anchor-mismatch", "time.history-mismatch"))
    assert name in anchor["zones"]
    assert f"1 by {offset}" in anchor["message"]
    if is_calm(before, name):
        assert history["count"] > 0.5 * witness_share(before.rows) * before.rows
        assert f"({history['count']:,} by {offset})" in history["message"]
    assert commits(before.folder) == [f"{1:020}"]


def is_calm(story: Story, name: str) -> bool:
    """Whether the clocks of a zone were not changed while the certificates of a story were issued."""
    oldest, newest = story.column("api", "SELECT issued_at FROM certificates ORDER BY issued_at")[
        :: story.rows + LOST - 1
    ]
    first, last = (datetime.fromisoformat(text).replace(tzinfo=zone(name)) for text in (oldest, newest))
    return first.utcoffset() == last.utcoffset()


def test_a_declared_zone_without_an_anchor_is_refused(before: Story, pregen: Program) -> None:
    ended = pregen("run", before.folder / "unproved.toml", "--json")

    assert ended.code == 3
    assert [error["code"] for error in errors(ended)] == ["time.no-anchor"] * 3
    assert commits(before.folder) == [f"{1:020}"]


def test_what_is_refused_can_be_accepted_with_a_reason(before: Story, pregen: Program) -> None:
    words = ("--accept", "time.no-anchor", "--reason", "proved by hand")
    ended = pregen("check", before.folder / "unproved.toml", "--json", *words)
    assert ended.code == 0
    assert ended.document["certificates"] == before.rows + LOST


def test_before_the_repair_an_edge_is_not_authoritative_for_any_of_the_lost(before: Story) -> None:
    assert ask(before, before.lost, SHA1) == {ocsp.OCSPResponseStatus.UNAUTHORIZED: LOST}


@pytest.mark.parametrize("hash_oid", [SHA1, SHA256])
def test_after_the_repair_an_edge_says_good_for_each_of_the_lost(story: Story, hash_oid: str) -> None:
    assert ask(story, story.lost, hash_oid) == {ocsp.OCSPCertStatus.GOOD: LOST}


def test_after_the_repair_an_edge_says_revoked_for_what_was_revoked_meanwhile(story: Story) -> None:
    query = "SELECT serial FROM certificates WHERE revoked_at IS NOT NULL"
    meanwhile = set(story.column("api", query)) - set(story.column("responder", query))
    assert len(meanwhile) == 24
    assert ask(story, sorted(meanwhile), SHA256) == {ocsp.OCSPCertStatus.REVOKED: 24}


def ask(story: Story, serials: list[str], hash_oid: str) -> Counter[object]:
    """Ask an edge in this process; count statuses, of the response where it holds none of a certificate."""
    reader = open_reader(LocalStore(story.folder / "store"))
    current = reader.current
    assert current is not None
    (tables,) = current.tables.values()
    (issuer,) = tables.tables.issuers
    hashes = issuer.name_hashes[hash_oid], issuer.key_hashes[hash_oid]
    now = clock.seconds(clock.now())
    counts: Counter[object] = Counter()
    for serial in serials:
        body = encode_request(CertID(hash_oid, *hashes, bytes.fromhex(serial)))
        reply = respond(reader, HttpRequest(method="POST", raw_path=b"/", headers={}, body=body), now)
        response = ocsp.load_der_ocsp_response(reply.body)
        if response.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
            assert response.serial_number == int(serial, 16)
            counts[response.certificate_status] += 1
        else:
            counts[response.response_status] += 1
    return counts


def test_the_anchor_is_one_of_the_lost_and_signed_by_the_issuer(story: Story) -> None:
    anchor, issuer = (
        x509.load_pem_x509_certificate((story.folder / f"{name}.pem").read_bytes()) for name in ("anchor", "issuer")
    )
    anchor.verify_directly_issued_by(issuer)
    assert f"{anchor.serial_number:x}" == story.lost[-1]


def test_every_command_that_is_shown_works_when_it_is_typed(before: Story, pregen: Program, tmp_path: Path) -> None:
    folder = tmp_path / "incident"
    shutil.copytree(before.folder, folder)
    made = re.search(r"^made (.*): a CA with two databases", before.out)
    assert made is not None
    shown = re.findall(r"^\$ pregen (.*)$", before.out, re.MULTILINE)
    assert shown[0].startswith("run ")  # whose commit is there already
    for command, code in zip(shown[1:], (4, 3, 3, 3, 3, 0, 0, 0), strict=True):
        words = [word.replace(made[1], str(folder)) for word in shlex.split(command)]
        assert pregen(*words).code == code, command
    assert commits(folder) == [f"{1:020}", f"{2:020}"]


def test_whatever_happens_otherwise_ends_the_story_with_an_error() -> None:
    expect(True, "nothing")
    with pytest.raises(VerificationError, match=r"did not go as told: the sync has delivered 5 rows; please report"):
        expect(False, "the sync has delivered 5 rows")


def test_it_is_not_acted_out_with_too_few_rows_nor_in_a_folder_that_holds_something(tmp_path: Path) -> None:
    few = act(tmp_path / "few", 4_999)
    assert (few.code, few.out, (tmp_path / "few").exists()) == (2, "", False)
    assert few.err == "error: --rows 4999: 5,000 at least, else hours without issuance are usual\n"
    (tmp_path / "precious").write_text("x")
    assert act(tmp_path, 5_000).code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("--algorithm", "rsa2048", "--cert-ids", "combined"), ("--cert-ids", "sha256")], ids=" ".join
)
def test_the_story_is_the_same_for_other_keys_and_cert_ids(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = act(tmp_path, 5_000, *words)
    assert ended.code == 0, ended.err
    assert f"SHA-256): good {LOST:,}" in ended.out
    assert ("SHA-1)" in ended.out) == ("combined" in words)
