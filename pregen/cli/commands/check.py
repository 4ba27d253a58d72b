"""`pregen check`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.commands.run import describe, read_options
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.cli.reports import check_report
from pregen.config import load_config
from pregen.generation import check

__all__ = ["call", "describe"]


def call(given: Namespace, account: Account) -> Report:
    """Do all of a run that can refuse it."""
    options = read_options(given, account)
    remarks = clock_remarks(options.now)
    with remarked(remarks), progress(is_quiet=given.quiet) as show:
        config = load_config(given.config)
        account.store = config.store.url
        return check_report(check(config, options, show)).after(remarks)
