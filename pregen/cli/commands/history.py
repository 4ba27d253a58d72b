"""`pregen history`."""

from argparse import Namespace
from pathlib import Path

from pregen import clock
from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.options import Parser, read_count
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.cli.upkept import history_report
from pregen.upkeep import history_of

_SHOWN = 30


def describe(parser: Parser) -> None:
    """Give a parser the options of a history."""
    parser.takes_store()
    parser.add_argument(
        "--last", metavar="N", type=int, default=_SHOWN, help="how many commits, the newest first; 0: all (%(default)s)"
    )
    parser.takes_timeout("10m")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show what was published, by whom and why, and what could be rolled back to."""
    last = read_count("--last", given.last)
    store = open_named_store(given.store, given.config, account)
    now, every_s = clock.seconds(clock.now()), _every_s(given.config)
    found = within(given.timeout, store.url, lambda: history_of(store, every_s, now, last or None))
    if found[0].commit is not None:
        account.note_commit(found[0].commit)
    return history_report(found)


def _every_s(config: Path | None) -> int:
    """Return how often runs take place, as a configuration says; without one, each day."""
    if config is None:
        return clock.DAY_S
    from pregen.config import load_config  # noqa: PLC0415 - its libraries are for those who have a configuration

    return load_config(config).refresh.every_s
