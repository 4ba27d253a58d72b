"""Server processes, and requests to them as octets on a socket."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.ports import free_port

PATIENCE_S = 60.0  # when a test gives up, and a busy machine takes its time


class Response(NamedTuple):
    """A response as it came over the wire."""

    version: str
    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection that reads exactly one response after the other, as a client would; to a port or a Unix socket."""

    def __init__(self, port: int | Path, timeout_s: float = PATIENCE_S) -> None:
        if isinstance(port, int):
            self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout_s)
            try:
                self.socket.connect(str(port))
            except OSError:
                self.socket.close()
                raise
        self._stream = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        self.socket.sendall(octets)

    def receive(self, *, head: bool = False) -> Response:
        version, status, *_ = self._stream.readline().decode("latin-1").split(" ", 2)
        headers = {}
        while line := self._stream.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        bodiless = head or status.startswith("1") or status == "304"
        body = b"" if bodiless else self._stream.read(int(headers["content-length"]))
        return Response(version, int(status), headers, body)

    def is_closed(self) -> bool:
        return self._stream.read(1) == b""


class ServerProcess:
    """A server in a process group of its own, from the first good ``/healthz`` on; killed at the end if it must be."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        port: int | Path,
        environment: dict[str, str],
        stdout: int | None = None,
        stderr: int | None = None,
    ) -> None:
        self.place = port
        self.port = port if isinstance(port, int) else 0
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                command,
                stdout=out if stdout is None else stdout,
                stderr=err if stderr is None else stderr,
                start_new_session=True,
                env=os.environ | environment,
            )

    def __enter__(self) -> Self:
        try:
            wait_until(self.is_up)
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()

    def is_up(self) -> bool:
        assert self.process.poll() is None, self.stderr.read_text()
        try:
            return self.ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200
        except (OSError, ValueError):
            return False

    def ask(self, octets: bytes, *, head: bool = False) -> Response:
        with Connection(self.place) as connection:
            connection.send(octets)
            return connection.receive(head=head)

    def get(self, raw_path: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> Response:
        return self.ask(b"\r\n".join([b"GET " + raw_path + b" " + version, b"Host: x", *headers, b"", b""]))

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(PATIENCE_S)

    def terminate_group(self) -> None:
        """Ask all of its processes to end, where the first one is not the server."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(PATIENCE_S)

    def lines(self) -> list[dict[str, object]]:
        """Return what the log holds of requests so far; lines are written some time after the answers."""
        lines = [json.loads(line) for line in self.stdout.read_text().rpartition("\n")[0].splitlines()]
        return [line for line in lines if "counters" not in line]

    def line_of(self, serial: str) -> dict[str, object]:
        """Return the line about a serial number, once it is there; this server must be asked for it only once."""
        wait_until(lambda: any(line.get("serial") == serial for line in self.lines()))
        (line,) = [line for line in self.lines() if line.get("serial") == serial]
        return line

    @contextmanager
    def logs(self, **fields: object) -> Iterator[None]:
        """What is asked within leaves a line with these fields, whichever lines of others come before and after it.

        The lines of earlier requests may still be on their way, so that neither the last line is that of the last
        request, nor the next one that of the next.
        """
        before = len(self.lines())
        yield
        wait_until(lambda: any(fields.items() <= line.items() for line in self.lines()[before:]))

    def _kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_S)


def start(
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    stdout: int | None = None,
    stderr: int | None = None,
) -> ServerProcess:
    """Return a process of this interpreter; PORT among the arguments becomes a free one.

    Its output goes into files of these names in `folder`, where no descriptors are given.
    """
    port = free_port()
    command = [sys.executable, *(str(port) if argument == "PORT" else argument for argument in arguments)]
    return ServerProcess(command, folder, port, environment or {}, stdout, stderr)


def wait_until(is_so: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)
