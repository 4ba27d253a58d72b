"""A server that speaks enough of S3 to be published to, and does not do what If-None-Match asks for.

Many servers ignore the header, some refuse it; those that can be installed here do neither.
"""

import re
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback import LoopbackHandler, LoopbackServer


class CarelessS3(LoopbackServer):
    """Objects in memory.

    Attributes:
        refuses: whether a conditional write is answered 501 instead of being done without its condition.
        requests: method and key, in their order.
    """

    def __init__(self, *, refuses: bool) -> None:
        super().__init__(_Handler)
        self.refuses = refuses
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []


class _Handler(LoopbackHandler):
    server: CarelessS3

    @property
    def key(self) -> str:
        key = unquote(urlsplit(self.path).path).partition("/")[2].partition("/")[2]
        self.server.requests.append((self.command, key))
        return key

    def do_PUT(self) -> None:
        octets = self.body()
        key = self.key
        if self.server.refuses and self.headers.get("If-None-Match"):
            self.answer(HTTPStatus.NOT_IMPLEMENTED, b"<Error><Code>NotImplemented</Code></Error>")
            return
        self.server.objects[key] = octets
        self.answer(HTTPStatus.OK)

    def do_GET(self) -> None:
        key = self.key
        if not key:
            self._list(parse_qs(urlsplit(self.path).query).get("prefix", [""])[0])
            return
        octets = self.server.objects.get(key)
        if octets is None:
            self.answer(HTTPStatus.NOT_FOUND, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self.answer_part(octets)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.key, None)
        self.answer(HTTPStatus.NO_CONTENT)

    def do_POST(self) -> None:
        asked = self.body().decode()
        _ = self.key
        for key in re.findall("<Key>([^<]+)</Key>", asked):
            self.server.objects.pop(key, None)
        self.answer(HTTPStatus.OK, b"<DeleteResult></DeleteResult>")

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(octets)}</Size>"
            "<LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>"
            for key, octets in self.server.objects.items()
            if key.startswith(prefix)
        )
        self.answer(HTTPStatus.OK, f"<ListBucketResult>{found}</ListBucketResult>".encode())
