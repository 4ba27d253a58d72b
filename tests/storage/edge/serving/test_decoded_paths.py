"""granian gives the path decoded once; what the edge makes of it is what it makes of the path as the client sent it."""

import time
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_from_bytes

import pytest

from storage.certid import HASH_NAMES
from storage.edge.record import LoggedRequest
from storage.edge.respond import HttpRequest, Reply, respond
from tests.storage.edge import folder_server
from tests.storage.edge.answers import cert_id, encode_request
from tests.storage.edge.processes import Connection, ServerProcess, start, wait_until

GENERATION = 0x3FFFFF  # its last serials are all slashes in base64
SERIAL = GENERATION
TEXT = b64encode(encode_request(cert_id(SERIAL)))
PLAIN = b"/" + TEXT
NO_URI = frozenset(b' #"<>\\^`{|}?') | set(range(0x21)) | set(range(0x7F, 0x100))  # nor what no client may send

OVERLONG = (b"%C0%AF", b"%E0%80%AF", b"%ED%A0%80", b"%F4%90%80%80")
ODD = (b"%", b"%4", b"%zz", b"%%", b"%%34%31", b"%25%32%46", *OVERLONG)


def encoded(text: bytes, times: int) -> bytes:
    for _ in range(times):
        text = quote_from_bytes(text, safe="").encode()
    return text


def paths() -> Iterator[bytes]:
    for octet in range(256):
        escape = b"%%%02X" % octet
        yield b"/ocsp" + escape + PLAIN
        yield PLAIN + escape
        yield b"/" + TEXT[:9] + escape.lower() + TEXT[9:]
        yield b"/" + TEXT[:9] + escape + TEXT[10:]
        yield b"/%25" + escape[1:] + PLAIN
        if octet not in NO_URI:
            yield b"/ocsp" + bytes((octet,)) + PLAIN
            yield PLAIN + bytes((octet,))
    for times in range(5):
        yield b"/" + encoded(TEXT, times)
        yield encoded(PLAIN, times) if not times else b"/" + encoded(PLAIN, times)
        yield b"/" + "".join(f"%{letter:02x}" for letter in encoded(TEXT, times)).encode()
    for odd in (
        b"%",
        b"%4",
        b"%zz",
        b"%%",
        b"%%34%31",
        b"%25%32%46",
        b"%C0%AF",
        b"%E0%80%AF",
        b"%ED%A0%80",
        b"%F4%90%80%80",
    ):
        yield odd.join((b"/", TEXT))
        yield PLAIN + odd
        yield b"/" + odd + PLAIN
        yield b"/" + TEXT[:20] + odd + TEXT[20:]
    for odd in (b"//", b"///", b"/./", b"/../", b"/M", b"/a=b", b"/%2F", b"/%2f%2F", b"/%252F", b"/;x/", b"/%FF%FE/"):
        yield odd + TEXT
        yield b"/a" + odd + TEXT + b"/"
    yield b"/" + TEXT.replace(b"//", b"/")
    yield b"/" + quote(TEXT.replace(b"//", b"/"), safe="").encode()
    yield from (b"/", b"/M", b"/MEow", b"/" + b"A" * 3000, b"/" + b"%41" * 2000, b"/" + b"%FF" * 1500)


TARGETS = [
    *paths(),
    *(b"http://ocsp.example" + path for path in (PLAIN, b"/ocsp%2F" + PLAIN, b"//" + TEXT)),
    *(PLAIN + query for query in (b"?", b"?a", b"?/" + TEXT, b"?%2F")),
    b"/?" + TEXT,
]


def raw_path_of(target: bytes) -> bytes:
    """Return what the pure function is to see of a target: its path (RFC 9112, 3.2)."""
    return target.removeprefix(b"http://ocsp.example").partition(b"?")[0]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("local")
    (folder / "generation").write_text(str(GENERATION))
    with start(folder, folder_server.__file__, str(folder), "PORT", "1", "local") as process:
        yield process


@pytest.fixture(scope="module")
def pure(server: ServerProcess) -> list[Reply]:
    source = folder_server.FolderSource(server.stdout.parent)
    source.refresh()
    now = int(time.time())
    return [respond(source, HttpRequest(method="GET", raw_path=raw_path_of(one), headers={}), now) for one in TARGETS]


def test_each_path_means_the_same_however_it_is_escaped(server: ServerProcess, pure: list[Reply]) -> None:
    before = len(server.lines())
    got = []
    with Connection(server.port) as connection:
        for target in TARGETS:
            connection.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            got.append(connection.receive())
    wait_until(lambda: len(server.lines()) >= before + len(TARGETS))
    lines = [line for line in server.lines()[before:] if line["outcome"] != "probe"]

    wrong = [
        (target, wanted.record.outcome, line["outcome"])
        for target, reply, wanted, line in zip(TARGETS, got, pure, lines, strict=True)
        if (reply.status, len(reply.body)) != (wanted.status, len(wanted.body)) or line != told(wanted.record, line)
    ]
    assert wrong == []
    assert {reply.status for reply in got} == {200}
    assert sum(line["outcome"] == "answered" for line in lines) > 500


def told(record: LoggedRequest, line: dict[str, object]) -> dict[str, object]:
    """Return the line as it should be, but for what no two requests share, and for the words of the library."""
    own = {name: line[name] for name in ("time", "remote", "worker", "microseconds")}
    fields: dict[str, object] = {
        "method": "GET",
        "http": record.http,
        "ocsp": record.ocsp.name if record.ocsp is not None else None,
        "outcome": record.outcome.value,
        "bytes": record.body_bytes,
    }
    if record.answer is not None:
        fields["status"] = record.answer.status
    if record.cert_id is not None:
        fields |= {
            "hash": HASH_NAMES.get(record.cert_id.hash_oid, record.cert_id.hash_oid),
            "issuer_name_hash": record.cert_id.issuer_name_hash.hex(),
            "issuer_key_hash": record.cert_id.issuer_key_hash.hex(),
            "serial": f"{record.cert_id.serial_number:x}",
        }
    if record.generation is not None:
        fields["generation"] = record.generation
    if "detail" in line and record.detail is not None:
        fields["detail"] = line["detail"]
    return own | fields
