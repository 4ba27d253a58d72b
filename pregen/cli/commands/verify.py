"""`pregen verify`."""

from argparse import Namespace
from pathlib import Path

from pregen.audit import Trust, verify_against, verify_store
from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.options import Parser, read_count, read_instant
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.cli.reports import verify_report, with_against
from pregen.cli.stores import open_named_store
from pregen.config import load_config
from pregen.errors import UsageError
from pregen.generation import RunOptions


def describe(parser: Parser) -> None:
    """Give a parser the options of a verification."""
    parser.takes_store("trust its issuers, and without STORE take its store")
    parser.takes_issuers("trust this issuer certificate")
    parser.add_argument(
        "--sample",
        metavar="N",
        type=int,
        default=1000,
        help="verify the responses of about this many certificates, all packs (%(default)s)",
    )
    parser.add_argument(
        "--against",
        metavar="CONFIG",
        type=Path,
        help="also read the snapshot of this configuration, which is trusted as with --config: each certificate must "
        "have its answers with the right status, and nothing else may be answered good",
    )
    parser.add_argument("--snapshot", help="with --against: file, glob or folder; default: the configuration's")
    parser.add_argument(
        "--as-of", metavar="INSTANT", help="with --against: for which instant the snapshot is complete; as for run"
    )
    parser.add_argument("--all", action="store_true", help="verify every response")
    parser.takes_strict()
    parser.takes_timeout("0")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Read the current generation again, and verify it."""
    as_of = read_instant("--as-of", given.as_of)
    if given.against is None and (given.snapshot or as_of):
        raise UsageError("--snapshot and --as-of belong to --against CONFIG: name it too")
    trust, named = None, given.config or given.against
    if given.issuer:
        trust = Trust.of_files(tuple(given.issuer))
    elif named:
        trust = Trust.of_config(load_config(named))
    store = open_named_store(given.store, None if given.store else named, account)
    with progress(is_quiet=given.quiet) as show:
        sample = None if given.all else read_count("--sample", given.sample)
        audit = within(given.timeout, store.url, lambda: verify_store(store, trust, sample, show, account.note_commit))
        report = verify_report(audit)
        if given.against:
            config = load_config(given.against)
            options = RunOptions(snapshot=given.snapshot, as_of=as_of)
            report = with_against(report, verify_against(store, audit.generation, config, options, show))
    return report.strictly(given.strict)
