"""`pregen serve`."""

from argparse import Namespace

from pregen.cli.account import Account
from pregen.cli.options import Parser
from pregen.cli.stores import read_address
from storage.edge.serving.launch import serve
from storage.edge.serving.options import add_options, settings_of


def describe(parser: Parser) -> None:
    """Give a parser the options of the server."""
    parser.takes_store()
    add_options(parser)


def call(given: Namespace, account: Account) -> int:
    """Answer OCSP requests over HTTP until a signal ends it."""
    return serve(
        read_address(given.store, given.config, account),
        host=given.host,
        port=given.port,
        workers=given.workers,
        log_file=given.log_file,
        settings=settings_of(given),
        is_quiet=given.quiet,
    )
