"""`pregen inspect`."""

from argparse import Namespace
from pathlib import Path

from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.inspected import inspect_report
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.cli.upkept import with_what_could_go
from pregen.config import KeepConfig, load_config
from pregen.inspection import inspect_store
from pregen.upkeep import DEFAULT_KEEP, what_could_go


def describe(parser: Parser) -> None:
    """Give a parser the options of an inspection."""
    parser.takes_store()
    parser.takes_strict()
    parser.takes_timeout("5m")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show what is published."""
    store = open_named_store(given.store, given.config, account)
    keep = _keep(given.config)
    found, could_go = within(given.timeout, store.url, lambda: (inspect_store(store), what_could_go(store, keep)))
    account.note_commit(found.commits[0])
    return with_what_could_go(inspect_report(found), could_go, keep).strictly(given.strict)


def _keep(config: Path | None) -> KeepConfig:
    """Return what a cleaning would keep: as a configuration says, else by default."""
    keep = DEFAULT_KEEP if config is None else load_config(config).publish.keep
    return keep if keep.is_given else DEFAULT_KEEP
