"""A store in a folder of a POSIX file system, durable and safe among processes.

How it keeps the contract:

* Octets go into a hidden file beside the place they are meant for and are fsynced before they get their name, by
  ``rename`` (put) or ``link`` (put_if_absent: exactly one of any number of racing links succeeds). So a name never
  shows half an object, whatever is killed when.
* Then the folder is fsynced, for the name is durable only with it; so are all folders up to the root, once.
* What a killed writer leaves begins with a dot. No name does, so it is never listed and never in the way.
* Objects under ``packs/`` never change (their names have a random part), so their descriptors stay open for reading.
* A thread that must not wait (a server's, which all requests share) gets from packs what the kernel has in memory, and
  `NotAtHandError` for the rest: a disk that hangs keeps its readers for ever (preadv2(2), RWF_NOWAIT).
"""

import errno
import os
import resource
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from threading import get_ident

from storage.stores.base import ObjectInfo
from storage.stores.mounts import is_in_memory, is_on_local_disk
from storage.stores.wording import (
    NotAtHandError,
    absent,
    check_name,
    check_names,
    check_range,
    is_name,
    short_range,
    taken,
)

_IMMUTABLE = "packs/"
_OPEN_PACKS = 256
_SHARE_OF_DESCRIPTORS = 8  # of what the process may have: a server needs most of them for its connections
_NONE_LEFT = (errno.EMFILE, errno.ENFILE)
_PREAD_BYTES = 1 << 30  # Linux reads at most 2 GiB - 4 KiB at once
_SCRATCH_BYTES = 1 << 16
_UNCHECKED_BYTES = 1 << 20  # a longer read is compared with the file's size before memory is taken for it
_NO_OBJECT = (FileNotFoundError, IsADirectoryError, NotADirectoryError)


class _OpenFile:
    """A descriptor that closes when its last user lets go of it.

    Eviction may hit a file that another thread is about to read. Closed on eviction, its number could by then belong
    to another file, and the thread would read that one.
    """

    __slots__ = ("descriptor",)

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


