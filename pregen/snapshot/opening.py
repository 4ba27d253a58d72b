"""What is found out about a snapshot before its first row: which files, their columns, and for which instant."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pregen import clock
from pregen.config import COLUMNS, SnapshotConfig
from pregen.errors import ConfigError, Finding, InputError
from pregen.snapshot.as_of import find_as_of, instant_of_imported_listing, instant_of_listing, later_than_files
from pregen.snapshot.choosing import choose_files, open_files
from pregen.snapshot.column import TOLD_BY_CRLS, Column, columns_of, listing
from pregen.snapshot.crls.revocations import Revocations
from pregen.snapshot.crls.rules import CrlIssuer
from pregen.snapshot.crls.union import open_revocations
from pregen.snapshot.files import ACCEPTED_KEY, ZONES_KEY, SnapshotFile, index_txt_columns
from pregen.snapshot.profile_rules import NO_PROFILES
from pregen.snapshot.schemas import findings_of_schemas, has_rows
from pregen.snapshot.snapshot import Snapshot
from pregen.validity import CLOCK_SKEW_S, Profile


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
    paths, warnings = choose_files(config, folder, path, is_dated=as_of is not None)
    files, unusable, empty = open_files(paths)
    columns, of_import = _columns(config, files)
    read = listing(columns, from_crls=from_crls)
    findings = [*findings_of_schemas(files, read, issuers=len(set(issuers.values()))), *of_import, *unusable]
    columns = _with_imported_zones(columns, files)
    revocations, statused = None, _Statused()
    if from_crls:
        lists_cas = any(columns["kind"].name in file.schema.names for file in files)
        revocations, statused = _revocations(config, folder, now, crl_issuers, lists_cas=lists_cas)
    given = as_of or config.as_of
    found, more = find_as_of(given, files, now, statused.earliest, from_crls=from_crls)
    findings += more + statused.errors
    similar = tuple(finding for finding in findings if finding.severity == "warning")
    findings = [finding for finding in findings if finding.severity == "error"]
    if found is None or findings:
        raise InputError("the snapshot cannot be used", (*findings, *statused.warnings, *similar))
    if not any(has_rows(file, columns["serial"].name) for file in files):
        text = f"no row in {len(files)} file(s), the first is {files[0].path}: look whether the export worked"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.no-rows", "error", text),))
    instant = found.astimezone(UTC).replace(microsecond=0)
    later = later_than_files(given, files) if given else ()
    warnings = (*statused.warnings, *similar, *empty, *later, *_accepted(files), *warnings)
    listed_as_of = instant_of_imported_listing(files, now) if revocations is None else instant_of_listing(files, now)
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


def _accepted(files: Sequence[SnapshotFile]) -> tuple[Finding, ...]:
    """Return a warning of each acceptance with which the files were imported."""
    where: dict[tuple[str, str, str], list[SnapshotFile]] = {}
    for file in files:
        try:
            for code, reason, user in json.loads((file.schema.metadata or {}).get(ACCEPTED_KEY, b"[]")):
                where.setdefault((str(code), str(reason), str(user)), []).append(file)
        except (ValueError, TypeError, RecursionError):  # what no import wrote
            continue
    return tuple(
        Finding(
            "import.accepted",
            "warning",
            f"{some[0].path}: it was imported with --accept {code}, accepted by {user}: {reason}",
            len(some),
        )
        for (code, reason, user), some in where.items()
    )
