"""nginx in front of an edge: the configuration of docs/edge.md, for how long its cache keeps what, and other ones."""

import re
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from storage.certid import CertID
from tests.judges.conftest import Authority
from tests.judges.nginx import nginx_command
from tests.judges.programs import judge
from tests.ports import free_port
from tests.storage.edge import folder_server
from tests.storage.edge.answers import cert_id, cert_ids_in, encode_request
from tests.storage.edge.processes import Response, ServerProcess, start

DOCUMENT = Path(__file__).parents[2] / "docs" / "edge.md"
CAP_S = 3


class Front(ServerProcess):
    """nginx, which says 404 to ``/healthz``."""

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.stderr.read_text()
        try:
            return self.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 404
        except (OSError, ValueError):
            return False


@contextmanager
def nginx(folder: Path, port: int, configuration: str) -> Iterator[ServerProcess]:
    with Front(nginx_command(folder, configuration), folder, port, {}) as front:
        yield front


@contextmanager
def documented_nginx(folder: Path, edge: Path) -> Iterator[ServerProcess]:
    port = free_port()
    (block,) = re.findall(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    for documented, ours in {
        "/var/cache/nginx/ocsp": f"{folder}/cache",
        "server unix:/run/pregen-edge/http;": f"server unix:{edge};",
        "listen 80;": f"listen 127.0.0.1:{port};",
    }.items():
        assert block.count(documented) == 1
        block = block.replace(documented, ours)
    with nginx(folder, port, block) as front:
        yield front


@pytest.fixture(scope="module")
def request_path(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the path of a request of `openssl ocsp` about the server's certificate."""
    folder = tmp_path_factory.mktemp("request")
    issuer, server = authority.folder / "issuer.pem", authority.folder / "server.pem"
    command = [judge("openssl"), "ocsp", "-issuer", str(issuer), "-cert", str(server), "-no_nonce"]
    subprocess.run([*command, "-reqout", str(folder / "request.der")], check=True, timeout=60, capture_output=True)
    text = subprocess.check_output([judge("openssl"), "base64", "-A", "-in", str(folder / "request.der")], timeout=60)
    return b"/" + text


def seconds_left(reply: Response) -> float:
    """Return for how long a client may keep this, as RFC 9111, 4.2 has it."""
    assert "age" not in reply.headers
    if found := re.search(r"max-age=(\d+)", reply.headers["cache-control"]):
        return float(found[1])
    expires, date = (parsedate_to_datetime(reply.headers[name]) for name in ("expires", "date"))
    return (expires - date).total_seconds()


def test_behind_the_documented_nginx_the_ages_in_cache_and_client_together_stay_below_the_cap(
    authority: Authority, request_path: bytes, tmp_path: Path
) -> None:
    (tmp_path / "edge").mkdir()
    path = tmp_path / "http"
    arguments = ("-m", "storage.edge", str(authority.store), "--unix", str(path), "--max-age-cap", f"{CAP_S}s")
    serial = f"{authority.server.serial_number:x}"
    with (
        ServerProcess([sys.executable, *arguments], tmp_path / "edge", path, {}) as edge,
        documented_nginx(tmp_path, path) as front,
    ):
        began = time.time()
        first = front.get(request_path)
        assert first.status == 200
        assert 0 < seconds_left(first) <= CAP_S

        kept = time.time()
        time.sleep(1)
        asked = time.time()
        hit = front.get(request_path)
        was_in_time = time.time() - began < CAP_S  # unless the machine stood still
        assert hit.body == first.body
        assert asked - kept + seconds_left(hit) <= CAP_S + 1, "dates have whole seconds"

        time.sleep(CAP_S + 0.5)
        with edge.logs(serial=serial, outcome="answered"):  # nginx asks again when the time is up
            again = front.get(request_path)
        answered = [line["outcome"] for line in edge.lines() if line.get("serial") == serial]
    assert answered == ["answered"] * 2 or not was_in_time, "the second was a hit"
    assert (again.status, again.body) == (200, first.body)
    assert 0 < seconds_left(again) <= CAP_S


PATHS = """
server {{
    listen 127.0.0.1:{port};
    location = /healthz {{ return 404; }}
    location /whole/ {{ proxy_pass http://127.0.0.1:{edge}; }}
    location /ocsp/ {{ proxy_pass http://127.0.0.1:{edge}/; }}
    location /ocsp/r1/ {{ proxy_pass http://127.0.0.1:{edge}/r1/; }}
}}
"""


def with_two_slashes() -> CertID:
    """Return a certificate whose request has two slashes side by side in base64, and no other ones in its serial."""
    return cert_id(int.from_bytes(b"\x41" * 7 + b"\xff\xff" + b"\x41" * 7))


@pytest.mark.parametrize("prefix", ["/whole", "/whole/a/b", "/ocsp", "/ocsp/r1"])
@pytest.mark.parametrize("encode", [False, True], ids=["plain", "encoded"])
@pytest.mark.parametrize("behind", ["", "/", "%0A"])
def test_a_get_is_answered_under_any_path_also_where_nginx_decodes_it_and_merges_its_slashes(
    fronted: ServerProcess, prefix: str, encode: bool, behind: str
) -> None:
    asked = with_two_slashes()
    text = b64encode(encode_request(asked)).decode()
    assert text.count("//") == 1
    path = f"{prefix}/{quote(text, safe='') if encode else text}{behind}"

    assert cert_ids_in(fronted.get(path.encode()).body) == [asked]


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Return an nginx that passes paths on whole, and changed, to an edge that knows every serial."""
    folder = tmp_path_factory.mktemp("paths")
    (folder / "edge").mkdir()
    (folder / "edge" / "generation").write_text(str(2**128))
    port = free_port()
    with (
        start(folder / "edge", folder_server.__file__, str(folder / "edge"), "PORT", "1", "local") as edge,
        nginx(folder, port, PATHS.format(port=port, edge=edge.port)) as front,
    ):
        yield front
