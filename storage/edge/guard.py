"""The last look at an answer before it leaves: which certificates does it speak of, and for which time?

In 2019 a CDN in front of a large authority returned, to POSTs with ``Expect: 100-continue``, valid answers about other
certificates. So the CertIDs are cut out of the finished response itself, whatever index or cache led to it; and its
times too, because whoever can write to the store could dress an old answer in a new window.

Answers of one issuer and window are alike but for serial and signature. So what stands around the serials is read once,
octet by octet, and then compared as a whole: still in the finished response, and nothing less of it than before.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from storage.certid import CertID, read_cert_id
from storage.der import ENUMERATED, GENERALIZED_TIME, OCTET_STRING, OID, SEQUENCE, Cursor
from storage.response import generalized_time

_EXPLICIT_0, _EXPLICIT_1, _EXPLICIT_2 = 0xA0, 0xA1, 0xA2
_BASIC = bytes.fromhex("2b0601050507300101")
_REVOKED = 0xA1
_MOST_FRAMES = 4096


class Single(NamedTuple):
    """What a SingleResponse says besides the status; times as GeneralizedTime writes them, None what is absent."""

    cert_id: CertID
    this_update: bytes
    next_update: bytes | None


@lru_cache(64)
def written(instant: int) -> bytes:
    """Return seconds since 1970 as a response has them; a generation has few windows."""
    return generalized_time(instant) + b"Z"


def is_only_about(response: bytes, cert_id: CertID, times: tuple[bytes, bytes]) -> bool:
    """Tell whether a response speaks of a certificate, and of nothing else than its serial and these times.

    One response may hold the CertIDs of both hashes: each of its SingleResponses must be of that serial and time.

    Raises:
        ValueError: not a successful OCSPResponse of the basic type.
    """
    serial = cert_id.serial
    for places in _places.get(len(response), ()):
        frame = _frames.get(places.around(response))
        if frame is not None and frame.places == places:
            is_of_serial = all(response[start:end] == serial for start, end in places.serials)
            return is_of_serial and frame.times == times and cert_id[:3] in frame.issuers
    found, end = _read(response)
    _learn(response, found, end)
    singles = [one.single for one in found]
    if any(single.cert_id.serial != serial or single[1:] != times for single in singles):
        return False
    return cert_id in (single.cert_id for single in singles)


def singles_in(response: bytes) -> list[Single]:
    """Return every SingleResponse of a successful OCSPResponse (RFC 6960, 4.2.1).

    Raises:
        ValueError: not a successful OCSPResponse of the basic type.
    """
    return [one.single for one in _read(response)[0]]


class _SeenSingle(NamedTuple):
    """A SingleResponse, where its serial ends, and the tag of its status."""

    single: Single
    serial_end: int
    status: int


class _SerialPlaces(NamedTuple):
    """Where the serials of responses of one length stand, and where the last SingleResponse ends."""

    response_bytes: int
    serials: tuple[tuple[int, int], ...]
    end: int

    def around(self, response: bytes) -> bytes:
        """Return all up to the end but the serials: what says what kind of response it is, and all lengths."""
        (start, at), *others = self.serials
        if not others:
            return response[:start] + response[at : self.end]
        pieces = [response[:start]]
        for begin, end in others:
            pieces.append(response[at:begin])
            at = end
        return b"".join((*pieces, response[at : self.end]))


class _Surroundings(NamedTuple):
    """What is known of responses that are alike but for serials and signature.

    Attributes:
        places: where their serials stand.
        issuers: hash and issuer of their CertIDs, without the serial.
        times: of all their SingleResponses.
    """

    places: _SerialPlaces
    issuers: frozenset[tuple[str, bytes, bytes]]
    times: tuple[bytes, bytes]


# Memos of what octets say, whoever made them; bounded, for a store may have any number of issuers and windows.
_frames: dict[bytes, _Surroundings] = {}
_places: dict[int, tuple[_SerialPlaces, ...]] = {}  # by the length of the response


def _learn(response: bytes, found: list[_SeenSingle], end: int) -> None:
    """Remember what stands around the serials, unless it is of one response alone, as the time of a revocation is."""
    times = {one.single[1:] for one in found}
    if len(times) != 1 or any(one.status == _REVOKED for one in found):
        return
    ((begins, ends),) = times
    if ends is None:
        return
    if len(_frames) >= _MOST_FRAMES:
        _frames.clear()
        _places.clear()
    serials = tuple((one.serial_end - len(one.single.cert_id.serial), one.serial_end) for one in found)
    places = _SerialPlaces(len(response), serials, end)
    _frames[places.around(response)] = _Surroundings(
        places, frozenset(one.single.cert_id[:3] for one in found), (begins, ends)
    )
    known = _places.get(len(response), ())
    if places not in known:
        _places[len(response)] = (*known, places)


def _read(response: bytes) -> tuple[list[_SeenSingle], int]:
    """Return what a response speaks of, and where the last SingleResponse ends.

    Raises:
        ValueError: see `singles_in`.
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
    return list(_singles(singles)), singles.end


def _singles(singles: Cursor) -> Iterator[_SeenSingle]:
    while not singles.at_end():
        single = singles.take(SEQUENCE)
        cert_id = read_cert_id(single)
        serial_end, status = single.at, single.skip()
        this_update = single.take(GENERALIZED_TIME).octets
        next_update = single.take_if(_EXPLICIT_0)
        ends = None if next_update is None else next_update.take(GENERALIZED_TIME).octets
        yield _SeenSingle(Single(cert_id, this_update, ends), serial_end, status)


def _responses(data: Cursor) -> Cursor:
    data.take_if(_EXPLICIT_0)  # version
    if data.take_if(_EXPLICIT_1) is None:  # responderID: byName, or else
        data.take(_EXPLICIT_2)  # byKey
    data.take(GENERALIZED_TIME)
    return data.take(SEQUENCE)
