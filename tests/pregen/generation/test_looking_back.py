"""What the plans of many nights hand on to each other: windows, runs and tables, without a signature."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from pregen.clock import seconds
from pregen.generation.looking_back import LookBack
from pregen.generation.making.plan import Plan, make_plan, windows_in_use
from pregen.generation.making.terms import Today, former_runs
from pregen.generation.rows.groups import Group
from pregen.issuers import Issuer
from pregen.validity import Refreshing, ValidityWindow, plan_window
from tests.pregen.generation.workshop import NOW, make_issuers

GROUPS = [Group(issuer, size, kind) for issuer in (0, 1) for size in (8, 16) for kind in (0, 2)]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path_factory.mktemp("issuers"), {}, {"cert_ids": "combined"})


def windows_of(issuers: Sequence[Issuer], night: int) -> list[ValidityWindow]:
    now = NOW + night * DAY
    return [
        plan_window(
            profile=issuer.validity.profile.name,
            lifetime=issuer.validity.lifetime,
            backdate=issuer.validity.backdate,
            as_of=now,
            started=now,
            cap=now + 1_000 * DAY,
        )
        for issuer in issuers
    ]


def next_plan(issuers: Sequence[Issuer], night: int, before: Plan | None) -> Plan:
    windows = windows_of(issuers, night)
    now = seconds(NOW + night * DAY)
    refreshing = Refreshing(every_s=86_400, missed_runs=1, spread=True, now=now, takes_s=3_600)
    if before is None:
        return make_plan(issuers, windows, GROUPS)
    today = Today(issuers, windows, refreshing)
    former = {before.name: former_runs(before.tables, today, "")}
    back = LookBack(today=today, former=former, tables={before.name: before.tables})
    return make_plan(issuers, windows, GROUPS, {before.tables_name: before.tables}, back.candidates)


@pytest.mark.parametrize("nights", [60, pytest.param(1_000, marks=pytest.mark.slow)])
def test_what_nights_hand_on_does_not_grow(issuers: tuple[Issuer, ...], nights: int) -> None:
    for_years = NOW + 3_000 * DAY
    lasting = [replace(one, validity=replace(one.validity, lifetime=7 * DAY), not_after=for_years) for one in issuers]
    random, plan, tables = np.random.default_rng(3), None, set()
    for night in range(nights):
        plan = next_plan(lasting, night, plan)
        used = {number for number in range(len(plan.tables.runs)) if random.random() < 0.6}
        plan = windows_in_use(plan, used)
        tables.add(plan.tables_name)
        assert len(plan.tables.windows) <= 1 + 3
        assert len(plan.tables.runs) <= len(GROUPS) * (1 + 3)
        shapes = [run.shape for run in plan.tables.runs]
        assert shapes == sorted(shapes)
    assert len(tables) == 1


def test_a_run_of_the_night_before_has_a_number_tonight_unless_it_is_due(issuers: tuple[Issuer, ...]) -> None:
    long = [replace(one, validity=replace(one.validity, lifetime=7 * DAY)) for one in issuers]
    first = next_plan(long, 0, None)
    second = next_plan(long, 1, first)
    assert set(second.numbers[first.name]) == set(range(len(GROUPS)))
    for before, number in second.numbers[first.name].items():
        old, new = first.tables.runs[before], second.tables.runs[number]
        assert (old.issuer, old.shape) == (new.issuer, new.shape)
        assert first.tables.windows[old.window] == second.tables.windows[new.window]
    assert next_plan(long, 3, first).numbers == {first.name: {}}


def test_a_group_that_the_snapshot_lacks_keeps_no_run(issuers: tuple[Issuer, ...]) -> None:
    long = [replace(one, validity=replace(one.validity, lifetime=7 * DAY)) for one in issuers]
    first = next_plan(long, 0, None)
    windows = windows_of(long, 1)
    now = seconds(NOW + DAY)
    refreshing = Refreshing(every_s=86_400, missed_runs=1, spread=True, now=now, takes_s=3_600)
    today = Today(long, windows, refreshing)
    back = LookBack(
        today=today,
        former={first.name: former_runs(first.tables, today, "")},
        tables={first.name: first.tables},
    )
    plan = make_plan(long, windows, GROUPS[:3], None, back.candidates)
    assert len(plan.tables.runs) == 6
    assert {run.issuer for run in plan.tables.runs} == {0}
