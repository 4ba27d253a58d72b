"""What real edges log is what questions are asked of: from start to end, over rotations and kills."""

import os
import signal
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, Ca, Program
from tests.storage.edge.processes import ServerProcess, start, wait_until

ASKED, NOT_ASKED, UNKNOWN = 0, 9, 10


@contextmanager
def edge(ca: Ca, log: Path, *options: str) -> Iterator[ServerProcess]:
    words = ("-m", "storage.edge", str(ca.store), "--port", "PORT", "--log-file", str(log), *options)
    with start(ca.folder, *words) as server:
        yield server


def path(ca: Ca, serial: int) -> bytes:
    certificate = ca.issuer.certificate
    own = ocsp.OCSPRequestBuilder().add_certificate(certificate, certificate, SHA1()).build()
    builder = ocsp.OCSPRequestBuilder()
    request = builder.add_certificate_by_hash(own.issuer_name_hash, own.issuer_key_hash, serial, SHA1())
    return b"/" + b64encode(request.build().public_bytes(Encoding.DER)).replace(b"/", b"%2F")


@pytest.fixture
def log(ca: Ca, pregen: Program) -> Path:
    assert pregen("run", ca.config).code == 0
    return ca.folder / "requests.jsonl"


def ask(pregen: Program, ca: Ca, serial: int, *paths: Path) -> tuple[int, dict[str, object]]:
    ended = pregen("asked", *paths, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
    return ended.code, ended.document


def test_the_log_of_an_edge_tells_all_of_it_over_a_rotation_that_kills_nobody(
    ca: Ca, log: Path, pregen: Program
) -> None:
    moved = log.with_suffix(".1")
    with edge(ca, log, "--workers", "2") as server:
        for serial in (GOOD, REVOKED, ABSENT):
            server.get(path(ca, serial))
        wait_until(lambda: log.read_text().count('"serial"') == 3)
        log.rename(moved)
        server.process.send_signal(signal.SIGHUP)
        wait_until(log.exists)  # though nobody has asked since
        assert server.get(path(ca, GOOD)).status == 200
        assert server.stop() == 0

    code, found = ask(pregen, ca, ABSENT, log, moved)
    assert (code, found["requests"], found["missing"], found["workers"]) == (ASKED, 1, [], 2)
    assert found["edges"] == [os.uname().nodename]
    assert [(one["outcome"], one["status"]) for one in rows(found["said"])] == [("not-stored", None)]
    assert [one["status"] for one in rows(ask(pregen, ca, REVOKED, log, moved)[1]["said"])] == ["revoked"]
    assert ask(pregen, ca, GOOD, log, moved)[1]["requests"] == 2
    assert ask(pregen, ca, 0x99, log, moved)[0] == NOT_ASKED
    assert ask(pregen, ca, 0x99, log)[0] == UNKNOWN  # its lines begin after the start of the workers
    # What is logged is all that is read: not a line is taken for broken.
    assert pregen("logs", "import", log, moved, "--out", ca.folder / "logs").err == ""
    assert ask(pregen, ca, 0x99, ca.folder / "logs")[0] == NOT_ASKED


def rows(member: object) -> list[dict[str, str | None]]:
    assert isinstance(member, list)
    return member


def test_an_edge_that_was_killed_leaves_a_log_that_says_so(ca: Ca, log: Path, pregen: Program) -> None:
    with edge(ca, log) as server:
        server.get(path(ca, GOOD))
        wait_until(lambda: '"serial"' in log.read_text())
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()

    code, found = ask(pregen, ca, 0x99, log)

    assert code == UNKNOWN
    assert ask(pregen, ca, GOOD, log)[0] == ASKED
    assert found["verdict"] == "unknown"


def test_an_edge_behind_a_trusted_proxy_logs_the_network_of_the_client_alone(
    ca: Ca, log: Path, pregen: Program
) -> None:
    with edge(ca, log, "--trusted-proxy", "127.0.0.0/8", "--log-client", "prefix") as server:
        for last in (1, 2):
            server.get(path(ca, GOOD), b"X-Forwarded-For: 1.1.1.1, 198.51.100.%d" % last)
        assert server.stop() == 0

    assert '"remote": "198.51.100.0/24"' in log.read_text()
    assert "198.51.100.1" not in log.read_text()
    assert ask(pregen, ca, GOOD, log)[1]["clients"] == 1


def test_a_log_of_samples_says_how_many_there_were_and_nothing_of_who_was_not_drawn(
    ca: Ca, log: Path, pregen: Program
) -> None:
    with edge(ca, log, "--log-sample", "5") as server:
        for _ in range(20):
            server.get(path(ca, GOOD))
        server.get(path(ca, REVOKED))
        assert server.stop() == 0

    code, found = ask(pregen, ca, GOOD, log)
    assert (code, found["requests"], found["lines"], found["is_estimate"]) == (ASKED, 20, 4, True)
    assert ask(pregen, ca, REVOKED, log)[1]["requests"] == 1
    code, found = ask(pregen, ca, 0x99, log)
    assert (code, [one["code"] for one in rows(found["missing"])]) == (UNKNOWN, ["sampled"])


def test_options_that_cannot_be_are_refused_in_a_line(ca: Ca, log: Path, pregen: Program) -> None:
    for options in (["--log-client", "hmac"], ["--log-sample", "0"], ["--trusted-proxy", "10.0.0.1/8"]):
        assert pregen("serve", ca.store, "--port", "0", "--log-file", log, *options).code == 2
