import re
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.certid import SHA1, SHA256, CertID
from storage.der import BOOLEAN, OCTET_STRING, OID, SEQUENCE, tlv
from storage.edge.guard import written
from storage.edge.record import OcspStatus, Outcome
from storage.edge.respond import MAX_BODY_BYTES, MAX_PATH_BYTES, HttpRequest, Reply, respond
from storage.errors import ChecksumError, NothingPublishedError
from storage.reader import Answer
from storage.request_path import readings
from tests.storage.edge.answers import (
    GENERATION,
    NEXT_UPDATE,
    REFRESH_BY,
    THIS_UPDATE,
    FakeSource,
    answer_to,
    cert_id,
    encode_cert_id,
    encode_request,
    freshness_until,
    source_of,
)

ASKED = cert_id()
NOW = REFRESH_BY - 3_600
REQUEST = encode_request(ASKED)
PATH = b"/" + b64encode(REQUEST)
DATE = "Wed, 25 Nov 2026 23:00:00 GMT"
CRITICAL = tlv(
    0xA2, tlv(SEQUENCE, tlv(SEQUENCE, tlv(OID, b"\x2a\x03"), tlv(BOOLEAN, b"\xff"), tlv(OCTET_STRING, b"x")))
)  # an extension that nobody understands
OCSP_ERROR_HEADERS = (
    ("Content-Type", "application/ocsp-response"),
    ("Content-Length", "5"),
    ("Cache-Control", "no-store"),
    ("Date", DATE),
)


def get(path: bytes = PATH, method: str = "GET", **headers: str) -> HttpRequest:
    return HttpRequest(
        method=method, raw_path=path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def post(body: bytes = REQUEST, path: bytes = b"/", **headers: str) -> HttpRequest:
    return get(path, "POST", **headers)._replace(body=body)


def assert_ocsp_error(reply: Reply, status: OcspStatus, outcome: Outcome) -> None:
    assert (reply.status, reply.body) == (200, bytes((0x30, 3, 0x0A, 1, status)))
    assert dict(reply.headers) | {"Date": DATE} == dict(OCSP_ERROR_HEADERS)
    record = reply.record
    assert (record.http, record.ocsp, record.outcome, record.body_bytes) == (200, status, outcome, 5)


@pytest.mark.parametrize("request_", [get(), post(), post(path=b"/any/path")], ids=["GET", "POST", "POST elsewhere"])
def test_an_answer_has_exactly_these_headers(request_: HttpRequest) -> None:
    source = source_of(ASKED)
    der = source.answers[ASKED].der

    reply = respond(source, request_, NOW)

    assert (reply.status, reply.body) == (200, der)
    assert reply.headers == (
        ("Content-Type", "application/ocsp-response"),
        ("Content-Length", str(len(der))),
        ("Cache-Control", "public, no-transform, must-revalidate"),
        ("Expires", "Thu, 26 Nov 2026 00:00:00 GMT"),
        ("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
        ("ETag", f'"{sha256(der).hexdigest()}"'),
        ("Date", DATE),
    )
    record = reply.record
    assert (record.outcome, record.http, record.ocsp) == (Outcome.ANSWERED, 200, OcspStatus.successful)
    assert (record.cert_id, record.generation, record.body_bytes) == (ASKED, GENERATION, len(der))


def test_a_head_has_the_headers_of_a_get_and_no_body() -> None:
    source = source_of(ASKED)

    head, full = respond(source, get(method="HEAD"), NOW), respond(source, get(), NOW)

    assert (head.status, head.headers, head.body) == (200, full.headers, b"")
    assert head.record.body_bytes == 0


def test_a_head_without_an_answer_has_the_headers_of_the_error_and_no_body() -> None:
    reply = respond(FakeSource(), get(method="HEAD"), NOW)

    assert (reply.status, reply.headers, reply.body) == (200, OCSP_ERROR_HEADERS, b"")
    assert reply.record.ocsp == OcspStatus.unauthorized


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_has_the_answer_gets_304_with_the_same_caching_headers(method: str) -> None:
    source = source_of(ASKED)
    full = respond(source, get(), NOW)
    tag = dict(full.headers)["ETag"]

    reply = respond(source, get(method=method, if_none_match=tag), NOW)

    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers == full.headers[2:]
    assert (reply.record.outcome, reply.record.body_bytes) == (Outcome.NOT_MODIFIED, 0)


@pytest.mark.parametrize("since", ["Tue, 24 Nov 2026 00:00:00 GMT", DATE, "Fri, 31 Dec 2099 23:59:59 GMT"])
def test_a_date_alone_never_hides_an_answer_that_was_corrected_for_the_same_instant(since: str) -> None:
    source = source_of(ASKED)
    corrected = source.answers[ASKED]._replace(der=source.answers[ASKED].der[:-1] + b"\1")
    source.answers[ASKED] = corrected

    reply = respond(source, get(if_modified_since=since), NOW)

    assert (reply.status, reply.body) == (200, corrected.der)


def test_a_cap_shortens_how_long_caches_keep_an_answer() -> None:
    reply = respond(source_of(ASKED), get(), NOW, max_age_cap_s=60)

    assert dict(reply.headers)["Expires"] == "Wed, 25 Nov 2026 23:01:00 GMT"


def test_a_new_response_for_the_same_window_is_sent_in_full_to_who_has_the_old_tag() -> None:
    assert respond(source_of(ASKED), get(if_none_match='"old"'), NOW).status == 200


def test_a_post_knows_no_conditions() -> None:
    assert respond(source_of(ASKED), post(if_none_match="*"), NOW).status == 200


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (THIS_UPDATE - 1, Outcome.NOT_YET_VALID),
        (THIS_UPDATE, Outcome.ANSWERED),
        (NEXT_UPDATE - 60, Outcome.ANSWERED),
        (NEXT_UPDATE - 59, Outcome.EXPIRED),
        (NEXT_UPDATE, Outcome.EXPIRED),
        (NEXT_UPDATE + 86_400, Outcome.EXPIRED),
    ],
)
@pytest.mark.parametrize("request_", [get(), post(), get(if_none_match="*")], ids=["GET", "POST", "conditional"])
def test_answers_are_served_within_their_window_only(now: int, outcome: Outcome, request_: HttpRequest) -> None:
    reply = respond(source_of(ASKED), request_, now)

    assert (reply.body[:2] == b"\x30\x03") == (outcome is not Outcome.ANSWERED)
    if outcome is Outcome.ANSWERED:
        assert reply.status in {200, 304}
    else:
        assert_ocsp_error(reply, OcspStatus.tryLater, outcome)


