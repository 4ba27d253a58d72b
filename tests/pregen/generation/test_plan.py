import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pregen.generation.groups import Group
from pregen.generation.plan import Plan, make_plan
from pregen.issuers import Issuer
from pregen.validity import ValidityWindow
from storage.errors import KnownAnswerError
from storage.response import check_known_answers
from storage.tables import decode_tables
from tests.pregen.generation.workshop import make_issuers, make_window

GROUPS = [Group(issuer, size, kind) for issuer in (0, 1) for size in (1, 16, 21) for kind in range(4)]


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path_factory.mktemp("issuers"), {}, {})


def plan_of(issuers: Sequence[Issuer], *windows: ValidityWindow) -> Plan:
    return make_plan(issuers, windows or [make_window(), make_window()], GROUPS)


def test_readers_get_back_the_tables_and_reproduce_every_known_answer(issuers: tuple[Issuer, ...]) -> None:
    plan = plan_of(issuers)
    tables = decode_tables(plan.name, plan.octets)
    assert tables == plan.tables
    check_known_answers(plan.name, tables)
    assert all(len(shape.known_answer.sha256) == 2 for shape in tables.shapes)


def test_a_known_answer_notices_a_wrong_template(issuers: tuple[Issuer, ...]) -> None:
    plan = plan_of(issuers)
    template = plan.tables.templates[-1]
    changed = replace(template, tbs=template.tbs[:-1] + b"z")
    tables = replace(plan.tables, templates=(*plan.tables.templates[:-1], changed))
    with pytest.raises(KnownAnswerError):
        check_known_answers(plan.name, tables)


def test_what_issuers_share_is_stored_once(issuers: tuple[Issuer, ...]) -> None:
    tables = plan_of(issuers).tables
    assert (len(tables.issuers), len(tables.windows), len(tables.shapes), len(tables.templates)) == (2, 1, 12, 24)
    assert len(tables.runs) == len(set(tables.runs)) == 24


def test_windows_that_differ_are_both_stored_and_each_run_names_its_own(issuers: tuple[Issuer, ...]) -> None:
    plan = plan_of(issuers, make_window(), make_window(days=3))
    assert len(plan.tables.windows) == 2
    assert {(run.issuer, run.window) for run in plan.tables.runs} == {(0, 0), (1, 1)}


def test_runs_are_numbered_by_shape_and_then_by_group(issuers: tuple[Issuer, ...]) -> None:
    plan = plan_of(issuers)
    assert list(plan.runs.values()) == list(range(24))
    shapes = [run.shape for run in plan.tables.runs]
    assert shapes == sorted(shapes)
    for one in set(shapes):
        groups = [group for group, number in plan.runs.items() if shapes[number] == one]
        assert groups == sorted(groups)
    for group, number in plan.runs.items():
        run = plan.tables.runs[number]
        shape = plan.tables.shapes[run.shape]
        assert (run.issuer, shape.serial_bytes) == (group.issuer, group.serial_bytes)


def test_keys_of_two_kinds_share_templates_but_no_shapes(tmp_path: Path) -> None:
    (ec,), (rsa,) = make_issuers(tmp_path / "ec"), make_issuers(tmp_path / "rsa", key="rsa2048")
    tables = plan_of([ec, rsa]).tables
    assert (len(tables.templates), len(tables.shapes)) == (24, 24)
    assert {response.signature_bytes for shape in tables.shapes for response in shape.responses} == {64, 256}
    check_known_answers("tables/test", tables)


def test_one_plan_has_one_name(issuers: tuple[Issuer, ...]) -> None:
    assert plan_of(issuers).name == plan_of(issuers).name != plan_of(issuers[::-1]).name


def test_responses_that_some_clients_will_not_take_draw_a_warning(tmp_path: Path) -> None:
    (small,), (large,) = make_issuers(tmp_path / "ec"), make_issuers(tmp_path / "pq", key="ml-dsa-65")
    assert plan_of([small, small]).warnings() == ()
    (warning,) = plan_of([small, large]).warnings()
    assert (warning.code, warning.severity) == ("response.large", "warning")
    found = re.search(r"ml-dsa-65 have ([\d,]+) octets", warning.message)
    assert found is not None
    size = int(found[1].replace(",", ""))
    embedded = 1_952 + 3_309  # key of the responder, signature of the issuer
    assert 3_309 + embedded < size < 3_309 + embedded + 1_000
