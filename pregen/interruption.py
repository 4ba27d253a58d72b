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
def interruptible(*, to_the_end: bool = False) -> Iterator[None]:
    """Raise KeyboardInterrupt or `Terminated` inside at the first signal.

    Args:
        to_the_end: the process ends after this block: signals are ignored from then on, by the kernel, because an
            interpreter that ends takes its own handlers away.
    """
    interrupted = False

    def interrupt(number: int, _frame: FrameType | None) -> NoReturn:
        nonlocal interrupted
        interrupted = True
        _set_all(_ignore)
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated

    before = _set_all(interrupt)
    try:
        yield
    finally:
        if to_the_end:
            _set_all(signal.SIG_IGN)
        elif not interrupted:
            _restore(before)


@contextlib.contextmanager
def uninterruptible() -> Iterator[Callable[[], None]]:
    """Ignore signals inside: a commit takes a moment, and after a signal nobody could say whether it took place.

    What it gives is to be called when that is done: then signals are ignored until `interruptible` ends, too, for the
    command only has to say what it did.
    """
    before, is_done = _set_all(_ignore), False

    def done() -> None:
        nonlocal is_done
        is_done = True

    try:
        yield done
    finally:
        if not is_done or any(getattr(handler, "__name__", "") != "interrupt" for handler in before.values()):
            _restore(before)


@contextlib.contextmanager
def postponed() -> Iterator[None]:
    """Let a signal wait until the end of the block; a process that is started inside never sees SIGINT.

    Ctrl-C reaches all processes of a terminal: a child would die of it before it can ignore it, with a traceback. A
    mask alone does not do for this process, because a thread of some library may take the signal instead.
    """
    arrived: list[int] = []
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        before = _set_all(lambda number, _frame: arrived.append(number))
        try:
            yield
        finally:
            _restore(before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in arrived[:1]:
        signal.raise_signal(number)


def _set_all(handler: _Handler) -> dict[signal.Signals, _Handler]:
    """Set the handler of both signals; return those of before."""
    before: dict[signal.Signals, _Handler] = {}
    # Outside of the main thread that is a ValueError: whoever started the thread handles signals.
    with contextlib.suppress(ValueError):
        for one in _SIGNALS:
            before[one] = signal.signal(one, handler)
    return before


def _restore(before: dict[signal.Signals, _Handler]) -> None:
    for one, handler in before.items():
        signal.signal(one, handler)
