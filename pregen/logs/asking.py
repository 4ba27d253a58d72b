"""`pregen asked`: whether a certificate was asked for, by logs as files or imports, and whether they can tell.

That it was asked for, one line shows. That it was not, only logs can show that are whole: each edge has counted its
lines, and all are there; none was left out on purpose; no cache stood in front, which answers without asking.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pregen import clock
from pregen.errors import Finding, InputError, NotFoundError
from pregen.logs.day_files import DAY_FILE, serials_of
from pregen.logs.log_import import check_files, imports_in
from pregen.logs.log_reading import FileFacts, LogReading
from pregen.logs.sought import Sought, is_text
from pregen.logs.wholeness import (
    ENDLESS_MS,
    Interval,
    Lack,
    LoggedWorker,
    known_interval,
    lacks_in,
    time_of,
    workers_of,
)
from pregen.progress import Progress

ALWAYS: Final = Interval(0, ENDLESS_MS)
_NOT_READ: Final = ("malformed", "too-large", "too-slow", "gone")
_DAY_MS = clock.DAY_S * 1000


class AskedVerdict(StrEnum):
    """Whether a certificate was asked for."""

    ASKED = "asked"
    NOT_ASKED = "not-asked"
    UNKNOWN = "unknown"


class Said(NamedTuple):
    """What clients got, as the log has it."""

    outcome: str
    status: str | None
    ocsp: str | None
    http: int | None
    generation: int | None


_COLUMNS = ["time", "remote", "serial", "hash", "issuer_name_hash", "issuer_key_hash", *Said._fields, "weight"]


@dataclass(slots=True)
class RequestTally:
    """The requests for one certificate.

    Attributes:
        lines: how many lines there are.
        requests: how many requests these stand for; lines that stand for several are estimates.
        days: requests of each day.
        said: requests by what was said.
        clients: their addresses, as far as the log has them.
        first_ms: time of the first one, in milliseconds since 1970.
        last_ms: time of the last one.
        undecided: lines about which nobody can say whether they are about the certificate.
        unreadable: requests in the same time that name no certificate, for they could not be read.
    """

    lines: int = 0
    requests: int = 0
    days: Counter[str] = field(default_factory=Counter)
    said: Counter[Said] = field(default_factory=Counter)
    clients: set[str] = field(default_factory=set)
    first_ms: int | None = None
    last_ms: int | None = None
    undecided: int = 0
    unreadable: int = 0

    def note(self, rows: pa.Table, sought: Sought, interval: Interval) -> None:
        """Note what rows of the log say, whatever certificates they are about."""
        rows = _within(rows, interval)
        outcomes = rows["outcome"].filter(rows["serial"].is_null())
        self.unreadable += int(np.count_nonzero(pc.is_in(outcomes, pa.array(_NOT_READ))))
        rows = rows.filter(pa.array(is_text(rows, "serial", sought.serial)))
        matches = sought.matches(rows)
        self.undecided += int(np.count_nonzero(matches.undecided))
        if matches.sought.any():
            self._note_found(rows.filter(pa.array(matches.sought)))

    def _note_found(self, rows: pa.Table) -> None:
        times, weights = rows["time"].cast(pa.int64()).to_numpy(), rows["weight"].to_numpy()
        first, last = int(times.min()), int(times.max())
        self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
        self.last_ms = last if self.last_ms is None else max(self.last_ms, last)
        self.lines += rows.num_rows
        self.requests += int(weights.sum())
        self.clients |= {text for text in rows["remote"].unique().to_pylist() if text is not None}
        days, inverse = np.unique(times // _DAY_MS, return_inverse=True)
        for day, count in zip(days.tolist(), np.bincount(inverse, weights).tolist(), strict=True):
            self.days[clock.text(day * clock.DAY_S)[:10]] += int(count)
        for group in rows.group_by([*Said._fields]).aggregate([("weight", "sum")]).to_pylist():
            self.said[Said(*(group[name] for name in Said._fields))] += group["weight_sum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAnswer:
    """What logs say of one certificate.

    Attributes:
        verdict: whether it was asked for.
        sought: which certificate that is.
        interval: which time the answer is about; None: the logs have no line.
        whole: a time that is asked for in whole seconds, and of which the logs know all; None: none was found.
        sightings: its requests.
        lacks: what of that time is not in the logs.
        is_behind_cache: whether a cache stood in front, which has answered some requests by itself.
        edges: names of the machines whose logs these are, where they say so.
        workers: how many workers have counters in them.
        warnings: what is odd about the files.
    """

    verdict: AskedVerdict
    sought: Sought
    interval: Interval | None
    whole: Interval | None
    sightings: RequestTally
    lacks: tuple[Lack, ...]
    is_behind_cache: bool
    edges: tuple[str, ...]
    workers: int
    warnings: tuple[Finding, ...] = ()


def ask(
    paths: Sequence[Path],
    sought: Sought,
    *,
    from_ms: int | None,
    to_ms: int | None,
    is_behind_cache: bool,
    progress: Progress,
) -> AskedAnswer:
    """Return whether a certificate was asked for.

    Args:
        paths: files of the log, or one folder of imports.
        sought: the certificate.
        from_ms: since when, in milliseconds since 1970; None: since the first line of the logs.
        to_ms: until when; None: until the last one.
        is_behind_cache: whether a cache stood in front of the edges.
        progress: told how many octets are read.

    Raises:
        UsageError: a path is no file.
        NotFoundError: the folder has no import.
        InputError: a file is no request log, or an import is damaged.
        OSError: something cannot be read.
    """
    within, sightings = Interval(from_ms or 0, ALWAYS.to_ms if to_ms is None else to_ms), RequestTally()
    warnings: tuple[Finding, ...] = ()
    if len(paths) == 1 and paths[0].is_dir():
        files = _ask_imports(paths[0], sought, within, sightings)
    else:
        check_files(paths)
        reading = LogReading(paths, progress)
        for table in reading.tables():
            sightings.note(table, sought, within)
        files, warnings = reading.files, reading.findings()
    workers, interval = workers_of(files), time_of(files)
    if interval is not None or (from_ms is not None and to_ms is not None):
        start, end = interval or within
        start, end = start if from_ms is None else from_ms, end if to_ms is None else to_ms
        interval = Interval(min(start, end - 1), end) if from_ms is None else Interval(start, max(end, start + 1))
    lacks = tuple(lacks_in(interval, files, workers)) if interval is not None else ()
    is_proven = interval is not None and not (lacks or is_behind_cache or sightings.undecided)
    return AskedAnswer(
        verdict=AskedVerdict.ASKED
        if sightings.lines
        else AskedVerdict.NOT_ASKED
        if is_proven
        else AskedVerdict.UNKNOWN,
        sought=sought,
        interval=interval,
        whole=_whole(files, workers),
        sightings=sightings,
        lacks=lacks,
        is_behind_cache=is_behind_cache,
        edges=_edges(workers),
        workers=sum(bool(worker.stretch.counters) for worker in workers),
        warnings=warnings,
    )


def _whole(files: Sequence[FileFacts], workers: Sequence[LoggedWorker]) -> Interval | None:
    known = known_interval(workers)
    if known is None:
        return None
    seconds = Interval(-(-known.from_ms // 1000) * 1000, known.to_ms // 1000 * 1000)
    return seconds if seconds.from_ms < seconds.to_ms and not lacks_in(seconds, files, workers) else None


def _edges(workers: Sequence[LoggedWorker]) -> tuple[str, ...]:
    return tuple(sorted({worker.stretch.host for worker in workers if worker.stretch.host}))


def _ask_imports(folder: Path, sought: Sought, within: Interval, sightings: RequestTally) -> list[FileFacts]:
    """Note the requests of all imports of a folder; return what is known of their files."""
    imports = imports_in(folder)
    if not imports:
        raise NotFoundError(f"{folder} has no import of logs: make one with pregen logs import FILES --out {folder}")
    for one in imports:
        for day, rows in one.days.items():
            first = clock.seconds(clock.parse_instant(f"{day}T00:00:00Z")) * 1000
            if within.meets(Interval(first, first + clock.DAY_S * 1000)):
                for table in _rows_of(one.folder / f"day={day}" / DAY_FILE, rows, sought):
                    sightings.note(table, sought, within)
    return [file for one in imports for file in one.files]


def _rows_of(path: Path, rows: int, sought: Sought) -> Iterator[pa.Table]:
    """Yield the rows of the row groups that may have the certificate, or that have requests without one."""
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows != rows:
                raise pa.ArrowInvalid(f"has {file.metadata.num_rows:,} rows instead of {rows:,}")
            for number in range(file.num_row_groups):
                least, greatest, has_none = serials_of(file, number)
                if has_none or least <= sought.serial <= greatest:
                    yield file.read_row_group(number, columns=_COLUMNS)
    except (pa.ArrowException, OSError) as error:
        text = f"{path} is damaged or gone ({error}): remove the folder of this import, and import its files again"
        raise InputError(text) from error


def _within(rows: pa.Table, interval: Interval) -> pa.Table:
    if interval == ALWAYS:
        return rows
    times = rows["time"].cast(pa.int64()).to_numpy()
    return rows.filter(pa.array((times >= interval.from_ms) & (times < interval.to_ms)))
