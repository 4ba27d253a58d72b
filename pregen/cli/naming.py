"""What `pregen revoke`, `hold` and `release` share: how certificates are named, and what is kept with the commit."""

import sys
from argparse import Action, Namespace
from collections.abc import Sequence
from datetime import datetime

from pregen.cli.account import Account
from pregen.cli.change_report import change_report
from pregen.cli.options import Parser, read_count, read_instant
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.config import load_config
from pregen.errors import UsageError
from pregen.gates.author import read_author
from pregen.urgent import ChangeOptions, Mention, Order, change
from pregen.urgent.orders import ChangeKind


class _Mentioned(Action):
    """Notes what is named in the order of the command line: a serial belongs to the issuer before it."""

    def __call__(
        self, _parser: object, given: Namespace, values: str | Sequence[object] | None, option: str | None = None
    ) -> None:
        """Note one of them."""
        kind = (option or "").lstrip("-")
        if kind in {"issuer", "serial", "cert"}:
            given.mentions = [*given.mentions, Mention(kind, str(values))]  # type: ignore[arg-type]


def takes_certificates(parser: Parser) -> None:
    """Take the certificates that a command names, and what is kept with the commit."""
    parser.takes_config()
    parser.set_defaults(mentions=[])
    for option, metavar, text in (
        ("--cert", "FILE", "a certificate (PEM or DER), also one that no snapshot has had yet; may be repeated"),
        ("--issuer", "NAME", "name of an [[issuer]], whose certificates the serial numbers behind it are"),
        ("--serial", "HEX", "a serial number, with a sign where negative; may be repeated; -: one a line, from stdin"),
    ):
        parser.add_argument(option, metavar=metavar, action=_Mentioned, dest="mentions", help=text)


def takes_memory(parser: Parser) -> None:
    """Take who makes a change and what is to be remembered, and the options of all urgent changes."""
    parser.add_argument("--dry-run", action="store_true", help="change nothing, and say what would be changed")
    parser.takes_author()
    parser.add_argument(
        "--now", metavar="INSTANT", help="sign as if it were this instant; far from the clock: profile lab only"
    )
    parser.add_argument("--engine", help="auto, multibuffer, awslc or software; default: the configuration's")
    parser.takes_workers()
    parser.takes_json()


def read_change_options(given: Namespace, now: datetime | None) -> ChangeOptions:
    """Return what the command line says beside the certificates.

    Raises:
        UsageError: a text is empty or too long.
    """
    return ChangeOptions(
        now=now,
        engine=given.engine,
        workers=read_count("--workers", given.workers),
        author=read_author(given.by, given.note),
        is_dry=given.dry_run,
    )


def call_change(given: Namespace, account: Account, kind: ChangeKind, **of_order: object) -> Report:
    """Revoke, hold or release the certificates that are named."""
    now = read_instant("--now", given.now)
    options, order = read_change_options(given, now), Order(kind=kind, **of_order)  # type: ignore[arg-type]
    remarks = clock_remarks(now)
    with remarked(remarks), progress(is_quiet=given.quiet) as show:
        config = load_config(given.config)
        account.store = config.store.url
        changed = change(config, order, given.mentions, options, show, _read_input)
    account.note_commit((changed.landed.head if changed.landed else changed.ground.head).commit)
    return change_report(changed).after(remarks)


def _read_input() -> str:
    if sys.stdin is None:
        raise UsageError("--serial -: standard input is closed")
    return sys.stdin.read()
