"""`pregen logs import`: files of the request log as Parquet, which later questions are asked of.

An import is one folder of its own in the folder of imports, and gets there by one rename when it is whole: whoever
reads the folder, by `pregen asked` or by DuckDB, meets all of an import or nothing, also after a kill. What its files
have counted is beside the lines, so that later questions know what is missing (`wholeness.py`).
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from pregen import clock
from pregen.errors import Finding, InputError, UsageError
from pregen.logs.day_files import DaySorter
from pregen.logs.log_reading import FileFacts, LogReading
from pregen.progress import Progress
from storage.stores.local import fsync_folder

FACTS: Final = "_import.json"
_FACTS_VERSION = 1
_UNFINISHED = ".unfinished-"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLogs:
    """What an import has written.

    Attributes:
        folder: where.
        files: what is known of each file.
        days: how many request lines each day has.
        written_bytes: octets of Parquet.
        warnings: what is odd.
    """

    folder: Path
    files: tuple[FileFacts, ...]
    days: dict[str, int]
    written_bytes: int
    warnings: tuple[Finding, ...]


class OneImport(NamedTuple):
    """An import as it lies in its folder: what is known of its files, and how many request lines each day has."""

    folder: Path
    files: tuple[FileFacts, ...]
    days: dict[str, int]


def import_logs(paths: Sequence[Path], out: Path, *, now: datetime, progress: Progress) -> ImportedLogs:
    """Write files of the request log as Parquet by day, each sorted by serial; or write nothing.

    Args:
        paths: files, packed by gzip or Zstandard or not at all.
        out: the folder of imports, which is made if need be.
        now: the current instant.
        progress: told how many octets are read.

    Raises:
        UsageError: a path is no file, or the folder cannot be made.
        InputError: a file is no request log, or has been imported already.
        OSError: a file cannot be read, or the folder cannot be written.
    """
    check_files(paths)
    with _locked(out), _unfinished(out) as folder:
        before = {file.digest: (one.folder.name, file.name) for one in imports_in(out) for file in one.files}
        reading, spill = LogReading(paths, progress), folder / "spill"
        spill.mkdir()
        sorter = DaySorter(folder, spill)
        for table in reading.tables():
            sorter.take(table)
        _refuse_again(reading.files, before)
        days = sorter.finish()
        spill.rmdir()
        _write_facts(folder / FACTS, reading.files, days, now)
        written_bytes = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
        _sync(folder)
        final = out / f"import={now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        folder.rename(final)
        fsync_folder(out)
    return ImportedLogs(
        folder=final,
        files=tuple(reading.files),
        days=days,
        written_bytes=written_bytes,
        warnings=reading.findings(),
    )


def check_files(paths: Sequence[Path]) -> None:
    """Refuse what is no file, before anything is read.

    Raises:
        UsageError: a path is none.
    """
    for path in paths:
        if path.is_dir():
            raise UsageError(f"{path} is a folder: name the files of the log, as in {path}/*")
        if not path.exists():
            raise UsageError(f"there is no file {path}: correct the path")


def imports_in(out: Path) -> list[OneImport]:
    """Return the imports of a folder, in the order of their names.

    Raises:
        InputError: what an import says of itself is damaged, or of a later version.
        OSError: the folder cannot be read.
    """
    return [_read_facts(path) for path in sorted(out.glob(f"import=*/{FACTS}"))]


def _write_facts(path: Path, files: Sequence[FileFacts], days: dict[str, int], now: datetime) -> None:
    document = {
        "version": _FACTS_VERSION,
        "imported_at": clock.text(now),
        "days": days,
        "files": [file.members() for file in files],
    }
    path.write_text(json.dumps(document), encoding="utf-8")


def _read_facts(path: Path) -> OneImport:
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != _FACTS_VERSION:
            raise InputError(f"{path} is of version {document['version']}: upgrade ocsp-pregen here")
        files = tuple(FileFacts.of_members(file) for file in document["files"])
        return OneImport(path.parent, files, {str(day): int(rows) for day, rows in document["days"].items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        text = f"{path} is damaged ({error!r}): remove the folder {path.parent}, and import its files again"
        raise InputError(text) from error


def _refuse_again(files: Sequence[FileFacts], before: dict[str, tuple[str, str]]) -> None:
    """Refuse files that an earlier import has: each of their requests would count twice."""
    again = [(file.name, *before[file.digest]) for file in files if file.lines and file.digest in before]
    if again:
        shown = tuple(f"{name} is in {where} as {then}" for name, where, then in again)
        text = "files are imported already; leave them out, or remove the folder of that import first"
        raise InputError(
            "nothing was imported", [Finding("logs.file.imported-already", "error", text, len(again), shown)]
        )


@contextlib.contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Make the folder of imports if need be, and have it alone."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out / _LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        text = f"--out {out}: cannot be written ({error.strerror}): name a folder that can be"
        raise UsageError(text) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"--out {out}: another import is at work there: wait for its end") from None
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _unfinished(out: Path) -> Iterator[Path]:
    """Make the folder that becomes an import; remove what is still there at the end, and what killed imports left."""
    for left in out.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = out / f"{_UNFINISHED}{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            fsync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    fsync_folder(folder)
