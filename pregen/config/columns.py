"""What the configuration says about one column of a snapshot: its name, its encoding, its zone, its values."""

import difflib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

from pregen.config.section import Problem, Section
from pregen.reasons import REASONS
from pregen.zones import zone_problem

COLUMNS = (
    "issuer",
    "issuer_key",
    "serial",
    "status",
    "revoked_at",
    "reason",
    "not_before",
    "not_after",
    "kind",
    "needs_ocsp",
)
TIMES = ("revoked_at", "not_before", "not_after")
SERIAL_ENCODINGS = ("binary", "unsigned-binary", "hex", "decimal")
TIME_ENCODINGS = (
    "timestamp",
    "date",
    "iso8601",
    "epoch-s",
    "epoch-ms",
    "epoch-us",
    "epoch-ns",
    "utctime",
    "generalizedtime",
    "asn1",
)
KINDS = ("ca", "end-entity", "precertificate")
TRUTHS = ("true", "false")
STATUSES = ("good", "revoked", "unknown", "excluded")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "status": STATUSES,
        "reason": (*REASONS, *map(str, REASONS.values()), "absent"),
        "kind": KINDS,
        "needs_ocsp": TRUTHS,
    }
)


class ColumnConfig(Section, frozen=True, kw_only=True):
    """Where one canonical column comes from, and how it is written there.

    Attributes:
        name: the column's name in the files; its canonical name when absent.
        encoding: how a serial (`SERIAL_ENCODINGS`, else "binary") or a time (`TIME_ENCODINGS`) is written; a time's
            may be absent where its type leaves no doubt.
        values: canonical value to the texts that mean it (columns of codes alone).
        zone: of times that name none: a name of the IANA time zone database, or "UTC".
        ambiguous: which instant a local time is that a clock change has made occur twice.
        nonexistent: which instant a local time is that a clock change has skipped: the first one after the gap, or the
            last second before it.
        time_of_day: of dates, ``HH:MM:SS``.
        absent: values that stand for "none" in a column of times, as the files write them (`-1`, `1970-01-01`).
    """

    name: str | None = None
    encoding: str | None = None
    values: dict[str, list[str]] | None = None
    zone: str | None = None
    ambiguous: Literal["error", "earliest", "latest"] = "error"
    nonexistent: Literal["error", "shift-forward", "shift-backward"] = "error"
    time_of_day: str | None = None
    absent: list[str] | None = None


def column_problems(canonical: str, column: ColumnConfig) -> Iterator[Problem]:
    """Yield what is wrong with what is said about a column; fields begin with a point, or are empty."""
    if column.name == "":
        yield Problem("config.bad-value", "", "must not be empty: name the column as the files call it")
    yield from _encoding_problems(canonical, column)
    if column.values is None:
        return
    known = _VALUES.get(canonical)
    if known is None:
        yield Problem("config.bad-value", ".values", f"only the columns {', '.join(_VALUES)} translate values")
        return
    meanings: dict[str, str] = {}
    for meaning, texts in column.values.items():
        if meaning not in known:
            text = f"{meaning!r} is no {canonical}: the keys are {', '.join(known)}"
            yield Problem("config.bad-value", ".values", text)
        for text in texts:
            if meanings.setdefault(text, meaning) != meaning:
                both = f"{text!r} cannot mean both {meanings[text]} and {meaning}: keep one of them"
                yield Problem("config.bad-value", ".values", both)


def _encoding_problems(canonical: str, column: ColumnConfig) -> Iterator[Problem]:
    """Yield what is wrong with how a serial or a time is said to be written."""
    known = SERIAL_ENCODINGS if canonical == "serial" else TIME_ENCODINGS if canonical in TIMES else ()
    if column.encoding is not None and column.encoding not in known:
        text = f"{column.encoding!r} is not one of {', '.join(known)}" if known else "only serials and times have one"
        if near := difflib.get_close_matches(column.encoding, known, n=1):
            text += f"; did you mean {near[0]!r}?"
        yield Problem("config.bad-value", ".encoding", text)
    if canonical not in TIMES:
        for field in ("zone", "ambiguous", "nonexistent", "time_of_day", "absent"):
            if getattr(column, field) not in (None, "error"):  # a list is no member of a set
                yield Problem("config.bad-value", f".{field}", "only times have one")
        return
    if column.zone is None and "error" not in {column.ambiguous, column.nonexistent}:
        yield Problem("config.bad-value", ".zone", "is needed where clock changes are to be dealt with")
    if column.zone is not None and (problem := zone_problem(column.zone)):
        yield Problem("config.bad-value", ".zone", problem)
    if column.time_of_day is not None and not _TIME_OF_DAY.fullmatch(column.time_of_day):
        yield Problem("config.bad-value", ".time_of_day", f"{column.time_of_day!r} is not HH:MM:SS")
