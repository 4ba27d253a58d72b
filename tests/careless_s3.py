"""A server that speaks enough of S3 to be published to, and does not do what If-None-Match asks for.

Many servers ignore the header, some refuse it; those that can be installed here do neither.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class CarelessS3(ThreadingHTTPServer):
    """Objects in memory.

    Attributes:
        refuses: whether a conditional write is answered 501 instead of being done without its condition.
        requests: method and key, in their order.
    """

    def __init__(self, *, refuses: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refuses = refuses
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: CarelessS3
    protocol_version = "HTTP/1.1"

    @property
    def key(self) -> str:
        key = unquote(urlsplit(self.path).path).partition("/")[2].partition("/")[2]
        self.server.requests.append((self.command, key))
        return key

    def do_PUT(self) -> None:
        octets = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        key = self.key
        if self.server.refuses and self.headers.get("If-None-Match"):
            self._answer(HTTPStatus.NOT_IMPLEMENTED, b"<Error><Code>NotImplemented</Code></Error>")
            return
        self.server.objects[key] = octets
        self._answer(HTTPStatus.OK)

    def do_GET(self) -> None:
        key = self.key
        if not key:
            self._list(parse_qs(urlsplit(self.path).query).get("prefix", [""])[0])
            return
        octets = self.server.objects.get(key)
        if octets is None:
            self._answer(HTTPStatus.NOT_FOUND, b"<Error><Code>NoSuchKey</Code></Error>")
        elif found := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            start, end = int(found[1]), min(int(found[2]), len(octets) - 1)
            place = ("Content-Range", f"bytes {start}-{end}/{len(octets)}")
            self._answer(HTTPStatus.PARTIAL_CONTENT, octets[start : end + 1], place)
        else:
            self._answer(HTTPStatus.OK, octets)

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.key, None)
        self._answer(HTTPStatus.NO_CONTENT)

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        _ = self.key
        for key in re.findall("<Key>([^<]+)</Key>", asked):
            self.server.objects.pop(key, None)
        self._answer(HTTPStatus.OK, b"<DeleteResult></DeleteResult>")

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(octets)}</Size>"
            "<LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>"
            for key, octets in self.server.objects.items()
            if key.startswith(prefix)
        )
        self._answer(HTTPStatus.OK, f"<ListBucketResult>{found}</ListBucketResult>".encode())

    def _answer(self, status: HTTPStatus, body: bytes = b"", *more: tuple[str, str]) -> None:
        self.send_response(status)
        headers = (
            ("Content-Length", str(len(body))),
            ("ETag", '"e"'),
            ("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
        )
        for name, value in (*headers, *more):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in http.server
        """Say nothing."""


@contextmanager
def careless_s3(*, refuses: bool) -> Iterator[CarelessS3]:
    """Run the server for the time of the context."""
    with CarelessS3(refuses=refuses) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
