"""Every time zone read as another one, on synthetic snapshots: what is noticed, and by which evidence.

python -m tests.pregen.gates.detector.matrix      measures all of it and prints the tables of docs/detection.md
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import numpy as np

from pregen.errors import Finding
from pregen.gates import History
from pregen.gates.detector.anchor_files import Anchors
from pregen.gates.detector.verdict import judge
from pregen.zones import utc_offset, zone_names
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Register,
    anchors_of,
    case_of,
    export,
    make_issuers,
    misread,
    publish,
    watch_for,
    work,
)

Mistake = Literal["utc", "negative", "rules"]
MISTAKES: tuple[Mistake, ...] = ("utc", "negative", "rules")
TITLES = {
    "utc": "local times read as UTC",
    "negative": "read with the sign of the offset reversed",
    "rules": "read as a zone with other clock changes",
}
WORLDS = 12
COLUMNS = ("not_before", "not_after", "revoked_at")
CODES = ("time.anchor-mismatch", "time.history-mismatch", "time.ahead-of-as-of", "time.lag-shift", "time.order")


@dataclass(frozen=True)
class World:
    """A CA with 1,000 issuances a day, its snapshot at `as_of`, and one generation that was published before."""

    as_of: int
    snapshot: Register
    history: History
    anchors: Anchors


@dataclass(frozen=True)
class Case:
    """Times of the zone `meant`, read as those of `declared`."""

    world: int
    mistake: Mistake
    meant: str
    declared: str

    @property
    def shift_s(self) -> int:
        """By how much times are read too late at as_of."""
        at = as_of(self.world)
        return utc_offset(self.meant, at) - utc_offset(self.declared, at)


def as_of(number: int) -> int:
    """Return an instant in each month of 2026 and each two hours of the day."""
    return int(datetime(2026, 1 + number % 12, 3 + 2 * (number % 12), tzinfo=UTC).timestamp()) + number * 2 * HOUR + 420


@cache
def world(number: int) -> World:
    rng = np.random.default_rng(number)
    at = as_of(number)
    habits = Habits(
        per_day=1_000, validity_days=120, backdate_s=(0, HOUR)[number % 2], home_s=(number % 5 - 2) * 2 * HOUR
    )
    register = work((habits,), at - 120 * DAY, at, rng)
    before = at - (HOUR, 6 * HOUR, DAY)[number % 3]
    history = publish(export(register, before), before, make_issuers(1), None)
    snapshot = export(register, at)
    return World(at, snapshot, history, anchors_of(snapshot))


def cases(mistake: Mistake, step: int = 1) -> Iterator[Case]:
    """Yield a case for every `step`-th zone, where a zone to mistake it for exists."""
    for number, name in enumerate(zone_names()):
        if number % step:
            continue
        declared = _declared(mistake, name, as_of(number % WORLDS))
        if declared is not None:
            yield Case(number % WORLDS, mistake, name, declared)


def _declared(mistake: Mistake, meant: str, at: int) -> str | None:
    offset = utc_offset(meant, at)
    if mistake == "utc":
        return "Etc/UTC"
    if mistake == "negative":
        return next((name for name in zone_names() if utc_offset(name, at) == -offset != 0), None)
    half_a_year = at - 182 * DAY
    for same, other in ((half_a_year, at), (at, half_a_year)):
        for name in zone_names():
            agrees = utc_offset(name, same) == utc_offset(meant, same)
            if agrees and utc_offset(name, other) != utc_offset(meant, other):
                return name
    return None


@dataclass(frozen=True)
class Found:
    """What is found with the published generation, and with anchors instead."""

    with_history: tuple[Finding, ...]
    with_anchors: tuple[Finding, ...]


def try_case(case: Case) -> Found:
    here = world(case.world)
    seen = here.snapshot
    revoked_at = seen.revoked_at.copy()
    revoked_at[revoked_at > 0] = misread(revoked_at[revoked_at > 0], case.meant, case.declared)
    snapshot = replace(
        seen,
        not_before=misread(seen.not_before, case.meant, case.declared),
        not_after=misread(seen.not_after, case.meant, case.declared),
        revoked_at=revoked_at,
    )
    watch = watch_for(snapshot, here.as_of, 1, np.append(here.anchors.keys, here.history.witnesses["key"]))
    declared = {} if case.mistake == "utc" else dict.fromkeys(COLUMNS, case.declared)

    told = case_of(snapshot, watch, zones=declared)

    def found(history: History | None, anchors: Anchors) -> tuple[Finding, ...]:
        return judge(replace(told, history=history), anchors, is_public=False).findings

    return Found(found(here.history, Anchors()), found(None, here.anchors))


def errors(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity == "error"]


def missed(case: Case, findings: Iterable[Finding]) -> str | None:
    """Return why a case was not caught as it should be: an error, and the right zone among the named."""
    found = errors(findings)
    if not found:
        return f"{case}: {case.shift_s} s: no error"
    if not any(case.meant in finding.zones for finding in found):
        return f"{case}: {case.shift_s} s: not named by {[(finding.code, finding.message) for finding in found]}"
    return None


def main() -> None:
    """Print the tables of docs/detection.md."""
    all_found = {mistake: [(case, try_case(case)) for case in cases(mistake)] for mistake in MISTAKES}
    for title, name in (
        ("With one generation, without anchors", "with_history"),
        ("With anchors, without a generation", "with_anchors"),
    ):
        print(f"\n**{title}**\n\n| mistake | cases | caught | zone named | {' | '.join(CODES)} |")  # noqa: T201 - its purpose
        print("|" + "---|" * (4 + len(CODES)))  # noqa: T201
        for mistake, found in all_found.items():
            for is_now, when in ((True, "an offset at as_of"), (False, "none at as_of")):
                rows = [(case, errors(getattr(one, name))) for case, one in found if (case.shift_s != 0) == is_now]
                print(f"| {TITLES[mistake]}, {when} | {_figures(rows)} |")  # noqa: T201


def _figures(rows: Sequence[tuple[Case, list[Finding]]]) -> str:
    caught = sum(bool(found) for _, found in rows)
    named = sum(any(case.meant in finding.zones for finding in found) for case, found in rows)
    codes = Counter(code for _, found in rows for code in {finding.code for finding in found})
    return " | ".join(map(str, (len(rows), caught, named, *(codes[code] for code in CODES))))


if __name__ == "__main__":
    main()
