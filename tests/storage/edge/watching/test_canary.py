"""Certificates whose status is known: read, asked for, judged; and what a real edge makes of them."""

import asyncio
import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from storage.certid import SHA1, SHA256, CertID
from storage.edge.logs.log import SERVER
from storage.edge.source import Loaded
from storage.edge.watching.canaries import ASKED_EVERY_S, Canaries
from storage.edge.watching.canary import (
    MOST_CANARIES,
    Canary,
    cert_ids_of,
    judge,
    read_canaries,
    status_in,
)
from storage.request import encode_request, parse_request
from tests.judges.conftest import GOOD, REVOKED, UNKNOWN, Authority, make_authority
from tests.ports import free_port
from tests.storage.edge.answers import cert_id, encode_response
from tests.storage.edge.processes import ServerProcess, start, wait_until
from tests.storage.edge.watching.asking import named, scrape, value

ASKED = cert_id(0x1D4E, SHA256)
LOADED = Loaded(as_of=0, behind={}, overlays=0, issuers={ASKED[:3]: "r 1"})


def read(tmp_path: Path, text: str) -> tuple[Canary, ...]:
    (tmp_path / "canaries").write_text(text)
    return read_canaries(tmp_path / "canaries")


def test_lines_say_status_issuer_serial_and_until_when(tmp_path: Path) -> None:
    text = "# known\n\ngood 'r 1' 1D:4E\nnot-stored r2 00ff # never\nrevoked r1 -1 2027-03-01T01:00:00+01:00\n"

    assert read(tmp_path, text) == (
        Canary(status="good", issuer="r 1", serial=b"\x1d\x4e"),
        Canary(status="not-stored", issuer="r2", serial=b"\x00\xff"),
        Canary(status="revoked", issuer="r1", serial=b"\xff", until=1_803_859_200),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 canaries"),
        ("good r1\n", "line 1: write status, issuer, serial"),
        ("good r1 12 2027-01-01T00:00:00Z more\n", "line 1: write status"),
        ("\nfine r1 12\n", "line 2: 'fine' is not what may be known"),
        ("good r1 xyz\n", "line 1: 'xyz' is no serial in hex"),
        ("good r1 " + "12" * 22, "line 1: a serial has at most 21 octets"),
        ("good r1 12 tomorrow\n", "line 1: 'tomorrow' is no instant"),
        ("good r1 12 2027-01-01T00:00:00\n", "line 1: '2027-01-01T00:00:00' is no instant"),
        ("good 'r1 12\n", "line 1: No closing quotation"),
        ("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "line 1: above a certificate stands"),
        ("good\n-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", "line 2: a certificate that cannot"),
        ("good\n-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n", "line 2: a certificate that cannot"),
        ("good\n-----BEGIN CERTIFICATE-----\nMA==\n", "line 2: a certificate that does not end"),
        ("good r1 1\n" * (MOST_CANARIES + 1), "1001 canaries"),
    ],
)
def test_what_is_no_canary_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match="canaries") as refused:
        read(tmp_path, text)

    assert message in str(refused.value)


def test_a_request_for_a_canary_is_one_that_is_understood() -> None:
    assert parse_request(encode_request(ASKED)) == ASKED


def test_a_status_is_read_from_the_response_itself() -> None:
    assert status_in(encode_response(cert_id(1), ASKED), ASKED) == "good"
    assert status_in(encode_response(cert_id(1)), ASKED) is None
    assert status_in(bytes.fromhex("30030a0106"), ASKED) is None


def test_an_issuer_is_found_by_what_it_is_called_or_by_the_certificate_it_has_issued() -> None:
    other = cert_id(1, SHA256, b"other")
    namesake = other._replace(issuer_name_hash=ASKED.issuer_name_hash)
    issuers = {ASKED[:3]: "r1", other[:3]: "r2", namesake[:3]: "r3", cert_id(1)[:3]: "r1"}
    loaded = LOADED._replace(issuers=issuers)
    name = b"name of issuer"

    def found(**fields: str | bytes) -> list[list[str]]:
        (cert_ids,) = cert_ids_of([Canary(status="good", serial=b"\1", **fields)], loaded)  # type: ignore[arg-type]
        return [sorted(issuers[one[:3]] for one in cert_ids)]

    assert found(issuer="r1") == [["r1", "r1"]]
    assert found(issuer="nobody") == [[]]
    assert found(name=name) == [["r1", "r1", "r3"]]
    assert found(name=name, key_id=namesake.issuer_key_hash) == [["r3"]]


@pytest.mark.parametrize(
    ("status", "answers", "is_right"),
    [
        ("good", ["good"], True),
        ("good", ["good", "not-stored"], True),
        ("good", ["not-stored", "not-stored"], False),
        ("good", ["good", "revoked"], False),
        ("good", ["good", "unreachable"], False),
        ("good", ["expired"], False),
        ("good", [], False),
        ("not-stored", ["not-stored"], True),
        ("not-stored", ["not-stored", "good"], False),
        ("not-stored", [], True),
        ("unknown", ["unknown"], True),
    ],
)
def test_a_canary_is_judged_by_the_answers_for_all_of_its_hashes(
    status: str, answers: list[str], is_right: bool
) -> None:
    assert (judge(Canary(status=status, serial=b"\1", issuer="r1"), answers) is None) is is_right