def test_what_is_not_stored_is_unauthorized_and_the_log_names_it() -> None:
    reply = respond(source_of(cert_id(7)), get(), NOW)

    assert_ocsp_error(reply, OcspStatus.unauthorized, Outcome.NOT_STORED)
    assert (reply.record.cert_id, reply.record.generation) == (ASKED, GENERATION)


@pytest.mark.parametrize("other", [cert_id(issuer=b"another"), cert_id(hash_oid=SHA256), cert_id(-0x1234)])
def test_issuer_hash_and_serial_must_all_be_right(other: CertID) -> None:
    assert_ocsp_error(respond(source_of(other), get(), NOW), OcspStatus.unauthorized, Outcome.NOT_STORED)


def test_another_hash_than_sha1_and_sha256_is_unauthorized() -> None:
    sha512 = encode_request(encode_cert_id(ASKED, oid=bytes.fromhex("608648016503040203")))

    reply = respond(FakeSource(failure=AssertionError("must not be asked")), post(sha512), NOW)

    assert_ocsp_error(reply, OcspStatus.unauthorized, Outcome.UNKNOWN_HASH)
    assert reply.record.cert_id == ASKED._replace(hash_oid="2.16.840.1.101.3.4.2.3")


@pytest.mark.parametrize("hash_oid", [SHA1, SHA256])
def test_both_hashes_are_answered_from_a_combined_response(hash_oid: str) -> None:
    both = answer_to(cert_id(), cert_id(hash_oid=SHA256))
    asked = cert_id(hash_oid=hash_oid)

    assert respond(FakeSource({asked: both}), post(encode_request(asked)), NOW).body == both.der


