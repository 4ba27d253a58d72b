"""FORMAT.md is enough: a reader written from it alone gives the golden answers and refuses the damaged stores."""

import base64
import hashlib
import json
import re
import struct
import time
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import xxhash

from tests.storage.golden_store import (
    COMBINED,
    GOLDEN,
    OVERLAYS,
    VERSION_2,
    Expected,
    accepted_cases,
    expected_answers,
    golden_store,
    objects_of,
)

OID = re.compile(r"(?:[01]\.[1-3]?[0-9]|2\.(?:0|[1-9][0-9]*))(?:\.(?:0|[1-9][0-9]*))*")
FORMAT = Path(__file__).parents[2] / "storage" / "FORMAT.md"


class RefusedError(Exception):
    """What the reader of this test raises: the name of the error in section 11."""


def check(holds: bool, error: str) -> None:
    if not holds:
        raise RefusedError(error)


def octets_of(text: str) -> bytes:
    octets = base64.b64decode(text, validate=True)
    check(base64.b64encode(octets).decode() == text, "Malformed")
    return octets


def whole(number: Any) -> int:
    check(type(number) is int and 0 <= number < 1 << 53, "Malformed")
    return int(number)


def tlv(tag: int, *values: bytes) -> bytes:
    value = b"".join(values)
    size = len(value).to_bytes((len(value).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(value) < 128 else bytes([0x80 + len(size)]) + size) + value


def digits(seconds: int) -> bytes:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(seconds)).encode()


def integer(number: bytes) -> bytes:
    number = number.lstrip(b"\0")
    return tlv(0x02, (b"" if number and number[0] < 0x80 else b"\0") + number)


def stride(shape: dict[str, Any]) -> int:
    signatures = sum(response["signature_bytes"] for response in shape["responses"])
    return int(shape["serial_bytes"] + {0: 0, 1: 4, 2: 5}[len(shape["fields"])] + signatures)


def make(tables: dict[str, Any], issuer_at: int, shape_at: int, window: Any, which: int, record: bytes) -> bytes:
    """Section 6."""
    issuer, shape = tables["issuers"][issuer_at], tables["shapes"][shape_at]
    response, at, has = shape["responses"][which], shape["serial_bytes"], {"serial": record[: shape["serial_bytes"]]}
    for field, size in (("revoked_at", 4), ("reason", 1)):
        if field in shape["fields"]:
            has[field], at = record[at : at + size], at + size
    if "revoked_at" in has:
        has["revoked_at"] = digits(int.from_bytes(has["revoked_at"], "little"))
    has |= {field: digits(window[field]) for field in ("produced_at", "this_update", "next_update")}
    has["responder_id"] = octets_of(issuer["responder_id"])
    template = tables["templates"][response["template"]]
    data = bytearray(octets_of(template["tbs"]))
    for hole in template["holes"]:
        kind = {"issuer_name_hash": "name_hashes", "issuer_key_hash": "key_hashes"}.get(hole["field"])
        octets = octets_of(issuer[kind][hole["hash"]]) if kind else has[hole["field"]]
        check(len(octets) == hole["size"], "Malformed")
        data[hole["at"] : hole["at"] + hole["size"]] = octets
    at += sum(one["signature_bytes"] for one in shape["responses"][:which])
    signature, half = record[at : at + response["signature_bytes"]], response["signature_bytes"] // 2
    if response["encoding"] == "ecdsa":
        signature = tlv(0x30, integer(signature[:half]), integer(signature[half:]))
    certs = b""
    if issuer["responder_certificate"] is not None:
        certs = tlv(0xA0, tlv(0x30, octets_of(issuer["responder_certificate"])))
    basic = tlv(0x30, bytes(data), octets_of(response["algorithm"]), tlv(0x03, b"\0", signature), certs)
    inner = tlv(0x30, bytes.fromhex("06092b0601050507300101"), tlv(0x04, basic))
    return tlv(0x30, bytes.fromhex("0a0100"), tlv(0xA0, inner))


