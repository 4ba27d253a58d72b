"""OCSP requests: octets in, one CertID out (RFC 6960, 4.1.1).

Strict where a lax reading could name another certificate or hide one; blind to what a pre-produced answer cannot
honour:

* one request, version 1, DER to the last octet, nothing behind it: anything else is malformed;
* requestorName and signature are ignored, whatever they say, and so are extensions;
* except a nonce of 0 or of more than 128 octets: malformed (RFC 9654, 2.1);
* and except a critical extension that is not understood (RFC 6960, 4.1.2): malformed too. None of the other errors is
  meant for it: ``unauthorized`` would say that nothing is known of the certificate, and the rest "try again" or
  "sign". Understood are a nonce, which an answer made ahead of time may leave out (RFC 9919, 4.1), and the acceptable
  response types (RFC 6960, 4.4.3) where the basic one is among them.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from storage.certid import SHA1, SHA256, CertID, read_cert_id
from storage.der import BOOLEAN, INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, Cursor, oid_text, read, tlv
from storage.errors import StorageError

_NONCE, _RESPONSE_TYPES = bytes.fromhex("2b0601050507300102"), bytes.fromhex("2b0601050507300104")
_BASIC_RESPONSE = bytes.fromhex("2b0601050507300101")
_MAX_NONCE_OCTETS = 128
_HASHES = {SHA1: bytes.fromhex("2b0e03021a"), SHA256: bytes.fromhex("608648016503040201")}
_VERSION, _REQUESTOR_NAME, _EXTENSIONS = 0xA0, 0xA1, 0xA2  # within TBSRequest
_SINGLE_EXTENSIONS = 0xA0  # within Request
_SIGNATURE = 0xA0  # within OCSPRequest
_SEQUENCES = 5  # OCSPRequest, TBSRequest, the list of requests, Request and CertID, each around the next
_MOST_HEADS = 1024
_PADDING = frozenset({0x00, 0xFF})  # what a serial that is not minimal begins with


class MalformedRequestError(StorageError):
    """The octets are not an OCSP request that can be answered; the text says why.

    Attributes:
        cert_id: what it asks for all the same, where something else of it is wrong; None: nobody can say.
    """

    def __init__(self, why: str, cert_id: CertID | None = None) -> None:
        super().__init__(why, cert_id)
        self.why = why
        self.cert_id = cert_id

    def __str__(self) -> str:
        return self.why


def parse_request(der: bytes) -> CertID:
    """Return the CertID that an OCSPRequest asks for.

    Raises:
        MalformedRequestError: not an OCSPRequest, or one that must not be answered.
    """
    for at in _serials_at.get(len(der), ()):
        head = _heads.get(der[:at])
        if head is not None and head.request_bytes == len(der) and der[at] not in _PADDING:
            return CertID(head.hash_oid, head.issuer_name_hash, head.issuer_key_hash, der[at:])
    if not der:
        raise MalformedRequestError("an empty request")
    try:
        cert_id = _ocsp_request(Cursor(der))
    except ValueError as error:
        raise MalformedRequestError(str(error), _asked_for(der)) from None
    _learn(der, cert_id)
    return cert_id


def encode_request(cert_id: CertID) -> bytes:
    """Return the OCSPRequest for a certificate, by one of the two hashes that are answered, as most clients write it.

    >>> asked = CertID(SHA1, b"n" * 20, b"k" * 20, b"*")
    >>> parse_request(encode_request(asked)) == asked
    True
    """
    algorithm = tlv(SEQUENCE, tlv(OID, _HASHES[cert_id.hash_oid]), tlv(NULL))
    hashes = tlv(OCTET_STRING, cert_id.issuer_name_hash), tlv(OCTET_STRING, cert_id.issuer_key_hash)
    request = tlv(SEQUENCE, tlv(SEQUENCE, algorithm, *hashes, tlv(INTEGER, cert_id.serial)))
    return tlv(SEQUENCE, tlv(SEQUENCE, tlv(SEQUENCE, request)))


class _RequestHead(NamedTuple):
    """What stands before the serial where that is the end of a request: it says all but the serial itself."""

    hash_oid: str
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    request_bytes: int


# Nearly all requests for certificates of one issuer begin alike, and end with the serial. What they begin with is read
# once; these are memos of a pure function, bounded, so that no client can make them grow.
_heads: dict[bytes, _RequestHead] = {}
_serials_at: dict[int, tuple[int, ...]] = {}  # where serials may begin, by the length of the request


def _learn(der: bytes, cert_id: CertID) -> None:
    """Remember the head of a request that was read, if the serial is all that stands behind it."""
    at = 0
    for _ in range(_SEQUENCES):
        tag, at, end = read(der, at, len(der))
        if tag != SEQUENCE or end != len(der):
            return
    if len(_heads) >= _MOST_HEADS:
        _heads.clear()
        _serials_at.clear()
    at = len(der) - len(cert_id.serial)
    _heads[der[:at]] = _RequestHead(*cert_id[:3], len(der))
    places = _serials_at.get(len(der), ())
    if at not in places:
        _serials_at[len(der)] = (*places, at)


def _ocsp_request(outer: Cursor) -> CertID:
    request = outer.take(SEQUENCE)
    outer.finish()
    cert_id = _tbs_request(request.take(SEQUENCE))
    request.take_if(_SIGNATURE)
    request.finish()
    return cert_id


def _asked_for(der: bytes) -> CertID | None:
    """Return the only CertID of a malformed request, so that the log can name it; None: there is none, or another."""
    try:
        outer = Cursor(der)
        tbs = outer.take(SEQUENCE).take(SEQUENCE)
        outer.finish()  # what stands behind it may be another request
        tbs.take_if(_VERSION)
        tbs.take_if(_REQUESTOR_NAME)
        requests = tbs.take(SEQUENCE)
        cert_id = read_cert_id(requests.take(SEQUENCE))
    except ValueError:
        return None
    return cert_id if requests.at_end() else None


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
        _check_extensions(extensions, understood={_NONCE: _check_nonce, _RESPONSE_TYPES: _check_response_types})
    return _only_request(requests)


def _only_request(requests: Cursor) -> CertID:
    if requests.at_end():
        raise ValueError("a request for no certificate")
    request = requests.take(SEQUENCE)
    if not requests.at_end():
        raise ValueError("a request for more than one certificate")
    cert_id = read_cert_id(request)
    extensions = request.take_if(_SINGLE_EXTENSIONS)
    request.finish()
    if extensions is not None:
        _check_extensions(extensions, understood={})
    return cert_id


def _check_extensions(explicit: Cursor, understood: Mapping[bytes, Callable[[bytes, bool], None]]) -> None:
    """Refuse a critical extension unless it is among those `understood`, whose values are looked at."""
    extensions = explicit.take(SEQUENCE)
    explicit.finish()
    while not extensions.at_end():
        extension = extensions.take(SEQUENCE)
        name = extension.take(OID).octets
        flag = extension.take_if(BOOLEAN)
        value = extension.take(OCTET_STRING).octets
        extension.finish()
        if flag is not None and len(flag.octets) != 1:
            raise ValueError(f"a boolean of {len(flag.octets)} octets")
        is_critical = flag is not None and flag.octets != b"\0"
        if name in understood:
            understood[name](value, is_critical)
        elif is_critical:
            raise ValueError(f"a critical extension that is not understood ({oid_text(name)})")


def _check_nonce(value: bytes, _is_critical: bool) -> None:
    if not 1 <= _nonce_octets(value) <= _MAX_NONCE_OCTETS:
        raise ValueError(f"a nonce of {_nonce_octets(value)} octets")


def _check_response_types(value: bytes, is_critical: bool) -> None:
    if not is_critical:
        return
    outer = Cursor(value)
    types = outer.take(SEQUENCE)
    outer.finish()
    accepted = []
    while not types.at_end():
        accepted.append(types.take(OID).octets)
    if _BASIC_RESPONSE not in accepted:
        raise ValueError("the basic response is not among those that the request accepts, and that is critical")


def _nonce_octets(value: bytes) -> int:
    """Return the length of a nonce, which clients from before RFC 8954 do not always wrap into an OCTET STRING."""
    wrapped = Cursor(value)
    try:
        nonce = wrapped.take(OCTET_STRING).octets
        wrapped.finish()
    except ValueError:
        return len(value)
    return len(nonce)
