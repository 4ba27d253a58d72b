"""Columns that are missing or of a type that cannot be read: refused before the first row, with what to do."""

import decimal
import json
from datetime import datetime
from typing import Literal, get_args

import pyarrow as pa
import pytest

from pregen.config import ColumnConfig
from pregen.errors import Finding
from pregen.snapshot.files import ODD
from tests.pregen.snapshot.desk import AS_OF, Desk, table

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


@pytest.mark.parametrize("kind", [pa.date32(), pa.int64(), pa.float64(), pa.time32("ms"), pa.binary(4)])
def test_a_time_of_another_type_is_refused(desk: Desk, kind: pa.DataType) -> None:
    finding = refused(desk, table(not_after=pa.array([None] * 3, kind)))

    assert finding.code == "column.type"
    assert f"is {'double' if kind == pa.float64() else kind}:" in finding.message


def test_a_time_without_a_zone_is_read_once_its_zone_is_declared(desk: Desk) -> None:
    local = pa.array([None, datetime(2026, 7, 1), datetime(2026, 11, 1, 1, 30)], pa.timestamp("ms"))  # noqa: DTZ001 that is it
    data = table(3, not_after=local)

    snapshot, [batch] = desk.read(data, {"not_after": ColumnConfig(zone="America/Denver", ambiguous="latest")})
    finding = desk.findings(data, {"not_after": ColumnConfig(zone="America/Denver")})["row.time.ambiguous"]

    assert snapshot.findings() == ()
    assert batch.not_after.tolist() == [2**62, 1_782_885_600, 1_793_521_800]
    assert finding.count == 1
    assert finding.examples[0].endswith("row 3, not_after, 2026-11-01T01:30:00.000")  # without Z: it is no instant
    assert 'ambiguous = "earliest" or "latest"' in finding.message


def test_a_time_that_no_clock_showed_is_found_with_the_way_to_declare_it(desk: Desk) -> None:
    data = table(1, not_before=pa.array(["2026-03-08T02:30:00"]))

    finding = desk.findings(data, {"not_before": ColumnConfig(zone="America/Denver")})["row.time.nonexistent"]

    assert "'2026-03-08T02:30:00'" in finding.examples[0]
    assert '"shift-forward"' in finding.message
    assert '"shift-backward"' in finding.message


@pytest.mark.parametrize(("canonical", "time"), [("not_after", "23:59:59"), ("not_before", "00:00:00")])
def test_no_certificate_expires_at_the_begin_of_its_last_day_by_our_advice(
    desk: Desk, canonical: str, time: str
) -> None:
    dates = pa.array([20_000] * 3, pa.int32()).cast(pa.date32())
    finding = refused(desk, table(3, **{canonical: dates}), {canonical: canonical})

    assert f'time_of_day = "{time}"' in finding.message
    assert "if that is what the database means" in finding.message


COUNTS = pa.array([1, 2, 3])


