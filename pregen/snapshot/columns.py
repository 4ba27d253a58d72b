"""Which column of the files is which, and whether its type can be read: decided from schemas, before the first row."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.types as is_type

from pregen.config import COLUMNS, ColumnConfig, SnapshotConfig
from pregen.errors import Finding
from pregen.snapshot.octets import ArrowArray

_CODES = ("issuer", "status", "reason")
_TIMES = ("revoked_at", "not_before", "not_after")


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
    """

    canonical: str
    name: str
    explicit: bool
    encoding: str | None = None
    values: Mapping[str, list[str]] | None = None
    zone: str | None = None
    ambiguous: str = "error"
    nonexistent: str = "error"
    time_of_day: str | None = None


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
        )
    return columns


def needed(columns: Mapping[str, Column], schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Return the names of the columns that are read from a file, and of those, texts with few distinct values."""
    present = set(schema.names)
    used = {key: column.name for key, column in columns.items() if column.name in present}
    categories = [name for key, name in used.items() if key in _CODES and is_text(schema.field(name).type)]
    return list(dict.fromkeys(used.values())), list(dict.fromkeys(categories))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts, plain or by dictionary."""
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    return is_type.is_string(kind) or is_type.is_large_string(kind) or is_type.is_string_view(kind)


def plain(array: ArrowArray, canonical: str) -> ArrowArray:
    """Return a column in one of the few types that are read: views and, except for codes, dictionaries are unfolded."""
    if isinstance(array, pa.DictionaryArray):
        if is_type.is_string_view(array.type.value_type):
            array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(pa.large_string()))
        return array if canonical in _CODES else array.dictionary_decode()
    if is_type.is_string_view(array.type):
        return array.cast(pa.large_string())
    if is_type.is_binary_view(array.type):
        return array.cast(pa.large_binary())
    return array


def schema_findings(path: Path, schema: pa.Schema, columns: Mapping[str, Column], *, issuers: int) -> Iterator[Finding]:
    """Yield what is wrong with the columns of one file; `issuers` is how many are configured."""
    for column in columns.values():
        count = len(schema.get_all_field_indices(column.name))
        if count > 1:
            text = f"{path}: {count} columns are called {column.name!r}: export it once"
            yield Finding("column.duplicate", "error", text)
        elif count == 1:
            yield from _type_findings(path, schema.field(column.name).type, column)
        elif why := _absence(column, columns, schema, issuers):
            here = ", ".join(map(repr, schema.names)) or "none"
            text = (
                f"{path}: there is no column {column.name!r}{why}; columns here: {here}. Export it, or name the right "
                f"column in [snapshot.columns]: {column.canonical} = ..."
            )
            yield Finding("column.missing", "error", text)


def _absence(column: Column, columns: Mapping[str, Column], schema: pa.Schema, issuers: int) -> str:
    """Return why an absent column is needed; empty if it is not."""
    if column.explicit:
        return ", which the configuration names"
    if column.canonical == "serial":
        return " with the serials"
    if column.canonical == "issuer" and issuers > 1:
        return f", and {issuers} issuers are configured"
    if column.canonical == "status" and columns["revoked_at"].name not in schema.names:
        return f", and no {columns['revoked_at'].name!r} that would say which certificates are revoked"
    return ""


def _type_findings(path: Path, kind: pa.DataType, column: Column) -> Iterator[Finding]:
    check = _CHECKS[column.canonical]
    if advice := check(kind, column):
        code = "column.naive" if is_type.is_timestamp(kind) else "column.type"
        yield Finding(code, "error", f"{path}: column {column.name!r} is {kind}: {advice}")


def _serial(kind: pa.DataType, column: Column) -> str:
    encoding = column.encoding or "binary"
    octets = is_type.is_binary(kind) or is_type.is_large_binary(kind) or is_type.is_fixed_size_binary(kind)
    octets = octets or is_type.is_binary_view(kind)
    number = is_type.is_integer(kind) or (is_type.is_decimal(kind) and kind.scale == 0)
    fits = octets if encoding.endswith("binary") else is_text(kind) or (number and encoding == "decimal")
    if fits:
        return ""
    wanted = '"hex" or "decimal"' if is_text(kind) else '"decimal"' if number else '"binary" or "unsigned-binary"'
    if octets or number or is_text(kind):
        return (
            f'the encoding "{encoding}" cannot read that; set, in [snapshot.columns], '
            f'serial = {{ name = "{column.name}", encoding = ... }} to {wanted}'
        )
    return "export serials as octets (binary), or as hexadecimal or decimal text"


def _time(kind: pa.DataType, _: Column) -> str:
    if is_text(kind) or is_type.is_null(kind):
        return ""
    if is_type.is_timestamp(kind):
        if kind.tz:
            return ""
        return (
            "it names no zone, and a guess could be hours off; convert it to UTC in the export and store it as a "
            "timestamp with zone UTC (a later version will take a declaration of the zone)"
        )
    return "export times as timestamps with zone UTC, or as RFC 3339 text such as 2026-11-24T00:00:00Z"


def _issuer(kind: pa.DataType, _: Column) -> str:
    return "" if is_text(kind) else "export the issuers' names as text"


def _status(kind: pa.DataType, _: Column) -> str:
    return "" if is_text(kind) or is_type.is_integer(kind) else "export the status as integers or text"


def _reason(kind: pa.DataType, _: Column) -> str:
    fits = is_text(kind) or is_type.is_integer(kind) or is_type.is_null(kind)
    return "" if fits else "export reasons as integers (null where there is none) or text"


_CHECKS: Mapping[str, Callable[[pa.DataType, Column], str]] = MappingProxyType(
    {"issuer": _issuer, "serial": _serial, "status": _status, "reason": _reason} | dict.fromkeys(_TIMES, _time)
)
