"""Columns that are missing or of a type that cannot be read: refused before the first row, with what to do."""

import decimal
from typing import Literal, get_args

import pyarrow as pa
import pytest

from pregen.config import ColumnConfig
from pregen.errors import Finding
from tests.pregen.snapshot.desk import Desk, table

TEXTS = pa.array(["1", "2", "3"])
Encoding = Literal["binary", "unsigned-binary", "hex", "decimal"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)


def refused(desk: Desk, data: pa.Table, columns: dict[str, str | ColumnConfig] | None = None) -> Finding:
    [finding] = desk.refusal(desk.write("s.parquet", data), columns).findings
    assert "s.parquet" in finding.message
    return finding


def test_a_missing_serial_column_is_refused_with_what_is_there(desk: Desk) -> None:
    finding = refused(desk, table(serial=None))

    assert finding.code == "column.missing"
    assert "'serial'" in finding.message
    assert "'status', 'revoked_at'" in finding.message


def test_a_column_that_the_configuration_names_must_be_there(desk: Desk) -> None:
    finding = refused(desk, table(), {"reason": "REASON"})

    assert finding.code == "column.missing"
    assert "'REASON'" in finding.message


def test_several_issuers_need_an_issuer_column(desk: Desk) -> None:
    desk.issuers = {"a": 0, "b": 1}

    finding = refused(desk, table())

    assert finding.code == "column.missing"
    assert "2 issuers are configured" in finding.message


def test_without_status_there_must_be_a_time_of_revocation(desk: Desk) -> None:
    finding = refused(desk, table(status=None, revoked_at=None))

    assert finding.code == "column.missing"
    assert "'revoked_at'" in finding.message


def test_a_column_that_is_there_twice_is_refused(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    path.write_text("serial,status,serial\n1,good,2\n")

    codes = {finding.code for finding in desk.refusal(path, {"serial": ColumnConfig(encoding="hex")}).findings}

    assert codes == {"column.duplicate", "as-of.missing"}


@pytest.mark.parametrize("column", ["revoked_at", "not_before", "not_after"])
def test_a_time_without_a_zone_is_refused_with_the_way_to_fix_it(desk: Desk, column: str) -> None:
    finding = refused(desk, table(3, **{column: pa.nulls(3, pa.timestamp("ms"))}))

    assert finding.code == "column.naive"
    assert f"'{column}'" in finding.message
    assert "convert it to UTC in the export" in finding.message


@pytest.mark.parametrize("kind", [pa.date32(), pa.int64(), pa.float64(), pa.time32("ms"), pa.binary()])
def test_a_time_of_another_type_is_refused(desk: Desk, kind: pa.DataType) -> None:
    finding = refused(desk, table(not_after=pa.array([None] * 3, kind)))

    assert finding.code == "column.type"
    assert f"is {'double' if kind == pa.float64() else kind}:" in finding.message


@pytest.mark.parametrize("column", ["issuer", "status", "reason"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.binary(), pa.bool_()])
def test_codes_of_another_type_are_refused(desk: Desk, column: str, kind: pa.DataType) -> None:
    finding = refused(desk, table(3, **{column: pa.array([None] * 3, kind)}))

    assert finding.code == "column.type"
    assert f"'{column}' is {kind}" in finding.message


@pytest.mark.parametrize(
    ("column", "fitting"),
    [
        (TEXTS, {"hex", "decimal"}),
        (TEXTS.cast(pa.large_string()), {"hex", "decimal"}),
        (TEXTS.dictionary_encode(), {"hex", "decimal"}),
        (TEXTS.cast(pa.binary()), {"binary", "unsigned-binary"}),
        (TEXTS.cast(pa.large_binary()), {"binary", "unsigned-binary"}),
        (pa.array([b"1", b"2", b"3"], pa.binary(1)), {"binary", "unsigned-binary"}),
        (pa.array([1, 2, 3]), {"decimal"}),
        (pa.array([decimal.Decimal(1)] * 3, pa.decimal128(9, 0)), {"decimal"}),
        (pa.array([1.0, 2.0, 3.0]), set()),
        (pa.array([decimal.Decimal("1.0")] * 3, pa.decimal128(9, 1)), set()),
    ],
)
def test_a_serial_that_its_encoding_cannot_read_is_refused_with_the_one_that_can(
    desk: Desk, column: "pa.Array[pa.Scalar[pa.DataType]]", fitting: set[str]
) -> None:
    data = table(serial=column)
    for encoding in ENCODINGS:
        columns: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding=encoding)}
        if encoding in fitting:
            _, [batch] = desk.read(data, columns)
            assert len(batch) == 3
        else:
            finding = refused(desk, data, columns)
            assert finding.code == "column.type"
            assert f"'serial' is {column.type}" in finding.message
            assert {name for name in ENCODINGS if f'"{name}"' in finding.message.partition("to ")[2]} == fitting


def test_views_and_dictionaries_are_read_as_what_they_stand_for(desk: Desk) -> None:
    data = table(
        2,
        serial=pa.array([b"\1", b"\2"], pa.binary_view()),
        status=pa.array(["good", "revoked"], pa.string_view()),
        revoked_at=pa.array(["", "1970-01-01T00:00:07Z"]).dictionary_encode(),
        reason=pa.array([None, "superseded"], pa.dictionary(pa.int8(), pa.string())),
        issuer=pa.array(["demo-r1", "demo-r1"], pa.dictionary(pa.int16(), pa.large_string())),
    )
    for name in ("s.parquet", "s.arrow", "s.ipc"):
        snapshot, [batch] = desk.read(data, name=name)
        assert snapshot.findings() == ()
        assert batch.serial.to_pylist() == [b"\1", b"\2"]
        assert batch.status.tolist() == [0, 1]
        assert batch.revoked_at.tolist() == [0, 7]
        assert batch.reason.tolist() == [-1, 4]
        assert batch.issuer.tolist() == [3, 3]


def test_a_column_of_nulls_without_a_type_counts_as_empty(desk: Desk) -> None:
    data = table(2, reason=pa.nulls(2), not_after=pa.nulls(2), revoked_at=pa.nulls(2))
    for name in ("s.parquet", "s.arrow"):
        snapshot, [batch] = desk.read(data, name=name)
        assert snapshot.findings() == ()
        assert batch.reason.tolist() == [-1, -1]
        assert batch.not_after.tolist() == [2**62, 2**62]


def test_one_file_column_may_serve_two_purposes(desk: Desk) -> None:
    data = table(2, status=None, revoked_at=None, gone=pa.array([None, 7000], pa.timestamp("ms", "UTC")))
    columns: dict[str, str | ColumnConfig] = {"revoked_at": "gone", "not_after": "gone"}
    for name in ("s.parquet", "s.arrow"):
        _, [batch] = desk.read(data, columns, name)
        assert batch.not_after.tolist() == [2**62, 7]
        assert batch.revoked_at.tolist() == [0, 7]