@pytest.mark.parametrize(
    ("column", "config", "code", "advice"),
    [
        (COUNTS, ColumnConfig(), "column.type", "not guessed; set, in [snapshot.columns], not_after = "),
        (COUNTS, ColumnConfig(zone="UTC"), "column.type", "to one of epoch-s, epoch-ms, epoch-us, epoch-ns"),
        (COUNTS, ColumnConfig(encoding="iso8601"), "column.type", '"iso8601" cannot read that; set'),
        (COUNTS, ColumnConfig(encoding="epoch-s", zone="America/Denver"), "column.zone", "is UTC by definition"),
        (TEXTS, ColumnConfig(encoding="asn1", zone="UTC"), "column.zone", "is UTC by definition"),
        (TEXTS, ColumnConfig(encoding="epoch-ms", zone="UTC"), "column.zone", "is UTC by definition"),
        (TEXTS, ColumnConfig(encoding="timestamp"), "column.type", "to one of date, iso8601, epoch-s"),
        (
            TEXTS,
            ColumnConfig(encoding="date", zone="UTC"),
            "column.type",
            "declare, in [snapshot.columns], time_of_day",
        ),
        (TEXTS, ColumnConfig(time_of_day="00:00:00"), "column.type", "time_of_day completes dates"),
        (COUNTS.cast(pa.timestamp("s", "UTC")), ColumnConfig(zone="UTC"), "column.zone", "are instants already"),
        (COUNTS.cast(pa.timestamp("s", "UTC")), ColumnConfig(encoding="epoch-s"), "column.type", "one of timestamp"),
        (COUNTS.cast(pa.timestamp("s")), ColumnConfig(), "column.naive", 'zone = "<IANA zone, such as Europe/Berlin>"'),
        (COUNTS.cast(pa.timestamp("s")), ColumnConfig(encoding="timestamp"), "column.naive", "hours off"),
        (
            COUNTS.cast(pa.timestamp("s")),
            ColumnConfig(time_of_day="00:00:00", zone="UTC"),
            "column.type",
            "leave it out",
        ),
        (
            COUNTS.cast(pa.int32()).cast(pa.date32()),
            ColumnConfig(),
            "column.type",
            "declare, in [snapshot.columns], time_of_day and zone",
        ),
        (
            COUNTS.cast(pa.int32()).cast(pa.date32()),
            ColumnConfig(zone="UTC"),
            "column.type",
            "columns], time_of_day, as in",
        ),
        (
            COUNTS.cast(pa.int32()).cast(pa.date32()),
            ColumnConfig(time_of_day="00:00:00"),
            "column.type",
            "columns], zone, as in",
        ),
        (COUNTS.cast(pa.float64()), ColumnConfig(encoding="epoch-s"), "column.type", "as whole seconds since 1970"),
    ],
)
def test_a_time_that_is_declared_too_little_or_too_much_is_refused(
    desk: Desk, column: "pa.Array[pa.Scalar[pa.DataType]]", config: ColumnConfig, code: str, advice: str
) -> None:
    finding = refused(desk, table(3, not_after=column), {"not_after": config})

    assert finding.code == code
    assert "'not_after'" in finding.message
    assert advice in finding.message


@pytest.mark.parametrize(
    ("column", "config", "first"),
    [
        (COUNTS, ColumnConfig(encoding="epoch-s"), 1),
        (COUNTS.cast(pa.uint16()), ColumnConfig(encoding="epoch-ms"), 0),
        (TEXTS, ColumnConfig(encoding="epoch-s"), 1),
        (TEXTS.dictionary_encode(), ColumnConfig(encoding="epoch-s"), 1),
        (COUNTS.cast(pa.timestamp("us")), ColumnConfig(zone="Asia/Tokyo"), -9 * 3_600),
        (COUNTS.cast(pa.timestamp("us", "UTC")), ColumnConfig(encoding="timestamp"), 0),
        (COUNTS.cast(pa.int32()).cast(pa.date32()), ColumnConfig(zone="UTC", time_of_day="00:00:07"), 86_407),
        (pa.array(["19700101000005Z"] * 3), ColumnConfig(encoding="asn1"), 5),
        (pa.array(["700101000005Z"] * 3), ColumnConfig(encoding="utctime"), 5),
        (pa.array(["1970-01-01"] * 3), ColumnConfig(encoding="date", zone="Asia/Tokyo", time_of_day="09:00:00"), 0),
        (pa.array(["1970-01-01T00:00:05"] * 3, pa.string_view()), ColumnConfig(encoding="iso8601", zone="UTC"), 5),
    ],
)
def test_times_are_read_as_they_are_declared(
    desk: Desk, column: "pa.Array[pa.Scalar[pa.DataType]]", config: ColumnConfig, first: int
) -> None:
    for name in ("s.parquet", "s.arrow"):
        snapshot, [batch] = desk.read(table(3, not_before=column), {"not_before": config}, name)
        assert snapshot.findings() == ()
        assert batch.not_before[0] == first


