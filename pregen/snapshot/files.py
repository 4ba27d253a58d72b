"""The files of a snapshot: which they are, and the columns that are asked for, batch by batch.

A file says by its first octets what it is; only CSV is known by its name. Nothing is kept open between calls.
"""

import glob
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from pregen.errors import Finding, InputError

AS_OF_KEY = b"pregen.as_of"
BATCH_ROWS = 131_072

SUFFIXES = (".parquet", ".arrow", ".feather", ".ipc", ".csv")
_PARQUET, _IPC_FILE, _IPC_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_READ_AHEAD_BYTES = 1 << 20
_CSV_BLOCK_BYTES = 4 << 20
_USUAL_ROW_BYTES = 48  # serial, status and a time or two, in files that do not say how many rows they have


class SnapshotFile(Protocol):
    """One file of a snapshot."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def schema(self) -> pa.Schema:
        """All of its columns."""

    @property
    def as_of(self) -> str | None:
        """What its metadata says under `AS_OF_KEY`."""

    @property
    def row_estimate(self) -> int:
        """About how many rows it has, known before they are read."""

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`, at most `BATCH_ROWS` rows at a time.

        `categories` are texts with few distinct values: they may come as dictionaries.

        Raises:
            InputError: the file is damaged, or is no longer what it was.
        """


class Found(NamedTuple):
    """The files of a snapshot, and what lies in its folder and does not belong to it, both sorted."""

    files: tuple[Path, ...]
    ignored: tuple[Path, ...]


def find_files(pattern: str, base: Path) -> Found:
    """Return the files that a path, a glob or a folder means; relative ones start at `base`.

    Of a folder, those with a known suffix count, hidden ones excepted. Nothing is returned if nothing is there. What
    else is in a folder that is named itself is ignored; neither hidden ones nor marks such as _SUCCESS are listed.

    Raises:
        InputError: a folder cannot be looked into.
    """
    found: set[Path] = set()
    ignored: list[Path] = []
    with _reading(base / pattern):
        matches = [base / pattern]
        if not matches[0].exists():
            names = glob.glob(pattern, root_dir=base, recursive=True)  # noqa: PTH207 Path.glob takes no absolute patterns
            matches = [base / name for name in names]
        elif matches[0].is_dir():
            ignored = [path for path in matches[0].iterdir() if not _belongs(path) and path.name[0] not in "._"]
        for match in matches:
            found.update(filter(_belongs, match.iterdir()) if match.is_dir() else [match])
    return Found(tuple(sorted(found)), tuple(sorted(ignored)))


