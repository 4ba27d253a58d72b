"""The path of a GET: which certificates can it ask for (RFC 6960, A.1.1; RFC 9919, 5)?

The request is whatever parses as a whole OCSPRequest behind one of the slashes, so an edge needs no word about the path
that stands before it in the certificates (``http://host/ocsp/r1/``). Clients and the proxies before us write it in
many ways: percent-encoded or not (or twice), a space where a plus was decoded once too often, without padding, in the
URL-safe alphabet, with line ends, behind doubled slashes, before one more.

* **Slashes are letters of base64**, so each may be the one before the request. But a request begins with the octet 30,
  so its base64 with M, and says how long it is: few places remain, and only a whole request counts.
* **Proxies merge slashes.** Then the text is shorter than the request says, and the lost ones stood beside one of those
  that are left. Each way to put them back that makes a whole request is a `Meaning`; mostly there is one. Of several,
  the reader who knows the certificates decides: see `storage.edge.respond`. A slash at the end may be a letter or the
  URL's, so what makes a whole request as it is written may be another one that lost a slash; it goes first.
* **Work is bounded**: so many beginnings and so many ways are tried and no more, whatever a path of 8 KiB holds.
"""

import re
from base64 import b64decode
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, islice
from math import comb
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from storage.certid import CertID
from storage.request import MalformedRequestError, parse_request

_ORDINARY = re.compile(rb"/(?:[a-z0-9.]+/)*")
_BEGINNING = re.compile(rb"(?:(?<=/)|\A)M")
_MAX_BEGINNINGS = 16
_MAX_WAYS = 64  # about a millisecond; a request has two or three slashes, of which one pair was merged
_MAX_MERGED, _MAX_MERGED_LETTERS = 4, 512  # the longest nonce and a CertID of SHA-256 have some 400
_MAX_READINGS = 16  # each may be a lookup; of random serials with a merged slash, one in fifty has three
_TO_BASE64 = bytes.maketrans(b" -_", b"++/")
_LINE_ENDS = b"\r\n\t"
_BEHIND = b"=/+"  # what may stand behind the last letter; a space has become a plus


class Meaning(NamedTuple):
    """A request that a path can mean; `as_written`: without a slash being put back."""

    der: bytes
    cert_id: CertID
    as_written: bool


def readings(raw_path: bytes, *, is_decoded: bool = False) -> tuple[Meaning, ...]:
    """Return the requests that a raw path can mean: one, or several where a proxy has merged slashes.

    A path that `is_decoded` was decoded once by the server. What of it was no UTF-8 may be another octet than it was,
    if none of ASCII: no letter of base64 and no percent sign is among these.

    >>> text = b"MEIwQDA+MDwwOjAJBgUrDgMCGgUABBQBAQEBAQEBAQEBAQEBAQEBAQEBAQQUAgICAgICAgICAgICAgICAgICAgICASo="
    >>> [reading.cert_id.serial_number for reading in readings(b"/ocsp/r1/" + text.replace(b"+", b"%2B"))]
    [42]

    Raises:
        MalformedRequestError: no slash is followed by a request that can be answered.
    """
    return _ordinary(raw_path) or _read_path(raw_path, is_decoded=is_decoded)


def _read_path(raw_path: bytes, *, is_decoded: bool) -> tuple[Meaning, ...]:
    text = raw_path
    for _ in range(1 if is_decoded else 2):
        if b"%" in text:
            text = unquote_to_bytes(text)
    text = text.translate(_TO_BASE64, _LINE_ENDS)
    refused: list[MalformedRequestError] = []
    merged: list[tuple[bytes, int]] = []
    for letters, lost, is_open in _places(text):
        shorter = [(letters[:-1], lost + 1)] if is_open else []
        if lost > 0:
            merged += [(letters, lost), *shorter]
            continue
        try:
            written = _read(letters[: len(letters) + lost], as_written=True)
        except MalformedRequestError as error:
            refused.append(error)
            merged += shorter
        else:
            return (written, *_restored(shorter))
    if found := _restored(merged):
        return found
    if not refused:
        raise MalformedRequestError("the path is not base64 of a request, behind any of its slashes")
    # Of several that it can mean, nobody knows which one is asked for.
    raise refused[0] if len(refused) == 1 and not merged else MalformedRequestError(refused[-1].why)


def _ordinary(path: bytes) -> tuple[Meaning] | None:
    """Return the request of a path that needs nothing of what follows: a whole one, behind plain words; else None.

    That is what nearly all clients send, once it is decoded. The words have no M and nothing that could become a slash,
    so that no other place comes before the one that is read here.
    """
    start = path.find(b"/M") + 1
    if not start or path[-1:] == b"/" or (start > 1 and not _ORDINARY.fullmatch(path, 0, start)):
        return None
    try:
        der = a2b_base64(path[start:], strict_mode=True)
        return (Meaning(der, parse_request(der), as_written=True),)
    except (ValueError, MalformedRequestError):
        return None


def decode_path(raw_path: bytes) -> bytes:
    """Return the request that a GET carries in its raw path; the first of several that it can mean.

    Raises:
        MalformedRequestError: there is none.
    """
    return readings(raw_path)[0].der


def _places(text: bytes) -> Iterator[tuple[bytes, int, bool]]:
    """Yield what may be a request: its letters, how many it lacks, and whether a slash ends them, or is the URL's."""
    for found in islice(_BEGINNING.finditer(text), _MAX_BEGINNINGS):
        letters, padding, rest = text[found.start() :].partition(b"=")
        count = _letters_said(letters)
        if count is not None and not rest.strip(_BEHIND) and not letters[count:].strip(_BEHIND):
            yield letters, count - len(letters), not padding and letters.endswith(b"/")


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


def _read(letters: bytes, *, as_written: bool) -> Meaning:
    try:
        der = b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except ValueError as error:
        raise MalformedRequestError(f"the path is not base64: {error}") from None
    return Meaning(der, parse_request(der), as_written)


def _restored(merged: Sequence[tuple[bytes, int]]) -> tuple[Meaning, ...]:
    """Return the requests that letters can mean if so many slashes were merged into those that are left of them."""
    found: dict[CertID, Meaning] = {}
    for letters, lost in merged[:_MAX_MERGED]:
        for whole in _ways(letters, lost):
            try:
                reading = _read(whole, as_written=False)
            except MalformedRequestError:
                continue
            found.setdefault(reading.cert_id, reading)
    return tuple(found.values()) if len(found) <= _MAX_READINGS else ()


def _ways(letters: bytes, lost: int) -> Iterator[bytes]:
    """Yield the letters with lost slashes put back, in each way; none where that was not it, or there are too many."""
    parts = letters.split(b"/")
    left = len(parts) - 1
    is_likely = left and lost > 0 and b"//" not in letters and len(letters) + lost <= _MAX_MERGED_LETTERS
    if not is_likely or comb(left + lost - 1, lost) > _MAX_WAYS:
        return
    for way in combinations_with_replacement(range(left), lost):
        runs = [b"/" * (1 + way.count(number)) for number in range(left)]
        yield b"".join(octets for pair in zip(parts, [*runs, b""], strict=True) for octets in pair)
