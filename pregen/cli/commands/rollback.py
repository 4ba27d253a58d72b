"""`pregen rollback`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.options import Parser
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.cli.stores import open_target
from pregen.cli.upkept import rollback_report
from pregen.config import RefreshConfig
from pregen.errors import UsageError
from pregen.gates import Acceptance
from pregen.gates.acceptance import MAX_REASON
from pregen.gates.author import read_author
from pregen.upkeep.rollback import RollbackTerms, roll_back

_ACCEPTED = ("unrevoke", "shrink")


def describe(parser: Parser) -> None:
    """Give a parser the options of a rollback."""
    parser.takes_target()
    parser.add_argument(
        "--to", metavar="N", type=int, required=True, help="the commit to go back to: pregen history shows which"
    )
    parser.add_argument(
        "--reason", metavar="TEXT", required=True, help="why, and why what --accept names is right; kept in the commit"
    )
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=_ACCEPTED,
        help="unrevoke: leave to that commit what runs have revoked since; shrink: leave out certificates that it "
        "lacks, those that are revoked only with both; may be repeated",
    )
    parser.takes_dry_run("say what would be copied, and publish nothing")
    parser.takes_author()
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Take a generation back."""
    author = read_author(given.by, given.note)
    reason = given.reason.strip()
    if not reason:
        raise UsageError("--reason is empty: say why the generation is taken back; it is kept with the commit")
    if len(reason) > MAX_REASON:
        raise UsageError(f"--reason has {len(reason):,} characters: {MAX_REASON:,} are kept, name a ticket instead")
    store, config = open_target(given.target, account)
    terms = RollbackTerms(
        to=given.to,
        reason=reason,
        accept=tuple(Acceptance(gate, reason, author.by) for gate in dict.fromkeys(given.accept)),
        author=author,
        every_s=(config.refresh if config is not None else RefreshConfig()).every_s,
        is_dry=given.dry_run,
    )
    with progress(is_quiet=given.quiet) as show:
        done = roll_back(store, terms, show)
    account.note_commit(done.commit)
    return rollback_report(done, is_dry=given.dry_run)
