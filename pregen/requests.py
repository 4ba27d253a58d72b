"""What an OCSP request asks for (RFC 6960, 4.1.1), also one that an edge would refuse; read by `storage.der` alone."""

from typing import NamedTuple

from storage.certid import CertID, read_cert_id
from storage.der import BOOLEAN, OCTET_STRING, OID, SEQUENCE, Cursor, oid_text
from storage.request import MalformedRequestError, parse_request

_VERSION, _REQUESTOR_NAME, _EXTENSIONS, _SIGNATURE = 0xA0, 0xA1, 0xA2, 0xA0
_SINGLE_EXTENSIONS = 0xA0
_NONCE = "1.3.6.1.5.5.7.48.1.2"


class Request(NamedTuple):
    """What a request says.

    Attributes:
        cert_ids: of the certificates that are asked for, one or more.
        nonce: the octets of its value; None where there is none.
        extensions: dotted OIDs of the request's extensions.
        is_signed: whether it carries a signature.
        refused: why an edge answers malformedRequest; None where it looks the certificate up.
    """

    cert_ids: tuple[CertID, ...]
    nonce: bytes | None
    extensions: tuple[str, ...]
    is_signed: bool
    refused: str | None


def read_request(data: bytes) -> Request:
    """Return what a request says.

    Raises:
        ValueError: the octets are no OCSPRequest.
    """
    outer = Cursor(data)
    request = outer.take(SEQUENCE)
    outer.finish()
    body = request.take(SEQUENCE)
    signature = request.take_if(_SIGNATURE)
    request.finish()
    body.take_if(_VERSION)
    body.take_if(_REQUESTOR_NAME)
    cert_ids, requests = [], body.take(SEQUENCE)
    while not requests.at_end():
        one = requests.take(SEQUENCE)
        cert_ids.append(read_cert_id(one))
        one.take_if(_SINGLE_EXTENSIONS)
        one.finish()
    explicit = body.take_if(_EXTENSIONS)
    body.finish()
    if not cert_ids:
        raise ValueError("a request for no certificate")
    extensions = {} if explicit is None else dict(_extensions(explicit))
    return Request(
        cert_ids=tuple(cert_ids),
        nonce=extensions.get(_NONCE),
        extensions=tuple(extensions),
        is_signed=signature is not None,
        refused=_refused(data),
    )


def _extensions(explicit: Cursor) -> list[tuple[str, bytes]]:
    found, extensions = [], explicit.take(SEQUENCE)
    while not extensions.at_end():
        extension = extensions.take(SEQUENCE)
        name = oid_text(extension.take(OID).octets)
        extension.take_if(BOOLEAN)
        found.append((name, extension.take(OCTET_STRING).octets))
    return found


def _refused(data: bytes) -> str | None:
    try:
        parse_request(data)
    except MalformedRequestError as error:
        return str(error)
    return None
