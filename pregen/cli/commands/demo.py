"""`pregen demo`."""

import os
import sys
from argparse import Namespace
from contextlib import nullcontext, redirect_stdout
from functools import partial
from pathlib import Path
from typing import get_args

from pregen.cli.account import Account
from pregen.cli.options import Parser, read_count
from pregen.cli.progress import progress
from pregen.cli.tour import DEMO_ALGORITHMS, run_demo
from pregen.config import CertIds


def describe(parser: Parser) -> None:
    """Give a parser the options of the demo."""
    parser.add_argument(
        "--dir", type=Path, default=Path("demo"), help="folder to make; must not hold anything yet (%(default)s)"
    )
    parser.add_argument("--rows", metavar="N", type=int, default=100_000, help="number of certificates (%(default)s)")
    parser.add_argument(
        "--algorithm",
        choices=tuple(DEMO_ALGORITHMS),
        default="p256",
        help="what the responder signs with; its issuer has P-256 (%(default)s)",
    )
    parser.add_argument(
        "--cert-ids",
        choices=get_args(CertIds),
        default="separate",
        help="CertID hashes with answers; combined: both under one signature (RFC 9919) (%(default)s)",
    )
    parser.add_argument("--engine", default="auto", help="auto, multibuffer, awslc or software (%(default)s)")
    parser.takes_workers()


def call(given: Namespace, account: Account) -> int:
    """Make a CA and show all that happens to its responses."""
    del account  # there is no object for it
    workers = read_count("--workers", given.workers)
    with Path(os.devnull).open("w") if given.quiet else nullcontext(sys.stdout) as out, redirect_stdout(out):
        show = partial(progress, is_quiet=given.quiet)
        run_demo(given.dir, given.rows, given.algorithm, given.cert_ids, given.engine, workers, show)
    return 0
