"""`pregen status`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.options import Parser, read_length_s
from pregen.cli.plugin import status_report
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.errors import UsageError
from pregen.status import status_of


def describe(parser: Parser) -> None:
    """Give a parser the options of a status."""
    parser.takes_store()
    parser.add_argument(
        "--warn",
        metavar="SPAN",
        default="12h",
        help="WARNING where answers of an issuer hold for less than this: 90m, 12h, 2d (%(default)s); also where "
        "newer ones are overdue, or a certificate ends within 14 days",
    )
    parser.add_argument(
        "--crit", metavar="SPAN", default="4h", help="CRITICAL where they hold for less than this (%(default)s)"
    )
    parser.takes_timeout("10s")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Say how what is published stands, as monitoring plugins do."""
    warn_s, crit_s = read_length_s("--warn", given.warn), read_length_s("--crit", given.crit)
    if crit_s > warn_s:
        raise UsageError(f"--crit {given.crit} is longer than --warn {given.warn}: it must come after it")
    store = open_named_store(given.store, given.config, account)
    found = within(given.timeout, store.url, lambda: status_of(store, warn_s, crit_s))
    if found.commit is not None:
        account.note_commit(found.commit)
    return status_report(found, warn_s, crit_s)