class SpecReader:
    """Sections 4, 5, 7, 8 and 9."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects
        number = max(int(name[8:]) for name in objects if name.startswith("commits/"))
        octets = objects[f"commits/{number:020}"]
        end = re.fullmatch(rb',"crc":"([0-9a-f]{8})"}', octets[-18:])
        check(end is not None, "Truncated")
        assert end is not None
        check(int(end[1], 16) == zlib.crc32(octets[:-18]), "Checksum")
        commit = json.loads(octets)
        check(commit["reader_min"] <= 2, "UpgradeNeeded")
        check(commit["number"] == number, "Malformed")
        self.manifest = self.document(commit["manifest"], (1, 2))
        shards, overlays = self.rows("shards"), self.rows("overlays")
        bounds = [0] + [shard["high"] for shard in shards]
        lows = [shard["low"] for shard in shards]
        check(lows == bounds[:-1] and bounds[-1] == 1 << 32 and bounds == sorted(bounds), "Malformed")
        self.overlays, self.shards = overlays, shards
        self.searched = overlays + shards
        self.loaded = {shard["runs"]: self.load(shard["runs"]) for shard in self.searched}
        for shard in self.searched:
            for member in ("low", "high", "size", "directory_at", "refresh_by", "next_update"):
                whole(shard[member])

        self.keys = self.keys_of_overlays(self.manifest.get("overlay_keys"))

    def keys_of_overlays(self, name: str | None) -> dict[int, int] | None:
        """Section 7: the number of the first pack that has each key."""
        if name is None:
            return None
        check(re.fullmatch("keys/[0-9a-f]{64}", name) is not None, "Malformed")
        octets = self.objects[name]
        check(hashlib.sha256(octets).hexdigest() == name[5:], "Checksum")
        check(len(octets) >= 32, "Truncated")
        magic, version, width, n = struct.unpack("<8sHHI", octets[:16])
        check(magic == b"PREGENK\n", "BadMagic")
        check(version == 1, "UnsupportedVersion")
        check(width in {1, 2}, "Malformed")
        check(len(octets) == 32 + n * (4 + width), "Truncated")
        keys = struct.unpack_from(f"<{n}I", octets, 32)
        numbers = struct.unpack_from(f"<{n}{' BH'[width]}", octets, 32 + 4 * n)
        check(all(low < high for low, high in pairwise(keys)), "Malformed")
        check(all(number < len(self.overlays) for number in numbers), "Malformed")
        return dict(zip(keys, numbers, strict=True))

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """Sections 7 and 14: what is said of each shard."""
        rows: Any = self.manifest[kind]
        if self.manifest["version"] == 1:
            return [{**row, "runs": row["tables"]} for row in rows]
        needed = ["low", "pack", "size", "directory_at", "directory_crc", "windows", "refresh_by", "next_update"]
        columns = {name: rows[name] for name in needed}
        columns["high"] = rows["high"] if kind == "overlays" else [*rows["low"][1:], 1 << 32]
        check({len(column) for column in columns.values()} == {len(rows["low"])}, "Malformed")
        check(all(index < len(self.manifest["windows"]) for index in rows["windows"]), "Malformed")
        columns["runs"] = [self.manifest["windows"][index] for index in rows["windows"]]
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def load(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return tables, and what has the windows and runs; sections 5 and 14."""
        if name.startswith("tables/"):
            tables = windows = self.document(name, (1,))
        else:
            windows = self.document(name, (2,))
            tables = self.document(windows["tables"], (2,))
        for issuer in tables["issuers"]:
            check(all(OID.fullmatch(oid) for oid in issuer["name_hashes"]), "Malformed")
            octets_of(issuer["responder_id"])
        for index, shape in enumerate(tables["shapes"]):
            known = shape["known_answer"]
            record = octets_of(known["record"])
            times = windows["windows"][known["window"]] if tables["version"] == 1 else known
            made = [make(tables, known["issuer"], index, times, i, record) for i in range(len(shape["responses"]))]
            check([hashlib.sha256(one).hexdigest() for one in made] == known["sha256"], "KnownAnswer")
            if tables["version"] > 1:
                seed = int(tables["issuers"][known["issuer"]]["id"], 16)
                key = xxhash.xxh64_intdigest(record[: shape["serial_bytes"]], seed)
                check(f"{key:016x}" == known["key"], "KnownAnswer")
        for issuer_at, shape_at, window_at in windows["runs"]:
            counts = [len(tables["issuers"]), len(tables["shapes"]), len(windows["windows"])]
            check(all(i < n for i, n in zip((issuer_at, shape_at, window_at), counts, strict=True)), "Malformed")
        return tables, windows

    def document(self, name: str, versions: tuple[int, ...]) -> dict[str, Any]:
        check(hashlib.sha256(self.objects[name]).hexdigest() == name.rpartition("/")[2], "Checksum")
        document: dict[str, Any] = json.loads(self.objects[name])
        check(document["version"] in versions, "UnsupportedVersion")
        check(document.get("features", []) == [], "UnknownFeature")
        return document

    def lookup(self, oid: str, name_hash: bytes, key_hash: bytes, serial: bytes) -> bytes | None:
        asked = [base64.b64encode(octets).decode() for octets in (name_hash, key_hash)]
        issuers = [issuer for tables, _ in self.loaded.values() for issuer in tables["issuers"]]
        ids = {i["id"] for i in issuers if [i["name_hashes"].get(oid), i["key_hashes"].get(oid)] == asked}
        if not ids:
            return None
        (issuer_id,) = ids
        key32 = xxhash.xxh64_intdigest(serial, int(issuer_id, 16)) >> 32
        first = 0 if self.keys is None else self.keys.get(key32, len(self.overlays))
        for shard in self.searched[first:]:
            if shard["low"] <= key32 < shard["high"]:
                (tables, windows), bucket = self.loaded[shard["runs"]], self.bucket(shard, key32)
                hit = self.search(tables, windows["runs"], bucket, issuer_id, serial)
                if hit is not None:
                    (issuer_at, shape_at, window_at), record = hit
                    for which, response in enumerate(tables["shapes"][shape_at]["responses"]):
                        if oid in response["hashes"]:
                            window = windows["windows"][window_at]
                            return make(tables, issuer_at, shape_at, window, which, record)
                    return None
        return None

    def bucket(self, shard: dict[str, Any], key32: int) -> bytes:
        octets, at = self.objects[shard["pack"]], shard["directory_at"]
        directory = octets[at : shard["size"]]
        check(len(directory) == shard["size"] - at, "Truncated")
        magic, version, features, count, identity = struct.unpack("<8sHHI16s", directory[-32:])
        check(magic == b"PREGEN\r\n", "BadMagic")
        check(version == 1, "UnsupportedVersion")
        check(features == 0, "UnknownFeature")
        check(zlib.crc32(directory) == int(shard["directory_crc"], 16), "Checksum")
        number = (key32 - shard["low"]) * count // (shard["high"] - shard["low"])
        start, end = struct.unpack_from("<II", directory, 4 * number)
        bucket = octets[start:end]
        seen = zlib.crc32(identity + struct.pack("<I", number) + bucket[4:])
        check(seen == int.from_bytes(bucket[:4], "little"), "Checksum")
        return bucket

    def search(
        self, tables: dict[str, Any], numbered: list[Any], bucket: bytes, issuer_id: str, serial: bytes
    ) -> tuple[list[int], bytes] | None:
        (runs,), at = struct.unpack_from("<H", bucket, 4), 6
        for _ in range(runs):
            number, count = struct.unpack_from("<IH", bucket, at)
            issuer, shape, _window = run = numbered[number]
            size, at = stride(tables["shapes"][shape]), at + 6
            check(at + count * size <= len(bucket), "Malformed")
            for record in (bucket[at + i * size : at + (i + 1) * size] for i in range(count)):
                is_length = tables["shapes"][shape]["serial_bytes"] == len(serial)
                if is_length and tables["issuers"][issuer]["id"] == issuer_id and record.startswith(serial):
                    return run, record
            at += count * size
        return None


