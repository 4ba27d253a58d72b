"""A file that changes between two looks at it is refused, whatever kind of change it is."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from pregen.config import ColumnConfig
from pregen.errors import InputError
from pregen.snapshot import Reading, Snapshot
from tests.pregen.snapshot.desk import AS_OF, Desk, table

HEX: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}
FORMATS = ["s.parquet", "s.arrow", "s.ipc", "s.csv"]
ROWS = 150_000  # several batches, and blocks of CSV


def replaced(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    copy.replace(path)


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def written(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    with path.open("r+b") as file:
        file.write(octets)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


CHANGES = [replaced, grown, truncated, written, Path.unlink]


def export(desk: Desk, name: str, rows: int = 3) -> Path:
    return desk.write(name, table(rows, serial=pa.array(["%040x" % (at + 1) for at in range(rows)])))


def code(error: InputError) -> str:
    [finding] = error.findings
    assert error.exit_code == 3
    assert "run again when it is complete" in finding.message
    return finding.code


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FORMATS)
def test_a_change_after_the_first_look_is_noticed_by_whoever_reads_it(
    desk: Desk, name: str, change: Callable[[Path], None]
) -> None:
    path = export(desk, name)
    snapshot: Snapshot = pickle.loads(pickle.dumps(desk.open(path, HEX, as_of=AS_OF)))
    change(path)

    with pytest.raises(InputError) as caught:
        list(snapshot.read(0, Reading()))
    assert code(caught.value) == "file.changed"


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", FORMATS)
def test_a_change_in_the_middle_of_reading_is_noticed(desk: Desk, name: str, change: Callable[[Path], None]) -> None:
    path = export(desk, name, ROWS)
    batches = desk.open(path, HEX, as_of=AS_OF).batches()
    next(batches)
    change(path)

    with pytest.raises(InputError) as caught:
        list(batches)
    assert code(caught.value) == "file.changed"


def test_a_file_that_stays_the_same_is_read_as_often_as_one_likes(desk: Desk) -> None:
    path = export(desk, "s.csv")
    os.utime(path, (1, 1))
    snapshot = desk.open(path, HEX, as_of=AS_OF)
    path.chmod(0o600)
    path.read_bytes()

    assert [sum(map(len, snapshot.batches())) for _ in range(2)] == [3, 3]
