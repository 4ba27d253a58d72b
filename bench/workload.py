"""What is measured with: issuers, and a snapshot of the same certificates every time.

Serials of 16 octets, 2 % revoked, each with a time and one of the five reasons that server certificates have. Either
one issuer with a delegated responder, whose certificate is embedded, or many that sign for themselves. Responders are
identified by key.

Dated certificates have a validity of 90 days too, were issued evenly over the last 90 days, and revoked after that. For
them there is a second snapshot, what was known a day before: without what was issued or revoked since. A run on it
makes the generation that the gates of the next run compare with.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.authorities import SECTION, make_authorities
from pregen import clock
from pregen.demo.authority import make_authority
from pregen.generation.rows.spill import ROW_BYTES as SPOOLED_BYTES
from pregen.signers import P256_SHA256, Algorithm
from pregen.snapshot import AS_OF_KEY, RowStatus
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.rows import Mask

Seconds: TypeAlias = NDArray[np.int64]
CertIdLayout: TypeAlias = Literal["sha1", "separate", "combined"]

SEED = 6960
SERIAL_BYTES = 16
REVOKED_SHARE = 0.02
_REASONS = np.array([1, 3, 4, 5, 9], np.int8)
RECENT_S = 90 * 86_400
GROUP_ROWS = 1 << 20  # of a Parquet row group, as pyarrow writes them when told nothing
SNAPSHOT_BYTES = 28  # a row, somewhat more than Parquet takes
VALIDITY_BYTES = 16  # what the two columns of a validity take beyond that
HISTORY_BYTES = 12  # a certificate, for the gates of the next run
ALMOST_A_DAY = timedelta(hours=23)  # an hour for publishing what is so old: public profiles refuse more than a day
DESCRIPTION = (
    "one issuer, delegated responder with embedded certificate, byKey, sha1, 16-octet serials, "
    f"2 % revoked with time and reason, Parquet, seed {SEED}, one worker, local store, where nothing else is said; "
    "runs that show what gates cost: with not_before and not_after, on top of the generation of the day before"
)
INSTANT = pa.timestamp("ms", "UTC")  # Parquet has no whole seconds
_COLUMNS: dict[str, pa.DataType] = {
    "serial": pa.binary(),
    "status": pa.uint8(),
    "revoked_at": INSTANT,
    "reason": pa.int8(),
}
VALIDITY_COLUMNS: dict[str, pa.DataType] = {"not_before": INSTANT, "not_after": INSTANT}
ISSUER_COLUMN: dict[str, pa.DataType] = {"issuer": pa.dictionary(pa.int32(), pa.string())}
_CONFIGURATION = """\
[snapshot]
path = "snapshot*.parquet"

[validity]
profile = "strict"
lifetime = "4d"

[run]
spool = "."

[publish]
store = "store"
"""
ISSUER = """
[[issuer]]
name = "bench"
certificate = "issuer.pem"
responder_certificate = "ocsp.pem"
key = "ocsp.key"
responder_id = "by-key"
cert_ids = "{cert_ids}"
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A folder with all that `pregen run` needs.

    Attributes:
        folder: where it lies.
        rows: of the snapshot.
        responses: that a run makes of it.
        signature_bytes: of each of them.
    """

    folder: Path
    rows: int
    responses: int
    signature_bytes: int

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "pregen.toml"

    @property
    def snapshots(self) -> list[Path]:
        """The Parquet files."""
        return sorted(self.folder.glob("snapshot*.parquet"))

    @property
    def day_before(self) -> Path:
        """A pattern: what was known a day before, where certificates are dated; not a part of the snapshot."""
        return self.folder / "day-before*.parquet"

    @property
    def store(self) -> Path:
        """Where a run publishes to."""
        return self.folder / "store"

    @property
    def issuer(self) -> Path:
        """The issuer's certificate, where there is one alone."""
        return self.folder / "issuer.pem"

    @property
    def responder(self) -> Path:
        """The responder's certificate, where the issuer does not sign itself."""
        return self.folder / "ocsp.pem"


def make_workload(
    folder: Path,
    rows: int,
    algorithm: Algorithm = P256_SHA256,
    *,
    cert_ids: CertIdLayout = "sha1",
    files: int = 1,
    dated: bool = False,
) -> Workload:
    """Write a CA, its responder, the configuration and a snapshot into a new folder.

    Args:
        folder: the new one.
        rows: certificates.
        algorithm: of the responder's key.
        cert_ids: which hashes get answers.
        files: how many files the snapshot has, of about one size.
        dated: whether certificates have a validity, and there is a snapshot of the day before.
    """
    folder.mkdir()
    now = clock.now()
    make_authority(folder, algorithm.key, now)
    workload = Workload(folder, rows, rows * (1 + (cert_ids == "separate")), algorithm.signature_bytes)
    workload.config.write_text(_CONFIGURATION + ISSUER.format(cert_ids=cert_ids))
    edges = np.linspace(0, rows, files + 1).astype(int).tolist()
    if not dated:
        _write_files(folder, "snapshot", edges, _COLUMNS, _columns, now)
        return workload
    for stem, known_by in (("snapshot", now), ("day-before", now - ALMOST_A_DAY)):
        columns = functools.partial(_dated_columns, issued_by=clock.seconds(now))
        _write_files(folder, stem, edges, {**_COLUMNS, **VALIDITY_COLUMNS}, columns, known_by)
    return workload


