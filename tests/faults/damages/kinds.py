"""One row of the tables: what is wrong, and everything that must be said of it; and the hands that do the damage."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import pyarrow.parquet as pq

from tests.pregen.cli.ca import Ca, Value

Make: TypeAlias = Callable[[Ca], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What is wrong with a snapshot, and what must be said of it.

    Attributes:
        name: of the row of the table.
        make: does the damage to a CA whose every part is right.
        code: of the finding that names it.
        file: where it is, below the CA's folder.
        place: row, line, row group or record batch.
        column: as the files call it.
        value: as it is shown.
        remedy: what the message says to do.
        also: codes of further errors that follow from it.
        exit_code, error: of the program.
    """

    name: str
    make: Make
    code: str
    remedy: str
    file: str = ""
    place: str = ""
    column: str = ""
    value: str = ""
    also: tuple[str, ...] = ()
    exit_code: int = 3
    error: str = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """What is unusual, and yet leaves no doubt: it is taken, and answered rightly.

    Attributes:
        name: of the row of the table.
        make: makes it so.
        statuses: of `tests.pregen.cli.ca.SERIALS`, as lookup says.
        warnings: codes of what is said of it all the same.
    """

    name: str
    make: Make
    statuses: tuple[str, str, str] = ("good", "revoked", "unknown")
    warnings: tuple[str, ...] = ()


def both(*steps: Make) -> Make:
    """Return what does several things, one after the other."""

    def make(ca: Ca) -> None:
        for step in steps:
            step(ca)

    return make


def snapshot(**fields: Value) -> Make:
    """Return what changes fields of [snapshot]."""
    return lambda ca: ca.configure(snapshot=fields)


def columns(**mapped: Mapping[str, Value] | str) -> Make:
    """Return what changes [snapshot.columns]."""
    return snapshot(columns=mapped)


def octets(name: str, change: Callable[[bytes], bytes]) -> Make:
    """Return what changes the octets of a file."""

    def make(ca: Ca) -> None:
        (ca.folder / name).write_bytes(change((ca.folder / name).read_bytes()))

    return make


def metadata(value: bytes | None) -> Make:
    """Return what changes or removes `pregen.as_of` of the usual file."""

    def make(ca: Ca) -> None:
        table = pq.read_table(ca.snapshot)
        pq.write_table(table.replace_schema_metadata({} if value is None else {b"pregen.as_of": value}), ca.snapshot)

    return make


def rfc3339(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def utc_time(instant: datetime) -> str:
    return f"{instant:%y%m%d%H%M%SZ}"
