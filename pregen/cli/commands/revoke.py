"""`pregen revoke`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.naming import call_change, takes_certificates, takes_memory
from pregen.cli.options import Parser, read_instant
from pregen.cli.report import Report
from pregen.reasons import REASONS
from pregen.urgent.orders import ChangeKind

_OF_HOLDS = "certificateHold"


def describe(parser: Parser) -> None:
    """Give a parser the options of a revocation."""
    parser.epilog = (
        "It is final. Edges answer so within seconds; caches may keep an older answer for as long as its max-age."
    )
    takes_certificates(parser)
    parser.add_argument(
        "--reason",
        choices=[name for name in REASONS if name != _OF_HOLDS],
        metavar="CRLREASON",
        help=f"why: {', '.join(name for name in REASONS if name != _OF_HOLDS)}; default: none is given",
    )
    parser.add_argument("--at", metavar="TIME", help="when, such as 2026-11-24T09:30:00Z; default: now")
    takes_memory(parser)


def call(given: Namespace, account: Account) -> Report:
    """Revoke certificates."""
    reason = None if given.reason is None else REASONS[given.reason]
    return call_change(given, account, ChangeKind.REVOKE, reason=reason, at=read_instant("--at", given.at))
