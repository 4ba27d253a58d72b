"""CSV with a header, in UTF-8 with or without its mark, plain, or packed by gzip or zstd.

Every column is text, and an empty field is an empty text.
"""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Literal, TypeAlias, cast

import pyarrow as pa
import pyarrow.csv

from pregen.snapshot.files.base import USUAL_ROW_BYTES, Undivided, slices, unusable
from pregen.snapshot.files.sources import Source, reading

_BLOCK_BYTES = 4 << 20
# How Arrow names a place: columns count from 0, rows from 1, which is the header.
_PLACE = re.compile(r"(?:In CSV column #(\d+): )?Row #(\d+): ")
_HEADER = re.compile(rb'(?:[^"\r\n]++|"[^"]*+"?)*+')
_MOST_COLUMNS = 10_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_GLANCE_BYTES = 256
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_ENDS = (b"\n", b"\r")
_TRUNCATED = "its last line has no line end, so it may be cut off: export it again, or append the line end"
_PACKED_ROW_SHARE = 4  # a row takes so much less when it is packed

Packing: TypeAlias = Literal["gzip", "zstd"]


class CsvFile(Undivided):
    """A file with commas; quoted fields may hold line ends, which may be of any kind."""

    unit: Literal["row"] = "row"
    as_of = None

    def __init__(self, source: Source, packing: Packing | None = None) -> None:
        """Read its header; `packing` is how it is packed."""
        self._source = source
        self._packing = packing
        self.path = source.location
        with self._octets() as file:
            head = file.read(_BLOCK_BYTES)
            self._refuse_head(head)
            if packing is None:  # else its end is seen when it is read
                file.seek(source.size - 1)
                if file.read() not in _ENDS:
                    raise unusable("file.truncated", self.path, _TRUNCATED)
        with self._octets() as file, _placed(()), _open(file, None) as reader:
            self.schema = pa.schema([(name, pa.string()) for name in reader.schema.names])
        self._refuse_separators(self.schema.names)
        self.row_estimate = source.size * (_PACKED_ROW_SHARE if packing else 1) // USUAL_ROW_BYTES

    @contextmanager
    def _octets(self) -> Iterator[pa.NativeFile]:
        """Open it, unpacked."""
        if self._packing is None:
            with reading(self._source) as file:
                yield file
            return
        with (
            reading(self._source, self._source.read_ahead_bytes) as file,
            pa.CompressedInputStream(file, self._packing) as unpacked,
        ):
            yield unpacked

    def _refuse_head(self, head: bytes) -> None:
        if head.startswith(_UTF16):
            raise unusable("file.encoding", self.path, "it is UTF-16: export it as UTF-8")
        glance = head[:_GLANCE_BYTES]
        if glance.count(0) * 5 >= len(glance) * 2 > 0:
            what = "two in five of its first octets are NUL: it is UTF-16 without a mark, or UTF-32: export it as UTF-8"
            raise unusable("file.encoding", self.path, what)
        header = _HEADER.match(head)
        if header and header[0].count(b",") >= _MOST_COLUMNS:  # each of them costs kilobytes
            what = f"its header has more than {_MOST_COLUMNS:,} fields: export the columns of the snapshot alone"
            raise unusable("file.format", self.path, what)

    def _refuse_separators(self, names: Sequence[str]) -> None:
        for separator, called in _SEPARATORS.items():
            if len(names) == 1 and separator in names[0]:
                what = (
                    f"its fields are separated by {called}, and not by commas: export it with commas (as psql's \\copy "
                    "... with (format csv, header) does), or as Parquet"
                )
                raise unusable("file.separator", self.path, what)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        del categories
        with self._octets() as file:
            watched = _Watched(file)
            with _placed(self.schema.names), _open(watched, names) as reader:
                for batch in reader:
                    yield from slices(batch)
        if watched.quotes % 2:  # Arrow takes the end of the file for the missing one
            what = (
                "a quotation mark is opened and never closed, so it may be cut off: export it again (within a value, "
                'quotation marks are doubled, and the value is quoted: "5"" disk")'
            )
            raise unusable("file.truncated", self.path, what)
        if watched.last not in _ENDS:
            raise unusable("file.truncated", self.path, _TRUNCATED)


class _Watched(io.RawIOBase):
    """A file that is read from its beginning to its end, the quotation marks in it, and its last octet."""

    def __init__(self, file: pa.NativeFile) -> None:
        super().__init__()
        self._file = file
        self.quotes = 0
        self.last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        octets: bytes = self._file.read(None if size < 0 else size)
        self.quotes += octets.count(b'"')
        self.last = octets[-1:] or self.last
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


def _open(file: pa.NativeFile | _Watched, names: Sequence[str] | None) -> pa.csv.CSVStreamingReader:
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
