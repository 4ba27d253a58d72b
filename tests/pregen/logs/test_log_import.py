import gzip
import os
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen.errors import InputError, UsageError
from pregen.logs import day_files
from pregen.logs.day_files import DAY_FILE, DaySorter
from pregen.logs.log_import import ImportedLogs, import_logs, imports_in
from pregen.logs.log_reading import LogReading
from pregen.logs.parsing import REQUEST_FIELDS
from tests.pregen.logs.written import START, Writer, a_day, write

if TYPE_CHECKING:
    from collections.abc import Callable


def do_import(out: Path, *paths: Path) -> ImportedLogs:
    return import_logs(paths, out, now=START, progress=lambda *_: None)


def rows_of(folder: Path) -> list[dict[str, object]]:
    tables = [pq.read_table(path, partitioning=None) for path in sorted(folder.rglob(DAY_FILE))]
    return [row for table in tables for row in table.to_pylist()]


def test_each_day_is_a_file_sorted_by_serial_with_every_request_of_it(tmp_path: Path) -> None:
    random.seed(1)
    worker = Writer().counts(0)
    for second in range(0, 3 * 86_400, 900):
        worker.asks(second, None if second % 11 == 0 else f"{random.getrandbits(16):x}")
    path = write(tmp_path / "log", worker.lines)

    imported = do_import(tmp_path / "out", path)

    assert imported.days == {"2026-12-01": 96, "2026-12-02": 96, "2026-12-03": 96}
    for day in imported.days:
        table = pq.read_table(imported.folder / f"day={day}" / DAY_FILE, partitioning=None)
        serials = table["serial"].to_pylist()
        assert serials == sorted(serials, key=lambda serial: (serial is None, serial))
        assert {f"{time:%Y-%m-%d}" for time in table["time"].to_pylist()} == {day}
    reading = LogReading([path], lambda *_: None)
    expected = [row for table in reading.tables() for row in table.to_pylist()]
    assert sorted(map(str, rows_of(imported.folder))) == sorted(map(str, expected))


@pytest.mark.parametrize("kind", ["hot", "none", "all alike", "random", "prefixes"])
def test_days_that_do_not_fit_into_memory_are_sorted_all_the_same(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_files, "LINES_SORTED_AT_ONCE", 32)
    monkeypatch.setattr(day_files, "LINES_IN_GROUP", 4)
    random.seed(2)
    drawn: dict[str, Callable[[], str | None]] = {
        "hot": lambda: random.choice(["ab", "ab", "ab", f"{random.getrandbits(12):x}", "-1", None]),
        "none": lambda: None,
        "all alike": lambda: "ab",
        "random": lambda: f"{random.getrandbits(64):x}",
        "prefixes": lambda: "a" * random.randrange(1, 40),
    }
    draw = drawn[kind]
    serials = [draw() for _ in range(400)]
    rows = [{"time": START + timedelta(seconds=at), "serial": serial} for at, serial in enumerate(serials)]
    (tmp_path / "spill").mkdir()
    sorter = DaySorter(tmp_path, tmp_path / "spill")
    written, sizes = pq.ParquetWriter.write_table, list[int]()

    def note(self: pq.ParquetWriter, table: pa.Table, **how: int) -> None:
        sizes.append(table.num_rows)
        written(self, table, **how)

    for first in range(0, len(rows), 20):
        sorter.take(pa.Table.from_pylist(rows[first : first + 20], REQUEST_FIELDS))
    monkeypatch.setattr(pq.ParquetWriter, "write_table", note)
    assert sorter.finish() == {"2026-12-01": 400}

    table = pq.read_table(tmp_path / "day=2026-12-01" / DAY_FILE, partitioning=None)
    assert table["serial"].to_pylist() == sorted(serials, key=lambda serial: (serial is None, serial))
    assert sorted(map(str, table["time"].to_pylist())) == sorted(str(row["time"]) for row in rows)
    assert max(sizes) <= 32 + 4 * 10  # a range, and what of the row groups at its ends is of it
    assert list((tmp_path / "spill").iterdir()) == []


def test_an_import_is_added_to_those_before_and_what_is_there_already_is_refused(tmp_path: Path) -> None:
    lines, out = a_day().lines, tmp_path / "out"
    first, second = write(tmp_path / "a", lines[:300]), write(tmp_path / "b", lines[300:])
    do_import(out, first)
    before = sorted(map(str, out.rglob("*")))
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(first.read_bytes()))

    with pytest.raises(InputError) as refused:
        do_import(out, second, packed)

    assert refused.value.findings[0].code == "logs.file.imported-already"
    assert sorted(map(str, out.rglob("*"))) == before
    do_import(out, second)
    assert [len(one.files) for one in imports_in(out)] == [1, 1]
    assert len(rows_of(out)) == 601


def test_a_file_that_is_named_twice_counts_once_or_not_at_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a", a_day().lines)

    with pytest.raises(InputError, match="would count twice"):
        do_import(tmp_path / "out", path, path)


def test_what_is_no_request_log_is_refused_by_name(tmp_path: Path) -> None:
    log, other = write(tmp_path / "log", a_day().lines), write(tmp_path / "access", ['10.0.0.1 - - "GET / HTTP/1.1"'])

    with pytest.raises(InputError) as refused:
        do_import(tmp_path / "out", log, other)

    assert refused.value.findings[0].code == "logs.file.not-a-log"
    assert str(other) in refused.value.findings[0].message
    assert list((tmp_path / "out").glob("*")) == [tmp_path / "out" / ".lock"]
    for name, text in (("nothing", "there is no file"), ("", "is a folder")):
        with pytest.raises(UsageError, match=text):
            do_import(tmp_path / "out", tmp_path / name)


def test_what_an_import_says_of_itself_is_not_believed_when_it_is_damaged(tmp_path: Path) -> None:
    imported = do_import(tmp_path / "out", write(tmp_path / "a", a_day().lines))
    (imported.folder / "_import.json").write_text('{"version": 1, "files": 5}')

    with pytest.raises(InputError, match="is damaged"):
        imports_in(tmp_path / "out")


def test_a_killed_import_leaves_the_old_one_whole_and_its_remains_go_with_the_next(tmp_path: Path) -> None:
    out, lines = tmp_path / "out", a_day().lines
    do_import(out, write(tmp_path / "a", lines))
    before = rows_of(out)
    large = tmp_path / "large"
    worker = Writer("cccccccc").counts(0)
    for second in range(2_000):
        worker.asks(second)
    large.write_text("".join(f"{line}\n" for line in worker.lines) * 40)
    os.mkfifo(fifo := tmp_path / "fifo")
    command = [sys.executable, "-m", "pregen", "logs", "import", str(large), str(fifo), "--out", str(out), "--quiet"]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob(".unfinished-*/spill")) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(imports_in(out)) == 1
        process.send_signal(signal.SIGKILL)

    assert rows_of(out) == before
    assert list(out.glob(".unfinished-*")) != []
    do_import(out, write(tmp_path / "b", Writer("dddddddd").counts(0).asks(5).lines))
    assert list(out.glob(".unfinished-*")) == []
    assert len(rows_of(out)) == len(before) + 1
