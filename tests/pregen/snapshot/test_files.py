"""Files that cannot be what they should be, each refused with its own code."""

import bz2
import gzip
import lzma
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from pregen.config import ColumnConfig
from pregen.errors import InputError
from pregen.snapshot.files import BATCH_ROWS, open_file
from tests.pregen.snapshot.desk import AS_OF, Desk, table


def code(error: InputError) -> str:
    [finding] = [finding for finding in error.findings if finding.severity == "error"]
    return finding.code


def csv(desk: Desk, octets: bytes) -> Path:
    path = desk.folder / "s.csv"
    path.write_bytes(octets)
    return path


HEX: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}


@pytest.mark.parametrize("name", ["nothing.parquet", "no/folder", "*.parquet"])
def test_a_missing_file_is_said_to_be_missing(desk: Desk, name: str) -> None:
    assert code(desk.refusal(desk.folder / name)) == "file.missing"


def test_a_folder_without_snapshot_files_is_refused(desk: Desk) -> None:
    (desk.folder / "notes.txt").write_text("x")

    error = desk.refusal(desk.folder)

    assert code(error) == "file.missing"
    assert "(.parquet, .orc, .arrow, .feather, .ipc, .csv, .csv.gz, .csv.zst)" in error.findings[0].message
    assert "subfolders" not in error.findings[0].message
    assert [(one.code, one.examples) for one in error.findings[1:]] == [
        ("file.ignored", (str(desk.folder / "notes.txt"),))
    ]


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [("issuer=r1/day=2", 'set partitioning = "hive" in'), ("r1", 'set partitioning = "directory", and partition_col')],
)
def test_a_folder_with_subfolders_alone_is_refused_with_the_way_to_read_them(
    desk: Desk, folder: str, remedy: str
) -> None:
    desk.write(f"day/{folder}/a.parquet", table())

    error = desk.refusal(desk.folder / "day")

    assert code(error) == "file.missing"
    assert f"it has subfolders: {remedy}" in error.findings[0].message
    assert error.findings[1].code == "file.ignored"
    assert error.findings[1].examples == (str(desk.folder / "day" / folder.partition("/")[0]),)


def test_what_a_folder_holds_and_is_not_read_is_counted_and_named(desk: Desk) -> None:
    desk.write("day/a.parquet", table())
    names = sorted([f"part-{number:02}.json" for number in range(24)] + ["b.parquet.tmp"])
    for name in (*names, ".hidden.txt", "_SUCCESS", "_committed_1.json"):
        (desk.folder / "day" / name).touch()
    (desk.folder / "day" / "region=1.parquet").mkdir()

    snapshot = desk.open(desk.folder / "day")
    assert [len(batch) for batch in snapshot.batches()] == [3]

    [finding] = snapshot.findings()
    assert (finding.code, finding.severity, finding.count) == ("file.ignored", "warning", 26)
    assert finding.examples == tuple(f"{desk.folder}/day/{name}" for name in names[:20])
    assert ".parquet, .orc, .arrow, .feather, .ipc, .csv" in finding.message
    assert [one.code for one in pickle.loads(pickle.dumps(snapshot)).findings()] == ["file.ignored"]


@pytest.mark.parametrize("pattern", ["day", "day/*.parquet", "day/a.parquet", "d*y/?.parquet"])
def test_what_a_glob_or_a_file_does_not_mean_is_not_ignored(desk: Desk, pattern: str) -> None:
    desk.write("day/a.parquet", table())
    (desk.folder / "day" / ("_SUCCESS" if pattern == "day" else "a.csv.bz2")).touch()

    snapshot = desk.open(desk.folder / pattern)

    assert [len(batch) for batch in snapshot.batches()] == [3]
    assert snapshot.findings() == ()


def test_bad_rows_come_before_files_that_are_not_read(desk: Desk) -> None:
    desk.write("day/a.parquet", table(1, status=pa.array([7])))
    (desk.folder / "day" / "b.json").touch()

    snapshot = desk.open(desk.folder / "day")
    list(snapshot.batches())

    assert [finding.code for finding in snapshot.findings()] == ["row.status.unknown", "file.ignored"]


def test_a_link_to_nowhere_is_not_skipped(desk: Desk) -> None:
    desk.write("day/a.parquet", table())
    (desk.folder / "day" / "b.parquet").symlink_to("gone")

    assert code(desk.refusal(desk.folder / "day")) == "file.missing"


