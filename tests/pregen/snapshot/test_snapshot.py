"""Whole snapshots: files in, status batches and findings out."""

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import (
    LISTED_KEY,
    NO_EXPIRY,
    NO_REASON,
    OWN_ZONE,
    ZONES_KEY,
    Reading,
    RowStatus,
    Snapshot,
    open_snapshot,
)
from pregen.snapshot.choosing import MAX_FILES
from pregen.snapshot.intake import MOST_UNPLACED
from tests.pki import DAY
from tests.pregen.snapshot.desk import AS_OF, NOW, Desk, table

GOOD, REVOKED, UNKNOWN = RowStatus

AS_OF_S = 1_795_478_400
UTC_MS = pa.timestamp("ms", "UTC")
FORMATS = ("s.parquet", "s.arrow", "s.ipc")


def times(*seconds: int | None) -> "pa.Array[pa.Scalar[pa.DataType]]":
    return pa.array([None if second is None else second * 1000 for second in seconds], UTC_MS)


@pytest.mark.parametrize("name", FORMATS)
def test_every_column_arrives(desk: Desk, name: str) -> None:
    data = table(
        4,
        issuer=pa.array(["b", "a", "b", "b"]),
        status=pa.array([0, 1, 2, 1], pa.int16()),
        revoked_at=times(None, AS_OF_S - 9, None, AS_OF_S),
        reason=pa.array([None, 4, None, 0], pa.int8()),
        not_before=times(1, 1, 1, 1),
        not_after=times(None, AS_OF_S - 5, AS_OF_S - 6, 253_402_300_799),
        other=pa.array([1, 2, 3, 4]),
    )
    desk.issuers = {"a": 7, "b": 9}

    snapshot, [batch] = desk.read(data, name=name)

    assert batch.serial.to_pylist() == [b"\1\0", b"\1\1", b"\1\2", b"\1\3"]
    assert batch.serial.type == pa.binary()
    assert batch.issuer.tolist() == [9, 7, 9, 9]
    assert batch.status.tolist() == [GOOD, REVOKED, UNKNOWN, REVOKED]
    assert batch.revoked_at.tolist() == [0, AS_OF_S - 9, 0, AS_OF_S]
    assert batch.reason.tolist() == [NO_REASON, 4, NO_REASON, NO_REASON]
    assert batch.not_after.tolist() == [NO_EXPIRY, AS_OF_S - 5, AS_OF_S - 6, 253_402_300_799]
    assert batch.row.tolist() == [0, 1, 2, 3]
    assert [str(column.dtype) for column in (batch.issuer, batch.status, batch.reason)] == ["int32", "uint8", "int8"]
    assert {str(column.dtype) for column in (batch.revoked_at, batch.not_after, batch.row)} == {"int64"}
    assert (snapshot.rows_in, snapshot.excluded, snapshot.findings(), len(batch)) == (4, {}, (), 4)


def test_a_csv_file_of_texts_arrives_too(desk: Desk) -> None:
    path = desk.folder / "export.csv"
    path.write_text(
        "id,SERIAL,STATE,revoked_at,REASON,not_after\n"
        '1,"00:AB",20,,,2027-01-01T00:00:00Z\n'
        "2,-1,40,2026-11-23 23:00:00-01,keyCompromise,\n"
        "3,0x7f,60,never,,\n"
        "4,100,40,2026-11-23T00:00:00.9Z,-1,9999-12-31T23:59:59Z\n"
    )
    columns: dict[str, str | ColumnConfig] = {
        "serial": ColumnConfig(name="SERIAL", encoding="hex"),
        "status": ColumnConfig(name="STATE", values={"good": ["20"], "revoked": ["40"], "excluded": ["60"]}),
        "reason": ColumnConfig(name="REASON", values={"absent": ["-1"]}),
    }

    snapshot = desk.open(path, columns, as_of=AS_OF)
    [batch] = snapshot.batches()

    assert batch.serial.to_pylist() == [b"\0\xab", b"\xff", b"\1\0"]
    assert batch.status.tolist() == [GOOD, REVOKED, REVOKED]
    assert batch.revoked_at.tolist() == [0, AS_OF_S, AS_OF_S - 86_400]
    assert batch.reason.tolist() == [NO_REASON, 1, NO_REASON]
    assert batch.not_after.tolist() == [1_798_761_600, NO_EXPIRY, 253_402_300_799]
    assert batch.row.tolist() == [0, 1, 3]
    assert (snapshot.rows_in, snapshot.excluded, snapshot.findings()) == (4, {"status": 1}, ())


