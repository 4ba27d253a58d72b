"""Files whose names do not say what they are: read where that is certain, refused where they might be half of it."""

from pathlib import Path

import pytest

from pregen.config import SnapshotConfig
from pregen.errors import Finding
from tests.pregen.snapshot.desk import Desk, table


def named(desk: Desk, name: str, kind: str = "parquet") -> Path:
    """Write a table of that kind under any name."""
    path = desk.folder / "day" / name
    desk.write(f"made.{kind}", table()).rename(path)
    return path


def misnamed(desk: Desk) -> Finding:
    [finding] = desk.refusal(desk.folder / "day").findings
    assert finding.code == "file.suffix"
    return finding


@pytest.mark.parametrize("kind", ["parquet", "arrow", "ipc"])
@pytest.mark.parametrize("name", ["000000_0", "part-00001-0a1b-c000", "PARQUET"])
def test_a_table_without_a_suffix_is_read_beside_others(desk: Desk, kind: str, name: str) -> None:
    """Hive, Impala and Trino write them; half of such an export must not be left out with a warning."""
    desk.write("day/a.parquet", table())
    path = named(desk, name, kind)

    snapshot = desk.open(desk.folder / "day")

    assert path in snapshot.files
    assert [len(batch) for batch in snapshot.batches()] == [3, 3]
    assert snapshot.findings() == ()


@pytest.mark.parametrize("kind", ["parquet", "arrow", "ipc"])
@pytest.mark.parametrize("name", ["a.parq", "b.parquet.tmp", "c.2026-11-24", "d.txt", "e.parquet.bak", "f.pq"])
def test_a_table_under_another_suffix_is_refused_by_name(desk: Desk, kind: str, name: str) -> None:
    desk.write("day/a.parquet", table())
    path = named(desk, name, kind)

    finding = misnamed(desk)

    assert finding.examples == (str(path),)
    assert "rename what belongs to the snapshot" in finding.message
    assert "move away what does not" in finding.message


@pytest.mark.parametrize(
    "name", ["000000_0", "b.txt", "c.tsv", "d.csv.bz2", "e.csv.xz", "f.parquet.gz", "g.CSV.ZIP", "h.csv.bak"]
)
def test_csv_under_another_name_and_packed_tables_are_refused_by_name(desk: Desk, name: str) -> None:
    desk.write("day/a.csv", table())
    path = desk.folder / "day" / name
    header = (desk.folder / "day" / "a.csv").read_text()
    path.write_text(header.replace(",", "\t") if name.endswith("tsv") else header)

    assert misnamed(desk).examples == (str(path),)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("notes.txt", b"the serial column, by hand"),
        ("serials.txt", b"serial\n5a\n"),
        ("a.csv.sha256", b"5a" * 32),
        ("schema.json", b'{"serial": 1, "status": 2}'),
        ("logs.gz", b"\x1f\x8b"),
        ("empty", b""),
    ],
)
def test_what_is_no_part_of_an_export_is_ignored_with_a_word(desk: Desk, name: str, octets: bytes) -> None:
    desk.write("day/a.parquet", table())
    (desk.folder / "day" / name).write_bytes(octets)

    assert [one.code for one in desk.open(desk.folder / "day").findings()] == ["file.ignored"]


def test_all_of_them_are_named(desk: Desk) -> None:
    (desk.folder / "day").mkdir()
    paths = [named(desk, f"{name}.dat") for name in "abc"]

    assert (misnamed(desk).count, misnamed(desk).examples) == (3, tuple(map(str, paths)))


@pytest.mark.parametrize("name", ["_metadata", "_common_metadata", ".hidden", ".part.parquet"])
def test_marks_and_hidden_files_are_passed_over_whatever_they_hold(desk: Desk, name: str) -> None:
    desk.write("day/a.parquet", table())
    named(desk, name)

    snapshot = desk.open(desk.folder / "day")

    assert len(snapshot.files) == 1
    assert snapshot.findings() == ()


@pytest.mark.parametrize("octets", [b"", b"PAR", b"serial\n0a\n", b"\xff\xff\xff"])
def test_what_begins_as_no_table_is_ignored_with_a_word(desk: Desk, octets: bytes) -> None:
    desk.write("day/a.parquet", table())
    (desk.folder / "day" / "notes").write_bytes(octets)

    [finding] = desk.open(desk.folder / "day").findings()

    assert (finding.code, finding.severity) == ("file.ignored", "warning")


def test_folders_and_links_to_nowhere_are_no_tables(desk: Desk) -> None:
    desk.write("day/a.parquet", table())
    (desk.folder / "day" / "sub").mkdir()
    (desk.folder / "day" / "gone").symlink_to("nowhere")

    [finding] = desk.open(desk.folder / "day").findings()

    assert finding.count == 2


def test_below_partitions_and_in_folders_of_a_glob_it_is_the_same(desk: Desk) -> None:
    (desk.folder / "day" / "issuer=demo-r1").mkdir(parents=True)
    named(desk, "issuer=demo-r1/000000_0")

    config = SnapshotConfig(partitioning="hive")
    for pattern in ("day", "day/issuer=*"):
        assert len(desk.open(desk.folder / pattern, config=config).files) == 1
    assert len(desk.open(desk.folder / "day" / "is*").files) == 1
    named(desk, "issuer=demo-r1/b.old")
    assert [one.code for one in desk.refusal(desk.folder / "day" / "is*").findings] == ["file.suffix"]