def ask(reader: SpecReader, expected: Expected) -> bytes | None:
    return reader.lookup(*expected.cert_id)


@pytest.mark.parametrize(("folder", "least"), [(GOLDEN, 400), (COMBINED, 29), (VERSION_2, 400), (OVERLAYS, 400)])
def test_a_reader_written_from_the_specification_gives_every_golden_answer(folder: Path, least: int) -> None:
    reader, answered = SpecReader(objects_of(folder / "store")), 0
    for expected in expected_answers(folder):
        made = ask(reader, expected)
        assert (made and hashlib.sha256(made).hexdigest()) == expected.sha256
        assert expected.der in {None, made}
        answered += made is not None
    assert answered > least


DAMAGED = [path for of in (GOLDEN, VERSION_2, OVERLAYS) for path in sorted((of / "damaged").iterdir()) if path.is_dir()]


@pytest.mark.parametrize("folder", DAMAGED, ids=lambda folder: folder.name)
def test_a_reader_written_from_the_specification_refuses_every_damaged_store(folder: Path) -> None:
    golden = folder.parents[1]
    case = json.loads((folder.parent / "index.json").read_bytes())[folder.name]
    seen = "load"
    with pytest.raises(RefusedError) as refused:  # noqa: PT012 - the point in time is part of the case
        reader = SpecReader(objects_of(golden / "store") | objects_of(folder))
        seen = "lookup"
        for expected in expected_answers(golden):
            ask(reader, expected)
    assert (f"{refused.value}Error", seen) == (case["error"], case["seen"])


