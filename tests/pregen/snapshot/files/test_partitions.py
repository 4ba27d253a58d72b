"""Folders that stand for columns: what they say, and what they cannot say."""

import pickle

import pyarrow as pa
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import RowStatus, Snapshot
from tests.pregen.snapshot.desk import Desk, table

REVOKED = RowStatus.REVOKED

HIVE = SnapshotConfig(path="day", partitioning="hive")
ISSUERS = {"r1": 1, "r 2/x": 2, "ü": 3}


def issuers(snapshot: Snapshot) -> dict[str, list[int]]:
    return {str(snapshot.files[batch.file]): batch.issuer.tolist() for batch in snapshot.batches()}


def refused(desk: Desk, config: SnapshotConfig) -> InputError:
    with pytest.raises(InputError) as caught:
        list(desk.open(None, config=config).batches())
    assert caught.value.exit_code == 3
    return caught.value


@pytest.mark.parametrize("name", ["p.parquet", "p.arrow", "p.ipc"])
def test_names_and_values_of_hive_folders_are_columns(desk: Desk, name: str) -> None:
    desk.issuers = ISSUERS
    folder = desk.folder / "day"
    desk.write(f"day/issuer=r1/{name}", table(2))
    desk.write(f"day/issuer=r%202%2fx/deep/../{name}", table(1))
    desk.write(f"day/issuer=ü/{name}", table(3))

    snapshot = desk.open(None, config=HIVE)

    assert issuers(pickle.loads(pickle.dumps(snapshot))) == {
        f"{folder}/issuer=r%202%2fx/{name}": [2],
        f"{folder}/issuer=r1/{name}": [1, 1],
        f"{folder}/issuer=ü/{name}": [3, 3, 3],
    }


def test_csv_files_lie_in_folders_too(desk: Desk) -> None:
    desk.issuers = ISSUERS
    for name, serial in (("r1", "0a"), ("ü", "0b")):
        path = desk.folder / f"day/issuer={name}/p.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"serial,status\n{serial},good\n")
    columns: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}

    snapshot = desk.open(None, config=SnapshotConfig(path="day", partitioning="hive", columns=columns), as_of=desk.now)

    assert list(issuers(snapshot).values()) == [[1], [3]]


def test_any_column_and_any_depth_can_be_folders(desk: Desk) -> None:
    desk.issuers = ISSUERS
    data = table(2, status=None, revoked_at=None)
    desk.write("day/issuer=r1/state=good/revoked_at=__HIVE_DEFAULT_PARTITION__/p.parquet", data)
    desk.write("day/issuer=ü/state=gone/revoked_at=2026-11-01T00:00:00Z/p.parquet", data)
    columns: dict[str, str | ColumnConfig] = {
        "status": ColumnConfig(name="state", values={"good": ["good"], "revoked": ["gone"]})
    }

    snapshot = desk.open(None, config=SnapshotConfig(path="day", partitioning="hive", columns=columns))
    _, batch = snapshot.batches()

    assert batch.status.tolist() == [REVOKED] * 2
    assert batch.revoked_at.tolist() == [1_793_491_200] * 2
    assert snapshot.findings() == ()


def test_a_null_is_found_where_it_is_not_allowed(desk: Desk) -> None:
    desk.issuers = ISSUERS
    desk.write("day/issuer=__HIVE_DEFAULT_PARTITION__/p.parquet", table(2))

    snapshot = desk.open(None, config=HIVE)

    assert list(snapshot.batches()) == []
    [finding] = snapshot.findings()
    assert (finding.code, finding.count) == ("row.issuer.null", 2)
    assert finding.examples[0].endswith("p.parquet, row 1, issuer, null")


def test_values_of_plain_folders_are_named_by_the_configuration(desk: Desk) -> None:
    desk.issuers = ISSUERS
    desk.write("day/r1/2026/p.parquet", table(1))
    desk.write("day/r%202%2Fx/2026/p.parquet", table(2))

    config = SnapshotConfig(path="day", partitioning="directory", partition_columns=("issuer", "year"))

    assert list(issuers(desk.open(None, config=config)).values()) == [[2, 2], [1]]


