"""What a run has finished, in a file that survives it: who was killed, or lost the store, goes on from there.

The first line says of which attempt the journal is. Each line after it has windows and runs, by whose numbers packs go
from there on, or names a shard whose pack is stored and read back. It is no more than a list of places to look at:
statuses are never taken from it. It lies beside the folders of spill files, which end with their run, and goes away
when a run has published. One process at a time writes it: it holds the file's lock, which the kernel frees when it
dies.
"""

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from storage.manifest import Shard

JOURNAL_VERSION = 2
JOURNAL_PREFIX = "pregen-journal-"
_CRC_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """By what a run signs: another one that goes on with its shards must sign by the same.

    Attributes:
        configuration: SHA-256 of the file.
        base: number of the commit whose shards are current, and SHA-256 of its octets; empty before the first one.
        as_of: of the snapshot, in seconds since 1970.
        started: start of the run, which its windows are made from, in seconds since 1970.
    """

    configuration: str
    base: str
    as_of: int
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """What the numbers of runs in packs stand for.

    Attributes:
        name: of the windows, which shards name.
        octets: of the windows; they need not be in the store.
        digest: SHA-256 of all that the numbers stand for, whatever the objects are called that it is stored in.
    """

    name: str
    octets: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A shard whose pack is stored and read back.

    Attributes:
        made_of: SHA-256 of what the pack was made of (`pregen.generation.comparing.makings`).
        shard: what a manifest would say of it.
    """

    made_of: bytes
    shard: Shard


class Journal:
    """The journal of one configuration; belongs to the run that opened it.

    Attributes:
        path: where it is.
        is_ours: whether this run may write it.
        is_busy: whether another run that lives may.
        failure: why it cannot be used, if so.
        attempt: whose shards `finished` are; None: there is nothing to go on with.
        finished: by their key ranges.
        numberings: by their names.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Open the journal, and read what an earlier attempt left.

        Args:
            folder: where it is.
            name: of the configuration and its store; no other run may share it.
        """
        self.path = folder / f"{JOURNAL_PREFIX}{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        self.attempt: Attempt | None = None
        self.finished: dict[tuple[int, int], Finished] = {}
        self.numberings: dict[str, Numbering] = {}
        self.failure: OSError | None = None
        self._read_bytes = 0
        self._file: int | None = None
        self.is_ours = self.is_busy = False
        with self._told():
            self._open()

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let others use it; an empty one goes away."""
        if self._file is not None:
            if self.is_ours and not os.fstat(self._file).st_size:
                self.remove()
            os.close(self._file)
        self._file = None

    def begin(self, attempt: Attempt) -> None:
        """Begin the journal of an attempt; of an earlier one, nothing stays."""
        self.finished, self.numberings = {}, {}
        with self._told():
            if self._file is not None and self.is_ours:
                os.ftruncate(self._file, 0)
                self._append({"version": JOURNAL_VERSION, **asdict(attempt)})

    def go_on(self) -> None:
        """Keep what the earlier attempt has finished, and add to it; half a line at the end goes."""
        with self._told():
            if self._file is not None and self.is_ours:
                os.ftruncate(self._file, self._read_bytes)

    def number(self, numbering: Numbering) -> None:
        """Add what the numbers of runs in packs stand for from now on."""
        octets = base64.b64encode(zlib.compress(numbering.octets)).decode()
        with self._told():
            if self._file is not None and self.is_ours:
                self._append({"numbering": numbering.name, "octets": octets, "digest": numbering.digest})

    def note(self, made_of: bytes, shard: Shard) -> None:
        """Add a shard whose pack is stored and read back."""
        with self._told():
            if self._file is not None and self.is_ours:
                self._append({"made_of": made_of.hex(), **_told_of(shard)})

    def remove(self) -> None:
        """Let it go away: nobody is to go on from here."""
        if self._file is not None and self.is_ours:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Go on without a journal where the disk fails: a run needs none, and a warning tells it."""
        try:
            yield
        except OSError as error:
            self.failure, self.is_ours = error, False

    def _open(self) -> None:
        while True:
            # The folder may be everybody's: not through a link, and what another user has put there is none.
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o600)
            if os.fstat(self._file).st_uid != os.geteuid():
                raise PermissionError(f"{self.path} belongs to another user")
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.is_busy = True
                return
            # Who held it before may have removed it in the meantime.
            with contextlib.suppress(FileNotFoundError):
                if self.path.lstat().st_ino == os.fstat(self._file).st_ino:
                    break
            os.close(self._file)
        self.is_ours = True
        self._read()

    def _read(self) -> None:
        """Read the lines that are whole, up to the first that is not: the writer may have been killed within it."""
        assert self._file is not None
        lines = [*_whole_lines(os.pread(self._file, os.fstat(self._file).st_size, 0))]
        if not lines or lines[0].members.pop("version", None) != JOURNAL_VERSION:
            return
        try:
            self.attempt = Attempt(**lines[0].members)  # type: ignore[arg-type]
            for line in lines[1:]:
                self._take(line.members)
        except (TypeError, ValueError, KeyError, zlib.error):
            self.attempt, self.finished, self.numberings = None, {}, {}
        self._read_bytes = sum(line.size_bytes for line in lines)

    def _take(self, members: dict[str, object]) -> None:
        if "numbering" in members:
            name, octets = str(members["numbering"]), zlib.decompress(base64.b64decode(str(members["octets"])))
            self.numberings[name] = Numbering(name=name, octets=octets, digest=str(members["digest"]))
            return
        made_of, shard = bytes.fromhex(str(members.pop("made_of"))), _shard_of(members)
        if shard.windows not in self.numberings:
            raise KeyError(shard.windows)
        self.finished[shard.low, shard.high] = Finished(made_of, shard)

    def _append(self, members: Mapping[str, object]) -> None:
        assert self._file is not None
        text = json.dumps(members).encode()
        line = b"%08x %s\n" % (zlib.crc32(text), text)
        if os.write(self._file, line) != len(line):
            raise OSError(None, f"{self.path}: it was not written whole")
        os.fsync(self._file)


class _Line(NamedTuple):
    members: dict[str, object]
    size_bytes: int


def _whole_lines(octets: bytes) -> Iterator[_Line]:
    for line in octets.splitlines(keepends=True):
        crc, _, text = line.partition(b" ")
        if not line.endswith(b"\n") or len(crc) != _CRC_DIGITS or b"%08x" % zlib.crc32(text[:-1]) != crc:
            return
        yield _Line(json.loads(text), len(line))


def _told_of(shard: Shard) -> dict[str, object]:
    return {**asdict(shard), "sha256": (shard.sha256 or b"").hex()}


def _shard_of(members: Mapping[str, object]) -> Shard:
    return Shard(**{**members, "sha256": bytes.fromhex(str(members["sha256"]))})  # type: ignore[arg-type]
