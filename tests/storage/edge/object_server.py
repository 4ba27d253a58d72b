"""An HTTP server that gives objects of a folder as S3 does, and can be made to say nothing at all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class ObjectServer(ThreadingHTTPServer):
    """Serves ``/bucket/NAME`` from `folder`. While it is frozen, it accepts connections and requests, and is silent."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.answers = threading.Event()
        self.answers.set()

    def environment(self) -> dict[str, str]:
        """Return the variables with which a store finds it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }

    def freeze(self) -> None:
        """Say nothing from now on."""
        self.answers.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients of a silent server go away."""

    def thaw(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self.answers.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def do_GET(self) -> None:
        self.server.answers.wait()
        path = self.server.folder / self.path.partition("?")[0].removeprefix("/bucket/")
        if not path.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        octets = path.read_bytes()
        if asked := self.headers["Range"]:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            part = octets[int(first) : int(last) + 1]
            self._answer(206, part, ("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(octets)}"))
        else:
            self._answer(200, octets)

    def _answer(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (
            *headers,
            ("Content-Length", str(len(body))),
            ("ETag", '"x"'),
            ("Last-Modified", "Mon, 30 Nov 2026 00:00:00 GMT"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@contextmanager
def serving(folder: Path) -> Iterator[ObjectServer]:
    """Run a server for the objects of a folder."""
    with ObjectServer(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.thaw()
            server.shutdown()
