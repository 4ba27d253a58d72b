"""Requests as AWS hands them to a function, and replies as it wants them back.

There are four shapes, which tell themselves apart:

    =========================  ============================  ===================  ==========================
    from                       told by                       path                 address of the client
    =========================  ============================  ===================  ==========================
    function URL, HTTP API     ``"version": "2.0"``          ``rawPath``          ``http.sourceIp``
    REST API, HTTP API of 1.0  ``httpMethod``                ``path``             ``identity.sourceIp``
    load balancer              ``httpMethod``, and ``elb``   ``path``             the last of X-Forwarded-For
                               in the context
    =========================  ============================  ===================  ==========================

**The path** is not always what the client sent: API Gateway has decoded it once (``rawPath`` of an HTTP API too), and
some have the name of a stage before it; function URLs and load balancers leave it. No request is lost by that:
`storage.request_path` decodes twice, and no letter of base64 is a percent sign; it takes a space for a plus, puts
merged slashes back, and does not mind what stands before the request. The query is never asked for.

**The body** comes in base64, which API Gateway does for a REST API only where ``binaryMediaTypes`` has ``*/*``:
without it, a POST is damaged before it is here, and gets ``malformedRequest``. Bodies go back in base64.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import NamedTuple, NotRequired, TypedDict

from storage.edge.respond import HttpRequest, Reply

_OF_THE_GATEWAY = {"content-length", "date"}  # it sets them itself, or renames ours (x-amzn-Remapped-Date)


class EventHttp(TypedDict, total=False):
    """What the context of payload 2.0 says of HTTP."""

    method: str
    sourceIp: str


class EventClient(TypedDict, total=False):
    """What the context of payload 1.0 says of the client."""

    sourceIp: str


class EventContext(TypedDict, total=False):
    """What an event says besides the request."""

    http: EventHttp
    identity: EventClient
    elb: Mapping[str, str]
    stage: str


class Event(TypedDict, total=False):
    """An event of any of the four shapes, as far as it is used here."""

    version: str
    rawPath: str
    httpMethod: str
    path: str
    headers: Mapping[str, str] | None
    multiValueHeaders: Mapping[str, Sequence[str]] | None
    requestContext: EventContext
    body: str | None
    isBase64Encoded: bool


class EventResponse(TypedDict):
    """What goes back; headers in the one or in the other way."""

    statusCode: int
    isBase64Encoded: bool
    body: str
    headers: NotRequired[dict[str, str]]
    multiValueHeaders: NotRequired[dict[str, list[str]]]
    statusDescription: NotRequired[str]


class EventRequest(NamedTuple):
    """A request, and the address of its client as far as AWS knows it."""

    request: HttpRequest
    remote: str


def read_event(event: Event) -> EventRequest:
    """Return the request that an event is about.

    Raises:
        ValueError: it is none of the four shapes.
    """
    context = event.get("requestContext") or {}
    headers = _headers_of(event)
    if event.get("version") == "2.0" and "http" in context:
        http = context["http"]
        method, path, remote = http.get("method"), event.get("rawPath"), http.get("sourceIp")
    else:
        method, path, remote = event.get("httpMethod"), event.get("path"), context.get("identity", {}).get("sourceIp")
        if "elb" in context:  # it puts the address of its peer behind what the peer says of others
            remote = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    if method is None or path is None:
        raise ValueError(
            "the event is no HTTP request: this function answers function URLs, API Gateway (payloads 1.0 and 2.0) and "
            "Application Load Balancers"
        )
    stage = f"/{context.get('stage', '')}"
    request = HttpRequest(
        method=method,
        # Of health checks, the whole path counts. JSON may hold what is no text.
        raw_path=(path.removeprefix(stage) if path.startswith(f"{stage}/") else path).encode("utf-8", "surrogatepass"),
        headers=headers,
        body=_body_of(event),
    )
    return EventRequest(request, remote or "")


def written(reply: Reply, event: Event) -> EventResponse:
    """Return a reply as whoever sent the event wants it."""
    headers = {name: value for name, value in reply.headers if name.lower() not in _OF_THE_GATEWAY}
    response = EventResponse(
        statusCode=reply.status, isBase64Encoded=bool(reply.body), body=b64encode(reply.body).decode("ascii")
    )
    if event.get("headers") is None and event.get("multiValueHeaders") is not None:
        response["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
    else:
        response["headers"] = headers
    if "elb" in (event.get("requestContext") or {}):
        response["statusDescription"] = f"{reply.status} {HTTPStatus(reply.status).phrase}"
    return response


def _headers_of(event: Event) -> dict[str, str]:
    """Return the headers, names in lower case, values of one name in one line (RFC 9110, 5.2)."""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    several = event.get("multiValueHeaders") or {}
    return headers | {name.lower(): ", ".join(values) for name, values in several.items()}


def _body_of(event: Event) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        with suppress(ValueError):
            return b64decode(body)
    return body.encode("utf-8", "surrogatepass")
