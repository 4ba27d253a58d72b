"""`pregen decode`."""

import errno
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pregen.cli.account import Account
from pregen.cli.decoded import decode_report
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.decoding import MAX_INPUT_BYTES, Decoded, KnownIssuer, decode, issuers_of_files, issuers_of_store
from pregen.errors import UsageError

if TYPE_CHECKING:
    from storage.stores import Store

_NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})  # then the word itself is meant


def describe(parser: Parser) -> None:
    """Give a parser the options of decoding."""
    parser.add_argument(
        "what",
        metavar="WHAT",
        help="a file, or - for stdin, or the text itself: a GET path or lines of an access log, base64, hex, PEM; DER "
        "in a file",
    )
    parser.add_argument("--store", metavar="STORE", help="name issuers, and say what this store answers")
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="take the store of this configuration")
    parser.takes_issuers("name this issuer, whose certificate is in the file (PEM or DER)")
    parser.takes_timeout("30s")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Show which certificates a request or a response is about."""
    decoded = decode(_octets(given.what))
    issuers = issuers_of_files(given.issuer)
    if not given.store and not given.config:
        return decode_report(decoded, issuers, None)
    from pregen.cli.deadline import within  # noqa: PLC0415 - most decode without a store
    from pregen.cli.stores import open_named_store  # noqa: PLC0415 - as above

    store = open_named_store(given.store, given.config, account)
    return within(given.timeout, store.url, lambda: _named_by(store, decoded, issuers, account))


def _named_by(store: "Store", decoded: Sequence[Decoded], issuers: Sequence[KnownIssuer], account: Account) -> Report:
    """Return the report in which a store says whose certificates they are, and what is published for them."""
    from storage.reader import open_reader  # noqa: PLC0415 - as above

    reader = open_reader(store)
    if reader.current:
        account.note_commit(reader.current.commit)
    return decode_report(decoded, [*issuers, *issuers_of_store(reader)], reader)


def _octets(what: str) -> bytes:
    """Return what is to be decoded: stdin, a file, or the word itself.

    Raises:
        UsageError: the file cannot be read, or is far too large.
    """
    if what == "-":
        data = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    else:
        try:
            with Path(what).open("rb") as file:
                data = file.read(MAX_INPUT_BYTES + 1)
        except ValueError:  # a NUL: no file is called so, and nothing of ours is written so
            return os.fsencode(what)
        except OSError as e:
            if e.errno in _NO_FILE:
                return os.fsencode(what)
            raise UsageError(f"{what}: cannot be read ({e.strerror})") from e
    if len(data) > MAX_INPUT_BYTES:
        raise UsageError(
            f"{what}: larger than {MAX_INPUT_BYTES:,} octets: give the part of it that matters, as by grep or tail"
        )
    return data