def test_a_file_that_cannot_be_read_is_refused(desk: Desk) -> None:
    loop = desk.folder / "day" / "loop.parquet"
    loop.parent.mkdir()
    loop.symlink_to(loop)
    assert code(desk.refusal(loop.parent)) == "file.unreadable"

    pipe = desk.folder / "pipe.csv"
    os.mkfifo(pipe)
    assert code(desk.refusal(pipe)) == "file.unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_it_is_refused(desk: Desk) -> None:
    path = desk.write("s.parquet", table())
    path.chmod(0)

    assert code(desk.refusal(path)) == "file.unreadable"


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc", "s.csv"])
def test_an_empty_file_is_refused(desk: Desk, name: str) -> None:
    path = desk.folder / name
    path.touch()

    assert code(desk.refusal(path)) == "file.empty"


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc"])
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(desk: Desk, name: str, kept: float) -> None:
    path = desk.write(name, table(5_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])

    assert code(desk.refusal(path)) in {"file.damaged", "file.truncated"}


def test_a_stream_that_was_cut_between_two_batches_is_refused(desk: Desk) -> None:
    path = desk.write("s.ipc", table(5))
    path.write_bytes(path.read_bytes()[:-8])

    assert code(desk.refusal(path)) == "file.truncated"


@pytest.mark.parametrize("kept", [-1, -3])
def test_a_csv_file_that_ends_within_a_line_is_refused(desk: Desk, kept: int) -> None:
    path = csv(desk, b"serial,status\n0a,good\n0b,good\n"[:kept])

    assert code(desk.refusal(path, HEX)) == "file.truncated"


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"serial,status\n0a,good\n0b\n", "(row 2: Expected 2 columns, got 1: 0b)"),
        (b"serial,status\n0a,good\n\xff,good\n", "(row 2, column 'serial': "),
        (b'serial,status\n0a,good\n"0b,good\n', ""),
    ],
)
def test_a_malformed_csv_file_is_refused_with_the_row_where_possible(desk: Desk, octets: bytes, said: str) -> None:
    with pytest.raises(InputError) as caught:
        list(desk.open(csv(desk, octets), HEX, as_of=AS_OF).batches())

    assert code(caught.value) == "file.damaged"
    assert said in caught.value.findings[0].message


def test_csv_values_may_hold_separators_and_line_ends(desk: Desk) -> None:
    path = csv(desk, b'\xef\xbb\xbfserial,note,status\r\n0a,"one,\n""two""",good\r\n0b,,good\r\n')

    [batch] = desk.open(path, HEX, as_of=AS_OF).batches()

    assert batch.serial.to_pylist() == [b"\x0a", b"\x0b"]


def test_csv_fields_are_what_they_say_and_no_word_stands_for_null(desk: Desk) -> None:
    path = csv(desk, b"serial,status\n,good\nNA,good\n0a,NULL\n0b,\n0c,good\n")

    snapshot = desk.open(path, HEX, as_of=AS_OF)
    [batch] = snapshot.batches()

    assert batch.serial.to_pylist() == [b"\x0c"]
    assert {finding.code: finding.examples[0].partition(", ")[2] for finding in snapshot.findings()} == {
        "row.status.null": "row 4, status, ''",
        "row.status.unknown": "row 3, status, 'NULL'",
        "row.serial.empty": "row 1, serial, ''",
        "row.serial.not-hex": "row 2, serial, 'NA'",
    }


def test_csv_values_with_line_ends_may_lie_where_a_block_ends(desk: Desk) -> None:
    count = 60_000
    path = csv(desk, b"serial,note,status\n" + b'0a,"%s",good\n' % (b"x\n" * 50) * count)

    assert path.stat().st_size > 4 << 20
    assert sum(len(batch) for batch in desk.open(path, HEX, as_of=AS_OF).batches()) == count


def test_a_file_of_no_known_format_is_refused(desk: Desk) -> None:
    for name in ("s.parquet", "s.arrow", "s.txt"):
        path = desk.folder / name
        path.write_bytes(b"\x1f\x8bserial,status\n")
        assert code(desk.refusal(path)) == "file.format"


def test_the_octets_of_a_file_decide_and_not_its_name(desk: Desk) -> None:
    path = desk.write("s.parquet", table()).rename(desk.folder / "dump.bin")

    assert desk.open(path).files == (path,)


def test_damage_within_a_file_is_noticed_while_reading(desk: Desk) -> None:
    path = desk.folder / "s.parquet"
    pa.parquet.write_table(table(50_000), path, write_page_checksum=True, use_dictionary=False)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 0xFF
    path.write_bytes(whole)

    with pytest.raises(InputError) as caught:
        list(desk.open(path, as_of=AS_OF).batches())
    assert code(caught.value) == "file.damaged"


