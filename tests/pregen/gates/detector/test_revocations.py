"""Revocations that a copy gets no more, or that it skips, while it gets everything that is issued."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from pregen.gates.detector.anchor_files import Anchors
from pregen.gates.detector.observation import BINS
from pregen.gates.detector.verdict import judge
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Register,
    case_of,
    export,
    make_issuers,
    observe,
    publish,
    watch_for,
    work,
)

AS_OF = int(datetime(2026, 7, 1, 9, tzinfo=UTC).timestamp())
ROWS = work((Habits(per_day=1_000, revoked=0.3),), AS_OF - 200 * DAY, AS_OF + 20 * DAY, np.random.default_rng(8))


def without(start: int, end: int) -> Register:
    """Return what a copy has that lost the revocations of a time."""
    is_lost = (start <= ROWS.revoked_at) & (end > ROWS.revoked_at)
    return replace(ROWS, revoked_at=np.where(is_lost, 0, ROWS.revoked_at))


def sequence(rows: Register, runs: list[int], *, accepts: bool = False) -> list[list[tuple[str, str, str]]]:
    """Return code, severity and column of what each run says; those with an error publish only if accepted."""
    issuers, said, history = make_issuers(1), [], None
    for as_of in runs:
        seen = export(rows, as_of)
        watch = watch_for(seen, as_of, 1)
        found = judge(case_of(seen, watch, history), Anchors(), is_public=False)
        told: list[tuple[str, str, str]] = [
            (one.code, one.severity, one.message.split("'")[1]) for one in found.findings
        ]
        said.append([one for one in told if one[0] in {"time.lag-shift", "time.hole"}])
        if accepts or all(severity == "warning" for _, severity, _ in said[-1]):
            history = publish(seen, as_of, issuers, history, found)
    return said


def test_revocations_that_stop_are_refused_although_issuance_goes_on() -> None:
    runs = [AS_OF + day * DAY for day in range(-1, 4)]

    assert sequence(without(AS_OF, AS_OF + 20 * DAY), runs) == [
        [],
        [],
        *[[("time.lag-shift", "error", "REVOKED_AT")]] * 3,
    ]
    assert sequence(ROWS, runs) == [[]] * 5


def test_revocations_that_rest_are_accepted_for_three_times_as_long() -> None:
    runs = [AS_OF + hours * HOUR for hours in (-24, 0, 20, 40, 80)]
    said = sequence(without(AS_OF, AS_OF + 20 * DAY), runs, accepts=True)

    assert [[severity for _, severity, _ in one] for one in said] == [[], [], ["error"], ["warning"], ["error"]]


@pytest.mark.parametrize(("hours", "severity"), [(3, "warning"), (8, "error")])
def test_hours_without_revocations_are_a_hole(hours: int, severity: str) -> None:
    lost = without(AS_OF - (hours + 4) * HOUR, AS_OF - 4 * HOUR)

    assert sequence(lost, [AS_OF - DAY, AS_OF])[1] == [("time.hole", severity, "REVOKED_AT")]


def test_where_crls_tell_revocations_nothing_is_noted_of_when_they_were() -> None:
    seen = export(ROWS, AS_OF)
    watch = watch_for(seen, AS_OF, 1)

    assert observe(seen, watch).bins.max() >= BINS
    assert observe(seen, replace(watch, listed_as_of=AS_OF)).bins.max() < BINS
