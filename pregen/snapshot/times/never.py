"""What databases write for a time that never comes: `infinity`, and in columns of numbers the largest one.

PostgreSQL and DuckDB write it. A certificate that expires at infinity does not expire, and one that is revoked then is
not revoked, where the word says so: the largest number may be a mistake as well, which must not make an answer good.
Infinity is no begin of anything, and neither is -infinity, so elsewhere both stay what is no time.
"""

import numpy as np
import pyarrow as pa
import pyarrow.types as is_type
from numpy.typing import NDArray

from pregen.snapshot.column import Column
from pregen.snapshot.octets import ArrowArray, OctetColumn, heads, integers, nulls

_ENDS = ("revoked_at", "not_after")
_TEXT = np.frombuffer(b"infinity", np.uint8)
_CASE = np.uint8(0x20)


def never_in_text(text: OctetColumn, written: NDArray[np.bool_], source: Column | None) -> NDArray[np.bool_]:
    """Return which texts say that the time never comes, bool[n]."""
    never = np.zeros(len(written), np.bool_)
    if source is None or source.canonical not in _ENDS:
        return never
    at = np.flatnonzero(written & (text.size == len(_TEXT)))
    if len(at):
        few = text._replace(start=text.start[at], end=text.end[at])
        never[at] = ((heads(few, len(_TEXT)) | _CASE) == _TEXT).all(axis=1)
    return never


def never_in_type(column: ArrowArray, source: Column | None) -> NDArray[np.bool_] | None:
    """Return which timestamps or dates are the largest of their type, bool[n]; None where that is a time, or none is.

    The largest one in nanoseconds is in the year 2262.
    """
    if source is None or source.canonical != "not_after" or not len(column):
        return None
    if is_type.is_date32(column.type):
        never = np.asarray(column.cast(pa.int32()).fill_null(0)) == np.iinfo(np.int32).max
    elif isinstance(column.type, pa.TimestampType) and column.type.unit == "ns":
        return None
    else:
        never = (integers(column) == np.iinfo(np.int64).max) & ~nulls(column)
    return never if never.any() else None
