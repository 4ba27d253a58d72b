"""`python -m tests.incident`: the incident that Pregen was made for, acted out; docs/incident.md tells it."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pregen.cli.tour import DEMO_ALGORITHMS
from pregen.config import CertIds
from pregen.errors import PregenError
from tests.incident.acts import MIN_ROWS
from tests.incident.story import tell


def main(words: Sequence[str]) -> int:
    """Act it out; return 0 only if all went as told, or the exit code of what went otherwise."""
    parser = ArgumentParser(prog="python -m tests.incident", description="A zone mistake between two databases.")
    parser.add_argument("--dir", type=Path, default=Path("incident"), help="folder to make (%(default)s)")
    parser.add_argument(
        "--rows", type=int, default=100_000, help=f"certificates before the mistake, {MIN_ROWS} at least (%(default)s)"
    )
    parser.add_argument("--algorithm", choices=tuple(DEMO_ALGORITHMS), default="p256", help="of the responder")
    parser.add_argument("--cert-ids", choices=get_args(CertIds), default="separate", help="as in the configuration")
    parser.add_argument("--workers", type=int, default=0, help="0: as many as there are CPUs (%(default)s)")
    given = parser.parse_args(words)
    try:
        tell(given.dir, given.rows, given.algorithm, given.cert_ids, given.workers)
    except PregenError as error:
        sys.stderr.write("".join(f"{line}\n" for line in (f"error: {error.message}", *error.findings)))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
