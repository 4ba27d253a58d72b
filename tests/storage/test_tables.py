import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.commits import find_head
from storage.errors import (
    ChecksumError,
    FormatError,
    KnownAnswerError,
    MalformedError,
    UnknownFeatureError,
    UnsupportedVersionError,
)
from storage.key import key64
from storage.manifest import read_manifest
from storage.reader import LoadedTables
from storage.tables import Tables
from storage.tables_document import decode_tables, encode_tables, table_name
from tests.storage.golden_store import golden_store

Change = Callable[[Any], object]


@pytest.fixture(scope="module")
def version_1() -> bytes:
    """The tables of the golden store's newest overlay: two shapes, four templates."""
    store = golden_store()
    head = find_head(store)
    assert head is not None
    return store.get(read_manifest(store, head.commit.manifest).overlays[0].windows)


@pytest.fixture(scope="module", params=[1, 2], ids=["version 1", "version 2"])
def octets(request: pytest.FixtureRequest, version_1: bytes) -> bytes:
    """The same tables as each version has them."""
    return version_1 if request.param == 1 else encode_tables(with_keys(load(version_1)))


def with_keys(tables: Tables) -> Tables:
    """Return tables whose known answers tell the keys of their certificates."""
    shapes = []
    for shape in tables.shapes:
        answer = shape.known_answer
        key = key64(answer.record[: shape.serial_bytes], tables.issuers[answer.issuer].issuer_id)
        shapes.append(replace(shape, known_answer=replace(answer, key=key)))
    return replace(tables, shapes=tuple(shapes))


def load(octets: bytes) -> Tables:
    name = table_name(octets)
    return LoadedTables(name, decode_tables(name, octets)).tables


def changed(octets: bytes, change: Change) -> bytes:
    document = json.loads(octets)
    change(document)
    return json.dumps(document).encode()


def test_tables_come_back_as_they_were_written(version_1: bytes) -> None:
    tables = with_keys(load(version_1))
    octets = encode_tables(tables)
    back = load(octets).lasting
    assert replace(back, shapes=()) == replace(tables.lasting, shapes=())
    for shape, meant in zip(back.shapes, tables.shapes, strict=True):
        window = replace(meant.known_answer.window, refresh_by=0)
        assert shape == replace(meant, known_answer=replace(meant.known_answer, window=window))
    assert [shape.stride for shape in tables.shapes] == [16 + 5 + 128, 18 + 128]
    assert encode_tables(tables) != octets


def test_octets_of_another_name_are_refused(octets: bytes) -> None:
    with pytest.raises(ChecksumError):
        decode_tables(table_name(b"others"), octets)


def test_unknown_members_are_ignored_at_every_level(octets: bytes) -> None:
    def add_everywhere(value: Any) -> None:
        if isinstance(value, dict):
            is_map_by_oid = any(key[0].isdigit() for key in value)
            for inner in value.values():
                add_everywhere(inner)
            if not is_map_by_oid:
                value["of a later version"] = {"x": [1]}
        elif isinstance(value, list):
            for inner in value:
                add_everywhere(inner)

    assert load(changed(octets, add_everywhere)) == load(octets)


def shape(of: Any) -> Any:
    return of["shapes"][0]


def response(of: Any) -> Any:
    return shape(of)["responses"][0]


def holes(of: Any, index: int = 0) -> Any:
    return of["templates"][index]["holes"]


def set_at(where: Callable[[Any], Any], key: str | int, value: object) -> Change:
    return lambda document: where(document).__setitem__(key, value)


def without_hole(field: str) -> Change:
    return lambda document: holes(document).remove(next(hole for hole in holes(document) if hole["field"] == field))


def shrunk_serial(document: Any) -> None:
    """Open one octet too few for the serial: filling it would shift all that comes behind."""
    next(hole for hole in holes(document) if hole["field"] == "serial")["size"] -= 1


def issuer(of: Any, index: int = 0) -> Any:
    return of["issuers"][index]


