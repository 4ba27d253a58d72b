"""`pregen delta`: rows that have changed land on top of what is published; what they must not take back stays."""

from datetime import timedelta

import pyarrow as pa
import pytest
from pyarrow import csv

from pregen.config import load_config
from pregen.gates.author import Author
from pregen.generation import RunOptions
from pregen.urgent import ChangeOptions, apply_delta
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Outcome, Program, instants, octets

HOUR = timedelta(hours=1)


@pytest.fixture
def ca(ca: Ca, pregen: Program) -> Ca:
    """A CA that has published what it has issued, an hour ago."""
    ca.export(as_of=ca.now - HOUR)
    assert pregen("run", ca.config).code == 0
    return ca


def delta(ca: Ca, pregen: Program, rows: dict[int, tuple[int, int | None]], *words: object) -> Outcome:
    """Publish rows, by serial: status, and reason."""
    revoked_at = [ca.now - 2 * HOUR if status == 1 else None for status, _ in rows.values()]
    ca.export(
        to="delta.parquet",
        serial=octets(*rows),
        status=pa.array([status for status, _ in rows.values()], pa.uint8()),
        revoked_at=instants(*revoked_at),
        reason=pa.array([reason for _, reason in rows.values()], pa.int8()),
    )
    return pregen("delta", ca.config, ca.folder / "delta.parquet", *words, "--json")


def status(ca: Ca, pregen: Program, serial: int) -> str:
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
    return str(found.document["status"]) if found.code == 0 else "unauthorized"


def test_new_and_changed_rows_land_and_the_others_change_nothing(ca: Ca, pregen: Program) -> None:
    done = delta(ca, pregen, {ABSENT: (0, None), GOOD: (1, 4), UNKNOWN: (2, None)})

    assert done.code == 0, done.err
    document = done.document
    counts = {name: document[name] for name in ("rows_in", "changed", "unchanged", "new", "revoked", "left_out")}
    assert counts == {"rows_in": 3, "changed": 2, "unchanged": 1, "new": 1, "revoked": 1, "left_out": 0}
    assert [status(ca, pregen, one) for one in (ABSENT, GOOD, UNKNOWN, REVOKED)] == [
        "good",
        "revoked",
        "unknown",
        "revoked",
    ]
    assert pregen("verify", ca.store).code == 0
    ca.assert_clean()
    before = ca.stored()
    again = delta(ca, pregen, {ABSENT: (0, None), GOOD: (1, 4), UNKNOWN: (2, None)})
    assert (again.code, again.document["changed"]) == (0, 0)
    assert ca.stored() == before


def test_a_delta_is_read_in_any_form_that_a_run_takes(ca: Ca, pregen: Program) -> None:
    table = pa.table({"serial": ["77"], "status": ["good"]})
    csv.write_csv(table, ca.folder / "new.csv")
    ca.configure(snapshot={"path": "snapshot.parquet", "columns": {"serial": {"name": "serial", "encoding": "hex"}}})
    done = pregen("delta", ca.config, ca.folder / "new.csv", "--as-of", ca.now.isoformat(), "--json")

    assert done.code == 0, done.err
    assert done.document["new"] == 1
    assert status(ca, pregen, ABSENT) == "good"


