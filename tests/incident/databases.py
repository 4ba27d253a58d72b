"""Two databases of one CA, in SQLite, and the incremental sync between them.

    api.sqlite         what the CA has issued; times are the local ones of a zone that is not written anywhere
    responder.sqlite   what the responders read; times are UTC

Both write a time as ``YYYY-MM-DD HH:MM:SS``, so that nothing in a time tells which of the two it is. That is how one
comes to be taken for the other.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pregen import clock
from pregen.snapshot import AS_OF_KEY
from pregen.snapshot.times.tzif import Transitions, read_tzif
from pregen.snapshot.times.zones import local_to_utc
from pregen.zones import zone_octets

API, RESPONDER = "api.sqlite", "responder.sqlite"
_CREATE_API = """
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    issued_at TEXT NOT NULL, expires_at TEXT NOT NULL, revoked_at TEXT, reason INTEGER,
    changed_at TEXT NOT NULL
)
"""
_CREATE_RESPONDER = """
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    not_before TEXT NOT NULL, not_after TEXT NOT NULL, revoked_at TEXT, reason INTEGER
)
"""
_CHANGED_SINCE = """
SELECT serial, issued_at, expires_at, revoked_at, reason FROM certificates WHERE changed_at > ? ORDER BY changed_at
"""
_ALL_OF_API = "SELECT serial, issued_at, expires_at, revoked_at, reason FROM certificates"
_ALL_OF_RESPONDER = "SELECT serial, not_before, not_after, revoked_at, reason FROM certificates"
_COPY = """
INSERT INTO certificates VALUES (?, ?, ?, ?, ?)
ON CONFLICT (serial) DO UPDATE SET revoked_at = excluded.revoked_at, reason = excluded.reason
"""
_NEVER = "1970-01-01 00:00:00"
_NAT = np.datetime64("NaT", "s").astype(np.int64)

Row: TypeAlias = tuple[str, str, str, str | None, int | None]
Instants: TypeAlias = NDArray[np.int64]
Column: TypeAlias = "pa.Array[pa.Scalar[pa.DataType]]"


@dataclass(frozen=True, slots=True)
class Issued:
    """Certificates, column by column: serials in hex, times in seconds since 1970, int64[n]."""

    serials: tuple[str, ...]
    not_before: Instants
    not_after: Instants

    def __len__(self) -> int:
        return len(self.serials)

    def during(self, after: int, until: int) -> "Issued":
        """Return those that were issued after one instant and until another; they are in the order of issuance."""
        first, end = np.searchsorted(self.not_before, [after, until], "right").tolist()
        return Issued(self.serials[first:end], self.not_before[first:end], self.not_after[first:end])


@dataclass(frozen=True, slots=True)
class Databases:
    """The two databases, open; `zone` is that of the API's times."""

    api: sqlite3.Connection
    responder: sqlite3.Connection
    zone: str

    def issue(self, issued: Issued) -> None:
        """Write new certificates into the API's database."""
        issued_at, expires_at = (self._local_texts(times) for times in (issued.not_before, issued.not_after))
        rows = zip(issued.serials, issued_at, expires_at, issued_at, strict=True)
        with self.api:
            self.api.executemany("INSERT INTO certificates VALUES (?, ?, ?, NULL, NULL, ?)", rows)

    def revoke(self, serials: Sequence[str], revoked_at: Instants, reasons: Sequence[int | None]) -> None:
        """Write revocations into the API's database."""
        at = self._local_texts(revoked_at)
        rows = zip(at, reasons, at, serials, strict=True)
        with self.api:
            self.api.executemany(
                "UPDATE certificates SET revoked_at = ?, reason = ?, changed_at = ? WHERE serial = ?", rows
            )

    def sync(self, run_at: int, *, is_right: bool) -> int:
        """Copy to the responders what the API says has changed since the last sync; return how many rows that were.

        The watermark, the time of the last sync, is UTC, and the API compares it with its local times.

        Args:
            run_at: when this sync runs; the next one's watermark.
            is_right: whether the watermark is converted to the API's zone, or, as after the deployment, is not.
        """
        watermark = self.responder.execute("SELECT watermark FROM sync").fetchone()[0]
        asked = self._local_texts(_seconds([watermark]))[0] if is_right else watermark
        rows: list[Row] = self.api.execute(_CHANGED_SINCE, (asked,)).fetchall()
        with self.responder:
            if rows:
                self.responder.executemany(_COPY, self._in_utc(rows))
            self.responder.execute("UPDATE sync SET watermark = ?", (clock_texts(np.array([run_at]))[0],))
        return len(rows)

    def serials(self) -> tuple[frozenset[str], frozenset[str]]:
        """Return the serials of either database: the API's, then the responders'."""
        both = (self.api, self.responder)
        api, responder = (
            frozenset(serial for (serial,) in one.execute("SELECT serial FROM certificates")) for one in both
        )
        return api, responder

    def revoked(self) -> tuple[list[str], Instants, list[int | None]]:
        """Return what the API's database says is revoked: serials, instants in seconds since 1970, reasons."""
        rows = self.api.execute(
            "SELECT serial, revoked_at, reason FROM certificates WHERE revoked_at IS NOT NULL ORDER BY revoked_at"
        ).fetchall()
        serials, times, reasons = ([row[at] for row in rows] for at in range(3))
        return serials, to_utc(_seconds(times), self.zone), reasons

    def export_responder(self, out: Path, as_of: int) -> None:
        """Write the responders' database as Parquet; its times say that they are UTC, and they are."""
        names = ("serial", "not_before", "not_after", "revoked_at", "reason")
        _export(self.responder.execute(_ALL_OF_RESPONDER).fetchall(), names, out, as_of, says_utc=True)

    def export_api(self, out: Path, as_of: int, *, says_utc: bool) -> None:
        """Write the API's database as Parquet: its local times as they are, or, wrongly, as if they were UTC."""
        names = ("serial", "issued_at", "expires_at", "revoked_at", "reason")
        _export(self.api.execute(_ALL_OF_API).fetchall(), names, out, as_of, says_utc=says_utc)

    def _in_utc(self, rows: Sequence[Row]) -> Iterator[Row]:
        serials, *times, reasons = zip(*rows, strict=True)
        in_utc = (clock_texts(to_utc(_seconds(column), self.zone)) for column in times)
        return zip(serials, *in_utc, reasons, strict=True)

    def _local_texts(self, seconds: Instants) -> list[str]:
        return [text or "" for text in clock_texts(to_local(seconds, self.zone))]


