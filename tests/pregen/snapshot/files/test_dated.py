"""A file beside the export that holds its instant, for formats that cannot."""

from datetime import UTC, datetime

import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import Snapshot
from tests.pregen.snapshot.desk import AS_OF, Desk, table

CSV = b"serial,status\n0a,good\n"


def opened(desk: Desk, path: str, *, name: str = "as_of.txt", as_of: datetime | None = None) -> Snapshot:
    config = SnapshotConfig(columns={"serial": ColumnConfig(encoding="hex")}, as_of_file=name)
    return desk.open(desk.folder / path, config=config, as_of=as_of)


def export(desk: Desk, said: bytes | None = b"2026-11-24T03:00:00Z\n", name: str = "as_of.txt") -> None:
    (desk.folder / "day").mkdir(exist_ok=True)
    (desk.folder / "day" / "a.csv").write_bytes(CSV)
    if said is not None:
        (desk.folder / "day" / name).write_bytes(said)


def refused(desk: Desk, path: str = "day") -> tuple[str, str]:
    with pytest.raises(InputError) as caught:
        opened(desk, path)
    [finding] = caught.value.findings
    return finding.code, finding.message


@pytest.mark.parametrize("path", ["day", "day/a.csv", "day/*.csv", "d*y/a.csv"])
def test_the_instant_of_csv_is_what_the_file_beside_it_says(desk: Desk, path: str) -> None:
    export(desk)
    if path.startswith("d*y"):  # what stands before the first wildcard
        (desk.folder / "day" / "as_of.txt").rename(desk.folder / "as_of.txt")

    snapshot = opened(desk, path)

    assert snapshot.as_of == datetime(2026, 11, 24, 3, tzinfo=UTC)
    assert [len(batch) for batch in snapshot.batches()] == [1]
    assert snapshot.findings() == ()  # it is not "ignored"


@pytest.mark.parametrize("name", ["as_of.txt", "AS_OF", "as_of.csv", "stand.parquet"])
def test_it_is_no_part_of_the_snapshot_whatever_it_is_called(desk: Desk, name: str) -> None:
    export(desk, name=name)

    snapshot = opened(desk, "day", name=name)

    assert [str(path) for path in snapshot.files] == [f"{desk.folder}/day/a.csv"]
    assert snapshot.findings() == ()


@pytest.mark.parametrize(
    "said",
    [
        b"2026-11-24 03:00:00+00",
        b"2026-11-24 03:00:00.123456+00\r\n",
        b"\xef\xbb\xbf2026-11-23T20:00:00-07:00\n\n",
        b" 2026-11-24T03:00:00Z ",
    ],
)
def test_it_may_be_written_as_databases_do(desk: Desk, said: bytes) -> None:
    export(desk, said)

    assert opened(desk, "day").as_of == datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    [b"", b"\n", b"today", b"2026-11-24T03:00:00", b"\xff\xfe", b"2026-11-24T03:00:00Z\n2026-11-24", b"x" * 10_000],
)
def test_anything_else_is_refused(desk: Desk, said: bytes) -> None:
    export(desk, said)

    code, message = refused(desk)

    assert code == "as-of.malformed"
    assert message.startswith(f"{desk.folder}/day/as_of.txt: ")
    assert "write RFC 3339" in message
    assert len(message) < 700


def test_without_the_file_there_is_no_instant(desk: Desk) -> None:
    export(desk, None)

    code, message = refused(desk)

    assert code == "as-of.missing"
    assert message.startswith(f"{desk.folder}/day/as_of.txt: there is no such file, which as_of_file in")
    assert opened(desk, "day", as_of=AS_OF).as_of == AS_OF  # the command line wins, and needs none


def test_one_that_lies_ahead_is_refused(desk: Desk) -> None:
    export(desk, b"2026-11-25T03:00:00Z")

    assert refused(desk)[0] == "as-of.future"


def test_files_that_say_it_themselves_must_agree(desk: Desk) -> None:
    desk.write("day/b.parquet", table(), as_of="2026-11-24T02:00:00Z")
    desk.write("day/c.parquet", table(), as_of=None)
    (desk.folder / "day" / "as_of.txt").write_text("2026-11-24T02:00:00Z")
    config = SnapshotConfig(as_of_file="as_of.txt")

    assert desk.open(desk.folder / "day", config=config).as_of.hour == 2
    (desk.folder / "day" / "as_of.txt").write_text("2026-11-24T03:00:00Z")
    with pytest.raises(InputError, match="the files differ in"):
        desk.open(desk.folder / "day", config=config)


def test_an_as_of_later_than_the_file_says_is_a_warning(desk: Desk) -> None:
    export(desk)

    [finding] = opened(desk, "day", as_of=datetime(2026, 11, 24, 4, tzinfo=UTC)).findings()

    assert finding.code == "as-of.later-than-file"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a"])
def test_it_is_the_name_of_a_file_and_no_path(name: str) -> None:
    assert [problem.field for problem in SnapshotConfig(as_of_file=name).problems()] == ["as_of_file"]


def test_one_of_two_must_say_it() -> None:
    [problem] = SnapshotConfig(as_of_file="x", as_of=AS_OF).problems()

    assert "as_of says it already" in problem.text
