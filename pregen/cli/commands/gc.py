"""`pregen gc`."""

from argparse import Namespace
from dataclasses import replace

from pregen import clock
from pregen.cli.account import Account
from pregen.cli.options import Parser, read_count, read_length_s
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.cli.stores import open_target
from pregen.cli.upkept import gc_report
from pregen.config import Config
from pregen.errors import Finding, UsageError
from pregen.gates.author import read_author
from pregen.generation.rows.spooling import remove_left
from pregen.upkeep import DEFAULT_DAYS, DEFAULT_GENERATIONS, CleaningTerms, RetentionRules, clean
from pregen.validity import check_store_clock
from storage.commits import Commit
from storage.errors import StorageError


def describe(parser: Parser) -> None:
    """Give a parser the options of a cleaning."""
    parser.takes_target()
    parser.add_argument(
        "--keep",
        metavar="N",
        type=int,
        help="keep the N newest generations, each a run or rollback with its urgent changes; default: as the "
        f"configuration says, else {DEFAULT_GENERATIONS}",
    )
    parser.add_argument(
        "--keep-for",
        metavar="SPAN",
        help="keep those that have been current in so long a time: 14d, 36h; default: as the configuration says, "
        f"else {DEFAULT_DAYS}d. A generation stays if either keeps it; where one is given, the other keeps none",
    )
    parser.add_argument(
        "--grace",
        metavar="SPAN",
        default="24h",
        help="keep whatever was named or written in so long a time, for edges and publishers that still use it "
        "(%(default)s)",
    )
    parser.takes_dry_run("say what would go, and remove nothing")
    parser.takes_author()
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Remove what nothing keeps."""
    keep = read_count("--keep", given.keep)
    keep_s = None if given.keep_for is None else read_length_s("--keep-for", given.keep_for)
    grace_s = read_length_s("--grace", given.grace)
    author = read_author(given.by, given.note)
    if keep == 0:
        raise UsageError("--keep 0: the current generation always stays, so 1 at least belongs there")
    store, config = open_target(given.target, account)
    rules = _rules(config, keep, keep_s, grace_s)
    # Objects are as old as the store says, but publishers at work say by their own clocks when they began.
    remarks = () if given.dry_run else check_store_clock(clock.seconds_ahead_of(store.clock_s), store.url)

    def tell(commit: Commit) -> None:
        account.note_commit(commit)
        account.done = f"commit {commit.number} has announced what goes, and the next cleaning goes on with it"

    with progress(is_quiet=given.quiet) as show:
        cleaned = clean(store, CleaningTerms(rules=rules, is_dry=given.dry_run, author=author), show, tell)
    account.note_commit(cleaned.head)
    report = gc_report(cleaned, is_dry=given.dry_run).after(remarks)
    return report if config is None else _with_spool(report, config, is_dry=given.dry_run)


def _with_spool(report: Report, config: Config, *, is_dry: bool) -> Report:
    """Clean the spool of a configuration as well, and say so; the store is clean by then, whatever happens here."""
    try:
        count, octets = remove_left(config.spool, is_dry=is_dry)
    except (OSError, StorageError, ValueError) as error:
        text = (
            f"{config.run.spool}: what killed runs have left in the spool could not be removed ({error}): clean again"
        )
        return replace(report, findings=(*report.findings, Finding("gc.spool", "warning", text)))
    told = f"spool: {count:,} files of {octets:,} octets, of runs that were killed, {'would go' if is_dry else 'gone'}"
    return replace(
        report,
        document={**report.document, "spool": {"count": count, "bytes": octets}},
        lines=[*report.lines, *([told] if count else [])],
    )


def _rules(config: Config | None, keep: int | None, keep_s: int | None, grace_s: int) -> RetentionRules:
    """Return what is kept: as the command line says, else as the configuration does, else by default."""
    if keep is not None or keep_s is not None:
        return RetentionRules(generations=keep, keep_s=keep_s, grace_s=grace_s)
    if config is not None and config.publish.keep.is_given:
        return RetentionRules.of(config.publish.keep, grace_s)
    return RetentionRules.usual(grace_s)
