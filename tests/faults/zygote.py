"""Many real processes of the program, one after the other, each of which may be killed: started by a fork.

A process that has imported all of the program, and has opened nothing, forks for each command. So a command is a
process of its own that the kernel kills, and needs no second to start.
"""

import importlib
import json
import os
import pkgutil
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pregen
import storage
from pregen.__main__ import main

_PROGRAM = "from tests.faults.zygote import serve; serve()"


class Zygote:
    """Starts commands, and kills them after a time."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self._said = folder / "zygote.said"
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
        )
        self.peak_bytes = 0
        """The most memory that the last command had."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()

    def run(self, *words: object, killed_after_s: float | None = None) -> int:
        """Run a command, perhaps not to its end; return its exit code, -9 where it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"words": [str(word) for word in words], "after_s": killed_after_s, "said": str(self._said)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code, peak_bytes = map(int, self._process.stdout.readline().split())
        self.peak_bytes = peak_bytes
        return code

    def kill(self, *words: object, times: int, seed: int, until: float) -> Iterator[None]:
        """Kill a command at some instants, one after the other, and yield after each, so that somebody may look.

        Args:
            words: its; it takes `--dry-run` as well, by which it is told how long the command takes.
            times: how often.
            seed: of the instants.
            until: how late the latest of them is, as a multiple of what a dry run takes.
        """
        began = time.monotonic()
        assert self.run(*words, "--dry-run") == 0, self.said
        took_s, chance = time.monotonic() - began, random.Random(seed)
        for _ in range(times):
            self.run(*words, killed_after_s=chance.uniform(0.1, until) * took_s)
            yield

    @property
    def said(self) -> str:
        """What the last command said."""
        return self._said.read_text()


def serve() -> None:
    """Be the process that forks."""
    for package in (pregen, storage):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    assert threading.active_count() == 1, "a fork would lose the others"
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            _be(order["words"], order["said"])
        if order["after_s"] is not None:
            time.sleep(order["after_s"])
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)} {usage.ru_maxrss << 10}\n")
        sys.stdout.flush()


def _be(words: list[str], said: str) -> None:
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    code = 99
    try:
        code = main(words)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
