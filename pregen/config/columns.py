"""What the configuration says about one column of a snapshot: its name, its encoding, its zone, its values.

The canonical columns:
    issuer: whose certificate the row is: a `name` of an ``[[issuer]]``; needed where there are several.
    issuer_key: what tells the keys of one issuer apart; rows are called by both, as in `r1/5a3c`.
    serial: the serial number; always needed.
    status: the status; without this column, what has a `revoked_at` is revoked.
    revoked_at: when the certificate was revoked.
    reason: why it was revoked.
    not_before: when it becomes valid; most of what finds wrong time zones rests on it.
    not_after: when it expires; what has expired needs no answer.
    kind: what the certificate is; null, or no such column: an end entity.
    needs_ocsp: false for certificates without an OCSP address, which get no answer.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

import msgspec

from pregen.config.section import FieldProblem, Section
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
TIME_COLUMNS = ("revoked_at", "not_before", "not_after")
SERIAL_ENCODINGS = ("binary", "unsigned-binary", "hex", "decimal")
EPOCH_ENCODINGS = ("epoch-s", "epoch-ms", "epoch-us", "epoch-ns")
ASN1_ENCODINGS = ("utctime", "generalizedtime", "asn1")
TIME_ENCODINGS = ("timestamp", "date", "iso8601", *EPOCH_ENCODINGS, *ASN1_ENCODINGS)
CERTIFICATE_KINDS = ("ca", "end-entity", "precertificate")
OF_TIMES = ("zone", "ambiguous", "nonexistent", "time_of_day", "absent")
TRUTHS = ("true", "false")
STATUS_WORDS = ("good", "revoked", "unknown", "excluded")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "status": STATUS_WORDS,
        "reason": (*REASONS, *map(str, REASONS.values()), "absent"),
        "kind": CERTIFICATE_KINDS,
        "needs_ocsp": TRUTHS,
    }
)


# Which of them a column may have depends on the column.
Encoding: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        description="of serials "
        + ", ".join(f'"{one}"' for one in SERIAL_ENCODINGS)
        + "; of times "
        + ", ".join(f'"{one}"' for one in TIME_ENCODINGS)
    ),
]
Zone: TypeAlias = Annotated[
    str, msgspec.Meta(description='a time zone of the IANA database, such as "America/Denver" or "UTC"')
]
Ambiguous: TypeAlias = Literal["error", "earliest", "latest"]
Nonexistent: TypeAlias = Literal["error", "shift-forward", "shift-backward"]
TimeOfDay: TypeAlias = Annotated[str, msgspec.Meta(description='a time of day such as "23:59:59"')]


class ColumnConfig(Section, frozen=True, kw_only=True):
    """Where one canonical column comes from, and how it is written there.

    Attributes:
        name: what the files call the column; absent: as it is called here.
        encoding: how serials or times are written. Absent: serials are "binary" (octets as in the certificate's DER),
            and times are what their type says, a timestamp or text of ISO 8601; integers and dates need it, or more.
        values: which texts of the files mean what: each key is a meaning, and has a list of them, integers too in
            quotes. Of `status` they replace what is known by itself, of the other columns they add to it.
        zone: the zone of times that name none; refused where they name one. Dates and local times need it, and under a
            public profile an anchor that proves it.
        ambiguous: which instant a local time is that a clock change has made occur twice; "error" refuses such rows. It
            needs a zone.
        nonexistent: which instant a local time is that a clock change has skipped: "shift-forward" the first one after
            the gap, "shift-backward" the last second before it; "error" refuses such rows. It needs a zone.
        time_of_day: which time of the day dates mean; needed for dates, and refused for anything else.
        absent: values that stand for none in a column of times, as the files write them.
    """

    name: str | None = None
    encoding: Encoding | None = None
    values: dict[str, list[str]] | None = None
    zone: Zone | None = None
    ambiguous: Ambiguous = "error"
    nonexistent: Nonexistent = "error"
    time_of_day: TimeOfDay | None = None
    absent: list[str] | None = None


def column_problems(canonical: str, column: ColumnConfig) -> Iterator[FieldProblem]:
    """Yield what is wrong with what is said about a column; fields begin with a point, or are empty."""
    if column.name == "":
        yield FieldProblem("config.bad-value", "", "must not be empty: name the column as the files call it")
    yield from _encoding_problems(canonical, column)
    if column.values is None:
        return
    known = VALUES.get(canonical)
    if known is None:
        text = f"only the columns {', '.join(VALUES)} translate values: leave it out"
        yield FieldProblem("config.bad-value", ".values", text)
        return
    meanings: dict[str, str] = {}
    for meaning, texts in column.values.items():
        if meaning not in known:
            text = f"{meaning!r} is no {canonical}: the keys are {', '.join(known)}"
            yield FieldProblem("config.bad-value", ".values", text)
        for text in texts:
            if meanings.setdefault(text, meaning) != meaning:
                both = f"{text!r} cannot mean both {meanings[text]} and {meaning}: keep one of them"
                yield FieldProblem("config.bad-value", ".values", both)


def _encoding_problems(canonical: str, column: ColumnConfig) -> Iterator[FieldProblem]:
    """Yield what is wrong with how a serial or a time is said to be written."""
    known = SERIAL_ENCODINGS if canonical == "serial" else TIME_ENCODINGS if canonical in TIME_COLUMNS else ()
    if column.encoding is not None and column.encoding not in known:
        text = f"{column.encoding!r} is not one of {', '.join(known)}"
        if not known:
            have = ", ".join(("serial", *TIME_COLUMNS))
            text = f"only serials and times have one, which are the columns {have}: leave it out"
        if near := difflib.get_close_matches(column.encoding, known, n=1):
            text += f"; did you mean {near[0]!r}?"
        yield FieldProblem("config.bad-value", ".encoding", text)
    if canonical not in TIME_COLUMNS:
        for field in OF_TIMES:
            if getattr(column, field) not in (None, "error"):  # a list is no member of a set
                text = f"only times have one, which are the columns {', '.join(TIME_COLUMNS)}: leave it out"
                yield FieldProblem("config.bad-value", f".{field}", text)
        return
    if column.zone is None and {column.ambiguous, column.nonexistent} != {"error"}:
        text = 'is needed where clock changes are to be dealt with: name it, as in zone = "America/Denver"'
        yield FieldProblem("config.bad-value", ".zone", text)
    if column.zone is not None and (problem := zone_problem(column.zone)):
        yield FieldProblem("config.bad-value", ".zone", problem)
    if column.time_of_day is not None and not _TIME_OF_DAY.fullmatch(column.time_of_day):
        yield FieldProblem(
            "config.bad-value", ".time_of_day", f"{column.time_of_day!r} is not HH:MM:SS, such as 23:59:59"
        )
