"""Which column of the files is which, and whether its type can be read: decided from schemas, before the first row."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pyarrow as pa
import pyarrow.types as is_type

from pregen.config import COLUMNS, ColumnConfig, SnapshotConfig
from pregen.config.columns import TIME_ENCODINGS
from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.layouts import CODES, is_number, is_octets, is_text, read_as
from pregen.snapshot.location import Location
from pregen.snapshot.times.absent import how_to_write, may_be_absent
from pregen.snapshot.times.zones import Ambiguous, Nonexistent

TOLD_BY_CRLS = ("status", "revoked_at", "reason")
_TIMES = ("revoked_at", "not_before", "not_after")
_EPOCHS = ("epoch-s", "epoch-ms", "epoch-us", "epoch-ns")
_ASN1 = ("utctime", "generalizedtime", "asn1")
_EXTENSION = b"ARROW:extension:name"  # of types that are not registered, which come as what they are stored as


@dataclass(frozen=True, slots=True)
class Column:
    """Where a canonical column comes from.

    Attributes:
        canonical: its name in the design of the snapshot.
        name: its name in the files.
        explicit: whether the configuration names it, so that it must be there.
        encoding: how a serial or a time is written; None: as the type says.
        values: what the configuration says about the values of a column of codes.
        zone: of times that name none; None: they are refused.
        ambiguous, nonexistent: what local times are that a clock change has doubled or skipped (`ColumnConfig`).
        time_of_day: of dates, ``HH:MM:SS``.
        absent: values that stand for "none", as the files write them.
        imported_zone: the one that was declared when an import made instants of its times; None: none was.
    """

    canonical: str
    name: str
    explicit: bool
    encoding: str | None = None
    values: Mapping[str, list[str]] | None = None
    zone: str | None = None
    ambiguous: Ambiguous = "error"
    nonexistent: Nonexistent = "error"
    time_of_day: str | None = None
    absent: tuple[str, ...] = ()
    imported_zone: str | None = None

    @property
    def declared_zone(self) -> str | None:
        """The zone that somebody has declared, here or before an import, and that may be the wrong one."""
        return self.zone or self.imported_zone


def columns_of(config: SnapshotConfig) -> Mapping[str, Column]:
    """Return all canonical columns as the configuration maps them."""
    columns = {}
    for canonical in COLUMNS:
        source = config.columns.get(canonical, ColumnConfig())
        entry = ColumnConfig(name=source) if isinstance(source, str) else source
        explicit = entry.name is not None or canonical in config.columns
        columns[canonical] = Column(
            canonical=canonical,
            name=entry.name or canonical,
            explicit=explicit,
            encoding=entry.encoding or ("binary" if canonical == "serial" else None),
            values=entry.values,
            zone=entry.zone,
            ambiguous=entry.ambiguous,
            nonexistent=entry.nonexistent,
            time_of_day=entry.time_of_day,
            absent=tuple(entry.absent or ()),
        )
    return columns


def listing(columns: Mapping[str, Column], *, from_crls: bool) -> Mapping[str, Column]:
    """Return the columns that are read: where revocations come from CRLs, none that tell them."""
    if not from_crls:
        return columns
    return {canonical: column for canonical, column in columns.items() if canonical not in TOLD_BY_CRLS}


def needed(columns: Mapping[str, Column], schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Return the names of the columns that are read from a file, and of those, texts with few distinct values."""
    present = set(schema.names)
    used = {key: column.name for key, column in columns.items() if column.name in present}
    categories = [name for key, name in used.items() if key in CODES and is_text(schema.field(name).type)]
    return list(dict.fromkeys(used.values())), list(dict.fromkeys(categories))


def schema_findings(
    path: Location, schema: pa.Schema, columns: Mapping[str, Column], *, issuers: int, has_rows: bool = True
) -> Iterator[Finding]:
    """Yield what is wrong with the columns of one file; `issuers` is how many are configured.

    Programs that tell types from values, such as pandas, write nulls where there is no row: these are of any type.
    """
    for column in columns.values():
        count = len(schema.get_all_field_indices(column.name))
        if count > 1:
            text = f"{path}: {count} columns are called {column.name!r}: export it once"
            yield Finding("column.duplicate", "error", text)
        elif count == 1:
            field = schema.field(column.name)
            if has_rows or not is_type.is_null(field.type):
                yield from _type_findings(path, field, column)
        elif why := absence(column, columns, schema, issuers):
            here = ", ".join(map(repr, schema.names)) or "none"
            text = (
                f"{path}: there is no column {column.name!r}{why}; columns here: {here}. Export it, or name the right "
                f"column in [snapshot.columns]: {column.canonical} = ..."
            )
            yield Finding("column.missing", "error", text)


