"""Folders of Delta Lake, Iceberg, Hudi and the like: their files are not the table.

Such a table is what its log says: a row that was deleted or updated stays in its file until somebody cleans up, and a
file of a write that failed is in the folder and not in the table. Reading the files alone would answer good for a
certificate whose row says revoked by now. So these folders are known by their marks, and refused with the way to export
a table of them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pregen.errors import InputError
from pregen.snapshot.files.base import unusable
from pregen.snapshot.location import S3Object

_DELTA, _ICEBERG, _HIVE = "a table of Delta Lake", "a table of Apache Iceberg", "a transactional table of Hive"
_LOGS = {
    "_delta_log": _DELTA,
    ".hoodie": "a table of Apache Hudi",
    "_spark_metadata": "the sink of a stream of Spark",
}
_ICEBERG_FILE = re.compile(r".*\.metadata\.json|version-hint\.text|snap-.*\.avro|.*-m\d+\.avro")
_HIVE_FOLDER = re.compile(r"(base_\d{7}|(delete_)?delta_\d{7}_\d{7}(_\d{4})?)(_v\d{7})?")
_LEVELS = 6  # a file lies so deep in its table at most: partitions, and the folder of the data
_RECIPES = {
    _DELTA: "DeltaTable(path).to_pyarrow_table() of the package deltalake",
    _ICEBERG: "table.scan().to_arrow() of the package pyiceberg",
}


def kind_of(names: Sequence[str]) -> str | None:
    """Return the kind of table of which a path below its folder is a mark; None: of none.

    >>> kind_of(["_delta_log", "00000000000000000000.json"]), kind_of(["metadata", "v2.metadata.json"])
    ('a table of Delta Lake', 'a table of Apache Iceberg')
    >>> kind_of(["day=2026-11-24", "part-0.parquet"])
    """
    for at, name in enumerate(names[:-1]):
        if kind := _LOGS.get(name):
            return kind
        if name == "metadata" and at == len(names) - 2 and _ICEBERG_FILE.fullmatch(names[-1]):
            return _ICEBERG
        if _HIVE_FOLDER.fullmatch(name):
            return _HIVE
    return None


def refused(kind: str, folder: object) -> InputError:
    """Return the error for a folder that holds such a table, or that lies in one."""
    way = f" (by {_RECIPES[kind]}, for one)" if kind in _RECIPES else ""
    what = (
        f"it is {kind}, whose files hold rows that were deleted or replaced, too: only its own log tells which count; "
        f"write the table's current rows to a new folder as Parquet{way}, with the time of that commit as as_of, and "
        'name that folder (docs/sources.md, "Tables with a log")'
    )
    return unusable("snapshot.table-format", str(folder), what)


def refuse_local(folders: Iterable[Path]) -> None:
    """Refuse folders of this machine that hold, or lie in, a table with a log.

    Raises:
        InputError: one does.
    """
    seen: set[Path] = set()
    for folder in folders:
        for one in [folder, *folder.parents][:_LEVELS]:
            if one in seen:
                break
            seen.add(one)
            if kind := next(_local_kinds(one), None):
                raise refused(kind, one)


def _local_kinds(folder: Path) -> Iterator[str]:
    for name, kind in _LOGS.items():
        if (folder / name).is_dir():
            yield kind
    metadata = folder / "metadata"
    if metadata.is_dir() and any(_ICEBERG_FILE.fullmatch(path.name) for path in metadata.iterdir()):
        yield _ICEBERG
    if _HIVE_FOLDER.fullmatch(folder.name):
        yield _HIVE


def refuse_remote(bucket: str, segments: Sequence[str], first_below: Callable[[str], str | None]) -> None:
    """Refuse a prefix that holds, or lies in, a table with a log.

    Args:
        bucket: its name, for the message.
        segments: of the prefix.
        first_below: returns the first key that begins so, None if there is none.

    Raises:
        InputError: it does.
    """
    for count in range(len(segments), max(-1, len(segments) - _LEVELS), -1):
        above = "".join(f"{one}/" for one in segments[:count])
        marks = [f"{above}{name}/" for name in _LOGS]
        for mark in [*marks, f"{above}metadata/"]:
            key = first_below(mark)
            kind = kind_of(key.removeprefix(above).split("/")) if key else None
            if kind:
                raise refused(kind, S3Object(bucket, above))
