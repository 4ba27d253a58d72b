import contextlib
import json
import re
from collections.abc import Callable
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.commits import decode_commit
from storage.document import Document, base64_text, encode
from storage.errors import FormatError, MalformedError, StorageError
from storage.tables_document import decode_tables, table_name

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
Read: TypeAlias = Callable[[str], object]
MEMBERS = ["version", "features", "issuers", "templates", "shapes", "windows", "runs"]


@given(st.binary(max_size=60) | st.text().map(str.encode) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_octets_come_only_malformed_is_raised(octets: bytes) -> None:
    try:
        document = Document.parse("tables/x", octets)
    except MalformedError:
        return
    assert document.members == json.loads(octets)


@given(value=JSON)
def test_a_member_of_any_kind_is_read_as_told_or_malformed(value: object) -> None:
    document = Document("commits/1", {"it": value})
    readers: dict[Read, type] = {
        document.text: str,
        document.number: int,
        document.octets: bytes,
        document.each_octets: tuple,
        document.texts: tuple,
        document.numbers: tuple,
        document.child: Document,
        document.octets_by_oid: dict,
        document.oid: str,
        document.oids: tuple,
        document.plain: dict,
        lambda member: document.hexadecimal(member, 4): bytes,
        lambda member: document.each_hexadecimal(member, 4): tuple,
        lambda member: document.object_name(member, re.compile("packs/[0-9]+")): str,
        lambda member: list(document.children(member)): list,
    }
    for read, kind in readers.items():
        with contextlib.suppress(MalformedError):
            assert isinstance(read("it"), kind)


@given(members=st.fixed_dictionaries(dict.fromkeys(MEMBERS, JSON)))
def test_tables_of_any_json_raise_nothing_but_format_errors(members: dict[str, object]) -> None:
    octets = json.dumps(members | {"version": 1, "features": []}).encode()
    try:
        decode_tables(table_name(octets), octets)
    except FormatError:
        pass
    else:
        assert members["shapes"] == []


@given(st.binary(max_size=80))
def test_commits_of_any_octets_raise_nothing_but_storage_errors(octets: bytes) -> None:
    with pytest.raises(StorageError):
        decode_commit(1, octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"[" * 100_000,
        '{"a":1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b'{"a":NaN}',
        b"[]",
        b"",
    ],
    ids=["deep", "utf-16", "bom", "huge number", "no number", "list", "nothing"],
)
def test_documents_that_readers_could_take_for_different_things_are_refused(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        Document.parse("tables/x", octets)


@pytest.mark.parametrize("text", ["00ff00f", "00FF00FF", "00 ff00ff", "0x00ff00", "00ff00ff\n", "\uff10\uff10ff00ff"])
def test_hex_is_lower_case_and_of_its_size(text: str) -> None:
    with pytest.raises(MalformedError, match="has no hex text 'crc' of 4 octets"):
        Document("commits/1", {"crc": text}).hexadecimal("crc", 4)
    assert Document("commits/1", {"crc": "00ff00ff"}).hexadecimal("crc", 4) == b"\0\xff\0\xff"


@pytest.mark.parametrize("text", ["YQ", "Y Q==", "YQ==\n", "ä===", "YQ==YQ==", "_-8=", "YR==", "YWJ="])
def test_base64_is_whole_and_has_nothing_else_in_it(text: str) -> None:
    with pytest.raises(MalformedError, match="has no base64 text 'tbs'"):
        Document("tables/x", {"tbs": text}).octets("tbs")


@pytest.mark.parametrize("value", [-1, 10, True, 1.0, "1", None])
def test_numbers_are_whole_and_below_their_limit(value: object) -> None:
    with pytest.raises(MalformedError, match="'at' below 10"):
        Document("tables/x", {"at": value}).number("at", 10)
    assert Document("tables/x", {"at": 9}).number("at", 10) == 9


def test_an_error_names_the_object_the_place_and_the_member() -> None:
    document = Document.parse("tables/x", b'{"shapes":[{},{"known_answer":{"issuer":-1}}]}')
    second = list(document.children("shapes"))[1]
    with pytest.raises(
        MalformedError, match=re.escape("tables/x: shapes[1].known_answer has no whole number 'issuer'")
    ):
        second.child("known_answer").number("issuer")


@given(st.binary(max_size=40), st.integers(0, (1 << 53) - 1), st.text(max_size=10))
def test_what_is_written_is_read_back(octets: bytes, number: int, text: str) -> None:
    document = Document.parse("x", encode({"o": base64_text(octets), "n": number, "t": text, "none": None}))
    assert (document.octets("o"), document.number("n"), document.text("t")) == (octets, number, text)
    assert not document.has("none")
    assert not document.has("absent")


@pytest.mark.parametrize(
    "text", ["sha256", "1", "1.", "1.40", "3.1", "1.02", "2.999.x", "2..1", "\uff11.3", "1.3 ", "-1.3"]
)
def test_what_is_no_dotted_oid_is_refused(text: str) -> None:
    document = Document("tables/x", {"hash": text, "hashes": [text], "map": {text: "YQ=="}})
    for read in (
        lambda: document.oid("hash"),
        lambda: document.oids("hashes"),
        lambda: document.octets_by_oid("map"),
    ):
        with pytest.raises(MalformedError, match="has no OID"):
            read()


@pytest.mark.parametrize("text", ["1.3.14.3.2.26", "2.16.840.1.101.3.4.2.1", "0.9", "2.0", "2.999.3", "1.39"])
def test_a_dotted_oid_is_read(text: str) -> None:
    assert Document("tables/x", {"hash": text}).oid("hash") == text
