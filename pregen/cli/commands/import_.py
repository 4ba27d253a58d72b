"""`pregen import`."""

from argparse import Namespace
from pathlib import Path

from pregen import clock
from pregen.cli.account import Account
from pregen.cli.options import Parser, read_instant
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.cli.reports import import_report
from pregen.config import load_config
from pregen.gates.acceptance import read_acceptances
from pregen.importing import import_snapshot


def describe(parser: Parser) -> None:
    """Give a parser the options of an import."""
    parser.epilog = (
        'Any kind: tables and index.txt, revocations from CRLs (kind "crl"), and partitioned folders of them.'
    )
    parser.takes_config()
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, required=True, help="folder to make; must not hold anything yet"
    )
    parser.add_argument("--snapshot", help="file, glob or folder; default: the configuration's")
    parser.add_argument(
        "--as-of", metavar="INSTANT", help="for which instant the snapshot is complete; default as for pregen run"
    )
    parser.add_argument(
        "--now", metavar="INSTANT", help="read as if it were this instant; far from the clock: profile lab only"
    )
    parser.takes_acceptances(
        "write in spite of findings with this code about a whole column, which a run on the import cannot see; may be "
        "repeated; it is kept in the files, with its reason and who said so, and runs warn of it"
    )
    parser.takes_by("accepts")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Write a snapshot as canonical Parquet."""
    instant = account.as_of = read_instant("--as-of", given.as_of)
    accept = read_acceptances(given.accept, given.reason, given.by)
    started = read_instant("--now", given.now) or clock.now()
    remarks = clock_remarks(started)
    with remarked(remarks), progress(is_quiet=given.quiet) as show:
        config = load_config(given.config)
        imported = import_snapshot(
            config,
            given.out,
            snapshot=given.snapshot,
            as_of=instant,
            now=started,
            progress=show,
            accept=accept,
            tell_as_of=account.note_as_of,
        )
    return import_report(imported).after(remarks)
