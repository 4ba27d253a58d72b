"""`pregen import`: any kind of snapshot to canonical Parquet, which a run reads without `[snapshot.columns]`.

Rows are judged as a run judges them, one by one. What only a whole snapshot shows (rows that contradict each other,
gates) is left to the run. So rows that are excluded on purpose are written as such (`needs_ocsp` is false), once for
each issuer where it is not known whose they are and they do not say good; certificates that have expired are written as
others are. Which zones were declared stands in the files' metadata, so that a run still wants them proved; so does,
where CRLs told the revocations, the instant of the list of certificates, which is mostly later than that of the CRLs.

No private key is needed, and certificates only where CRLs tell the revocations.
"""

import contextlib
import json
import os
import secrets
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from pregen import clock
from pregen.config import Config
from pregen.errors import ConfigError, Finding, GateError, InputError, UsageError
from pregen.gates.acceptance import OF_COLUMNS, decide
from pregen.gates.results import Acceptance, GateResult
from pregen.issuers import different_issuers, read_certificates
from pregen.progress import Progress
from pregen.snapshot import (
    ACCEPTED_KEY,
    AS_OF_KEY,
    END_ENTITY,
    LISTED_KEY,
    NO_EXPIRY,
    NO_ISSUANCE,
    NO_REASON,
    PRECERTIFICATE,
    ZONES_KEY,
    CrlIssuer,
    RowStatus,
    Snapshot,
    StatusBatch,
    Withheld,
    open_snapshot,
)
from pregen.snapshot.octets import ArrowArray
from pregen.validity import PROFILES, check_run_times

_PART_ROWS = 1_048_576  # of a file, which is one row group
_MILLISECONDS = 1_000
_TIME = pa.timestamp("ms", "UTC")  # Parquet has no seconds
_KIND_WORDS = pa.array(["end-entity", "ca", "precertificate"], pa.string())  # by their numbers in the column


