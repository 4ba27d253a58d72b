"""What is said with the end of a command, whatever that is: that `--now` is far from the clock.

Such a `--now` is often why something else seems wrong (certificates that have expired, a snapshot from the future), so
it is said with each error too, and not only where nothing else is found.
"""

import contextlib
from collections.abc import Iterator
from datetime import datetime

from pregen import clock
from pregen.cli.report import RemarkedError
from pregen.errors import Finding, PregenError
from pregen.validity import CLOCK_SKEW, duration_text
from storage.errors import StorageError


def clock_remarks(now: datetime | None) -> tuple[Finding, ...]:
    """Return a warning where `--now` is far from the clock; None: it was not given."""
    clock_now = clock.now()
    if now is None or abs(now - clock_now) <= CLOCK_SKEW:
        return ()
    text = (
        f"--now {clock.text(now)} is more than {duration_text(CLOCK_SKEW)} from the clock "
        f"({clock.text(clock_now)}): everything is judged as if it were that instant; only profile lab, for tests, "
        "publishes so"
    )
    return (Finding("now.far-from-clock", "warning", text),)


@contextlib.contextmanager
def remarked(remarks: tuple[Finding, ...]) -> Iterator[None]:
    """Have remarks said with the error that a command ends with, unless that is about the same.

    Raises:
        RemarkedError: the command has failed.
    """
    try:
        yield
    except BrokenPipeError:  # there is nobody to tell
        raise
    except (PregenError, StorageError, OSError) as error:
        is_said = isinstance(error, PregenError) and error.message.startswith("--now ")
        if is_said or not remarks:
            raise
        raise RemarkedError(error, remarks) from error
