"""A zone's file (TZif, RFC 9636) to the list of all changes of its clocks until the year 10001.

The file lists changes until some year, and its last line, the footer, says by a rule (a POSIX TZ string, RFC 9636,
3.3.1) how it goes on. The rule is written out here, so that whoever converts times has one sorted array to search and
no case to tell apart. Python's zoneinfo reads the same files on its own; the tests compare.
"""

import re
import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_HEADER = struct.Struct(">4sc15x6I")
_LAST_YEAR = 10_001  # the end of 9999 may be in 10000 elsewhere
_TYPE = np.dtype([("offset", ">i4"), ("summer", "u1"), ("name", "u1")])
_NAME = r"(?:<[+\-0-9A-Za-z]+>|[A-Za-z]{3,})"
_TIME = r"[+-]?\d{1,3}(?::\d\d){0,2}"
_RULE = rf"(?:M\d+\.\d+\.\d+|J?\d+)(?:/{_TIME})?"
_FOOTER = re.compile(rf"{_NAME}({_TIME})(?:{_NAME}({_TIME})?,({_RULE}),({_RULE}))?", re.ASCII)
_THURSDAY = 4  # 1970-01-01; Sunday is 0


class Transitions(NamedTuple):
    """The changes of a zone's clocks.

    Attributes:
        at: when, in seconds since 1970, ascending, int64[m].
        offset: how far ahead of UTC the clocks are before the first change and from each one on, int64[m + 1].
    """

    at: NDArray[np.int64]
    offset: NDArray[np.int64]


def read_tzif(octets: bytes) -> Transitions:
    """Return all changes of a zone's clocks until the year 10001.

    Raises:
        ValueError: no TZif file of version 2 or later.
    """
    magic, version, *counts = _HEADER.unpack_from(octets)
    if magic != b"TZif" or version < b"2":
        raise ValueError("no TZif file of version 2 or later: install the tzdata package again")
    second = _HEADER.size + _block_bytes(counts, 4)  # the first block repeats what fits into 32 bits
    _, _, *counts = _HEADER.unpack_from(octets, second)
    times, types = counts[3], counts[4]
    start = second + _HEADER.size
    at = np.frombuffer(octets, ">i8", times, start).astype(np.int64)
    which = np.frombuffer(octets, np.uint8, times, start + 8 * times)
    offsets = np.frombuffer(octets, _TYPE, types, start + 9 * times)["offset"].astype(np.int64)
    listed = Transitions(at, np.concatenate([offsets[:1], offsets[which]]))  # type 0 holds before the first (3.2)

    footer = octets[second + _HEADER.size + _block_bytes(counts, 8) :].decode("ascii").strip("\n")
    return _without_idle(_continued(listed, footer))


def _block_bytes(counts: list[int], time_bytes: int) -> int:
    """Return the size of a data block (RFC 9636, 3.2)."""
    is_ut, is_std, leaps, times, types, characters = counts
    return times * (time_bytes + 1) + types * _TYPE.itemsize + characters + leaps * (time_bytes + 4) + is_std + is_ut


def _continued(listed: Transitions, footer: str) -> Transitions:
    """Return the listed changes and those that the footer's rule makes after them."""
    if not footer:
        return listed
    match = _FOOTER.fullmatch(footer)
    if match is None:
        raise ValueError(f"the rule {footer!r} of a zone cannot be read: install the tzdata package again")
    standard_s = -_seconds(match[1])  # POSIX counts westwards
    if match[3] is None:  # then the offset of the last change is the rule's, and where there is none, this is all
        return listed if len(listed.at) else Transitions(listed.at, np.array([standard_s], np.int64))
    summer_s = -_seconds(match[2]) if match[2] else standard_s + 3_600
    first = int(listed.at[-1:].astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64).sum()) + 1970
    years = np.arange(first if len(listed.at) else 0, _LAST_YEAR + 1, dtype=np.int64)
    begins = _rule_seconds(match[3], years) - standard_s
    ends = _rule_seconds(match[4], years) - summer_s

    # an end and a beginning in the same second are a summer without end: the beginning must come last
    at = np.concatenate([ends, begins])
    offset = np.repeat(np.array([standard_s, summer_s]), len(years))
    order = np.argsort(at, kind="stable")
    later = at[order] > (listed.at[-1] if len(listed.at) else np.iinfo(np.int64).min)
    return Transitions(
        np.concatenate([listed.at, at[order][later]]), np.concatenate([listed.offset, offset[order][later]])
    )


def _rule_seconds(rule: str, years: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when a rule such as ``M3.2.0/2`` falls in each year, in seconds since 1970 on the wall clock, int64[n]."""
    date, _, time = rule.partition("/")
    january = _days((years - 1970) * 12)
    if date.startswith("M"):
        month, week, weekday = map(int, date[1:].split("."))
        months = (years - 1970) * 12 + month - 1
        first = _days(months)
        day = first + (weekday - first - _THURSDAY) % 7 + 7 * (week - 1)
        day -= np.where(day >= _days(months + 1), 7, 0)  # week 5 is the last one
    elif date.startswith("J"):
        number = int(date[1:])  # 29 February is not counted
        leap = _days((years - 1970) * 12 + 12) - january == 366
        day = january + number - 1 + (leap & (number >= 60))
    else:
        day = january + int(date)
    return day * 86_400 + (_seconds(time) if time else 7_200)


def _days(months: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the first day of months since 1970, in days since 1970."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def _seconds(time: str) -> int:
    """Return a time of a footer in seconds.

    >>> _seconds("-1:30"), _seconds("24")
    (-5400, 86400)
    """
    hours, minutes, seconds = (time.lstrip("+-") + ":0:0").split(":")[:3]
    return (-1 if time.startswith("-") else 1) * (int(hours) * 3_600 + int(minutes) * 60 + int(seconds))


def _without_idle(transitions: Transitions) -> Transitions:
    """Return the changes that change the offset; of several in one second the last one counts."""
    at, offset = transitions
    last = np.append(at[1:] != at[:-1], True)[: len(at)]
    at, after = at[last], offset[1:][last]
    before = np.concatenate([offset[:1], after])[:-1]
    moves = after != before
    return Transitions(at[moves], np.concatenate([offset[:1], after[moves]]))
