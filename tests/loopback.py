"""HTTP servers that do what a test says: in its process, on a port of 127.0.0.1, for the time of a block."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class LoopbackServer(ThreadingHTTPServer):
    """A server, each connection of which has a thread that ends with the tests."""

    daemon_threads = True

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Answer for the time of the context."""
        with self:
            thread = threading.Thread(target=self.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield self
            finally:
                self.shutdown()
                thread.join()


class LoopbackHandler(BaseHTTPRequestHandler):
    """What handlers share: bodies are read, answers have what clients of S3 need, and nothing is said on stderr."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        """Read the body of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Length", str(len(body))),
            ("ETag", '"e"'),
            ("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
            *headers,
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_part(self, octets: bytes) -> None:
        """Answer with those of the octets that the header Range asks for, or with all."""
        asked = self.headers.get("Range", "")
        if not asked:
            self.answer(HTTPStatus.OK, octets)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        part = octets[int(first) : int(last) + 1]
        place = f"bytes {first}-{int(first) + len(part) - 1}/{len(octets)}"
        self.answer(HTTPStatus.PARTIAL_CONTENT, part, ("Content-Range", place))

    def log_message(self, *_: object) -> None:
        """Say nothing."""
