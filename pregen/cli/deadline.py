"""How long a command waits: `--timeout`. A store that hangs (a dead mount, a stopped server) never says that it does.

The work is done in a thread, because nothing else gives up a read that does not return: a signal's handler would wait
for it as well. The thread is left behind, and ends with the process.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from pregen import clock

Result = TypeVar("Result")


class _Work(threading.Thread, Generic[Result]):
    """Work whose end somebody waits for, but not for ever."""

    def __init__(self, do: Callable[[], Result]) -> None:
        super().__init__(name="command", daemon=True)
        self._do = do
        self.results: list[Result] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Do it."""
        try:
            self.results.append(self._do())
        except BaseException as failure:  # noqa: BLE001 - it is raised again, by whoever waits
            self.failure = failure


def within(limit_s: int, url: str, do: Callable[[], Result]) -> Result:
    """Return what a function returns that reads the store at `url`, and has so long; 0: as long as it takes.

    >>> within(10, "file:///srv/store", lambda: "done")
    'done'

    Raises:
        TimeoutError: it takes longer.
        BaseException: what the function raises.
    """
    if not limit_s:
        return do()
    work = _Work(do)
    work.start()
    work.join(limit_s)
    if work.failure is not None:
        raise work.failure
    if not work.results:
        waited = clock.length_text(limit_s)
        raise TimeoutError(f"{url}: no answer within {waited}: look after the store, or wait for longer by --timeout")
    return work.results[0]
