"""How long an urgent revocation takes: one until a running edge answers so, many until they are published.

The edge is a process of its own on this machine, and is asked over HTTP; the time counts from the start of the command,
imports included. A mass is held against what signing it takes at least: the raw loop of its engine, on as many cores.
All of it is measured in a folder, and in a bucket of a real S3 server on this machine.
"""

import http.client
import os
import socket
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPRequestBuilder, OCSPResponseStatus, load_der_ocsp_response

from bench.bucket import bucket_of, missing_server
from bench.figure import BenchError, Figure, Result, Skipped, Target
from bench.lookups import WantedAnswer, choose
from bench.runs import publish, removed, run_apart, with_stdin
from bench.sizes import Sizes
from bench.workload import Workload, good_serials, make_workload
from pregen.signers import P256_SHA256, engine_named, make_key, signing_rate
from pregen.snapshot import RowStatus

MASS_RATIO = Target(must=3, wish=2, at_most=True)  # with another engine than multibuffer: to the raw signing time
MASS_ROWS = 1_000_000
CORES = 2
START_S, GIVE_UP_S, LOOK_S = 60.0, 60.0, 0.02


class StorePlace(NamedTuple):
    """Where a store lies, and what is asked there.

    Attributes:
        name: what the names of the figures begin with.
        group: see `Figure`.
        visible: of one revocation.
        mass: of a million with `multibuffer` on two cores.
    """

    name: str
    group: str
    visible: Target
    mass: Target


FOLDER = StorePlace(
    name="urgent",
    group="urgent revocations, P-256",
    visible=Target(must=5, wish=4, at_most=True),
    mass=Target(must=30, wish=20, at_most=True),
)
S3 = StorePlace(
    name="urgent.s3",
    group="urgent revocations through a local S3 server, P-256",
    visible=Target(must=6, wish=5, at_most=True),
    mass=Target(must=40, wish=30, at_most=True),
)


class ChangeReport(msgspec.Struct, frozen=True):
    """What is needed of the object that `pregen revoke --json` prints."""

    changed: int
    responses: int


