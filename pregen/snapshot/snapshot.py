"""A snapshot as a whole: which files, for which instant, and its rows from the first to the last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pregen import clock
from pregen.config import SnapshotConfig
from pregen.errors import Finding, InputError
from pregen.snapshot.batch import StatusBatch
from pregen.snapshot.columns import Column, columns_of, needed, schema_findings
from pregen.snapshot.files import AS_OF_KEY, SUFFIXES, SnapshotFile, find_files, open_file
from pregen.snapshot.findings import EXAMPLES, Place, RowFindings, located
from pregen.snapshot.intake import CLOCK_SKEW_S, Intake

_AS_OF = AS_OF_KEY.decode()
_KNOWN = ", ".join(SUFFIXES)
EXCLUDED_BY_STATUS = "status"
MAX_FILES = 1 << 16  # so that two octets number them


@dataclass(slots=True)
class Reading:
    """What was noted while one file was read.

    Attributes:
        rows_in: its rows so far, bad and excluded ones included.
        excluded: rows that their status excludes.
        findings: its bad rows.
    """

    rows_in: int = 0
    excluded: int = 0
    findings: RowFindings = field(default_factory=RowFindings)


class Snapshot:
    """The rows of all files of a snapshot, in order. It pickles: workers read files of it, each its own.

    Attributes:
        as_of: the instant for which the snapshot is complete and correct.
        files: what it is made of, sorted.
    """

    def __init__(
        self,
        files: tuple[SnapshotFile, ...],
        columns: Mapping[str, Column],
        issuers: Mapping[str, int],
        as_of: datetime,
        warnings: tuple[Finding, ...] = (),
    ) -> None:
        """Take files that were looked at already, and what is odd about them; `open_snapshot` does that."""
        self.as_of = as_of
        self.files = tuple(file.path for file in files)
        self._opened = files
        self._columns = columns
        self._issuers = issuers
        self._warnings = warnings
        self._readings: dict[int, Reading] = {}

    @property
    def row_estimate(self) -> int:
        """About how many rows there are, known before they are read; at least 1."""
        return max(1, sum(file.row_estimate for file in self._opened))

    @property
    def rows_in(self) -> int:
        """Rows read so far, bad and excluded ones included."""
        return sum(reading.rows_in for reading in self._readings.values())

    @property
    def excluded(self) -> dict[str, int]:
        """Rows left out on purpose so far, by reason."""
        count = sum(reading.excluded for reading in self._readings.values())
        return {EXCLUDED_BY_STATUS: count} if count else {}

    def batches(self) -> Iterator[StatusBatch]:
        """Yield the good rows of all files. Each call reads everything anew; see `read`."""
        self._readings = {}
        for number in range(len(self._opened)):
            reading = Reading()
            self.add(number, reading)
            yield from self.read(number, reading)

    def read(self, number: int, reading: Reading) -> Iterator[StatusBatch]:
        """Yield the good rows of one file; bad ones are left out, and noted in `reading`.

        Raises:
            InputError: the file is damaged further on, or was replaced.
        """
        file = self._opened[number]
        intake = Intake(self._columns, self._issuers, clock.seconds(self.as_of), reading.findings)
        for record_batch in file.batches(*needed(self._columns, file.schema)):
            batch, excluded = intake.read(record_batch, Place(number, file.path, reading.rows_in))
            reading.rows_in += record_batch.num_rows
            reading.excluded += excluded
            if len(batch) or len(batch.late.revoked_at):
                yield batch

    def add(self, number: int, reading: Reading) -> None:
        """Count what is noted while a file is read, here or in a worker."""
        self._readings[number] = reading

    def findings(self) -> tuple[Finding, ...]:
        """Return what is wrong with the rows read so far, and odd about the files; errors come first.

        A run with any of severity error must not be published.
        """
        found = RowFindings()
        for _, reading in sorted(self._readings.items(), key=lambda item: item[0]):
            found.add(reading.findings)
        return found.findings() + self._warnings

    def locate(self, file: int, row: int) -> str:
        """Return what messages call a row: its file, and its number from 1; both arguments count from 0."""
        return located(self.files[file], row)

    def by_size(self) -> tuple[int, ...]:
        """Return the numbers of all files, the one with most rows first."""
        return tuple(sorted(range(len(self._opened)), key=lambda number: -self._opened[number].row_estimate))


def open_snapshot(
    config: SnapshotConfig,
    folder: Path,
    *,
    path: str | None,
    as_of: datetime | None,
    now: datetime,
    issuers: Mapping[str, int],
) -> Snapshot:
    """Look at every file of a snapshot: format, columns, types, metadata, and whether there is a row at all.

    Args:
        config: the section of the configuration.
        folder: what relative paths of the configuration start from.
        path: from the command line, relative to where the process stands; wins over the configuration's.
        as_of: from the command line; wins over the configuration's, which wins over the files' metadata.
        now: the current instant.
        issuers: every configured name, and the issuer's index.

    Raises:
        InputError: anything is wrong; the findings name all of it.
    """
    columns = columns_of(config)
    paths, warnings = _paths(config, folder, path)
    files, findings = _open_files(paths, columns, issuers=len(set(issuers.values())))
    found = as_of or config.as_of
    if found is None:
        found, more = _as_of_files(files)
        findings += more
    if found is not None and found > now + timedelta(seconds=CLOCK_SKEW_S):
        text = f"as_of {clock.text(found)} lies in the future (now: {clock.text(now)}): correct as_of, or the clock"
        findings.append(Finding("as-of.future", "error", text))
    if found is None or findings:
        raise InputError("the snapshot cannot be used", findings)
    if not any(_has_rows(file, columns) for file in files):
        text = f"no row in {len(files)} file(s), the first is {files[0].path}: look whether the export worked"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.no-rows", "error", text),))
    return Snapshot(files, columns, issuers, found.astimezone(UTC).replace(microsecond=0), warnings)


def _paths(config: SnapshotConfig, folder: Path, path: str | None) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """Return the files to read, and a warning if there are others beside them."""
    pattern, base = (path, Path.cwd()) if path is not None else (config.path, folder)
    if not pattern:
        text = "no snapshot is named: set path in [snapshot], or give --snapshot PATH"
        raise InputError("there is no snapshot", (Finding("snapshot.no-path", "error", text),))
    paths, ignored = find_files(pattern, base)
    if not paths:
        text = (
            f"{base / pattern}: no such file, or no snapshot file ({_KNOWN}) in that folder: "
            "correct the path, or export it"
        )
        raise InputError("there is no snapshot", (Finding("file.missing", "error", text),))
    if len(paths) > MAX_FILES:
        text = f"{base / pattern}: {len(paths):,} files, of which {MAX_FILES:,} can be read: export fewer, larger ones"
        raise InputError("the snapshot cannot be used", (Finding("snapshot.too-many-files", "error", text),))
    return paths, _ignored(base / pattern, ignored)


def _ignored(folder: Path, paths: tuple[Path, ...]) -> tuple[Finding, ...]:
    if not paths:
        return ()
    text = (
        f"{folder}: what else is in this folder is not read: only files with the suffixes {_KNOWN} are; export or "
        "unpack there what belongs to the snapshot, since certificates that are missing get no response, and move "
        "away what does not"
    )
    return (Finding("file.ignored", "warning", text, len(paths), tuple(str(path) for path in paths[:EXAMPLES])),)


def _open_files(
    paths: tuple[Path, ...], columns: Mapping[str, Column], *, issuers: int
) -> tuple[tuple[SnapshotFile, ...], list[Finding]]:
    files: list[SnapshotFile] = []
    findings: list[Finding] = []
    for path in paths:
        try:
            file = open_file(path)
        except InputError as error:
            findings += error.findings
        else:
            files.append(file)
            findings += schema_findings(path, file.schema, columns, issuers=issuers)
    return tuple(files), findings


def _as_of_files(files: tuple[SnapshotFile, ...]) -> tuple[datetime | None, list[Finding]]:
    """Return the one instant that all files name in their metadata, or what is wrong with that."""
    named: dict[datetime | None, Path] = {}
    for file in files:
        try:
            named.setdefault(None if file.as_of is None else clock.parse_instant(file.as_of), file.path)
        except ValueError as error:
            text = f"{file.path}: metadata {_AS_OF} cannot be read: {error}; write RFC 3339, or give --as-of"
            return None, [Finding("as-of.malformed", "error", text)]
    match list(named.items()):
        case []:
            return None, []  # no file could be opened, which was said already
        case [(None, _)]:
            text = (
                "nothing says for which instant the snapshot is complete: give --as-of, set as_of in [snapshot], or "
                f"write the metadata key {_AS_OF} into the files"
            )
            return None, [Finding("as-of.missing", "error", text)]
        case [(instant, _)]:
            return instant, []
        case [(one, first), (other, second), *_]:
            says = [
                f"{path} says {clock.text(at) if at else 'nothing'}" for at, path in ((one, first), (other, second))
            ]
            text = f"the files differ in {_AS_OF}: {' and '.join(says)}: export them together, or give --as-of"
            return None, [Finding("as-of.differs", "error", text)]
    raise AssertionError  # pragma: no cover


def _has_rows(file: SnapshotFile, columns: Mapping[str, Column]) -> bool:
    return any(batch.num_rows for batch in file.batches([columns["serial"].name]))