@contextmanager
def open_databases(folder: Path, zone: str) -> Iterator[Databases]:
    """Open the two databases in a folder, and make them if they are not there.

    Args:
        folder: where they are.
        zone: of the API's times.
    """
    is_new = not (folder / API).exists()
    with closing(sqlite3.connect(folder / API)) as api, closing(sqlite3.connect(folder / RESPONDER)) as responder:
        for one in (api, responder):
            one.execute("PRAGMA synchronous = OFF")  # nobody mourns these after a power failure
        if is_new:
            with api, responder:
                api.execute(_CREATE_API)
                api.execute("CREATE INDEX changes ON certificates (changed_at)")
                responder.execute(_CREATE_RESPONDER)
                responder.execute("CREATE TABLE sync (watermark TEXT NOT NULL)")
                responder.execute("INSERT INTO sync VALUES (?)", (_NEVER,))
        yield Databases(api, responder, zone)


def to_local(seconds: Instants, zone: str) -> Instants:
    """Return what the clocks of a zone show, counted in seconds since 1970 as if it were UTC.

    >>> (to_local(np.array([1_795_478_400]), "America/Denver") - 1_795_478_400).tolist()
    [-25200]
    """
    at, offset = _transitions(zone)
    return seconds + offset[at.searchsorted(seconds, "right")]


def to_utc(local: Instants, zone: str) -> Instants:
    """Return the instants of local times; of an hour that clocks showed twice, the first. Absent ones stay so."""
    absent = local == _NAT
    instants = local_to_utc(np.where(absent, 0, local), zone, "earliest", "shift-forward").seconds
    return np.where(absent, _NAT, instants)


def clock_texts(seconds: Instants) -> list[str | None]:
    """Return times as the databases write them; None where absent.

    >>> clock_texts(np.array([0, _NAT]))
    ['1970-01-01 00:00:00', None]
    """
    texts = np.datetime_as_string(seconds.astype("datetime64[s]")).tolist()
    return [None if text == "NaT" else text.replace("T", " ") for text in texts]


@lru_cache(1)
def _transitions(zone: str) -> Transitions:
    return read_tzif(zone_octets(zone))


def _seconds(texts: Sequence[str | None]) -> Instants:
    return np.array([text or "NaT" for text in texts], "datetime64[s]").astype(np.int64)


def _export(rows: Sequence[Row], names: Sequence[str], out: Path, as_of: int, *, says_utc: bool) -> None:
    serials, *times, reasons = zip(*rows, strict=True)
    columns: list[Column] = [pa.array(serials, pa.string())]
    for texts in times:
        if says_utc:
            seconds = _seconds(texts)
            milliseconds = pa.array(seconds * 1000, pa.int64(), mask=seconds == _NAT)
            columns.append(milliseconds.cast(pa.timestamp("ms", "UTC")))
        else:
            columns.append(pa.array(texts, pa.string()))
    columns.append(pa.array(reasons, pa.int8()))
    table = pa.table(dict(zip(names, columns, strict=True)))
    pq.write_table(table.replace_schema_metadata({AS_OF_KEY: clock.text(as_of)}), out)
