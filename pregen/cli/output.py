"""What goes to stdout and stderr, and what happens when it cannot: a reader that has gone, a disk that is full.

Whatever is written to stderr beside a result or an error is worth no failure of its own. What is written to stdout is:
`OutputLostError` says so, and `pregen.cli.outcome` decides what it means for the exit code.
"""

import contextlib
import os
import sys

from pregen.exit_codes import ExitCode


class OutputLostError(Exception):
    """Stdout cannot be written to, and nothing more is."""

    def __init__(self, reason: str, *, is_reader_gone: bool) -> None:
        super().__init__(reason, is_reader_gone)
        self.reason = reason
        self.is_reader_gone = is_reader_gone

    def __str__(self) -> str:
        return self.reason


def is_utf8() -> bool:
    """Tell whether stdout takes every character; else those that it lacks are written as escapes."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def write(text: str) -> None:
    """Write to stdout, at once.

    Raises:
        OutputLostError: it cannot be written to.
    """
    if sys.stdout is None:  # closed by who started us: `>&-`
        raise OutputLostError("stdout is closed", is_reader_gone=True)
    try:
        if not is_utf8():
            text = text.encode(sys.stdout.encoding or "ascii", "backslashreplace").decode(
                sys.stdout.encoding or "ascii"
            )
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _discard_the_rest()
        raise OutputLostError(
            f"stdout cannot be written to ({error.strerror or error})",
            is_reader_gone=isinstance(error, BrokenPipeError),
        ) from None


def write_aside(text: str) -> None:
    """Write to stderr, if there is anybody to read it."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


def exit_code_of(lost: OutputLostError) -> ExitCode:
    """Return the exit code of a command whose only purpose was what it had to say."""
    if lost.is_reader_gone:  # as in `pregen inspect STORE | head -1`
        return ExitCode.READER_GONE
    write_aside(f"error: {lost}: free some space, or write elsewhere\n")
    return ExitCode.STORAGE


def _discard_the_rest() -> None:
    """Lead stdout to nowhere, or the interpreter complains at its end that it cannot write what is left."""
    with contextlib.suppress(OSError, ValueError):  # in a test stdout may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
