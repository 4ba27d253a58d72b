import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.judges.conftest import Authority
from tests.judges.nginx import nginx_command
from tests.judges.programs import judge
from tests.ports import free_port
from tests.storage.edge.processes import PATIENCE_S, ServerProcess, wait_until

SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {authority}/server.pem;
        ssl_certificate_key {authority}/server.key;
        ssl_trusted_certificate {authority}/issuer.pem;
        ssl_stapling on;
        ssl_stapling_verify on;
        ssl_stapling_responder http://127.0.0.1:{edge}{path};
    }}
"""


@contextmanager
def nginx(authority: Authority, edge: ServerProcess, folder: Path, path: str = "/") -> Iterator[int]:
    """Run nginx in front of nothing, with the authority's server certificate; the port is what comes."""
    port = free_port()
    server = SERVER.format(port=port, authority=authority.folder, edge=edge.port, path=path)
    process = subprocess.Popen(nginx_command(folder, server), stderr=subprocess.DEVNULL)
    try:
        yield port
        assert process.poll() is None, "nginx ended by itself"
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def handshake(port: int, issuer: Path) -> str:
    """Return what `openssl s_client -status` prints about the staple."""
    command = [judge("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-status"]
    trust = ["-CAfile", str(issuer), "-partial_chain"]
    ended = subprocess.run(
        [*command, *trust], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return ended.stdout


def assert_stapled(authority: Authority, edge: ServerProcess, folder: Path, path: str = "/") -> str:
    """Have our answer fetched, verified and stapled; return what `openssl s_client` says of it."""
    issuer, serial = authority.folder / "issuer.pem", authority.server.serial_number
    with (
        edge.logs(serial=f"{serial:x}", method="GET", outcome="answered", hash="sha1"),
        nginx(authority, edge, folder, path) as port,
    ):
        wait_until(lambda: "OCSP Response Status: successful" in handshake(port, issuer))  # the first has none
        text = handshake(port, issuer)

    assert "Cert Status: good" in text
    assert "Verify return code: 0 (ok)" in text
    assert serial in {int(digits, 16) for digits in re.findall(r"Serial Number: ([0-9A-F]+)", text)}
    return text


def test_nginx_fetches_verifies_and_staples_our_answer(
    authority: Authority, edge: ServerProcess, tmp_path: Path
) -> None:
    text = assert_stapled(authority, edge, tmp_path)

    assert re.findall(r"Hash Algorithm: (\w+)", text) == ["sha1"]


@pytest.mark.parametrize("path", ["/ocsp", "/ocsp/r1/"])
def test_nginx_staples_answers_of_an_edge_under_a_path(
    authority: Authority, edge: ServerProcess, tmp_path: Path, path: str
) -> None:
    assert_stapled(authority, edge, tmp_path, path)


def test_nginx_fetches_verifies_and_staples_a_combined_answer(
    combined_authority: Authority, combined_edge: ServerProcess, tmp_path: Path
) -> None:
    text = assert_stapled(combined_authority, combined_edge, tmp_path)

    assert re.findall(r"Hash Algorithm: (\w+)", text) == ["sha1", "sha256"]
