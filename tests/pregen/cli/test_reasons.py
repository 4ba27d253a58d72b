"""Rows that say why a certificate was revoked, in files without a status."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pregen.cli.ca import Ca, Column, Program, instants, octets


def export_reasons(ca: Ca, reasons: Column, to: str = "snapshot.parquet") -> None:
    """Write three rows without a status, of which the second one has a time of revocation."""
    times = instants(None, ca.now - timedelta(hours=1), None)
    ca.export(to=to, serial=octets(5, 6, 7), status=None, revoked_at=times, reason=reasons)


@pytest.mark.parametrize(
    "reasons",
    [pa.array([1, None, None]), pa.array(["keyCompromise", "superseded", ""]), pa.array([6, 4, 0], pa.int8())],
)
def test_a_reason_without_a_time_is_an_error_where_no_status_says_more(
    ca: Ca, pregen: Program, reasons: Column
) -> None:
    export_reasons(ca, reasons)

    ended = pregen("run", ca.config, "--json")
    imported = pregen("import", ca.config, "--out", ca.folder / "out")

    assert ended.code == imported.code == 3
    for err in (ended.err, imported.err):
        assert "error row.revoked.no-time: column 'revoked_at' is null" in err
        assert "snapshot.parquet, row 1, revoked_at, null" in err
        assert "row 3" not in err
    assert ca.published() == {}


def test_the_status_of_one_file_does_not_speak_for_another(ca: Ca, pregen: Program) -> None:
    (ca.folder / "day").mkdir()
    ca.export(to="day/a.parquet")
    export_reasons(ca, pa.array([1, 4, None]), "day/b.parquet")

    ended = pregen("run", ca.config, "--snapshot", ca.folder / "day")

    assert ended.code == 3
    assert "error column.differs: " in ended.err
    assert "there is no column 'status'" in ended.err


def test_a_row_that_is_left_out_and_gives_a_reason_contradicts_a_good_one(ca: Ca, pregen: Program) -> None:
    ca.export(
        serial=octets(5, 5, 7),
        status=None,
        revoked_at=instants(None, None, None),
        reason=pa.array([None, 1, None]),
        needs_ocsp=pa.array([True, False, True]),
    )

    ended = pregen("run", ca.config)

    assert ended.code == 3
    assert "error row.conflict: " in ended.err


@pytest.mark.parametrize(
    "reasons", [pa.array([0, 1, 0]), pa.array(["unspecified", "1", "none"]), pa.array([8, 1, None])]
)
def test_what_is_no_reason_makes_no_row_a_revoked_one(ca: Ca, pregen: Program, reasons: Column) -> None:
    export_reasons(ca, reasons)

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial=5", "--json")
    assert found.document["status"] == "good"


def test_a_value_that_good_rows_have_can_be_mapped_to_no_reason(ca: Ca, pregen: Program) -> None:
    ca.configure(snapshot={"columns": {"reason": {"values": {"absent": ["5"]}}}})
    export_reasons(ca, pa.array([5, 1, 5]))

    assert pregen("run", ca.config).code == 0