def make_many_issuers(folder: Path, issuers: int, rows_each: int) -> Workload:
    """Write issuers that sign for themselves, each with its own P-256 key, and a snapshot of `rows_each` for each.

    The certificates of all issuers take turns, so that they lie as far apart as they can.
    """
    folder.mkdir()
    now = clock.now()
    authorities = make_authorities(folder, issuers, now)
    rows = issuers * rows_each
    workload = Workload(folder, rows, rows, P256_SHA256.signature_bytes)
    workload.config.write_text(_CONFIGURATION + "".join(SECTION.format(name=name) for name in authorities))
    as_of, random = clock.seconds(now), np.random.default_rng(SEED)
    names = pa.array(authorities)

    def columns(start: int, count: int) -> dict[str, ArrowArray]:
        turns = (np.arange(start, start + count) % issuers).astype(np.int32)
        return {"issuer": pa.DictionaryArray.from_arrays(turns, names), **_columns(random, count, as_of)}

    path = folder / "snapshot.parquet"
    _write_snapshot(path, rows, columns, {**ISSUER_COLUMN, **_COLUMNS}, clock.text(now))
    return workload


def good_serials(workload: Workload, start: int, count: int) -> list[str]:
    """Return serial numbers of so many good certificates, from one on, as commands take them."""
    rows = pq.read_table(workload.snapshots, columns=["serial", "status"])
    good = rows["serial"].filter(pa.array(rows["status"].to_numpy() == RowStatus.GOOD)).slice(start, count)
    serials = cast("list[bytes]", good.to_pylist())
    return [f"{int.from_bytes(one, 'big', signed=True):x}" for one in serials]


def disk_bytes(responses: int, signature_bytes: int = P256_SHA256.signature_bytes, *, dated: bool = False) -> int:
    """Return how much disk a workload of so many responses needs: snapshot, spill files and store.

    Where certificates are dated, these are two snapshots and two generations.

    >>> disk_bytes(1_000_000) - 1_000_000 * SPOOLED_BYTES
    122000000
    >>> disk_bytes(1_000_000, dated=True) - 1_000_000 * SPOOLED_BYTES
    276000000
    """
    snapshot = SNAPSHOT_BYTES + VALIDITY_BYTES * dated
    stored = SERIAL_BYTES + signature_bytes + 2 + HISTORY_BYTES
    return responses * ((1 + dated) * (snapshot + stored) + SPOOLED_BYTES)


def _write_files(
    folder: Path,
    stem: str,
    edges: Sequence[int],
    types: dict[str, pa.DataType],
    columns: Callable[[np.random.Generator, int, int], dict[str, ArrowArray]],
    as_of: datetime,
) -> None:
    """Write a snapshot in files that end at `edges`; `columns` gives those of so many rows, as of an instant."""
    random, seconds = np.random.default_rng(SEED), clock.seconds(as_of)

    def drawn(_start: int, count: int) -> dict[str, ArrowArray]:
        return columns(random, count, seconds)

    for number, (start, end) in enumerate(itertools.pairwise(edges)):
        path = folder / (f"{stem}-{number}.parquet" if len(edges) > 2 else f"{stem}.parquet")
        _write_snapshot(path, end - start, drawn, types, clock.text(as_of))


def _write_snapshot(
    path: Path,
    rows: int,
    columns: Callable[[int, int], dict[str, ArrowArray]],
    types: dict[str, pa.DataType],
    as_of: str,
) -> None:
    """Write row groups; `columns` gives those of so many rows from a start on."""
    schema = pa.schema(types)
    with pq.ParquetWriter(path, schema.with_metadata({AS_OF_KEY: as_of})) as writer:
        for start in range(0, rows, GROUP_ROWS):
            arrays = columns(start, min(GROUP_ROWS, rows - start))
            writer.write_batch(pa.record_batch([arrays[name] for name in types], schema=schema))


def _columns(random: np.random.Generator, count: int, as_of: int) -> dict[str, ArrowArray]:
    revoked, serials = random.random(count) < REVOKED_SHARE, _serials(random, count)
    revoked_at = as_of - random.integers(0, RECENT_S, count)
    return {"serial": serials, **_status_columns(revoked, revoked_at, random.choice(_REASONS, count))}


def _dated_columns(random: np.random.Generator, count: int, as_of: int, issued_by: int) -> dict[str, ArrowArray]:
    """Return the columns of `count` certificates that there are at `issued_by`, as they were known at `as_of`."""
    revoked, serials = random.random(count) < REVOKED_SHARE, _serials(random, count)
    age = random.integers(0, RECENT_S, count)
    issued_at, revoked_at = issued_by - age, issued_by - random.integers(0, age + 1)
    columns = {
        "serial": serials,
        **_status_columns(revoked & (revoked_at <= as_of), revoked_at, random.choice(_REASONS, count)),
        "not_before": _instants(issued_at),
        "not_after": _instants(issued_at + RECENT_S - 1),
    }
    there = pa.array(issued_at <= as_of)
    return {name: array.filter(there) for name, array in columns.items()}


def _status_columns(revoked: Mask, revoked_at: Seconds, reasons: NDArray[np.int8]) -> dict[str, ArrowArray]:
    return {
        "status": pa.array(np.where(revoked, RowStatus.REVOKED, RowStatus.GOOD).astype(np.uint8)),
        "revoked_at": _instants(revoked_at, ~revoked),
        "reason": pa.array(reasons, mask=~revoked),
    }


def _instants(seconds: Seconds, absent: Mask | None = None) -> ArrowArray:
    return pa.array(seconds * 1000, mask=absent).cast(INSTANT)


def _serials(random: np.random.Generator, count: int) -> ArrowArray:
    octets = random.integers(0, 256, (count, SERIAL_BYTES), dtype=np.uint8)
    octets[:, 0] = octets[:, 0] & 0x3F | 0x40  # positive, and minimal whatever follows
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(SERIAL_BYTES)
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(octets.data)]
    return pa.BinaryArray.from_buffers(pa.binary(), count, buffers)
