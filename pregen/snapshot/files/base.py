"""What every file of a snapshot can do, and what is said of one that cannot be used."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import Finding, InputError
from pregen.snapshot.location import Location
from pregen.snapshot.octets import ArrowArray, nulls, octets_of

AS_OF_KEY = b"pregen.as_of"
LISTED_KEY = b"pregen.listed_as_of"  # of the list of certificates, where an import joined it with CRLs
ZONES_KEY = b"pregen.zones"  # JSON: by canonical column, the zone that was declared for the times that were imported
ACCEPTED_KEY = b"pregen.accepted"  # JSON: code, reason and user of each acceptance of an import
BATCH_ROWS = 131_072
MOST_BYTES = 1 << 30  # of one column of a batch
_VIEWS = (pa.BinaryViewArray, pa.StringViewArray)
_WITH_LENGTHS = (pa.BinaryArray, pa.LargeBinaryArray, pa.StringArray, pa.LargeStringArray)
USUAL_ROW_BYTES = 48  # serial, status and a time or two, in files that do not say how many rows they have

# A column that a file may add by itself: text, null in rows that are sound, else what is wrong with the row as such.
ODD = "pregen.odd"


class FilePart(Protocol):
    """Some neighbouring rows of a file, or all of them. It pickles, and nothing of it is open between calls."""

    @property
    def first_row(self) -> int:
        """How many rows of the file come before it."""

    @property
    def row_estimate(self) -> int:
        """About how many rows it has, known before they are read."""

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`, at most `BATCH_ROWS` rows at a time, and `ODD` where it is needed.

        `categories` are texts with few distinct values: they may come as dictionaries.

        Raises:
            InputError: the file is damaged, or is no longer what it was.
        """


class SnapshotFile(FilePart, Protocol):
    """One file of a snapshot, which is itself the part of all its rows."""

    @property
    def path(self) -> Location:
        """Where it is."""

    @property
    def unit(self) -> Literal["row", "line"]:
        """What people call its rows."""

    @property
    def schema(self) -> pa.Schema:
        """All of its columns."""

    @property
    def as_of(self) -> str | None:
        """What its metadata says under `AS_OF_KEY`."""

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """What may be read apart, one at least, in the order of the rows; the same whoever asks, and how often.

        No batch has rows of two parts, so that it does not matter to what is found in batches who reads which part.
        """


class Undivided:
    """A file that is read from its first row to the last, by one reader."""

    first_row = 0

    @property
    def parts(self: FilePart) -> tuple[FilePart, ...]:
        """The whole."""
        return (self,)


def unusable(code: str, place: Location | str, what: str) -> InputError:
    """Return the error for one file, or for a path that means several."""
    return InputError("the snapshot cannot be read", (Finding(code, "error", f"{place}: {what}"),))


def crashed(place: Location | str, how: str) -> InputError:
    """Return the error for a file whose reader was ended by what it did; `how` says how."""
    what = (
        f"its reader {how}, as damaged files, and those that it cannot take, make it do; nothing was published: "
        "export it again, and if that ends in the same way, in another format"
    )
    return unusable("file.crashed", place, what)


def slices(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the batch in bounded parts, once it is known that its offsets and texts are what they should be.

    Raises:
        pa.ArrowInvalid: they are not; the text names the column.
    """
    for name, column in zip(batch.schema.names, _columns(batch), strict=True):
        with within(f"column {name!r}"):
            column.validate(full=True)
            if isinstance(column, (pa.DictionaryArray, pa.RunEndEncodedArray)):
                refuse_giants(column, min(len(column), BATCH_ROWS))
            elif isinstance(column, _VIEWS) and len(column):
                _refuse_giant_parts(column)
    for start in range(0, batch.num_rows, BATCH_ROWS):
        yield batch.slice(start, BATCH_ROWS)


def _columns(batch: pa.RecordBatch) -> list[ArrowArray]:
    """Return the columns of a batch.

    Raises:
        pa.ArrowInvalid: pyarrow has no class for the type of one, such as an interval of days, or what damage makes.
    """
    try:
        return batch.columns
    except KeyError as error:
        raise pa.ArrowInvalid(f"a column is of a type that cannot be read (number {error})") from error


def refuse_giants(values: ArrowArray, rows: int) -> None:
    """Refuse a column that names its values of which so many rows, if all were its longest, would fill the memory.

    A file of some kilobytes can hold a value of a gigabyte, and name it a million times.

    Args:
        values: of a dictionary, or a column that has one, or that consists of runs.
        rows: so many.

    Raises:
        pa.ArrowInvalid: it is such a one.
    """
    if isinstance(values, pa.DictionaryArray):
        refuse_giants(values.dictionary, rows)
    elif isinstance(values, pa.RunEndEncodedArray):
        refuse_giants(values.values, rows)
    elif len(values) and isinstance(values, (*_WITH_LENGTHS, *_VIEWS)):
        longest = int(_sizes(values).max())
        if longest * rows > MOST_BYTES:
            raise pa.ArrowInvalid(f"a value has {longest:,} octets, as none of a snapshot has")


def _refuse_giant_parts(column: ArrowArray) -> None:
    """Refuse views, many of which may be of one long value, where those of a part would fill the memory.

    Raises:
        pa.ArrowInvalid: they are such ones.
    """
    largest = int(np.add.reduceat(_sizes(column), np.arange(0, len(column), BATCH_ROWS)).max())
    if largest > MOST_BYTES:
        raise pa.ArrowInvalid(f"{BATCH_ROWS:,} values have {largest:,} octets, as none of a snapshot have")


def _sizes(values: ArrowArray) -> NDArray[np.int64]:
    """Return the length of each value, int64[n]."""
    if not isinstance(values, _VIEWS):
        return octets_of(values).size
    views = np.frombuffer(memoryview(values.buffers()[1] or b""), np.int32).reshape(-1, 4)  # its length comes first
    sizes = views[values.offset : values.offset + len(values), 0].astype(np.int64)
    return np.where(nulls(values), 0, sizes)


@contextmanager
def within(part: str) -> Iterator[None]:
    """Say of damage in which part of a file it is; what the system or a server says stays as it is."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if not is_damage(error):
            raise
        raise pa.ArrowInvalid(f"{part}: {error}") from error


def is_damage(error: Exception) -> bool:
    """Whether an error of Arrow is about what a file holds; it says so by the bare class OSError, too."""
    if isinstance(error, OSError):
        return type(error) is OSError and error.errno is None
    return isinstance(error, pa.ArrowException)


def text_of_metadata(value: bytes | None) -> str | None:
    """Return what metadata say, as text."""
    return None if value is None else value.decode("utf-8", "replace")
