"""/metrics of real servers: right over several workers, and never backwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.edge.record import LoggedRequest, Outcome
from storage.edge.watching.cells import Cells, Ledger
from storage.edge.watching.counters import Counts
from storage.edge.watching.metrics import Metrics
from tests.judges.conftest import GOOD, REVOKED, Authority, make_authority
from tests.judges.programs import judge
from tests.ports import free_port
from tests.storage.edge.answers import cert_id
from tests.storage.edge.object_server import serving
from tests.storage.edge.processes import ServerProcess, start, wait_until
from tests.storage.edge.watching.asking import asking, parsed, scrape, value, workers_of


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def edge(authority: Authority, tmp_path: Path) -> Iterator[tuple[ServerProcess, int]]:
    port = free_port()
    options = ("--port", "PORT", "--workers", "2", "--metrics", f"127.0.0.1:{port}")
    with start(tmp_path, "-m", "storage.edge", str(authority.store), *options) as server:
        wait_until(lambda: value(scrape(port), "workers", state="ready") == 2)
        yield server, port


def test_each_request_is_counted_once_whichever_worker_answers(
    edge: tuple[ServerProcess, int], authority: Authority
) -> None:
    server, port = edge
    before = scrape(port)
    for serial in (GOOD, REVOKED, 0x999):
        for _ in range(40):
            server.ask(asking(authority, serial))
    wait_until(lambda: value(scrape(port), "requests_total") - value(before, "requests_total") >= 120)
    after = scrape(port)  # a request is counted when its reply is on the way

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("requests_total", outcome="answered", method="POST", hash="sha1", issuer="r1") == 80
    assert more("requests_total", outcome="not-stored", issuer="r1") == 40
    assert more("requests_total") == 120
    assert more("reply_seconds_count") == 120
    assert more("reply_seconds_bucket", le="+Inf") == 120
    assert more("answer_left_seconds_count") == more("answer_age_seconds_count") == 80
    assert more("lookups_total") == 120
    assert value(after, "generation") == 1
    assert 0 <= value(after, "generation_age_seconds") < 600
    assert value(after, "answers_end_seconds", issuer="r1") > value(after, "generation_as_of_seconds")
    wait_until(lambda: value(scrape(port), "log_lines_total", result="written") >= 120)


def test_counters_never_go_back_when_workers_are_killed(edge: tuple[ServerProcess, int], authority: Authority) -> None:
    server, port = edge
    for _ in range(50):
        server.ask(asking(authority, GOOD))
    wait_until(lambda: value(scrape(port), "requests_total", outcome="answered") >= 50)
    before = scrape(port)
    for worker in workers_of(server)[:1]:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: value(scrape(port), "worker_starts_total") == 3)
    wait_until(lambda: value(scrape(port), "workers", state="ready") == 2)
    after = scrape(port)

    assert value(after, "requests_total", outcome="answered") == value(before, "requests_total", outcome="answered")
    assert all(after[key] >= number for key, number in before.items() if key[0].endswith(("_total", "_bucket")))


def test_metrics_are_not_on_the_port_of_clients(edge: tuple[ServerProcess, int]) -> None:
    server, port = edge

    assert b"pregen_edge" not in server.get(b"/metrics").body
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)


def test_prometheus_finds_no_fault_with_the_names(edge: tuple[ServerProcess, int]) -> None:
    _, port = edge
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        page = reply.read()
    ended = subprocess.run([judge("promtool"), "check", "metrics"], input=page, capture_output=True, check=False)

    assert (ended.returncode, ended.stdout + ended.stderr) == (0, b"")


def test_openmetrics_is_spoken_where_it_is_asked_for(edge: tuple[ServerProcess, int]) -> None:
    _, port = edge
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=accept)
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
        assert reply.read().endswith(b"# EOF\n")


def test_a_unix_socket_serves_metrics_also_where_a_killed_server_has_left_one(
    authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "metrics.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    options = ("--port", "PORT", "--metrics", f"unix:{path}")
    with start(tmp_path, "-m", "storage.edge", str(authority.store), *options) as server:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(str(path))
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            page = b"".join(iter(lambda: client.recv(65536), b""))
        assert b"pregen_edge_workers" in page
        assert server.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize(
    "address",
    ["nonsense", "127.0.0.1:99999", "unix:", "unix:/nowhere/at/all.sock", "nowhere.invalid:1", "TAKEN", "CLIENTS"],
)
def test_an_address_where_one_cannot_listen_is_refused_in_a_line(
    authority: Authority, tmp_path: Path, address: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        clients = str(free_port())
        address = address.replace("TAKEN", f"127.0.0.1:{taken.getsockname()[1]}").replace("CLIENTS", f":{clients}")
        command = [sys.executable, "-m", "storage.edge", str(authority.store), "--port", clients, "--metrics", address]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_requests_to_a_remote_store_are_counted_by_what_came_of_them(authority: Authority, tmp_path: Path) -> None:
    port = free_port()
    with serving(authority.store) as store:
        options = ("--port", "PORT", "--metrics", f":{port}", "--endpoint", store.endpoint, "--kept-replies", "0")
        with start(tmp_path, "-m", "storage.edge", "s3://bucket", *options, environment=store.environment()) as server:
            wait_until(lambda: server.get(b"/readyz").status == 200)
            for _ in range(10):
                server.ask(asking(authority, GOOD))
            samples = scrape(port)

            assert value(samples, "lookups_total", place="store") == 10
            assert value(samples, "store_requests_total", operation="get_range", result="ok") >= 1
            assert value(samples, "store_requests_total", operation="get", result="absent") >= 1
            assert value(samples, "store_requests_total", result="error") == 0
            assert value(samples, "refreshes_total", result="loaded") == 1


def test_of_several_workers_what_is_worst_is_shown_and_what_is_silent_is_not_heard(tmp_path: Path) -> None:
    named = cert_id()
    issuer = 'a "quoted" \\ name\nof two lines, ü'
    record = LoggedRequest(method="GET", outcome=Outcome.NOT_STORED, http=200, cert_id=named)
    for number, (state, as_of) in enumerate((("ready", 1_000), ("degraded", 400), ("unready", 100)), 1):
        counts = Counts(Cells(tmp_path))
        counts.know({named[:3]: issuer})
        counts.note(record, 0, 10)
        document = {"state": state, "generation": number, "as_of": as_of, "overlays": number, "is_silent": number == 2}
        rest = {"reasons": [["canary", ""]], "canaries": {"wrong": number}, "issuers": [["r1", as_of, None]]}
        counts.say(document | rest)
    silent = next(path for path in tmp_path.glob("*.state") if json.loads(path.read_text())["state"] == "unready")
    os.utime(silent, (0, 0))
    page, _ = Metrics(Ledger(tmp_path), 3, clock=lambda: 1_400.0).page("")
    samples = parsed(page.decode())

    assert value(samples, "requests_total", outcome="not-stored", issuer=issuer) == 3
    assert {name: value(samples, "workers", state=name) for name in ("ready", "degraded", "unready")} == {
        "ready": 1,
        "degraded": 1,
        "unready": 0,
    }
    assert value(samples, "generation") == 1
    assert value(samples, "generation_as_of_seconds") == value(samples, "answers_end_seconds", issuer="r1") == 400
    assert value(samples, "generation_age_seconds") == 1_000
    assert value(samples, "overlays") == value(samples, "reasons", code="canary") == 2
    assert value(samples, "canaries", result="wrong") == 2
    assert value(samples, "store_silent") == 1
