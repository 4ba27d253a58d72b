"""What AWS Lambda is to the program in it: the runtime API on loopback, and an instance that `awslambdaric` runs."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Self

from storage.edge.aws_lambda.events import Event, EventResponse
from tests.loopback import LoopbackHandler, LoopbackServer
from tests.storage.edge.processes import PATIENCE_S


class RuntimeApi(LoopbackServer):
    """Hands out events, and takes responses and errors (the runtime API of 2018-06-01)."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.events: Queue[Event] = Queue()
        self.results: Queue[tuple[str, bytes]] = Queue()


class _Handler(LoopbackHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):  # the instance was killed
            super().handle()

    def do_GET(self) -> None:
        assert self.path == "/2018-06-01/runtime/invocation/next"
        event = self._api.events.get()
        with suppress(OSError):  # the instance is gone
            self.answer(
                200,
                json.dumps(event).encode(),
                ("Content-Type", "application/json"),
                ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd"),
                ("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 30_000)),
                ("Lambda-Runtime-Invoked-LambdaFunction-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:ocsp"),
            )

    def do_POST(self) -> None:
        body = self.body()
        self.answer(202, b"{}")
        self._api.results.put((self.path.rpartition("/")[2], body))

    @property
    def _api(self) -> RuntimeApi:
        assert isinstance(self.server, RuntimeApi)
        return self.server


class Instance:
    """An instance of the function, as AWS starts it; killed at the end."""

    def __init__(self, api: RuntimeApi, folder: Path, environment: dict[str, str]) -> None:
        self._api = api
        self._log = folder / "log"
        command = [sys.executable, "-m", "awslambdaric", "storage.edge.aws_lambda.handler"]
        ours = {"AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}", "AWS_LAMBDA_FUNCTION_NAME": "ocsp"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | ours | environment)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(PATIENCE_S)

    def invoke(self, event: Event) -> EventResponse:
        """Return the response to an event."""
        self._api.events.put(event)
        kind, body = self._api.results.get(timeout=PATIENCE_S)
        assert kind == "response", body
        response: EventResponse = json.loads(body)
        return response

    def error(self) -> str:
        """Return what the instance reports of its own end."""
        kind, body = self._api.results.get(timeout=PATIENCE_S)
        assert kind == "error", body
        return body.decode()

    def freeze(self) -> None:
        """Do what AWS does between two events."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def lines(self) -> list[dict[str, object]]:
        """Return the lines about requests so far; each is there when its response is."""
        found = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if "outcome" in line]
