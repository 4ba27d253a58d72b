"""The command line: words in, one report or one error out.

app.py        commands and their options: thin, each calls one function elsewhere
outcome.py    what a process says at its end: exit code, text or one JSON object
progress.py   what it says on the way, on stderr
"""

from pregen.cli.outcome import run_command_line

__all__ = ["run_command_line"]
