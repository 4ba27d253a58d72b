"""Parquet: columns are decoded as they are asked for; a row group is never in memory as a whole."""

from collections.abc import Iterator, Sequence
from typing import Literal

import pyarrow as pa
import pyarrow.parquet

from pregen.snapshot.files.base import (
    AS_OF_KEY,
    BATCH_ROWS,
    MOST_BYTES,
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
    """A file of which only the pages of the needed columns are read."""

    unit: Literal["row"] = "row"

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

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        with reading(self._source) as file:
            footer = read_footer(file)
            opened = pyarrow.parquet.ParquetFile(
                file,
                metadata=pyarrow.parquet.read_metadata(pa.BufferReader(footer.file)),
                coerce_int96_timestamp_unit=_INT96_UNIT,
                read_dictionary=list(categories),
                buffer_size=self._source.read_ahead_bytes,
                pre_buffer=False,  # it would hold a row group's columns whole, whatever the buffer's size
                page_checksum_verification=True,
            )
            rows = 0
            _refuse_giants(opened, footer, file, names)
            try:
                for batch in opened.iter_batches(BATCH_ROWS, columns=list(names), use_threads=False):
                    yield from slices(batch)
                    rows += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                if is_damage(error):
                    _find_damage(opened, names, rows)
                raise


def _refuse_giants(
    opened: pyarrow.parquet.ParquetFile, footer: Footer, file: pa.NativeFile, names: Sequence[str]
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
    for number, group in enumerate(footer.groups):
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


def _find_damage(opened: pyarrow.parquet.ParquetFile, names: Sequence[str], rows: int) -> None:
    """Read, one by one, the columns of the row groups that follow so many sound rows, as far as one batch goes.

    Raises:
        pa.ArrowInvalid: one is damaged; the text says which.
    """
    first = 0
    for number in range(opened.num_row_groups):
        end = first + opened.metadata.row_group(number).num_rows
        if first >= rows + BATCH_ROWS:
            return
        for name in names if end > rows else ():
            with within(f"row group {number + 1:,}, column {name!r}"):
                for batch in opened.iter_batches(BATCH_ROWS, row_groups=[number], columns=[name], use_threads=False):
                    batch.validate(full=True)
        first = end
