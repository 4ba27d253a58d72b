"""The path of a GET: which certificates can it ask for (RFC 6960, A.1.1; RFC 9919, 5)?

The request is whatever parses as a whole OCSPRequest behind one of the slashes, so an edge needs no word about the path
that stands before it in the certificates (``http://host/ocsp/r1/``). Clients and the proxies before us write it in
many ways: percent-encoded or not (or twice), a space where a plus was decoded once too often, without padding, in the
URL-safe alphabet, with line ends, behind doubled slashes, before one more.

* **Slashes are letters of base64**, so each may be the one before the request. But a request begins with the octet 30,
  so its base64 with M, and says how long it is: few places remain, and only a whole request counts.
* **Proxies merge slashes.** Then the text is shorter than the request says, and the lost ones stood beside one of those
  that are left. Each way to put them back that makes a whole request is a `Reading`; mostly there is one. Of several,
  the reader who knows the certificates decides: see `storage.edge.respond`.
* **Work is bounded**: so many beginnings and so many ways are tried and no more, whatever a path of 8 KiB holds.
"""

import re
from base64 import b64decode
from itertools import combinations_with_replacement, islice
from math import comb
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from storage.certid import CertID
from storage.edge.request import MalformedRequestError, parse_request

_BEGINNING = re.compile(rb"(?:(?<=/)|\A)M")
_MAX_BEGINNINGS = 16
_MAX_WAYS = 64  # about a millisecond; a request has two or three slashes, of which one pair was merged
_MAX_MERGED, _MAX_MERGED_LETTERS = 4, 512  # the longest nonce and a CertID of SHA-256 have some 400
_MAX_READINGS = 8  # each may be a lookup; of random serials with a merged slash, one in fifty has three
_TO_BASE64 = bytes.maketrans(b" -_", b"++/")
_LINE_ENDS = b"\r\n\t"
_BEHIND = b"=/+"  # what may stand behind the last letter; a space has become a plus


class Reading(NamedTuple):
    """A request that a path can mean."""

    der: bytes
    cert_id: CertID


def readings(raw_path: bytes) -> tuple[Reading, ...]:
    """Return the requests that a raw path can mean: one, or several where a proxy has merged slashes.

    >>> text = b"MEIwQDA+MDwwOjAJBgUrDgMCGgUABBQBAQEBAQEBAQEBAQEBAQEBAQEBAQQUAgICAgICAgICAgICAgICAgICAgICASo="
    >>> [reading.cert_id.serial_number for reading in readings(b"/ocsp/r1/" + text.replace(b"+", b"%2B"))]
    [42]

    Raises:
        MalformedRequestError: no slash is followed by a request that can be answered.
    """
    text = raw_path
    for _ in range(2):
        if b"%" in text:
            text = unquote_to_bytes(text)
    text = text.translate(_TO_BASE64, _LINE_ENDS)
    places = [found.start() for found in islice(_BEGINNING.finditer(text), _MAX_BEGINNINGS)]
    refused = MalformedRequestError("the path is not base64 of a request, behind any of its slashes")
    merged = []
    for place in places:
        letters, rest = text[place:].partition(b"=")[::2]
        count = _letters_said(letters)
        if count is None or rest.strip(_BEHIND):
            continue
        if len(letters) < count <= _MAX_MERGED_LETTERS:
            merged.append((letters, count - len(letters)))
        elif count <= len(letters) and not letters[count:].strip(_BEHIND):
            try:
                return (_read(letters[:count]),)
            except MalformedRequestError as error:
                refused = error
    for letters, lost in merged[:_MAX_MERGED]:
        if found := _restored(letters, lost):
            return found
    raise refused


def decode_path(raw_path: bytes) -> bytes:
    """Return the request that a GET carries in its raw path; the first of several that it can mean.

    Raises:
        MalformedRequestError: there is none.
    """
    return readings(raw_path)[0].der


def _letters_said(letters: bytes) -> int | None:
    """Return how many letters of base64 a request has that begins with these; None: they begin none."""
    try:
        head = b64decode(letters[:8], validate=True)
    except ValueError:
        return None
    if len(head) < 6 or head[1] > 0x82 or head[1] == 0x80:
        return None
    many = head[1] & 0x7F if head[1] > 0x80 else 0
    length = int.from_bytes(head[2 : 2 + many], "big") if many else head[1]
    return -(-(2 + many + length) * 8 // 6)


def _read(letters: bytes) -> Reading:
    try:
        der = b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except ValueError as error:
        raise MalformedRequestError(f"the path is not base64: {error}") from None
    return Reading(der, parse_request(der))


def _restored(letters: bytes, lost: int) -> tuple[Reading, ...]:
    """Return the requests that these letters can mean if `lost` slashes were merged into those that are left."""
    parts = letters.split(b"/")
    left = len(parts) - 1
    if not left or b"//" in letters or comb(left + lost - 1, lost) > _MAX_WAYS:
        return ()
    found: dict[CertID, Reading] = {}
    for way in combinations_with_replacement(range(left), lost):
        runs = [b"/" * (1 + way.count(number)) for number in range(left)]
        whole = b"".join(octets for pair in zip(parts, [*runs, b""], strict=True) for octets in pair)
        try:
            reading = _read(whole)
        except MalformedRequestError:
            continue
        found.setdefault(reading.cert_id, reading)
    return tuple(found.values()) if len(found) <= _MAX_READINGS else ()
