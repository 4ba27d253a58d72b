"""The commands by name, and what the program says of itself: its help and its version. Imports next to nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from pregen import __version__
from pregen.exit_codes import ExitCode

TITLE = "Sign all OCSP responses ahead of time, in bulk, and publish them to object storage."
EPILOG = """\
pregen COMMAND --help shows the options of a command; every command takes --debug, which shows tracebacks.
"""
PLUGIN_CODES = "exit codes of pregen status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, as monitoring plugins have it.\n"


class CommandEntry(NamedTuple):
    """A command of the program: its module in `pregen.cli.commands`, and what it does, in a sentence.

    One that `is_plugin` ends as monitoring plugins do, whatever happens: see `pregen.cli.plugin`.
    """

    module: str
    summary: str
    is_plugin: bool = False


# In the order in which people meet them. The sentences stand here, so that --help imports none of the modules.
COMMANDS: dict[str, CommandEntry] = {
    "demo": CommandEntry(
        "demo",
        "Make a CA with many certificates, sign and publish its responses, look some up, and say how to serve them.",
    ),
    "check": CommandEntry(
        "check",
        "Do all of a run that can refuse it, with its options: configuration, keys, snapshot, store; publish nothing.",
    ),
    "run": CommandEntry("run", "Sign a snapshot and publish it as the new generation, or change nothing."),
    "revoke": CommandEntry(
        "revoke", "Revoke certificates at once, on top of what is published; edges answer so within seconds."
    ),
    "delta": CommandEntry("delta", "Publish new and changed certificates at once, from a file of their rows alone."),
    "hold": CommandEntry("hold", "Put certificates on hold at once, where the profile allows that."),
    "release": CommandEntry("release", "End the hold of certificates at once; a revocation is final."),
    "serve": CommandEntry(
        "serve",
        "Answer OCSP requests over HTTP; the same as python -m storage.edge STORE, which needs no signing code.",
    ),
    "lookup": CommandEntry("lookup", "Look up the response for one certificate, as an edge does."),
    "decode": CommandEntry(
        "decode", "Show which certificates a request or a response is about: a path of a log, base64, a file."
    ),
    "inspect": CommandEntry("inspect", "Show what is published: commits, shards, counts, windows, stored octets."),
    "status": CommandEntry(
        "status",
        "Say in one line until when answers hold and what is overdue, as a plugin for Nagios, Icinga or Sensu.",
        is_plugin=True,
    ),
    "verify": CommandEntry(
        "verify",
        "Read the current generation again: all checksums, then parse responses and verify their signatures.",
    ),
    "history": CommandEntry(
        "history",
        "Show the commits: what made each, when, who and why, and which could be rolled back to.",
    ),
    "rollback": CommandEntry(
        "rollback",
        "Take a generation back: publish an earlier one again, without un-revoking anybody or losing new certificates.",
    ),
    "gc": CommandEntry(
        "gc",
        "Remove old generations and what dead runs have left, once no edge and no publisher needs them.",
    ),
    "import": CommandEntry(
        "import_",
        "Write a snapshot of any kind as canonical Parquet, for a run without [snapshot.columns]; needs no keys.",
    ),
    "logs": CommandEntry("logs", "Write request logs of edges as Parquet by day, so that much can be asked of them."),
    "asked": CommandEntry(
        "asked",
        "Say whether a certificate was asked for, when, how often, and what was said, by the request logs of edges.",
    ),
    "engines": CommandEntry("engines", "Show which signing engines work here, and why the others do not."),
}


def said_of_itself(words: Sequence[str]) -> str | None:
    """Return what a command line wants to know of the program as a whole; None: it names a command."""
    if words and words[0] == "--version":
        return f"{__version__}\n"
    if words and words[0] not in {"-h", "--help"}:
        return None
    width = max(map(len, COMMANDS))
    listed = "".join(f"  {name:<{width}}  {entry.summary}\n" for name, entry in COMMANDS.items())
    codes = "".join(f"  {code:>3}  {code.meaning}\n" for code in ExitCode)
    head = f"usage: pregen COMMAND [OPTIONS]\n\n{TITLE}\n\n"
    return f"{head}commands:\n{listed}\n{EPILOG}\nexit codes:\n{codes}\n{PLUGIN_CODES}"