def test_without_a_status_column_revoked_is_where_a_time_is(desk: Desk) -> None:
    _, [batch] = desk.read(table(2, status=None, revoked_at=times(None, 77)))

    assert batch.status.tolist() == [GOOD, REVOKED]
    assert batch.revoked_at.tolist() == [0, 77]


def test_without_a_status_column_a_time_that_cannot_be_read_is_not_taken_for_good(desk: Desk) -> None:
    data = table(2, status=None, revoked_at=pa.array(["yesterday", ""]))

    snapshot, [batch] = desk.read(data)

    assert batch.row.tolist() == [1]
    assert [finding.code for finding in snapshot.findings()] == ["row.time.malformed"]


def test_without_an_issuer_column_all_rows_are_the_only_issuers(desk: Desk) -> None:
    desk.issuers = {"name": 5, "other label of the same": 5}

    _, [batch] = desk.read(table())

    assert batch.issuer.tolist() == [5, 5, 5]


def test_several_files_of_several_formats_are_one_snapshot(desk: Desk) -> None:
    desk.write("day/b.arrow", table(2, serial=pa.array([b"\x0b", b"\x0c"], pa.large_binary())))
    desk.write("day/a.parquet", table(3))
    desk.write("day/c.ipc", table(1, status=pa.array(["good"])))
    desk.write("day/.hidden.parquet", table(9))
    (desk.folder / "day" / "_SUCCESS").touch()

    snapshot = desk.open(desk.folder / "day")
    batches = list(snapshot.batches())

    assert [path.name for path in snapshot.files] == ["a.parquet", "b.arrow", "c.ipc"]
    assert [(batch.file, batch.row.tolist()) for batch in batches] == [(0, [0, 1, 2]), (1, [0, 1]), (2, [0])]
    assert snapshot.rows_in == 6
    assert snapshot.locate(0, 0) == f"{desk.folder}/day/a.parquet, row 1"
    assert snapshot.locate(1, 1) == f"{desk.folder}/day/b.arrow, row 2"
    assert snapshot.locate(2, 0) == f"{desk.folder}/day/c.ipc, row 1"


def test_the_configured_path_starts_at_the_configuration_and_may_be_a_glob(desk: Desk) -> None:
    for name in ("2026/x-1.parquet", "2026/x-2.parquet", "2026/y.parquet"):
        desk.write(name, table())

    snapshot = desk.open(None, config=SnapshotConfig(path="2026/x-*.parquet"))

    assert [path.name for path in snapshot.files] == ["x-1.parquet", "x-2.parquet"]


