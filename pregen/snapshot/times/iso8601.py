"""Texts of ISO 8601 that leave no doubt: RFC 3339, and what differs from it in writing alone.

Taken are the extended form, ``2026-11-24T00:00:00``, also with a space or a small t (RFC 3339, 5.6), and the basic
one, ``20261124T000000``; a fraction after a point or a comma; as the zone Z, UTC, an offset, an offset without colon,
one of hours alone (``+00``, as PostgreSQL writes it), each behind a space too (BigQuery, Oracle), or none. Not taken
are times without seconds (were they cut or rounded?), weeks, numbers of days, durations, hour 24, second 60.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pregen.snapshot.octets import OctetColumn, heads, holds, octet_at, tails
from pregen.snapshot.times.wallclock import Wall, four_digits, two_digits, wall_seconds

_EXTENDED, _BASIC = len("YYYY-MM-DDTHH:MM:SS"), len("YYYYMMDDTHHMMSS")
_DATE = len("YYYY-MM-DD")
_UTC = np.frombuffer(b"utc", np.uint8)
_CASE = np.uint8(0x20)
_OFFSET_FORMS = (6, 5, 3)  # +HH:MM, +HHMM, +HH
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]  # where they are in the extended form


class WrittenTimes(NamedTuple):
    """What texts say; rows that are not `well_formed` hold anything.

    Attributes:
        wall: seconds since 1970 as if it were UTC, a fraction cut towards the past, int64[n].
        offset: how far the clock is ahead of UTC, in seconds, int64[n]; 0 without a zone.
        zoned: whether a zone is written, bool[n].
        well_formed: whether it is such a text, and exists in the calendar, bool[n].
    """

    wall: NDArray[np.int64]
    offset: NDArray[np.int64]
    zoned: NDArray[np.bool_]
    well_formed: NDArray[np.bool_]


def read_times(text: OctetColumn) -> WrittenTimes:
    """Return what a column of texts says."""
    head, size = _heads(text)
    wall, well_formed = _wall(head)
    well_formed &= text.size >= size
    offset, zone_size, zone_right = _offsets(text, size)

    fraction = text._replace(start=np.minimum(text.start + size, text.end), end=text.end - zone_size)
    fraction = fraction._replace(start=np.minimum(fraction.start, fraction.end))
    digits = fraction._replace(start=np.minimum(fraction.start + 1, fraction.end))
    mark = octet_at(text, fraction.start)
    well_formed &= (fraction.size == 0) | (((mark == ord(".")) | (mark == ord(","))) & (digits.size > 0))
    well_formed &= ~holds(digits, text.data - np.uint8(ord("0")) > 9)
    return WrittenTimes(wall, offset, zone_size > 0, well_formed & zone_right)


def read_dates(text: OctetColumn, time_of_day_s: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return dates, ``YYYY-MM-DD``, at a time of day as seconds as if they were UTC, and where they are well formed."""
    head = heads(text, _DATE)
    right = (text.size == _DATE) & (head[:, 4] == ord("-")) & (head[:, 7] == ord("-"))
    none = np.zeros(len(head), np.int64)
    seconds, exists = wall_seconds(
        Wall(four_digits(head, 0), two_digits(head, 5), two_digits(head, 8), none, none, none)
    )
    return seconds + time_of_day_s, right & exists


def _heads(text: OctetColumn) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return date and time of each text in the extended form, uint8[n, 19], and how many octets they take in it."""
    head = heads(text, _EXTENDED)
    size = np.full(len(head), _EXTENDED, np.int64)
    basic = head[:, 4] != ord("-")
    if basic.any():
        short = head[basic, :_BASIC]
        apart = np.full((len(short), _EXTENDED), ord("-"), np.uint8)
        apart[:, _DIGITS] = short[:, [*range(8), *range(9, _BASIC)]]
        # a space is RFC 3339's, and that knows the extended form alone
        apart[:, 10] = np.where(short[:, 8] == ord(" "), 0, short[:, 8])
        apart[:, 13] = apart[:, 16] = ord(":")
        head[basic] = apart
        size[basic] = _BASIC
    return head, size


def _wall(head: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ``YYYY-MM-DDTHH:MM:SS`` as if it were UTC, and where it is well formed and exists."""
    right = np.isin(head[:, 10], np.frombuffer(b"Tt ", np.uint8))
    for at, mark in ((4, "-"), (7, "-"), (13, ":"), (16, ":")):
        right &= head[:, at] == ord(mark)
    seconds, exists = wall_seconds(Wall(four_digits(head, 0), *(two_digits(head, at) for at in (5, 8, 11, 14, 17))))
    return seconds, right & exists


def _offsets(
    text: OctetColumn, head_size: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return each value's offset in seconds, how many octets it takes (0: no zone), and where it is in bounds.

    A space before it is one of these octets.
    """
    widest = max(_OFFSET_FORMS)
    tail = tails(text, widest)
    size = np.where((tail[:, -1] | _CASE) == ord("z"), 1, 0)
    if ((tail[:, -1] | _CASE) == _UTC[-1]).any():
        size[((tail[:, -len(_UTC) :] | _CASE) == _UTC).all(axis=1)] = len(_UTC)
    hours = np.zeros(len(size), np.int64)
    minutes = np.zeros(len(size), np.int64)
    negative = np.zeros(len(size), np.bool_)
    for form in _OFFSET_FORMS:
        sign = tail[:, widest - form]
        here = ((sign == ord("+")) | (sign == ord("-"))) & (text.size >= head_size + form)
        if form == widest:
            here &= tail[:, 3] == ord(":")
        size[here] = form
        negative |= here & (sign == ord("-"))
        hours = np.where(here, two_digits(tail, widest - form + 1), hours)
        if form > 3:
            minutes = np.where(here, two_digits(tail, widest - 2), minutes)
    right = (hours >= 0) & (hours <= 23) & (minutes >= 0) & (minutes <= 59)
    size += (size > 0) & (text.size > head_size + size) & (octet_at(text, text.end - size - 1) == ord(" "))
    return np.where(negative, -1, 1) * (hours * 3_600 + minutes * 60), size, right
