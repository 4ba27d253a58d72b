"""What is found out about a snapshot before its first row: which files, their columns, and for which instant."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pregen import clock
from pregen.config import COLUMNS, SnapshotConfig
from pregen.errors import MAX_EXAMPLES, ConfigError, Finding, InputError
from pregen.snapshot.columns import (
    TOLD_BY_CRLS,
    Column,
    columns_of,
    listing,
)
from pregen.snapshot.crls.revocations import Revocations
from pregen.snapshot.crls.rules import CrlIssuer
from pregen.snapshot.crls.union import open_revocations
from pregen.snapshot.files import (
    AS_OF_KEY,
    INDEXES,
    LISTED_KEY,
    TABLES,
    ZONES_KEY,
    Chosen,
    FoundFile,
    S3Settings,
    SnapshotFile,
    Wanted,
    as_of_beside,
    find_files,
    index_txt_columns,
    partition_values,
)
from pregen.snapshot.intake import CLOCK_SKEW_S
from pregen.snapshot.rules import NO_PROFILES
from pregen.snapshot.schemas import findings_of_schemas, has_rows
from pregen.snapshot.snapshot import Snapshot
from pregen.validity import Profile

_AS_OF = AS_OF_KEY.decode()
MAX_FILES = 1 << 16  # so that two octets number them


def open_snapshot(
    config: SnapshotConfig,
    folder: Path,
    *,
    path: str | None,
    as_of: datetime | None,
    now: datetime,
    issuers: Mapping[str, int],
    profiles: Mapping[int, Profile] = NO_PROFILES,
    crl_issuers: Sequence[CrlIssuer] = (),
    skew_s: int = CLOCK_SKEW_S,
) -> Snapshot:
    """Look at every file of a snapshot: format, columns, types, metadata, and whether there is a row at all.

    Args:
        config: the section of the configuration.
        folder: what relative paths of the configuration start from.
        path: from the command line, relative to where the process stands; wins over the configuration's.
        as_of: from the command line; wins over the configuration's, which wins over the files' metadata.
        now: the current instant.
        issuers: every configured name, and the issuer's index.
        profiles: by the index of issuers; rows that break them are found. Issuers without one may have any.
        crl_issuers: all issuers, where revocations come from CRLs.
        skew_s: how far revocations may lie after as_of, in seconds.

    Raises:
        ConfigError: a column tells revocations, and CRLs do too.
        InputError: anything is wrong; the findings name all of it.
    """
    from_crls = _are_from_crls(config)
    paths, warnings = _paths(config, folder, path, is_dated=as_of is not None)
    files, unusable, empty = _open_files(paths)
    columns, of_import = _columns(config, files)
    read = listing(columns, from_crls=from_crls)
    findings = [*findings_of_schemas(files, read, issuers=len(set(issuers.values()))), *of_import, *unusable]
    columns = _with_imported_zones(columns, files)
    revocations, statused = None, _Statused()
    if from_crls:
        lists_cas = any(columns["kind"].name in file.schema.names for file in files)
        revocations, statused = _revocations(config, folder, now, crl_issuers, lists_cas=lists_cas)
    given = as_of or config.as_of
    found, more = _as_of(given, files, now, statused.earliest, from_crls=from_crls)
    findings += more + statused.errors
    similar = tuple(finding for finding in findings if finding.severity == "warning")
    findings = [finding for finding in findings if finding.severity == "error"]
    if found is None or findings:
        raise InputError("the snapshot cannot be used", (*findings, *statused.warnings, *similar))
    if not any(has_rows(file, columns["serial"].name) for file in files):
        text = f"no row in {len(files)} file(s), the first is {files[0].path}: look whether the export worked"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.no-rows", "error", text),))
    instant = found.astimezone(UTC).replace(microsecond=0)
    later = _later_than_files(given, files) if given else ()
    warnings = (*statused.warnings, *similar, *empty, *later, *warnings)
    listed_as_of = _imported_listing(files, now) if revocations is None else _listed_as_of(files, now)
    return Snapshot(files, columns, issuers, instant, warnings, profiles, revocations, skew_s, listed_as_of)


class _Statused(NamedTuple):
    """What was found out about CRLs: the earliest instant for which any of them is right, and the findings."""

    earliest: int | None = None
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()


def _are_from_crls(config: SnapshotConfig) -> bool:
    """Whether revocations come from CRLs alone.

    Raises:
        ConfigError: a column tells revocations, and CRLs do too.
    """
    if config.kind != "crl":
        return False
    mapped = [canonical for canonical in TOLD_BY_CRLS if canonical in config.columns]
    if mapped:
        names = ", ".join(mapped)
        text = (
            f'[snapshot] columns: {names} cannot be mapped with kind = "crl": statuses come from the CRLs alone there, '
            'since two sources might contradict each other; leave it out, or set kind = "files"'
        )
        raise ConfigError("the configuration has a mistake", (Finding("config.bad-value", "error", text),))
    return True


def _revocations(
    config: SnapshotConfig, folder: Path, now: datetime, issuers: Sequence[CrlIssuer], *, lists_cas: bool
) -> tuple[Revocations, _Statused]:
    """Return the revocations that come from CRLs."""
    revocations, earliest, findings = open_revocations(
        config.crl_files, folder, issuers, clock.seconds(now), lists_cas=lists_cas
    )
    errors = tuple(finding for finding in findings if finding.severity == "error")
    warnings = tuple(finding for finding in findings if finding.severity == "warning")
    return revocations, _Statused(earliest, errors, warnings)


def _as_of(
    given: datetime | None, files: tuple[SnapshotFile, ...], now: datetime, earliest: int | None, *, from_crls: bool
) -> tuple[datetime | None, tuple[Finding, ...]]:
    """Return the instant for which the snapshot is right, or what is wrong with it.

    A list of certificates needs no instant of its own where CRLs have one: `earliest`, in seconds since 1970; None
    where none of them can be used, too. The snapshot is right when all of its parts are.
    """
    found, findings = (given, []) if given else _as_of_files(files)
    if found is None and from_crls:
        findings = [finding for finding in findings if finding.code != "as-of.missing"]
    if found is not None and found > now + timedelta(seconds=CLOCK_SKEW_S):
        text = f"as_of {clock.text(found)} lies in the future (now: {clock.text(now)}): correct as_of, or the clock"
        findings.append(Finding("as-of.future", "error", text))
    if earliest is None:
        return found, tuple(findings)
    oldest = clock.instant(earliest)
    if given and given > oldest:
        text = (
            f"as_of {clock.text(given)} is later than the earliest thisUpdate of the CRLs that count, "
            f"{clock.text(oldest)}: nobody knows what was revoked since; fetch newer CRLs, give that as_of, or none"
        )
        findings.append(Finding("crl.before-as-of", "error", text))
    return (found if found and found < oldest else oldest), tuple(findings)


def _listed_as_of(files: tuple[SnapshotFile, ...], now: datetime) -> datetime:
    """Return the instant of a list of certificates: the latest that its files name, or `now` where one names none."""
    named: list[datetime] = []
    for file in files:
        try:
            named.append(now if file.as_of is None else clock.parse_instant(file.as_of))
        except ValueError:  # not asked for where as_of is given
            named.append(now)
    return min(max(named), now).astimezone(UTC).replace(microsecond=0)


def _imported_listing(files: Sequence[SnapshotFile], now: datetime) -> datetime | None:
    """Return the instant of the list of certificates that an import has joined with CRLs; None unless all files are."""
    named: list[datetime] = []
    for file in files:
        try:
            named.append(clock.parse_instant((file.schema.metadata or {})[LISTED_KEY].decode()))
        except (KeyError, ValueError):  # what no import wrote
            return None
    return min(max(named), now).astimezone(UTC).replace(microsecond=0)


def _paths(
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
    place = pattern if pattern.startswith("s3://") else str(base / pattern)
    settings = S3Settings(config.s3.endpoint, config.s3.region)
    found, ignored, misnamed = find_files(pattern, base, wanted, settings)
    if misnamed:
        raise InputError("the snapshot cannot be used", (_misnamed(place, wanted, misnamed),))
    if not found:
        deeper = () if wanted.deep else _deeper(pattern, base, wanted, settings)
        raise InputError("there is no snapshot", (_missing(place, wanted, deeper), *_ignored(place, wanted, ignored)))
    if len(found) > MAX_FILES:
        text = f"{place}: {len(found):,} files, of which {MAX_FILES:,} can be read: export fewer, larger ones"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.too-many-files", "error", text),))
    values, findings = partition_values(found, config.partitioning, config.partition_columns)
    if findings:
        raise InputError("the snapshot cannot be used", findings)
    instant = None
    if config.as_of_file is not None:
        instant = as_of_beside(pattern, base, config.as_of_file, settings, is_needed=not is_dated)
    chosen = tuple(Chosen(file, own, config.kind, instant) for file, own in zip(found, values, strict=True))
    return chosen, _ignored(place, wanted, ignored)


def _deeper(pattern: str, base: Path, wanted: Wanted, settings: S3Settings) -> tuple[FoundFile, ...]:
    """Return the files in subfolders; none where these cannot be looked into."""
    try:
        return find_files(pattern, base, replace(wanted, deep=True), settings).files
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


def _open_files(
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


def _columns(config: SnapshotConfig, files: Sequence[SnapshotFile]) -> tuple[Mapping[str, Column], tuple[Finding, ...]]:
    """Return which column is which, and what is wrong with that.

    What `pregen import` wrote has canonical names and codes, and not those of the source, which the configuration is
    mostly still about: its maps would make another status of what was mapped already.
    """
    columns = index_txt_columns() if config.kind == "index-txt" else columns_of(config)
    imported = [file for file in files if ZONES_KEY in (file.schema.metadata or {})]
    if not imported or (config.kind != "crl" and not config.columns):
        return columns, ()
    if config.kind == "crl":
        text = (
            f"{imported[0].path}: pregen import wrote it, with the status of each certificate, so that CRLs would be a "
            'second source: set kind = "files" in [snapshot], or name the list of certificates that it was made of'
        )
        return columns, (Finding("columns.of-import", "error", text, len(imported)),)
    whole = [file for file in imported if set(COLUMNS) - {"issuer_key"} <= set(file.schema.names)]
    if len(whole) < len(files):
        text = (
            f"{imported[0].path}: pregen import wrote it, so that [snapshot.columns] is not about it, but {len(whole)} "
            f"of {len(files)} files alone are as an import writes them: name a folder that holds nothing but an "
            "import, or leave [snapshot.columns] out if all files have the names and codes of an import"
        )
        return columns, (Finding("columns.of-import", "error", text, len(imported)),)
    text = (
        f"{files[0].path}: pregen import wrote it, with canonical names and codes, so [snapshot.columns] is not "
        "applied again: leave it out of the configuration of runs on an import"
    )
    return columns_of(SnapshotConfig()), (Finding("columns.of-import", "warning", text, len(files)),)


def _as_of_files(files: tuple[SnapshotFile, ...]) -> tuple[datetime | None, list[Finding]]:
    """Return the one instant that all files name in their metadata, or what is wrong with that."""
    named: dict[datetime | None, SnapshotFile] = {}
    for file in files:
        try:
            named.setdefault(None if file.as_of is None else clock.parse_instant(file.as_of), file)
        except ValueError as error:
            text = f"{file.path}: metadata {_AS_OF} cannot be read: {error}; write RFC 3339, or give --as-of"
            return None, [Finding("as-of.malformed", "error", text)]
    match list(named.items()):
        case []:
            return None, []  # no file could be opened, which was said already
        case [(None, _)]:
            text = (
                "nothing says for which instant the snapshot is complete: give --as-of, set as_of in [snapshot], or "
                f"write the metadata key {_AS_OF} into the files (CSV and index.txt have none: as_of_file in "
                "[snapshot] names a file beside them)"
            )
            return None, [Finding("as-of.missing", "error", text)]
        case [(instant, _)]:
            return instant, []
        case [(one, first), (other, second), *_]:
            says = [
                f"{file.path} says {clock.text(at) if at else 'nothing'}"
                for at, file in ((one, first), (other, second))
            ]
            text = f"the files differ in as_of: {' and '.join(says)}: export them together, or give --as-of"
            return None, [Finding("as-of.differs", "error", text)]
    raise AssertionError  # pragma: no cover


def _later_than_files(given: datetime, files: tuple[SnapshotFile, ...]) -> tuple[Finding, ...]:
    """Return a warning where a file says that it ends before the instant that is given for it."""
    for file in files:
        try:
            named = None if file.as_of is None else clock.parse_instant(file.as_of)
        except ValueError:  # not asked for where as_of is given
            continue
        if named is not None and given.replace(microsecond=0) > named:
            text = (
                f"{file.path}: its own as_of ({_AS_OF} in its metadata, or as_of_file) is {clock.text(named)}, but the "
                f"given one, {clock.text(given)}, counts: what was issued and revoked in between would be missing; "
                "unless the file's is wrong, leave as_of (--as-of) out"
            )
            return (Finding("as-of.later-than-file", "warning", text),)
    return ()


def _with_imported_zones(columns: Mapping[str, Column], files: Sequence[SnapshotFile]) -> Mapping[str, Column]:
    """Return columns with the zones that were declared for them when these files were imported."""
    zones: dict[str, str] = {}
    for file in files:
        try:
            named = json.loads((file.schema.metadata or {}).get(ZONES_KEY, b"{}"))
        except (ValueError, RecursionError):  # what no import wrote
            continue
        zones |= {str(name): str(zone) for name, zone in named.items()} if isinstance(named, dict) else {}
    return {name: replace(column, imported_zone=zones.get(name)) for name, column in columns.items()}
