"""Times of Arrow columns to whole seconds since 1970, by what is written and declared, never by a guess.

How a column writes times is certain from its type or declared (`Column.encoding`); which zone it means is written in
it or declared (`Column.zone`), and a time that neither says is a fault. What is written wins over what is declared. A
fraction is cut towards the past, also before 1970.

    wallclock.py, iso8601.py, asn1times.py     texts
    zones.py, tzif.py                          wall-clock times of a zone
    never.py                                   infinity
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.types as is_type
from numpy.typing import NDArray

from pregen.clock import DAY_S
from pregen.config.columns import ASN1_ENCODINGS
from pregen.snapshot.column import Column
from pregen.snapshot.layouts import is_text
from pregen.snapshot.octets import ArrowArray, Fault, OctetColumn, holds, integers, nulls, octet_at, tails, text_of
from pregen.snapshot.times.absent import without_absent
from pregen.snapshot.times.asn1times import read_asn1
from pregen.snapshot.times.iso8601 import read_dates, read_times
from pregen.snapshot.times.never import never_in_text, never_in_type
from pregen.snapshot.times.wallclock import YEAR_0000_S, YEAR_9999_S, seconds_of_day
from pregen.snapshot.times.zones import local_to_utc

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_MOST_DIGITS = 19  # of a number of 64 bits


class Instants(NamedTuple):
    """A column of times.

    Attributes:
        seconds: since 1970, int64[n], 0 unless `given`.
        given: bool[n]; faulty rows are not given.
        faults: what is wrong with which rows.
        own_zone: bool[n], which rows name their zone themselves although one is declared; None: none can.
    """

    seconds: NDArray[np.int64]
    given: NDArray[np.bool_]
    faults: list[Fault]
    own_zone: NDArray[np.bool_] | None = None


def read_instants(column: ArrowArray, source: Column | None = None) -> Instants:
    """Return a column of times as seconds; `source` says what the configuration declares about them.

    The type must be one that `column_types.type_findings` lets pass.

    >>> read_instants(pa.array([-1, None, 1_999], pa.timestamp("ms", "America/Denver"))).seconds.tolist()
    [-1, 0, 1]
    """
    if source is not None and source.absent:
        column = without_absent(column, source.absent)
    kind = column.type
    encoding = (source and source.encoding) or ""
    if is_type.is_null(kind):
        return Instants(np.zeros(len(column), np.int64), np.zeros(len(column), np.bool_), [])
    if isinstance(kind, pa.TimestampType):
        seconds, given = _whole(integers(column), _PER_SECOND[kind.unit]), _given(column, source)
        return _in_bounds(seconds, given, []) if kind.tz else _on_the_wall(seconds, given, source, [])
    if is_type.is_date(kind):
        return _on_the_wall(_dates(column, source), _given(column, source), source, [])
    if is_type.is_integer(kind):
        numbers, wide = _numbers(column)
        return _from_epoch(numbers, ~nulls(column), wide, encoding, [])
    if is_text(kind):
        return _from_text(column, encoding, source)
    raise TypeError(f"a column of {kind} is not read as times: `type_findings` refuses it")


def _given(column: ArrowArray, source: Column | None) -> NDArray[np.bool_]:
    """Return where timestamps or dates are given: neither null nor infinite."""
    never = never_in_type(column, source)
    return ~nulls(column) if never is None else ~nulls(column) & ~never


def _from_text(column: ArrowArray, encoding: str, source: Column | None) -> Instants:
    text = text_of(column)
    written = (text.size > 0) & ~nulls(column)
    written &= ~never_in_text(text, written, source)
    if encoding.startswith("epoch-"):
        return _from_digits(text, written, encoding)
    if encoding in ASN1_ENCODINGS:
        seconds, well_formed = read_asn1(text, encoding)
        return _in_bounds(seconds, written & well_formed, [Fault("row.time.malformed", written & ~well_formed)])
    if encoding == "date":
        wall, well_formed = read_dates(text, _time_of_day(source))
        return _on_the_wall(wall, written & well_formed, source, [Fault("row.time.malformed", written & ~well_formed)])
    return _from_iso8601(text, written, source)


def _whole(values: NDArray[np.int64], per_second: int) -> NDArray[np.int64]:
    return values if per_second == 1 else values // per_second


def _in_bounds(
    seconds: NDArray[np.int64], given: NDArray[np.bool_], faults: list[Fault], wide: NDArray[np.bool_] | None = None
) -> Instants:
    """Return instants less those outside of the years 0 to 9999; `wide` ones are, whatever their seconds."""
    outside = (seconds < YEAR_0000_S) | (seconds > YEAR_9999_S)
    if wide is not None:
        outside |= wide
    outside &= given
    given = given & ~outside
    if not given.all():
        seconds = np.where(given, seconds, 0)
    return Instants(seconds, given, [*faults, Fault("row.time.out-of-range", outside)])


def _on_the_wall(
    wall: NDArray[np.int64], given: NDArray[np.bool_], source: Column | None, faults: list[Fault]
) -> Instants:
    """Return the instants of times that name no zone: those of the declared one, or none at all."""
    if source is None or source.zone is None:
        return Instants(np.zeros_like(wall), np.zeros_like(given), [*faults, Fault("row.time.not-utc", given)])
    # what is far outside stays outside, and the search is spared numbers that would overflow
    bounded = np.clip(wall, YEAR_0000_S - 2 * DAY_S, YEAR_9999_S + 2 * DAY_S)
    seconds, ambiguous, nonexistent = local_to_utc(bounded, source.zone, source.ambiguous, source.nonexistent)
    for policy, code, rows in (
        (source.ambiguous, "row.time.ambiguous", ambiguous),
        (source.nonexistent, "row.time.nonexistent", nonexistent),
    ):
        if policy == "error" and rows.any():
            faults = [*faults, Fault(code, rows & given)]
            given = given & ~rows
    return _in_bounds(seconds, given, faults)


def _from_iso8601(text: OctetColumn, written: NDArray[np.bool_], source: Column | None) -> Instants:
    """Return the instants of texts: by the offset that is written; without one, by the declared zone."""
    wall, offset, zoned, well_formed = read_times(text)
    seconds = wall - offset
    given = written & well_formed
    faults = [Fault("row.time.malformed", written & ~well_formed)]
    bare = np.flatnonzero(given & ~zoned)
    if len(bare):
        filled = _on_the_wall(wall[bare], np.ones(len(bare), np.bool_), source, [])
        seconds[bare], given[bare] = filled.seconds, filled.given
        for fault in filled.faults:
            rows = np.zeros(len(given), np.bool_)
            rows[bare] = fault.rows
            faults.append(Fault(fault.code, rows))
    found = _in_bounds(seconds, given, [])
    return found._replace(
        faults=_merged([*faults, *found.faults]), own_zone=zoned if source and source.zone is not None else None
    )


def _merged(faults: list[Fault]) -> list[Fault]:
    """Return one fault a code."""
    rows: dict[str, NDArray[np.bool_]] = {}
    for fault in faults:
        rows[fault.code] = rows[fault.code] | fault.rows if fault.code in rows else fault.rows
    return [Fault(code, at) for code, at in rows.items()]


def _dates(column: ArrowArray, source: Column | None) -> NDArray[np.int64]:
    """Return a column of date32 or date64 at the declared time of day as seconds as if it were UTC."""
    if is_type.is_date64(column.type):  # milliseconds, of whole days by contract
        days = integers(column) // (DAY_S * 1_000)
    else:
        days = integers(column.cast(pa.int32()).cast(pa.int64()))
    return days * DAY_S + _time_of_day(source)


def _time_of_day(source: Column | None) -> int:
    if source is None or source.time_of_day is None:
        raise ValueError("a date without a stated time of day is no instant: `type_findings` refuses it")
    return seconds_of_day(source.time_of_day)


def _numbers(column: ArrowArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return integers of any width, and where they exceed 64 bits with a sign."""
    unsigned = is_type.is_uint64(column.type)
    numbers = integers(column if is_type.is_int64(column.type) else column.cast(pa.int64(), safe=not unsigned))
    return numbers, (numbers < 0) if unsigned else np.zeros(len(numbers), np.bool_)


