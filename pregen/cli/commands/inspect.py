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
from pregen.inspection import inspect_store
from pregen.upkeep import RetentionRules, what_could_go


def describe(parser: Parser) -> None:
    """Give a parser the options of an inspection."""
    parser.takes_store()
    parser.takes_strict()
    parser.takes_timeout("5m")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show what is published."""
    store = open_named_store(given.store, given.config, account)
    rules = _rules(given.config)
    found, could_go = within(given.timeout, store.url, lambda: (inspect_store(store), what_could_go(store, rules)))
    account.note_commit(found.commits[0])
    return with_what_could_go(inspect_report(found), could_go, rules).strictly(given.strict)


def _rules(config: Path | None) -> RetentionRules:
    """Return what a cleaning would keep: as a configuration says, else by default."""
    if config is None:
        return RetentionRules.usual()
    from pregen.config import load_config  # noqa: PLC0415 - its libraries are for those who have a configuration

    keep = load_config(config).publish.keep
    return RetentionRules.of(keep) if keep.is_given else RetentionRules.usual()
