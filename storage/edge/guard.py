"""The last look at an answer before it leaves: which certificates does it speak of, and for which time?

In 2019 a CDN in front of a large authority returned, to POSTs with ``Expect: 100-continue``, valid answers about other
certificates. So the CertIDs are cut out of the finished response itself, whatever index or cache led to it; and its
times too, because whoever can write to the store could dress an old answer in a new window.
"""

from functools import lru_cache
from typing import NamedTuple

from storage.certid import CertID, read_cert_id
from storage.der import ENUMERATED, GENERALIZED_TIME, OCTET_STRING, OID, SEQUENCE, Cursor
from storage.response import generalized_time

_EXPLICIT_0, _EXPLICIT_1, _EXPLICIT_2 = 0xA0, 0xA1, 0xA2
_BASIC = bytes.fromhex("2b0601050507300101")


class Single(NamedTuple):
    """What a SingleResponse says besides the status; times as GeneralizedTime writes them, None what is absent."""

    cert_id: CertID
    this_update: bytes
    next_update: bytes | None


@lru_cache(64)
def written(instant: int) -> bytes:
    """Return seconds since 1970 as a response has them; a generation has few windows."""
    return generalized_time(instant) + b"Z"


def singles_in(response: bytes) -> list[Single]:
    """Return every SingleResponse of a successful OCSPResponse (RFC 6960, 4.2.1).

    Raises:
        ValueError: not a successful OCSPResponse of the basic type.
    """
    outer = Cursor(response)
    ocsp = outer.take(SEQUENCE)
    outer.finish()
    if ocsp.take(ENUMERATED).octets != b"\0":
        raise ValueError("the response is an error")
    response_bytes = ocsp.take(_EXPLICIT_0).take(SEQUENCE)
    ocsp.finish()
    if response_bytes.take(OID).octets != _BASIC:
        raise ValueError("the response is not of the basic type")
    basic = response_bytes.take(OCTET_STRING).take(SEQUENCE)
    singles = _responses(basic.take(SEQUENCE))
    found = []
    while not singles.at_end():
        single = singles.take(SEQUENCE)
        cert_id = read_cert_id(single)
        single.skip()  # certStatus
        this_update = single.take(GENERALIZED_TIME).octets
        next_update = single.take_if(_EXPLICIT_0)
        ends = None if next_update is None else next_update.take(GENERALIZED_TIME).octets
        found.append(Single(cert_id, this_update, ends))
    return found


def _responses(data: Cursor) -> Cursor:
    data.take_if(_EXPLICIT_0)  # version
    if data.take_if(_EXPLICIT_1) is None:  # responderID: byName, or else
        data.take(_EXPLICIT_2)  # byKey
    data.take(GENERALIZED_TIME)
    return data.take(SEQUENCE)
