"""``python -m storage.edge STORE``: the OCSP responder at the edge."""

import argparse
import sys
from collections.abc import Sequence

from storage.edge.serving.launch import EXIT_USAGE, refuse, serve
from storage.edge.serving.options import add_options, settings_of
from storage.stores import StoreAddress, StoreOptions
from storage.stores.address import possible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m storage.edge",
        description="Answer OCSP requests over HTTP from a store of signed responses. No key, no database.",
        epilog="Credentials, region and endpoint of S3 come from the standard AWS_* variables. "
        "GET /healthz says that the process lives, GET /readyz whether all is served, in JSON. "
        "Exit codes: 0 stopped by a signal, 1 the workers crash, 2 usage, 5 storage.",
    )
    parser.add_argument("store", metavar="STORE", help=possible())
    parser.add_argument("--endpoint", help="address of an S3 server other than AWS")
    parser.add_argument("--region", help="region of the bucket")
    add_options(parser)
    parser.add_argument(
        "--quiet", action="store_true", help="nothing on stderr but warnings and errors; the log of requests stays"
    )
    options = parser.parse_args(arguments)
    try:
        address = StoreAddress(options.store, StoreOptions(options.endpoint, options.region))
    except ValueError as error:
        return refuse(EXIT_USAGE, str(error))
    return serve(
        address,
        host=options.host,
        port=options.port,
        workers=options.workers,
        log_file=options.log_file,
        settings=settings_of(options),
        is_quiet=options.quiet,
    )


if __name__ == "__main__":
    sys.exit(main())
