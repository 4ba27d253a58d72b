from base64 import b64decode, b64encode
from collections.abc import Callable
from urllib.parse import quote

import pytest

from storage.certid import CertID
from storage.edge.aws_lambda.events import Event, read_event, written
from storage.edge.respond import respond
from tests.storage.edge.answers import THIS_UPDATE, cert_id, cert_ids_in, encode_request, source_of
from tests.storage.edge.aws_lambda.shapes import CLIENT, SHAPES, event_of

NOW = THIS_UPDATE + 3600


def certificates() -> list[CertID]:
    """Return certificates whose requests have all letters that must be escaped: pluses, slashes, and two of these."""
    named = [cert_id(int.from_bytes(b"\x41" * 7 + octets + b"\x41" * 7)) for octets in (b"\xfb\xef", b"\xff\xff", b"")]
    texts = [b64encode(encode_request(one)) for one in named]
    assert any(b"+" in text for text in texts)
    assert any(b"//" in text for text in texts)
    assert any(text.endswith(b"=") for text in texts)
    return named


ASKED = certificates()
SOURCE = source_of(*ASKED)


def answered(event: Event) -> list[CertID]:
    response = written(respond(SOURCE, read_event(event).request, NOW), event)
    assert response["isBase64Encoded"]
    body = b64decode(response["body"])
    return cert_ids_in(body) if len(body) > 5 else []


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "escaped": lambda text: quote(text, safe=""),
    "escaped in lower case": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "each letter escaped": lambda text: "".join(f"%{ord(letter):02X}" for letter in text),
    "escaped twice": lambda text: quote(quote(text, safe=""), safe=""),
    "no padding": lambda text: text.rstrip("="),
    "URL-safe": lambda text: text.replace("+", "-").replace("/", "_"),
    "a line end behind": lambda text: f"{text}%0A",
    "a space for each plus": lambda text: text.replace("+", "%20"),
}


@pytest.mark.parametrize("prefix", ["/", "/ocsp/r1/", "//"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_decoded", [False, True], ids=["as sent", "decoded"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_get_is_answered_whatever_a_service_has_decoded_of_its_path(
    shape: str, is_decoded: bool, form: str, prefix: str
) -> None:
    for asked in ASKED:
        path = prefix + FORMS[form](b64encode(encode_request(asked)).decode())
        assert answered(event_of(shape, "GET", path, is_decoded=is_decoded)) == [asked]


@pytest.mark.parametrize("shape", ["function-url", "rest-api"])
def test_every_escape_comes_through(shape: str) -> None:
    (asked,) = ASKED[:1]
    text = b64encode(encode_request(asked)).decode()
    for octet in range(256):
        for escape in (f"%{octet:02x}", f"%25{octet:02X}"):
            for is_decoded in (False, True):
                event = event_of(shape, "GET", f"/{escape}/{text}", is_decoded=is_decoded)
                assert answered(event) == [asked], (escape, is_decoded)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_post_is_answered(shape: str) -> None:
    assert answered(event_of(shape, "POST", "/", body=encode_request(ASKED[0]))) == ASKED[:1]


@pytest.mark.parametrize("shape", SHAPES)
def test_who_has_the_answer_gets_304(shape: str) -> None:
    path = "/" + b64encode(encode_request(ASKED[0])).decode()
    first = respond(SOURCE, read_event(event_of(shape, "GET", path)).request, NOW)
    tag = dict(first.headers)["ETag"]
    event = event_of(shape, "GET", path, headers={"If-None-Match": f'"other", {tag}'})

    response = written(respond(SOURCE, read_event(event).request, NOW), event)

    assert (response["statusCode"], response["body"], response["isBase64Encoded"]) == (304, "", False)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_response_has_headers_as_its_shape_wants_them_and_none_that_gateways_set(shape: str) -> None:
    event = event_of(shape, "GET", "/" + b64encode(encode_request(ASKED[0])).decode())
    response = written(respond(SOURCE, read_event(event).request, NOW), event)

    assert ("headers" in response, "multiValueHeaders" in response) == (
        (False, True) if shape == "load-balancer-multi" else (True, False)
    )
    headers = response.get("headers") or {name: value for name, (value,) in response["multiValueHeaders"].items()}
    assert headers.keys() == {"Content-Type", "Cache-Control", "Expires", "Last-Modified", "ETag"}
    assert response.get("statusDescription") == ("200 OK" if shape.startswith("load-balancer") else None)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_client_is_whom_aws_has_seen_and_not_whom_the_client_names(shape: str) -> None:
    assert read_event(event_of(shape, "GET", "/")).remote == CLIENT


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("shape", SHAPES)
def test_health_is_told_also_below_a_stage(shape: str, path: str) -> None:
    assert read_event(event_of(shape, "GET", path)).request.raw_path == path.encode()


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"version": "2.0", "requestContext": {}}, {"path": "/"}])
def test_what_is_no_request_is_refused(event: Event) -> None:
    with pytest.raises(ValueError, match="is no HTTP request"):
        read_event(event)


def test_a_path_that_is_no_text_and_a_body_that_is_no_base64_are_malformed_and_nothing_worse() -> None:
    strange = event_of("http-api-v2", "GET", "/\ud800MEI\U0001f600")
    broken = event_of("rest-api", "POST", "/") | Event(body="MEI", isBase64Encoded=True)
    damaged = event_of("rest-api", "POST", "/") | Event(body="0B0@0\ufffd\ufffd", isBase64Encoded=False)
    for event in (strange, broken, damaged):
        assert respond(source_of(), read_event(event).request, NOW).record.outcome == "malformed"
