"""OCSP requests as they come over HTTP: octets in, one CertID out (RFC 6960, 4.1.1 and A.1).

Strict where a lax reading could name another certificate or hide one; blind to what a pre-produced answer cannot
honour:

* one request, version 1, DER to the last octet, nothing behind it: anything else is malformed;
* requestorName, signature and extensions are ignored, whatever they say;
* except a nonce of 0 or of more than 128 octets: malformed (RFC 9654, 2.1).
"""

from base64 import b64decode
from urllib.parse import unquote_to_bytes

from storage.certid import CertID, read_cert_id
from storage.der import BOOLEAN, INTEGER, OCTET_STRING, OID, SEQUENCE, Cursor
from storage.errors import StorageError

_NONCE = bytes.fromhex("2b0601050507300102")
_MAX_NONCE_OCTETS = 128
_VERSION, _REQUESTOR_NAME, _EXTENSIONS = 0xA0, 0xA1, 0xA2  # within TBSRequest
_SINGLE_EXTENSIONS = 0xA0  # within Request
_SIGNATURE = 0xA0  # within OCSPRequest

_TO_BASE64 = bytes.maketrans(b" -_", b"++/")


class MalformedRequestError(StorageError):
    """The octets are not an OCSP request that can be answered; the text says why."""


def decode_path(raw_path: bytes) -> bytes:
    """Return the request that a GET carries in its raw path (RFC 6960, A.1.1; RFC 9919, 5).

    Clients and the proxies before us write it in many ways: percent-encoded or not (or twice), a space where a plus was
    decoded once too often, without padding, in the URL-safe alphabet, behind a doubled slash. A slash inside belongs
    to the text, and two of them are two.

    >>> decode_path(b"//MAA%3D") == decode_path(b"/MAA") == bytes.fromhex("3000")
    True

    Raises:
        MalformedRequestError: not base64.
    """
    text = raw_path
    for _ in range(2):
        if b"%" in text:
            text = unquote_to_bytes(text)
    # A request begins with the octet 30, so its base64 with M: slashes before that are the URL's.
    text = text.lstrip(b"/").translate(_TO_BASE64).rstrip(b"=")
    try:
        return b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise MalformedRequestError(f"the path is not base64: {error}") from None


def parse_request(der: bytes) -> CertID:
    """Return the CertID that an OCSPRequest asks for.

    Raises:
        MalformedRequestError: not an OCSPRequest, or one that must not be answered.
    """
    if not der:
        raise MalformedRequestError("an empty request")
    try:
        return _ocsp_request(Cursor(der))
    except ValueError as error:
        raise MalformedRequestError(str(error)) from None


def _ocsp_request(outer: Cursor) -> CertID:
    request = outer.take(SEQUENCE)
    outer.finish()
    cert_id = _tbs_request(request.take(SEQUENCE))
    request.take_if(_SIGNATURE)
    request.finish()
    return cert_id


def _tbs_request(tbs: Cursor) -> CertID:
    version = tbs.take_if(_VERSION)
    if version is not None:
        number = version.take(INTEGER).octets
        version.finish()
        if number != b"\0":
            raise ValueError(f"a version other than 1 (encoded as {number[:8].hex() or 'nothing'})")
    tbs.take_if(_REQUESTOR_NAME)
    requests = tbs.take(SEQUENCE)
    extensions = tbs.take_if(_EXTENSIONS)
    tbs.finish()
    if extensions is not None:
        _check_nonce(extensions)
    return _only_request(requests)


def _only_request(requests: Cursor) -> CertID:
    if requests.at_end():
        raise ValueError("a request for no certificate")
    request = requests.take(SEQUENCE)
    if not requests.at_end():
        raise ValueError("a request for more than one certificate")
    cert_id = read_cert_id(request)
    request.take_if(_SINGLE_EXTENSIONS)
    request.finish()
    return cert_id


def _check_nonce(explicit: Cursor) -> None:
    extensions = explicit.take(SEQUENCE)
    explicit.finish()
    while not extensions.at_end():
        extension = extensions.take(SEQUENCE)
        name = extension.take(OID).octets
        extension.take_if(BOOLEAN)
        value = extension.take(OCTET_STRING).octets
        extension.finish()
        if name == _NONCE and not 1 <= _nonce_octets(value) <= _MAX_NONCE_OCTETS:
            raise ValueError(f"a nonce of {_nonce_octets(value)} octets")


def _nonce_octets(value: bytes) -> int:
    """Return the length of a nonce, which clients from before RFC 8954 do not always wrap into an OCTET STRING."""
    wrapped = Cursor(value)
    try:
        nonce = wrapped.take(OCTET_STRING).octets
        wrapped.finish()
    except ValueError:
        return len(value)
    return len(nonce)
