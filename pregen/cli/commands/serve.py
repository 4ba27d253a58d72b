"""`pregen serve`."""

from argparse import Namespace
from pathlib import Path

from pregen.cli.account import Account
from pregen.cli.options import Parser
from pregen.cli.stores import read_address
from pregen.credentials import open_publish_store
from pregen.errors import UsageError
from storage.edge.launch import max_age_cap_in, serve
from storage.edge.source import STORE_DEADLINE_S


def describe(parser: Parser) -> None:
    """Give a parser the options of the server."""
    parser.takes_store()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen at; 0 takes a free one (%(default)s)")
    parser.add_argument("--workers", metavar="N", type=int, default=1, help="worker processes (%(default)s)")
    parser.add_argument(
        "--log-file",
        metavar="FILE",
        type=Path,
        help="append one JSON line a request here instead of stdout; may be rotated",
    )
    parser.add_argument(
        "--max-age-cap",
        metavar="SPAN",
        default="1d",
        help="how long caches may keep an answer at most: 3600, 90m, 6h (%(default)s)",
    )
    parser.add_argument(
        "--store-deadline",
        metavar="SECONDS",
        type=float,
        default=STORE_DEADLINE_S,
        help="how long a request waits for the store before it gets tryLater (%(default)s)",
    )
    parser.add_argument(
        "--unready-when-degraded",
        action="store_true",
        help="fail /readyz (503) as soon as anything is not as it should be, and not only when nothing can be served",
    )


def call(given: Namespace, account: Account) -> int:
    """Answer OCSP requests over HTTP until a signal ends it."""
    try:
        max_age_cap_s = max_age_cap_in(given.max_age_cap)
    except ValueError as e:
        raise UsageError(f"--max-age-cap: {e}") from None
    address, endpoint, region = read_address(given.store, given.config, account)
    return serve(
        address,
        host=given.host,
        port=given.port,
        workers=given.workers,
        endpoint=endpoint,
        region=region,
        log_file=given.log_file,
        max_age_cap_s=max_age_cap_s,
        store_deadline_s=given.store_deadline,
        unready_when_degraded=given.unready_when_degraded,
        is_quiet=given.quiet,
        opener=open_publish_store,
    )
