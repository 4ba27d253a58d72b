"""Realistic rows for a snapshot: random serials of 16 to 20 octets, a few revoked, expired or unknown."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pregen import clock
from pregen.clock import DAY_S
from pregen.snapshot import AS_OF_KEY, RowStatus

_SERIAL_BYTES = (16, 17, 18, 19, 20)
_REVOKED_SHARE, EXPIRED_SHARE, UNKNOWN_SHARE = 0.02, 0.01, 0.0005
_REASONS = (1, 3, 4, 5, 9)  # those that server certificates have; absent in a third of the cases
VALID_DAYS = 90


def write_snapshot(path: Path, rows: int, as_of: datetime) -> dict[int, bytes]:
    """Write a Parquet file of random certificates; return, for each status, the serial of one that is not expired.

    Args:
        path: the file.
        rows: how many; at least 3, so that each status is there.
        as_of: certificates were issued before it, and expire around it.
    """
    random = np.random.default_rng()
    now = clock.seconds(as_of)
    sizes = random.choice(_SERIAL_BYTES, rows).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    octets = random.integers(0, 256, int(offsets[-1]), dtype=np.uint8)
    octets[offsets[:-1]] = octets[offsets[:-1]] & 0x3F | 0x40  # positive, and minimal whatever follows
    status = random.choice(
        list(RowStatus), rows, p=[1 - _REVOKED_SHARE - UNKNOWN_SHARE, _REVOKED_SHARE, UNKNOWN_SHARE]
    ).astype(np.uint8)
    status[:3] = list(RowStatus)
    expired = random.random(rows) < EXPIRED_SHARE
    expired[:3] = False
    left = np.where(expired, -random.integers(1, 30, rows), random.integers(1, VALID_DAYS, rows))
    not_after = now + left * DAY_S + random.integers(0, DAY_S, rows) - expired * DAY_S
    revoked = status == RowStatus.REVOKED
    not_before = not_after - VALID_DAYS * DAY_S
    until = np.minimum(now, not_after)
    revoked_at = until - (random.random(rows) * (until - not_before)).astype(np.int64)
    reason = random.choice([*_REASONS, 0, 0], rows).astype(np.int8)
    serial = pa.BinaryArray.from_buffers(
        pa.binary(), rows, [None, pa.py_buffer(offsets.data), pa.py_buffer(octets.data)]
    )
    table = pa.table(
        {
            "issuer": pa.DictionaryArray.from_arrays(np.zeros(rows, np.int8), ["demo-r1"]),
            "serial": serial,
            "status": status,
            "revoked_at": _instants(revoked_at, ~revoked),
            "reason": pa.array(reason, mask=~revoked | (reason == 0)),
            "not_before": _instants(not_before, np.zeros(rows, bool)),
            "not_after": _instants(not_after, np.zeros(rows, bool)),
        }
    )
    pq.write_table(table.replace_schema_metadata({AS_OF_KEY: clock.text(as_of)}), path)
    return {code: serial[row].as_py() for row, code in enumerate(RowStatus)}


def _instants(seconds: NDArray[np.int64], missing: NDArray[np.bool_]) -> "pa.Array[pa.Scalar[pa.DataType]]":
    return pa.array(seconds * 1000, pa.int64(), mask=missing).cast(pa.timestamp("ms", "UTC"))