@pytest.mark.parametrize("name", sorted(accepted_cases()))
def test_a_reader_written_from_the_specification_answers_what_is_odd_but_harmless(name: str) -> None:
    reader = SpecReader(objects_of(GOLDEN / "store") | objects_of(GOLDEN / "accepted" / name))
    special = {cert_id: (sha256, error) for cert_id, sha256, error in accepted_cases()[name]}
    asked = {one.cert_id: (one.sha256, None) for one in expected_answers()} | special
    for cert_id, (sha256, error) in asked.items():
        if error:
            with pytest.raises(RefusedError, match=error.removesuffix("Error")):
                reader.lookup(*cert_id)
        else:
            made = reader.lookup(*cert_id)
            assert (made and hashlib.sha256(made).hexdigest()) == sha256


def dumps(text: str) -> list[bytes]:
    """Return what the hexadecimal dumps of the text hold, each of which begins at 0000."""
    lines = re.findall(r"^    ([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)$", text, re.MULTILINE)
    starts = [at for at, (offset, _) in enumerate(lines) if offset == "0000"]
    return [
        bytes.fromhex("".join(octets for _, octets in lines[start:end]))
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def test_the_worked_example_is_the_golden_store() -> None:
    text, store = FORMAT.read_text(), golden_store(VERSION_2)
    match = re.search(r"`(packs/[0-9a-f]{8}-[0-9a-f]{32})`:", text)
    assert match is not None
    pack, template = dumps(text)
    assert pack == store.get(match[1])
    record = pack[0x14:0xA6]
    assert record[:18] == b"-not in the shards"
    assert f"0x{xxhash.xxh64_intdigest(record[:18], 0x81DA7953B7E5F897):x}" in text

    printed = re.search(r'^    (\{"version":2.*?\})\n\n', text, re.MULTILINE | re.DOTALL)
    assert printed is not None
    windows = json.loads(printed[1])
    octets = json.dumps(windows, separators=(",", ":")).encode()
    assert store.get(f"windows/{hashlib.sha256(octets).hexdigest()}") == octets
    tables = json.loads(store.get(windows["tables"]))
    assert base64.b64decode(tables["templates"][0]["tbs"]) == template
    for hole in tables["templates"][0]["holes"]:
        assert re.search(rf"^\| `{hole['field']}`[^|]*\| {hole['at']} \| {hole['size']} \|", text, re.MULTILINE)

    example = next(one for one in expected_answers(VERSION_2) if one.label == "overlay-new.sha1.der")
    assert example.der == make(tables, 0, 0, windows["windows"][0], 0, record)
    assert len(example.der) == 743
    assert example.der.startswith(bytes.fromhex("308202e30a0100a08202dc308202d8"))


def test_the_vectors_of_the_text_are_those_of_xxh64() -> None:
    text = FORMAT.read_text()
    vectors = re.findall(r"^\| (\d+) \| ([0-9a-f]{16}) \|$", text, re.MULTILINE)
    assert [int(size) for size, _ in vectors] == [1, 4, 8, 20, 31, 32, 40]
    for size, digest in vectors:
        octets = bytes(range(1, int(size) + 1))
        assert f"{xxhash.xxh64_intdigest(octets, 0x81DA7953B7E5F897):016x}" == digest


def test_a_history_is_read_by_the_tables_of_the_specification() -> None:
    folder = GOLDEN / "history"
    (index_path,) = (path for path in folder.iterdir() if len(path.name) == 64)
    assert hashlib.sha256(index_path.read_bytes()).hexdigest() == index_path.name
    index = json.loads(index_path.read_bytes())
    (listed,) = index["parts"]
    identity = listed["part"].removeprefix("history/")
    octets = (folder / identity).read_bytes()

    assert octets[:8] == b"PREGENH\n"
    version, features, n = struct.unpack_from("<HHI", octets, 8)
    assert (version, features, n, len(octets)) == (1, 0, listed["rows"], listed["size"])
    assert len(octets) == 16 + 11 * n + 4
    crc = zlib.crc32(bytes.fromhex(identity) + octets[: 16 + 11 * n])
    assert octets[16 + 11 * n :] == crc.to_bytes(4, "little")
    assert f"{crc:08x}" == listed["crc"]
    keys = struct.unpack_from(f"<{n}Q", octets, 16)
    words = [int.from_bytes(octets[at : at + 3], "little") for at in range(16 + 8 * n, 16 + 11 * n, 3)]
    assert keys == (7, 7, 1 << 63, 2**64 - 1)
    assert [word & 3 for word in words] == [0, 1, 2, 3]
    assert [word >> 2 for word in words] == [1_800_000_000 // 1_024, 2**22 - 1, 2**22 - 1, 0]
    assert [(one["id"], one["certificates"]) for one in index["issuers"]] == [
        ("0123456789abcdef", 3),
        ("f" * 16, 1),
        ("0" * 16, 0),
    ]
    assert [(one["accepted"], one["stopped_s"]) for one in index["issuers"]] == [(2, 7_200), (0, 0), (0, 0)]
    assert [(one["newest"], one["until"], one["silence_s"]) for one in index["issuers"]] == [
        (index["as_of"] - 60, index["as_of"] - 300, 900),
        (None, None, None),
        (index["as_of"] - 60, index["as_of"] - 60, 7_200),
    ]
    assert [[end - start for start, end in one["holes"]] for one in index["issuers"]] == [[3_600], [], []]
    assert index["lags"] == [[60, 3600], [], [60]]
    witnesses = base64.b64decode(index["witnesses"])
    assert [struct.unpack_from("<Qqq", witnesses, at)[0] for at in (0, 24)] == [7, 1 << 63]
