"""Which files a snapshot is: searched for, partitions read off their folders, and opened one after the other."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pregen.config import SnapshotConfig
from pregen.errors import MAX_EXAMPLES, Finding, InputError
from pregen.snapshot.column import columns_of
from pregen.snapshot.files import (
    INDEXES,
    TABLES,
    Chosen,
    FoundFile,
    SnapshotFile,
    Wanted,
    as_of_beside,
    find_files,
    partition_values,
)
from pregen.snapshot.location import s3_object
from storage.stores import StoreOptions

MAX_FILES = 1 << 16  # so that two octets number them


def choose_files(
    config: SnapshotConfig, folder: Path, path: str | None, *, is_dated: bool
) -> tuple[tuple[Chosen, ...], tuple[Finding, ...]]:
    """Return the files to read, and a warning if there are others beside them."""
    pattern, base = (path, Path.cwd()) if path is not None else (config.path, folder)
    if not pattern:
        text = "no snapshot is named: set path in [snapshot], or give --snapshot PATH"
        raise InputError("there is no snapshot", (Finding("snapshot.no-path", "error", text),))
    usual = INDEXES
    if config.kind != "index-txt":
        usual = replace(TABLES, column=columns_of(config)["serial"].name)
    wanted = replace(usual, deep=config.partitioning != "none", beside=config.as_of_file)
    place = _place(pattern, base)
    options = config.s3.options
    found, ignored, misnamed = find_files(pattern, base, wanted, options)
    if misnamed:
        raise InputError("the snapshot cannot be used", (_misnamed(place, wanted, misnamed),))
    if not found:
        deeper = () if wanted.deep else _deeper(pattern, base, wanted, options)
        raise InputError("there is no snapshot", (_missing(place, wanted, deeper), *_ignored(place, wanted, ignored)))
    if len(found) > MAX_FILES:
        text = f"{place}: {len(found):,} files, of which {MAX_FILES:,} can be read: export fewer, larger ones"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.too-many-files", "error", text),))
    values, findings = partition_values(found, config.partitioning, config.partition_columns)
    if findings:
        raise InputError("the snapshot cannot be used", findings)
    instant = None
    if config.as_of_file is not None:
        instant = as_of_beside(pattern, base, config.as_of_file, options, is_needed=not is_dated)
    chosen = tuple(Chosen(file, own, config.kind, instant) for file, own in zip(found, values, strict=True))
    return chosen, _ignored(place, wanted, ignored)


def _place(pattern: str, base: Path) -> str:
    try:
        return str(s3_object(pattern) or base / pattern)
    except ValueError as error:
        finding = Finding("snapshot.bad-address", "error", str(error))
        raise InputError("there is no snapshot", (finding,)) from None


def _deeper(pattern: str, base: Path, wanted: Wanted, options: StoreOptions) -> tuple[FoundFile, ...]:
    """Return the files in subfolders; none where these cannot be looked into."""
    try:
        return find_files(pattern, base, replace(wanted, deep=True), options).files
    except InputError:
        return ()


def _missing(place: str, wanted: Wanted, deeper: Sequence[FoundFile]) -> Finding:
    """Return that there is no file; `deeper` are those in subfolders, which nobody declared."""
    text = (
        f"{place}: no such file, or no snapshot file ({', '.join(wanted.suffixes)}) in that folder: "
        "correct the path, or export it"
    )
    if deeper:
        is_hive = all("=" in folder for file in deeper for folder in file.folders)
        remedy = 'partitioning = "hive"' if is_hive else 'partitioning = "directory", and partition_columns,'
        text = (
            f"{place}: no snapshot file ({', '.join(wanted.suffixes)}) in that folder, but {len(deeper):,} below it: "
            f"it has subfolders: set {remedy} in [snapshot], or correct the path"
        )
    return Finding("file.missing", "error", text)


def _ignored(folder: str, wanted: Wanted, paths: tuple[str, ...]) -> tuple[Finding, ...]:
    if not paths:
        return ()
    text = (
        f"{folder}: what else is in this folder is not read: only files with the suffixes "
        f"{', '.join(wanted.suffixes)} are; export or unpack there what belongs to the snapshot, since certificates "
        "that are missing get no response, and move away what does not"
    )
    if not wanted.deep:
        text += "; of subfolders, name the columns that they stand for: partitioning in [snapshot]"
    return (Finding("file.ignored", "warning", text, len(paths), paths[:MAX_EXAMPLES]),)


def _misnamed(place: str, wanted: Wanted, paths: tuple[str, ...]) -> Finding:
    text = (
        f"{place}: {paths[0]} begins as a table does, or is called like a packed one, but its suffix is none of those "
        f"that are read ({', '.join(wanted.suffixes)}): rename what belongs to the snapshot, since certificates that "
        "are missing get no response, and move away what does not"
    )
    return Finding("file.suffix", "error", text, len(paths), paths[:MAX_EXAMPLES])


def open_files(
    paths: tuple[Chosen, ...],
) -> tuple[tuple[SnapshotFile, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the files, what is wrong with others, and a warning of those that are empty as they may be.

    The database of `openssl ca` is an empty file until the first certificate is issued.
    """
    files: list[SnapshotFile] = []
    findings: list[Finding] = []
    empty: list[Finding] = []
    where: list[str] = []
    for chosen in paths:
        try:
            files.append(chosen.open())
        except InputError as error:
            may_be = chosen.kind == "index-txt" and [finding.code for finding in error.findings] == ["file.empty"]
            if may_be:
                where.append(str(chosen.found.location))
            (empty if may_be else findings).extend(error.findings)
    if not empty or not files:  # nobody has an issuer that has issued nothing alone
        return tuple(files), (*findings, *empty), ()
    text = (
        f"{where[0]}: it is empty, as before an issuer's first certificate: if this one has issued any, copy the "
        "file again"
    )
    warning = Finding("file.empty", "warning", text, len(empty), tuple(where[:MAX_EXAMPLES]))
    return tuple(files), tuple(findings), (warning,)
