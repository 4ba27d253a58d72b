"""`pregen decode`: what somebody finds in a log, in a file or on the wire, said in names and serials."""

import base64
import subprocess
import sys
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from pregen import clock
from pregen.subjects import name_text
from storage.der import ENUMERATED, OCTET_STRING, OID, SEQUENCE, tlv
from tests.pki import make_issuer
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, Ca, Outcome, Program


def request_for(ca: Ca, serial: int, hash_: SHA1 | SHA256 | None = None, *, nonce: bytes | None = None) -> bytes:
    issuer = ca.issuer.certificate
    identity = ocsp.OCSPRequestBuilder().add_certificate(issuer, issuer, hash_ or SHA1()).build()
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        identity.issuer_name_hash, identity.issuer_key_hash, serial, hash_ or SHA1()
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def certificates(ended: Outcome) -> list[dict[str, object]]:
    listed = ended.document["certificates"]
    assert isinstance(listed, list)
    return listed


def test_every_form_of_a_request_is_the_same_request(ca: Ca, pregen: Program) -> None:
    der = request_for(ca, REVOKED, nonce=b"n" * 16)
    text = base64.b64encode(der).decode()
    pem = f"-----BEGIN OCSP REQUEST-----\n{base64.encodebytes(der).decode()}-----END OCSP REQUEST-----\n"
    forms = {
        f"/{quote(text, safe='')}": "path",
        f"/ocsp/r1/{text}": "path",
        f"http://ocsp.example/ocsp/{quote(text, safe='')}": "path",
        f'10.0.0.1 - - [30/Nov/2026:11:05:57 +0000] "GET /ocsp/{quote(text, safe="")} HTTP/1.1" 200 5': "path",
        text: "base64",
        text.rstrip("=").replace("+", "-").replace("/", "_"): "base64",
        quote(text, safe=""): "base64",
        der.hex(): "hex",
        der.hex(":").upper(): "hex",
        pem: "PEM",
    }
    files: dict[bytes, str] = {der: "DER", text.encode(): "base64", pem.encode(): "PEM", der.hex().encode(): "hex"}
    path = ca.folder / "request"

    for form, name in forms.items():
        found = pregen("decode", form, "--json")
        assert (found.code, found.err) == (0, ""), form
        assert found.document["form"] == name, form
        assert found.document["kind"] == "request"
        (certificate,) = certificates(found)
        assert (certificate["serial"], certificate["hash"]) == (f"{REVOKED:x}", "sha1"), form
        assert found.document["refused"] is None
        assert str(found.document["nonce"]).endswith((b"n" * 16).hex())
    for content, name in files.items():
        path.write_bytes(content)
        found = pregen("decode", path, "--json")
        assert (found.code, found.document["form"]) == (0, name)


def test_stdin_is_read_too(ca: Ca) -> None:
    der = request_for(ca, GOOD)
    command = [sys.executable, "-m", "pregen", "decode", "-"]

    ended = subprocess.run(command, input=der, capture_output=True, timeout=60, check=True)

    assert b"request for 1 certificate" in ended.stdout
    assert ended.stderr == b""


def test_every_line_that_holds_one_is_shown_with_its_number(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    answer = ca.folder / "answer.der"
    pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}", "--out", answer)
    paths = [quote(base64.b64encode(request_for(ca, serial)).decode(), safe="") for serial in (GOOD, REVOKED)]
    log = ca.folder / "access.log"
    log.write_text(
        '10.0.0.1 - - [30/Nov/2026:11:05:57 +0000] "GET /favicon.ico HTTP/1.1" 404 5\n'
        + "".join(f'10.0.0.1 - - [30/Nov/2026:11:05:57 +0000] "GET /r1/{path} HTTP/1.1" 200 5\n' for path in paths)
        + f"\n{base64.b64encode(answer.read_bytes()).decode()}\n"
    )

    found = pregen("decode", log, "--json", "--store", ca.store)
    more = found.document["more"]

    assert found.code == 0
    assert isinstance(more, list)
    said = [
        (one["line"], one["form"], one["kind"], one["certificates"][0]["serial"]) for one in (found.document, *more)
    ]
    assert said == [
        (2, "path", "request", f"{GOOD:x}"),
        (3, "path", "request", f"{REVOKED:x}"),
        (5, "base64", "response", f"{GOOD:x}"),
    ]
    shown = pregen("decode", log).out
    assert [line for line in shown.splitlines() if line.startswith("line ")] == ["line 2:", "line 3:", "line 5:"]
    (ca.folder / "two.pem").write_text(
        "".join(
            f"-----BEGIN OCSP REQUEST-----\n{base64.encodebytes(request_for(ca, serial)).decode()}"
            "-----END OCSP REQUEST-----\n"
            for serial in (GOOD, REVOKED)
        )
    )
    blocks = pregen("decode", ca.folder / "two.pem")
    assert (blocks.code, blocks.out.count("request for 1 certificate")) == (0, 2)
    assert "merged" not in blocks.out


