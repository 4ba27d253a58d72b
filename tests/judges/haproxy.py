"""HAProxy staples a response from a file beside its certificate, `server.pem.ocsp`, and ignores one that it refuses."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.judges.conftest import Authority
from tests.judges.programs import judge
from tests.ports import free_port

CONFIG = """
global
    maxconn 10
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend stapled
    bind 127.0.0.1:{port} ssl crt {folder}/server.pem
    http-request return status 200
"""


def _command(authority: Authority, staple: bytes, folder: Path, port: int) -> list[str]:
    """Write certificate, key, issuer, staple and configuration as HAProxy wants them; return how it is started."""
    server = b"".join((authority.folder / f"server.{end}").read_bytes() for end in ("pem", "key"))
    (folder / "server.pem").write_bytes(server)
    (folder / "server.pem.issuer").write_bytes((authority.folder / "issuer.pem").read_bytes())
    (folder / "server.pem.ocsp").write_bytes(staple)
    (folder / "haproxy.cfg").write_text(CONFIG.format(folder=folder, port=port))
    return [judge("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]


def verdict(authority: Authority, staple: bytes, folder: Path) -> str:
    """Return what HAProxy says about a configuration with this staple: nothing where it takes it.

    It starts all the same, without a staple.
    """
    command = _command(authority, staple, folder, port=1)
    ended = subprocess.run([*command, "-c"], capture_output=True, text=True, timeout=60, check=True)
    return ended.stderr


@contextmanager
def haproxy(authority: Authority, staple: bytes, folder: Path) -> Iterator[int]:
    """Run HAProxy in front of nothing, with the authority's server certificate and this staple; its port comes."""
    port = free_port()
    process = subprocess.Popen(_command(authority, staple, folder, port), stderr=subprocess.DEVNULL)
    try:
        yield port
        assert process.poll() is None, "HAProxy ended by itself"
    finally:
        process.terminate()
        process.wait()
