"""How a command is called: its words are parsed, its module is imported, nothing else is."""

import gc
import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

from pregen.cli.account import Account
from pregen.cli.catalogue import COMMANDS, CommandEntry
from pregen.errors import UsageError
from pregen.interruption import postponed

if TYPE_CHECKING:
    from argparse import Namespace

    from pregen.cli.options import Parser
    from pregen.cli.report import Report


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
        PregenError, StorageError, OSError: the command has failed, or has taken longer than its --timeout.
        OutputLostError: what the command prints by itself cannot be written.
    """
    entry = _entry(words[0])
    account.is_plugin = entry.is_plugin
    command = load(entry)
    from argparse import Namespace  # noqa: PLC0415 - a command that does not exist needs none

    from pregen.cli.options import Parser  # noqa: PLC0415 - as above

    parser = Parser(f"pregen {words[0]}", entry.summary)
    command.describe(parser)
    parser.takes_quiet()
    given = Namespace()
    try:
        parser.read(words[1:], given)
    except SystemExit:  # after --help
        return 0
    finally:
        account.configuration, account.store = getattr(given, "config", None), getattr(given, "store", None)
    return command.call(given, account)


def _entry(name: str) -> CommandEntry:
    if name in COMMANDS:
        return COMMANDS[name]
    import difflib  # noqa: PLC0415 - only mistakes need it

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    kind = "option" if name.startswith("-") else "command"
    raise UsageError(f"there is no {kind} {name!r}{hint}; pregen --help shows what there is")


def load(entry: CommandEntry) -> Command:
    """Import the module of a command."""
    gc.disable()  # nothing of what is imported is garbage
    try:
        with postponed():
            return cast("Command", importlib.import_module(f"pregen.cli.commands.{entry.module}"))
    finally:
        gc.enable()
