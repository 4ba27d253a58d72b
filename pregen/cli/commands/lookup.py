"""`pregen lookup`."""

from argparse import Namespace
from pathlib import Path

from pregen.cli.account import Account
from pregen.cli.deadline import within
from pregen.cli.lookup_report import lookup_report
from pregen.cli.options import Parser
from pregen.cli.report import Report
from pregen.cli.stores import open_named_store
from pregen.errors import UsageError
from pregen.lookup import look_up


def describe(parser: Parser) -> None:
    """Give a parser the options of a lookup."""
    parser.takes_store()
    parser.add_argument(
        "--issuer", metavar="FILE", type=Path, required=True, help="the issuer's certificate (PEM or DER)"
    )
    parser.add_argument("--cert", metavar="FILE", type=Path, help="the certificate to look up (PEM or DER)")
    parser.add_argument("--serial", metavar="HEX", help="its serial number in hex, with a sign where negative")
    parser.add_argument("--hash", choices=("sha1", "sha256"), default="sha1", help="hash of the CertID (%(default)s)")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the DER of the response to this file")
    parser.takes_strict()
    parser.takes_timeout("30s")
    parser.takes_json()


def call(given: Namespace, account: Account) -> Report:
    """Look up the response for one certificate."""
    if (given.cert is None) == (given.serial is None):
        raise UsageError("say either --cert FILE or --serial HEX")
    store = open_named_store(given.store, given.config, account)
    found = within(
        given.timeout,
        store.url,
        lambda: look_up(
            store,
            given.issuer,
            cert=given.cert,
            serial=given.serial,
            hash_name=given.hash,
            tell_commit=account.note_commit,
        ),
    )
    out: Path | None = given.out
    if out is not None:
        try:
            out.write_bytes(found.answer.der)
        except OSError as e:
            raise UsageError(f"--out {out}: cannot be written ({e.strerror}): name a file in a folder that can") from e
    return lookup_report(found, out).strictly(given.strict)