REFUSED: dict[str, tuple[type[FormatError], Change]] = {
    "later version": (UnsupportedVersionError, set_at(lambda of: of, "version", 3)),
    "feature": (UnknownFeatureError, set_at(lambda of: of, "features", ["stapled"])),
    "hole": (UnknownFeatureError, set_at(lambda of: holes(of)[0], "field", "archive_cutoff")),
    "field": (UnknownFeatureError, set_at(shape, "fields", ["revoked_at", "invalid_since"])),
    "status": (UnknownFeatureError, set_at(shape, "status", "removed")),
    "encoding": (UnknownFeatureError, set_at(response, "encoding", "ml-dsa")),
    "no id": (MalformedError, lambda of: issuer(of).pop("id")),
    "id of another": (MalformedError, set_at(issuer, "id", "00" * 8)),
    "hashes that do not pair": (MalformedError, lambda of: issuer(of)["key_hashes"].popitem()),
    "no SHA-256": (
        MalformedError,
        lambda of: [issuer(of)[kind].pop("2.16.840.1.101.3.4.2.1") for kind in ("name_hashes", "key_hashes")],
    ),
    "one issuer twice": (MalformedError, lambda of: of["issuers"].append(issuer(of))),
    "hole behind the end": (MalformedError, set_at(lambda of: holes(of)[-1], "size", 16)),
    "hole of nothing": (MalformedError, set_at(lambda of: holes(of)[0], "size", 0)),
    "holes that overlap": (MalformedError, set_at(lambda of: holes(of)[1], "at", 20)),
    "holes out of order": (MalformedError, lambda of: holes(of).reverse()),
    "hole too small": (MalformedError, shrunk_serial),
    "no hole for the serial": (MalformedError, without_hole("serial")),
    "no hole for the reason": (MalformedError, without_hole("reason")),
    "responder id of another size": (MalformedError, set_at(issuer, "responder_id", "YWI=")),
    "hash that the issuer lacks": (MalformedError, set_at(lambda of: holes(of)[2], "hash", "1.2.3")),
    "hash hole without a hash": (MalformedError, lambda of: holes(of)[2].pop("hash")),
    "no serial": (MalformedError, set_at(shape, "serial_bytes", 0)),
    "good, but revoked_at": (MalformedError, set_at(shape, "status", "good")),
    "revoked without revoked_at": (MalformedError, set_at(shape, "fields", [])),
    "fields in another order": (MalformedError, set_at(shape, "fields", ["reason", "revoked_at"])),
    "no response": (MalformedError, set_at(shape, "responses", [])),
    "two responses for one hash": (MalformedError, set_at(response, "hashes", ["2.16.840.1.101.3.4.2.1"])),
    "odd r and s": (MalformedError, set_at(response, "signature_bytes", 63)),
    "no signature": (MalformedError, set_at(response, "signature_bytes", 0)),
    "template that is not there": (MalformedError, set_at(response, "template", 4)),
    "known answer that is short": (
        MalformedError,
        set_at(lambda of: shape(of)["known_answer"], "record", base64.b64encode(b"short").decode()),
    ),
    "known answer of an unknown issuer": (MalformedError, set_at(lambda of: shape(of)["known_answer"], "issuer", 2)),
    "digest that is no hex": (MalformedError, set_at(lambda of: shape(of)["known_answer"], "sha256", ["x", "y"])),
    "digest too few": (MalformedError, lambda of: shape(of)["known_answer"]["sha256"].pop()),
    "window after the year 9999": (MalformedError, set_at(lambda of: of["windows"][0], "next_update", 253_402_300_800)),
    "window that ends before it begins": (MalformedError, set_at(lambda of: of["windows"][0], "next_update", 1)),
    "run of an unknown issuer": (MalformedError, set_at(lambda of: of["runs"][0], 0, 2)),
    "run of an unknown shape": (MalformedError, set_at(lambda of: of["runs"][0], 1, 2)),
    "run of an unknown window": (MalformedError, set_at(lambda of: of["runs"][0], 2, 1)),
    "run of two numbers": (MalformedError, lambda of: of["runs"][0].pop()),
    "run of a truth": (MalformedError, set_at(lambda of: of["runs"][0], 2, value=False)),
    "run whose template does not fit its issuer": (MalformedError, set_at(lambda of: of["runs"][0], 0, 1)),
    "wrong known answer": (
        KnownAnswerError,
        set_at(lambda of: shape(of)["known_answer"]["sha256"], 1, "00" * 32),
    ),
    "other octets in the template": (
        KnownAnswerError,
        lambda of: of["templates"][0].update(tbs="Y" + of["templates"][0]["tbs"][1:]),
    ),
    "other responder certificate": (KnownAnswerError, set_at(issuer, "responder_certificate", None)),
    "other window": (KnownAnswerError, set_at(lambda of: of["windows"][0], "produced_at", 5)),
    "other algorithm": (KnownAnswerError, set_at(response, "algorithm", "MAoGCCqGSM49BAMD")),
    "signature taken as it is": (KnownAnswerError, set_at(response, "encoding", "octets")),
}


# Windows and runs are a document of their own by version 2 (test_windows.py), and there an issuer may stand twice.
OF_VERSION_1 = {what for what in REFUSED if what.startswith(("run ", "window "))} | {"one issuer twice", "other window"}


@pytest.mark.parametrize("what", REFUSED)
def test_tables_that_cannot_be_right_are_refused_when_they_are_loaded(octets: bytes, what: str) -> None:
    error, change = REFUSED[what]
    if what in OF_VERSION_1 and b'"windows"' not in octets:
        return
    damaged = changed(octets, change)
    with pytest.raises(FormatError) as refused:
        load(damaged)
    assert type(refused.value) is error
    assert refused.value.name == table_name(damaged)


JSON: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.just([]) | st.just({}) | st.just([[]])
)


@given(data=st.data())
def test_any_member_may_hold_anything_and_only_format_errors_are_raised(octets: bytes, data: st.DataObject) -> None:
    document = json.loads(octets)
    parent: Any = {"": document}
    key: Any = ""
    while isinstance(parent[key], dict | list) and parent[key] and data.draw(st.integers(0, 3), label="deeper"):
        parent = parent[key]
        key = data.draw(st.sampled_from(list(parent) if isinstance(parent, dict) else range(len(parent))))
    parent[key] = data.draw(JSON, label="value")

    damaged = json.dumps(document).encode()
    with contextlib.suppress(FormatError):
        load(damaged)
