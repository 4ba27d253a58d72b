"""When certificates end, by DER alone: those of issuers and responders, as tables hold them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from storage.certid import SHA256
from storage.der import GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME, Cursor
from storage.document import EPOCH
from storage.tables import Tables

ENDS_SOON_S = 14 * 86_400
"""So long before a certificate ends, there is a warning: renewing one takes approvals, and with some a ceremony."""

_VERSION = 0xA0
_DIGITS_OF_A_YEAR = 10  # month to second
_TWENTIETH_CENTURY = 50  # years from here on are of the 1900s (RFC 5280, 4.1.2.5.1)


class CertificateEnds(NamedTuple):
    """The last seconds in which the certificates of one issuer are valid, since 1970; None: there is none, or unknown.

    Attributes:
        issuer: of the one that lives longest: clients may build their chain over any.
        responder: of the one that is embedded.
    """

    issuer: int | None
    responder: int | None


def not_after_of(der: bytes) -> int | None:
    """Return the notAfter of a certificate, in seconds since 1970; None where it cannot be read (RFC 5280, 4.1)."""
    try:
        body = Cursor(der).take(SEQUENCE).take(SEQUENCE)
        body.take_if(_VERSION)
        body.take(INTEGER)
        body.take(SEQUENCE)  # signature
        body.take(SEQUENCE)  # issuer
        validity = body.take(SEQUENCE)
        validity.skip()  # notBefore
        short = validity.take_if(UTC_TIME)
        text = (short or validity.take(GENERALIZED_TIME)).octets.decode("ascii")
        return _seconds(text, 4 if short is None else 2)
    except ValueError:
        return None


def _seconds(text: str, year_digits: int) -> int:
    """Return a time in whole UTC seconds, the only form in certificates (RFC 5280, 4.1.2.5), as seconds since 1970."""
    year, rest = text[:year_digits], text[year_digits:-1]
    if not (year + rest).isdecimal() or len(rest) != _DIGITS_OF_A_YEAR or text[-1] != "Z":
        raise ValueError(f"{text!r} is no time of a certificate")
    century = 0 if year_digits > 2 else 1900 if int(year) >= _TWENTIETH_CENTURY else 2000
    month, day, hour, minute, second = (int(rest[at : at + 2]) for at in range(0, _DIGITS_OF_A_YEAR, 2))
    since = datetime(century + int(year), month, day, hour, minute, second, tzinfo=UTC) - EPOCH
    return since.days * 86_400 + since.seconds


def certificate_ends(tables: Iterable[Tables]) -> dict[int, CertificateEnds]:
    """Return when the certificates of each issuer end, by issuer id; of several tables the newest counts.

    A key may have several names; a chain over a certificate for any of them is one.
    """
    newest = sorted(tables, key=lambda one: max((window.produced_at for window in one.windows), default=0))
    stored = {issuer.issuer_id: issuer for one in newest for issuer in one.issuers}
    of_key: dict[bytes, int] = {}
    for issuer in stored.values():
        key = issuer.key_hashes[SHA256]
        ends = [end for end in map(not_after_of, issuer.certificates) if end is not None]
        of_key[key] = max([*ends, of_key.get(key, -1)])
    found = {}
    for issuer_id, issuer in stored.items():
        end = of_key[issuer.key_hashes[SHA256]]
        own = issuer.responder_certificate
        found[issuer_id] = CertificateEnds(end if end >= 0 else None, None if own is None else not_after_of(own))
    return found
