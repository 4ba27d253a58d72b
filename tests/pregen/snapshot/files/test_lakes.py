"""Tables whose files are not the table: a row that was deleted there must not be read from its file."""

import pytest

from pregen.config import SnapshotConfig
from pregen.errors import InputError
from tests.pregen.snapshot.desk import Desk, table

MARKS = {
    "_delta_log/00000000000000000000.json": "Delta Lake",
    ".hoodie/hoodie.properties": "Apache Hudi",
    "metadata/00001-8a1f.metadata.json": "Apache Iceberg",
    "metadata/version-hint.text": "Apache Iceberg",
    "metadata/0e5c-m0.avro": "Apache Iceberg",
    "_spark_metadata/0": "stream of Spark",
}
NAMED = (
    "lake",
    "lake/*.parquet",
    "lake/part-0.parquet",
    "l*",
    "lake/day=1/p.parquet",
    "lake/day=*/p.parquet",
    "lake/data",
)


def refusal(desk: Desk, path: str, config: SnapshotConfig | None = None) -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        list(desk.open(desk.folder / path, config=config).batches())
    assert caught.value.exit_code == 3
    [finding] = caught.value.findings
    return finding.code, finding.message


def mark(desk: Desk, name: str) -> None:
    path = desk.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"{}")


@pytest.mark.parametrize("name", MARKS)
@pytest.mark.parametrize("path", NAMED)
def test_a_table_with_a_log_is_refused_however_it_is_named(desk: Desk, name: str, path: str) -> None:
    for file in ("part-0.parquet", "day=1/p.parquet", "data/a.parquet"):
        desk.write(f"lake/{file}", table())
    mark(desk, f"lake/{name}")

    code, message = refusal(desk, path)

    assert code == "snapshot.table-format"
    assert MARKS[name] in message
    assert "write the table's current rows to a new folder" in message


def test_a_partitioned_table_with_a_log_is_refused(desk: Desk) -> None:
    desk.write("lake/issuer=demo-r1/day=1/p.parquet", table())
    mark(desk, "lake/_delta_log/00000000000000000000.json")

    assert refusal(desk, "lake", SnapshotConfig(partitioning="hive"))[0] == "snapshot.table-format"


@pytest.mark.parametrize(
    "folder", ["delta_0000002_0000002_0000", "delete_delta_0000003_0000003", "base_0000005_v0000012"]
)
def test_a_transactional_table_of_hive_is_refused(desk: Desk, folder: str) -> None:
    desk.write(f"lake/{folder}/bucket_00000.parquet", table())

    assert refusal(desk, f"lake/{folder}") == refusal(desk, f"lake/{folder}/*")
    assert "transactional table of Hive" in refusal(desk, f"lake/{folder}/*")[1]


@pytest.mark.parametrize("name", ["metadata/schema.json", "delta_log/0.json", "_SUCCESS", "delta_20261124/x.json"])
def test_a_folder_that_only_sounds_like_such_a_table_is_read(desk: Desk, name: str) -> None:
    desk.write("day/a.parquet", table())
    mark(desk, f"day/{name}")

    assert sum(map(len, desk.open(desk.folder / "day").batches())) == 3
