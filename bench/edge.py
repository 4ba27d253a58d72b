"""The edge under pressure, beside granian with a bare application, and beside cfssl's `ocspserve`.

One worker, requests for certificates that exist, each request logged to a file and counted for metrics; CPU
microseconds a request of the server's tree of processes, medians of rounds in which all take turns. A server that has
nothing to do costs nothing, so all of them stay up.
"""

import functools
import http.client
import shutil
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from bench.bucket import bucket_of, missing_server
from bench.figure import BenchError, Figure, Result, Skipped, Target
from bench.lookups import VERIFY_EVERY, WantedAnswer, check_answers, choose
from bench.pressure import (
    CLIENTS,
    Pressed,
    latencies_us,
    memory_bytes,
    missing_pressure,
    press,
    tree,
    write_requests,
)
from bench.runs import publish, removed
from bench.sizes import Sizes
from bench.urgent import free_port, wait_until_ready
from bench.workload import SEED, Workload, make_workload
from storage.certid import CertID
from storage.reader import Reader, open_reader
from storage.request import encode_request
from storage.stores import LocalStore

GROUP = "edge, one worker, every request logged"
GET = Target(must=4, wish=3.2, at_most=True)
POST = Target(must=0.6, wish=0.4, at_most=True)
ZIPF = Target(must=3, wish=1.8, at_most=True)
WORKERS = Target(must=0.95, wish=1.0)
TAIL = Target(must=4, wish=2, at_most=True)
READY = Target(must=1, wish=0.5, at_most=True)
MEMORY = Target(must=60, wish=45, at_most=True)
S3_READS = Target(must=0.4, wish=0.2, at_most=True)
SHARE_OF_PEAK = 0.7
_READS = 'pregen_edge_store_requests_total{operation="get_range"'


class Served(NamedTuple):
    """A server that runs: the process that began it, its port, and that of its metrics; 0: it has none."""

    pid: int
    port: int
    metrics: int = 0


