"""The commands by name, and how one is called: its words are parsed, its module is imported, nothing else is."""

import gc
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from pregen import __version__
from pregen.cli.account import Account
from pregen.cli.output import write
from pregen.errors import UsageError
from pregen.interruption import postponed

TITLE = "Sign all OCSP responses ahead of time, in bulk, and publish them to object storage."
EPILOG = """\
pregen COMMAND --help shows the options of a command; every command takes --debug, which shows tracebacks.

Exit codes: 0 done; 1 internal error; 2 usage, configuration or key; 3 input or gate refused, nothing published;
4 not found; 5 storage (credentials, bucket, disk, damage); 6 signing, verification or a dead worker;
7 another publisher committed first, run again; 130/143 interrupted or terminated, nothing published.
8 overdue or expired, where --strict asks (inspect, lookup, verify);
status: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN, as monitoring plugins have it.
"""


if TYPE_CHECKING:
    from argparse import Namespace

    from pregen.cli.options import Parser
    from pregen.cli.report import Report


class Entry(NamedTuple):
    """A command of the program: its module in `pregen.cli.commands`, and what it does, in a sentence.

    One that `is_plugin` ends as monitoring plugins do, whatever happens: see `pregen.cli.plugin`.
    """

    module: str
    summary: str
    is_plugin: bool = False


# In the order in which people meet them. The sentences stand here, so that --help imports none of the modules.
COMMANDS: dict[str, Entry] = {
    "demo": Entry(
        "demo",
        "Make a CA with many certificates, sign and publish its responses, look some up, and say how to serve them.",
    ),
    "check": Entry(
        "check",
        "Do all of a run that can refuse it, with its options: configuration, keys, snapshot, store; publish nothing.",
    ),
    "run": Entry("run", "Sign a snapshot and publish it as the new generation, or change nothing."),
    "serve": Entry(
        "serve",
        "Answer OCSP requests over HTTP; the same as python -m storage.edge STORE, which needs no signing code.",
    ),
    "lookup": Entry("lookup", "Look up the response for one certificate, as an edge does."),
    "decode": Entry(
        "decode", "Show which certificates a request or a response is about: a path of a log, base64, a file."
    ),
    "inspect": Entry("inspect", "Show what is published: commits, shards, counts, windows, stored octets."),
    "status": Entry(
        "status",
        "Say in one line until when answers hold and what is overdue, as a plugin for Nagios, Icinga or Sensu.",
        is_plugin=True,
    ),
    "verify": Entry(
        "verify",
        "Read the current generation again: all checksums, then parse responses and verify their signatures.",
    ),
    "import": Entry(
        "import_",
        "Write a snapshot of any kind as canonical Parquet, for a run without [snapshot.columns]; needs no keys.",
    ),
    "engines": Entry("engines", "Show which signing engines work here, and why the others do not."),
}


class Command(Protocol):
    """What each module of `pregen.cli.commands` has."""

    def describe(self, parser: "Parser") -> None:
        """Give a parser the options of the command."""

    def call(self, given: "Namespace", account: Account) -> "Report | int":
        """Do what the command is for; return its report, or its exit code where it has printed all by itself."""


def call(words: Sequence[str], account: Account) -> "Report | int":
    """Do what a command line says, and note what becomes known on the way.

    Raises:
        UsageError: it cannot be understood.
        PregenError, StorageError, OSError: the command has failed.
        OutputLostError: what the command prints by itself cannot be written.
    """
    if not words or words[0] in {"-h", "--help"}:
        write(_help_text())
        return 0
    if words[0] == "--version":
        write(f"{__version__}\n")
        return 0
    entry = _entry(words[0])
    account.is_plugin = entry.is_plugin
    command = load(entry)
    from pregen.cli.options import Parser  # noqa: PLC0415 - the help of the program needs none

    parser = Parser(f"pregen {words[0]}", entry.summary)
    command.describe(parser)
    try:
        given = parser.read(words[1:])
        account.configuration, account.store = getattr(given, "config", None), getattr(given, "store", None)
    except SystemExit:  # after --help
        return 0
    return command.call(given, account)


def _entry(name: str) -> Entry:
    if name in COMMANDS:
        return COMMANDS[name]
    import difflib  # noqa: PLC0415 - only mistakes need it

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    kind = "option" if name.startswith("-") else "command"
    raise UsageError(f"there is no {kind} {name!r}{hint}; pregen --help shows what there is")


def load(entry: Entry) -> Command:
    """Import the module of a command."""
    gc.disable()  # nothing of what is imported is garbage
    try:
        with postponed():
            return cast("Command", importlib.import_module(f"pregen.cli.commands.{entry.module}"))
    finally:
        gc.enable()


def _help_text() -> str:
    width = max(map(len, COMMANDS))
    listed = "".join(f"  {name:<{width}}  {entry.summary}\n" for name, entry in COMMANDS.items())
    return f"usage: pregen COMMAND [OPTIONS]\n\n{TITLE}\n\ncommands:\n{listed}\n{EPILOG}"
