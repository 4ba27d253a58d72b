"""CSV with a header, in UTF-8 with or without its mark; every column is text, and an empty field is an empty text."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Literal, cast

import pyarrow as pa
import pyarrow.csv

from pregen.snapshot.files.base import USUAL_ROW_BYTES, slices, unusable
from pregen.snapshot.files.sources import Source, reading

_BLOCK_BYTES = 4 << 20
# How Arrow names a place: columns count from 0, rows from 1, which is the header.
_PLACE = re.compile(r"(?:In CSV column #(\d+): )?Row #(\d+): ")
_HEADER = re.compile(rb'(?:[^"\r\n]++|"[^"]*+"?)*+')
_MOST_COLUMNS = 10_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CsvFile:
    """A file with commas; quoted fields may hold line ends, which may be of any kind."""

    unit: Literal["row"] = "row"
    as_of = None

    def __init__(self, source: Source) -> None:
        """Read its header."""
        self._source = source
        self.path = source.location
        with reading(source) as file:
            if file.read(2) in _UTF16:
                raise unusable("file.encoding", self.path, "it is UTF-16: export it as UTF-8")
            file.seek(source.size - 1)
            if file.read() not in (b"\n", b"\r"):
                what = "its last line has no line end, so it may be cut off: export it again, or append the line end"
                raise unusable("file.truncated", self.path, what)
            file.seek(0)
            header = _HEADER.match(file.read(_BLOCK_BYTES))
            if header and header[0].count(b",") >= _MOST_COLUMNS:  # each of them costs kilobytes
                what = f"its header has more than {_MOST_COLUMNS:,} fields: export the columns of the snapshot alone"
                raise unusable("file.format", self.path, what)
            file.seek(0)
            with _placed(()), _open(file, None) as reader:
                self.schema = pa.schema([(name, pa.string()) for name in reader.schema.names])
        self.row_estimate = source.size // USUAL_ROW_BYTES

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        del categories
        with reading(self._source) as file:
            counting = _QuoteCounting(file)
            with _placed(self.schema.names), _open(counting, names) as reader:
                for batch in reader:
                    yield from slices(batch)
        if counting.quotes % 2:  # Arrow takes the end of the file for the missing one
            what = (
                "a quotation mark is opened and never closed, so it may be cut off: export it again (within a value, "
                'quotation marks are doubled, and the value is quoted: "5"" disk")'
            )
            raise unusable("file.truncated", self.path, what)


class _QuoteCounting(io.RawIOBase):
    """A file that is read from its beginning to its end, and the quotation marks in it."""

    def __init__(self, file: pa.NativeFile) -> None:
        super().__init__()
        self._file = file
        self.quotes = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        octets: bytes = self._file.read(None if size < 0 else size)
        self.quotes += octets.count(b'"')
        return octets


@contextmanager
def _placed(names: Sequence[str]) -> Iterator[None]:
    """Have errors count rows as we do, without the header, and name columns; `names` are all of the file."""
    try:
        yield
    except pa.ArrowInvalid as error:
        if "straddl" in str(error):
            what = f"a row is longer than {_BLOCK_BYTES:,} octets, or a quotation mark is opened and never closed"
            raise pa.ArrowInvalid(what) from error
        place = _PLACE.search(str(error))
        if place is None:
            raise
        column = f", column {names[int(place[1])]!r}" if place[1] and names else ""
        raise pa.ArrowInvalid(f"row {int(place[2]) - 1}{column}: {str(error)[place.end() :]}") from error


def _open(file: pa.NativeFile | _QuoteCounting, names: Sequence[str] | None) -> pa.csv.CSVStreamingReader:
    convert = pa.csv.ConvertOptions(
        include_columns=None if names is None else list(names),
        column_types=dict.fromkeys(names or (), pa.string()),
        strings_can_be_null=False,
        check_utf8=True,
    )
    # without threads its errors say which row it is
    read = pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    source = cast("IO[bytes]", file)  # as good as one, which its stubs do not say
    return pa.csv.open_csv(source, read_options=read, parse_options=parse, convert_options=convert)
