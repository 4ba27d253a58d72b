"""Where the octets of a file come from, and whether they are still the ones that were looked at.

A file is identified when it is first looked at, and again before and after each reading, here or in a worker: a
snapshot that is being written must not be published.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pregen.errors import InputError
from pregen.snapshot.files.base import unusable
from pregen.snapshot.location import Location

_LOCAL_READ_AHEAD_BYTES = 1 << 20


class ChangedError(OSError):
    """A file is no longer what it was when it was first looked at; the text says in what it differs."""


class Source(Protocol):
    """The octets of one file as they were when it was identified; a description, which pickles."""

    @property
    def location(self) -> Location:
        """Where it is."""

    @property
    def size(self) -> int:
        """How many octets it has."""

    @property
    def read_ahead_bytes(self) -> int:
        """How much is worth to be read at once."""

    def opened(self, window_bytes: int = 0) -> AbstractContextManager[pa.NativeFile]:
        """Open it for reading anywhere; what is read in small pieces is fetched in windows of that size.

        Raises:
            ChangedError: it is not what it was, before or after it was read; so may every reading of it.
            OSError: it cannot be read.
        """

    def check(self) -> None:
        """Compare it with what it was.

        Raises:
            ChangedError: it is not what it was.
            OSError: it cannot be looked at.
        """


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A file of this machine, known by its inode, its size and when it was last written.

    Device and inode are None where another machine has identified it, which numbers them otherwise.
    """

    location: Path
    size: int
    device: int | None
    inode: int | None
    written_ns: int

    read_ahead_bytes = _LOCAL_READ_AHEAD_BYTES

    @classmethod
    def at(cls, path: Path) -> "LocalSource":
        """Identify the file at `path`.

        Raises:
            InputError: it is no regular file.
            OSError: it cannot be looked at.
        """
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise unusable("file.unreadable", path, "it is no regular file: export the snapshot to a file")
        return cls(path, found.st_size, found.st_dev, found.st_ino, found.st_mtime_ns)

    @contextmanager
    def opened(self, window_bytes: int = 0) -> Iterator[pa.NativeFile]:
        """Open it; the system itself reads ahead."""
        del window_bytes
        self.check()
        with pa.OSFile(os.fspath(self.location), "rb") as file:
            yield file
        self.check()

    def check(self) -> None:
        """Compare it with what it was."""
        try:
            now = self.location.stat()
        except FileNotFoundError:
            raise ChangedError(f"it was removed{self._seen}") from None
        if self.inode is not None and (now.st_dev, now.st_ino) != (self.device, self.inode):
            raise ChangedError("it was replaced by another file")
        if now.st_size != self.size:
            raise ChangedError(f"it has {now.st_size:,} octets, and had {self.size:,}{self._seen}")
        if now.st_mtime_ns != self.written_ns:
            raise ChangedError(f"it was written to{self._seen}")

    @property
    def _seen(self) -> str:
        """Return who says so, where another machine has identified the file, which may have another one there."""
        if self.inode is not None:
            return ""
        return f", as {os.uname().nodename} sees it, which must see the same files as the machine that began the run"


@contextmanager
def reading(source: Source, window_bytes: int = 0) -> Iterator[pa.NativeFile]:
    """Open a source, and give what the readers raise our own form.

    Raises:
        InputError: it cannot be read, is damaged, or is no longer what it was.
    """
    try:
        with source.opened(window_bytes) as file:
            yield file
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        # a file that is being written looks damaged: what it is comes first
        raise unread(source.location, _change(source, error) or error) from error


def _change(source: Source, error: Exception) -> Exception | None:
    if isinstance(error, (ChangedError, ConnectionError)):
        return None
    try:
        source.check()
    except ChangedError as change:
        return change
    except OSError:
        return None  # the first error says enough
    return None


@contextmanager
def looking_at(place: Location | str) -> Iterator[None]:
    """Give what the system or a server says about a place our own form."""
    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise unread(place, error) from error


def unread(place: Location | str, error: Exception) -> InputError:
    """Return the error for what could not be read, with what to do about it."""
    if isinstance(error, ChangedError):
        what = f"it was changed while it was being read ({error}): run again when it is complete"
        return unusable("file.changed", place, what)
    if isinstance(error, OSError) and error.errno is not None and error.errno != errno.ENOENT:
        what = f"it cannot be read ({error.strerror}): correct its rights, or export it again"
        return unusable("file.unreadable", place, what)
    if isinstance(error, FileNotFoundError):
        return unusable("file.missing", place, "there is no such file: correct the path, or export the snapshot")
    said = " ".join(str(error).split())
    if isinstance(error, PermissionError):
        return unusable("file.unreadable", place, said)
    if isinstance(error, ConnectionError):
        return unusable("file.unreachable", place, f"{said}; nothing was published, run again")
    return _unreadable(place, error, said)


def _unreadable(place: Location | str, error: Exception, said: str) -> InputError:
    """Return the error for what Arrow cannot make sense of."""
    if "more than 64 bits" in said:
        what = (
            "a column holds integers of more than 64 bits (Int128 of polars), which Arrow does not read: cast it to "
            'text, with encoding = "decimal" for serials, or to Decimal(38, 0)'
        )
        return unusable("column.type", place, what)
    if "out of range for nanosecond" in said:
        what = (
            f"it holds times that are not read here ({said}): export them as dates or text, or as Parquet, since no "
            "other reader of ORC is at hand"
        )
        return unusable("file.unsupported", place, what)
    if isinstance(error, pa.ArrowNotImplementedError):
        what = f"it holds what is not read here ({said}), or is damaged: export it again, as plain types"
        return unusable("file.unsupported", place, what)
    return unusable("file.damaged", place, f"it is damaged or cut off ({said}): export it again")
