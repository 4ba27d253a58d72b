"""``GET /metrics`` on an address of its own."""

import socket
from http.server import BaseHTTPRequestHandler

from storage.edge.watching.listening import SideServer
from storage.edge.watching.metrics import Metrics

_PATIENCE_S = 5.0


class MetricsServer(SideServer):
    """Answers scrapes.

    Args:
        listener: where.
        metrics: what a scrape gets.
    """

    def __init__(self, listener: socket.socket, metrics: Metrics) -> None:
        super().__init__(listener, _Handler)
        self.metrics = metrics


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = _PATIENCE_S
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self._answer(404, b"metrics are at /metrics\n", "text/plain; charset=utf-8")
            return
        page, kind = self.server.metrics.page(self.headers.get("Accept", ""))
        self._answer(200, page, kind)

    do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: scrapes are no requests of clients."""
