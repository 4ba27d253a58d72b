"""Times that stand for none: refused until they are declared, and then none, from every source."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Column, Program, instants
from tests.pregen.cli.two import second_issuer

CODE = "time.stands-for-none"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def export(ca: Ca, revoked_at: Column, **more: "Column | None") -> None:
    count = len(revoked_at)
    serial = pa.array([(1 << 40 | number * 977).to_bytes(6, "big") for number in range(count)], pa.binary())
    columns: dict[str, Column | None] = {"serial": serial, "status": None, "reason": None, **more}
    ca.export(as_of=None, to="snapshot.parquet", revoked_at=revoked_at, **columns)


def declare(ca: Ca, column: str, /, **fields: "str | list[str]") -> None:
    ca.configure(snapshot={"columns": {column: fields}})


def test_a_value_in_nearly_all_rows_is_refused_and_declared_it_is_none(ca: Ca, pregen: Program) -> None:
    revoked = ca.now - timedelta(hours=3)
    export(ca, instants(*[EPOCH] * 4_900, *[revoked] * 5, *[None] * 95))

    refused = pregen("run", ca.config)
    whole = pregen("run", ca.config, "--accept", "rows-invalid", "--reason", "they are")
    declare(ca, "revoked_at", absent=["1970-01-01T00:00:00.000Z"])
    ended = pregen("run", ca.config, "--json")

    assert refused.code == whole.code == 3
    assert f"error {CODE}: column 'revoked_at' lies before 1994 in 4,900 of 4,905 revoked rows" in refused.err
    assert 'revoked_at = { name = "revoked_at", absent = ["1970-01-01T00:00:00.000Z"] }' in refused.err
    assert "snapshot.parquet, row 1, revoked_at, 1970-01-01T00:00:00.000Z" in refused.err
    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 5_000
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", "10000000000").out.count("good") == 1


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (datetime(2001, 1, 1, tzinfo=UTC), 0.1),
        (datetime(2020, 2, 20, 4, 5, 6, tzinfo=UTC), 0.9),
        (datetime(1980, 1, 1, tzinfo=UTC), 0.01),
        (EPOCH - timedelta(seconds=1), 0.01),
        (datetime(1900, 1, 1, tzinfo=UTC), 0.01),
        (datetime(1, 1, 1, tzinfo=UTC), 0.01),
        (datetime(9999, 12, 31, tzinfo=UTC), 0.01),
    ],
)
@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_every_value_that_stands_for_none_is_refused_with_the_setting(
    ca: Ca, pregen: Program, value: datetime, share: float, kind: str
) -> None:
    rows = 400
    some = round(share * rows)
    export(ca, pa.array([value] * some + [None] * (rows - some), pa.timestamp("us", "UTC")))
    written = value.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    changed = {"path": f"snapshot.{kind}", "as_of": ca.now.isoformat()}
    convert(ca.snapshot, kind)
    serial = {"encoding": "hex"} if kind == "csv" else {}
    ca.configure(snapshot={**changed, "columns": {"serial": serial}})

    refused = pregen("run", ca.config)
    ca.configure(snapshot={**changed, "columns": {"serial": serial, "revoked_at": {"absent": [written]}}})
    ended = pregen("run", ca.config, "--json")

    assert refused.code == 3
    assert "absent = [" in refused.err
    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == rows


def convert(path: Path, kind: str) -> None:
    table = pq.read_table(path)
    if kind == "arrow":
        with pa.ipc.new_file(str(path.with_suffix(".arrow")), table.schema) as file:
            file.write_table(table)
    if kind == "csv":
        texts = [
            None if one is None else f"{one.as_py():%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0") if one.is_valid else None
            for one in table["revoked_at"]
        ]
        serials = [one.as_py().hex() for one in table["serial"]]
        pa.csv.write_csv(pa.table({"serial": serials, "revoked_at": texts}), path.with_suffix(".csv"))


@pytest.mark.parametrize("encoding", ["epoch-s", "epoch-ms"])
@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_ejbca_writes_minus_one_and_zero(ca: Ca, pregen: Program, encoding: str, kind: pa.DataType) -> None:
    factor = 1_000 if encoding == "epoch-ms" else 1
    revoked = int((ca.now - DAY).timestamp()) * factor
    export(ca, pa.array([-1] * 300 + [0] * 60 + [revoked] * 2).cast(kind))
    declare(ca, "revoked_at", encoding=encoding)

    refused = pregen("run", ca.config)
    declare(ca, "revoked_at", encoding=encoding, absent=["-1", "0"])
    ended = pregen("run", ca.config, "--json")

    assert refused.code == 3
    assert f"error {CODE}" in refused.err
    assert ended.code == 0, ended.err
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{1 << 40 | 361 * 977:x}").out.count("revoked")


def test_a_text_that_is_no_time_is_refused_with_the_setting(ca: Ca, pregen: Program) -> None:
    export(ca, pa.array(["0000-00-00 00:00:00"] * 30 + ["2026-01-01 00:00:00"]))
    declare(ca, "revoked_at", zone="UTC")

    refused = pregen("check", ca.config)
    declare(ca, "revoked_at", zone="UTC", absent=["0000-00-00 00:00:00"])

    assert refused.code == 3
    assert "'0000-00-00 00:00:00'" in refused.err
    assert "absent = [...]" in refused.err


def test_with_a_status_a_revocation_before_every_ca_is_refused(ca: Ca, pregen: Program) -> None:
    export(ca, instants(EPOCH, None, None), status=pa.array([1, 0, 0]))

    refused = pregen("run", ca.config)
    accepted = pregen("run", ca.config, "--accept", CODE, "--reason", "a test CA", "--json")

    assert refused.code == 3
    assert "in 1 of 1 revoked rows" in refused.err
    assert f"--accept {CODE}" in refused.err
    assert accepted.code == 0, accepted.err


def test_revocations_long_before_the_issuance_are_refused(ca: Ca, pregen: Program) -> None:
    issued = [ca.now - (20 + at) * DAY for at in range(90)]
    revoked = [ca.now - 4_000 * DAY - at * DAY if at < 3 else issued[at] + DAY if at < 60 else None for at in range(90)]
    export(ca, instants(*revoked), not_before=instants(*issued), status=pa.array([int(at < 60) for at in range(90)]))

    refused = pregen("run", ca.config)

    assert refused.code == 3
    assert f"error {CODE}: column 'revoked_at' lies more than a year before the issuance in 3 of 60" in refused.err


def test_an_expiry_that_stands_for_none_takes_no_answer_away(ca: Ca, pregen: Program) -> None:
    export(ca, instants(*[None] * 50), not_after=instants(*[EPOCH] * 10, *[ca.now + 50 * DAY] * 40))

    refused = pregen("run", ca.config)
    declare(ca, "not_after", absent=["1970-01-01"])
    ended = pregen("run", ca.config, "--json")

    assert refused.code == 3
    assert f"error {CODE}: column 'not_after' lies before 1994 in 10 rows" in refused.err
    assert ended.document["certificates"] == 50


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_of_all_files_are_counted_together(ca: Ca, pregen: Program, workers: int) -> None:
    one = datetime(2026, 2, 20, 4, 5, 6, tzinfo=UTC)
    ca.configure(snapshot={"path": "parts"}, run={"workers": workers})
    (ca.folder / "parts").mkdir()
    for part in range(4):
        serial = pa.array([bytes([1, part, number]) for number in range(50)], pa.binary())
        revoked_at = instants(*[one] * 5, *[None] * 45)
        ca.export(serial=serial, status=None, reason=None, revoked_at=revoked_at, to=f"parts/{part}.parquet")

    refused = pregen("run", ca.config)

    assert refused.code == 3
    assert "is one same time in 20 of 200 rows" in refused.err


def test_an_import_and_a_run_on_it_know_none(ca: Ca, pregen: Program) -> None:
    export(ca, instants(*[EPOCH] * 200, ca.now - DAY))

    refused = pregen("import", ca.config, "--out", ca.folder / "out")
    declare(ca, "revoked_at", absent=["1970-01-01T00:00:00"])
    done = pregen("import", ca.config, "--out", ca.folder / "out")
    ca.configure(snapshot={"path": "out"})
    ended = pregen("run", ca.config, "--json")

    assert refused.code == 3
    assert f"error {CODE}" in refused.err
    assert done.code == 0, done.err
    assert pq.read_table(ca.folder / "out")["revoked_at"].null_count == 200
    assert ended.code == 0, ended.err


@pytest.mark.parametrize(
    ("same", "rows", "code"), [(19, 100, 0), (20, 200, 3), (20, 201, 0), (4, 8, 0), (5, 10, 3), (5, 11, 0), (10, 15, 3)]
)
def test_an_incident_of_some_certificates_passes(ca: Ca, pregen: Program, same: int, rows: int, code: int) -> None:
    export(ca, instants(*[ca.now - DAY] * same, *[None] * (rows - same)))

    assert pregen("run", ca.config).code == code


def test_an_incident_of_most_certificates_passes_with_a_status(ca: Ca, pregen: Program) -> None:
    export(ca, instants(*[ca.now - DAY] * 190, *[None] * 10), status=pa.array([1] * 190 + [0] * 10))

    assert pregen("run", ca.config).code == 0


def test_what_no_value_can_be_is_refused_before_a_row_is_read(ca: Ca, pregen: Program) -> None:
    declare(ca, "revoked_at", absent=["-1"])

    refused = pregen("check", ca.config)

    assert refused.code == 3
    assert "error column.absent: " in refused.err
    assert 'absent = ["-1"] names no value of it: write times such as 1970-01-01T00:00:00' in refused.err


def test_only_times_have_one(ca: Ca, pregen: Program) -> None:
    declare(ca, "status", absent=["-1"])

    refused = pregen("check", ca.config)

    assert refused.code == 2
    assert "snapshot.columns.status.absent: only times have one" in refused.err


def days(ca: Ca, count: int) -> list[datetime]:
    """Return times of honest revocations, of the last two years, each in a second of its own."""
    return [ca.now - timedelta(days=600 * at / count, seconds=7 * at + 1) for at in range(count)]


@pytest.mark.parametrize(
    "value",
    [
        datetime(2000, 1, 1, tzinfo=UTC),
        datetime(2001, 1, 1, tzinfo=UTC),
        datetime(1999, 12, 31, tzinfo=UTC),
        datetime(1999, 12, 31, 23, tzinfo=UTC),
        datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1997, 5, 5, tzinfo=UTC),
        datetime(2004, 2, 29, 12, tzinfo=UTC),
    ],
)
@pytest.mark.parametrize(("rows", "some", "revoked"), [(1_000, 30, 60), (1_000, 3, 200), (300, 9, 0)])
def test_a_rare_value_at_the_edge_of_a_calendar_is_refused(
    ca: Ca, pregen: Program, value: datetime, rows: int, some: int, revoked: int
) -> None:
    export(ca, instants(*[value] * some, *days(ca, revoked), *[None] * (rows - some - revoked)))

    refused = pregen("run", ca.config)
    declare(ca, "revoked_at", absent=[f"{value:%Y-%m-%dT%H:%M:%S}"])
    ended = pregen("run", ca.config)

    assert refused.code == 3
    assert f"error {CODE}: column 'revoked_at' is " in refused.err
    assert f"in {some} of {rows:,} rows" in refused.err
    assert (ended.code, ended.err) == (0, "")


def test_a_mass_revocation_in_one_second_passes_and_one_at_midnight_is_told(ca: Ca, pregen: Program) -> None:
    midnight = (ca.now - 40 * DAY).replace(hour=0, minute=0, second=0)
    honest = [*days(ca, 50), *[None] * 3_900]
    export(ca, instants(*[midnight + timedelta(seconds=4_005)] * 50, *honest))
    passed = pregen("check", ca.config)
    export(ca, instants(*[midnight] * 50, *honest))
    told = pregen("check", ca.config)

    assert (passed.code, passed.err) == (0, "")
    assert told.code == 0
    assert f"warning {CODE}: column 'revoked_at' is one same midnight in 50 of 4,000 rows" in told.err


def test_dates_of_revocations_are_no_evidence_until_a_turn_of_a_year_is_far_too_common(ca: Ca, pregen: Program) -> None:
    dates = [(ca.now - (at % 700) * DAY).date() for at in range(1_400)]
    columns = {"name": "revoked_at", "zone": "UTC", "time_of_day": "00:00:00"}
    honest = pa.array([*dates, *[datetime(2025, 1, 1, tzinfo=UTC).date()] * 3, *[None] * 5_000], pa.date32())
    export(ca, honest)
    declare(ca, "revoked_at", **columns)
    passed = pregen("check", ca.config, "--accept", "zone", "--reason", "no anchor here")
    export(ca, pa.array([*dates, *[datetime(2001, 1, 1, tzinfo=UTC).date()] * 90, *[None] * 5_000], pa.date32()))
    refused = pregen("check", ca.config)

    assert passed.code == 0, passed.err
    assert CODE not in passed.err
    assert f"error {CODE}: column 'revoked_at' is the turn of a year in 90 of 6,490 rows" in refused.err


def test_with_a_status_the_turn_of_a_year_is_a_warning(ca: Ca, pregen: Program) -> None:
    revoked_at = instants(*[datetime(2001, 1, 1, tzinfo=UTC)] * 5, *days(ca, 50), *[None] * 900)
    export(ca, revoked_at, status=pa.array([1] * 55 + [0] * 900))

    ended = pregen("check", ca.config)

    assert ended.code == 0
    assert f"warning {CODE}: column 'revoked_at' is the turn of a year in 5 of 955 rows" in ended.err


def test_a_value_of_a_small_issuer_does_not_hide_among_the_rows_of_a_large_one(ca: Ca, pregen: Program) -> None:
    second_issuer(ca)
    value = datetime(2023, 7, 8, 9, 10, 11, tzinfo=UTC)
    issuer = pa.array(["r1"] * 3_000 + ["r2"] * 100)
    export(ca, instants(*days(ca, 100), *[None] * 2_900, *[value] * 40, *[None] * 60), issuer=issuer)

    refused = pregen("check", ca.config)

    assert refused.code == 3
    assert f"error {CODE}: column 'revoked_at' is one same time in 40 of 100 rows of an issuer" in refused.err


def test_a_turn_of_a_year_as_the_expiry_of_many_is_refused_and_declared_it_is_none(ca: Ca, pregen: Program) -> None:
    ends = [ca.now + DAY + timedelta(seconds=at * 977) for at in range(970)]
    export(ca, instants(*[None] * 1_000), not_after=instants(*[datetime(2000, 1, 1, tzinfo=UTC)] * 30, *ends))

    refused = pregen("check", ca.config)
    declare(ca, "not_after", absent=["2000-01-01T00:00:00.000Z"])
    ended = pregen("run", ca.config, "--json")

    assert refused.code == 3
    assert f"error {CODE}: column 'not_after' is the turn of a year, long before any other expiry" in refused.err
    assert "in 30 of 1,000 rows" in refused.err
    assert 'not_after = { name = "not_after", absent = ["2000-01-01T00:00:00.000Z"] }' in refused.err
    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 1_000


@pytest.mark.parametrize(("first", "is_odd"), [(datetime(2001, 12, 31, 23, 59, 59, tzinfo=UTC), True), (None, False)])
def test_certificates_that_end_with_a_year_are_taken(
    ca: Ca, pregen: Program, first: datetime | None, *, is_odd: bool
) -> None:
    year = ca.now.year
    years = [datetime(year + at % 9 - 6, 12, 31, 23, 59, 59, tzinfo=UTC) for at in range(400)]
    export(ca, instants(*[None] * 430), not_after=instants(*[first or years[0]] * 30, *years))

    ended = pregen("check", ca.config)

    assert ended.code == 0, ended.err
    assert (f"warning {CODE}" in ended.err) == is_odd


@pytest.mark.parametrize(("count", "is_odd"), [(400, True), (40, True), (3, False)])
def test_times_of_issuance_in_the_column_of_revocations_are_refused(
    ca: Ca, pregen: Program, count: int, *, is_odd: bool
) -> None:
    issued = [ca.now - timedelta(days=1 + at % 60, seconds=at) for at in range(400)]
    revoked = [issued[at] if at < count else None for at in range(400)]
    export(ca, instants(*revoked), not_before=instants(*issued))

    ended = pregen("check", ca.config)

    assert ended.code == (3 if is_odd else 0), ended.err
    assert (f"error {CODE}: column 'revoked_at' is the time of issuance in {count} of 400 rows" in ended.err) == is_odd
