"""What of a folder belongs to a snapshot: by its name, and where that does not tell, by its first octets."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from pregen.errors import MAX_EXAMPLES, Finding, InputError
from pregen.snapshot.files import footer, ipc, orc
from pregen.snapshot.files.listing import is_readable
from pregen.snapshot.files.remote import RemoteSource
from pregen.snapshot.files.sources import LocalSource, Source
from pregen.snapshot.location import Location

CSV_SUFFIXES = (".csv", ".csv.gz", ".csv.zst")
_HEAD_BYTES = 4_096
_PACKINGS = (".gz", ".zst", ".bz2", ".xz", ".zip", ".7z", ".lz4", ".br", ".snappy")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a folder belongs to a snapshot.

    Attributes:
        suffixes: of its files, in lower case.
        magics: what files of it begin with, whatever they are called.
        column: a column that a CSV file of it has; None: it has no such files.
        beside: the name of a file that lies beside them and is no part of it.
        companions: ends of the names of files that always lie beside them, and are not worth a word.
        deep: whether what lies in subfolders belongs to it.
    """

    suffixes: tuple[str, ...] = (".parquet", ".orc", ".arrow", ".feather", ".ipc", *CSV_SUFFIXES)
    companions: tuple[str, ...] = ()
    deep: bool = False
    magics: tuple[bytes, ...] = ()
    column: str | None = None
    beside: str | None = None

    def has(self, name: str) -> bool:
        """Whether a file of that name belongs to a snapshot."""
        return not name.startswith(".") and name != self.beside and name.lower().endswith(self.suffixes)

    def has_packed(self, name: str) -> bool:
        """Whether a file of that name would belong to it, were it not packed."""
        stem, point, packing = name.lower().rpartition(".")
        return point + packing in _PACKINGS and bool(self.magics) and stem.endswith(self.suffixes)

    def is_header(self, head: bytes) -> bool:
        """Whether a file that begins so is CSV, under whatever name: its first line has that column, and others."""
        line = head.partition(b"\n")[0].decode("utf-8-sig", "replace")
        names = [name.strip().strip('"') for name in re.split("[,;\t]", line)]
        return self.column in names and len(names) > 1

    def is_mark(self, name: str) -> bool:
        """Whether a file or folder of that name, which does not belong to it, is passed over without a word."""
        return (
            name.startswith((".", "_"))
            or name == self.beside
            or (name.endswith(self.companions) if self.companions else False)
        )

    def is_hidden_folder(self, name: str) -> bool:
        """Whether a folder is that of a program at work, such as _temporary; columns may begin with _ too."""
        return name.startswith((".", "_")) and "=" not in name


TABLES = Wanted(magics=(*footer.MAGICS, orc.MAGIC, ipc.FILE_MAGIC, ipc.STREAM_MAGIC))
INDEXES = Wanted((".txt",), (".attr", ".old", ".new"))


class FoundFile(NamedTuple):
    """A file, and the folders in which it lies below the one that was named, the outermost first."""

    location: Location
    folders: tuple[str, ...] = ()
    remote: RemoteSource | None = None


class FoundFiles(NamedTuple):
    """The files of a snapshot, what lies in its folder and does not belong to it, and what might; all sorted."""

    files: tuple[FoundFile, ...]
    ignored: tuple[str, ...] = ()
    misnamed: tuple[str, ...] = ()


@dataclass(slots=True)
class Finds:
    """What has been found so far, sorted in by what it is."""

    files: dict[Location, FoundFile] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    misnamed: list[str] = field(default_factory=list)

    def add(self, file: FoundFile) -> None:
        """Take a file, whatever it is called."""
        self.files.setdefault(file.location, file)

    def sort_in(self, file: FoundFile, wanted: Wanted) -> None:
        """Take, refuse, ignore or pass over a file of a folder: by its suffix, else by what it begins with."""
        if wanted.has(file.location.name):
            self.add(file)
            return
        if wanted.is_mark(file.location.name):
            return
        head = _head(file) if wanted.magics else b""
        is_table = _is_table(file, head, wanted.magics)
        if is_table and not PurePath(file.location.name).suffix:
            self.add(file)
        elif is_table or wanted.has_packed(file.location.name) or wanted.is_header(head):
            self.misnamed.append(str(file.location))
        else:
            self.ignored.append(str(file.location))

    def sorted(self) -> FoundFiles:
        """Return all of them.

        Raises:
            InputError: some are objects that cannot be read.
        """
        _refuse_unreadable(self.files.values())
        files = sorted(self.files.values(), key=lambda file: file.location)
        return FoundFiles(tuple(files), tuple(sorted(self.ignored)), tuple(sorted(set(self.misnamed))))


def _refuse_unreadable(files: Iterable[FoundFile]) -> None:
    keys = [str(file.location) for file in files if file.remote and not is_readable(file.remote.location.key)]
    if not keys:
        return
    text = (
        f"{keys[0]}: a key with an empty segment (//), or one of dots, can be listed and not read; mostly the export "
        "writes a slash too many: copy such objects to keys without, and remove them"
    )
    finding = Finding("file.bad-key", "error", text, len(keys), tuple(sorted(keys)[:MAX_EXAMPLES]))
    raise InputError("the snapshot cannot be read", (finding,))


def _is_table(file: FoundFile, head: bytes, magics: tuple[bytes, ...]) -> bool:
    """Whether a file begins as a table does; three letters are a word as well, so that ORC must also end so."""
    if not magics or not head.startswith(magics):
        return False
    if not head.startswith(orc.MAGIC):
        return True
    source: Source | None = file.remote
    if source is None:
        assert isinstance(file.location, Path)
        source = LocalSource.at(file.location)
    with source.opened() as opened:
        opened.seek(max(0, source.size - len(orc.MAGIC) - 1))  # the last octet is a length
        return opened.read(len(orc.MAGIC)) == orc.MAGIC


def _head(file: FoundFile) -> bytes:
    """Return what a file begins with; nothing of what is no file, or must not be read, which is ignored with a word."""
    if file.remote is not None:
        return file.remote.head(_HEAD_BYTES) if is_readable(file.remote.location.key) else b""
    path = file.location
    if not isinstance(path, Path) or not path.is_file():
        return b""
    try:
        with path.open("rb") as opened:
            return opened.read(_HEAD_BYTES)
    except OSError:
        return b""
