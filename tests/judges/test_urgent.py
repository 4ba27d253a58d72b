"""Answers of overlays before other programs: OpenSSL asks a running edge and verifies, GnuTLS reads what comes."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pregen.__main__ import main
from tests.judges import gnutls
from tests.judges.conftest import GOOD, UNKNOWN, Authority, make_authority, serve
from tests.judges.test_openssl_client import openssl_ocsp
from tests.storage.edge.processes import ServerProcess, wait_until

NEW = 0x4711


@pytest.fixture
def urgent(tmp_path: Path) -> Authority:
    return make_authority(tmp_path)


@pytest.fixture
def edge(urgent: Authority, tmp_path: Path) -> Iterator[ServerProcess]:
    (tmp_path / "edge").mkdir()
    with serve(urgent, tmp_path / "edge") as process:
        yield process


def change(authority: Authority, *words: str) -> None:
    """Make an urgent change."""
    command, *rest = words
    assert main([command, str(authority.folder / "pregen.toml"), "--quiet", *rest]) == 0


def by_gnutls(authority: Authority, edge: ServerProcess, serial: int, folder: Path) -> str:
    """Return what GnuTLS says of the answer to a GET with OpenSSL's request."""
    request, response = folder / "request.der", folder / "response.der"
    openssl_ocsp(authority, serial, "sha1", "-no_nonce", "-reqout", str(request))
    response.write_bytes(edge.get(b"/" + quote(b64encode(request.read_bytes()), safe="").encode()).body)
    return gnutls.verify(response, trust=authority.folder / "issuer.pem")


def test_two_programs_accept_what_is_answered_of_urgent_changes(
    urgent: Authority, edge: ServerProcess, tmp_path: Path
) -> None:
    url = ("-url", f"http://127.0.0.1:{edge.port}/")
    assert f"{GOOD:#x}: good" in openssl_ocsp(urgent, GOOD, "sha1", *url)
    change(urgent, "revoke", "--issuer", "r1", "--serial", f"{GOOD:x}", "--reason", "keyCompromise")
    wait_until(lambda: f"{GOOD:#x}: revoked" in openssl_ocsp(urgent, GOOD, "sha1", *url))

    for hash_name in ("sha1", "sha256"):
        text = openssl_ocsp(urgent, GOOD, hash_name, *url)
        assert "Response verify OK" in text
        assert "Reason: keyCompromise" in text
        assert f"{UNKNOWN:#x}: unknown" in openssl_ocsp(urgent, UNKNOWN, hash_name, *url)
    assert gnutls.ACCEPTED in by_gnutls(urgent, edge, GOOD, tmp_path)


def test_two_programs_accept_what_a_delta_and_a_merge_make(
    urgent: Authority, edge: ServerProcess, tmp_path: Path
) -> None:
    url = ("-url", f"http://127.0.0.1:{edge.port}/")
    config, changes = urgent.folder / "pregen.toml", tmp_path / "changes.csv"
    as_written = config.read_text()
    for number in range(8):
        changes.write_text(f"serial,status\n{NEW + number:x},good\n")
        config.write_text(f'{as_written}\n[snapshot.columns]\nserial = {{ name = "serial", encoding = "hex" }}\n')
        change(urgent, "delta", str(changes))
        config.write_text(as_written)
    server = urgent.server.serial_number
    for reason in ("superseded", "keyCompromise"):
        change(urgent, "revoke", "--issuer", "r1", "--serial", f"{UNKNOWN:x}", "--reason", reason)
    change(urgent, "revoke", "--cert", str(urgent.folder / "server.pem"))
    wait_until(lambda: f"{server:#x}: revoked" in openssl_ocsp(urgent, server, "sha256", *url))

    for serial, says in ((NEW, "good"), (NEW + 7, "good"), (UNKNOWN, "revoked"), (server, "revoked")):
        text = openssl_ocsp(urgent, serial, "sha256", *url)
        assert "Response verify OK" in text
        assert f"{serial:#x}: {says}" in text
        assert gnutls.ACCEPTED in by_gnutls(urgent, edge, serial, tmp_path)
