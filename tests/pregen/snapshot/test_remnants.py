"""Revocation data in rows that are not revoked: noted by kind, and an error where it is much."""

from collections.abc import Sequence
from typing import TypeAlias

import pyarrow as pa
import pytest

from pregen.config import ColumnConfig
from pregen.errors import Finding
from pregen.snapshot.remnants import IN_COLUMNS, Remnants, judged
from tests.pregen.snapshot.desk import AS_OF, Desk, table

AS_OF_S = int(AS_OF.timestamp())
MAPPED = {"good": ["20", "40"], "revoked": ["60"]}
NOTED = Finding(IN_COLUMNS, "error", "column 'revoked_at' has revocations", 1)
Value: TypeAlias = int | str | None
Column: TypeAlias = "pa.Array[pa.Scalar[pa.DataType]]"


def found(
    desk: Desk,
    times: "Column | None",
    reasons: Sequence[Value] | None = None,
    statuses: Sequence[int] | None = None,
    zone: str | None = None,
) -> Finding | None:
    """Return what is found in rows with status code 40 (mapped to good), the others have 20 (good)."""
    count = 400
    statuses = [*(statuses or []), *[20] * (count - len(statuses or []))]
    given: Column | None = None
    if reasons is not None:
        given = pa.array([*(None if one is None else str(one) for one in reasons), *[None] * (count - len(reasons))])
        if not any(isinstance(one, str) for one in reasons):
            given = given.cast(pa.int8())
    if times is not None:
        times = times.take(pa.array([*range(len(times)), *[None] * (count - len(times))], pa.int64()))
    data = table(count, status=pa.array(statuses), revoked_at=times, reason=given)
    columns: dict[str, str | ColumnConfig] = {"status": ColumnConfig(values=MAPPED)}
    if zone is not None:
        columns["revoked_at"] = ColumnConfig(zone=zone)
    return desk.findings(data, columns).get(IN_COLUMNS)


def instants(*seconds: int) -> Column:
    return pa.array([one * 1000 for one in seconds], pa.timestamp("ms", "UTC"))


def test_a_status_that_is_mapped_to_good_beside_times_and_reasons_is_an_error(desk: Desk) -> None:
    finding = found(desk, instants(*[AS_OF_S - 99] * 60), ["keyCompromise"] * 60, [40] * 60)

    assert finding is not None
    assert (finding.severity, finding.count) == ("error", 60)
    assert finding.examples[0].endswith("s.parquet, row 1, revoked_at, 2026-11-23T23:58:21.000Z")
    assert "60 of them give a reason from which no certificate comes back" in finding.message
    assert "status.values" in finding.message


@pytest.mark.parametrize("reason", [1, 5, "9", "superseded"])
def test_three_final_reasons_are_enough_and_two_are_not(desk: Desk, reason: Value) -> None:
    assert found(desk, instants(*[AS_OF_S] * 3), [reason] * 3) is not None
    assert found(desk, instants(*[AS_OF_S] * 2), [reason] * 2) is None


@pytest.mark.parametrize("reasons", [None, [None] * 10, [0] * 10, ["unspecified"] * 10, ["lost"] * 10])
def test_ten_times_without_a_reason_that_tells_are_enough_and_nine_are_not(
    desk: Desk, reasons: Sequence[Value] | None
) -> None:
    assert found(desk, instants(*[AS_OF_S - 5] * 10), reasons) is not None
    assert found(desk, instants(*[AS_OF_S - 5] * 9), reasons and reasons[:9]) is None


@pytest.mark.parametrize("reason", [6, 8, "certificateHold", " RemoveFromCRL "])
def test_holds_that_were_released_are_none_however_many(desk: Desk, reason: Value) -> None:
    assert found(desk, instants(*[AS_OF_S - 99] * 300), [reason] * 300) is None


@pytest.mark.parametrize("second", [0, -1, 86_399, AS_OF_S + 301, 253_402_300_799])
def test_what_a_database_writes_for_never_is_none(desk: Desk, second: int) -> None:
    assert found(desk, instants(*[second] * 300), [0] * 300) is None


def test_a_few_among_many_that_are_revoked_are_none(desk: Desk) -> None:
    times = instants(*[AS_OF_S - 99] * 313)
    assert found(desk, times, [1] * 313, [60] * 310) is None
    assert found(desk, times, [1] * 313, [60] * 309) is not None


def test_local_times_in_rows_that_are_not_revoked_count_where_the_reason_is_final(desk: Desk) -> None:
    local = pa.array(["2026-10-04 11:12:13"] * 30)

    assert found(desk, local, [4] * 30) is not None
    assert found(desk, local, [0] * 30) is None
    assert found(desk, local, [0] * 30, zone="Europe/Berlin") is not None


def test_reasons_alone_count_unless_they_are_the_default_of_the_column(desk: Desk) -> None:
    assert found(desk, None, [1] * 10) is not None
    assert found(desk, None, [1] * 9) is None
    assert found(desk, None, [1] * 400) is None
    assert found(desk, None, [0] * 199) is None


def test_rows_of_several_files_are_counted_together(desk: Desk) -> None:
    for number in range(5):
        times = instants(*[AS_OF_S - 99] * 2, *[0] * 20)
        desk.write(f"many/{number}.parquet", table(22, revoked_at=times))
    snapshot = desk.open(desk.folder / "many", as_of=AS_OF)
    list(snapshot.batches())

    (finding,) = [one for one in snapshot.findings() if one.code == IN_COLUMNS]
    assert (finding.count, len(finding.examples)) == (10, 10)


def test_more_than_a_hundred_are_an_error_among_however_many_revoked_ones() -> None:
    assert list(judged((NOTED,), Remnants(timed=101, revoked=10**6)))
    assert not list(judged((NOTED,), Remnants(timed=100, revoked=10**6)))


def test_without_a_status_a_time_makes_a_row_revoked_and_nothing_is_left(desk: Desk) -> None:
    data = table(40, status=None, revoked_at=instants(*[AS_OF_S - 5] * 40))

    assert IN_COLUMNS not in desk.findings(data)
