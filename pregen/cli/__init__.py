"""The command line: words in, one report or one error out.

app.py        commands and their options: thin, each calls one function elsewhere
outcome.py    what a process says at its end: exit code, text or one JSON object
reports.py    what each command found, as one JSON object and as lines (report.py)
remarks.py    what is said with either of them: that --now is far from the clock
progress.py   what it says on the way, on stderr
tour.py       the demo, step by step; incident.py is the other one; telling.py is how both speak
"""

from pregen.cli.outcome import run_command_line

__all__ = ["run_command_line"]
