"""The command line: words in, one report or one error out.

front.py      help and version of the program at once, all else by outcome.py; catalogue.py has the commands by name
app.py        a command is called: only its module is imported
commands/     their options and what they call, a thin module each; options.py and stores.py are what they share
outcome.py    what a process says at its end: exit code, text or one JSON object; account.py is what that always holds,
              output.py what becomes of it when stdout cannot be written to, and deadline.py how long a command waits
report.py     what each command found, as one JSON object and as lines: lookup_report.py (lookup), decoded.py,
              inspected.py with gate_lines.py, upkept.py (history, gc, rollback), and reports.py for those that need
              snapshots and signing, with issuer_lines.py, cycle_lines.py and left_lines.py; contents.py is how much
              there is, and asked_report.py what logs tell
plugin.py     the one line of a plugin for monitoring
naming.py     certificates that are named, of urgent changes; change_report.py is their report
remarks.py    what is said with either of them: that --now is far from the clock
progress.py   what it says on the way, on a terminal alone: bars.py
tour.py       the demo, step by step
"""

from pregen.cli.front import run_command_line

__all__ = ["run_command_line"]
