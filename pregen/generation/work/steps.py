"""Where the CPU time of a run goes: seconds by step, added up over all processes."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")


class Steps:
    """CPU seconds of this process by step, its threads included.

    >>> steps = Steps()
    >>> with steps("sign"):
    ...     _ = sum(range(100))
    >>> list(steps.take())
    ['sign']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Count what is done in the context."""
        started = time.process_time()
        try:
            yield
        finally:
            self.add({step: time.process_time() - started})

    def each(self, step: str, items: Iterable[Item]) -> Iterator[Item]:
        """Yield items, and count what it takes to make each of them."""
        source = iter(items)
        while True:
            with self(step):
                try:
                    item = next(source)
                except StopIteration:
                    return
            yield item

    def add(self, seconds: Mapping[str, float]) -> None:
        """Count what another process took."""
        for step, spent in seconds.items():
            self._seconds[step] = self._seconds.get(step, 0.0) + spent

    def take(self) -> dict[str, float]:
        """Return what was counted, and begin anew."""
        taken, self._seconds = self._seconds, {}
        return taken