@pytest.mark.parametrize("asked", [cert_id(), cert_id(hash_oid=SHA256)], ids=["sha1", "sha256"])
def test_no_single_response_of_a_combined_one_may_be_about_another_certificate(asked: CertID) -> None:
    other = cert_id(hash_oid=SHA1 if asked.hash_oid == SHA256 else SHA256)._replace(serial=b"\x0b\xad")
    mixed = answer_to(asked, other)

    reply = respond(FakeSource({asked: mixed}), post(encode_request(asked)), NOW)

    assert_ocsp_error(reply, OcspStatus.tryLater, Outcome.WRONG_ANSWER)


@pytest.mark.parametrize("hash_oid", [SHA1, SHA256])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("right", "wrong"), [(THIS_UPDATE, THIS_UPDATE - 1), (NEXT_UPDATE, NEXT_UPDATE + 1)], ids=["begin", "end"]
)
def test_each_single_response_of_a_combined_one_must_be_of_the_window(
    hash_oid: str, which: int, right: int, wrong: int
) -> None:
    both = answer_to(cert_id(), cert_id(hash_oid=SHA256))
    asked, parts = cert_id(hash_oid=hash_oid), both.der.split(written(right))
    # What stands between the times; producedAt, which is not looked at, equals thisUpdate and is first.
    places = [written(right)] * (len(parts) - 1)
    places[len(places) - 2 + which] = written(wrong)
    mixed = b"".join(octets for pair in zip(parts, [*places, b""], strict=True) for octets in pair)
    assert len(mixed) == len(both.der)

    reply = respond(FakeSource({asked: both._replace(der=mixed)}), post(encode_request(asked)), NOW)

    assert_ocsp_error(reply, OcspStatus.tryLater, Outcome.WRONG_ANSWER)


@pytest.mark.parametrize(
    ("failure", "outcome", "alarm"),
    [
        (NothingPublishedError("file:///store"), Outcome.NOTHING_PUBLISHED, False),
        (ChecksumError("packs/1", "bucket 3 is damaged"), Outcome.DAMAGED, True),
        (EOFError("packs/1 ends early"), Outcome.DAMAGED, True),
        (FileNotFoundError("packs/1"), Outcome.DAMAGED, True),
        (ConnectionError("no answer within 10 s"), Outcome.UNREACHABLE, False),
        (PermissionError("the key has expired"), Outcome.UNREACHABLE, False),
        (TimeoutError("slow"), Outcome.UNREACHABLE, False),
    ],
)
def test_a_store_in_trouble_means_try_later(failure: Exception, outcome: Outcome, alarm: bool) -> None:
    reply = respond(FakeSource(failure=failure), get(), NOW)

    assert_ocsp_error(reply, OcspStatus.tryLater, outcome)
    assert reply.record.cert_id == ASKED
    assert reply.record.alarm == alarm
    if outcome is not Outcome.NOTHING_PUBLISHED:
        assert str(failure) in (reply.record.detail or "")


@pytest.mark.parametrize(
    "stored",
    [
        answer_to(cert_id(7)),
        answer_to(cert_id(hash_oid=SHA256)),
        answer_to(cert_id(issuer=b"another")),
        answer_to(ASKED)._replace(der=b"\0"),
        answer_to(ASKED)._replace(der=bytes.fromhex("30030a0106")),
    ],
    ids=["another serial", "another hash", "another issuer", "one octet", "an error"],
)
@pytest.mark.parametrize("request_", [get(), post(expect="100-continue"), get(if_none_match="*")])
def test_another_certificates_answer_never_leaves(stored: Answer, request_: HttpRequest) -> None:
    source = FakeSource({ASKED: stored})

    reply = respond(source, request_, NOW)

    assert_ocsp_error(reply, OcspStatus.tryLater, Outcome.WRONG_ANSWER)
    assert reply.record.alarm


@pytest.mark.parametrize("change", [{"this_update": THIS_UPDATE + 86_400}, {"next_update": NEXT_UPDATE + 86_400}])
def test_an_old_answer_in_a_new_window_never_leaves(change: dict[str, int]) -> None:
    """Whoever may write to the store can say what he likes in the tables, but the signature covers the true times."""
    dressed = answer_to(ASKED)._replace(**change)  # type: ignore[arg-type]

    reply = respond(FakeSource({ASKED: dressed}), get(), NEXT_UPDATE if "next_update" in change else NOW)

    assert_ocsp_error(reply, OcspStatus.tryLater, Outcome.WRONG_ANSWER)
    assert reply.record.alarm


