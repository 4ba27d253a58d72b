"""Parquet: columns are decoded as they are asked for; a row group is never in memory as a whole."""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from pregen.snapshot.files.base import (
    AS_OF_KEY,
    BATCH_ROWS,
    MOST_BYTES,
    FilePart,
    is_damage,
    refuse_giants,
    slices,
    text_of_metadata,
    unusable,
    within,
)
from pregen.snapshot.files.footer import Footer, read_footer
from pregen.snapshot.files.sources import Source, looking_at, reading

_INT96_UNIT = "s"  # in any other one, times that INT96 can hold wrap round: in nanoseconds, from the year 2262 on
_GIANT_CHUNK_BYTES = 64 << 20
_GLANCE_BYTES = 64 << 10  # read at once, where a dictionary alone is wanted
_GIANT_VALUE_BYTES = 1 << 10


class ParquetFile:
    """A file of which only the pages of the needed columns are read; its row groups may be read apart."""

    unit: Literal["row"] = "row"
    first_row = 0

    def __init__(self, source: Source) -> None:
        """Read its metadata."""
        self._source = source
        self.path = source.location
        with reading(source) as file:
            footer = read_footer(file)
        if footer.is_encrypted:
            what = "it is encrypted, wholly or in some columns: export it without encryption"
            raise unusable("file.encrypted", self.path, what)
        with (
            looking_at(self.path),
            pyarrow.parquet.ParquetFile(
                pa.BufferReader(footer.file), coerce_int96_timestamp_unit=_INT96_UNIT
            ) as opened,
        ):
            self.schema = opened.schema_arrow
            self.as_of = text_of_metadata((opened.metadata.metadata or {}).get(AS_OF_KEY))
            self.row_estimate = opened.metadata.num_rows
        self._cuts = _cuts(footer)

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """Neighbouring row groups with as many rows as a batch can have, or one with more."""
        return tuple(ParquetPart(self._source, *cut) for cut in self._cuts)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        for part in self.parts:
            yield from part.batches(names, categories)


class _Cut(NamedTuple):
    """Neighbouring row groups: the first of them and the one after the last, the first row, and how many there are."""

    start: int
    end: int
    first_row: int
    rows: int


def _cuts(footer: Footer) -> tuple[_Cut, ...]:
    """Cut a file into parts; a million tiny row groups make few of them."""
    cuts = [_Cut(0, 0, 0, 0)]
    for number, group in enumerate(footer.groups):
        last, rows = cuts[-1], max(0, group.rows)  # a damaged footer may say anything
        if last.rows and last.rows + rows > BATCH_ROWS:
            cuts.append(_Cut(number, number + 1, last.first_row + last.rows, rows))
        else:
            cuts[-1] = last._replace(end=number + 1, rows=last.rows + rows)
    return tuple(cuts)


class ParquetPart:
    """Neighbouring row groups of a file."""

    def __init__(self, source: Source, start: int, end: int, first_row: int, rows: int) -> None:
        """Take the row groups from `start` up to `end`, and what the footer says of their rows."""
        self._source = source
        self._groups = range(start, end)
        self.first_row = first_row
        self.row_estimate = rows

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        with reading(self._source) as file:
            described = _described(_Opened(self._source, file))
            opened = pyarrow.parquet.ParquetFile(
                file,
                metadata=described.metadata,
                coerce_int96_timestamp_unit=_INT96_UNIT,
                read_dictionary=list(categories),
                buffer_size=self._source.read_ahead_bytes,
                pre_buffer=False,  # it would hold a row group's columns whole, whatever the buffer's size
                page_checksum_verification=True,
            )
            rows = 0
            _refuse_giants(opened, described.footer, self._groups, file, names)
            try:
                for batch in opened.iter_batches(
                    BATCH_ROWS, row_groups=list(self._groups), columns=list(names), use_threads=False
                ):
                    yield from slices(batch)
                    rows += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                if is_damage(error):
                    _find_damage(opened, self._groups, names, rows)
                raise


class _Described(NamedTuple):
    """What the footer of a file says, to us and to pyarrow."""

    footer: Footer
    metadata: pyarrow.parquet.FileMetaData


@dataclass(frozen=True, slots=True)
class _Opened:
    """A file that is open, and therefore what its source says."""

    source: Source
    file: pa.NativeFile = field(compare=False)


@functools.lru_cache(maxsize=1)  # the parts of a file are read one after the other, and its footer may be long
def _described(opened: _Opened) -> _Described:
    """Read the footer of a file.

    Raises:
        pa.ArrowInvalid: it is damaged.
        OSError: it cannot be read.
    """
    footer = read_footer(opened.file)
    return _Described(footer, pyarrow.parquet.read_metadata(pa.BufferReader(footer.file)))


def _refuse_giants(
    opened: pyarrow.parquet.ParquetFile, footer: Footer, groups: range, file: pa.NativeFile, names: Sequence[str]
) -> None:
    """Refuse columns whose values are so long that one batch would fill the memory; they are not read for it.

    Raises:
        pa.ArrowInvalid: there is one; the text says where.
    """
    encoded = pyarrow.parquet.ParquetFile(
        file,
        metadata=opened.metadata,
        read_dictionary=list(names),
        buffer_size=_GLANCE_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
    )
    for number in groups:
        group = footer.groups[number]
        rows = min(group.rows, BATCH_ROWS)
        for chunk in group.chunks:
            if chunk.column not in names or not chunk.is_octets:
                continue
            size, name = chunk.size_bytes, chunk.column
            with within(f"row group {number + 1:,}, column {name!r}"):
                if size > _GIANT_CHUNK_BYTES and size > _GIANT_VALUE_BYTES * max(1, chunk.values):
                    raise pa.ArrowInvalid(f"{chunk.values:,} values have {size:,} octets, as none of a snapshot do")
                # no value is longer than the chunk, so that there is nothing to look for in a small one
                if not chunk.has_dictionary or rows * size <= MOST_BYTES:
                    continue
                for batch in encoded.iter_batches(1, row_groups=[number], columns=[name], use_threads=False):
                    column = batch.column(0)
                    if isinstance(column, pa.DictionaryArray):
                        refuse_giants(column.dictionary, rows)
                    break


def _find_damage(opened: pyarrow.parquet.ParquetFile, groups: range, names: Sequence[str], rows: int) -> None:
    """Read, one by one, the columns of those row groups that follow so many sound rows, as far as one batch goes.

    Raises:
        pa.ArrowInvalid: one is damaged; the text says which.
    """
    first = 0
    for number in groups:
        end = first + opened.metadata.row_group(number).num_rows
        if first >= rows + BATCH_ROWS:
            return
        for name in names if end > rows else ():
            with within(f"row group {number + 1:,}, column {name!r}"):
                for batch in opened.iter_batches(BATCH_ROWS, row_groups=[number], columns=[name], use_threads=False):
                    batch.validate(full=True)
        first = end
