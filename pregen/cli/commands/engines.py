"""`pregen engines`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.cli.reports import engines_report
from pregen.engines import survey_engines


def describe(parser: Parser) -> None:
    """Give a parser the options of the survey of engines."""
    parser.add_argument(
        "--measure", action="store_true", help="also measure signatures a second: about 20 seconds in all"
    )
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show which engines work here."""
    del account  # nothing is worked on
    return engines_report(survey_engines(measure=given.measure))
