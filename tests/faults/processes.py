"""A real `pregen run` that is in the middle of its work, and what the kernel says of its processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.pregen.cli.ca import Outcome
from tests.storage.edge.processes import wait_until

WITHIN_S = 120.0  # of waiting for what must come: it is when a test gives up, and a busy machine takes its time


class RunningProgram:
    """`pregen WORDS` as the leader of a process group; killed at the end of the block if it must be."""

    def __init__(self, folder: Path, *words: object) -> None:
        self._files = folder / "run.stdout", folder / "run.stderr"
        with self._files[0].open("wb") as out, self._files[1].open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pregen", *map(str, words)],
                cwd=folder,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    @property
    def pid(self) -> int:
        return self.process.pid

    def workers(self) -> list[int]:
        """Return the worker processes (and not the resource tracker that comes with them)."""
        return [pid for pid in group(self.pid) if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something that happens while the program works."""

        def is_so_and_works() -> bool:
            assert self.process.poll() is None, self._files[1].read_text()
            return is_so()

        wait_until(is_so_and_works, WITHIN_S)

    def end(self) -> Outcome:
        """Wait until the program and all processes that it started are gone."""
        code = self.process.wait(WITHIN_S)
        wait_until(lambda: not group(self.pid), WITHIN_S)
        return Outcome(code, *(file.read_text() for file in self._files))


def group(leader: int) -> list[int]:
    """Return the living processes of a process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                _, _, rest = (entry / "stat").read_text().rpartition(") ")
            except OSError:  # it ended meanwhile
                continue
            state, _, its_group, *_ = rest.split()
            if int(its_group) == leader and state not in "ZX":
                found.append(int(entry.name))
    return found


def process_with(argument: str) -> int:
    """Return the one process that was started with an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:  # it ended meanwhile
                continue
            if argument.encode() in words:
                found.append(int(entry.name))
    (pid,) = found
    return pid
