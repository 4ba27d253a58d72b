"""The whole of the edge's behaviour as one function: a request and the time in, a reply and its log record out."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import sha256
from typing import NamedTuple

from storage.certid import HASH_NAMES, CertID
from storage.der import ENUMERATED, SEQUENCE, tlv
from storage.edge.caching import (
    MAX_AGE_CAP_S,
    NO_STORE,
    caching_headers,
    http_date,
    is_not_modified,
    last_servable,
)
from storage.edge.guard import is_only_about, written
from storage.edge.record import LoggedRequest, OcspStatus, Outcome
from storage.edge.source import AnswerSource
from storage.edge.watching.readiness import Readiness, State, readiness_of
from storage.errors import NothingPublishedError, StorageError
from storage.reader import Answer
from storage.request import MalformedRequestError, parse_request
from storage.request_path import Meaning, readings

MAX_BODY_BYTES = 64 * 1024
MAX_PATH_BYTES = 8 * 1024  # a request percent-encoded twice, with all that it may hold; more would only cost time
_SURE_SERIAL_OCTETS = 8
_HEALTHZ, _READYZ = b"/healthz", b"/readyz"
_PROBES, _READS = frozenset({_HEALTHZ, _READYZ}), frozenset({"GET", "HEAD"})

_METHODS = ("GET", "HEAD", "POST")
_OCSP_TYPE = ("Content-Type", "application/ocsp-response")
_TEXT_TYPE = ("Content-Type", "text/plain; charset=utf-8")
_JSON_TYPE = ("Content-Type", "application/json")

Headers = tuple[tuple[str, str], ...]


class HttpRequest(NamedTuple):
    """A request as it came: header names in lower case.

    Attributes:
        raw_path: not decoded, not merged and without a query.
        is_decoded: whether the server has decoded that path once already.
    """

    method: str
    raw_path: bytes
    headers: Mapping[str, str]
    body: bytes = b""
    is_decoded: bool = False


class Reply(NamedTuple):
    """What goes back; `headers` holds all but those of the connection."""

    status: int
    headers: Headers
    body: bytes
    record: LoggedRequest


def is_probe(request: HttpRequest) -> bool:
    """Tell whether this asks for the server's health, which needs no lookup."""
    return request.raw_path in _PROBES and request.method in _READS


def respond(source: AnswerSource, request: HttpRequest, now: int, *, max_age_cap_s: int = MAX_AGE_CAP_S) -> Reply:
    """Return the reply to a request at `now`, in whole seconds since 1970. Never raises for anything a client sends.

    A body of which more than `MAX_BODY_BYTES` octets are here need not be complete. Caches keep no answer for longer
    than `max_age_cap_s`.
    """
    if is_probe(request):
        return probe(request, now, readiness_of(source, now))
    if request.method not in _METHODS:
        return refuse(request, now, 405, Outcome.WRONG_METHOD, ("Allow", ", ".join(_METHODS)))
    if len(request.body) > MAX_BODY_BYTES:
        return refuse(request, now, 413, Outcome.TOO_LARGE)
    if len(request.raw_path) > MAX_PATH_BYTES:
        return refuse(request, now, 414, Outcome.TOO_LARGE)
    try:
        if request.method == "POST":
            meanings: tuple[Meaning, ...] = (Meaning(request.body, parse_request(request.body), as_written=True),)
        else:
            meanings = readings(request.raw_path, is_decoded=request.is_decoded)
    except MalformedRequestError as error:
        malformed, named = OcspStatus.malformedRequest, error.cert_id
        return ocsp_error(request, now, malformed, Outcome.MALFORMED, cert_id=named, detail=str(error))
    return _answer(source, request, meanings, now, max_age_cap_s)


class _RefusedError(Exception):
    """The request is understood, but there is no answer that may be given; or it can mean several certificates."""

    def __init__(self, status: OcspStatus, outcome: Outcome, cause: Exception | None = None) -> None:
        super().__init__(status, outcome, cause)
        self.status = status
        self.outcome = outcome
        self.detail = None if cause is None else f"{type(cause).__name__}: {cause}"


