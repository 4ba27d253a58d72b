import json
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import xxhash

from pregen.generation.making.plan import Carried, Plan, make_plan, stored_window
from pregen.generation.rows.groups import Group
from pregen.issuers import Issuer
from pregen.validity import ValidityWindow
from storage.errors import KnownAnswerError
from storage.response import check_known_answers, generalized_time
from storage.stores.memory import MemoryStore
from storage.tables_document import encode_tables
from storage.windows import read_tables
from tests.pregen.generation.workshop import make_issuers, make_window

GROUPS = [Group(issuer, size, kind) for issuer in (0, 1) for size in (1, 16, 21) for kind in range(4)]


@pytest.fixture(scope="module")
def issuers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Issuer, ...]:
    return make_issuers(tmp_path_factory.mktemp("issuers"), {}, {})


def plan_of(issuers: Sequence[Issuer], *windows: ValidityWindow) -> Plan:
    return make_plan(issuers, windows or [make_window(), make_window()], GROUPS)


def test_readers_get_back_the_tables_and_reproduce_every_known_answer(issuers: tuple[Issuer, ...]) -> None:
    plan = plan_of(issuers)
    store = MemoryStore()
    for name, octets in plan.objects.items():
        store.put(name, octets)
    _, tables = read_tables(store, plan.name)
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


def test_runs_that_are_signed_come_before_those_that_are_carried_over_in_each_shape(
    issuers: tuple[Issuer, ...],
) -> None:
    current = plan_of(issuers)
    windows = [stored_window(make_window(days=days)) for days in (3, 4, 5)]
    candidates = {
        current.name: {
            number: Carried(group, windows[number % len(windows)])
            for number, group in enumerate(current.groups)
            if number % 2
        }
    }
    plan = make_plan(issuers, [make_window(days=4)] * 2, GROUPS, candidates=candidates)
    assert plan.carried
    placed = [(run.shape, number in plan.carried) for number, run in enumerate(plan.tables.runs)]
    assert placed == sorted(placed)


def test_keys_of_two_kinds_share_templates_but_no_shapes(tmp_path: Path) -> None:
    (ec,), (rsa,) = make_issuers(tmp_path / "ec"), make_issuers(tmp_path / "rsa", key="rsa2048")
    tables = plan_of([ec, rsa]).tables
    assert (len(tables.templates), len(tables.shapes)) == (24, 24)
    assert {response.signature_bytes for shape in tables.shapes for response in shape.responses} == {64, 256}
    check_known_answers("tables/test", tables)


def test_a_night_adds_its_windows_alone_while_all_else_stays(issuers: tuple[Issuer, ...]) -> None:
    first = plan_of(issuers)
    ((tables_name, tables_octets), (first_windows, _)) = first.objects.items()
    assert (tables_name[:7], first_windows) == ("tables/", first.name)
    night = make_plan(issuers, [make_window(days=3)] * 2, GROUPS, {tables_name: first.tables})
    assert list(night.objects) == [night.name] != [first.name]
    assert tables_name.encode() in night.objects[night.name]
    assert len(night.objects[night.name]) < len(tables_octets) / 4


def test_tables_that_have_more_than_a_night_needs_stay_and_those_that_lack_something_do_not(
    issuers: tuple[Issuer, ...],
) -> None:
    first = plan_of(issuers)
    (tables_name, _) = first.objects
    windows = [make_window()] * 2
    fewer = make_plan(
        issuers, windows, GROUPS[5:14], {"tables/other": plan_of(issuers[::-1]).tables, tables_name: first.tables}
    )
    assert list(fewer.objects) == [fewer.name]
    assert fewer.tables.lasting == first.tables.lasting
    for group, number in fewer.runs.items():
        run, before = fewer.tables.runs[number], first.tables.runs[first.runs[group]]
        assert (run.issuer, run.shape) == (before.issuer, before.shape)
    shapes = [run.shape for run in fewer.tables.runs]
    assert shapes == sorted(shapes)
    more = make_plan(issuers, windows, [*GROUPS, Group(1, 22, 0)], {tables_name: first.tables})
    rolled = (issuers[0], replace(issuers[1], responder=issuers[0].responder))
    other = make_plan(rolled, windows, GROUPS, {tables_name: first.tables})
    for plan in (more, other):
        assert len(plan.objects) == 2
        check_known_answers(plan.name, plan.tables)


def test_no_two_documents_have_one_name(issuers: tuple[Issuer, ...]) -> None:
    first, again = plan_of(issuers), plan_of(issuers)
    assert not first.objects.keys() & again.objects.keys()
    assert first.tables == again.tables


def test_a_known_answer_confuses_no_two_times_no_reason_and_no_width_of_integers(issuers: tuple[Issuer, ...]) -> None:
    shapes = json.loads(encode_tables(plan_of(issuers).tables))["shapes"]
    for shape in shapes:
        answer = shape["known_answer"]
        times = [answer[field] for field in ("produced_at", "this_update", "next_update")]
        record, at = b64decode(answer["record"]), shape["serial_bytes"]
        if "revoked_at" in shape["fields"]:
            times.append(int.from_bytes(record[at : at + 4], "little"))
            assert times[-1] >= 1 << 31
        if "reason" in shape["fields"]:
            assert record[at + 4] not in {0, 1}
        digits = [generalized_time(time) for time in times]
        assert len({part for one in digits for part in (one[:8], one[8:])}) == 2 * len(times)
        assert max(times) >= 1 << 32
        issuer = issuers[answer["issuer"]].issuer_id
        assert int(answer["key"], 16) == xxhash.xxh64_intdigest(record[:at], issuer)


@pytest.mark.parametrize("damage", ["key", "reason", "produced_at", "this_update", "next_update", "record"])
def test_a_known_answer_notices_each_of_its_parts(issuers: tuple[Issuer, ...], damage: str) -> None:
    tables = plan_of(issuers).tables
    index = next(i for i, shape in enumerate(tables.shapes) if "reason" in shape.fields)
    shape = tables.shapes[index]
    answer = shape.known_answer
    if damage == "key":
        changed = replace(answer, key=(answer.key or 0) ^ 1)
    elif damage in {"record", "reason"}:
        at = shape.serial_bytes + (4 if damage == "reason" else 0)
        changed = replace(answer, record=answer.record[:at] + bytes([answer.record[at] ^ 1]) + answer.record[at + 1 :])
    else:
        later = getattr(answer.window, damage) + 1
        changed = replace(answer, window=replace(answer.window, **{damage: later}))
    shapes = tuple(replace(one, known_answer=changed) if one is shape else one for one in tables.shapes)
    with pytest.raises(KnownAnswerError):
        check_known_answers("tables/test", replace(tables, shapes=shapes))


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