def _belongs(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def open_file(path: Path) -> SnapshotFile:
    """Look at a file's first octets and its schema.

    Raises:
        InputError: it cannot be read, is empty, cut off, or of no known format.
    """
    with _reading(path):
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _unusable("file.unreadable", path, "it is no regular file: export the snapshot to a file")
        if status.st_size == 0:
            raise _unusable("file.empty", path, "it is empty, not even a header is there: export it again")
        with path.open("rb") as opened:
            magic = opened.read(8)
        file = _of_format(path, magic)
        _decode_names(file.schema)
    return file


def _decode_names(schema: pa.Schema) -> None:
    """Raise UnicodeDecodeError now, and not somewhere later, for names of columns or zones that are no UTF-8."""
    for field in schema:
        _ = field.name, field.type.tz if isinstance(field.type, pa.TimestampType) else None


def _of_format(path: Path, magic: bytes) -> SnapshotFile:
    if magic.startswith(_PARQUET):
        return _ParquetFile(path)
    if magic.startswith((_IPC_FILE, _IPC_STREAM)):
        return _IpcFile(path, stream=magic.startswith(_IPC_STREAM))
    if path.suffix.lower() == ".csv":
        return _CsvFile(path)
    known = "Parquet, Arrow IPC (file or stream), or CSV with the suffix .csv"
    what = f"it does not begin as any known format does, or is cut off: export it as {known}"
    raise _unusable("file.format", path, what)


class _ParquetFile:
    """Columns are decoded as they are asked for; a row group is never in memory as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with pyarrow.parquet.ParquetFile(path) as opened:
            self.schema = opened.schema_arrow
            self.as_of = _text((opened.metadata.metadata or {}).get(AS_OF_KEY))
            self.row_estimate = opened.metadata.num_rows

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        with (
            _reading(self.path),
            pyarrow.parquet.ParquetFile(
                self.path,
                read_dictionary=list(categories),
                buffer_size=_READ_AHEAD_BYTES,
                pre_buffer=False,  # it would hold a row group's columns whole, whatever the buffer's size
                page_checksum_verification=True,
            ) as opened,
        ):
            _same_columns(self, opened.schema_arrow.names)
            for batch in opened.iter_batches(BATCH_ROWS, columns=list(names), use_threads=False):
                yield from _slices(batch)


class _IpcFile:
    """Arrow IPC, as a file or as a stream; read through, not mapped: a file that shrinks must not kill the process."""

    def __init__(self, path: Path, *, stream: bool) -> None:
        self.path = path
        self._stream = stream
        if stream and not _ends_with(path, _END_OF_STREAM):
            raise _unusable("file.truncated", path, "the stream has no end mark, so it may be cut off: export it again")
        with self._open() as reader:
            self.schema = reader.schema
        self.as_of = _text((self.schema.metadata or {}).get(AS_OF_KEY))
        self.row_estimate = path.stat().st_size // _USUAL_ROW_BYTES

    @contextmanager
    def _open(
        self, fields: Sequence[int] = ()
    ) -> Iterator[pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader]:
        options = pa.ipc.IpcReadOptions(included_fields=list(fields), use_threads=False)
        opener = pa.ipc.open_stream if self._stream else pa.ipc.open_file
        with pa.OSFile(str(self.path), "rb") as source, opener(source, options=options) as reader:
            yield reader

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        del categories  # the file itself says what is a dictionary
        with _reading(self.path):
            with self._open() as reader:
                _same_columns(self, reader.schema.names)
            with self._open([self.schema.get_field_index(name) for name in names]) as reader:
                for batch in _record_batches(reader):
                    yield from _slices(batch)


class _CsvFile:
    """CSV with a header, UTF-8; every column is text, and an empty field is an empty text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.as_of = None
        if not _ends_with(path, b"\n"):
            what = "its last line has no line end, so it may be cut off: export it again, or append the line end"
            raise _unusable("file.truncated", path, what)
        with self._open(None) as reader:
            self.schema = pa.schema([(name, pa.string()) for name in reader.schema.names])
        self.row_estimate = path.stat().st_size // _USUAL_ROW_BYTES

    def _open(self, names: Sequence[str] | None) -> pa.csv.CSVStreamingReader:
        convert = pa.csv.ConvertOptions(
            include_columns=None if names is None else list(names),
            column_types=dict.fromkeys(names or (), pa.string()),
            strings_can_be_null=False,
            check_utf8=True,
        )
        # without threads its errors say which row it is
        read = pa.csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK_BYTES)
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        return pa.csv.open_csv(self.path, read_options=read, parse_options=parse, convert_options=convert)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        del categories
        with _reading(self.path), self._open(names) as reader:
            for batch in reader:
                yield from _slices(batch)


def _slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the batch in bounded parts, once it is known that its offsets and texts are what they should be."""
    batch.validate(full=True)
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _record_batches(reader: pa.ipc.RecordBatchStreamReader | pa.ipc.RecordBatchFileReader) -> Iterator[pa.RecordBatch]:
    if isinstance(reader, pa.ipc.RecordBatchFileReader):
        yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
    else:
        yield from reader


def _same_columns(file: SnapshotFile, names: list[str]) -> None:
    if names != file.schema.names:
        raise _unusable(
            "file.changed", file.path, "it was replaced while it was being read: run again when it is complete"
        )


def _ends_with(path: Path, octets: bytes) -> bool:
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - len(octets)))
        return opened.read() == octets


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


def _unusable(code: str, path: Path, what: str) -> InputError:
    return InputError("the snapshot cannot be read", (Finding(code, "error", f"{path}: {what}"),))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Give what the readers raise our own form."""
    try:
        yield
    except FileNotFoundError as error:
        raise _unusable(
            "file.missing", path, "there is no such file: correct the path, or export the snapshot"
        ) from error
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            what = f"it cannot be read ({error.strerror}): correct its rights, or export it again"
            raise _unusable("file.unreadable", path, what) from error
        what = " ".join(str(error).split())
        raise _unusable("file.damaged", path, f"it is damaged or cut off ({what}): export it again") from error
