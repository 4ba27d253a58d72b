"""Folders that stand for columns: their names to values, one of each for a whole file.

    hive        issuer=r1/day=2026-11-24/part-0.parquet     name=value
    directory   r1/2026-11-24/part-0.parquet                values of the columns that the configuration names

Names and values are percent-encoded UTF-8, as Spark, Arrow and DuckDB write them.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.files.base import FilePart, SnapshotFile
from pregen.snapshot.files.found import FoundFile
from pregen.snapshot.location import Location

_NULL = "__HIVE_DEFAULT_PARTITION__"
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_TYPE = pa.dictionary(pa.int8(), pa.string())

_ADVICE = {
    "partition.scheme": "lies in a folder that is not called name=value: rename it, move what is not part of the "
    'snapshot away, or set partitioning = "directory" or "none" in [snapshot]',
    "partition.encoding": "lies in a folder whose name is no percent-encoded UTF-8: write %25 for a percent sign",
    "partition.repeated": "lies in folders that name the same column twice: a file has one value of each",
    "partition.depth": "lies {depth} folder(s) deep, and partition_columns in [snapshot] names {count} ({names}): name "
    "one column for each folder on the way, the outermost first, or move the file",
}


class Value(NamedTuple):
    """What a column is in all rows of a file; None: null."""

    column: str
    text: str | None


class _FolderError(Exception):
    """What is wrong with the folders of one file."""


def partition_values(
    files: Sequence[FoundFile], partitioning: Literal["none", "hive", "directory"], columns: Sequence[str]
) -> tuple[tuple[tuple[Value, ...], ...], tuple[Finding, ...]]:
    """Return the values of each file, the outermost folder's first, and everything that is wrong with the folders.

    >>> from pathlib import Path
    >>> partition_values([FoundFile(Path("b"), ("issuer=r%201",))], "hive", ())
    (((Value(column='issuer', text='r 1'),),), ())
    """
    if partitioning == "none":
        return ((),) * len(files), ()
    found: list[tuple[Value, ...]] = []
    faulty: dict[str, list[str]] = {}
    counts: dict[str, int] = {}
    shapes: dict[tuple[str, ...], Location] = {}
    for file in files:
        values: tuple[Value, ...] = ()
        try:
            values = _hive(file.folders) if partitioning == "hive" else _directory(file.folders, columns)
        except _FolderError as fault:
            code = str(fault)
            counts[code] = counts.get(code, 0) + 1
            if counts[code] <= MAX_EXAMPLES:
                faulty.setdefault(code, []).append(str(file.location))
        else:
            shapes.setdefault(tuple(value.column for value in values), file.location)
        found.append(values)
    depth = next((len(file.folders) for file in files if len(file.folders) != len(columns)), 0)
    numbers = {"depth": depth, "count": len(columns), "names": ", ".join(columns)}
    findings = [
        Finding(code, "error", f"{examples[0]}: {_ADVICE[code].format(**numbers)}", counts[code], tuple(examples))
        for code, examples in faulty.items()
    ]
    return tuple(found), (*findings, *_differing(shapes))


def _hive(folders: Iterable[str]) -> tuple[Value, ...]:
    values: list[Value] = []
    for folder in folders:
        name, sign, value = folder.partition("=")
        if not sign or not name:
            raise _FolderError("partition.scheme")
        values.append(Value(_decoded(name), _value(value)))
    if len({value.column for value in values}) < len(values):
        raise _FolderError("partition.repeated")
    return tuple(values)


def _directory(folders: Sequence[str], columns: Sequence[str]) -> tuple[Value, ...]:
    if len(folders) != len(columns):
        raise _FolderError("partition.depth")
    return tuple(Value(column, _value(folder)) for column, folder in zip(columns, folders, strict=True))


def _value(text: str) -> str | None:
    return None if text == _NULL else _decoded(text)


def _decoded(text: str) -> str:
    if _STRAY_PERCENT.search(text):
        raise _FolderError("partition.encoding")
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()  # names of files that are no UTF-8 come as surrogates
    except UnicodeError:
        raise _FolderError("partition.encoding") from None
    return decoded


def _differing(shapes: dict[tuple[str, ...], Location]) -> Iterator[Finding]:
    """Yield a finding if files lie in folders of different columns, with one file of each."""
    if len(shapes) < 2:
        return
    examples = tuple(
        f"{location} has {', '.join(names) or 'no partition column'}" for names, location in shapes.items()
    )
    text = (
        "the files lie in folders of different columns or depths, so that some rows would lack values: put all files "
        "below the same columns, in the same order"
    )
    yield Finding("partition.depth", "error", text, len(shapes), examples[:MAX_EXAMPLES])


class PartitionedFile:
    """A file with the columns that its folders stand for."""

    def __init__(self, file: SnapshotFile, values: Sequence[Value]) -> None:
        """Add columns that are not in the file."""
        self._file = file
        self._values = {value.column: value.text for value in values}
        self._whole = _PartitionedPart(file, self._values, file.schema.names[:1])
        self.path: Location = file.path
        self.unit: Literal["row", "line"] = file.unit
        self.as_of = file.as_of
        self.first_row = file.first_row
        self.row_estimate = file.row_estimate
        self.schema = file.schema
        for name in self._values:
            self.schema = self.schema.append(pa.field(name, _TYPE))

    @property
    def parts(self) -> tuple[FilePart, ...]:
        """Those of the file, each with the columns of its folders."""
        return tuple(_PartitionedPart(part, self._values, self._file.schema.names[:1]) for part in self._file.parts)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        return self._whole.batches(names, categories)


class _PartitionedPart:
    """A part of such a file; `first` is its first column, which is read where nothing else is asked for."""

    def __init__(self, part: FilePart, values: dict[str, str | None], first: list[str]) -> None:
        self._part = part
        self._values = values
        self._first = first
        self.first_row = part.first_row
        self.row_estimate = part.row_estimate

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`."""
        values = {name: self._values[name] for name in names if name in self._values}
        own = [name for name in names if name not in values]
        if not own:  # the rows must be counted at least
            own = self._first
        for batch in self._part.batches(own, [name for name in categories if name not in values]):
            yield _with(batch, values)


def _with(batch: pa.RecordBatch, values: dict[str, str | None]) -> pa.RecordBatch:
    """Return a batch with columns of one value each."""
    for name, text in values.items():
        zeros = np.zeros(batch.num_rows, np.int8)
        indices = pa.array(zeros, pa.int8(), mask=np.full(batch.num_rows, text is None))
        column = pa.DictionaryArray.from_arrays(indices, pa.array([text or ""], pa.string()))
        batch = batch.append_column(pa.field(name, _TYPE), column)
    return batch


def clashes(file: SnapshotFile, values: Sequence[Value]) -> Iterator[Finding]:
    """Yield a finding for each folder that stands for a column which the file has itself."""
    for value in values:
        if value.column in file.schema.names:
            text = (
                f"{file.path}: column {value.column!r} is in the file, and its folder says {value.text!r} too: "
                "export it without the column, or rename the folder"
            )
            yield Finding("partition.column", "error", text)
