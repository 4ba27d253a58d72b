"""A file is what its first octets say; only CSV is known by its name, and an index.txt by the configuration.

CSV alone may be packed: other formats pack their columns themselves.
"""

from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import pyarrow as pa

from pregen.errors import InputError
from pregen.snapshot.files import footer, ipc, orc
from pregen.snapshot.files.base import SnapshotFile, unusable
from pregen.snapshot.files.csv import CsvFile, Packing
from pregen.snapshot.files.dated import DatedFile
from pregen.snapshot.files.found import CSV_SUFFIXES, FoundFile
from pregen.snapshot.files.index_txt import IndexTxtFile
from pregen.snapshot.files.ipc import IpcFile
from pregen.snapshot.files.orc import OrcFile
from pregen.snapshot.files.parquet import ParquetFile
from pregen.snapshot.files.partitions import PartitionedFile, Value, clashes
from pregen.snapshot.files.sources import LocalSource, Source, looking_at, reading

_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh91AY&": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"PK\3\4": "zip, or a workbook",
}
_PACKINGS: dict[bytes, Packing] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_MAGICS = (*footer.MAGICS, ipc.FILE_MAGIC, ipc.STREAM_MAGIC)

Kind: TypeAlias = Literal["files", "index-txt", "crl"]


class Chosen(NamedTuple):
    """A file of the snapshot, what its folders say about all of its rows, and what kind it is."""

    found: FoundFile
    values: tuple[Value, ...] = ()
    kind: Kind = "files"
    as_of: str | None = None  # of files that do not say it themselves

    def open(self) -> SnapshotFile:
        """Look at the file.

        Raises:
            InputError: as of `open_file`, or a folder stands for a column that the file has itself.
        """
        file = open_file(self.found, self.kind)
        if self.as_of is not None and file.as_of is None:
            file = DatedFile(file, self.as_of)
        if not self.values:
            return file
        if findings := tuple(clashes(file, self.values)):
            raise InputError("the snapshot cannot be used", findings)
        return PartitionedFile(file, self.values)


def open_file(found: FoundFile | Path, kind: Kind = "files") -> SnapshotFile:
    """Look at a file's first octets and its schema.

    Raises:
        InputError: it cannot be read, is empty, cut off, or of no known format.
    """
    if isinstance(found, Path):
        found = FoundFile(found)
    source: Source
    if found.remote is not None:
        source = found.remote
    else:
        assert isinstance(found.location, Path)
        with looking_at(found.location):
            source = LocalSource.at(found.location)
    if source.size == 0:
        what = "it is empty" if kind == "index-txt" else "it is empty, not even a header is there"
        raise unusable("file.empty", source.location, f"{what}: export it again")
    with reading(source) as opened:
        magic = opened.read(8)
    with looking_at(source.location):
        file = _index_txt(source, magic) if kind == "index-txt" else _table(source, magic)
        _decode_names(file.schema)
    return file


def _decode_names(schema: pa.Schema) -> None:
    """Raise UnicodeDecodeError now, and not somewhere later, for names of columns or zones that are no UTF-8."""
    for field in schema:
        _ = field.name, field.type.tz if isinstance(field.type, pa.TimestampType) else None


def _table(source: Source, magic: bytes) -> SnapshotFile:
    is_csv = source.location.name.lower().endswith(CSV_SUFFIXES)
    if magic.startswith(footer.MAGICS):
        return ParquetFile(source)
    if magic.startswith(orc.MAGIC) and not is_csv:  # that may be the name of a column
        return OrcFile(source)
    if magic.startswith((ipc.FILE_MAGIC, ipc.STREAM_MAGIC)):
        return IpcFile(source, stream=magic.startswith(ipc.STREAM_MAGIC))
    for packed, packing in _PACKINGS.items() if is_csv else ():
        if magic.startswith(packed):
            return CsvFile(source, packing)
    for packed, name in _PACKED.items():
        if magic.startswith(packed):
            raise unusable("file.format", source.location, f"it is packed ({name}): unpack it, or export it unpacked")
    if is_csv:
        return CsvFile(source)
    known = "Parquet, ORC, Arrow IPC (file or stream), or CSV with the suffix .csv, .csv.gz or .csv.zst"
    what = (
        f"it does not begin as any known format does, or is cut off: export it as {known}; a database of openssl ca "
        'is read with kind = "index-txt" in [snapshot]'
    )
    raise unusable("file.format", source.location, what)


def _index_txt(source: Source, magic: bytes) -> SnapshotFile:
    if magic.startswith(_MAGICS):
        what = 'it is no database of openssl ca, but a table: set kind = "files" in [snapshot], or correct the path'
        raise unusable("file.format", source.location, what)
    return IndexTxtFile(source)