def test_what_stands_before_the_first_wildcard_is_no_partition(desk: Desk) -> None:
    desk.issuers = ISSUERS
    desk.write("day=1/issuer=r1/p.parquet", table(1))
    desk.write("day=1/issuer=ü/p.parquet", table(1))
    desk.write("day=2/issuer=ü/p.parquet", table(1))

    glob = desk.open(None, config=SnapshotConfig(path="day=1/*/p.*", partitioning="hive"))
    whole = desk.open(None, config=SnapshotConfig(path="day=*", partitioning="hive"))

    assert list(issuers(glob).values()) == [[1], [3]]
    assert list(issuers(whole).values()) == [[1], [3], [3]]


def test_hidden_files_and_folders_and_marks_are_passed_over_and_the_rest_is_named(desk: Desk) -> None:
    desk.write("day/_shelf=x/p.parquet", table(1))
    desk.write("day/_temporary/0/p.parquet", table(1))
    desk.write("day/.trash/p.parquet", table(1))
    desk.write("day/_shelf=x/.p.parquet", table(1))
    (desk.folder / "day/_SUCCESS").touch()
    (desk.folder / "day/_shelf=x/notes.docx").touch()

    snapshot = desk.open(None, config=HIVE)

    assert [str(path) for path in snapshot.files] == [f"{desk.folder}/day/_shelf=x/p.parquet"]
    [finding] = snapshot.findings()
    assert (finding.code, finding.examples) == ("file.ignored", (f"{desk.folder}/day/_shelf=x/notes.docx",))


def test_without_partitioning_subfolders_are_not_read_and_the_warning_says_how(desk: Desk) -> None:
    desk.write("day/p.parquet", table(1))
    desk.write("day/issuer=r1/p.parquet", table(1))

    snapshot = desk.open(None, config=SnapshotConfig(path="day"))

    [finding] = snapshot.findings()
    assert (finding.code, finding.examples) == ("file.ignored", (f"{desk.folder}/day/issuer=r1",))
    assert "partitioning in [snapshot]" in finding.message


def test_a_link_to_a_folder_is_followed_and_a_circle_refused(desk: Desk) -> None:
    desk.issuers = ISSUERS
    desk.write("elsewhere/p.parquet", table(1))
    (desk.folder / "day").mkdir()
    (desk.folder / "day/issuer=r1").symlink_to("../elsewhere")
    assert list(issuers(desk.open(None, config=HIVE)).values()) == [[1]]

    (desk.folder / "elsewhere/day=1").symlink_to("../day")
    [finding] = refused(desk, HIVE).findings
    assert finding.code == "file.unreadable"


def test_everything_that_is_wrong_with_folders_is_found_at_once(desk: Desk) -> None:
    names = ["issuer=r1/p", "issuer=r1/day=1/p", "notes/p", "=x/p", "issuer=%zz/p", "issuer=%ff/p", "a=1/a=2/p"]
    for name in names:
        desk.write(f"day/{name}.parquet", table(1))

    error = refused(desk, HIVE)

    found = {finding.code: (finding.count, len(finding.examples)) for finding in error.findings}
    assert found == {
        "partition.scheme": (2, 2),
        "partition.encoding": (2, 2),
        "partition.repeated": (1, 1),
        "partition.depth": (2, 2),
    }
    [depth] = [finding for finding in error.findings if finding.code == "partition.depth"]
    assert depth.examples == (
        f"{desk.folder}/day/issuer=r1/day=1/p.parquet has issuer, day",
        f"{desk.folder}/day/issuer=r1/p.parquet has issuer",
    )
    assert "rename" in next(finding.message for finding in error.findings if finding.code == "partition.scheme")


def test_files_at_another_depth_than_the_named_columns_are_all_found(desk: Desk) -> None:
    for at in range(25):
        desk.write(f"day/r1/{at}/p.parquet", table(1))
    desk.write("day/r1/p.parquet", table(1))
    config = SnapshotConfig(path="day", partitioning="directory", partition_columns=("issuer",))

    [finding] = refused(desk, config).findings

    assert (finding.code, finding.count, len(finding.examples)) == ("partition.depth", 25, 20)
    assert "lies 2 folder(s) deep, and partition_columns in [snapshot] names 1 (issuer)" in finding.message
    assert "name one column for each folder" in finding.message


def test_a_column_in_the_file_and_in_its_folder_is_refused_in_every_file(desk: Desk) -> None:
    for name in ("r1", "ü"):
        desk.write(f"day/issuer={name}/p.parquet", table(1, issuer=pa.array(["r1"])))

    error = refused(desk, HIVE)

    assert [finding.code for finding in error.findings] == ["partition.column"] * 2
    assert "column 'issuer' is in the file, and its folder says 'r1' too" in error.findings[0].message
