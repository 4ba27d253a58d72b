"""Times that are read in another unit than they were written in: refused with the right one."""

import pyarrow as pa
import pytest

from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Column, Program, instants

CODE = "time.encoding"
FACTORS = {"epoch-s": 1, "epoch-ms": 10**3, "epoch-us": 10**6, "epoch-ns": 10**9}


def export(ca: Ca, **columns: Column) -> None:
    count = 40
    serial = pa.array([(1 << 40 | number * 977).to_bytes(6, "big") for number in range(count)], pa.binary())
    usual: dict[str, Column | None] = {
        "serial": serial,
        "status": pa.array([0] * count),
        "reason": None,
        "revoked_at": instants(*[None] * count),
        **columns,
    }
    ca.export(as_of=None, to="snapshot.parquet", **usual)


@pytest.mark.parametrize("written", FACTORS)
@pytest.mark.parametrize("declared", FACTORS)
@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
@pytest.mark.parametrize("column", ["not_before", "not_after"])
def test_every_unit_that_is_read_as_another_is_told(
    ca: Ca, pregen: Program, written: str, declared: str, kind: pa.DataType, column: str
) -> None:
    sign = 1 if column == "not_after" else -1
    times = [int((ca.now + sign * (at + 5) * DAY).timestamp()) * FACTORS[written] for at in range(40)]
    export(ca, **{column: pa.array(times).cast(kind)})
    ca.configure(snapshot={"columns": {column: {"encoding": declared}}})

    ended = pregen("check", ca.config)

    if written == declared:
        assert ended.code == 0, ended.err
    else:
        assert ended.code == 3
        assert f"error {CODE}: column '{column}': all 40 times lie in" in ended.err
        assert f'{column} = {{ name = "{column}", encoding = ... }} to "{written}"' in ended.err


def test_seconds_in_a_column_of_milliseconds_are_told(ca: Ca, pregen: Program) -> None:
    times = pa.array([int((ca.now - (at + 5) * DAY).timestamp()) for at in range(40)]).cast(pa.timestamp("ms", "UTC"))
    export(ca, not_before=times)

    ended = pregen("check", ca.config)

    assert ended.code == 3
    assert f"error {CODE}: column 'not_before': all 40 times lie in 1970" in ended.err


def test_day_and_month_in_another_order_are_told_although_rows_are_accepted(ca: Ca, pregen: Program) -> None:
    export(ca, not_before=pa.array([f"{ca.now - (at + 5) * DAY:%Y-%d-%mT%H:%M:%SZ}" for at in range(40)]))

    ended = pregen("run", ca.config, "--accept", "rows-invalid", "--accept", "zone", "--reason", "they are")

    assert ended.code == 3
    assert f"error {CODE}: column 'not_before': " in ended.err
    assert "day and month stand in another order" in ended.err


@pytest.mark.parametrize(
    ("encoding", "form"),
    [
        ("iso8601", "%Y-%m-%d %H:%M:%S GMT"),
        ("iso8601", "%Y%m%d%H%M%S+"),
        ("generalizedtime", "%Y%m%d%H%M%SGMT"),
        ("asn1", "%Y%m%d%H%M%SGMT"),
        ("utctime", "%Y-%m-%dT%H:%M:%SZ"),
        ("utctime", "%Y%m%d%H%M%SZ"),
    ],
)
def test_a_year_of_this_century_is_not_taken_for_day_and_month(
    ca: Ca, pregen: Program, encoding: str, form: str
) -> None:
    ca.configure(snapshot={"columns": {"not_before": {"encoding": encoding}}})
    export(ca, not_before=pa.array([f"{ca.now - (at + 5) * DAY:{form}}" for at in range(40)]))

    ended = pregen("check", ca.config)

    assert ended.code == 3
    assert "row.time.malformed" in ended.err
    assert "day and month" not in ended.err


@pytest.mark.parametrize("few", [1, 9])
def test_a_few_devices_without_a_clock_are_taken(ca: Ca, pregen: Program, few: int) -> None:
    early = pa.array([86_400_000 * 20] * few + [1_700_000_000_000] * (40 - few)).cast(pa.timestamp("ms", "UTC"))
    export(ca, not_before=early)

    assert CODE not in pregen("check", ca.config).err


@pytest.mark.parametrize("encoding", ["utctime", "asn1"])
@pytest.mark.parametrize("column", ["not_after", "not_before"])
def test_a_utctime_with_day_and_year_in_each_others_place_is_told(
    ca: Ca, pregen: Program, encoding: str, column: str
) -> None:
    ca.configure(snapshot={"columns": {column: {"encoding": encoding}}})
    sign = 1 if column == "not_after" else -1
    times = [ca.now + sign * (at * 9 + 5) * DAY for at in range(40)]
    export(ca, **{column: pa.array([f"{time:%y%m%d%H%M%SZ}" for time in times])})
    right = pregen("check", ca.config)
    export(ca, **{column: pa.array([f"{time:%d%m%y%H%M%SZ}" for time in times])})
    wrong = pregen("check", ca.config)

    assert right.code == 0, right.err
    assert wrong.code == 3
    assert f"error {CODE}: column '{column}': its 40 dates are of " in wrong.err
    assert "as where DDMMYY is written and YYMMDD read" in wrong.err
    export(ca, **{column: pa.array([f"{time:%y%d%m%H%M%SZ}" for time in times])})
    assert f"error {CODE}" in pregen("check", ca.config).err
