"""Ways in which a store of version 2 can be damaged that version 1 does not know: changes of its golden store."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

from storage.errors import (
    ChecksumError,
    KnownAnswerError,
    MalformedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)
from tests.storage.damage import Case, Json, Objects, flipped, manifest_of, with_manifest

Change = Callable[[Any], object]


def _manifest(change: Change) -> Callable[[Objects], Objects]:
    """Return a change of the manifest in a new commit."""

    def changed(objects: Objects) -> Objects:
        manifest = manifest_of(objects)
        change(manifest)
        return with_manifest(objects, manifest)

    return changed


def _stored(folder: str, document: Json) -> tuple[str, bytes]:
    octets = json.dumps(document).encode()
    return f"{folder}/{hashlib.sha256(octets).hexdigest()}", octets


def _with_windows(objects: Objects, windows: Json) -> Objects:
    """Return a new commit whose first windows are these, stored under their right name."""
    manifest: Any = manifest_of(objects)
    name, octets = _stored("windows", windows)
    manifest["windows"][0] = name
    return {name: octets, **with_manifest(objects, manifest)}


def _first_windows(objects: Objects) -> Any:
    manifest: Any = manifest_of(objects)
    return json.loads(objects[manifest["windows"][0]])


def _windows(change: Change) -> Callable[[Objects], Objects]:
    def changed(objects: Objects) -> Objects:
        windows = _first_windows(objects)
        change(windows)
        return _with_windows(objects, windows)

    return changed


def _tables(change: Change) -> Callable[[Objects], Objects]:
    """Return a change of the first tables, which their windows name."""

    def changed(objects: Objects) -> Objects:
        windows = _first_windows(objects)
        tables = json.loads(objects[windows["tables"]])
        change(tables)
        windows["tables"], octets = _stored("tables", tables)
        return {windows["tables"]: octets, **_with_windows(objects, windows)}

    return changed


def _flipped_windows(objects: Objects) -> Objects:
    manifest: Any = manifest_of(objects)
    name = manifest["windows"][0]
    return {name: flipped(objects[name], 40)}


def _tables_instead_of_windows(objects: Objects) -> Objects:
    """Return a new commit that names tables of version 2, which have no runs, where windows belong."""
    manifest: Any = manifest_of(objects)
    manifest["windows"][0] = _first_windows(objects)["tables"]
    return with_manifest(objects, manifest)


def _tables_of_version_1(objects: Objects) -> Objects:
    """Return a new commit with windows that name tables of version 1, which have their own."""
    windows, manifest = _first_windows(objects), cast("dict[str, list[str]]", manifest_of(objects))
    windows["tables"] = next(name for name in manifest["windows"] if name.startswith("tables/"))
    return _with_windows(objects, windows)


def _another_key(tables: Any) -> None:
    answer = tables["shapes"][0]["known_answer"]
    answer["key"] = f"{int(answer['key'], 16) ^ 1:016x}"


CASES_OF_VERSION_2 = (
    Case("windows-flipped", ChecksumError, "load", _flipped_windows, is_committed=True),
    Case("windows-future-version", UnsupportedVersionError, "load", _windows(lambda of: of.update(version=3))),
    Case(
        "windows-unknown-feature",
        UnknownFeatureError,
        "load",
        _windows(lambda of: of.update(features=["stapled"])),
        is_committed=True,
    ),
    Case(
        "windows-run-of-no-issuer",
        MalformedError,
        "load",
        _windows(lambda of: of["runs"][0].__setitem__(0, 99)),
        is_committed=True,
    ),
    Case(
        "windows-of-tables-of-version-1",
        UnsupportedVersionError,
        "load",
        _tables_of_version_1,
        is_committed=True,
    ),
    Case(
        "manifest-tables-instead-of-windows",
        UnsupportedVersionError,
        "load",
        _tables_instead_of_windows,
        is_committed=True,
    ),
    Case("tables-another-key", KnownAnswerError, "load", _tables(_another_key), is_committed=True),
    Case(
        "manifest-unknown-feature",
        UnknownFeatureError,
        "load",
        _manifest(lambda of: of.update(features=["shard-lists"])),
        is_committed=True,
    ),
    Case(
        "manifest-columns-of-different-lengths",
        MalformedError,
        "load",
        _manifest(lambda of: of["shards"]["size"].pop()),
        is_committed=True,
    ),
    Case(
        "manifest-no-such-windows",
        MalformedError,
        "load",
        _manifest(lambda of: of["shards"]["windows"].__setitem__(0, len(of["windows"]))),
        is_committed=True,
    ),
    Case(
        "manifest-first-key-missing",
        MalformedError,
        "load",
        _manifest(lambda of: of["shards"]["low"].__setitem__(0, 1)),
        is_committed=True,
    ),
    Case(
        "manifest-shards-out-of-order",
        MalformedError,
        "load",
        _manifest(lambda of: of["shards"]["low"].reverse()),
    ),
)
