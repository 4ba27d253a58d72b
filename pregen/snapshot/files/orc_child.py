"""The reader of ORC in a process of its own: a request on stdin, record batches into one pipe, an error into another.

What takes too long ends it (SIGALRM), even in native code, and so does a parent that is gone (a broken pipe).
"""

import importlib.resources
import io
import os
import pickle
import signal
import sys
from typing import NamedTuple

import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc

from pregen.errors import InputError
from pregen.snapshot.files.base import AS_OF_KEY, is_damage, text_of_metadata, within
from pregen.snapshot.files.sources import Source, reading

_WINDOW_BYTES = 256 << 10  # its streams are small, and lie beside each other


class Request(NamedTuple):
    """Which file, which columns of it (None: its footer), and how many seconds a stripe may take."""

    source: Source
    names: list[str] | None
    patience_s: int


class Footer(NamedTuple):
    """What is known of a file before its rows."""

    schema: pa.Schema
    as_of: str | None
    rows: int


def main(data: int, errors: int) -> int:
    """Answer one request; 3: the error says what is wrong with the file."""
    request: Request = pickle.load(sys.stdin.buffer)  # noqa: S301 our own program wrote it
    # Zones are looked up in files, even GMT: the package's, and never the machine's.
    os.environ["TZDIR"] = str(importlib.resources.files("tzdata") / "zoneinfo")
    try:
        with os.fdopen(data, "wb") as sink, reading(request.source, _WINDOW_BYTES) as file:
            signal.alarm(request.patience_s)
            opened = pyarrow.orc.ORCFile(file)
            if request.names is None:
                metadata = text_of_metadata(opened.metadata.get(AS_OF_KEY))
                pickle.dump(Footer(opened.schema, metadata, opened.nrows), sink)
            else:
                _send(opened, request.names, request.patience_s, sink)
    except InputError as error:
        with os.fdopen(errors, "wb") as pipe:
            pickle.dump(error, pipe)
        return 3
    return 0


def _send(opened: pyarrow.orc.ORCFile, names: list[str], patience_s: int, sink: io.BufferedWriter) -> None:
    schema = pa.schema([opened.schema.field(name) for name in names])
    with pa.ipc.new_stream(sink, schema) as writer:
        for number in range(opened.nstripes):
            signal.alarm(patience_s)
            batch = _stripe(opened, number, names)
            signal.alarm(0)  # the parent may take its time
            writer.write_batch(batch)


def _stripe(opened: pyarrow.orc.ORCFile, number: int, names: list[str]) -> pa.RecordBatch:
    try:
        return opened.read_stripe(number, columns=names).select(names)
    except (pa.ArrowException, OSError) as error:
        if is_damage(error):
            for name in names:  # which one is it?
                with within(f"stripe {number + 1:,}, column {name!r}"):
                    opened.read_stripe(number, columns=[name])
        raise