class LocalStore:
    """Objects as files under `root`, which is made by the first write. `close` frees what reading keeps open."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.url = self._root.as_uri()
        # Not bound to self: that would be a cycle, and the descriptors would wait for the cycle collector.
        self._open_pack = lru_cache(_open_packs())(partial(_open, self._root, self.url))
        self._durable_folders: set[Path] = set()
        self._hurried_thread: int | None = None
        self._scratch = bytearray()  # of that thread: to fill new memory costs more than to copy out of it

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine; a network file system may keep readers waiting for ever."""
        return is_on_local_disk(self._root)

    def hurry(self) -> None:
        """Let no read of a pack by this thread wait for the disk from now on: it raises `NotAtHandError` instead."""
        if not is_in_memory(self._root):
            self._hurried_thread = get_ident()
            self._scratch = bytearray(_SCRATCH_BYTES)

    def close(self) -> None:
        """Let go of the descriptors kept for reading; the store stays usable."""
        self._open_pack.cache_clear()

    def get(self, name: str) -> bytes:
        """Return the whole object."""
        file = _open(self._root, self.url, name)
        with open(file.descriptor, "rb", closefd=False) as stream:
            octets = stream.read()
        if name.startswith(_IMMUTABLE):
            # Whole packs are read once, by who has just written or who audits them. Left in the page cache, they would
            # push out what edges read by ranges; and each next pack would have to find fresh memory, which was measured
            # to cost five times as much as the writing itself.
            os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        return octets

    def get_range(self, name: str, start: int, length: int) -> bytes:
        """Return exactly `length` octets from `start` on."""
        check_range(start, length)
        file = self._kept_open(name) if name.startswith(_IMMUTABLE) else _open(self._root, self.url, name)
        if self._hurried_thread == get_ident():
            return _read_at_hand(file.descriptor, name, start, length, self._scratch)
        if length <= _UNCHECKED_BYTES:
            octets = os.pread(file.descriptor, length, start)
        else:
            octets = _read_long(file.descriptor, start, length)
        if len(octets) != length:
            self._forget(name)  # a copy of it may be under way, and come under its name as another file
            raise short_range(self.url, name, start, length)
        return octets

    def exists(self, name: str) -> bool:
        """Tell whether the object is there, also where a descriptor of it is kept."""
        try:
            _open(self._root, self.url, name)
        except FileNotFoundError:
            return False
        return True

    def put(self, name: str, data: bytes | bytearray | memoryview) -> None:
        """Write the object; replaces one that is there."""
        check_name(name)
        target = self._root / name
        with self._written(target, data) as hidden:
            hidden.replace(target)
        self._forget(name)

    def put_if_absent(self, name: str, data: bytes) -> None:
        """Write the object unless one of that name exists."""
        check_name(name)
        target = self._root / name
        with self._written(target, data) as hidden:
            try:
                target.hardlink_to(hidden)
            except FileExistsError:
                raise taken(self.url, name) from None

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose names begin with `prefix`."""
        folder = prefix.rpartition("/")[0]
        if not folder or is_name(folder):
            yield from self._walk(folder, prefix)

    def delete(self, names: Sequence[str]) -> None:
        """Remove objects; one that is not there is no error. Their folders stay, for writers may be about to use them.

        Each folder is fsynced once, also where nothing was found: who removed it may have been killed before.
        """
        check_names(names)
        targets = [self._root / name for name in names]
        for name, target in zip(names, targets, strict=True):
            with suppress(*_NO_OBJECT):  # a folder of objects is none either
                target.unlink()
            self._forget(name)
        for folder in {target.parent for target in targets}:
            with suppress(*_NO_OBJECT):
                fsync_folder(folder)

    def _kept_open(self, name: str) -> _OpenFile:
        try:
            return self._open_pack(name)
        except OSError as error:
            if error.errno not in _NONE_LEFT:
                raise
        self.close()  # others of this process have taken all descriptors: the kept ones are worth less than an answer
        return self._open_pack(name)

    def clock_s(self, *, may_write: bool = True) -> float | None:
        """Return the time that the file system gives to a new file: on a network mount, its server's."""
        if not may_write:
            return None
        folder = next(parent for parent in (self._root, *self._root.parents) if parent.is_dir())
        hidden = folder / f".{os.urandom(12).hex()}.tmp"
        try:
            _write(hidden, b"\0")
            return hidden.stat().st_mtime
        except OSError:  # what cannot be written to will be told by who writes
            return None
        finally:
            with suppress(OSError):
                hidden.unlink()

    def _forget(self, name: str) -> None:
        if name.startswith(_IMMUTABLE):
            self._open_pack.cache_clear()

    @contextmanager
    def _written(self, target: Path, data: bytes | bytearray | memoryview) -> Iterator[Path]:
        """Give a hidden file that durably holds `data`; the name that the block makes of it is durable at the end."""
        hidden = target.with_name(f".{os.urandom(12).hex()}.tmp")
        try:
            self._make_durable(target.parent)
            _write(hidden, data)
            yield hidden
        except FileExistsError:
            raise
        except OSError as error:  # of a write, it names no file; of the rest, the hidden one
            raise OSError(error.errno, error.strerror, str(target)) from None
        finally:
            with suppress(OSError):  # mostly it has its name by now; and what went wrong before matters more
                hidden.unlink()
        fsync_folder(target.parent)

    def _make_durable(self, folder: Path) -> None:
        """Make `folder`; fsync it and all above it up to the root, for who made them may not have come to that yet."""
        if folder in self._durable_folders and folder.is_dir():
            return
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # a file is in the way: nothing that `put_if_absent` may take for a lost race
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
        top = min(existing, self._root, key=lambda path: len(path.parts))
        for parent in (folder, *folder.parents):
            fsync_folder(parent)
            if parent == top:
                break
        self._durable_folders.add(folder)

    def _walk(self, folder: str, prefix: str) -> Iterator[ObjectInfo]:
        try:
            entries = os.scandir(self._root / folder)
        except _NO_OBJECT:
            return
        with entries:
            for entry in entries:
                name = f"{folder}/{entry.name}" if folder else entry.name
                if not is_name(name) or not (name.startswith(prefix) or prefix.startswith(f"{name}/")):
                    continue
                try:
                    status = entry.stat()
                except _NO_OBJECT:  # removed meanwhile
                    continue
                if stat.S_ISDIR(status.st_mode):
                    yield from self._walk(name, prefix)
                elif name.startswith(prefix):
                    yield ObjectInfo(name, status.st_size, status.st_mtime)


def _open_packs() -> int:
    """Return how many packs may be kept open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _OPEN_PACKS if soft == resource.RLIM_INFINITY else min(_OPEN_PACKS, soft // _SHARE_OF_DESCRIPTORS)


def _open(root: Path, url: str, name: str) -> _OpenFile:
    check_name(name)
    try:
        # Without waiting: a FIFO in an object's place would keep its readers for ever.
        file = _OpenFile(os.open(root / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except _NO_OBJECT:
        raise absent(url, name) from None
    if not stat.S_ISREG(os.fstat(file.descriptor).st_mode):
        raise absent(url, name)
    return file


def _read_at_hand(descriptor: int, name: str, start: int, length: int, scratch: bytearray) -> bytes:
    """Return octets that are in memory; what ends before is left to those who may wait."""
    octets = scratch if length <= len(scratch) else bytearray(min(length, _UNCHECKED_BYTES))
    view = memoryview(octets)[:length]
    try:
        size = os.preadv(descriptor, [view], start, os.RWF_NOWAIT)
    except BlockingIOError:
        raise NotAtHandError(name) from None
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        raise NotAtHandError(name, is_always=True) from None
    if size != length:
        raise NotAtHandError(name)
    return bytes(view)


def _read_long(descriptor: int, start: int, length: int) -> bytes:
    """Return up to `length` octets; nothing where the file ends before (a damaged length may be any number)."""
    if os.fstat(descriptor).st_size < start + length:
        return b""
    parts = []
    while length and (part := os.pread(descriptor, min(length, _PREAD_BYTES), start)):
        parts.append(part)
        start += len(part)
        length -= len(part)
    return b"".join(parts)


def _write(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Write a new file and fsync it; the umask decides who may read (an edge may run as another user)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Write to the disk which names a folder has.

    Raises:
        OSError: that failed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
