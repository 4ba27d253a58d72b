import itertools
import re
import subprocess
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.judges.conftest import ABSENT, GOOD, REVOKED, UNKNOWN, Authority, make_authority, serve
from tests.judges.programs import judge
from tests.storage.edge.processes import PATIENCE_S, ServerProcess, wait_until

VERDICTS = {GOOD: "good", REVOKED: "revoked", UNKNOWN: "unknown"}


def openssl_ocsp(authority: Authority, serial: int, hash_name: str, *arguments: str) -> str:
    """Return what `openssl ocsp` prints; its exit code says nothing of expired and revoked."""
    issuer = str(authority.folder / "issuer.pem")
    command = [judge("openssl"), "ocsp", "-issuer", issuer, f"-{hash_name}", "-serial", f"{serial:#x}", *arguments]
    ended = subprocess.run(
        [*command, "-CAfile", issuer, "-partial_chain"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return ended.stdout + ended.stderr


def assert_verified(text: str, serial: int) -> None:
    assert "Response verify OK" in text
    assert re.search(rf"^{serial:#x}: {VERDICTS[serial]}$", text, re.MULTILINE)
    assert "Status times invalid" not in text
    assert ("Reason: keyCompromise" in text) == (serial == REVOKED)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("serial", [GOOD, REVOKED, UNKNOWN])
@pytest.mark.parametrize("nonce", ["-nonce", "-no_nonce"])
def test_openssl_asks_by_post_and_verifies(
    authority: Authority, edge: ServerProcess, serial: int, hash_name: str, nonce: str
) -> None:
    with edge.logs(serial=f"{serial:x}", hash=hash_name, method="POST"):
        text = openssl_ocsp(authority, serial, hash_name, nonce, "-url", f"http://127.0.0.1:{edge.port}/")

    assert_verified(text, serial)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("serial", [GOOD, REVOKED, UNKNOWN])
def test_openssl_verifies_what_a_get_with_its_request_brings(
    authority: Authority, edge: ServerProcess, tmp_path: Path, serial: int, hash_name: str
) -> None:
    request, response = tmp_path / "request.der", tmp_path / "response.der"
    openssl_ocsp(authority, serial, hash_name, "-no_nonce", "-reqout", str(request))
    path = b"/" + quote(b64encode(request.read_bytes()), safe="").encode()
    response.write_bytes(edge.get(path).body)

    text = openssl_ocsp(authority, serial, hash_name, "-no_nonce", "-respin", str(response))

    assert_verified(text, serial)


@pytest.mark.parametrize("algorithm", ["rsa2048-pss-sha256", "ed25519"])
def test_openssl_verifies_what_a_store_of_other_algorithms_answers(tmp_path: Path, algorithm: str) -> None:
    authority = make_authority(tmp_path, algorithm)
    with serve(authority, tmp_path) as edge:
        for serial, hash_name in itertools.product(VERDICTS, ["sha1", "sha256"]):
            text = openssl_ocsp(authority, serial, hash_name, "-url", f"http://127.0.0.1:{edge.port}/")

            assert_verified(text, serial)


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
@pytest.mark.parametrize("serial", [GOOD, REVOKED, UNKNOWN])
def test_openssl_verifies_a_combined_answer_by_either_hash(
    combined_authority: Authority, combined_edge: ServerProcess, serial: int, hash_name: str
) -> None:
    url = f"http://127.0.0.1:{combined_edge.port}/"

    with combined_edge.logs(serial=f"{serial:x}", hash=hash_name):
        text = openssl_ocsp(combined_authority, serial, hash_name, "-resp_text", "-url", url)

    assert_verified(text, serial)
    assert re.findall(r"Hash Algorithm: (\w+)", text) == ["sha1", "sha256"]


@pytest.mark.parametrize("hash_name", ["sha1", "sha256"])
def test_openssl_is_told_of_certificates_that_are_not_there(
    authority: Authority, edge: ServerProcess, hash_name: str
) -> None:
    absent = ABSENT + len(hash_name)  # so that each has a line of its own
    text = openssl_ocsp(authority, absent, hash_name, "-url", f"http://127.0.0.1:{edge.port}/")

    assert "Responder Error: unauthorized (6)" in text
    assert edge.line_of(f"{absent:x}")["hash"] == hash_name


def test_openssl_is_told_that_sha512_is_not_answered(authority: Authority, edge: ServerProcess) -> None:
    with edge.logs(serial=f"{GOOD:x}", outcome="unknown-hash"):
        text = openssl_ocsp(authority, GOOD, "sha512", "-url", f"http://127.0.0.1:{edge.port}/")

    assert "Responder Error: unauthorized (6)" in text


def test_a_revocation_is_seen_soon_after_its_commit_and_no_request_fails(tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with serve(authority, tmp_path) as edge:
        url = f"http://127.0.0.1:{edge.port}/"
        assert_verified(openssl_ocsp(authority, GOOD, "sha1", "-no_nonce", "-url", url), GOOD)
        authority.publish(revoked=(GOOD, REVOKED))

        def is_revoked() -> bool:
            text = openssl_ocsp(authority, GOOD, "sha1", "-no_nonce", "-url", url)
            assert "Response verify OK" in text
            return f"{GOOD:#x}: revoked" in text

        with edge.logs(serial=f"{GOOD:x}", outcome="answered", generation=2):
            wait_until(is_revoked)
