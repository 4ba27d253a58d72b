"""What several commands share: the parser of their words, and options that mean the same everywhere."""

import os
import re
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from pregen import clock
from pregen.cli.output import write
from pregen.errors import UsageError
from pregen.exit_codes import ExitCode

_WIDTH = 120
_LENGTH = re.compile(r"([0-9]{1,9})([smhd]?)", re.ASCII)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
# Options whose value may begin with a dash and be no option: a negative serial number.
_DASHED = ("--serial",)


class _Help(RawDescriptionHelpFormatter):
    """Help texts as wide as the terminal; argparse would import a whole library to ask for that."""

    def __init__(self, prog: str) -> None:
        try:
            columns = os.get_terminal_size(1).columns
        except (OSError, ValueError):
            columns = _WIDTH
        super().__init__(prog, max_help_position=28, width=min(columns, _WIDTH) - 2)


class Parser(ArgumentParser):
    """The parser of one command; its mistakes are errors like all others, and point to the command's help."""

    def __init__(self, program: str, summary: str) -> None:
        super().__init__(program, description=summary, formatter_class=_Help, allow_abbrev=False)

    def print_help(self, file: object = None) -> None:
        """Write the help to stdout."""
        del file
        write(self.format_help())

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message}; {self.prog} --help shows what there is")

    def read(self, words: Sequence[str], given: Namespace) -> Namespace:
        """Return what the words of the command say, a value that begins with a dash as well.

        Args:
            words: of the command.
            given: what they say is noted there, as far as they are understood.

        Raises:
            UsageError: they cannot be understood.
            SystemExit: the help was asked for, and shown.
        """
        joined: list[str] = []
        for word in words:
            if joined and joined[-1] in _DASHED:
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        return self.parse_args(joined, given)

    def takes_config(self) -> None:
        """Take the configuration file."""
        self.add_argument("config", metavar="CONFIG", type=Path, help="configuration file (TOML)")

    def takes_store(self, config_help: str = "take the store of this configuration instead") -> None:
        """Take a store: its address, or a configuration that names one."""
        self.add_argument(
            "store",
            metavar="STORE",
            nargs="?",
            help=f"{_addresses()}; S3 settings come from the AWS_* variables",
        )
        self.add_argument("--config", metavar="CONFIG", type=Path, help=config_help)

    def takes_target(self) -> None:
        """Take what names a store: a configuration, or an address."""
        self.add_argument(
            "target",
            metavar="CONFIG|STORE",
            help=f"configuration file (TOML), or the store: {_addresses()}",
        )

    def takes_dry_run(self, what: str) -> None:
        """Take --dry-run, and say what it does."""
        self.add_argument("--dry-run", action="store_true", help=what)

    def takes_issuers(self, purpose: str) -> None:
        """Take files with certificates of issuers, and say what for."""
        self.add_argument(
            "--issuer", metavar="FILE", type=Path, action="append", default=[], help=f"{purpose}; may be repeated"
        )

    def takes_json(self) -> None:
        """Take --json, which `pregen.cli.outcome` reads."""
        self.add_argument("--json", action="store_true", help="print one JSON object on stdout, on failure too")

    def takes_quiet(self) -> None:
        """Take --quiet, as every command does: `pregen.cli.outcome` leaves out the report, the command its bars."""
        self.add_argument(
            "--quiet", action="store_true", help="say nothing but warnings and errors; what --json prints stays"
        )

    def takes_cluster(self) -> None:
        """Take --cluster, for `pregen.generation.cluster`."""
        self.add_argument(
            "--cluster",
            metavar="ADDRESS",
            help="have workers of a Dask cluster do the work: tls://HOST:PORT of its scheduler, or local:N for one "
            "with N workers that is started here and ends with the command",
        )

    def takes_timeout(self, default: str) -> None:
        """Take --timeout, in seconds, for `pregen.cli.deadline`."""
        self.add_argument(
            "--timeout",
            metavar="SPAN",
            type=lambda text: read_length_s("--timeout", text),
            default=default,
            help="give up after so long, as where the store hangs: 10s, 5m; 0: wait for as long as it takes "
            "(%(default)s)",
        )

    def takes_strict(self) -> None:
        """Take --strict, for those who want to be told by the exit code."""
        self.add_argument(
            "--strict", action="store_true", help=f"exit {ExitCode.STALE} where answers are overdue or have run out"
        )

    def takes_acceptances(self, what: str) -> None:
        """Take --accept and --reason, which `pregen.gates.acceptance` reads; `what` is the help of the first."""
        self.add_argument("--accept", metavar="GATE", action="append", default=[], help=what)
        self.add_argument(
            "--reason",
            metavar="TEXT",
            action="append",
            default=[],
            help="why --accept is right: one for all, or one for each in their order",
        )

    def takes_by(self, does: str) -> None:
        """Take --by, and say what who is named there does."""
        self.add_argument(
            "--by", metavar="NAME", help=f"who {does}; default: who called sudo, else the user of this process"
        )

    def takes_author(self) -> None:
        """Take --by and --note, which `pregen.gates.author` reads."""
        self.takes_by("does this; it is kept with the commit, and with what --accept names")
        self.add_argument(
            "--note", metavar="TEXT", help="what this is for, such as a ticket; it is kept with the commit"
        )

    def takes_workers(self) -> None:
        """Take the number of worker processes."""
        self.add_argument(
            "--workers", metavar="N", type=int, help="worker processes; 0: the CPUs that this process may use"
        )


def _addresses() -> str:
    from storage.stores.address import possible  # noqa: PLC0415 - not for commands that have no store

    return possible()


def read_instant(option: str, text: str | None) -> datetime | None:
    """Return the instant that an option names.

    Raises:
        UsageError: it is none, or has no zone.
    """
    if text is None:
        return None
    try:
        return clock.parse_instant(text)
    except ValueError as e:
        raise UsageError(f"{option}: {e}; write it as 2026-11-24T00:00:00Z") from None


def read_count(option: str, value: int | None) -> int | None:
    """Return the number of an option.

    Raises:
        UsageError: it is negative.
    """
    if value is not None and value < 0:
        raise UsageError(f"{option} {value}: a number from 0 on belongs there")
    return value


def read_length_s(option: str, text: str) -> int:
    """Return the seconds of a length of time that an option gives.

    >>> read_length_s("--warn", "90m"), read_length_s("--warn", "12h"), read_length_s("--warn", "30")
    (5400, 43200, 30)

    Raises:
        UsageError: it is none.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise UsageError(f"{option} {text!r} is no length of time: write 90m, 12h or 2d")
    return int(found[1]) * _UNIT_S[found[2]]