def test_offsets_that_lead_out_of_the_data_are_noticed(desk: Desk) -> None:
    path = desk.write("s.arrow", table(2, serial=pa.array([b"abc", b"def"])))
    offsets = np.array([0, 3, 6], np.int32).tobytes()
    whole = path.read_bytes()
    assert whole.count(offsets) == 1
    path.write_bytes(whole.replace(offsets, np.array([0, 3, 9_999], np.int32).tobytes()))

    assert code(desk.refusal(path)) == "file.damaged"


def test_text_that_is_not_utf8_is_noticed_in_every_format(desk: Desk) -> None:
    bad = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes()), pa.py_buffer(b"a\xff")]
    )
    for name in ("s.parquet", "s.arrow", "s.ipc"):
        assert code(desk.refusal(desk.write(name, table(2, status=bad)))) == "file.damaged"


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc", "s.csv"])
def test_column_names_that_are_not_utf8_are_noticed(desk: Desk, name: str) -> None:
    data = table(2, serial=pa.array(["1", "2"]), canton=pa.array(["ZH", "BE"]))
    path = desk.write(name, data)
    path.write_bytes(path.read_bytes().replace(b"canton", b"kant\xf6n"))

    with pytest.raises(InputError) as caught:
        desk.open(path, HEX, as_of=AS_OF)
    assert code(caught.value) == "file.damaged"


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.csv"])
def test_a_file_that_is_replaced_by_another_kind_while_it_is_read_is_noticed(desk: Desk, name: str) -> None:
    data = table(3, serial=pa.array(["1", "2", "3"]))
    snapshot = desk.open(desk.write(name, data), HEX, as_of=AS_OF)
    desk.write(name, data.drop_columns(["status"]))

    with pytest.raises(InputError) as caught:
        list(snapshot.batches())
    assert code(caught.value) in {"file.changed", "file.damaged"}


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc", "s.csv"])
def test_the_count_of_rows_is_known_roughly_before_they_are_read(desk: Desk, name: str) -> None:
    data = table(4_000, serial=pa.array(["7f" * 16] * 4_000), status=pa.array(["good"] * 4_000))
    rows = open_file(desk.write(name, data)).row_estimate

    assert rows == 4_000 if name == "s.parquet" else 2_000 < rows < 8_000


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc"])
def test_batches_are_bounded_whatever_the_file_holds(desk: Desk, name: str) -> None:
    path = desk.write(name, table(BATCH_ROWS + 5))

    sizes = [batch.num_rows for batch in open_file(path).batches(["serial"])]

    assert sizes == [BATCH_ROWS, 5]


def test_only_the_columns_that_are_asked_for_are_read(desk: Desk) -> None:
    for name in ("s.parquet", "s.arrow", "s.ipc", "s.csv"):
        data = table(2, serial=pa.array(["1", "2"]), other=pa.array([1, 2]))
        [batch] = open_file(desk.write(name, data)).batches(["status", "serial"])
        assert set(batch.schema.names) == {"status", "serial"}


def test_memory_does_not_grow_with_the_row_group(tmp_path: Path) -> None:
    """40 MB of serials in one row group; the peak is taken in a process of its own, as it never falls."""
    count = 2_000_000
    octets = np.random.default_rng(7).integers(1, 128, 20 * count, np.uint8).tobytes()
    offsets = np.arange(0, len(octets) + 1, 20, dtype=np.int32).tobytes()
    serial = pa.BinaryArray.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(octets)])
    data = pa.table({"serial": serial, "status": pa.array(np.zeros(count, np.uint8))})
    path = tmp_path / "s.parquet"
    pa.parquet.write_table(data, path, row_group_size=count, compression="none")
    program = """
import sys
from pathlib import Path
import pyarrow
from pregen.snapshot.files import open_file
rows = sum(batch.num_rows for batch in open_file(Path(sys.argv[1])).batches(["serial", "status"]))
print(rows, pyarrow.default_memory_pool().max_memory())
"""
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    rows, peak_bytes = map(int, done.stdout.split())

    assert rows == count
    assert peak_bytes < 20 * 2**20


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_a_packed_file_is_said_to_be_packed(desk: Desk, pack: Callable[[bytes], bytes], name: str) -> None:
    error = desk.refusal(csv(desk, pack(b"serial,status\n0a,good\n") + b"\n"), HEX)

    assert code(error) == "file.format"
    assert f"it is packed ({name}): unpack it" in error.findings[0].message


def test_what_is_packed_and_no_csv_is_said_to_be_packed(desk: Desk) -> None:
    for name in ("s.parquet.gz", "s.csv.gz.old", "s.gz"):
        path = desk.folder / name
        path.write_bytes(gzip.compress(b"serial,status\n0a,good\n"))
        error = desk.refusal(path, HEX)
        assert code(error) == "file.format"
        assert "it is packed (gzip)" in error.findings[0].message
