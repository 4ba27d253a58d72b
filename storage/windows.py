"""Windows and runs, which are other ones each night; they name the tables that stay (FORMAT.md, section 5).

A pack's run numbers are indexes into such a document. Tables of version 1 are tables and windows at once.
"""

import hashlib
import re
from collections.abc import Mapping

from storage.document import Document, encode, new_random
from storage.errors import ChecksumError
from storage.stores.base import ReadableStore
from storage.tables import TIME_FIELDS, Tables, Window
from storage.tables_document import (
    TABLE_NAME,
    TABLES_VERSION,
    WITH_WINDOWS,
    check_kind,
    decode_tables,
    read_windows,
    with_runs,
)

WINDOWS_VERSION = 2
WINDOWS_NAME = re.compile("windows/[0-9a-f]{64}")
# What a manifest may name: these, or tables of version 1.
RUNS_NAME = re.compile("(?:windows|tables)/[0-9a-f]{64}")


def windows_name(octets: bytes) -> str:
    """Return the name under which encoded windows are stored."""
    return f"windows/{hashlib.sha256(octets).hexdigest()}"


def encode_windows(tables: Tables, tables_name: str) -> bytes:
    """Return the stored form of the windows and runs of tables, which are stored under a name."""
    return encode(
        {
            "version": WINDOWS_VERSION,
            "features": [],
            "random": new_random(),
            "tables": tables_name,
            "windows": [_members(window) for window in tables.windows],
            "runs": [[run.issuer, run.shape, run.window] for run in tables.runs],
        }
    )


def _members(window: Window) -> dict[str, object]:
    members: dict[str, object] = {field: getattr(window, field) for field in (*TIME_FIELDS, "refresh_by")}
    if window.backdate is not None:
        members["backdate"] = window.backdate
    if window.ends_with_certificate:
        members["ends_with_certificate"] = True
    if window.profile:
        members["profile"] = window.profile
    return members


def read_tables(store: ReadableStore, name: str, known: Mapping[str, Tables] | None = None) -> tuple[str, Tables]:
    """Return the name of the tables that are stored for a name of `RUNS_NAME`, and them with their windows and runs.

    Args:
        store: where they are.
        name: of windows, or of tables of version 1.
        known: tables by their names that need not be read.

    Raises:
        FormatError: they are damaged, newer, or contradict each other.
        FileNotFoundError: they were removed.
    """
    octets = store.get(name)
    if not WINDOWS_NAME.fullmatch(name):
        return name, decode_tables(name, octets, (WITH_WINDOWS,))
    return with_tables(store, name, octets, known)


def with_tables(
    store: ReadableStore, name: str, octets: bytes, known: Mapping[str, Tables] | None = None
) -> tuple[str, Tables]:
    """Return the name of the tables that windows name, and these with the windows and their runs; as `read_tables`.

    Args:
        store: where the tables are; the windows need not be there.
        name: of the windows.
        octets: these.
        known: tables by their names that need not be read.
    """
    if windows_name(octets) != name:
        raise ChecksumError(name, "these octets are not the ones that were stored under this name")
    document = Document.parse(name, octets)
    check_kind(document, (WINDOWS_VERSION,))
    tables_name = document.object_name("tables", TABLE_NAME)
    tables = (known or {}).get(tables_name)
    if tables is None:
        tables = decode_tables(tables_name, store.get(tables_name), (TABLES_VERSION,))
    return tables_name, with_runs(document, tables, read_windows(document))
