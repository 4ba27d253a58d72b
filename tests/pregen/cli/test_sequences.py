"""Runs one after the other on what a copy delivers that stops, or skips hours: what each says, and what it leaves."""

import re
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from tests.pregen.cli.ca import Ca, Outcome, Program

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EVERY_S, DAYS = 240, 40


def deliver(ca: Ca, pregen: Program, as_of: datetime, *accept: str, lost: tuple[datetime, datetime]) -> Outcome:
    """Run on a snapshot of a CA that issues every few minutes, without what was issued in the time that is `lost`."""
    first = int((ca.now - DAYS * DAY).timestamp())
    issued = np.arange(first, int(as_of.timestamp()) - 60, EVERY_S)
    issued = issued[(issued < lost[0].timestamp()) | (issued >= lost[1].timestamp())]
    times = pa.array(issued * 1_000, pa.timestamp("ms", "UTC"))
    ca.export(
        as_of=as_of,
        serial=pa.array([(1 << 40 | at).to_bytes(6, "big") for at in issued.tolist()], pa.binary()),
        status=None,
        revoked_at=pa.nulls(len(issued), pa.timestamp("ms", "UTC")),
        reason=None,
        not_before=times,
        not_after=pa.array((issued + 90 * 86_400) * 1_000, pa.timestamp("ms", "UTC")),
    )
    return pregen("run", ca.config, "--now", as_of.isoformat(), *accept)


@pytest.fixture
def running(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published a generation a day ago."""
    ca.configure(validity={"profile": "lab"}, run={"engine": "auto"})
    assert deliver(ca, pregen, ca.now - DAY, lost=(ca.now, ca.now)).code == 0
    return ca


def test_hours_that_a_copy_skipped_are_refused_and_accepted_once(running: Ca, pregen: Program) -> None:
    lost = (running.now - 14 * HOUR, running.now - 6 * HOUR)
    before = running.published()
    refused = deliver(running, pregen, running.now, lost=lost)

    assert refused.code == 3
    assert re.search("error time.hole: column 'not_before': nothing of \"r1\" was issued for (8h|7h 5.m)", refused.err)
    assert "time.lag-shift" not in refused.err
    assert running.published() == before
    accept = ("--accept", "time.hole", "--reason", "the data centre was moved")
    assert deliver(running, pregen, running.now, *accept, lost=lost).code == 0
    later = deliver(running, pregen, running.now + HOUR, lost=lost)
    assert later.code == 0
    assert "time." not in later.err


def test_a_copy_that_stopped_is_refused_though_each_run_finds_it_only_a_little_older(
    running: Ca, pregen: Program
) -> None:
    lost = (running.now, running.now + DAY)
    runs = [deliver(running, pregen, running.now + minutes * HOUR / 60, lost=lost) for minutes in range(0, 100, 20)]

    assert [run.code for run in runs[:2]] == [0, 0]
    assert runs[-1].code == 3
    assert "nothing is newer than in the last generation" in runs[-1].err
    accept = ("--accept", "time.lag-shift", "--reason", "issuance rests")
    assert deliver(running, pregen, running.now + 2 * HOUR, *accept, lost=lost).code == 0
    resting = deliver(running, pregen, running.now + 3 * HOUR, lost=lost)
    assert resting.code == 0
    assert "warning time.lag-shift" in resting.err
