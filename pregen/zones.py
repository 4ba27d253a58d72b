"""The time zones of the tzdata package: which there are, and their rules, never those of the machine.

Files under /usr/share/zoneinfo may be old, or missing, and differ between the machines of one CA; a package has a
version that the lock names. Nothing is read before a zone is asked for.
"""

import difflib
from datetime import timedelta
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

import tzdata

from pregen import clock
from pregen.clock import DAY_S

_NEAREST, _CERTAIN = 3, 0.9
_YEAR_0001, _YEAR_9999 = -62_135_596_800, 253_402_300_799


def _package() -> Traversable:
    return resources.files(tzdata)


@cache
def zone_names() -> tuple[str, ...]:
    """Return the names of all zones, sorted; older names such as US/Mountain are among them."""
    return tuple(sorted(_package().joinpath("zones").read_text(encoding="ascii").split()))


def zone_octets(name: str) -> bytes:
    """Return the TZif file (RFC 9636) of a zone.

    Raises:
        ValueError: no zone is called so; the text names the nearest ones.
    """
    if problem := zone_problem(name):
        raise ValueError(problem)
    return _package().joinpath("zoneinfo", *name.split("/")).read_bytes()


@cache
def zone(name: str) -> ZoneInfo:
    """Return the rules of a zone.

    >>> str(zone("America/Denver"))
    'America/Denver'

    Raises:
        ValueError: no zone is called so; the text names the nearest ones.
    """
    if problem := zone_problem(name):
        raise ValueError(problem)
    with _package().joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def utc_offset(name: str, at: int) -> int:
    """Return by how many seconds a zone's clocks are ahead of UTC at an instant, `at` seconds since 1970.

    >>> utc_offset("America/Denver", 1_795_478_400) // 3600
    -7

    Raises:
        ValueError: no zone is called so.
    """
    # within a day of the first and the last year, datetime could not say what the clocks show
    moment = clock.instant(min(max(at, _YEAR_0001 + DAY_S), _YEAR_9999 - DAY_S))
    offset = moment.astimezone(zone(name)).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)


def zone_problem(name: str) -> str | None:
    """Return why a name cannot be a zone's, with the nearest names there are; None if it is one.

    >>> zone_problem("America/Denvr").partition("; ")[2]
    "did you mean 'America/Denver'?"
    """
    names = zone_names()
    if name in names:
        return None
    by_lower = {known.lower(): known for known in names}
    lower = name.lower().replace(" ", "_")
    near = [lower] if lower in by_lower else difflib.get_close_matches(lower, by_lower, _NEAREST)
    if len(near) > 1 and difflib.SequenceMatcher(None, lower, near[0]).ratio() > _CERTAIN:
        near = near[:1]
    text = f"{name!r} is no time zone of the tzdata package"
    if not near:
        return f"{text}: write a name such as America/Denver, or UTC"
    return f"{text}; did you mean {' or '.join(repr(by_lower[one]) for one in near)}?"
