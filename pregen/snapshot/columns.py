"""Which of the columns a file has, which it lacks and needs: decided from its schema, before the first row."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.types as is_type

from pregen.errors import MAX_EXAMPLES, Finding, Severity
from pregen.snapshot.column import Column
from pregen.snapshot.column_types import type_findings
from pregen.snapshot.layouts import CODED_COLUMNS, is_text
from pregen.snapshot.location import Location


def needed(columns: Mapping[str, Column], schema: pa.Schema) -> tuple[list[str], list[str]]:
    """Return the names of the columns that are read from a file, and of those, texts with few distinct values."""
    present = set(schema.names)
    used = {key: column.name for key, column in columns.items() if column.name in present}
    categories = [name for key, name in used.items() if key in CODED_COLUMNS and is_text(schema.field(name).type)]
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
                yield from type_findings(path, field, column)
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
    severity: Severity = "error" if column.canonical in {"status", "revoked_at"} else "warning"
    return Finding("column.similar", severity, text, len(paths), tuple(paths[:MAX_EXAMPLES]) if len(paths) > 1 else ())


def _folded(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())
