"""The door of the program: what it says of itself is said at once, and needs nothing of what the commands need."""

import gc
from collections.abc import Sequence

from pregen.cli.catalogue import said_of_itself
from pregen.cli.output import OutputLostError, exit_code_of, write
from pregen.interruption import postponed


def run_command_line(arguments: Sequence[str], *, to_the_end: bool) -> int:
    """Show the help or the version of the program, or run a command; return the exit code.

    Args:
        arguments: of the command line.
        to_the_end: the process ends after it.
    """
    text = said_of_itself([word for word in arguments if word != "--debug"])
    if text is None:
        gc.disable()  # nothing of what is imported is garbage
        try:
            with postponed():
                from pregen.cli.outcome import run_command  # noqa: PLC0415 - see above
        finally:
            gc.enable()
        return run_command(arguments, to_the_end=to_the_end)
    try:
        write(text)
    except OutputLostError as lost:
        return exit_code_of(lost)
    return 0