@pytest.mark.parametrize("request_", [post(b""), post(REQUEST + b"\0"), get(b"/"), get(b"/favicon.ico"), get(b"*")])
def test_what_is_no_request_is_malformed(request_: HttpRequest) -> None:
    reply = respond(source_of(ASKED), request_, NOW)

    assert_ocsp_error(reply, OcspStatus.malformedRequest, Outcome.MALFORMED)
    assert reply.record.cert_id is None
    assert reply.record.detail


def two_meanings(octets: int) -> tuple[bytes, CertID, CertID]:
    """Return a path in which a proxy has merged slashes, and the two certificates of one issuer that it can mean."""
    for number in range(32):
        # Three letters, of which the first and the last are slashes, at any bit; one more slash behind or before them.
        bits = (0x3F << 18) | (0x3F << 12) | (number << 6) | 0x3F
        one = cert_id((1 << (octets * 8 - 2)) | bits << number % 8)
        text = b64encode(encode_request(one))
        path = b"/" + re.sub(rb"/+", b"/", text)
        if b"//" in text and len(found := [reading.cert_id for reading in readings(path)]) == 2:
            (other,) = set(found) - {one}
            return path, one, other
    raise AssertionError("no such serial")


def test_behind_a_proxy_that_merges_slashes_the_certificate_that_there_is_is_meant() -> None:
    path, one, other = two_meanings(16)

    for stored in (one, other):
        reply = respond(source_of(stored), get(path), NOW)
        assert (reply.body, reply.record.cert_id) == (answer_to(stored).der, stored)
    assert_ocsp_error(respond(source_of(cert_id()), get(path), NOW), OcspStatus.unauthorized, Outcome.NOT_STORED)


def test_a_path_as_it_is_written_goes_before_one_that_lost_a_slash() -> None:
    path, written, meant = next(
        (path, found[0].cert_id, asked)
        for number in range(4096)
        if b"//" in (text := b64encode(encode_request(asked := cert_id((1 << 110) | (0xFFFF << 40) | number))))
        and not text.endswith(b"=")
        and (path := b"/" + re.sub(rb"/+", b"/", text) + b"/")
        and (found := readings(path))[0].as_written
    )
    assert written != meant

    for stored, answered in (([written], written), ([meant], meant), ([written, meant], written)):
        assert respond(source_of(*stored), get(path), NOW).record.cert_id == answered


@pytest.mark.parametrize("octets", [16, 5])
def test_what_can_mean_two_certificates_that_there_may_be_is_refused(octets: int) -> None:
    path, one, other = two_meanings(octets)
    stored = (one, other) if octets == 16 else (one,)

    reply = respond(source_of(*stored), get(path), NOW)

    assert_ocsp_error(reply, OcspStatus.malformedRequest, Outcome.MALFORMED)
    assert "a proxy has merged slashes" in (reply.record.detail or "")
    assert reply.record.cert_id is None, "the line names neither of them"


def test_the_log_names_the_certificate_of_a_malformed_request_that_names_one() -> None:
    der = encode_request(ASKED, after=CRITICAL)

    for request in (post(der), get(b"/" + b64encode(der)), get(b"/ocsp/r1/" + b64encode(der))):
        reply = respond(source_of(ASKED), request, NOW)
        assert_ocsp_error(reply, OcspStatus.malformedRequest, Outcome.MALFORMED)
        assert reply.record.cert_id == ASKED


def test_the_log_names_no_certificate_of_a_malformed_path_that_has_lost_slashes() -> None:
    text = b64encode(encode_request(cert_id(0x7FFFFFFFFFFF << 64), after=CRITICAL))
    assert b"//" in text

    reply = respond(source_of(ASKED), get(b"/" + re.sub(rb"/+", b"/", text)), NOW)

    assert_ocsp_error(reply, OcspStatus.malformedRequest, Outcome.MALFORMED)
    assert reply.record.cert_id is None


