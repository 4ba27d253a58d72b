"""Arrow IPC, as a file or as a stream; read through, not mapped: a file that shrinks must not kill the process."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.ipc

from pregen.snapshot.files.base import (
    AS_OF_KEY,
    USUAL_ROW_BYTES,
    Undivided,
    slices,
    text_of_metadata,
    unusable,
    within,
)
from pregen.snapshot.files.ipc_sizes import refuse_bombs
from pregen.snapshot.files.sources import Source, reading

FILE_MAGIC, STREAM_MAGIC = b"ARROW1", b"\xff\xff\xff\xff"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_FILE_WINDOW_BYTES = 64 << 10  # between the columns lie those that are not asked for
_STREAM_WINDOW_BYTES = 1 << 20

_IpcReader = pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader


class IpcFile(Undivided):
    """A file or a stream of record batches."""

    unit: Literal["row"] = "row"

    def __init__(self, source: Source, *, stream: bool) -> None:
        """Read its schema."""
        self._source = source
        self._stream = stream
        self._window_bytes = _STREAM_WINDOW_BYTES if stream else _FILE_WINDOW_BYTES
        self.path = source.location
        with reading(source, self._window_bytes) as file:
            if stream and not _ends_with(file, source.size, _END_OF_STREAM):
                what = "the stream has no end mark, so it may be cut off: export it again"
                raise unusable("file.truncated", self.path, what)
            with self._reader(file) as reader:
                self.schema = reader.schema
        self.as_of = text_of_metadata((self.schema.metadata or {}).get(AS_OF_KEY))
        self.row_estimate = source.size // USUAL_ROW_BYTES

    def _reader(self, file: pa.NativeFile, fields: Sequence[int] = ()) -> _IpcReader:
        file.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=list(fields), use_threads=False)
        return pa.ipc.open_stream(file, options=options) if self._stream else pa.ipc.open_file(file, options=options)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`; the file itself says what is a dictionary."""
        del categories
        fields = [self.schema.get_field_index(name) for name in names]
        with reading(self._source, self._window_bytes) as file:
            refuse_bombs(file, self._source.size, stream=self._stream)
            with self._reader(file, fields) as reader:
                batches = _record_batches(reader)
                for number in itertools.count(1):
                    with within(f"record batch {number:,}"):
                        batch = next(batches, None)
                        if batch is None:
                            return
                        yield from slices(batch)


def _record_batches(reader: _IpcReader) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from reader


def _ends_with(file: pa.NativeFile, size: int, octets: bytes) -> bool:
    file.seek(max(0, size - len(octets)))
    return file.read() == octets
