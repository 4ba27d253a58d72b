"""Snapshots without any mistake, as odd as real ones are, each after a few generations that were published."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pregen.errors import Finding
from pregen.gates.detector.anchor_files import Anchors
from pregen.gates.detector.verdict import judge
from tests.pregen.gates.detector.authorities import (
    DAY,
    HOUR,
    Habits,
    Rhythm,
    Scan,
    case_of,
    export,
    make_issuers,
    publish,
    watch_for,
    work,
)

_RHYTHMS: tuple[Rhythm, ...] = ("automated", "office", "nightly", "monthly")
_SCANS: tuple[Scan, ...] = ("instant", "by-serial", "by-issuance")
_CHRISTMAS = int(datetime(2026, 12, 24, tzinfo=UTC).timestamp()) // DAY
HOLIDAYS = frozenset(range(_CHRISTMAS, _CHRISTMAS + 9))


@dataclass(frozen=True)
class Life:
    """One snapshot: who issued what, when the generations before were made, and how the export ran."""

    habits: tuple[Habits, ...]
    as_of: int
    before: tuple[int, ...]
    scan: Scan
    runs_s: int
    behind_s: int


def draw(seed: int) -> tuple[Life, np.random.Generator]:
    rng = np.random.default_rng((seed, 2026))
    habits = tuple(_habits(rng) for _ in range(rng.choice([1, 1, 2, 3, 6])))
    at = int(datetime(2026, 7, 1, tzinfo=UTC).timestamp()) + int(rng.integers(0, 200 * DAY))
    if rng.random() < 0.2:  # between the years
        at = (_CHRISTMAS + int(rng.integers(0, 10))) * DAY + int(rng.integers(0, DAY))
    interval_s = int(rng.choice([HOUR, 4 * HOUR, 12 * HOUR, DAY, 3 * DAY]))
    before = tuple(at - interval_s * back for back in range(int(rng.integers(1, 4)), 0, -1))
    runs_s = int(rng.choice([0, 600, 1_800, HOUR, 2 * HOUR]))
    scan = _SCANS[rng.integers(0, len(_SCANS))]
    return Life(habits, at, before, scan, runs_s, int(rng.choice([0, 30, 300, 900]))), rng


def _habits(rng: np.random.Generator) -> Habits:
    return Habits(
        per_day=float(rng.choice([1, 5, 30, 200, 1_000])),
        rhythm=_RHYTHMS[rng.integers(0, len(_RHYTHMS))],
        home_s=int(rng.integers(-10, 13)) * HOUR,
        backdate_s=int(rng.choice([0, 0, 60, 300, HOUR, DAY])),
        validity_days=int(rng.choice([7, 45, 90, 200])),
        postdated=float(rng.choice([0, 0, 0.001, 0.02])),
        postdated_by_s=int(rng.choice([HOUR, DAY, 7 * DAY])),
        revoked=float(rng.choice([0.001, 0.02, 0.2])),
        holidays=HOLIDAYS,
    )


def findings_of(seed: int) -> tuple[Finding, ...]:
    """Return what is found in one snapshot."""
    life, rng = draw(seed)
    issuers = make_issuers(len(life.habits))
    register = work(life.habits, life.as_of - 100 * DAY, life.as_of + 3 * HOUR, rng)
    history = None
    for at in life.before:
        seen = export(register, at, scan=life.scan, runs_s=life.runs_s, behind_s=life.behind_s)
        history = publish(seen, at, issuers, history)
    assert history is not None
    snapshot = export(register, life.as_of, scan=life.scan, runs_s=life.runs_s, behind_s=life.behind_s)
    watch = watch_for(snapshot, life.as_of, len(issuers), history.witnesses["key"])
    return judge(case_of(snapshot, watch, history), Anchors(), is_public=False).findings
