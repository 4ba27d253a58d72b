"""Damage in the middle of a file: the message says in which part of it, and in which column."""

from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from pregen.config import ColumnConfig
from pregen.errors import InputError
from pregen.snapshot.files import BATCH_ROWS
from tests.pregen.snapshot.desk import AS_OF, Desk, table


def flip(path: Path, at: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at] ^= 0xFF
    path.write_bytes(octets)


@pytest.mark.parametrize("group", [0, 1, 4])
@pytest.mark.parametrize("column", [0, 1])
def test_the_row_group_and_the_column_of_a_damaged_page_are_named(desk: Desk, group: int, column: int) -> None:
    path = desk.write("s.parquet", table(10))
    pq.write_table(pq.read_table(path), path, row_group_size=2, write_page_checksum=True, use_dictionary=False)
    chunk = pq.read_metadata(path).row_group(group).column(column)
    flip(path, chunk.data_page_offset + chunk.total_compressed_size - 1)

    [finding] = desk.refusal(path).findings

    assert finding.code == "file.damaged"
    name = ("serial", "status")[column]
    assert f"{path}: it is damaged or cut off (row group {group + 1}, column {name!r}: " in finding.message


def test_damage_after_many_sound_row_groups_is_found_where_it_is(desk: Desk) -> None:
    path = desk.write("s.parquet", table(2 * BATCH_ROWS, revoked_at=None))
    pq.write_table(pq.read_table(path), path, row_group_size=50_000, write_page_checksum=True, use_dictionary=False)
    chunk = pq.read_metadata(path).row_group(5).column(0)
    flip(path, chunk.data_page_offset + chunk.total_compressed_size - 1)

    [finding] = desk.refusal(path).findings

    assert "(row group 6, column 'serial': " in finding.message


@pytest.mark.parametrize("suffix", ["arrow", "ipc"])
def test_the_record_batch_and_the_column_with_damaged_text_are_named(desk: Desk, suffix: str) -> None:
    path = desk.write(f"s.{suffix}", table(4, status=pa.array(["good", "good", "good", "gond"])))
    octets = path.read_bytes()
    data = pa.ipc.open_file(octets).read_all() if suffix == "arrow" else pa.ipc.open_stream(octets).read_all()
    with (pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream)(str(path), data.schema) as file:
        file.write_table(data, max_chunksize=2)
    path.write_bytes(path.read_bytes().replace(b"gond", b"go\xffd"))

    [finding] = desk.refusal(path).findings

    assert finding.code == "file.damaged"
    assert "(record batch 2: column 'status': " in finding.message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"7,,good\n", "row 200001: Expected 4 columns, got 3: 7,,good"),
        (b"7,,go\xffd,0b\n", "row 200001, column 'status': "),
        (b"7,,good,\xff\n", "row 200001, column 'serial': "),
    ],
)
def test_rows_of_csv_are_numbered_in_every_block_as_bad_rows_are(desk: Desk, row: bytes, said: str) -> None:
    path = desk.folder / "s.csv"
    sound = b"".join(b"%020d,,good,%x\n" % (at, at) for at in range(200_000))
    path.write_bytes(b"note,revoked_at,status,serial\n" + sound + row)
    assert path.stat().st_size > 4 << 20, "more than one block"

    columns: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}
    with pytest.raises(InputError) as caught:
        list(desk.open(path, columns, as_of=AS_OF).batches())

    [finding] = caught.value.findings
    assert finding.code == "file.damaged"
    assert said in finding.message


def test_a_value_that_a_dictionary_names_too_often_to_be_unfolded_is_refused(desk: Desk) -> None:
    rows = 600
    indices = pa.array([0] * rows, pa.int32())
    serials = pa.DictionaryArray.from_arrays(indices, pa.array([b"\1" * (2 << 20)]))
    path = desk.write("s.arrow", table(rows, serial=serials))

    [finding] = desk.refusal(path).findings

    assert finding.code == "file.damaged"
    assert (
        "(record batch 1: column 'serial': a value has 2,097,152 octets, as none of a snapshot has)" in finding.message
    )


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow"])
def test_a_long_value_that_can_be_unfolded_is_a_bad_row_like_others(desk: Desk, name: str) -> None:
    serials = pa.array([b"\1" * (1 << 20), b"\2", b"\1" * (1 << 20)]).dictionary_encode()

    [finding] = desk.findings(table(serial=serials), name=name).values()

    assert (finding.code, finding.count) == ("row.serial.too-long", 2)


def test_a_header_of_more_fields_than_any_table_has_is_refused_before_it_is_read(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    for header in (b"serial,status" + b"," * 9_999, b'"a\n,",serial,status' + b"," * 9_998):
        path.write_bytes(header + b"\n11,good\n")
        [finding] = desk.refusal(path).findings
        assert finding.code == "file.format"
        assert "more than 10,000 fields" in finding.message

    names = b",".join(b"x%d" % at for at in range(9_998))
    path.write_bytes(b"serial,status," + names + b"\n11,good" + b"," * 9_998 + b"\n")
    columns: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}
    assert [len(batch) for batch in desk.open(path, columns, as_of=AS_OF).batches()] == [1]


def test_a_row_that_is_longer_than_a_block_is_said_to_be(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    path.write_bytes(b"serial,status\n" + b"1" * (20 << 20) + b",good\n")

    [finding] = desk.refusal(path, {"serial": ColumnConfig(encoding="hex")}).findings

    assert "a row is longer than 4,194,304 octets, or a quotation mark is opened and never closed" in finding.message
