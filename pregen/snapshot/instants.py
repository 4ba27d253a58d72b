"""Times of Arrow columns to whole seconds since 1970, by unit and by written offset, never by a zone's rules.

A timestamp of a column with a zone is an instant in UTC whatever the zone is called, so only its unit matters. Text is
RFC 3339, with Z or an offset; offsets without minutes (``+00``, as PostgreSQL writes them) and without a colon are
taken too, as they leave no doubt. A fraction is cut towards the past, also before 1970.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.snapshot.octets import ArrowArray, Fault, Octets, heads, holds, integers, nulls, octet_at, tails, text_of

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_HEAD = 19  # YYYY-MM-DDTHH:MM:SS
_YEAR_0000, _YEAR_9999 = -62_167_219_200, 253_402_300_799  # what four digits can say (RFC 5280, 4.1.2.5)

_UTC_SIZE = 1
_OFFSET_FORMS = (6, 5, 3)  # +HH:MM, +HHMM, +HH


class Instants(NamedTuple):
    """A column of times: `seconds` since 1970, int64[n], 0 unless `given`, bool[n]; faulty rows are not given."""

    seconds: NDArray[np.int64]
    given: NDArray[np.bool_]
    faults: list[Fault]


def read_instants(column: ArrowArray) -> Instants:
    """Return a column of times (with a zone, or RFC 3339 text) as seconds.

    >>> read_instants(pa.array([-1, None, 1_999], pa.timestamp("ms", "America/Denver"))).seconds.tolist()
    [-1, 0, 1]
    """
    if pa.types.is_null(column.type):
        return Instants(np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_), [])
    if isinstance(column.type, pa.TimestampType):
        return _from_timestamps(column, _PER_SECOND[column.type.unit])
    return _from_text(column)


def _from_timestamps(column: ArrowArray, per_second: int) -> Instants:
    seconds, given = integers(column), ~nulls(column)
    if per_second != 1:
        seconds = seconds // per_second
    outside = given & ((seconds < _YEAR_0000) | (seconds > _YEAR_9999))
    given &= ~outside
    if not given.all():
        seconds = np.where(given, seconds, 0)
    return Instants(seconds, given, [Fault("row.time.out-of-range", outside)])


def _from_text(column: ArrowArray) -> Instants:
    text = text_of(column)
    written = (text.size > 0) & ~nulls(column)
    local_s, well_formed = _local_seconds(text)
    offset_s, zone_size, zone_right = _offsets(text)

    fraction = text._replace(start=np.minimum(text.start + _HEAD, text.end), end=text.end - zone_size)
    fraction = fraction._replace(start=np.minimum(fraction.start, fraction.end))
    digits = fraction._replace(start=np.minimum(fraction.start + 1, fraction.end))
    well_formed &= (fraction.size == 0) | ((octet_at(text, fraction.start) == ord(".")) & (digits.size > 0))
    well_formed &= ~holds(digits, text.data - np.uint8(ord("0")) > 9)
    well_formed &= zone_right

    given = written & well_formed & (zone_size > 0)
    faults = [
        Fault("row.time.not-utc", written & well_formed & (zone_size == 0)),
        Fault("row.time.malformed", written & ~well_formed),
    ]
    return Instants(np.where(given, local_s - offset_s, 0), given, faults)


def _local_seconds(text: Octets) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return ``YYYY-MM-DDTHH:MM:SS`` as if it were UTC, and where it is well formed and exists."""
    head = heads(text, _HEAD)
    right = (text.size >= _HEAD) & np.isin(head[:, 10], np.frombuffer(b"Tt ", np.uint8))
    for at, mark in ((4, "-"), (7, "-"), (13, ":"), (16, ":")):
        right &= head[:, at] == ord(mark)
    century, year, month, day, hour, minute, second = (_two_digits(head, at) for at in (0, 2, 5, 8, 11, 14, 17))
    for part, least, most in ((month, 1, 12), (hour, 0, 23), (minute, 0, 59), (second, 0, 59)):
        right &= (part >= least) & (part <= most)
    right &= (century >= 0) & (year >= 0)

    months = np.where(right, (century * 100 + year - 1970) * 12 + month - 1, 0)
    first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    following = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    right &= (day >= 1) & (day <= following - first)
    return (first + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second, right


def _offsets(text: Octets) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return each value's offset in seconds, how many octets it takes (0: no zone), and where it is in bounds."""
    widest = max(_OFFSET_FORMS)
    tail = tails(text, widest)
    size = np.where((tail[:, -1] | 0x20) == ord("z"), _UTC_SIZE, 0)
    hours = np.zeros(len(size), np.int64)
    minutes = np.zeros(len(size), np.int64)
    negative = np.zeros(len(size), np.bool_)
    for form in _OFFSET_FORMS:
        sign = tail[:, widest - form]
        here = ((sign == ord("+")) | (sign == ord("-"))) & (text.size >= _HEAD + form)
        if form == widest:
            here &= tail[:, 3] == ord(":")
        size[here] = form
        negative |= here & (sign == ord("-"))
        hours = np.where(here, _two_digits(tail, widest - form + 1), hours)
        if form > 3:
            minutes = np.where(here, _two_digits(tail, widest - 2), minutes)
    right = (hours >= 0) & (hours <= 23) & (minutes >= 0) & (minutes <= 59)
    return np.where(negative, -1, 1) * (hours * 3_600 + minutes * 60), size, right


def _two_digits(matrix: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
    """Return the number that two columns of characters write, or a negative one where they are not digits."""
    tens, ones = (matrix[:, column] - np.uint8(ord("0")) for column in (at, at + 1))
    number = tens.astype(np.int64) * 10 + ones
    return np.where((tens > 9) | (ones > 9), -1_000_000, number)