def test_a_get_under_any_path_is_answered() -> None:
    for prefix in (b"/ocsp", b"/ocsp/r1", b"/M"):
        assert respond(source_of(ASKED), get(prefix + PATH), NOW).body == answer_to(ASKED).der


def test_a_path_of_8_kib_is_read_and_one_octet_more_is_too_long() -> None:
    full, longer = (respond(FakeSource(), get(b"/".ljust(MAX_PATH_BYTES + more, b"%")), NOW) for more in (0, 1))

    assert full.record.outcome is Outcome.MALFORMED
    assert (longer.status, longer.record.outcome, longer.record.ocsp) == (414, Outcome.TOO_LARGE, None)


def test_a_body_of_64_kib_is_read_and_one_octet_more_is_too_large() -> None:
    full, larger = (respond(FakeSource(), post(bytes(MAX_BODY_BYTES + more)), NOW) for more in (0, 1))

    assert full.record.outcome is Outcome.MALFORMED
    assert (larger.status, larger.record.outcome, larger.record.ocsp) == (413, Outcome.TOO_LARGE, None)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "BREW", "get"])
def test_other_methods_are_told_which_there_are(method: str) -> None:
    reply = respond(source_of(ASKED), get(method=method), NOW)

    assert reply.status == 405
    assert reply.headers == (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", "13"),
        ("Allow", "GET, HEAD, POST"),
        ("Cache-Control", "no-store"),
        ("Date", DATE),
    )
    assert reply.record.outcome is Outcome.WRONG_METHOD


def test_healthz_says_that_the_process_lives_whatever_is_loaded() -> None:
    source = FakeSource(generation=None, freshness=None, failure=OSError())

    assert respond(source, get(b"/healthz"), NOW).status == 200


@pytest.mark.parametrize(
    ("generation", "now", "status"),
    [
        (None, NOW, 503),
        (GENERATION, NOW, 200),
        (GENERATION, NEXT_UPDATE - 60, 200),
        (GENERATION, NEXT_UPDATE - 59, 503),
    ],
)
def test_readyz_fails_when_nothing_fresh_is_loaded(generation: int | None, now: int, status: int) -> None:
    source = FakeSource(generation=generation, freshness=None if generation is None else freshness_until(NEXT_UPDATE))

    reply = respond(source, get(b"/readyz"), now)

    assert reply.status == status
    assert ("Cache-Control", "no-store") in reply.headers
    assert respond(source, get(b"/readyz", method="HEAD"), now).status == status


def test_a_post_to_the_path_of_a_probe_is_a_request_like_any_other() -> None:
    assert respond(source_of(ASKED), post(path=b"/healthz"), NOW).record.outcome is Outcome.ANSWERED


REQUESTS = st.builds(
    HttpRequest,
    method=st.sampled_from(["GET", "POST", "HEAD"]) | st.text(max_size=10),
    raw_path=st.binary(max_size=60).map(lambda path: b"/" + path)
    | st.binary(max_size=60).map(lambda der: b"/" + b64encode(der)),
    headers=st.dictionaries(st.sampled_from(["if-none-match", "if-modified-since"]), st.text(max_size=20)),
    body=st.binary(max_size=80) | st.just(REQUEST),
)


@given(request=REQUESTS, now=st.integers(0, 2**33))
def test_whatever_comes_there_is_a_well_formed_reply(request: HttpRequest, now: int) -> None:
    reply = respond(source_of(ASKED), request, now)

    names = [name for name, _ in reply.headers]
    assert len(set(names)) == len(names)
    assert dict(reply.headers)["Date"].endswith(" GMT")
    assert (reply.record.http, reply.record.body_bytes) == (reply.status, len(reply.body))
    if request.method in {"GET", "POST"} and reply.status == 200:
        assert dict(reply.headers)["Content-Length"] == str(len(reply.body))
        assert dict(reply.headers)["Content-Type"] == "application/ocsp-response"
        assert reply.body[0] == 0x30
        assert reply.body == source_of(ASKED).answers[ASKED].der or reply.body[:4] == b"\x30\x03\x0a\x01"