def in_logs(der: bytes) -> dict[str, str]:
    """Return how other programs log a request, by what they are called."""
    text = base64.b64encode(der).decode()
    path = f"/ocsp/{quote(text, safe='')}"
    as_nginx = "".join(chr(o) if 32 <= o < 127 and o not in b'"\\' else f"\\x{o:02X}" for o in der)
    as_json = f"/ocsp/{text}".replace("/", "\\/").replace("+", "\\u002b")
    return {
        "haproxy": f"Nov 30 11:05:57 lb haproxy[7]: 10.0.0.1:3317 [30/Nov/2026:11:05:57] fe be/s1 1/0/3/6/10 200 275 "
        f'- - ---- 1/1/1/1/0 0/0 {{ocsp.example}} {{}} "GET {path} HTTP/1.1"',
        "nginx, JSON": f'{{"time":"2026-11-30T11:05:57","method":"GET","uri":"{path}","status":200}}',
        "JSON with escapes": f'{{"request":"GET {as_json} HTTP\\/1.1"}}',
        "CloudFront": f"2026-11-30\t11:05:57\tLAX1\t392\t192.0.2.1\tGET\td1.cloudfront.net\t{path}\t200\t-",
        "IIS": f"2026-11-30 11:05:57 10.0.0.2 GET {path} - 80 - 10.0.0.1 Microsoft-CryptoAPI/10.0 - 200 0 0 15",
        "openssl ocsp": f"ocsp: Received request, 1st line: GET {path} HTTP/1.0",
        "logfmt": f"ts=2026-11-30T11:05:57Z method=GET ocsp={text} status=200",
        "body of nginx": f'10.0.0.1 [30/Nov/2026:11:05:57 +0000] "POST /ocsp HTTP/1.1" 200 "{as_nginx}"',
    }


@pytest.mark.parametrize("serial", [GOOD, REVOKED, 0x5C2F22FF3E2B0A0D5C785C223E])
def test_lines_of_the_logs_of_other_programs_are_understood(ca: Ca, pregen: Program, serial: int) -> None:
    der = request_for(ca, serial)

    for name, line in in_logs(der).items():
        found = pregen("decode", line, "--json")
        assert (name, found.code, found.err) == (name, 0, "")
        assert [one["serial"] for one in certificates(found)] == [f"{serial:x}"], name


def test_an_http_message_is_understood_by_its_body(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    answer = ca.folder / "answer.der"
    pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}", "--out", answer)
    message = ca.folder / "message"

    for head, body in (
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n", answer.read_bytes()),
        (b"POST /ocsp HTTP/1.1\r\nHost: ocsp.example\r\n\r\n", request_for(ca, GOOD)),
    ):
        message.write_bytes(head + body)
        found = pregen("decode", message, "--json")
        assert (found.code, found.document["form"]) == (0, "HTTP")
        assert certificates(found)[0]["serial"] == f"{GOOD:x}"


