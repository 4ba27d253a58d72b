"""Values that stand for "none" in a column of times, because its database had to write something.

They are declared (`ColumnConfig.absent`), never guessed, and compared with what a file holds before it is read as a
time: texts by their characters (white space around them does not count), integers by their number, timestamps and dates
by what ISO 8601 says of them, on the clock of the column: UTC where its type names a zone.

    EJBCA             absent = ["-1", "0"]                       in columns of milliseconds since 1970
    MySQL             absent = ["0000-00-00 00:00:00"]           in CSV
    SQL Server, .NET  absent = ["1753-01-01", "0001-01-01"]      in timestamps and dates
"""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_type

from pregen.snapshot.octets import ArrowArray

_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_ISO = re.compile(r"(-?\d{4,6}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?(?:Z|z|\+00(?::?00)?)?)?", re.ASCII)
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_DAY_MS = 86_400_000


def without_absent(column: ArrowArray, absent: Sequence[str]) -> ArrowArray:
    """Return a column of times with null for each value that stands for none; `absent` is as files write them.

    >>> without_absent(pa.array([-1, 0, 1]), ["-1", "0"]).to_pylist()
    [None, None, 1]
    """
    values = _values(column.type, absent)
    if values is None or not len(values):
        return column
    written = column
    if isinstance(column, pa.StringArray | pa.LargeStringArray):
        written = pc.ascii_trim_whitespace(column)
    elif not is_type.is_integer(column.type):  # counts, so that no zone database is needed
        written = column.view(values.type)
    stands_for_none = pc.is_in(written, value_set=values)
    if not pc.any(stands_for_none).as_py():
        return column
    kept: ArrowArray = pc.if_else(stands_for_none, pa.scalar(None, column.type), column)
    return kept


def may_be_absent(text: str, kind: pa.DataType) -> bool:
    """Whether a text says a value of a column of times, in range or not.

    >>> may_be_absent("0", pa.int64()), may_be_absent("none", pa.int64()), may_be_absent("1970-01-01", pa.date32())
    (True, False, True)
    """
    if is_type.is_integer(kind):
        return _INTEGER.fullmatch(text.strip()) is not None
    if is_type.is_timestamp(kind) or is_type.is_date(kind):
        return _seconds_and_fraction(text) is not None
    return True


def how_to_write(kind: pa.DataType) -> str:
    """Return how values of a type are written in `absent`."""
    return "whole numbers" if is_type.is_integer(kind) else "times such as 1970-01-01T00:00:00"


def _values(kind: pa.DataType, absent: Sequence[str]) -> "ArrowArray | None":
    """Return the values of a type that texts say, as far as it has them; None: it has none of this sort."""
    if is_type.is_string(kind) or is_type.is_large_string(kind):
        return pa.array([text.strip() for text in absent], kind)
    if is_type.is_integer(kind):
        least = 0 if is_type.is_unsigned_integer(kind) else -(1 << (kind.bit_width - 1))
        numbers = {int(text) for text in absent if _INTEGER.fullmatch(text.strip())}
        return pa.array([number for number in numbers if least <= number < least + (1 << kind.bit_width)], kind)
    counts = [count for text in absent if (count := _count(text, kind)) is not None]
    bits = 31 if is_type.is_date32(kind) else 63
    counts = [count for count in counts if -(1 << bits) <= count < 1 << bits]
    if isinstance(kind, pa.TimestampType) or is_type.is_date64(kind):
        return pa.array(counts, pa.int64())
    return pa.array(counts, pa.int32()) if is_type.is_date32(kind) else None


def _count(text: str, kind: pa.DataType) -> int | None:
    """Return a time as a column of timestamps or dates counts it; None: it cannot."""
    parts = _seconds_and_fraction(text)
    if parts is None:
        return None
    seconds, fraction = parts
    if isinstance(kind, pa.TimestampType):
        digits = _DIGITS[kind.unit]
        if fraction.rstrip("0")[digits:]:
            return None
        return int(seconds * 10**digits) + int(fraction[:digits].ljust(digits, "0") or "0")
    days = seconds // 86_400
    return days if is_type.is_date32(kind) else days * _DAY_MS


def _seconds_and_fraction(text: str) -> tuple[int, str] | None:
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    try:
        second = np.datetime64(f"{match[1]}T{match[2] or '00:00:00'}", "s")
    except ValueError:  # the 13th month
        return None
    return int(second.astype(np.int64)), match[3] or ""
