"""Whether the type that a column has in a file can be read as what it is declared to be, and what to do if not."""

import json
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import pyarrow as pa
import pyarrow.types as is_type

from pregen.config.columns import ASN1_ENCODINGS, EPOCH_ENCODINGS, TIME_COLUMNS, TIME_ENCODINGS
from pregen.errors import Finding
from pregen.snapshot.column import Column
from pregen.snapshot.layouts import is_number, is_octets, is_text, read_as
from pregen.snapshot.location import Location
from pregen.snapshot.times.absent import how_to_write, may_be_absent

_EXTENSION = b"ARROW:extension:name"  # of types that are not registered, which come as what they are stored as


def type_findings(path: Location, field: "pa.Field[pa.DataType]", column: Column) -> Iterator[Finding]:
    """Yield what is wrong with the type of a column that is there, and what to do about it."""
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
    if column.canonical in TIME_COLUMNS and not _time_encoding(kind, column):
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
    if column.encoding in {*EPOCH_ENCODINGS, *ASN1_ENCODINGS}:  # RFC 5280, 4.1.2.5
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
        fitting = EPOCH_ENCODINGS
    else:
        return _ADVICE["revoked_at"]
    if column.encoding in fitting or (column.encoding is None and fitting is not EPOCH_ENCODINGS):
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
    | dict.fromkeys(TIME_COLUMNS, _TIME_ADVICE)
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
    | dict.fromkeys(TIME_COLUMNS, _time)
)
