"""``python -m storage.edge STORE``: the OCSP responder at the edge."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from storage.edge.caching import MAX_AGE_CAP_S
from storage.edge.launch import max_age_cap_in, serve
from storage.edge.source import STORE_DEADLINE_S


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m storage.edge",
        description="Answer OCSP requests over HTTP from a store of signed responses. No key, no database.",
        epilog="Credentials, region and endpoint of S3 come from the standard AWS_* variables. "
        "GET /healthz says that the process lives, GET /readyz whether all is served, in JSON. "
        "Exit codes: 0 stopped by a signal, 1 the workers crash, 2 usage, 5 storage.",
    )
    parser.add_argument("store", metavar="STORE", help="a path, file:///... or s3://bucket/prefix")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", default=8080, type=_port, help="port to listen at, 0 for a free one (%(default)s)")
    parser.add_argument("--workers", default=1, type=int, help="worker processes, about one a core (%(default)s)")
    parser.add_argument("--endpoint", help="address of an S3 server other than AWS")
    parser.add_argument("--region", help="region of the bucket")
    parser.add_argument(
        "--log-file", type=Path, help="append one JSON line a request here instead of stdout; may be rotated"
    )
    parser.add_argument(
        "--max-age-cap",
        default=MAX_AGE_CAP_S,
        type=_max_age_cap,
        metavar="TIME",
        help="how long caches may keep an answer at most, 3600, 90m or 6h (default and most: a day); 0: not at all",
    )
    parser.add_argument(
        "--store-deadline",
        default=STORE_DEADLINE_S,
        type=float,
        metavar="SECONDS",
        help="how long a request waits for the store before it gets tryLater (%(default)s)",
    )
    parser.add_argument(
        "--unready-when-degraded",
        action="store_true",
        help="fail /readyz (503) as soon as anything is not as it should be, and not only when nothing can be served",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="nothing on stderr but warnings and errors; the log of requests stays"
    )
    options = parser.parse_args(arguments)
    return serve(
        options.store,
        host=options.host,
        port=options.port,
        workers=options.workers,
        endpoint=options.endpoint,
        region=options.region,
        log_file=options.log_file,
        max_age_cap_s=options.max_age_cap,
        store_deadline_s=options.store_deadline,
        unready_when_degraded=options.unready_when_degraded,
        is_quiet=options.quiet,
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{port} is no port: 0 to 65535")
    return port


def _max_age_cap(text: str) -> int:
    try:
        return max_age_cap_in(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
