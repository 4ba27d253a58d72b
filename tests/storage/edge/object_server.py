"""An HTTP server that gives objects of a folder as S3 does, and can be made to say nothing at all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.loopback import LoopbackHandler, LoopbackServer


class ObjectServer(LoopbackServer):
    """Serves ``/bucket/NAME`` from `folder`. While it is frozen, it accepts connections and requests, and is silent."""

    request_queue_size = 256

    def __init__(self, folder: Path) -> None:
        super().__init__(_Handler)
        self.folder = folder
        self.answers = threading.Event()
        self.answers.set()

    def environment(self) -> dict[str, str]:
        """Return the variables with which a store finds it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
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


class _Handler(LoopbackHandler):
    server: ObjectServer

    def do_GET(self) -> None:
        self.server.answers.wait()
        path = self.server.folder / self.path.partition("?")[0].removeprefix("/bucket/")
        if path.is_file():
            self.answer_part(path.read_bytes())
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")


@contextmanager
def serving(folder: Path) -> Iterator[ObjectServer]:
    """Run a server for the objects of a folder."""
    with ObjectServer(folder).running() as server:
        try:
            yield server
        finally:
            server.thaw()
