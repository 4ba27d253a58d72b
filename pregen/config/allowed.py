"""What a field may hold, in the words of TOML; mistakes say it, and so does docs/configuration.md.

A type says it by itself, or by the description of its `msgspec.Meta` where it means less than all texts.
"""

import difflib
import re
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

import msgspec

_BEYOND = re.compile(r"`[a-z]+` [<>]= ")  # how msgspec says that a number is out of its bounds
_EXPECTED = re.compile(r"Expected `([^`]+)`, got `([^`]+)`(?: - at `\$([^`]*)`)?")
_SINGULAR = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}
_PLURAL = {str: "texts"}
_OF_MSGSPEC = {
    "str": "a text",
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "array": "a list",
    "object": "a table",
}
_SCALARS = frozenset({"bool", "int", "float"})


def allowed(kind: object) -> str:
    """Return what a field of a type may hold.

    >>> allowed(str | tuple[str, ...]), allowed(Annotated[int, msgspec.Meta(ge=0)] | None)
    ('a text or a list of texts', 'a whole number from 0 on')
    >>> allowed(Literal["a", "b"]), allowed(bool), allowed(dict[str, str])
    ('"a" or "b"', 'true or false', 'a table')
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, UnionType}:
        return " or ".join(allowed(one) for one in arguments if one is not NoneType)
    if origin is Annotated:
        return _described(*arguments[:2])
    if origin is Literal:
        *most, last = (f'"{choice}"' for choice in arguments)
        return f"{', '.join(most)} or {last}"
    if origin in {tuple, list}:
        return f"a list of {_PLURAL.get(arguments[0], 'tables')}"
    return _SINGULAR[kind] if isinstance(kind, type) and kind in _SINGULAR else "a table"


def _described(kind: type, meta: msgspec.Meta) -> str:
    """Return what a type with a description, bounds or a zone may hold.

    >>> _described(float, msgspec.Meta(ge=0, le=1_000)), _described(str, msgspec.Meta(description="a path"))
    ('a number from 0 to 1000', 'a path')
    """
    if meta.description is not None:
        return meta.description
    return f"{_SINGULAR[kind]} from {meta.ge:g} {'on' if meta.le is None else f'to {meta.le:g}'}"


def explained(raw: object, kind: object, place: str, error: str) -> tuple[str, str, str]:
    """Return code, place and text of a value that has the wrong type, or is none of those that are allowed.

    Args:
        raw: the value.
        kind: the type of its field.
        place: where the field is.
        error: what msgspec says.
    """
    sole = next((one for one in get_args(kind) if one is not NoneType), kind) if _is_optional(kind) else kind
    if get_origin(sole) is Literal:
        choices = [str(choice) for choice in get_args(sole)]
        near = difflib.get_close_matches(str(raw), choices, n=1)
        text = f"{raw!r} is not one of {', '.join(choices)}" + (f"; did you mean {near[0]!r}?" if near else "")
        return "config.bad-value", place, text
    if "datetime" in error:
        return _explained_time(raw, place)
    if _BEYOND.search(error):
        return "config.bad-value", place, f"must be {allowed(kind)}, not {raw}"
    found = _EXPECTED.match(error)
    if found is None:  # it says no more than that a value is none of its type
        return "config.wrong-type", place, f"must be {allowed(kind)}, not {kind_of(raw)}"
    expected, got, inside = found.groups()
    must_be = allowed(kind)
    if inside:
        place += inside.replace("[...]", "")
        must_be = " or ".join(_OF_MSGSPEC.get(word, word) for word in expected.split(" | ") if word != "null")
    not_this = _OF_MSGSPEC.get(got, got) if inside else kind_of(raw)
    quoted = "; write it in quotes" if got in _SCALARS and "a text" in must_be else ""
    return "config.wrong-type", place, f"must be {must_be}, not {not_this}{quoted}"


def kind_of(raw: object) -> str:
    """Return what a value of a TOML file is called.

    >>> kind_of(True), kind_of({}), kind_of(1.5)
    ('a truth value', 'a table', 'a number with a fraction')
    """
    names = {dict: "a table", list: "a list", str: "a text", bool: "a truth value", int: "a number"}
    if isinstance(raw, float):
        return "a number" if raw.is_integer() else "a number with a fraction"
    return names.get(type(raw), "a time")


def values_of(kind: object) -> object:
    """Return the type of what a table of any names holds, which a field may be; or None, if it may not be one.

    >>> values_of(dict[str, list[str]] | None), values_of(str)
    (list[str], None)
    """
    tables = (one for one in (kind, *get_args(kind)) if get_origin(one) is dict)
    return next((get_args(one)[1] for one in tables), None)


def _is_optional(kind: object) -> bool:
    return NoneType in get_args(kind) and len(get_args(kind)) == 2


def _explained_time(raw: object, place: str) -> tuple[str, str, str]:
    if isinstance(raw, datetime):
        text = f"{raw.isoformat()} names no zone: append Z for UTC, or an offset such as -07:00"
        return "config.naive-time", place, text
    if isinstance(raw, date):
        return (
            "config.naive-time",
            place,
            f"{raw} is a day, not an instant: write {raw}T00:00:00Z, or the time you mean",
        )
    return "config.wrong-type", place, f"must be an instant with its zone, such as 2026-11-24T00:00:00Z, not {raw!r}"
