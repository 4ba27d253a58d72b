"""`pregen inspect`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.inspected import inspect_report
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.inspection import inspect_store


def describe(parser: Parser) -> None:
    """Give a parser the options of an inspection."""
    parser.takes_store()
    parser.takes_strict()
    parser.takes_timeout("5m")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show what is published."""
    store = open_named_store(given.store, given.config, account)
    found = within(given.timeout, store.url, lambda: inspect_store(store))
    account.note_commit(found.commits[0])
    return inspect_report(found).strictly(given.strict)