@dataclass(slots=True)
class IssuerRows:
    """Rows of one issuer: written ones, those of them that are revoked, and those written as excluded."""

    certificates: int = 0
    revoked: int = 0
    excluded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import wrote.

    Attributes:
        folder: where.
        as_of: seconds since 1970.
        rows_in: rows read.
        rows: rows written, less the excluded ones.
        excluded: rows left out on purpose, by reason.
        excluded_values: for which values, by the names of their columns in the files.
        issuers: what was written of each, by its first name.
        files: how many were written.
        written_bytes: octets of them.
        warnings: what is odd.
    """

    folder: Path
    as_of: int
    rows_in: int
    rows: int
    excluded: dict[str, int]
    excluded_values: dict[str, dict[str, int]]
    issuers: dict[str, IssuerRows]
    files: int
    written_bytes: int
    warnings: tuple[Finding, ...]


def import_snapshot(
    config: Config,
    folder: Path,
    *,
    snapshot: str | None,
    as_of: datetime | None,
    now: datetime,
    progress: Progress,
    accept: Sequence[Acceptance] = (),
    tell_as_of: Callable[[datetime], None] = lambda _: None,
    part_rows: int = _PART_ROWS,
) -> Imported:
    """Read a snapshot and write it as canonical Parquet, or write nothing.

    Args:
        config: the configuration.
        folder: to be made; it may be there, if it is empty.
        snapshot: path from the command line; wins over the configuration's.
        as_of: from the command line; wins over the configuration's.
        now: the current instant, or what ``--now`` says.
        progress: told how many rows are read.
        accept: findings about whole columns (`OF_COLUMNS`) that may be; the files say so.
        tell_as_of: told for which instant the snapshot is complete, before its rows are read.
        part_rows: of a file, at most.

    Raises:
        UsageError: the folder holds anything, or cannot be made; an import accepts no such code; or `now` is far from
            the clock, under a public profile.
        ConfigError, InputError: the snapshot cannot be read, or holds bad rows; all of them are counted.
        GateError: all rows are excluded.
        OSError: the folder cannot be written.
    """
    folder = folder.resolve()
    _check_folder(folder)
    _check_acceptances(accept)
    opened = _opened(config, snapshot, as_of, now, tell_as_of)
    metadata = _metadata(opened, accept)
    labels = pa.array([section.names[0] for section in config.issuer], pa.string())
    with _beside(folder) as unfinished:
        rows, files = 0, 0
        counts: defaultdict[str, IssuerRows] = defaultdict(IssuerRows)
        batches = (part for batch in _counted(opened, progress) for part in _parts(batch, labels, metadata))
        for table in _tables(batches, part_rows):
            _count(table, counts)
            _write(unfinished / f"part-{files:05}.parquet", table)
            rows, files = rows + (pc.sum(table["needs_ocsp"]).as_py() or 0), files + 1
            del table  # before the rows of the next one are read
        findings = _decided(opened.findings(), accept)
        if any(finding.severity == "error" for finding in findings):
            raise InputError("the snapshot holds rows that cannot be published; nothing was written", findings)
        if not rows:
            raise GateError(f"all {opened.rows_in:,} rows are excluded ({opened.excluded}): nothing is left to write")
        written_bytes = sum(path.stat().st_size for path in unfinished.iterdir())
        unfinished.rename(folder)
    return Imported(
        folder=folder,
        as_of=clock.seconds(opened.as_of),
        rows_in=opened.rows_in,
        rows=rows,
        excluded=opened.excluded,
        excluded_values=opened.excluded_values,
        issuers={section.names[0]: counts[section.names[0]] for section in config.issuer},
        files=files,
        written_bytes=written_bytes,
        warnings=findings,
    )


def _opened(
    config: Config,
    path: str | None,
    as_of: datetime | None,
    now: datetime,
    tell_as_of: Callable[[datetime], None],
) -> Snapshot:
    """Return the snapshot as a run opens it, when its instant is one that a run would take."""
    # As a run numbers them: by their sections.
    issuers = {name: index for index, section in enumerate(config.issuer) for name in section.names}
    opened = open_snapshot(
        config.snapshot,
        config.folder,
        path=path,
        as_of=as_of,
        now=now,
        issuers=issuers,
        crl_issuers=_crl_issuers(config) if config.snapshot.kind == "crl" else (),
        skew_s=config.gates.skew_s,
    )
    tell_as_of(opened.as_of)
    profiles = (config.validity.changed_by(section.validity).profile for section in config.issuer)
    check_run_times(
        is_public=any(PROFILES[profile].is_public for profile in profiles),
        as_of=opened.as_of,
        started=now,
        clock_now=clock.now(),
        current_as_of=None,
    )
    return opened


def _check_acceptances(accept: Sequence[Acceptance]) -> None:
    for one in accept:
        if one.gate not in OF_COLUMNS:
            text = f"an import takes {', '.join(OF_COLUMNS)}; anything else is for the run on it to accept"
            raise UsageError(f"--accept {one.gate}: {text}")


def _decided(findings: tuple[Finding, ...], accept: Sequence[Acceptance]) -> tuple[Finding, ...]:
    """Return findings, those that are accepted as warnings, and a warning of each acceptance that nothing needed."""
    result = GateResult(gate="rows-invalid", outcome="failed", findings=findings)
    (decided,), unneeded = decide([result], accept)
    return (*sorted(decided.findings, key=lambda finding: finding.severity), *unneeded)


def _metadata(opened: Snapshot, accept: Sequence[Acceptance]) -> dict[bytes, bytes]:
    """Return what the files say of themselves, beside their rows."""
    zones = {name: column.declared_zone for name, column in opened.columns.items() if column.declared_zone}
    metadata = {AS_OF_KEY: clock.text(opened.as_of).encode(), ZONES_KEY: json.dumps(zones).encode()}
    if opened.listed_as_of is not None:
        metadata[LISTED_KEY] = clock.text(opened.listed_as_of).encode()
    if accept:
        metadata[ACCEPTED_KEY] = json.dumps([[one.gate, one.reason, one.user] for one in accept]).encode()
    return metadata


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--out {folder}: is there already, and not an empty folder: name another one, or remove it")
    if not folder.parent.is_dir():
        raise UsageError(f"--out {folder}: there is no folder {folder.parent}: make it first")


def _crl_issuers(config: Config) -> tuple[CrlIssuer, ...]:
    """Return what tells whose a CRL is; certificates that are no issuer's are left to a run to refuse.

    Raises:
        ConfigError: a certificate cannot be read, or does not tell one issuer from the others.
    """
    found: dict[tuple[bytes, bytes], CrlIssuer] = {}
    findings: list[Finding] = []
    for index, section in enumerate(config.issuer):
        label = f'issuer "{section.names[0]}"'
        try:
            certificates = [one for name in section.certificates for one in read_certificates(config.resolve(name))]
        except ConfigError as error:
            findings += [Finding(one.code, one.severity, f"{label}: {one.message}") for one in error.findings]
            continue
        first = certificates[0]
        if text := different_issuers(certificates):
            findings.append(Finding("issuer.different-keys", "error", f"{label}: {text}"))
        issuer = CrlIssuer(index=index, name=section.names[0], subject=first.subject, public_key=first.public_key)
        other = found.setdefault((first.subject, first.key_bits), issuer)
        if other is not issuer:
            text = f'{label}: is the same name and key as "{other.name}": write them as one section, with both names'
            findings.append(Finding("issuer.same-id", "error", text))
    if findings:
        raise ConfigError(f"the certificates cannot be used; correct {config.path} or what it names", findings)
    return tuple(found.values())


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Make a folder beside one that is to be; what is still there at the end is removed."""
    unfinished = folder.parent / f".{folder.name}.{secrets.token_hex(8)}"
    try:
        unfinished.mkdir()
    except OSError as error:  # it names the unfinished one, which the user does not know
        text = f"--out {folder}: cannot be made ({error.strerror}): name a folder in one that can be written"
        raise UsageError(text) from error
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _counted(snapshot: Snapshot, progress: Progress) -> Iterator[StatusBatch]:
    for batch in snapshot.batches():
        yield batch
        rows = snapshot.rows_in
        progress("read", rows, max(snapshot.row_estimate, rows))


