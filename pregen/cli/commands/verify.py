"""`pregen verify`."""

from argparse import Namespace

from pregen.audit import Trust, verify_store
from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.options import Parser, read_count
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.cli.reports import verify_report
from pregen.cli.stores import open_named_store
from pregen.config import load_config


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
    parser.add_argument("--all", action="store_true", help="verify every response")
    parser.takes_strict()
    parser.takes_timeout("0")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Read the current generation again, and verify it."""
    trust = None
    if given.issuer:
        trust = Trust.of_files(tuple(given.issuer))
    elif given.config:
        trust = Trust.of_config(load_config(given.config))
    store = open_named_store(given.store, None if given.store else given.config, account)
    with progress(is_quiet=given.quiet) as show:
        sample = None if given.all else read_count("--sample", given.sample)
        audit = within(given.timeout, store.url, lambda: verify_store(store, trust, sample, show, account.note_commit))
    return verify_report(audit).strictly(given.strict)