def _answer(
    source: AnswerSource, request: HttpRequest, meanings: Sequence[Meaning], now: int, max_age_cap_s: int
) -> Reply:
    cert_id, generation = meanings[0].cert_id, source.generation
    try:
        cert_id, answer = _find(source, meanings)
        generation = answer.generation
        _check(answer, cert_id, now)
    except _RefusedError as why:
        named = None if why.outcome is Outcome.MALFORMED else cert_id  # of several that it can mean, none was asked for
        return ocsp_error(
            request, now, why.status, why.outcome, cert_id=named, generation=generation, detail=why.detail
        )
    return _deliver(request, answer, cert_id, now, max_age_cap_s)


def _find(source: AnswerSource, meanings: Sequence[Meaning]) -> tuple[CertID, Answer]:
    """Return the answer, and of what a request can mean (mostly one thing) that for which there is one.

    What it says as it is written goes first. Others are left by a proxy that merges slashes. Those that differ in the
    hashes cannot be of two issuers that are both known. Those that differ in the serial alone are told apart by which
    certificate there is, where serials are random and long (64 bits, BR 7.1): the odds that one of a billion
    certificates has another reading are 2^-34.
    """
    first = meanings[0]
    if first.cert_id.hash_oid not in HASH_NAMES:
        raise _RefusedError(OcspStatus.unauthorized, Outcome.UNKNOWN_HASH)
    if first.as_written and (answer := _look_up(source, first.cert_id)) is not None:
        return first.cert_id, answer
    return _find_other(source, meanings)


def _find_other(source: AnswerSource, meanings: Sequence[Meaning]) -> tuple[CertID, Answer]:
    """Return the answer to what a request means if slashes are put back."""
    others = [one.cert_id for one in meanings if not one.as_written and one.cert_id.hash_oid in HASH_NAMES]
    if meanings[0].as_written:
        others = [cert_id for cert_id in others if len(cert_id.serial) >= _SURE_SERIAL_OCTETS]
    found = [(cert_id, answer) for cert_id in others if (answer := _look_up(source, cert_id)) is not None]
    if not found:
        raise _RefusedError(OcspStatus.unauthorized, Outcome.NOT_STORED)
    (cert_id, answer), *more = found
    is_sure = len(cert_id.serial) >= _SURE_SERIAL_OCTETS or not any(
        one[:3] == cert_id[:3] and one != cert_id for one in others
    )
    if more or not is_sure:
        merged = MalformedRequestError("a proxy has merged slashes of the path, and it can mean several certificates")
        raise _RefusedError(OcspStatus.malformedRequest, Outcome.MALFORMED, merged)
    return cert_id, answer


def _look_up(source: AnswerSource, cert_id: CertID) -> Answer | None:
    try:
        return source.lookup(cert_id)
    except NothingPublishedError:
        raise _RefusedError(OcspStatus.tryLater, Outcome.NOTHING_PUBLISHED) from None
    except (StorageError, EOFError, FileNotFoundError) as damage:  # a pack that ends early or is gone is damage too
        raise _RefusedError(OcspStatus.tryLater, Outcome.DAMAGED, damage) from damage
    except OSError as failure:
        raise _RefusedError(OcspStatus.tryLater, Outcome.UNREACHABLE, failure) from failure


def _check(answer: Answer, cert_id: CertID, now: int) -> None:
    if now < answer.this_update:
        raise _RefusedError(OcspStatus.tryLater, Outcome.NOT_YET_VALID)
    if now > last_servable(answer):
        raise _RefusedError(OcspStatus.tryLater, Outcome.EXPIRED)
    times = written(answer.this_update), written(answer.next_update)
    try:
        is_right = is_only_about(answer.der, cert_id, times)
    except ValueError as nonsense:
        raise _RefusedError(OcspStatus.tryLater, Outcome.WRONG_ANSWER, nonsense) from nonsense
    if not is_right:
        raise _RefusedError(OcspStatus.tryLater, Outcome.WRONG_ANSWER)