def test_every_kind_of_text_is_read_from_csv(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    path.write_text("serial,status,not_before,not_after,revoked_at\n11,revoked,2026-01-01,1800000000,260201000000Z\n")
    columns: dict[str, str | ColumnConfig] = {
        "serial": ColumnConfig(encoding="hex"),
        "not_before": ColumnConfig(encoding="date", zone="UTC", time_of_day="00:00:00"),
        "not_after": ColumnConfig(encoding="epoch-s"),
        "revoked_at": ColumnConfig(encoding="utctime"),
    }

    [batch] = desk.open(path, columns, as_of=AS_OF).batches()

    assert batch.not_before.tolist() == [1_767_225_600]
    assert batch.not_after.tolist() == [1_800_000_000]
    assert batch.revoked_at.tolist() == [1_769_904_000]


@pytest.mark.parametrize(("day", "shown"), [(2**31 - 2, "5881580-07-10"), (2_932_897, "10000-01-01")])
def test_a_date_beyond_what_people_write_is_shown_all_the_same(desk: Desk, day: int, shown: str) -> None:
    data = table(1, not_after=pa.array([day], pa.int32()).cast(pa.date32()))

    finding = desk.findings(data, {"not_after": ColumnConfig(zone="UTC", time_of_day="00:00:00")})[
        "row.time.out-of-range"
    ]

    assert finding.examples[0].endswith(shown)


@pytest.mark.parametrize("column", ["issuer", "status", "reason"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.binary(4), pa.bool_()])
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
        (TEXTS.cast(pa.binary()), set(ENCODINGS)),
        (TEXTS.cast(pa.large_binary()), set(ENCODINGS)),
        (pa.array([b"1", b"2", b"3"], pa.binary(1)), set(ENCODINGS)),
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
        revoked_at=pa.array(["", "2026-01-01T00:00:07Z"]).dictionary_encode(),
        reason=pa.array([None, "superseded"], pa.dictionary(pa.int8(), pa.string())),
        issuer=pa.array(["demo-r1", "demo-r1"], pa.dictionary(pa.int16(), pa.large_string())),
    )
    for name in ("s.parquet", "s.arrow", "s.ipc"):
        snapshot, [batch] = desk.read(data, name=name)
        assert snapshot.findings() == ()
        assert batch.serial.to_pylist() == [b"\1", b"\2"]
        assert batch.status.tolist() == [0, 1]
        assert batch.revoked_at.tolist() == [0, 1_767_225_607]
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


@pytest.mark.parametrize("name", ["STATUS", " status", "Status ", "sta tus", "sta\0tus"])
def test_a_status_under_nearly_its_name_is_not_passed_over(desk: Desk, name: str) -> None:
    """Else a certificate that is revoked, without a time, would be answered as good."""
    statuses = pa.array([0, 1, 2])
    data = table(status=None).append_column(name, statuses)

    finding = refused(desk, data)

    assert (finding.code, finding.severity) == ("column.similar", "error")
    assert f"column {name!r} is not read, although it looks like 'status'" in finding.message
    assert f"status = {json.dumps(name)}" in finding.message
    snapshot = desk.open(desk.write("s.parquet", data.drop_columns("revoked_at")), {"status": name}, as_of=AS_OF)
    assert [one.status.tolist() for one in snapshot.batches()] == [[0, 2]]


def test_other_columns_under_nearly_their_names_are_worth_one_warning_for_all_files(desk: Desk) -> None:
    for file in "abc":
        desk.write(f"day/{file}.parquet", table(notAfter=pa.array(["x"] * 3), Issuer=pa.array(["CN=R1"] * 3)))

    snapshot = desk.open(desk.folder / "day")

    found = {finding.message.partition("'")[2].partition("'")[0]: finding for finding in snapshot.findings()}
    assert set(found) == {"notAfter", "Issuer"}
    for finding in found.values():
        assert (finding.code, finding.severity, finding.count) == ("column.similar", "warning", 3)
        assert finding.examples == tuple(f"{desk.folder}/day/{file}.parquet" for file in "abc")


def test_a_name_like_another_is_no_matter_where_both_are_there_or_the_one_is_mapped(desk: Desk) -> None:
    data = table(STATUS=pa.array([7, 7, 7]), Serial=pa.array(["x"] * 3), NOT_AFTER=pa.array(["x"] * 3))
    data = data.append_column("expiry", pa.nulls(3, pa.timestamp("ms", "UTC")))

    assert desk.findings(data, {"not_after": "expiry"}) == {}
    assert desk.findings(table(ISSUER=pa.array(["demo-r1"] * 3)), {"issuer": "ISSUER"}) == {}


def test_a_column_may_have_the_name_that_odd_lines_have_elsewhere(desk: Desk) -> None:
    _, [batch] = desk.read(table().append_column(ODD, pa.array(["demo-r1"] * 3)), {"issuer": ODD})

    assert batch.issuer.tolist() == [3, 3, 3]


def test_a_null_among_the_values_of_a_dictionary_is_shown_as_null(desk: Desk) -> None:
    issuers = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["demo-r1", None]))

    finding = desk.findings(table(issuer=issuers), name="s.arrow")["row.issuer.null"]

    assert finding.examples == (f"{desk.folder}/s.arrow, row 2, issuer, null",)
