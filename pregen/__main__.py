"""The program `pregen`. Imports next to nothing, because every worker process imports it too."""

import sys
from collections.abc import Sequence

from pregen.exit_codes import ExitCode
from pregen.interruption import postponed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of the process; return the exit code."""
    try:
        with postponed():
            from pregen.cli import run_command_line  # noqa: PLC0415 - worker processes do without it
        if arguments is None:
            return run_command_line(sys.argv[1:], to_the_end=True)
        return run_command_line(arguments, to_the_end=False)
    except KeyboardInterrupt:  # at the very beginning or end; in between it is handled there
        sys.stderr.write("error: interrupted: nothing was published\n")
        return ExitCode.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
