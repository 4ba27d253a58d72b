"""What is measured with: a CA, its delegated responder, and a snapshot of the same certificates every time.

One issuer, serials of 16 octets, 2 % revoked, each with a time and one of the five reasons that server certificates
have. One response a certificate (SHA-1 CertID), responder identified by key, its certificate embedded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pregen import clock
from pregen.demo.authority import make_authority
from pregen.generation.spool import ROW_BYTES as SPOOLED_BYTES
from pregen.snapshot import AS_OF_KEY, GOOD, REVOKED

ArrowArray: TypeAlias = "pa.Array[pa.Scalar[pa.DataType]]"

SEED = 6960
SERIAL_BYTES = 16
SIGNATURE_BYTES = 64
RECORD_BYTES = SERIAL_BYTES + SIGNATURE_BYTES
REVOKED_SHARE = 0.02
REASONS = np.array([1, 3, 4, 5, 9], np.int8)
RECENT_S = 90 * 86_400
GROUP_ROWS = 1 << 20  # of a Parquet row group, as pyarrow writes them when told nothing
SNAPSHOT_BYTES = 24  # a row, somewhat more than Parquet takes
DESCRIPTION = (
    "one issuer, delegated responder with embedded certificate, byKey, sha1, 16-octet serials, "
    f"2 % revoked with time and reason, Parquet, seed {SEED}, one worker, local store"
)
INSTANT = pa.timestamp("ms", "UTC")  # Parquet has no whole seconds
COLUMNS: dict[str, pa.DataType] = {
    "serial": pa.binary(),
    "status": pa.uint8(),
    "revoked_at": INSTANT,
    "reason": pa.int8(),
}
SCHEMA = pa.schema(COLUMNS)
CONFIGURATION = """\
[snapshot]
path = "snapshot.parquet"

[[issuer]]
name = "bench"
certificate = "issuer.pem"
responder_certificate = "ocsp.pem"
key = "ocsp.key"
responder_id = "by-key"
cert_ids = "sha1"

[validity]
profile = "strict"
lifetime = "4d"

[run]
spool = "."

[publish]
store = "store"
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A folder with all that `pregen run` needs."""

    folder: Path
    rows: int

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.folder / "pregen.toml"

    @property
    def snapshot(self) -> Path:
        """The Parquet file."""
        return self.folder / "snapshot.parquet"

    @property
    def store(self) -> Path:
        """Where a run publishes to."""
        return self.folder / "store"

    @property
    def issuer(self) -> Path:
        """The issuer's certificate."""
        return self.folder / "issuer.pem"

    @property
    def responder(self) -> Path:
        """The responder's certificate."""
        return self.folder / "ocsp.pem"


def make_workload(folder: Path, rows: int) -> Workload:
    """Write the CA, the configuration and a snapshot of `rows` certificates into a new folder."""
    folder.mkdir()
    workload = Workload(folder, rows)
    as_of = clock.now()
    make_authority(folder, "p256", as_of)
    workload.config.write_text(CONFIGURATION)
    schema = SCHEMA.with_metadata({AS_OF_KEY: clock.text(as_of)})
    with pq.ParquetWriter(workload.snapshot, schema) as writer:
        for group in _row_groups(rows, clock.seconds(as_of)):
            writer.write_batch(group)
    return workload


def disk_bytes(rows: int) -> int:
    """Return how much disk a workload of `rows` certificates needs: snapshot, spill files and store.

    >>> disk_bytes(1_000_000)
    178000000
    """
    return rows * (SNAPSHOT_BYTES + SPOOLED_BYTES + RECORD_BYTES + 2)


def _row_groups(rows: int, as_of: int) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(SEED)
    for start in range(0, rows, GROUP_ROWS):
        count = min(GROUP_ROWS, rows - start)
        revoked = random.random(count) < REVOKED_SHARE
        columns: list[ArrowArray] = [
            _serials(random, count),
            pa.array(np.where(revoked, REVOKED, GOOD).astype(np.uint8)),
            pa.array((as_of - random.integers(0, RECENT_S, count)) * 1000, mask=~revoked).cast(INSTANT),
            pa.array(random.choice(REASONS, count), mask=~revoked),
        ]
        yield pa.record_batch(columns, names=SCHEMA.names)


def _serials(random: np.random.Generator, count: int) -> ArrowArray:
    octets = random.integers(0, 256, (count, SERIAL_BYTES), dtype=np.uint8)
    octets[:, 0] = octets[:, 0] & 0x3F | 0x40  # positive, and minimal whatever follows
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(SERIAL_BYTES)
    buffers = [None, pa.py_buffer(offsets.data), pa.py_buffer(octets.data)]
    return pa.BinaryArray.from_buffers(pa.binary(), count, buffers)