def test_the_command_line_wins_and_starts_where_the_process_stands(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("elsewhere/s.parquet", table())
    monkeypatch.chdir(desk.folder / "elsewhere")
    config = SnapshotConfig(path="nowhere", as_of=AS_OF - timedelta(days=1))

    snapshot = desk.open("s.parquet", as_of=AS_OF, config=config)

    assert snapshot.files == (desk.folder / "elsewhere" / "s.parquet",)
    assert snapshot.as_of == AS_OF


def test_a_file_with_brackets_in_its_name_is_itself(desk: Desk) -> None:
    path = desk.write("a[1].parquet", table())

    assert desk.open(path).files == (path,)


@pytest.mark.parametrize("name", FORMATS)
def test_as_of_comes_from_the_metadata(desk: Desk, name: str) -> None:
    path = desk.write(name, table(), as_of="2026-11-24T05:30:00.5+05:30")

    assert desk.open(path).as_of == AS_OF
    assert desk.open(path, config=SnapshotConfig(as_of=AS_OF - timedelta(1))).as_of == AS_OF - timedelta(1)


def test_as_of_is_required(desk: Desk) -> None:
    [finding] = desk.refusal(desk.write("s.csv", table(serial=pa.array(["1", "2", "3"]))), hexadecimal()).findings

    assert finding.code == "as-of.missing"
    assert "--as-of" in finding.message


def test_files_of_different_instants_are_refused_by_name(desk: Desk) -> None:
    desk.write("one/a.parquet", table(), as_of=None)
    desk.write("one/b.parquet", table())
    desk.write("two/b.parquet", table())
    desk.write("two/c.parquet", table(), as_of="2026-11-23T00:00:00Z")

    [differs] = desk.refusal(desk.folder / "two").findings
    assert differs.code == "as-of.differs"
    assert "b.parquet says 2026-11-24T00:00:00Z" in differs.message
    assert "c.parquet says 2026-11-23T00:00:00Z" in differs.message

    [silent] = desk.refusal(desk.folder / "one").findings
    assert silent.code == "as-of.differs"
    assert "a.parquet says nothing" in silent.message


@pytest.mark.parametrize("text", ["yesterday", "2026-11-24T00:00:00", ""])
def test_as_of_must_be_an_instant(desk: Desk, text: str) -> None:
    [finding] = desk.refusal(desk.write("s.parquet", table(), as_of=text)).findings

    assert finding.code == "as-of.malformed"
    assert "s.parquet" in finding.message


def test_as_of_may_lie_five_minutes_ahead_and_not_a_second_more(desk: Desk) -> None:
    path = desk.write("s.parquet", table())
    ahead = NOW + timedelta(minutes=5)

    assert desk.open(path, as_of=ahead).as_of == ahead
    with pytest.raises(InputError) as caught:
        desk.open(path, as_of=ahead + timedelta(seconds=1))
    assert [finding.code for finding in caught.value.findings] == ["as-of.future"]


def test_a_given_as_of_that_is_later_than_that_of_a_file_is_a_warning(desk: Desk) -> None:
    path = desk.write("s.parquet", table())
    silent = desk.write("silent.parquet", table(), as_of=None)

    (finding,) = desk.open(path, as_of=AS_OF + timedelta(seconds=1)).findings()

    assert (finding.code, finding.severity) == ("as-of.later-than-file", "warning")
    assert "is 2026-11-24T00:00:00Z, but the given one, 2026-11-24T00:00:01Z, counts" in finding.message
    assert desk.open(path, as_of=AS_OF + timedelta(microseconds=1)).findings() == ()
    assert desk.open(path, as_of=AS_OF - DAY).findings() == ()
    assert desk.open(silent, as_of=AS_OF + DAY / 4).findings() == ()


def test_bad_rows_are_left_out_and_found_in_one_pass(desk: Desk) -> None:
    data = table(
        8,
        serial=pa.array([b"\1", None, b"", b"\0\1", b"\1" * 22, b"\2", b"\3", b"\4"], pa.binary()),
        status=pa.array([1, 1, 1, 0, 0, 9, None, 0], pa.int8()),
        revoked_at=times(None, AS_OF_S + 301, -1, 2**32, None, None, None, None),
        reason=pa.array([7, 8, 1, 8, None, None, None, None], pa.int8()),
    )

    snapshot, [batch] = desk.read(data)

    assert batch.serial.to_pylist() == [b"\4"]
    assert batch.row.tolist() == [7]
    assert snapshot.rows_in == 8
    found = {finding.code: (finding.severity, finding.count) for finding in snapshot.findings()}
    assert found == {
        "row.status.unknown": ("error", 1),
        "row.status.null": ("error", 1),
        "row.revoked.no-time": ("error", 1),
        "row.revoked.after-as-of": ("error", 1),
        "row.revoked.out-of-range": ("error", 1),
        "row.revoked.ignored": ("warning", 1),
        "row.reason.unknown": ("error", 2),
        "row.serial.null": ("error", 1),
        "row.serial.empty": ("error", 1),
        "row.serial.not-minimal": ("error", 1),
        "row.serial.too-long": ("error", 1),
    }
    examples = {finding.code: finding.examples for finding in snapshot.findings()}
    place = f"{desk.folder}/s.parquet"
    assert examples["row.status.unknown"] == (f"{place}, row 6, status, 9",)
    assert examples["row.revoked.after-as-of"] == (f"{place}, row 2, revoked_at, 2026-11-24T00:05:01.000Z",)
    assert examples["row.reason.unknown"] == (f"{place}, row 1, reason, 7", f"{place}, row 2, reason, 8")
    assert examples["row.serial.not-minimal"] == (f"{place}, row 4, serial, 0001",)


def test_a_revocation_may_lie_five_minutes_after_as_of_and_not_a_second_more(desk: Desk) -> None:
    data = table(2, status=pa.array([1, 1], pa.int8()), revoked_at=times(AS_OF_S + 300, AS_OF_S + 301))

    snapshot, [batch] = desk.read(data)

    assert batch.revoked_at.tolist() == [AS_OF_S + 300]
    assert [finding.code for finding in snapshot.findings()] == ["row.revoked.after-as-of"]


def test_revoked_without_any_time_column_is_found_in_every_row(desk: Desk) -> None:
    data = table(2, status=pa.array(["revoked", "good"]), revoked_at=None)

    finding = desk.findings(data)["row.revoked.no-time"]

    assert finding.count == 1
    assert finding.examples == (f"{desk.folder}/s.parquet, row 1, revoked_at, null",)


def test_time_and_reason_of_rows_that_are_not_revoked_are_ignored_the_time_with_a_warning(desk: Desk) -> None:
    data = table(
        3,
        status=pa.array(["good", "unknown", "good"]),
        revoked_at=times(5, AS_OF_S + 9999, None),
        reason=pa.array([8, 99, 1]),
    )

    snapshot, [batch] = desk.read(data)

    assert batch.revoked_at.tolist() == [0, 0, 0]
    assert batch.reason.tolist() == [NO_REASON] * 3
    [finding] = snapshot.findings()
    assert (finding.code, finding.severity, finding.count) == ("row.revoked.ignored", "warning", 2)


def test_excluded_rows_are_counted_and_judged_no_further(desk: Desk) -> None:
    values = {"good": ["0"], "revoked": ["1"], "excluded": ["60"]}
    data = table(
        3,
        serial=pa.array([None, b"", b"\1"], pa.binary()),
        status=pa.array([60, 60, 0]),
        revoked_at=times(AS_OF_S + 9999, None, None),
        not_after=pa.array(["?", "?", ""]),
        issuer=pa.array([None, "?", "demo-r1"]),
    )

    snapshot, [batch] = desk.read(data, {"status": ColumnConfig(values=values)})

    assert batch.row.tolist() == [2]
    assert (snapshot.rows_in, snapshot.excluded, snapshot.findings()) == (3, {"status": 2}, ())


def test_rows_that_get_no_answer_are_set_apart_as_far_as_their_certificates_are_known(desk: Desk) -> None:
    data = table(
        8,
        serial=pa.array([b"\1", b"\2", b"\3", None, b"\4", b"\5", b"\6", b"\0\7"], pa.binary()),
        status=pa.array([0, 1, 60, 1, 1, 0, 0, 9]),
        revoked_at=times(None, AS_OF_S + 9_999, None, None, None, None, None, None),
        issuer=pa.array([*["demo-r1"] * 4, "?", *["demo-r1"] * 3]),
        needs_ocsp=pa.array([True] * 5 + [False, True, True]),
    )
    values = {"good": ["0"], "revoked": ["1"], "excluded": ["60"]}

    _, [batch] = desk.read(data, {"status": ColumnConfig(values=values)})

    assert batch.row.tolist() == [0, 6]
    assert batch.withheld is not None
    assert batch.withheld.serial.to_pylist() == [b"\2", b"\3", b"\5", b"\7", b"\4"]
    assert (batch.withheld.row.tolist(), batch.withheld.issuer.tolist()) == ([1, 2, 5, 7, 4], [3] * 5)
    assert batch.withheld.status.tolist() == [UNKNOWN, GOOD, GOOD, UNKNOWN, UNKNOWN]
    assert batch.late.examples == ((b"\2", AS_OF_S + 9_999),)


@pytest.mark.parametrize(
    ("status", "time", "needs_ocsp", "says"),
    [
        (0, None, False, GOOD),
        (0, "2026-11-23T00:00:00Z", False, GOOD),  # it may have come back from hold
        (None, None, False, GOOD),
        (None, "2026-11-23T00:00:00Z", False, REVOKED),
        (1, None, False, REVOKED),
        (2, None, False, UNKNOWN),
        (9, None, False, UNKNOWN),
        (60, None, True, GOOD),
        (60, None, False, GOOD),
        (60, "2026-11-23T00:00:00Z", True, REVOKED),
        (60, "yesterday", True, REVOKED),
    ],
)
def test_what_a_row_says_that_is_left_out_is_kept(
    desk: Desk, status: int | None, time: str | None, says: int, *, needs_ocsp: bool
) -> None:
    values = {"good": ["0"], "revoked": ["1"], "unknown": ["2"], "excluded": ["60"]}
    data = table(
        2,
        status=pa.array([status, 0]),
        revoked_at=pa.array([time, None], pa.string()),
        needs_ocsp=pa.array([needs_ocsp, True]),
    )

    snapshot, [batch] = desk.read(data, {"status": ColumnConfig(values=values)})

    assert batch.withheld is not None
    assert (batch.withheld.row.tolist(), batch.withheld.status.tolist()) == ([0], [says])
    told = ["row.revoked.left-out"] if (status, says, time) == (60, REVOKED, "2026-11-23T00:00:00Z") else []
    assert [finding.code for finding in snapshot.findings()] == told


def test_a_row_of_nobody_is_held_against_every_issuer_unless_it_says_good(desk: Desk) -> None:
    desk.issuers = {"a": 0, "also a": 0, "b": 1, "c": 2}
    data = table(
        5,
        serial=pa.array([b"\1", b"\0\2", b"\3", None, b"\5"], pa.binary()),
        status=pa.array([1, 2, 0, 1, 8]),
        issuer=pa.array(["lost", None, "lost", "lost", "lost"]),
        revoked_at=times(AS_OF_S, None, None, AS_OF_S, None),
    )

    _, [batch] = desk.read(data)

    assert batch.withheld is not None
    assert batch.withheld.serial.to_pylist() == [b"\1"] * 3 + [b"\2"] * 3 + [b"\5"] * 3
    assert batch.withheld.issuer.tolist() == [0, 1, 2] * 3
    assert batch.withheld.row.tolist() == [0] * 3 + [1] * 3 + [4] * 3


def test_more_rows_of_nobody_than_can_be_held_against_all_are_an_error_of_their_own(desk: Desk) -> None:
    desk.issuers = {"a": 0, "b": 1}
    most = MOST_UNPLACED // 2
    count = most + 1
    data = table(
        count,
        status=None,
        issuer=pa.array(["?"] * count),
        revoked_at=pa.array([AS_OF_S] * count, pa.timestamp("s", "UTC")),
    )

    snapshot, batches = desk.read(data)

    withheld = [batch.withheld for batch in batches if batch.withheld is not None]
    assert [len(one.row) for one in withheld] == [2 * most]
    found = {finding.code: finding for finding in snapshot.findings()}
    assert {code: (one.severity, one.count) for code, one in found.items()} == {
        "row.issuer.unknown": ("error", count),
        "issuer.unplaced": ("error", 1),
    }
    assert found["issuer.unplaced"].examples == (f"{desk.folder / 's.parquet'}, row {count}, issuer, '?'",)


def test_unknown_issuers_are_named_once_with_what_to_add(desk: Desk) -> None:
    names = ["demo-r1", "lost", None, "lost", "", *(f"ca-{number:03}" for number in range(30))]
    data = table(len(names), issuer=pa.array(names))

    snapshot, [batch] = desk.read(data)

    assert batch.row.tolist() == [0]
    found = {finding.code: finding for finding in snapshot.findings()}
    assert found["row.issuer.null"].count == 2
    unknown = found["row.issuer.unknown"]
    assert unknown.count == 32
    assert len(unknown.examples) == 20
    assert unknown.message.count("'lost'") == 1
    assert "[[issuer]]" in unknown.message
    assert "'ca-018', ..." in unknown.message
    assert "'ca-019'" not in unknown.message


def test_kinds_count_over_files_and_keep_the_first_twenty_examples(desk: Desk) -> None:
    for name in ("a.parquet", "b.parquet"):
        desk.write(f"many/{name}", table(15, status=pa.array([7] * 15)))

    snapshot = desk.open(desk.folder / "many")
    assert [len(batch) for batch in snapshot.batches()] == [0, 0]

    [finding] = snapshot.findings()
    assert finding.count == 30
    assert len(finding.examples) == 20
    assert finding.examples[14].endswith("a.parquet, row 15, status, 7")
    assert finding.examples[15].endswith("b.parquet, row 1, status, 7")
    assert "(7)" in finding.message
    assert str(finding).endswith("a.parquet, row 5, status, 7\n    ... 30 in all (--json lists 20)")


def test_files_may_be_read_in_any_order_by_copies_of_the_snapshot_with_the_same_findings(desk: Desk) -> None:
    statuses = [f"lost-{number}" for number in range(60)]
    for number in range(4):
        some = [*statuses[number * 7 : number * 12 + 5], "good", "excluded", "good"]
        data = table(len(some), status=pa.array(some), revoked_at=times(*[None] * (len(some) - 1), 5))
        desk.write(f"many/{number}.parquet", data)
    columns: dict[str, str | ColumnConfig] = {
        "status": ColumnConfig(values={"good": ["good"], "excluded": ["excluded"]})
    }
    snapshot = desk.open(desk.folder / "many", columns)
    rows = [(batch.file, batch.row.tolist()) for batch in snapshot.batches()]
    noted = (snapshot.rows_in, snapshot.excluded, snapshot.findings())
    assert {finding.code: finding.count for finding in noted[2]} == {
        "row.status.unknown": 5 + 10 + 15 + 20,
        "row.revoked.ignored": 4,
    }

    again = desk.open(desk.folder / "many", columns)
    read = []
    for number in (2, 0, 3, 1):
        copy: Snapshot = pickle.loads(pickle.dumps(again))
        reading = Reading()
        read += [(batch.file, batch.row.tolist()) for batch in copy.read(number, reading)]
        again.add(number, 0, pickle.loads(pickle.dumps(reading)))

    assert sorted(read) == rows
    assert (again.rows_in, again.excluded, again.findings()) == noted


def test_it_is_known_how_many_rows_each_part_of_a_file_has_before_they_are_read(desk: Desk) -> None:
    for number, rows in enumerate([5, 900, 20]):
        desk.write(f"sizes/{number}.parquet", table(rows))

    snapshot = desk.open(desk.folder / "sizes")
    assert [snapshot.estimates_of(number) for number in range(3)] == [(5,), (900,), (20,)]


@pytest.mark.slow  # five seconds, for so many files
def test_more_files_than_can_be_numbered_are_refused_before_they_are_opened(desk: Desk) -> None:
    folder = desk.folder / "endless"
    folder.mkdir()
    for number in range(MAX_FILES + 1):
        (folder / f"{number}.csv").symlink_to("nowhere")

    [finding] = desk.refusal(folder).findings

    assert finding.code == "snapshot.too-many-files"
    assert f"{folder}: 65,537 files" in finding.message


def test_the_column_is_named_as_the_file_names_it(desk: Desk) -> None:
    data = table(1, serial=None, hexserial=pa.array(["zz"]))

    finding = desk.findings(data, {"serial": ColumnConfig(name="hexserial", encoding="hex")})["row.serial.not-hex"]

    assert "'hexserial'" in finding.message
    assert finding.examples == (f"{desk.folder}/s.parquet, row 1, hexserial, 'zz'",)


def test_a_text_without_a_zone_is_found_with_the_way_to_fix_it(desk: Desk) -> None:
    data = table(1, not_after=pa.array(["2027-01-01 00:00:00"]))

    finding = desk.findings(data)["row.time.not-utc"]

    assert "convert them to UTC" in finding.message


def test_reading_again_begins_anew(desk: Desk) -> None:
    path = desk.write("s.parquet", table(3, status=pa.array([0, 7, 0])))
    snapshot = desk.open(path)

    first = [batch.row.tolist() for batch in snapshot.batches()]
    again = [batch.row.tolist() for batch in snapshot.batches()]

    assert first == again == [[0, 2]]
    assert snapshot.rows_in == 3
    assert [finding.count for finding in snapshot.findings()] == [1]


@pytest.mark.parametrize("name", [*FORMATS, "s.csv"])
def test_no_row_at_all_is_refused(desk: Desk, name: str) -> None:
    data = table(0) if name != "s.csv" else table(0, serial=pa.array([], pa.string()))
    path = desk.write(name, data)

    with pytest.raises(InputError) as caught:
        desk.open(path, {} if name != "s.csv" else hexadecimal(), as_of=AS_OF)

    assert [finding.code for finding in caught.value.findings] == ["snapshot.no-rows"]


def test_a_file_without_rows_beside_one_with_rows_is_no_trouble(desk: Desk) -> None:
    desk.write("mixed/a.parquet", table(0))
    desk.write("mixed/b.parquet", table(2))

    snapshot = desk.open(desk.folder / "mixed")

    [batch] = snapshot.batches()
    assert (batch.file, batch.row.tolist()) == (1, [0, 1])
    assert snapshot.locate(batch.file, 0) == f"{desk.folder}/mixed/b.parquet, row 1"


def test_no_path_at_all_is_refused(desk: Desk) -> None:
    [finding] = desk.refusal(None).findings

    assert finding.code == "snapshot.no-path"


def test_problems_of_all_files_come_in_one_error(desk: Desk) -> None:
    desk.write("bad/a.parquet", table(serial=None))
    desk.write("bad/b.parquet", table(revoked_at=pa.nulls(3, pa.timestamp("us"))))
    (desk.folder / "bad" / "c.parquet").touch()
    (desk.folder / "bad" / "d.csv").write_text("serial,sta")

    error = desk.refusal(desk.folder / "bad")

    codes = [finding.code for finding in error.findings]
    assert codes == ["column.missing", "column.naive", "file.empty", "file.truncated"]
    assert all(f"{name}." in finding.message for name, finding in zip("abcd", error.findings, strict=True))


def test_row_groups_of_any_size_are_read_whole(desk: Desk) -> None:
    serials = [bytes([1 + at]) + bytes([at]) * size for size in range(21) for at in range(10)]
    path = desk.folder / "s.parquet"
    pa.parquet.write_table(table(210, serial=pa.array(serials)), path, row_group_size=37)

    batches = list(desk.open(path, as_of=AS_OF).batches())

    assert [serial for batch in batches for serial in batch.serial.to_pylist()] == serials
    assert np.concatenate([batch.row for batch in batches]).tolist() == list(range(210))


def test_as_of_of_the_command_line_is_cut_to_whole_seconds(desk: Desk) -> None:
    path = desk.write("s.parquet", table())
    snapshot = open_snapshot(
        SnapshotConfig(), Path("/"), path=str(path), as_of=AS_OF.replace(microsecond=9), now=NOW, issuers={"x": 0}
    )

    assert snapshot.as_of == datetime(2026, 11, 24, tzinfo=UTC)


def hexadecimal() -> dict[str, str | ColumnConfig]:
    return {"serial": ColumnConfig(encoding="hex")}


def test_how_far_revocations_may_lie_after_as_of_is_what_the_gates_allow(desk: Desk) -> None:
    late = pa.array(
        [AS_OF, AS_OF + timedelta(hours=1), AS_OF + timedelta(hours=1, seconds=1)], pa.timestamp("s", "UTC")
    )
    path = desk.write("s.parquet", table(3, status=pa.array([1] * 3), revoked_at=late))
    found = {}
    for skew_s in (300, 3_600):
        snapshot = open_snapshot(
            SnapshotConfig(), Path("/"), path=str(path), as_of=None, now=NOW, issuers={"x": 0}, skew_s=skew_s
        )
        list(snapshot.batches())
        [finding] = snapshot.findings()
        found[finding.count] = finding.message

    assert "lies more than 5m after as_of ([gates] skew)" in found[2]
    assert "lies more than 1h after as_of ([gates] skew)" in found[1]


def test_times_that_name_their_zone_themselves_are_told_apart_where_one_is_declared(desk: Desk) -> None:
    local, own = "2026-06-01 12:00:00", "2026-06-01T12:00:00+02:00"
    data = table(
        3,
        revoked_at=pa.array([local, own, None]),
        status=pa.array([1, 1, 0]),
        not_before=pa.array([own, local, own]),
        not_after=pa.array([own, own, own]),
    )
    declared = {name: ColumnConfig(zone="America/Denver") for name in ("revoked_at", "not_before")}

    _, [batch] = desk.read(data, declared)
    _, [plain] = desk.read(table(1, not_before=pa.array([own])))

    assert batch.own_zone is not None
    assert batch.own_zone.tolist() == [OWN_ZONE["not_before"], OWN_ZONE["revoked_at"], OWN_ZONE["not_before"]]
    assert batch.filtered(np.array([False, True, False])).own_zone == [OWN_ZONE["revoked_at"]]
    assert plain.own_zone is None


def test_a_declared_zone_that_no_time_needs_is_a_warning(desk: Desk) -> None:
    own, local = "2026-06-01T12:00:00Z", "2026-06-01 12:00:00"
    data = table(2, not_before=pa.array([own, own]), not_after=pa.array([own, local]))
    declared = {name: ColumnConfig(zone="America/Denver") for name in ("not_before", "not_after")}

    snapshot, _ = desk.read(data, declared)

    assert snapshot.unused_zones == {"not_before"}
    (finding,) = snapshot.findings()
    assert (finding.code, finding.severity) == ("column.zone-unused", "warning")
    assert "America/Denver, is not used: leave zone out" in finding.message


@pytest.mark.parametrize("zones", [b"?", b"\xff", b"[1]", b"[" * 100_000, b'{"not_before": 7}'])
def test_metadata_about_zones_that_no_import_wrote_ends_in_no_traceback(desk: Desk, zones: bytes) -> None:
    path = desk.folder / "s.parquet"
    pq.write_table(table().replace_schema_metadata({b"pregen.as_of": b"2026-11-24T00:00:00Z", ZONES_KEY: zones}), path)

    columns = desk.open(path).columns

    assert {column.declared_zone for column in columns.values()} <= {None, "7"}


@pytest.mark.parametrize(
    ("named", "at"),
    [
        ([b"2026-11-24T06:00:00Z", b"2026-11-24T07:00:00Z"], datetime(2026, 11, 24, 7, tzinfo=UTC)),
        ([b"2026-11-24T06:00:00Z", b"2036-11-24T07:00:00Z"], NOW),
        ([b"2026-11-24T06:00:00Z", None], None),
        ([b"2026-11-24T06:00:00Z", b"\xff"], None),
        ([b"2026-11-24T06:00:00Z", b"yesterday"], None),
    ],
)
def test_the_instant_of_an_imported_list_counts_where_all_files_name_one(
    desk: Desk, named: list[bytes | None], at: datetime | None
) -> None:
    for number, one in enumerate(named):
        metadata = {b"pregen.as_of": b"2026-11-24T00:00:00Z"} | ({} if one is None else {LISTED_KEY: one})
        pq.write_table(table().replace_schema_metadata(metadata), desk.folder / f"{number}.parquet")

    assert desk.open(desk.folder).listed_as_of == at
