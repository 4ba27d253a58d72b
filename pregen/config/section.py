"""What all sections of the configuration file share: how they say what is wrong, and how they write durations."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, NamedTuple, TypeAlias

import msgspec

_DURATION = re.compile(r"(\d{1,12})([smhd])", re.ASCII)
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_CENTURY = timedelta(days=36_525)


Duration: TypeAlias = Annotated[str, msgspec.Meta(description='a duration such as "4d"')]


class FieldProblem(NamedTuple):
    """What is wrong with one field: a code for `Finding`, the field's place within its section, and what to do.

    `besides` names other fields of the section that it depends upon: where one of these cannot be read, nobody knows
    whether it is a problem.
    """

    code: str
    field: str
    text: str
    besides: tuple[str, ...] = ()


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as ``90m`` names: an integer and one of s, m, h, d.

    >>> parse_duration("4d")
    datetime.timedelta(days=4)

    Raises:
        ValueError: another form, or more than a century (far beyond any certificate, and safe to add to any date).
    """
    match = _DURATION.fullmatch(text)
    if match is None and _DURATION.fullmatch(text.removeprefix("-")):
        raise ValueError(f"{text!r} is a negative duration: write it without the sign, such as 4d")
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write an integer and one of s, m, h, d, such as 4d")
    duration_s = int(match[1]) * _UNITS_S[match[2]]
    if duration_s > _CENTURY.total_seconds():
        raise ValueError(f"{text!r} is more than a century: a day is d, an hour h, a minute m, a second s")
    return timedelta(seconds=duration_s)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        yield from ()


def duration_problems(field: str, text: str) -> Iterator[FieldProblem]:
    """Yield what is wrong with a duration."""
    try:
        parse_duration(text)
    except ValueError as error:
        yield FieldProblem("config.duration", field, str(error))


def empty_problems(**fields: str | tuple[str, ...] | None) -> Iterator[FieldProblem]:
    """Yield what is wrong with fields that may be left out, but are empty or hold something empty."""
    for field, value in fields.items():
        if value == "" or (isinstance(value, tuple) and "" in value):
            yield FieldProblem("config.bad-value", field, "must not be empty: fill it in, or leave the field out")
