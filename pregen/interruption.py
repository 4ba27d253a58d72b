"""SIGINT and SIGTERM: both unwind the stack, so that spill files are removed and workers ended; the commit is spared.

The first signal raises; later ones are ignored until the process ends, because they would break into the cleaning up.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_Handler = Callable[[int, FrameType | None], object] | int | None


class Terminated(BaseException):
    """SIGTERM arrived: unwinds the stack like KeyboardInterrupt."""


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing. Not `SIG_IGN`: for a signal that came a moment before, Python would then print a complaint."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt or `Terminated` inside at the first signal."""

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        for one in _SIGNALS:
            signal.signal(one, _ignore)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    with _handled(interrupt):
        yield


def ignore_to_the_end() -> None:
    """Have the kernel ignore signals from now on: an interpreter that ends takes its own handlers away."""
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)


@contextlib.contextmanager
def uninterruptible() -> Iterator[None]:
    """Ignore signals inside: a commit takes a moment, and after a signal nobody could say whether it took place."""
    with _handled(_ignore):
        yield


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Let a signal wait until the end of the block; a process that is started inside never sees SIGINT.

    Ctrl-C reaches all processes of a terminal: a child would die of it before it can ignore it, with a traceback. A
    mask alone does not do for this process, because a thread of some library may take the signal instead.
    """
    arrived: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _handled(lambda number, _frame: arrived.append(number)):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in arrived[:1]:
        signal.raise_signal(number)


@contextlib.contextmanager
def _handled(handler: _Handler) -> Iterator[None]:
    before: dict[signal.Signals, _Handler] = {}
    try:
        # Outside of the main thread that is a ValueError: whoever started the thread handles signals.
        with contextlib.suppress(ValueError):
            for one in _SIGNALS:
                before[one] = signal.signal(one, handler)
        yield
    finally:
        for one, handled in before.items():
            if signal.getsignal(one) is handler:  # else a signal has come, and all others are ignored from then on
                signal.signal(one, handled)