def test_canaries_are_asked_for_now_and_then_and_at_once_in_a_new_generation() -> None:
    asked: list[CertID] = []

    async def ask(cert_id: CertID) -> str:
        await asyncio.sleep(0)
        asked.append(cert_id)
        return "good"

    canaries = Canaries([Canary(status="good", issuer="r 1", serial=ASKED.serial)], ask)

    async def look() -> list[int]:
        counts = []
        late = 2 + ASKED_EVERY_S
        # The last time, the clock was put back.
        for generation, now in ((None, 0), (1, 1), (1, 2), (1, late), (2, late + 1), (2, 0)):
            await canaries.look(LOADED if generation else None, generation, now)
            counts.append(len(asked))
        return counts

    assert asyncio.run(look()) == [0, 1, 1, 2, 3, 4]
    assert set(asked) == {ASKED}


def test_a_canary_that_is_answered_rightly_again_is_no_reason_any_more() -> None:
    answers = iter(["revoked", "unreachable", "good"])

    async def ask(_cert_id: CertID) -> str:
        await asyncio.sleep(0)
        return next(answers)

    canaries = Canaries([Canary(status="good", issuer="r 1", serial=ASKED.serial)], ask)
    said = []
    for generation in (1, 2, 3):
        asyncio.run(canaries.look(LOADED, generation, 0))
        said.append([reason.message for reason in canaries.reasons()])

    assert said == [
        ["the canary 1d4e of r 1 is good, but it was answered revoked"],
        ["the canary 1d4e of r 1 is good, but it was answered unreachable"],
        [],
    ]


def test_what_has_expired_is_skipped_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, SERVER)

    async def ask(_cert_id: CertID) -> str:
        raise AssertionError("it is not asked for")

    canaries = Canaries([Canary(status="good", issuer="r 1", serial=b"\1", until=1_000)], ask)
    for generation in (1, 2):
        asyncio.run(canaries.look(LOADED, generation, 941))

    assert list(canaries.reasons()) == []
    assert canaries.counts == {"right": 0, "wrong": 0, "skipped": 1}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# Servers


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


def document(server: ServerProcess) -> tuple[int, str, list[str]]:
    reply = server.get(b"/readyz")
    said = json.loads(reply.body)
    return reply.status, said["state"], [reason["code"] for reason in said["reasons"]]


def test_a_canary_that_a_new_generation_answers_wrongly_is_told_everywhere(
    authority: Authority, tmp_path: Path
) -> None:
    pem = authority.server.public_bytes(Encoding.PEM).decode()
    lines = f"revoked r1 {REVOKED:x}\nunknown r1 {UNKNOWN:x}\nnot-stored r1 7777\nnot-stored r9 1\ngood\n{pem}"
    (tmp_path / "canaries").write_text(f"good r1 {GOOD:x} 2026-01-01T00:00:00Z\n{lines}")
    port = free_port()
    options = ("--port", "PORT", "--canary", f"{tmp_path}/canaries", "--metrics", f":{port}")
    with start(tmp_path, "-m", "storage.edge", str(authority.store), *options) as server:
        assert document(server) == (200, "ready", [])
        wait_until(lambda: value(scrape(port), "canaries", result="right") == 5)
        assert value(scrape(port), "canaries", result="skipped") == 1

        authority.publish(revoked=(REVOKED, authority.server.serial_number), full=True)
        wait_until(lambda: document(server) == (200, "degraded", ["canary"]))
        wait_until(lambda: value(scrape(port), "canaries", result="wrong") == 1)
        wait_until(lambda: '"canary: the canary' in server.stderr.read_text())
        (line,) = [line for line in server.stderr.read_text().splitlines() if '"canary: the canary' in line]
        assert json.loads(line)["alarm"] is True
        assert "is good, but it was answered revoked" in json.loads(line)["message"]
        assert [line["outcome"] for line in server.lines() if line["outcome"] != "probe"] == [], "nobody has asked"


def test_a_file_that_is_none_is_refused_at_the_start_in_a_line(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "canaries").write_text("fine r1 12\n")
    for name in ("canaries", "nowhere"):
        command = [sys.executable, "-m", "storage.edge", str(authority.store), "--canary", str(tmp_path / name)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 2
        assert name in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(("option", "status"), [((), 200), (("--unready-when-degraded",), 503)])
def test_an_as_of_that_is_too_long_ago_is_degraded(
    authority: Authority, tmp_path: Path, option: tuple[str, ...], status: int
) -> None:
    with start(tmp_path, "-m", "storage.edge", str(authority.store), "--port", "PORT", "--max-age", "1s", *option) as (
        server
    ):
        wait_until(lambda: document(server) == (status, "degraded", ["too-old"]))
        wait_until(lambda: '"too-old: all statuses are those of' in server.stderr.read_text())


def test_the_cert_id_of_a_canary_in_pem_is_that_of_the_certificate(authority: Authority, tmp_path: Path) -> None:
    asked = named(authority, authority.server.serial_number)
    canaries = read(tmp_path, f"good\n{authority.server.public_bytes(Encoding.PEM).decode()}")
    loaded = LOADED._replace(issuers={asked[:3]: "r1", ASKED[:3]: "r2"})

    assert cert_ids_of(canaries, loaded) == [[asked]]
    assert asked.hash_oid == SHA1
    end = canaries[0].until
    assert end is not None
    assert datetime.fromtimestamp(end, UTC) - authority.server.not_valid_after_utc == timedelta(0)
