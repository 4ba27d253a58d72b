"""`pregen logs`."""

from argparse import Namespace
from pathlib import Path

from pregen import clock
from pregen.cli.account import Account
from pregen.cli.asked_report import logs_report
from pregen.cli.options import Parser
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.logs import import_logs


def describe(parser: Parser) -> None:
    """Give a parser the options of an import of logs."""
    parser.epilog = "Each import is a folder of its own in --out, which is there when it is whole; see docs/logs.md."
    parser.add_argument("what", metavar="import", choices=("import",), help="the only thing there is to do with logs")
    parser.add_argument(
        "files", metavar="FILES", nargs="+", type=Path, help="request logs of edges, packed (gzip, zstd) or not"
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="the folder of imports; this one is added to it"
    )
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Write request logs as Parquet."""
    with progress(is_quiet=given.quiet) as show:
        imported = import_logs(given.files, given.out, now=account.started_at, progress=show)
    return logs_report(imported, (clock.now() - account.started_at).total_seconds())
