"""The reader against a loop that only reads and checksums the same buckets.

A store in local files, one process, certificates that exist, at random; directories are in memory, buckets in the page
cache. Both loops take turns, so that a machine that drifts hits both.
"""

import functools
import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow.parquet as pq
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.ocsp import OCSPCertStatus, load_der_ocsp_response
from numpy.typing import NDArray

from bench.figure import PER_CPU_SECOND, BenchError, Figure, Result, Target
from bench.runs import publish, removed
from bench.sizes import Sizes
from bench.turns import take_turns
from bench.workload import SEED, Workload, make_workload
from pregen.issuers.certificates import read_certificates
from pregen.snapshot import RowStatus
from storage.certid import SHA1, CertID
from storage.reader import Answer, Reader, open_reader
from storage.stores import LocalStore

RATIO = Target(must=0.22, wish=0.33)
RANGED_GETS = Target(must=1, wish=1, at_most=True)
VERIFY_EVERY = 97
_OCSP_STATUSES: Mapping[int, OCSPCertStatus] = {
    RowStatus.GOOD: OCSPCertStatus.GOOD,
    RowStatus.REVOKED: OCSPCertStatus.REVOKED,
}


class WantedAnswer(NamedTuple):
    """A certificate to look up, and the status that the snapshot gives it."""

    cert_id: CertID
    status: int


class Read(NamedTuple):
    """One ranged read of the reader, and the CRC-32 of what came back."""

    name: str
    start: int
    length: int
    crc: int


class RecordingStore(LocalStore):
    """A local store that remembers its ranged reads."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[Read] = []

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` octets from `start` on."""
        octets = super().get_range(name, start, length)
        self.reads.append(Read(name, start, length, zlib.crc32(octets)))
        return octets


def measure_lookups(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the rate of lookups, that of the reference, their ratio, and the ranged reads that a lookup takes."""
    with removed(make_workload(folder / "lookups", sizes.lookup_rows)) as workload:
        publish(workload)
        wanted = choose(workload, sizes.lookups)
        reads = record_reads(workload, wanted)
        reader = open_reader(LocalStore(workload.store))
        check_answers(workload, reader, wanted)
        with Buckets(workload.store, reads) as buckets:
            reference, mine = take_turns(
                sizes.rounds,
                lambda: rate_of(buckets.read_all, len(reads)),
                lambda: rate_of(lookups_of(reader, wanted), len(wanted)),
            )
            buckets.check()
    yield from figures_of_lookups(mine, reference, len(reads) / len(wanted))


def figures_of_lookups(mine: Sequence[float], reference: Sequence[float], reads_per_lookup: float) -> Iterator[Figure]:
    """Yield the figures; the rates of rounds of equal work are summed up by their harmonic mean."""
    rate, limit = (len(rates) / sum(1 / one for one in rates) for rates in (mine, reference))
    figure = functools.partial(Figure, group="lookups from local files, one process")
    yield figure(name="lookups.rate", title="lookups", value=rate, unit=PER_CPU_SECOND, samples=tuple(mine))
    yield figure(name="lookups.ratio", title="lookups / buckets read", value=rate / limit, target=RATIO)
    title = "buckets read and summed up, no more"
    yield figure(name="lookups.reference", title=title, value=limit, unit=PER_CPU_SECOND, samples=tuple(reference))
    title = "ranged reads a lookup, directory in memory"
    yield figure(name="lookups.ranged_gets", title=title, value=reads_per_lookup, target=RANGED_GETS)


def choose(workload: Workload, count: int, rows: NDArray[np.int64] | None = None) -> list[WantedAnswer]:
    """Return certificates of the snapshot: those of `rows`, or so many at random, the same ones every time."""
    authority = read_certificates(workload.issuer)[0]
    name_hash, key_hash = (
        hashlib.sha1(octets, usedforsecurity=False).digest() for octets in (authority.subject, authority.key_bits)
    )
    table = pq.read_table(workload.snapshots, columns=["serial", "status"])
    chosen = table.take(np.random.default_rng(SEED).integers(0, workload.rows, count) if rows is None else rows)
    return [WantedAnswer(CertID(SHA1, name_hash, key_hash, row["serial"]), row["status"]) for row in chosen.to_pylist()]


def record_reads(workload: Workload, wanted: Sequence[WantedAnswer]) -> list[Read]:
    """Return the ranged reads of looking all up once directories are in memory."""
    store = RecordingStore(workload.store)
    reader = open_reader(store)
    look_up_all = lookups_of(reader, wanted)
    look_up_all()
    store.reads.clear()
    look_up_all()
    store.close()
    return store.reads


def check_answers(workload: Workload, reader: Reader, wanted: Sequence[WantedAnswer]) -> None:
    """Look all up; parse some of the responses and verify their signatures.

    Raises:
        BenchError: an answer is missing or wrong.
    """
    key = x509.load_pem_x509_certificate(workload.responder.read_bytes()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    for number, one in enumerate(wanted):
        answer = reader.lookup(one.cert_id)
        if answer is None:
            raise BenchError(f"serial {one.cert_id.serial_number:x} is in the snapshot, but has no response")
        if number % VERIFY_EVERY == 0:
            _check_answer(answer, one, key)


class Buckets:
    """The reference: packs opened beforehand, then one pread and one CRC-32 a bucket, and nothing else."""

    def __init__(self, store: Path, reads: Sequence[Read]) -> None:
        self._expected = [read.crc for read in reads]
        self._sums: list[int] = []
        self._opened = ExitStack()
        files: dict[str, int] = {}
        for name in dict.fromkeys(read.name for read in reads):
            files[name] = os.open(store / name, os.O_RDONLY)
            self._opened.callback(os.close, files[name])
        self._places = [(files[read.name], read.length, read.start) for read in reads]

    def __enter__(self) -> Self:
        """Return the loop."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the packs."""
        self._opened.close()

    def read_all(self) -> None:
        """Read and sum up all buckets."""
        pread, crc32 = os.pread, zlib.crc32
        self._sums = [crc32(pread(file, length, start)) for file, length, start in self._places]

    def check(self) -> None:
        """Compare the sums with those of what the reader got.

        Raises:
            BenchError: something else was read.
        """
        if self._sums != self._expected:
            raise BenchError("the reference read other octets than the reader: its rate means nothing")


def lookups_of(reader: Reader, wanted: Sequence[WantedAnswer]) -> Callable[[], None]:
    """Return what looks all up."""
    cert_ids = [one.cert_id for one in wanted]

    def look_up_all() -> None:
        lookup = reader.lookup
        for cert_id in cert_ids:
            lookup(cert_id)

    return look_up_all


def rate_of(work: Callable[[], None], count: int) -> float:
    """Return how many of `count` pieces of work are done in a second of CPU time."""
    started = time.process_time()
    work()
    return count / (time.process_time() - started)


def _check_answer(answer: Answer, wanted: WantedAnswer, key: ec.EllipticCurvePublicKey) -> None:
    parsed = load_der_ocsp_response(answer.der)
    serial = wanted.cert_id.serial_number
    try:
        key.verify(parsed.signature, parsed.tbs_response_bytes, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise BenchError(f"the response to serial {serial:x} has a wrong signature") from None
    if (parsed.serial_number, parsed.certificate_status) != (serial, _OCSP_STATUSES[wanted.status]):
        said = f"{parsed.certificate_status.name} of {parsed.serial_number:x}"
        raise BenchError(f"the response to serial {serial:x} says {said}")
