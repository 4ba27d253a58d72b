"""The snapshot: files in, validated status batches out.

A snapshot is one or more files (Parquet, Arrow IPC, CSV) that say, for one instant `as_of`, which certificates exist
and which of them are revoked. Reading goes

    files.py      which files, and their record batches with the needed columns alone
    columns.py    which column is where, and whether its type can be read: looked at before the first row
    serials.py, instants.py, codes.py     one column each: Arrow array in, numpy or Arrow array and `Fault`s out
    intake.py     one record batch to one `StatusBatch`, bad rows left out
    findings.py   bad rows to `Finding`s: counted by kind, with examples

so that whatever is wrong with a file stops the run at once, and whatever is wrong with rows is found in one pass.
"""

from pregen.snapshot.batch import (
    GOOD,
    MAX_SERIAL_BYTES,
    NO_EXPIRY,
    NO_ISSUANCE,
    NO_REASON,
    NOT_LATE,
    REVOKED,
    UNKNOWN,
    Late,
    StatusBatch,
)
from pregen.snapshot.files import AS_OF_KEY
from pregen.snapshot.snapshot import Reading, Snapshot, open_snapshot

__all__ = [
    "AS_OF_KEY",
    "GOOD",
    "MAX_SERIAL_BYTES",
    "NOT_LATE",
    "NO_EXPIRY",
    "NO_ISSUANCE",
    "NO_REASON",
    "REVOKED",
    "UNKNOWN",
    "Late",
    "Reading",
    "Snapshot",
    "StatusBatch",
    "open_snapshot",
]