def _from_epoch(
    numbers: NDArray[np.int64],
    given: NDArray[np.bool_],
    wide: NDArray[np.bool_],
    encoding: str,
    faults: list[Fault],
) -> Instants:
    unit = encoding.removeprefix("epoch-")
    if unit not in _PER_SECOND:
        raise ValueError("an integer is no instant before its unit is declared: `type_findings` refuses it")
    return _in_bounds(_whole(numbers, _PER_SECOND[unit]), given, faults, wide)


def _from_digits(text: OctetColumn, written: NDArray[np.bool_], encoding: str) -> Instants:
    """Return counts since 1970 that are written as decimal integers with an optional sign, as CSV has them."""
    sign = octet_at(text, text.start)
    signed = written & ((sign == ord("-")) | (sign == ord("+")))
    digits = text._replace(start=text.start + signed)
    well_formed = (digits.size > 0) & ~holds(digits, text.data - np.uint8(ord("0")) > 9)
    figures = tails(digits, _MOST_DIGITS)
    values = np.where(figures == 0, 0, figures - np.uint8(ord("0"))).astype(np.uint64)
    number = values @ (np.uint64(10) ** np.arange(_MOST_DIGITS - 1, -1, -1, dtype=np.uint64))
    negative = sign == ord("-")
    wide = (digits.size > _MOST_DIGITS) | (number > np.uint64(2**63 - 1) + negative.astype(np.uint64))
    numbers = np.where(negative, np.uint64(0) - number, number).astype(np.int64)  # modulo 2**64, as two's complement
    faults = [Fault("row.time.malformed", written & ~well_formed)]
    return _from_epoch(numbers, written & well_formed, wide, encoding, faults)
