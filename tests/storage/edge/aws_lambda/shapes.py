"""Events as AWS documents them, in one file a shape; what a test asks for is put into them as that service would."""

import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from storage.edge.aws_lambda.events import Event

EVENTS = Path(__file__).parent / "events"
SHAPES = sorted(path.stem for path in EVENTS.glob("*.json"))
DECODED = {"http-api-v2", "http-api-v1", "rest-api"}
"""Where the path is decoded once before it is here."""

CLIENT = "192.0.2.7"


def event_of(
    shape: str,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    is_decoded: bool | None = None,
) -> Event:
    """Return the event that a request becomes."""
    event: Event = json.loads((EVENTS / f"{shape}.json").read_text())
    path = unquote(path) if (shape in DECODED if is_decoded is None else is_decoded) else path
    if stage := {"http-api-v1": "live"}.get(shape):
        path = f"/{stage}{path}"
    if event.get("version") == "2.0":
        event["rawPath"], event["requestContext"]["http"]["method"] = path, method
    else:
        event["path"], event["httpMethod"] = path, method
    event["body"], event["isBase64Encoded"] = (b64encode(body).decode() if body else None), bool(body)
    if event.get("headers") is not None:
        event["headers"] = {**(event["headers"] or {}), **(headers or {})}
    if event.get("multiValueHeaders") is not None:
        more = {name: [value] for name, value in (headers or {}).items()}
        event["multiValueHeaders"] = {**(event["multiValueHeaders"] or {}), **more}
    return event
