"""`pregen run`, and its options, which `pregen check` takes too."""

import time
from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.options import Parser, read_count, read_instant
from pregen.cli.progress import progress
from pregen.cli.remarks import clock_remarks, remarked
from pregen.cli.report import Report
from pregen.cli.reports import run_report
from pregen.cli.upkept import with_cleaning
from pregen.config import load_config
from pregen.gates.acceptance import read_reasons
from pregen.gates.author import read_author
from pregen.generation import RunOptions, run
from pregen.upkeep.afterwards import clean_as_configured


def describe(parser: Parser) -> None:
    """Give a parser the options of a run."""
    parser.takes_config()
    parser.add_argument("--snapshot", help="file, glob or folder; default: the configuration's")
    parser.add_argument(
        "--as-of",
        metavar="INSTANT",
        help="for which instant the snapshot is complete, such as 2026-11-24T00:00:00Z: when its export began; "
        "default: the configuration's, else the files' metadata",
    )
    parser.add_argument(
        "--now", metavar="INSTANT", help="sign as if it were this instant; far from the clock: profile lab only"
    )
    parser.add_argument(
        "--drop-issuer",
        metavar="ISSUER",
        action="append",
        default=[],
        help="stop answering for this issuer of the current commit, which the configuration lacks, and forget what of "
        "it was revoked; say why by --reason; may be repeated",
    )
    parser.add_argument("--engine", help="auto, multibuffer, awslc or software; default: the configuration's")
    parser.takes_workers()
    parser.takes_acceptances(
        "publish in spite of this gate, or of findings with this code; may be repeated; it is kept with the commit, "
        "with its reason and who said so"
    )
    parser.takes_author()
    parser.add_argument(
        "--full", action="store_true", help="sign every answer again, also those that could be carried over"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where a run of this configuration was stopped, or refuse; without it, a run does that where it can",
    )
    parser.takes_cluster()
    parser.takes_json()


def read_options(given: Namespace, account: Account) -> RunOptions:
    """Return the options of a run with their texts read.

    The account learns for which instant the snapshot is complete as soon as that is known.

    Raises:
        UsageError: one is not what it should be.
    """
    account.as_of = read_instant("--as-of", given.as_of)
    accept, why_dropped = read_reasons(given.accept, given.drop_issuer, given.reason, given.by)
    return RunOptions(
        snapshot=given.snapshot,
        as_of=account.as_of,
        tell_as_of=account.note_as_of,
        now=read_instant("--now", given.now),
        drop_issuers=tuple(given.drop_issuer),
        why_dropped=why_dropped,
        engine=given.engine,
        workers=read_count("--workers", given.workers),
        accept=accept,
        author=read_author(given.by, given.note),
        full=given.full,
        resume=given.resume,
        cluster=given.cluster,
    )


def call(given: Namespace, account: Account) -> Report:
    """Sign a snapshot and publish it."""
    started = time.perf_counter()
    options = read_options(given, account)
    remarks = clock_remarks(options.now)
    with remarked(remarks), progress(is_quiet=given.quiet) as show:
        config = load_config(given.config)
        account.store = config.store.url
        published = run(config, options, show)
        cleaned = clean_as_configured(config, options.author, show)
    account.commit = published.commit
    return with_cleaning(run_report(published, time.perf_counter() - started), cleaned).after(remarks)