def absence(column: Column, columns: Mapping[str, Column], schema: pa.Schema, issuers: int) -> str:
    """Return why an absent column is needed in a file of that schema; empty if it is not."""
    if column.explicit:
        return ", which the configuration names"
    if column.canonical == "serial":
        return " with the serials"
    if column.canonical == "issuer" and issuers > 1:
        return f", and {issuers} issuers are configured"
    if column.canonical == "status" and columns["revoked_at"].name not in schema.names:
        return f", and no {columns['revoked_at'].name!r} that would say which certificates are revoked"
    return ""


def look_alikes(schema: pa.Schema, columns: Mapping[str, Column], *, issuers: int) -> Iterator[tuple[Column, str]]:
    """Yield columns that may be absent and are, with the name here that differs in case, spaces and signs alone."""
    used = {column.name for column in columns.values()}
    folded = {_folded(name): name for name in schema.names if name not in used}
    for column in columns.values():
        if column.name in schema.names or absence(column, columns, schema, issuers):
            continue
        if name := folded.get(_folded(column.name)):
            yield column, name


def look_alike_finding(column: Column, name: str, paths: Sequence[str]) -> Finding:
    """Return what to say of files with a column that is not read, although its name looks like that of one that is.

    It is an error where it might tell that certificates are revoked, which would be answered as good.
    """
    text = (
        f"{paths[0]}: column {name!r} is not read, although it looks like {column.name!r}, which is not there: rename "
        f"it in the export if it holds something else, or say, in [snapshot.columns], "
        f"{column.canonical} = {json.dumps(name)}"
    )
    severity: Literal["error", "warning"] = "error" if column.canonical in {"status", "revoked_at"} else "warning"
    return Finding("column.similar", severity, text, len(paths), tuple(paths[:MAX_EXAMPLES]) if len(paths) > 1 else ())


