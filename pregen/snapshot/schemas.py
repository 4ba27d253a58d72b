"""The columns of all files of a snapshot together: what is wrong with each file's, and whether the files agree."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from pregen.errors import MAX_EXAMPLES, Finding, Severity
from pregen.snapshot.column import Column
from pregen.snapshot.columns import absence, look_alike_finding, look_alikes, schema_findings
from pregen.snapshot.files import SnapshotFile


def findings_of_schemas(
    files: Sequence[SnapshotFile], columns: Mapping[str, Column], *, issuers: int
) -> Iterator[Finding]:
    """Yield what is wrong with, and odd about, the columns of all files; `issuers` is how many are configured."""
    similar: dict[tuple[str, str], list[str]] = {}
    for file in files:
        untyped = [one.name for one in file.schema if one.type == pa.null()][:1]
        is_filled = not untyped or has_rows(file, untyped[0])
        yield from schema_findings(file.path, file.schema, columns, issuers=issuers, has_rows=is_filled)
        for column, name in look_alikes(file.schema, columns, issuers=issuers):
            similar.setdefault((column.canonical, name), []).append(str(file.path))
    for (canonical, name), where in similar.items():
        yield look_alike_finding(columns[canonical], name, where)
    yield from _differing(files, columns, issuers)


def _differing(files: Sequence[SnapshotFile], columns: Mapping[str, Column], issuers: int) -> Iterator[Finding]:
    """Yield the columns that some files have and others lack, as if in these all rows had none of it.

    Files without a row have nothing to say. A reason that is missing makes no answer wrong, so that is a warning.
    """
    for column in columns.values():
        lacking = [
            file
            for file in files
            if column.name not in file.schema.names and not absence(column, columns, file.schema, issuers)
        ]
        having = [file for file in files if column.name in file.schema.names]
        if not having or not lacking:
            continue
        lacking = [file for file in lacking if _is_filled(file, columns)]
        there = next((file for file in having if _is_filled(file, columns)), None)
        if there is None or not lacking:
            continue
        text = (
            f"{lacking[0].path}: there is no column {column.name!r}, which {there.path} has: what it says of some rows "
            "would be taken as not said of all others. Export it in every file, null where there is nothing to say; "
            "files that are not of one export do not belong to one snapshot"
        )
        examples = tuple(str(file.path) for file in lacking[:MAX_EXAMPLES]) if len(lacking) > 1 else ()
        severity: Severity = "warning" if column.canonical == "reason" else "error"
        yield Finding("column.differs", severity, text, len(lacking), examples)


def _is_filled(file: SnapshotFile, columns: Mapping[str, Column]) -> bool:
    serial = columns["serial"].name
    return serial in file.schema.names and has_rows(file, serial)  # without serials, it is refused for that


def has_rows(file: SnapshotFile, name: str) -> bool:
    """Whether a file has a row, which the column called `name` tells."""
    return any(batch.num_rows for batch in file.batches([name]))