def test_what_is_finally_revoked_is_taken_back_by_name_alone(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    refused = delta(ca, pregen, {REVOKED: (0, None), ABSENT: (0, None)})

    assert refused.code == 3
    assert "error revocation.undone" in refused.err
    assert ca.stored() == before
    ca.configure(gates={"unrevoke": 10})
    assert delta(ca, pregen, {REVOKED: (0, None), ABSENT: (0, None)}).code == 3
    accepted = delta(
        ca, pregen, {REVOKED: (0, None), ABSENT: (0, None)}, "--accept", "unrevoke", "--reason", "a mistake"
    )
    assert accepted.code == 0, accepted.err
    assert "accepted by" in accepted.err
    assert [status(ca, pregen, one) for one in (REVOKED, ABSENT)] == ["good", "good"]
    shown = pregen("inspect", ca.store, "--json")
    assert "a mistake" in shown.out


def test_rows_that_an_urgent_change_is_ahead_of_are_left_out_and_the_rest_lands(ca: Ca, pregen: Program) -> None:
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 0
    done = delta(ca, pregen, {GOOD: (0, None), ABSENT: (0, None)})

    assert done.code == 0, done.err
    assert "warning overlay.ahead" in done.err
    assert (done.document["left_out"], done.document["changed"]) == (1, 1)
    assert [status(ca, pregen, one) for one in (GOOD, ABSENT)] == ["revoked", "good"]
    freed = delta(ca, pregen, {GOOD: (0, None)}, "--accept", "unrevoke", "--reason", "the wrong one")
    assert freed.code == 0, freed.err
    assert freed.document["left_out"] == 0
    assert status(ca, pregen, GOOD) == "good"


def test_a_hold_stays_until_its_release_and_a_delta_makes_it_final(ca: Ca, pregen: Program) -> None:
    ca.configure(validity={"profile": "lab"})
    assert pregen("hold", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 0
    done = delta(ca, pregen, {GOOD: (0, None)})
    assert (done.code, done.document["left_out"], done.document["changed"]) == (0, 1, 0)
    assert "pregen release" in done.err
    assert status(ca, pregen, GOOD) == "revoked"

    assert delta(ca, pregen, {GOOD: (1, 1)}).code == 0
    assert pregen("release", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 3


def test_an_older_delta_brings_what_is_new_and_final_revocations_and_nothing_else(ca: Ca, pregen: Program) -> None:
    ca.export(
        as_of=ca.now - 2 * HOUR,
        to="old.parquet",
        serial=octets(ABSENT, GOOD, UNKNOWN),
        status=pa.array([0, 1, 0], pa.uint8()),
        revoked_at=instants(None, ca.now - 3 * HOUR, None),
        reason=pa.array([None, 3, None], pa.int8()),
    )
    done = pregen("delta", ca.config, ca.folder / "old.parquet", "--json")

    assert done.code == 0, done.err
    assert [status(ca, pregen, one) for one in (ABSENT, GOOD, UNKNOWN)] == ["good", "revoked", "unknown"]


def test_a_delta_of_a_day_later_does_not_make_the_next_snapshot_too_old(ca: Ca, pregen: Program) -> None:
    assert delta(ca, pregen, {GOOD: (1, 4)}).code == 0
    ca.export(as_of=ca.now - HOUR / 2)
    checked = pregen("check", ca.config)

    assert "older than that of the current commit" not in checked.err


@pytest.mark.parametrize(("status_code", "code"), [(7, "row.status.unknown"), (1, "row.revoked.no-time")])
def test_rows_that_cannot_be_published_refuse_the_delta(ca: Ca, pregen: Program, status_code: int, code: str) -> None:
    before = ca.stored()
    ca.export(
        to="bad.parquet",
        serial=octets(ABSENT, GOOD),
        status=pa.array([status_code, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
    )
    refused = pregen("delta", ca.config, ca.folder / "bad.parquet")

    assert refused.code == 3
    assert code in refused.err
    assert ca.stored() == before
    ca.assert_clean()


def test_rows_that_contradict_each_other_refuse_the_delta(ca: Ca, pregen: Program) -> None:
    ca.export(
        to="bad.parquet",
        serial=octets(GOOD, GOOD),
        status=pa.array([0, 1], pa.uint8()),
        revoked_at=instants(None, ca.now - HOUR),
        reason=pa.array([None, 1], pa.int8()),
    )
    refused = pregen("delta", ca.config, ca.folder / "bad.parquet")

    assert refused.code == 3
    assert "row.conflict" in refused.err


def test_answers_that_end_before_the_next_run_are_refused(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    ca.configure(refresh={"every": "5d"}, validity={"lifetime": "4d"})
    refused = delta(ca, pregen, {ABSENT: (0, None)})

    assert refused.code == 3
    assert "window.before-next-run" in refused.err
    assert ca.stored() == before
    revoked = pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}")
    assert revoked.code == 0
    assert "warning window.before-next-run" in revoked.err


def test_times_that_are_still_to_come_refuse_the_delta(ca: Ca, pregen: Program) -> None:
    ca.export(to="late.parquet", as_of=ca.now + HOUR)
    refused = pregen("delta", ca.config, ca.folder / "late.parquet")
    assert refused.code == 3
    assert "as-of.future" in refused.err

    ca.export(
        to="late.parquet",
        serial=octets(GOOD),
        status=pa.array([1], pa.uint8()),
        revoked_at=instants(ca.now + HOUR),
        reason=pa.array([1], pa.int8()),
    )
    assert pregen("delta", ca.config, ca.folder / "late.parquet").code == 3


def test_a_mass_of_revocations_is_warned_of(ca: Ca, pregen: Program) -> None:
    ca.configure(gates={"mass_revocation": {"share": 0.1, "count": 1}})
    done = delta(ca, pregen, {GOOD: (1, 4), UNKNOWN: (1, 4)})

    assert done.code == 0, done.err
    assert "warning revocation.mass" in done.err


def test_a_dry_run_of_a_delta_writes_nothing(ca: Ca, pregen: Program) -> None:
    before = ca.stored()
    dry = delta(ca, pregen, {GOOD: (1, 4)}, "--dry-run")

    assert dry.code == 0
    assert (dry.document["changed"], dry.document["published"], dry.document["commit"]) == (1, False, 1)
    assert ca.stored() == before


def test_an_expired_row_gets_no_answer(ca: Ca, pregen: Program) -> None:
    ca.export(
        to="delta.parquet",
        serial=octets(ABSENT, 0x99),
        status=pa.array([0, 0], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
        not_after=instants(ca.now - HOUR, ca.now + HOUR),
    )
    done = pregen("delta", ca.config, ca.folder / "delta.parquet", "--json")

    assert done.code == 0, done.err
    assert done.document["excluded"] == {"expired": 1}
    assert [status(ca, pregen, one) for one in (ABSENT, 0x99)] == ["unauthorized", "good"]


def test_rows_that_may_be_bad_are_left_out_and_counted(ca: Ca, pregen: Program) -> None:
    ca.configure(gates={"rows_invalid": 1})
    ca.export(
        to="bad.parquet",
        serial=octets(ABSENT, GOOD),
        status=pa.array([0, 7], pa.uint8()),
        revoked_at=instants(None, None),
        reason=pa.array([None, None], pa.int8()),
    )
    done = pregen("delta", ca.config, ca.folder / "bad.parquet", "--json")

    assert done.code == 0, done.err
    assert (done.document["excluded"], done.document["changed"]) == ({"invalid": 1}, 1)
    assert [status(ca, pregen, one) for one in (ABSENT, GOOD)] == ["good", "good"]


def test_a_delta_that_a_run_overtakes_looks_again_and_lands(ca: Ca, pregen: Program) -> None:
    others: list[int] = []

    def meanwhile(step: str, _done: int, _total: int) -> None:
        if step == "sign" and not others:
            ca.export()
            others.append(pregen("run", ca.config).code)

    ca.export(
        to="delta.parquet",
        serial=octets(ABSENT, GOOD),
        status=pa.array([0, 1], pa.uint8()),
        revoked_at=instants(None, ca.now - HOUR),
        reason=pa.array([None, 4], pa.int8()),
    )
    run = RunOptions(snapshot=str(ca.folder / "delta.parquet"))
    changed = apply_delta(load_config(ca.config), run, ChangeOptions(author=Author("eve")), meanwhile)

    assert others == [0]
    assert changed.landed is not None
    assert (changed.landed.head.commit.number, changed.landed.head.commit.base) == (3, 2)
    assert [status(ca, pregen, one) for one in (ABSENT, GOOD, REVOKED)] == ["good", "revoked", "revoked"]
    assert pregen("verify", ca.store).code == 0