def measure_edge(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield what a request costs the edge, and what it costs others."""
    if (reason := missing_pressure()) is not None:
        yield Skipped(name="edge", group=GROUP, title="all of it", reason=reason)
        return
    with removed(make_workload(folder / "edge", sizes.edge_rows)) as workload:
        publish(workload)
        yield from measure_served(workload, sizes)
        yield from measure_s3(workload, sizes)
    with removed(make_workload(folder / "edge", sizes.edge_start_rows)) as workload:
        publish(workload)
        yield from measure_start(workload, sizes.rounds)


def measure_served(workload: Workload, sizes: Sizes) -> Iterator[Result]:
    """Yield what requests cost a server of a workload's store, in CPU time and in waiting."""
    uniform = choose(workload, sizes.edge_requests)
    reader = open_reader(LocalStore(workload.store))
    check_answers(workload, reader, uniform[: 10 * VERIFY_EVERY])
    octets = len(_answer(reader, uniform[0].cert_id))
    files = _request_files(workload, uniform)
    seconds = sizes.edge_s
    with ExitStack() as servers:
        start = functools.partial(_started, servers, workload)
        bare = servers.enter_context(_serving(("-m", "bench.bare", "PORT", str(octets)), "/"))
        edges = {one: start(one, workers) for one, workers in (("get", 1), ("post", 1), ("zipf", 1), ("two", 2))}
        turns = {"bare": (bare, files["get"]), **{one: (edges[one], files.get(one, files["get"])) for one in edges}}
        if shutil.which("cfssl"):
            turns["cfssl"] = servers.enter_context(_cfssl(workload, reader, uniform)), files["post"]
        found: dict[str, list[Pressed]] = {name: [] for name in turns}
        warm = [press(server.pid, server.port, requests, 1) for server, requests in turns.values()]
        for _ in range(sizes.rounds):
            for name, (server, requests) in turns.items():
                found[name].append(press(server.pid, server.port, requests, seconds))
        yield from figures_of_costs(found)
        yield from _check_logs(workload, {name: [one, *found[name]] for name, one in zip(turns, warm, strict=True)})
        paths = [f"/{_path(one.cert_id)}" for one in uniform[:20_000]]
        rate = SHARE_OF_PEAK * statistics.median(one.requests / one.wall_s for one in found["get"])
        yield from measure_tail(edges["get"], bare, paths, rate, sizes)


def figures_of_costs(found: dict[str, list[Pressed]]) -> Iterator[Result]:
    """Yield CPU microseconds a request, and what they are of a reference's."""
    cost = {name: statistics.median(one.cpu_us for one in pressed) for name, pressed in found.items()}
    titles = {
        "bare": "granian alone, RSGI",
        "get": "GET, uniform",
        "post": "POST, uniform",
        "zipf": "GET, Zipf s = 1",
        "two": "GET, uniform, two workers",
        "cfssl": "cfssl ocspserve, POST",
    }
    for name, pressed in found.items():
        yield Figure(
            name=f"edge.{name}.cpu_us",
            group=GROUP,
            title=titles[name],
            value=cost[name],
            unit="us CPU",
            samples=tuple(one.cpu_us for one in pressed),
        )
    figure = functools.partial(Figure, group=GROUP)
    yield figure(name="edge.get", title="GET, uniform / granian", value=cost["get"] / cost["bare"], target=GET)
    if "cfssl" in cost:
        yield figure(name="edge.post", title="POST / ocspserve", value=cost["post"] / cost["cfssl"], target=POST)
    else:
        reason = "there is no cfssl: make judges, or apt-get install golang-cfssl"
        yield Skipped(name="edge.post", group=GROUP, title="POST / ocspserve", reason=reason)
    yield figure(name="edge.zipf", title="GET, Zipf / granian", value=cost["zipf"] / cost["bare"], target=ZIPF)
    title = "requests a CPU-second, two workers / one"
    yield figure(name="edge.workers", title=title, value=cost["get"] / cost["two"], target=WORKERS)


def measure_s3(workload: Workload, sizes: Sizes) -> Iterator[Result]:
    """Yield how many reads of a bucket of a real S3 server a request takes, of those that some ask more often."""
    name, title = "edge.s3", "S3, GET, Zipf s = 1: reads of the store / requests"
    if (reason := missing_server()) is not None:
        yield Skipped(name=name, group=GROUP, title=title, reason=reason)
        return
    requests = workload.folder / "requests.zipf"
    with bucket_of(workload) as address:
        publish(workload)
        with _serving(_edge(workload, "s3", 1, address), "/readyz") as server:
            press(server.pid, server.port, requests, 4 * sizes.edge_s)  # until what is kept is what is asked for
            before = _reads(server)
            pressed = press(server.pid, server.port, requests, 4 * sizes.edge_s)
            reads = _reads(server) - before
    yield Figure(name=name, group=GROUP, title=title, value=reads / pressed.requests, target=S3_READS)


def _reads(server: Served) -> float:
    """Return how often a server has read from its store; it tells once a second."""
    time.sleep(2)
    with closing(http.client.HTTPConnection("127.0.0.1", server.metrics, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    return sum(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(_READS))


def measure_tail(edge: Served, bare: Served, paths: Sequence[str], rate: float, sizes: Sizes) -> Iterator[Result]:
    """Yield how long the slowest of a hundred waits where requests come at a rate, beside granian alone."""
    mine, theirs = list[int](), list[int]()
    for _ in range(sizes.rounds):
        mine.append(_p99(latencies_us(edge.port, paths, rate, sizes.edge_s)))
        theirs.append(_p99(latencies_us(bare.port, paths, rate, sizes.edge_s)))
    one, other = statistics.median(mine), statistics.median(theirs)
    note = f"at {rate:,.0f} a second, {SHARE_OF_PEAK:.0%} of the peak"
    figure = functools.partial(Figure, group=GROUP)
    yield figure(name="edge.p99_us", title="p99", value=one, unit="us", samples=tuple(mine), note=note)
    yield figure(name="edge.p99_bare_us", title="p99, granian alone", value=other, unit="us", samples=tuple(theirs))
    yield figure(name="edge.p99", title=f"p99 / granian, {note}", value=one / other, target=TAIL)


def measure_start(workload: Workload, rounds: int) -> Iterator[Result]:
    """Yield how long an edge takes until it is ready, and the memory of its worker then."""
    seconds, octets = list[float](), list[int]()
    for _ in range(rounds):
        began = time.perf_counter()
        with _serving(_edge(workload, "start", 1), "/readyz") as server:
            seconds.append(time.perf_counter() - began)
            octets.append(max(memory_bytes(pid) for pid in tree(server.pid)))
    group = f"edge, {workload.rows:,} certificates"
    value = statistics.median(seconds)
    title = "start to ready"
    samples = tuple(seconds)
    yield Figure(name="edge.ready_s", group=group, title=title, value=value, unit="s", target=READY, samples=samples)
    value = statistics.median(octets) / 2**20
    yield Figure(name="edge.memory", group=group, title="memory of a worker", value=value, unit="MiB", target=MEMORY)


def _check_logs(workload: Workload, found: dict[str, list[Pressed]]) -> Iterator[Result]:
    """Yield how many requests have lines: wrk leaves one a connection behind at the end of a round, and counts it not.

    Raises:
        BenchError: lines are missing, torn, or too many.
    """
    time.sleep(1)  # for the last lines
    logged = 0
    for name, pressed in found.items():
        if not (log := _log(workload, name)).exists():  # of others
            continue
        text = log.read_bytes()
        lines, requests = text.count(b'"outcome": "answered"'), sum(one.requests for one in pressed)
        if not requests <= lines <= requests + len(pressed) * CLIENTS or not text.endswith(b"\n"):
            raise BenchError(f"{requests:,} requests have {lines:,} lines in {log}")
        logged += lines
    yield Figure(name="edge.log", group=GROUP, title="requests, each with its line", value=logged)


def _p99(sorted_values: Sequence[int]) -> int:
    return sorted_values[len(sorted_values) * 99 // 100]


def _started(servers: ExitStack, workload: Workload, name: str, workers: int) -> Served:
    return servers.enter_context(_serving(_edge(workload, name, workers), "/readyz"))


def _edge(workload: Workload, name: str, workers: int, address: str | None = None) -> tuple[str, ...]:
    log = ("--log-file", str(_log(workload, name)), "--quiet")
    ports = ("--port", "PORT", "--metrics", ":METRICS")
    return ("-m", "storage.edge", address or str(workload.store), *ports, "--workers", str(workers), *log)


def _log(workload: Workload, name: str) -> Path:
    return workload.folder / f"requests-{name}.log"


@contextmanager
def _serving(words: Sequence[str], probe: str) -> Iterator[Served]:
    """Run a server with this interpreter while the context lasts; PORT and METRICS in its words are free ports."""
    port, metrics = free_port(), free_port()
    filled = (word.replace("PORT", str(port)).replace("METRICS", str(metrics)) for word in words)
    with _running([sys.executable, *filled], port, probe) as server:
        yield server._replace(metrics=metrics)


@contextmanager
def _running(command: Sequence[str], port: int, probe: str | None) -> Iterator[Served]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603 - our words
        try:
            wait_until_ready(port, probe)
            yield Served(process.pid, port)
        finally:
            process.terminate()


@contextmanager
def _cfssl(workload: Workload, reader: Reader, wanted: Sequence[WantedAnswer]) -> Iterator[Served]:
    """Run cfssl's responder of the same answers; it has them in memory."""
    file, port = workload.folder / "responses", free_port()
    with file.open("wb") as out:
        for cert_id in dict.fromkeys(one.cert_id for one in wanted):
            out.write(b64encode(_answer(reader, cert_id)) + b"\n")
    command = ["cfssl", "ocspserve", "-responses", str(file), "-port", str(port), "-loglevel", "5"]
    with _running(command, port, None) as server:  # it listens when it has read all
        yield server


def _request_files(workload: Workload, uniform: Sequence[WantedAnswer]) -> dict[str, Path]:
    """Write the requests: of certificates at random, and of some that are asked for more often."""
    ranks = np.cumsum(1 / np.arange(1, workload.rows + 1))
    drawn = np.searchsorted(ranks / ranks[-1], np.random.default_rng(SEED).random(len(uniform)))
    popular = choose(workload, workload.rows, drawn)
    write = functools.partial(_write, workload.folder)
    return {
        "get": write("get", (_get(one.cert_id) for one in uniform)),
        "zipf": write("zipf", (_get(one.cert_id) for one in popular)),
        "post": write("post", (_post(one.cert_id) for one in uniform)),
    }


def _write(folder: Path, name: str, requests: Iterator[bytes]) -> Path:
    return write_requests(folder / f"requests.{name}", requests)


def _get(cert_id: CertID) -> bytes:
    return f"GET /{_path(cert_id)} HTTP/1.1\r\nHost: ocsp.example\r\n\r\n".encode()


def _post(cert_id: CertID) -> bytes:
    body = encode_request(cert_id)
    fields = f"Host: ocsp.example\r\nContent-Type: application/ocsp-request\r\nContent-Length: {len(body)}"
    return f"POST / HTTP/1.1\r\n{fields}\r\n\r\n".encode() + body


def _path(cert_id: CertID) -> str:
    return quote(b64encode(encode_request(cert_id)), safe="")


def _answer(reader: Reader, cert_id: CertID) -> bytes:
    answer = reader.lookup(cert_id)
    if answer is None:
        raise BenchError(f"serial {cert_id.serial_number:x} is in the snapshot, but has no response")
    return answer.der
