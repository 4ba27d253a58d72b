"""Columns that say what certificates are: `kind`, `needs_ocsp`, and what follows for the reason of revocation."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import ColumnConfig
from pregen.snapshot import CA, END_ENTITY, NO_REASON
from pregen.snapshot.exclusion import EXCLUDED_NO_OCSP
from tests.pregen.snapshot.desk import AS_OF, Desk, table

UTC_MS = pa.timestamp("ms", "UTC")
MAP = {"good": ["0"], "revoked": ["1"], "excluded": ["60"]}


def revoked_table(count: int, **changes: "pa.Array[pa.Scalar[pa.DataType]]") -> pa.Table:
    """Return rows that are all revoked at one time."""
    return table(
        count, status=pa.array([1] * count), revoked_at=pa.array([1_700_000_005_000] * count, UTC_MS), **changes
    )


def test_a_revoked_ca_without_a_reason_is_an_error_under_a_public_profile(desk: Desk) -> None:
    desk.issuers = {"public": 1, "private": 4}
    desk.public = frozenset({1})
    data = revoked_table(
        8,
        kind=pa.array(["ca", "ca", "CA", "end-entity", None, "", "ca", "ca"]),
        reason=pa.array([None, 0, 5, None, None, None, 9, None], pa.int8()),
        issuer=pa.array(["public"] * 7 + ["private"]),
    )

    snapshot, [batch] = desk.read(data)

    missing, unspecified = snapshot.findings()
    assert (missing.code, missing.severity, missing.count) == ("row.reason.missing", "error", 1)
    assert (unspecified.code, unspecified.severity, unspecified.count) == ("row.reason.unspecified", "error", 1)
    assert missing.examples == (f"{desk.folder}/s.parquet, row 1, reason, null",)
    assert unspecified.examples == (f"{desk.folder}/s.parquet, row 2, reason, 0",)
    assert "TLS Baseline Requirements, 7.3" in missing.message
    assert "export it" in missing.message
    assert batch.row.tolist() == list(range(8)), "none is left out: a revoked certificate is better off with its answer"
    assert batch.reason.tolist() == [NO_REASON, NO_REASON, 5, NO_REASON, NO_REASON, NO_REASON, 9, NO_REASON]
    assert batch.kind is not None
    assert batch.kind.tolist() == [CA, CA, CA, END_ENTITY, END_ENTITY, END_ENTITY, CA, CA]
    assert batch.reason_given is not None
    assert batch.reason_given.tolist() == [False, True, True, False, False, False, True, False]


def test_a_ca_that_is_not_revoked_needs_no_reason(desk: Desk) -> None:
    desk.public = frozenset({3})

    snapshot, [batch] = desk.read(table(2, kind=pa.array(["ca", "ca"]), status=pa.array(["good", "unknown"])))

    assert len(batch) == 2
    assert snapshot.findings() == ()


def test_every_spelling_of_a_given_reason_counts_and_a_mapped_absence_does_not(desk: Desk) -> None:
    desk.public = frozenset({3})
    reasons = ["0", "unspecified", "Unspecified", "-1", "n/a", "keyCompromise", None, ""]
    columns: dict[str, str | ColumnConfig] = {
        "reason": ColumnConfig(values={"absent": ["-1"], "unspecified": ["n/a"]}),
    }

    snapshot, [batch] = desk.read(
        revoked_table(len(reasons), kind=pa.array(["ca"] * len(reasons)), reason=pa.array(reasons)), columns
    )

    assert batch.row.tolist() == list(range(len(reasons)))
    assert batch.reason.tolist() == [NO_REASON] * 5 + [1] + [NO_REASON] * 2
    found = {finding.code: finding.count for finding in snapshot.findings()}
    assert found == {"row.reason.missing": 3, "row.reason.unspecified": 4}


def test_without_a_reason_column_every_revoked_ca_lacks_one(desk: Desk) -> None:
    desk.public = frozenset({3})

    finding = desk.findings(revoked_table(3, kind=pa.array(["ca", "end-entity", "ca"])))["row.reason.missing"]

    assert finding.count == 2
    assert "column 'reason' is null" in finding.message


def test_an_unreadable_reason_is_found_for_what_it_is_too(desk: Desk) -> None:
    desk.public = frozenset({3})

    found = desk.findings(revoked_table(1, kind=pa.array(["ca"]), reason=pa.array(["lost"])))

    assert set(found) == {"row.reason.unknown"}


def test_without_the_column_nothing_is_said_of_kinds(desk: Desk) -> None:
    desk.public = frozenset({3})

    snapshot, [batch] = desk.read(revoked_table(2))

    assert (batch.kind, batch.reason_given, snapshot.findings()) == (None, None, ())


def test_unknown_kinds_are_found_with_the_values(desk: Desk) -> None:
    finding = desk.findings(table(4, kind=pa.array(["ca", "root", "leaf", "root"])))["row.kind.unknown"]

    assert finding.count == 3
    assert "('root', 'leaf')" in finding.message
    assert "kind.values" in finding.message


def test_kinds_may_be_codes_that_are_mapped(desk: Desk) -> None:
    columns: dict[str, str | ColumnConfig] = {
        "kind": ColumnConfig(name="IS_CA", values={"ca": ["1"], "end-entity": ["0"]})
    }

    _, [batch] = desk.read(table(4, IS_CA=pa.array([0, 1, None, 1], pa.int16())), columns)

    assert batch.kind is not None
    assert batch.kind.tolist() == [END_ENTITY, CA, END_ENTITY, CA]


@pytest.mark.parametrize(
    "needs",
    [
        pa.array([True, False, None, False]),
        pa.array([1, 0, None, 0], pa.int8()),
        pa.array(["True", "FALSE", "", "0"]),
        pa.array(["true", "false", None, "false"]).dictionary_encode(),
    ],
)
@pytest.mark.parametrize("name", ["s.parquet", "s.arrow"])
def test_certificates_that_need_no_ocsp_are_excluded_and_counted(
    desk: Desk, needs: "pa.Array[pa.Scalar[pa.DataType]]", name: str
) -> None:
    snapshot, [batch] = desk.read(table(4, needs_ocsp=needs), name=name)

    assert batch.row.tolist() == [0, 2]
    assert (snapshot.rows_in, snapshot.excluded, snapshot.findings()) == (4, {EXCLUDED_NO_OCSP: 2}, ())


def test_they_may_be_in_a_csv_file(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    path.write_text("serial,status,needs_ocsp,kind\n01,good,true,ca\n02,good,false,\n03,good,,end-entity\n04,good,1,\n")

    snapshot = desk.open(path, {"serial": ColumnConfig(encoding="hex")}, as_of=AS_OF)
    [batch] = snapshot.batches()

    assert batch.row.tolist() == [0, 2, 3]
    assert batch.kind is not None
    assert batch.kind.tolist() == [CA, END_ENTITY, END_ENTITY]
    assert (snapshot.excluded, snapshot.findings()) == ({EXCLUDED_NO_OCSP: 1}, ())


def test_the_other_columns_of_a_certificate_without_ocsp_are_not_judged(desk: Desk) -> None:
    desk.public = frozenset({3})
    data = table(
        3,
        serial=pa.array([None, b"\0\1", b"\1"], pa.binary()),
        status=pa.array(["?", "revoked", "good"]),
        kind=pa.array(["?", "ca", "ca"]),
        revoked_at=pa.array([None, None, None], UTC_MS),
        not_after=pa.array(["?", "?", ""]),
        issuer=pa.array([None, "?", "demo-r1"]),
        needs_ocsp=pa.array([False, False, True]),
    )

    snapshot, [batch] = desk.read(data)

    assert batch.row.tolist() == [2]
    assert (snapshot.rows_in, snapshot.excluded, snapshot.findings()) == (3, {EXCLUDED_NO_OCSP: 2}, ())


def test_a_row_that_both_status_and_ocsp_exclude_counts_once_for_its_status(desk: Desk) -> None:
    data = table(4, status=pa.array([60, 60, 0, 0]), needs_ocsp=pa.array([False, True, False, True]))

    snapshot, [batch] = desk.read(data, {"status": ColumnConfig(values=MAP)})

    assert batch.row.tolist() == [3]
    assert snapshot.excluded == {EXCLUDED_NO_OCSP: 1, "status": 2}


def test_what_is_neither_true_nor_false_is_found_unless_the_status_excludes_the_row(desk: Desk) -> None:
    data = table(4, status=pa.array([60, 0, 0, 0]), needs_ocsp=pa.array(["?", "maybe", "yes", "N"]))
    columns: dict[str, str | ColumnConfig] = {
        "status": ColumnConfig(values=MAP),
        "needs_ocsp": ColumnConfig(values={"true": ["yes"], "false": ["N"]}),
    }

    snapshot, [batch] = desk.read(data, columns)

    assert batch.row.tolist() == [2]
    assert snapshot.excluded == {EXCLUDED_NO_OCSP: 1, "status": 1}
    [finding] = snapshot.findings()
    assert (finding.code, finding.severity, finding.count) == ("row.needs-ocsp.unknown", "error", 1)
    assert "('maybe')" in finding.message
    assert "needs_ocsp.values" in finding.message


@pytest.mark.parametrize("name", ["kind", "needs_ocsp"])
@pytest.mark.parametrize(
    "column",
    [
        pa.array([["ca"]] * 3),
        pa.array([{"a": True}] * 3),
        pa.array([1.0] * 3),
        pa.array([b"\1"] * 3, pa.binary(1)),
        pa.array([0] * 3, pa.timestamp("s", "UTC")),
    ],
)
def test_columns_of_another_type_are_refused(desk: Desk, name: str, column: "pa.Array[pa.Scalar[pa.DataType]]") -> None:
    [finding] = desk.refusal(desk.write("s.parquet", table(3, **{name: column}))).findings

    assert finding.code == "column.type"
    assert f"column {name!r} is" in finding.message
    assert "export" in finding.message


rows = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 60, 7]),
        st.sampled_from(["true", "false", None, "?"]),
        st.sampled_from(["ca", None, "?"]),
    ),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_every_row_is_kept_excluded_or_found(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str | None, str | None]]
) -> None:
    desk = Desk(tmp_path_factory.mktemp("rows"), public=frozenset({3}))
    status, needs, kind = (list(column) for column in zip(*rows, strict=True))
    count = len(rows)
    data = table(
        count,
        status=pa.array(status),
        revoked_at=pa.array([1_700_000_005_000 if one == 1 else None for one in status], UTC_MS),
        needs_ocsp=pa.array(needs, pa.string()),
        kind=pa.array(kind, pa.string()),
    )

    snapshot, batches = desk.read(data, {"status": ColumnConfig(values=MAP)})

    kept = [row for batch in batches for row in batch.row.tolist()]
    good = [
        row
        for row, (state, needed, what) in enumerate(rows)
        if state in {0, 1} and needed in {"true", None} and what != "?"
    ]
    by_status = sum(state == 60 for state, _, _ in rows)
    by_need = sum(state != 60 and needed == "false" for state, needed, _ in rows)
    assert kept == good
    assert snapshot.excluded.get("status", 0) == by_status
    assert snapshot.excluded.get(EXCLUDED_NO_OCSP, 0) == by_need
    assert snapshot.rows_in == count
    without_reason = any(rows[row][0] == 1 and rows[row][2] == "ca" for row in good)
    assert bool(snapshot.findings()) == (len(good) + by_status + by_need < count or without_reason)
