"""What an OCSP response says (RFC 6960, 4.2.1), read by `storage.der` alone; no signature is verified here.

It is for people who look at one response; `pregen.verification` judges those that are published.
"""

import re
from typing import NamedTuple

from pregen.reasons import REASON_NAMES
from storage.certid import CertID, read_cert_id
from storage.der import (
    BIT_STRING,
    ENUMERATED,
    GENERALIZED_TIME,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Cursor,
    oid_text,
)

_EXPLICIT_0, _EXPLICIT_1, _EXPLICIT_2 = 0xA0, 0xA1, 0xA2
_BASIC = bytes.fromhex("2b0601050507300101")
_GOOD, _REVOKED, _UNKNOWN = 0x80, 0xA1, 0x82
_RESPONSE_STATUSES = {
    0: "successful",
    1: "malformedRequest",
    2: "internalError",
    3: "tryLater",
    5: "sigRequired",
    6: "unauthorized",
}
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")


class SingleResponse(NamedTuple):
    """What a response says of one certificate; times as RFC 3339, None what is absent."""

    cert_id: CertID
    status: str
    revoked_at: str | None
    reason: str | None
    this_update: str
    next_update: str | None


class Basic(NamedTuple):
    """What a successful response says.

    Attributes:
        responder_name: DER Name of the responder, or None where it is named by its key.
        responder_key_hash: SHA-1 of its key's bits, or None where it is named by its name.
        produced_at: as RFC 3339.
        statements: one for each CertID.
        extensions: dotted OIDs of the response's extensions.
        algorithm: dotted OID of the signature's algorithm.
        signature_bytes: length of the signature.
        certificates: number of certificates that it carries.
    """

    responder_name: bytes | None
    responder_key_hash: bytes | None
    produced_at: str
    statements: tuple[SingleResponse, ...]
    extensions: tuple[str, ...]
    algorithm: str
    signature_bytes: int
    certificates: int


class Response(NamedTuple):
    """An OCSPResponse.

    Attributes:
        status: as RFC 6960 calls it, or its number.
        type: ``basic``, or the dotted OID of another type, of which nothing more is known; None: it carries nothing.
        basic: what it says where it is of the basic type.
    """

    status: str
    type: str | None
    basic: Basic | None


def read_response(data: bytes) -> Response:
    """Return what a response says.

    Raises:
        ValueError: the octets are no OCSPResponse.
    """
    outer = Cursor(data)
    response = outer.take(SEQUENCE)
    outer.finish()
    number = int.from_bytes(response.take(ENUMERATED).octets, "big")
    status = _RESPONSE_STATUSES.get(number, str(number))
    explicit = response.take_if(_EXPLICIT_0)
    response.finish()
    if explicit is None:
        return Response(status, None, None)
    response_bytes = explicit.take(SEQUENCE)
    kind, content = response_bytes.take(OID).octets, response_bytes.take(OCTET_STRING)
    if kind != _BASIC:
        return Response(status, oid_text(kind), None)
    return Response(status, "basic", _basic(content.take(SEQUENCE)))


def statements_of(data: bytes) -> tuple[SingleResponse, ...]:
    """Return what a response says of certificates; nothing where it is an error, or not of the basic type.

    Raises:
        ValueError: the octets are no OCSPResponse.
    """
    basic = read_response(data).basic
    return () if basic is None else basic.statements


def _basic(basic: Cursor) -> Basic:
    data, algorithm = basic.take(SEQUENCE), basic.take(SEQUENCE).take(OID).octets
    signature = basic.take(BIT_STRING).octets
    carried = basic.take_if(_EXPLICIT_0)
    basic.finish()
    data.take_if(_EXPLICIT_0)  # version
    by_name = data.take_if(_EXPLICIT_1)
    by_key = None if by_name is not None else data.take(_EXPLICIT_2).take(OCTET_STRING).octets
    produced_at = _time(data.take(GENERALIZED_TIME))
    statements = tuple(map(_statement, _each(data.take(SEQUENCE))))
    extensions = data.take_if(_EXPLICIT_1)
    data.finish()
    return Basic(
        responder_name=None if by_name is None else by_name.octets,
        responder_key_hash=by_key,
        produced_at=produced_at,
        statements=statements,
        extensions=() if extensions is None else tuple(map(_name_of, _each(extensions.take(SEQUENCE)))),
        algorithm=oid_text(algorithm),
        signature_bytes=len(signature) - 1,
        certificates=0 if carried is None else len(_each(carried.take(SEQUENCE))),
    )


def _statement(single: Cursor) -> SingleResponse:
    cert_id = read_cert_id(single)
    status, revoked_at, reason = "good", None, None
    if (revoked := single.take_if(_REVOKED)) is not None:
        status, revoked_at = "revoked", _time(revoked.take(GENERALIZED_TIME))
        if (given := revoked.take_if(_EXPLICIT_0)) is not None:
            number = int.from_bytes(given.take(ENUMERATED).octets, "big")
            reason = REASON_NAMES.get(number, str(number))
    elif single.take_if(_UNKNOWN) is not None:
        status = "unknown"
    else:
        single.take(_GOOD)
    this_update = _time(single.take(GENERALIZED_TIME))
    until = single.take_if(_EXPLICIT_0)
    next_update = None if until is None else _time(until.take(GENERALIZED_TIME))
    return SingleResponse(cert_id, status, revoked_at, reason, this_update, next_update)


def _each(sequence: Cursor) -> list[Cursor]:
    found = []
    while not sequence.at_end():
        found.append(sequence.take(SEQUENCE))
    return found


def _name_of(extension: Cursor) -> str:
    return oid_text(extension.take(OID).octets)


def _time(written: Cursor) -> str:
    """Return a GeneralizedTime as RFC 3339; one that is not written as RFC 5280 asks for, as it is."""
    found = _TIME.fullmatch(written.octets)
    if found is None:
        return written.octets.decode("ascii", "backslashreplace")
    year, *rest = (part.decode() for part in found.groups())
    return "{}-{}-{}T{}:{}:{}Z".format(year, *rest)