def _folded(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _type_findings(path: Location, field: "pa.Field[pa.DataType]", column: Column) -> Iterator[Finding]:
    kind = read_as(field.type, column.canonical)
    place = f"{path}: column {column.name!r} is {field.type}"
    if name := (field.metadata or {}).get(_EXTENSION):
        advice = f"whose type {name.decode('utf-8', 'replace')!r} is not known here, and its octets may mean anything"
        yield Finding("column.type", "error", f"{place}, {advice}: {_ADVICE[column.canonical]}")
    elif is_type.is_floating(kind):
        advice = "a float keeps 15 digits of a number, and what it was before is lost (DuckDB writes HUGEINT so)"
        yield Finding("column.type", "error", f"{place}: {advice}: {_ADVICE[column.canonical]}")
    elif advice := _CHECKS[column.canonical](kind, column):
        yield Finding(_code(kind, column), "error", f"{place}: {advice}")
    elif wrong := [text for text in column.absent if not may_be_absent(text, kind)]:
        advice = f"absent = {json.dumps(wrong)} names no value of it: write {how_to_write(kind)}, as messages show them"
        yield Finding("column.absent", "error", f"{place}: {advice}")


def _code(kind: pa.DataType, column: Column) -> str:
    """Return the code for a column whose type is refused."""
    if column.canonical in _TIMES and not _time_encoding(kind, column):
        if _needless_zone(kind, column):
            return "column.zone"
        if is_type.is_timestamp(kind) and column.zone is None and not _is_zoned(kind):
            return "column.naive"
    return "column.type"


def _serial(kind: pa.DataType, column: Column) -> str:
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    encoding = column.encoding or "binary"
    octets = _is_octets(kind)
    number = is_number(kind)
    is_written = is_text(kind) or octets  # Impala and Hive write text as octets
    fits = octets if encoding.endswith("binary") else is_written or (number and encoding == "decimal")
    if fits:
        return ""
    wanted = '"hex" or "decimal"' if is_text(kind) else '"decimal"' if number else '"binary" or "unsigned-binary"'
    if octets or number or is_text(kind):
        return (
            f'the encoding "{encoding}" cannot read that; set, in [snapshot.columns], '
            f'serial = {{ name = "{column.name}", encoding = ... }} to {wanted}'
        )
    return _ADVICE["serial"]


def _time(kind: pa.DataType, column: Column) -> str:
    if is_type.is_null(kind):
        return ""
    return _time_encoding(kind, column) or _needless_zone(kind, column) or _undeclared(kind, column)


def _needless_zone(kind: pa.DataType, column: Column) -> str:
    """Return why a zone may not be declared; empty if it may, or is not."""
    if column.zone is None:
        return ""
    if _is_zoned(kind):
        return (
            f'its times are instants already, and zone = "{column.zone}" would contradict that: leave zone out if they '
            "are right; if local times were stored as if they were UTC, correct that in the export"
        )
    if column.encoding in {*_EPOCHS, *_ASN1}:  # RFC 5280, 4.1.2.5
        return (
            f'the encoding "{column.encoding}" is UTC by definition, and zone = "{column.zone}" would contradict that: '
            "leave zone out if the times are right; if they were made from local ones, correct that in the export"
        )
    return ""


def _undeclared(kind: pa.DataType, column: Column) -> str:
    """Return what has to be declared for the times to be instants, or is declared and of no use."""
    if is_type.is_date(kind) or column.encoding == "date":
        lacking = [field for field in ("time_of_day", "zone") if getattr(column, field) is None]
        if not lacking:
            return ""
        # At its first second, a certificate would count as expired all through its last day.
        time = "23:59:59" if column.canonical == "not_after" else "00:00:00"
        example = f'{column.canonical} = {{ name = "{column.name}", time_of_day = "{time}", zone = "UTC" }}'
        return (
            f"a date is no instant: declare, in [snapshot.columns], {' and '.join(lacking)}, as in {example}, "
            "if that is what the database means"
        )
    if column.time_of_day is not None:
        return "time_of_day completes dates, and these are none: leave it out"
    if is_type.is_timestamp(kind) and not _is_zoned(kind) and column.zone is None:
        return (
            "it names no zone, and a guess could be hours off; convert it to UTC in the export and store it as a "
            "timestamp with zone UTC, or declare the zone that it is in, in [snapshot.columns]: "
            f'{column.canonical} = {{ name = "{column.name}", zone = "<IANA zone, such as Europe/Berlin>" }}'
        )
    return ""


def _time_encoding(kind: pa.DataType, column: Column) -> str:
    """Return what to do about an encoding that is missing, or does not suit the type; empty if it does."""
    fitting: tuple[str, ...]
    if is_text(kind):
        fitting = tuple(encoding for encoding in TIME_ENCODINGS if encoding != "timestamp")
    elif is_type.is_timestamp(kind):
        fitting = ("timestamp",)
    elif is_type.is_date(kind):
        fitting = ("date",)
    elif is_number(kind):
        fitting = _EPOCHS
    else:
        return _ADVICE["revoked_at"]
    if column.encoding in fitting or (column.encoding is None and fitting is not _EPOCHS):
        return ""
    wanted = (
        f"set, in [snapshot.columns], {column.canonical} = "
        f'{{ name = "{column.name}", encoding = ... }} to one of {", ".join(fitting)}'
    )
    if column.encoding is None:
        return f"since when and in which unit it counts is not guessed; {wanted}"
    return f'the encoding "{column.encoding}" cannot read that; {wanted}'


def _is_zoned(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.TimestampType) and bool(kind.tz)


def _issuer(kind: pa.DataType, _: Column) -> str:
    return "" if is_text(kind) else _ADVICE["issuer"]


def _is_octets(kind: pa.DataType) -> bool:
    return is_octets(kind) or is_type.is_fixed_size_binary(kind)


def _issuer_key(kind: pa.DataType, _: Column) -> str:
    fits = is_text(kind) or _is_octets(kind) or is_number(kind) or is_type.is_null(kind)
    return "" if fits else _ADVICE["issuer_key"]


def _status(kind: pa.DataType, _: Column) -> str:
    return "" if is_text(kind) or is_number(kind) else _ADVICE["status"]


def _reason(kind: pa.DataType, _: Column) -> str:
    fits = is_text(kind) or is_number(kind) or is_type.is_null(kind)
    return "" if fits else _ADVICE["reason"]


def _truth(kind: pa.DataType, column: Column) -> str:
    fits = is_text(kind) or is_number(kind) or is_type.is_boolean(kind) or is_type.is_null(kind)
    return "" if fits else _ADVICE[column.canonical]


_TIME_ADVICE = (
    "export times as timestamps with zone UTC, as RFC 3339 text such as 2026-11-24T00:00:00Z, or as whole seconds "
    "since 1970 in an integer column"
)
_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "serial": "export serials as octets (binary), or as hexadecimal or decimal text",
        "issuer": "export the issuers' names as text",
        "issuer_key": "export what tells an issuer's keys apart as text, octets or integers",
        "status": "export the status as integers or text",
        "reason": "export reasons as integers (null where there is none) or text",
        "kind": "export kinds as text (ca, end-entity, precertificate), or as codes that are mapped",
        "needs_ocsp": "export it as true and false, or as 1 and 0",
    }
    | dict.fromkeys(_TIMES, _TIME_ADVICE)
)
_CHECKS: Mapping[str, Callable[[pa.DataType, Column], str]] = MappingProxyType(
    {
        "issuer": _issuer,
        "issuer_key": _issuer_key,
        "serial": _serial,
        "status": _status,
        "reason": _reason,
        "kind": _truth,
        "needs_ocsp": _truth,
    }
    | dict.fromkeys(_TIMES, _time)
)
