"""`pregen hold`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.naming import call_change, takes_certificates, takes_memory
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.urgent.orders import ChangeKind


def describe(parser: Parser) -> None:
    """Give a parser the options of the command."""
    parser.epilog = (
        "A hold ends by pregen release, or becomes final by pregen revoke; profiles of the public allow none."
    )
    takes_certificates(parser)
    takes_memory(parser)


def call(given: Namespace, account: Account) -> Report:
    """Put certificates on hold."""
    return call_change(given, account, ChangeKind.HOLD)