def _deliver(request: HttpRequest, answer: Answer, cert_id: CertID, now: int, max_age_cap_s: int) -> Reply:
    etag = f'"{sha256(answer.der).hexdigest()}"'
    dated, tagged = caching_headers(answer, now, max_age_cap_s), ("ETag", etag)
    status, outcome, body = 200, Outcome.ANSWERED, b"" if request.method == "HEAD" else answer.der
    headers = answered_headers(answer, tagged, dated)
    # Conditions are for reads: a POST has no stored form to compare with (RFC 9110, 13.1.2).
    if request.headers and request.method != "POST" and is_not_modified(request.headers, etag):
        status, outcome, body = 304, Outcome.NOT_MODIFIED, b""
        headers = headers[2:]
    record = LoggedRequest(
        method=request.method,
        outcome=outcome,
        http=status,
        ocsp=OcspStatus.successful,
        cert_id=cert_id,
        generation=answer.generation,
        body_bytes=len(body),
        answer=answer,
    )
    return Reply(status, headers, body, record)


def answered_headers(answer: Answer, etag: tuple[str, str], dated: Headers) -> Headers:
    """Return the headers of an answer; a 304 has all but the first two of them."""
    control, expires, modified, date = dated
    return _OCSP_TYPE, ("Content-Length", str(len(answer.der))), control, expires, modified, etag, date


def probe(
    request: HttpRequest, now: int, readiness: Readiness, *, unready: AbstractSet[State] = frozenset({State.UNREADY})
) -> Reply:
    """Return the reply to a request about the server's health; `unready` are the states that are HTTP 503."""
    if request.raw_path == _HEALTHZ:
        return _plain(request, now, 200, Outcome.PROBE, "alive")
    status = 503 if readiness.state in unready else 200
    return _bodied(request, now, status, Outcome.PROBE, _JSON_TYPE, readiness.encode())


def ocsp_error(
    request: HttpRequest,
    now: int,
    status: OcspStatus,
    outcome: Outcome,
    *,
    cert_id: CertID | None = None,
    generation: int | None = None,
    detail: str | None = None,
) -> Reply:
    """Return an OCSP response without an answer: HTTP 200, and no cache may keep it."""
    body = tlv(SEQUENCE, tlv(ENUMERATED, bytes((status,))))
    headers = (_OCSP_TYPE, ("Content-Length", str(len(body))), NO_STORE, ("Date", http_date(now)))
    body = b"" if request.method == "HEAD" else body
    record = LoggedRequest(
        method=request.method,
        outcome=outcome,
        http=200,
        ocsp=status,
        cert_id=cert_id,
        generation=generation,
        body_bytes=len(body),
        detail=detail,
    )
    return Reply(200, headers, body, record)


def refuse(request: HttpRequest, now: int, status: int, outcome: Outcome, *headers: tuple[str, str]) -> Reply:
    """Return a reply of HTTP alone, for what never was an OCSP request."""
    return _plain(request, now, status, outcome, outcome.value, *headers)


def _plain(
    request: HttpRequest, now: int, status: int, outcome: Outcome, text: str, *headers: tuple[str, str]
) -> Reply:
    return _bodied(request, now, status, outcome, _TEXT_TYPE, f"{text}\n".encode(), *headers)


def _bodied(
    request: HttpRequest,
    now: int,
    status: int,
    outcome: Outcome,
    kind: tuple[str, str],
    body: bytes,
    *headers: tuple[str, str],
) -> Reply:
    all_headers = (kind, ("Content-Length", str(len(body))), *headers, NO_STORE, ("Date", http_date(now)))
    body = b"" if request.method == "HEAD" else body
    record = LoggedRequest(method=request.method, outcome=outcome, http=status, body_bytes=len(body))
    return Reply(status, all_headers, body, record)
