"""Makes one worker of a cluster ill at a certain point of its work: Dask loads this module into each (`--preload`).

What a worker does is not changed. When the first one comes to a function, or has come to its end, it makes the mark and
is killed, stopped, or waits until the test has done something; whoever comes there afterwards is well.
"""

import json
import os
import pkgutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, cast

VARIABLE = "PREGEN_TEST_ILLNESS"
_WITHIN_S = 120.0  # of waiting for what must come: it is when a test gives up, and a busy machine takes its time


@dataclass(frozen=True)
class Illness:
    """What happens to the first worker that comes to a point.

    Attributes:
        where: a function, as ``package.module:Class.method``.
        act: "kill" or "stop" it, or let it "wait" until the test goes on.
        mark: the file that it makes.
        at: when it is called, or has come to its end.
    """

    where: str
    act: str
    mark: str
    at: str = "call"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a worker is started with that may fall ill."""
        return {VARIABLE: json.dumps(asdict(self)), "DASK_DISTRIBUTED__WORKER__PRELOAD": f'["{__name__}"]'}

    @property
    def has_come(self) -> bool:
        """Whether a worker has come there."""
        return Path(self.mark).exists()

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Let the block run once a worker has come there, which waits so long."""
        gives_up = time.monotonic() + _WITHIN_S
        while not self.has_come:
            assert time.monotonic() < gives_up, f"no worker came to {self.where}"
            time.sleep(0.02)
        yield
        self._go.touch()

    @property
    def _go(self) -> Path:
        return Path(f"{self.mark}.go")

    def befall(self) -> None:
        """Let it happen, if nobody has come there before."""
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        match self.act:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case _:
                while not self._go.exists():
                    time.sleep(0.01)


def dask_setup(_: object) -> None:
    """Watch for the point in all threads that begin from now on, and in this one."""
    illness = Illness(**json.loads(os.environ[VARIABLE]))
    code = cast("CodeType", pkgutil.resolve_name(illness.where).__code__)
    event = "call" if illness.at == "call" else "return"

    def watch(frame: FrameType, what: str, _: Any) -> None:
        if frame.f_code is code and what == event:
            illness.befall()

    threading.setprofile(watch)
    sys.setprofile(watch)
