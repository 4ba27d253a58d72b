"""ORC: stripes are decoded one by one, and of each only the columns that are asked for.

A `timestamp with local time zone` is an instant. A `timestamp` is what a clock showed where it was written, whatever
zone the file names for its writer: it needs a declared zone, as it does in other formats. The reader holds both in
nanoseconds, from 1677 to 2262, and refuses what lies beyond.

ORC has no checksums, and a single flipped bit can make its reader abort the process or never return (measured, Arrow
26). So it works in a process of its own (`apart.py`, `orc_child.py`), whose end is no more than an error about the
file.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.ipc

from pregen.snapshot.files.apart import ReadRequest, answers
from pregen.snapshot.files.base import Undivided
from pregen.snapshot.files.sources import Source

MAGIC = b"ORC"
_PATIENCE_S = 120  # for one stripe, of 64 MiB mostly


class OrcFile(Undivided):
    """A file of which only the streams of the needed columns are read."""

    unit: Literal["row"] = "row"

    def __init__(self, source: Source, patience_s: int = _PATIENCE_S) -> None:
        """Read its footer; a stripe that takes longer than `patience_s` is damaged."""
        self._source = source
        self._patience_s = patience_s
        self.path = source.location
        [(schema, self.as_of, self.row_estimate)] = answers(ReadRequest(source, None, patience_s))
        self.schema = pa.ipc.read_schema(schema)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        del categories
        for schema, octets in answers(ReadRequest(self._source, list(names), self._patience_s)):
            yield pa.ipc.read_record_batch(octets, pa.ipc.read_schema(schema))