def test_issuers_are_named_by_a_store_a_configuration_or_a_certificate(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    make_issuer("Another Root").write(ca.folder, "other")
    text = base64.b64encode(request_for(ca, REVOKED, SHA256())).decode()
    ask = ("decode", text, "--json")

    for words, name in (
        (("--store", ca.store), "r1"),
        (("--config", ca.config), "r1"),
        (("--issuer", ca.pem), str(ca.pem)),
        (("--issuer", ca.folder / "other.pem", "--issuer", ca.pem), str(ca.pem)),
    ):
        found = pregen(*ask, *words)
        assert found.code == 0
        (certificate,) = certificates(found)
        assert (certificate["issuer"], certificate["serial"], certificate["hash"]) == (name, f"{REVOKED:x}", "sha256")
        assert str(certificate["issuer_subject"]).startswith("CN=")
        assert certificate.get("published") == (None if words[0] == "--issuer" else "revoked")
    assert "r1" in pregen("decode", text, "--store", ca.store).out

    foreign = pregen(*ask, "--issuer", ca.folder / "other.pem")
    assert (foreign.code, certificates(foreign)[0]["issuer"]) == (4, None)
    absent = base64.b64encode(request_for(ca, ABSENT)).decode()
    said = pregen("decode", absent, "--store", ca.store)
    assert (said.code, "an edge answers unauthorized" in said.out) == (0, True)


@pytest.mark.parametrize("cert_ids", ["separate", "combined"])
def test_a_response_says_what_it_says_and_until_when(ca: Ca, pregen: Program, cert_ids: str) -> None:
    ca.configure(issuer={"cert_ids": cert_ids})
    pregen("run", ca.config)
    out = ca.folder / "answer.der"
    pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{REVOKED:x}", "--out", out)
    peer = ocsp.load_der_ocsp_response(out.read_bytes())

    ended = pregen("decode", out, "--json", "--store", ca.store)
    found = ended.document

    assert (found["kind"], found["response_status"], found["algorithm"]) == ("response", "successful", "ecdsa-sha256")
    assert found["responder"] == {"name": None, "key_hash": peer.responder_key_hash.hex()}  # type: ignore[union-attr]
    singles = list(peer.responses)
    said = certificates(ended)
    assert [one["hash"] for one in said] == [single.hash_algorithm.name for single in singles]
    for one, single in zip(said, singles, strict=True):
        assert single.next_update_utc is not None
        assert (one["status"], one["reason"], one["state"]) == ("revoked", "keyCompromise", "current")
        assert (one["this_update"], one["next_update"]) == (
            clock.text(single.this_update_utc),
            clock.text(single.next_update_utc),
        )
        assert (one["issuer"], one["serial"]) == ("r1", f"{REVOKED:x}")
    assert "keyCompromise" in pregen("decode", out).out


def test_a_response_that_is_an_error_says_which(pregen: Program) -> None:
    for text, status in (("30030a0106", "unauthorized"), ("MAMKAQM=", "tryLater"), ("30030a0101", "malformedRequest")):
        found = pregen("decode", text, "--json")
        assert (found.code, found.document["response_status"]) == (0, status)


def test_requests_that_an_edge_refuses_are_shown_with_the_reason(ca: Ca, pregen: Program) -> None:
    found = pregen("decode", request_for(ca, GOOD, nonce=b"n" * 129).hex(), "--json")

    assert found.code == 0
    assert "nonce of 129 octets" in str(found.document["refused"])
    assert "nonce of 129 octets" in pregen("decode", request_for(ca, GOOD, nonce=b"n" * 129).hex()).out


def test_a_response_of_another_type_than_the_basic_one_is_shown_as_such(pregen: Program) -> None:
    oid = tlv(OID, bytes.fromhex("2b060105050730010a"))
    der = tlv(
        SEQUENCE, tlv(ENUMERATED, b"\0"), tlv(0xA0, tlv(SEQUENCE, oid, tlv(OCTET_STRING, b"whatever it is, not DER")))
    )

    found, said = pregen("decode", der.hex(), "--json"), pregen("decode", der.hex())

    assert (found.code, found.document["kind"], certificates(found)) == (0, "response", [])
    assert found.document["response_status"] == "successful"
    assert found.document["response_type"] == "1.3.6.1.5.5.7.48.1.10"
    assert (said.code, said.err) == (0, "")
    assert "response type    1.3.6.1.5.5.7.48.1.10" in said.out


def test_a_certificate_is_told_to_be_one(ca: Ca, pregen: Program) -> None:
    der = ca.issuer.certificate.public_bytes(Encoding.DER)

    for written in (der.hex(), base64.b64encode(der).decode(), ca.folder / "issuer.pem"):
        ended = pregen("decode", written)
        assert ended.code == 3
        assert "this is a certificate, and neither an OCSP request nor a response" in ended.err


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "/ocsp/",
        "3003",
        "MEIwQDA+MDwwOjAJBgUrDgMCGgUABBQB",
        "/favicon.ico",
        "-----BEGIN X-----\nMEIwQ\n-----END X-----",
    ],
)
def test_what_is_neither_is_exit_code_3_and_one_line(pregen: Program, text: str) -> None:
    ended = pregen("decode", text, "--json")

    assert (ended.code, ended.error["code"]) == (3, "input")
    assert "neither an OCSP request nor a response" in ended.err
    assert ended.err.count("\n") == 1


def test_what_cannot_be_read_is_exit_code_2(ca: Ca, pregen: Program) -> None:
    assert pregen("decode").code == pregen("decode", "").code == 2
    assert pregen("decode", ca.folder).code == 2
    assert pregen("decode", "MAMKAQM=", "--store", ca.store, "--config", ca.config).code == 2
    assert pregen("decode", "MAMKAQM=", "--issuer", ca.folder / "nowhere.pem").code == 2


def test_names_of_all_kinds_of_strings_are_text() -> None:
    name = x509.Name.from_rfc4514_string("CN=M\\,K\\+1,O=Zürich,C=CH")

    assert name_text(name.public_bytes()) == "CN=M\\,K\\+1,O=Zürich,C=CH"
