"""`pregen asked`."""

from argparse import Namespace
from datetime import datetime
from pathlib import Path

from pregen import clock
from pregen.cli.account import Account
from pregen.cli.asked_report import asked_report
from pregen.cli.options import Parser, read_instant
from pregen.cli.progress import progress
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.config import load_config
from pregen.errors import UsageError
from pregen.exit_codes import ExitCode
from pregen.logs import ask, seek
from storage.reader import open_reader


def describe(parser: Parser) -> None:
    """Give a parser the options of a question."""
    parser.epilog = (
        f"Exits {ExitCode.DONE} where the certificate was asked for, {ExitCode.NOT_ASKED} where it was not, and "
        f"{ExitCode.UNKNOWABLE} where these logs cannot tell; see docs/logs.md."
    )
    parser.add_argument(
        "logs", metavar="DIR|FILES", nargs="+", type=Path, help="the folder of pregen logs import --out, or log files"
    )
    parser.add_argument("--cert", metavar="FILE", type=Path, help="the certificate (PEM or DER)")
    parser.add_argument(
        "--issuer",
        metavar="NAME",
        help="its issuer: a certificate file, a name in the configuration or the store, or NAMEHASH:KEYHASH in hex",
    )
    parser.add_argument("--serial", metavar="HEX", help="its serial number in hex, with a sign where negative")
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="names issuers")
    parser.add_argument("--store", metavar="STORE", help="names issuers")
    parser.add_argument("--from", dest="since", metavar="INSTANT", help="since when; default: since the first line")
    parser.add_argument("--to", dest="until", metavar="INSTANT", help="until when; default: until the last line")
    parser.add_argument(
        "--behind-cache", action="store_true", help="a cache stood in front of the edges, and answered by itself"
    )
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Say whether a certificate was asked for."""
    since, until = read_instant("--from", given.since), read_instant("--to", given.until)
    if since is not None and until is not None and until <= since:
        raise UsageError(f"--to {clock.text(until)} is not after --from {clock.text(since)}")
    sought = seek(
        cert=given.cert,
        issuer=given.issuer,
        serial=given.serial,
        config=None if given.config is None else load_config(given.config),
        open_reader=None if given.store is None else lambda: open_reader(open_named_store(given.store, None, account)),
    )
    with progress(is_quiet=given.quiet) as show:
        answer = ask(
            given.logs,
            sought,
            from_ms=_ms(since),
            to_ms=_ms(until),
            is_behind_cache=given.behind_cache,
            progress=show,
        )
    return asked_report(answer)


def _ms(instant: datetime | None) -> int | None:
    return None if instant is None else clock.seconds(instant) * 1000