def measure_urgent(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield how long one revocation takes until a running edge answers so, and a mass until it is published."""
    with removed(make_workload(folder / "urgent", sizes.urgent_rows)) as workload:
        yield from _measure_at(FOLDER, str(workload.store), workload, sizes)
        if (reason := missing_server()) is not None:
            yield Skipped(name=S3.name, group=S3.group, title="all of it", reason=reason)
            return
        with bucket_of(workload) as address:
            yield from _measure_at(S3, address, workload, sizes)


def _measure_at(place: StorePlace, address: str, workload: Workload, sizes: Sizes) -> Iterator[Result]:
    report = publish(workload)
    wanted = [one for one in choose(workload, 20 * sizes.urgent_rounds) if one.status == RowStatus.GOOD]
    with _edge(address) as port:
        seconds = tuple(visible_s(workload, one, port) for one in wanted[: sizes.urgent_rounds])
    yield Figure(
        name=f"{place.name}.visible_s",
        group=place.group,
        title="one, until a running edge answers revoked (median)",
        value=statistics.median(seconds),
        unit="s",
        target=place.visible,
        samples=seconds,
    )
    yield from _mass(place, workload, sizes, report.engine)


def _mass(place: StorePlace, workload: Workload, sizes: Sizes, engine: str) -> Iterator[Result]:
    done, seconds = revoke_many(workload, sizes.urgent_mass_rows)
    rate = signing_rate(engine_named(engine, P256_SHA256), P256_SHA256, make_key(P256_SHA256), sizes.reference_s)
    raw_s = done.responses / rate / min(CORES, len(os.sched_getaffinity(0)))
    is_million = engine == "multibuffer" and sizes.urgent_mass_rows == MASS_ROWS
    yield Figure(
        name=f"{place.name}.mass_s",
        group=place.group,
        title=f"{done.changed:,} of them, until they are published",
        value=seconds,
        unit="s",
        target=place.mass if is_million else None,
        note=f"{engine}, {CORES} workers",
    )
    yield Figure(
        name=f"{place.name}.mass_ratio",
        group=place.group,
        title="the same / raw signing on as many cores",
        value=seconds / raw_s,
        target=None if engine == "multibuffer" else MASS_RATIO,
    )


def visible_s(workload: Workload, wanted: WantedAnswer, port: int) -> float:
    """Return how long it takes from the start of a revocation until the edge at a port answers so.

    Raises:
        BenchError: it fails, or is not seen.
    """
    if (before := _status(wanted, port)) is not OCSPCertStatus.GOOD:
        raise BenchError(f"serial {wanted.cert_id.serial_number:x} is to be good before it is revoked, and is {before}")
    words = ("--issuer", "bench", "--serial", f"{wanted.cert_id.serial_number:x}", "--reason", "keyCompromise")
    started = time.perf_counter()
    command = (sys.executable, "-m", "pregen", "revoke", str(workload.config), "--quiet", *words)
    with subprocess.Popen(command) as process:  # noqa: S603 - our words
        while _status(wanted, port) is not OCSPCertStatus.REVOKED:
            if time.perf_counter() - started > GIVE_UP_S or process.poll():
                raise BenchError(f"a revocation is not visible after {GIVE_UP_S:.0f} s, or has failed")
            time.sleep(LOOK_S)
        return time.perf_counter() - started


def revoke_many(workload: Workload, count: int) -> tuple[ChangeReport, float]:
    """Revoke so many certificates by one command; return what it says, and how long it took.

    Raises:
        BenchError: it fails, or has done something else.
    """
    good = good_serials(workload, 0, count)
    names = workload.folder / "serials.txt"
    names.write_text("\n".join(good))
    words = ("--issuer", "bench", "--serial", "-", "--reason", "keyCompromise", "--workers", str(CORES), "--json")
    command = with_stdin(names, (sys.executable, "-m", "pregen", "revoke", str(workload.config), *words))
    started = time.perf_counter()
    code, out = run_apart(command)
    seconds = time.perf_counter() - started
    if code:
        raise BenchError(f"pregen revoke of {count:,} certificates ended with exit code {code}: {out.strip()}")
    report = msgspec.json.decode(out, type=ChangeReport)
    if len(good) - report.changed > 20 * len(good) // 100 or not report.changed:  # some were revoked before
        raise BenchError(f"pregen revoke was to revoke {len(good):,} certificates, and did something else: {report}")
    return report, seconds


@contextmanager
def _edge(address: str) -> Iterator[int]:
    """Serve a store while the context lasts; give the port."""
    port = free_port()
    command = (sys.executable, "-m", "storage.edge", address, "--port", str(port))
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            wait_until_ready(port)
            yield port
        finally:
            process.terminate()


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_until_ready(port: int, path: str | None = "/readyz") -> None:
    """Wait until a server at a port answers a GET with 200; without a path, until it listens.

    Raises:
        BenchError: it does not.
    """
    started = time.perf_counter()
    while time.perf_counter() - started < START_S:
        with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            if path is None:
                connection.connect()
                return
            connection.request("GET", path)
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(LOOK_S)
    raise BenchError(f"the server at port {port} is not ready after {START_S:.0f} s")


def _status(wanted: WantedAnswer, port: int) -> OCSPCertStatus | None:
    """Return what the edge answers; None: no answer now."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", f"/{_request(wanted)}")
        response = load_der_ocsp_response(connection.getresponse().read())
    return response.certificate_status if response.response_status is OCSPResponseStatus.SUCCESSFUL else None


def _request(wanted: WantedAnswer) -> str:
    _, name_hash, key_hash, _ = wanted.cert_id
    builder = OCSPRequestBuilder().add_certificate_by_hash(name_hash, key_hash, wanted.cert_id.serial_number, SHA1())  # noqa: S303 - of a CertID
    der = builder.build().public_bytes(Encoding.DER)
    return quote(b64encode(der), safe="")
