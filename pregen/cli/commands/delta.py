"""`pregen delta`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.change_report import change_report
from pregen.cli.naming import read_change_options, takes_memory
from pregen.cli.options import Parser, read_instant
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.config import load_config
from pregen.gates.acceptance import read_acceptances
from pregen.generation import RunOptions
from pregen.urgent import apply_delta


def describe(parser: Parser) -> None:
    """Give a parser the options of a delta."""
    parser.epilog = (
        "The file holds the rows alone that are new or have changed, and is read as [snapshot] of the\nconfiguration "
        "says; rows of certificates that are as they were change nothing."
    )
    parser.takes_config()
    parser.add_argument("changes", metavar="CHANGES", help="file, glob or folder of rows, in any form that a run takes")
    parser.add_argument(
        "--as-of",
        metavar="INSTANT",
        help="for which instant the rows are right, such as 2026-11-24T00:00:00Z: when their export began; default: "
        "the configuration's, else the files' metadata",
    )
    parser.takes_acceptances(
        "publish in spite of this gate, or of findings with this code; may be repeated; it is kept with the commit, "
        "with its reason and who said so; unrevoke: certificates that are revoked for good become what the rows say"
    )
    parser.takes_cluster()
    takes_memory(parser)


def call(given: Namespace, account: Account) -> Report:
    """Publish a file of changed rows on top of what is published."""
    now = read_instant("--now", given.now)
    account.as_of = read_instant("--as-of", given.as_of)
    options = read_change_options(given, now)
    run = RunOptions(
        **options.shared(),
        snapshot=given.changes,
        as_of=account.as_of,
        tell_as_of=account.note_as_of,
        accept=read_acceptances(given.accept, given.reason, given.by),
        cluster=given.cluster,
    )
    remarks = clock_remarks(now)
    with remarked(remarks), progress(is_quiet=given.quiet) as show:
        config = load_config(given.config)
        account.store = config.store.url
        changed = apply_delta(config, run, options, show)
    account.note_commit((changed.landed.head if changed.landed else changed.ground.head).commit)
    return change_report(changed).after(remarks)