def _tables(batches: Iterator[pa.RecordBatch], part_rows: int) -> Iterator[pa.Table]:
    """Yield tables of `part_rows` rows, the last one of fewer."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for record_batch in batches:
        start = 0
        while count + record_batch.num_rows - start >= part_rows:
            waiting.append(record_batch.slice(start, part_rows - count))
            yield pa.Table.from_batches(waiting)
            start += part_rows - count
            waiting, count = [], 0
        if start < record_batch.num_rows:
            waiting.append(record_batch.slice(start))
            count += record_batch.num_rows - start
    if waiting:
        yield pa.Table.from_batches(waiting)


def _count(table: pa.Table, counts: defaultdict[str, IssuerRows]) -> None:
    """Count the rows of a table by issuer."""
    seen = table.select(["issuer", "status", "needs_ocsp"]).group_by(["issuer", "status", "needs_ocsp"])
    for group in seen.aggregate([([], "count_all")]).to_pylist():
        of, count = counts[group["issuer"]], group["count_all"]
        if not group["needs_ocsp"]:
            of.excluded += count
            continue
        of.certificates += count
        of.revoked += count * (group["status"] == RowStatus.REVOKED)


def _parts(batch: StatusBatch, labels: pa.StringArray, metadata: Mapping[bytes, bytes]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a batch as they are written, and those that are left out."""
    yield pa.record_batch(_columns(batch, labels), metadata=dict(metadata))
    if batch.withheld is not None:
        yield pa.record_batch(_left_out(batch.withheld, labels), metadata=dict(metadata))


def _columns(batch: StatusBatch, labels: pa.StringArray) -> dict[str, ArrowArray]:
    revoked = batch.status == RowStatus.REVOKED
    reason, has_reason = batch.reason, batch.reason != NO_REASON
    if batch.reason_given is not None:  # unspecified is a reason for those who ask whether there is one
        reason, has_reason = np.where(has_reason, reason, np.int8(0)), batch.reason_given
    kinds = np.full(len(batch), END_ENTITY, np.uint8) if batch.kind is None else batch.kind
    if batch.precertificate is not None:
        kinds = np.where(batch.precertificate, PRECERTIFICATE, kinds)
    return {
        "issuer": pa.DictionaryArray.from_arrays(batch.issuer, labels),
        "serial": batch.serial,
        "status": pa.array(batch.status),
        "revoked_at": _times(batch.revoked_at, revoked),
        "reason": pa.array(reason, mask=~has_reason),
        "not_before": _times(batch.not_before, batch.not_before != NO_ISSUANCE),
        "not_after": _times(batch.not_after, batch.not_after != NO_EXPIRY),
        "kind": pa.DictionaryArray.from_arrays(kinds.astype(np.int8), _KIND_WORDS),
        "needs_ocsp": pa.array(np.ones(len(batch), np.bool_)),
    }


def _left_out(withheld: Withheld, labels: pa.StringArray) -> dict[str, ArrowArray]:
    count = len(withheld.row)
    none = pa.nulls(count, _TIME)
    return {
        "issuer": pa.DictionaryArray.from_arrays(withheld.issuer, labels),
        "serial": withheld.serial,
        "status": pa.array(withheld.status),
        "revoked_at": none,
        "reason": pa.nulls(count, pa.int8()),
        "not_before": none,
        "not_after": none,
        "kind": pa.DictionaryArray.from_arrays(pa.nulls(count, pa.int8()), _KIND_WORDS),
        "needs_ocsp": pa.array(np.zeros(count, np.bool_)),
    }


def _times(seconds: NDArray[np.int64], given: NDArray[np.bool_]) -> ArrowArray:
    """Return times as Parquet has them, null unless given."""
    return pa.array(np.where(given, seconds, 0) * _MILLISECONDS, _TIME, mask=~given)


def _write(path: Path, table: pa.Table) -> None:
    """Write one file, with checksums of its pages, to the disk."""
    with path.open("xb") as file:
        pa.parquet.write_table(table, file, row_group_size=_PART_ROWS, write_page_checksum=True)
        file.flush()
        os.fsync(file.fileno())
