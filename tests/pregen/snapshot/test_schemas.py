"""Files of one snapshot whose columns differ: what some say and others do not is never taken for nothing."""

import pyarrow as pa
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import InputError
from tests.pregen.snapshot.desk import Desk, table

_TIMES = pa.nulls(3, pa.timestamp("ms", "UTC"))
_COLUMNS: dict[str, "pa.Array[pa.Scalar[pa.DataType]] | None"] = {
    "status": pa.array([0, 2, 1], pa.uint8()),
    "revoked_at": _TIMES,
    "issuer": pa.array(["demo-r1"] * 3),
    "not_after": _TIMES,
    "not_before": _TIMES,
    "kind": pa.array(["ca"] * 3),
    "needs_ocsp": pa.array([True] * 3),
    "reason": pa.array([1, 1, 1], pa.int8()),
}


def some_have(desk: Desk, name: str, kinds: str, *, rows: int = 3) -> str:
    """Write three files, of which the first one has the column, and the others do not."""
    usual = {"status": _COLUMNS["status"]} if name == "revoked_at" else {"revoked_at": _TIMES}
    suffixes = kinds.split()
    for number, suffix in enumerate(suffixes * (3 // len(suffixes))):
        columns = {"status": None, "revoked_at": None, **usual, name: _COLUMNS[name] if number == 0 else None}
        data = table(3, **columns)
        if suffix == "csv":
            data = data.set_column(0, "serial", pa.array(["0a", "0b", "0c"]))
        desk.write(f"day/{number}.{suffix}", data.slice(0, 3 if number == 0 else rows))
    return f"{desk.folder}/day"


@pytest.mark.parametrize("kinds", ["parquet", "arrow", "ipc", "parquet arrow ipc"])
@pytest.mark.parametrize("name", [name for name in _COLUMNS if name != "reason"])
def test_a_column_that_some_files_have_alone_is_an_error(desk: Desk, name: str, kinds: str) -> None:
    folder = some_have(desk, name, kinds)
    [first, second, third] = [f"{folder}/{n}.{kind}" for n, kind in enumerate((kinds.split() * 3)[:3])]

    [finding] = [one for one in desk.refusal(folder).findings if one.severity == "error"]

    assert (finding.code, finding.count) == ("column.differs", 2)
    assert finding.message.startswith(f"{second}: there is no column {name!r}, which {first} has: ")
    assert finding.examples == (second, third)


def test_so_it_is_in_csv(desk: Desk) -> None:
    folder = some_have(desk, "not_after", "csv")

    error = desk.refusal(folder, {"serial": ColumnConfig(encoding="hex")})

    assert [one.code for one in error.findings if one.code != "as-of.missing"] == ["column.differs"]


def test_a_reason_that_some_files_lack_is_a_warning(desk: Desk) -> None:
    snapshot = desk.open(some_have(desk, "reason", "parquet"))

    [finding] = snapshot.findings()

    assert (finding.code, finding.severity, finding.count) == ("column.differs", "warning", 2)


def test_what_the_configuration_names_is_needed_in_every_file(desk: Desk) -> None:
    error = desk.refusal(some_have(desk, "reason", "parquet"), {"reason": "reason"})

    assert [one.code for one in error.findings] == ["column.missing", "column.missing"]


@pytest.mark.parametrize("name", _COLUMNS)
def test_files_without_rows_may_lack_columns(desk: Desk, name: str) -> None:
    snapshot = desk.open(some_have(desk, name, "parquet", rows=0))

    assert [one.code for one in snapshot.findings() if one.code.startswith("column.")] == []


def test_a_column_in_a_file_without_rows_asks_nothing_of_others(desk: Desk) -> None:
    desk.write("day/a.parquet", table(0, not_after=pa.nulls(0, pa.timestamp("ms", "UTC"))))
    desk.write("day/b.parquet", table())

    assert [len(batch) for batch in desk.open(desk.folder / "day").batches() if len(batch)] == [3]


def test_columns_that_nobody_reads_may_differ(desk: Desk) -> None:
    desk.write("day/a.parquet", table(note=pa.array(["x"] * 3)))
    desk.write("day/b.parquet", table())

    assert desk.open(desk.folder / "day").findings() == ()


def test_a_column_of_a_folder_is_one_that_its_files_have(desk: Desk) -> None:
    """Files below folders of different columns are `partition.depth`; here all lie alike."""
    for issuer in ("demo-r1", "r2"):
        desk.write(f"lake/issuer={issuer}/a.parquet", table())
    desk.issuers = {"demo-r1": 0, "r2": 1}
    config = SnapshotConfig(partitioning="hive")

    assert desk.open(desk.folder / "lake", config=config).findings() == ()
    desk.write("lake/issuer=r2/b.parquet", table(kind=pa.array(["ca"] * 3)))
    with pytest.raises(InputError, match=r"there is no column 'kind', which .*/issuer=r2/b\.parquet has"):
        desk.open(desk.folder / "lake", config=config)
