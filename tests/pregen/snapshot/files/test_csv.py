"""What exports do to CSV, and odd columns of every format: each works, or is refused with a reason."""

import functools
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet
import pytest

from pregen.config import ColumnConfig
from pregen.errors import Finding, InputError
from tests.pregen.snapshot.desk import AS_OF, Desk, table

HEX: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}


def csv(desk: Desk, octets: bytes) -> Path:
    path = desk.folder / "s.csv"
    path.write_bytes(octets)
    return path


def read(desk: Desk, octets: bytes) -> tuple[list[bytes], dict[str, Finding]]:
    snapshot = desk.open(csv(desk, octets), HEX, as_of=AS_OF)
    serials = [serial or b"" for batch in snapshot.batches() for serial in batch.serial.to_pylist()]
    return serials, {finding.code: finding for finding in snapshot.findings()}


def refusal(desk: Desk, octets: bytes) -> Finding:
    with pytest.raises(InputError) as caught:
        list(desk.open(csv(desk, octets), HEX, as_of=AS_OF).batches())
    [finding] = caught.value.findings
    return finding


@pytest.mark.parametrize(
    "octets",
    [
        b"\xef\xbb\xbfserial,status\n0a,good\n0b,good\n",
        b'\xef\xbb\xbf"serial","status"\r\n0a,good\r\n0b,good\r\n',
        b"serial,status\r\n0a,good\n0b,good\r\n",
        b"serial,status\r0a,good\r0b,good\r",
        b"serial,status\n0a,good\r0b,good\r\n",
        b'serial,note,status\n0a,"x\r\ny",good\n0b,"\n\n",good\n',
        b"serial,status\n\n0a,good\n\n0b,good\n\n",
        b"serial,x,x,status\n0a,,,good\n0b,,,good\n",
        b"serial,note,status\n0a,\0,good\n0b,\0\0,good\n",
    ],
    ids=["mark", "quotes", "mixed", "mac", "all-three", "in-quotes", "empty-lines", "twice-unused", "nul-unused"],
)
def test_odd_but_clear_files_are_read(desk: Desk, octets: bytes) -> None:
    assert read(desk, octets) == ([b"\x0a", b"\x0b"], {})


@pytest.mark.parametrize("mark", ["utf-16", "utf-16-be"])
def test_utf16_is_refused_by_name(desk: Desk, mark: str) -> None:
    octets = "\ufeffserial,status\n0a,good\n".encode(mark.replace("utf-16", "utf-16-le") if mark == "utf-16" else mark)

    finding = refusal(desk, octets)

    assert finding.code == "file.encoding"
    assert "export it as UTF-8" in finding.message


def test_a_nul_in_a_value_is_part_of_it_and_so_no_number_and_no_status(desk: Desk) -> None:
    serials, found = read(desk, b"serial,status\n0a\0,good\n0b,good\0\n0c,good\n")

    assert serials == [b"\x0c"]
    assert found["row.serial.not-hex"].examples == (f"{desk.folder}/s.csv, row 1, serial, '0a\\x00'",)
    assert found["row.status.unknown"].examples == (f"{desk.folder}/s.csv, row 2, status, 'good\\x00'",)


def test_a_nul_in_a_name_of_a_column_is_part_of_it(desk: Desk) -> None:
    finding = refusal(desk, b"serial\0,status\n0a,good\n")

    assert finding.code == "column.missing"
    assert r"'serial\x00'" in finding.message


def test_a_line_end_within_quotes_at_the_very_end_is_no_end(desk: Desk) -> None:
    for octets in (b'serial,status\n0a,"good\n', b'serial,status,note\n0a,good,"one ""two""\n', b'serial,"status\n'):
        assert refusal(desk, octets).code in {"file.damaged", "file.truncated"}


@pytest.mark.parametrize("octets", [b"serial,status\n0a,good,\n", b"serial,status\n0a\n"])
def test_rows_of_another_width_are_refused(desk: Desk, octets: bytes) -> None:
    assert refusal(desk, octets).code == "file.damaged"


@pytest.mark.parametrize(("separator", "called"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
@pytest.mark.parametrize(
    "header", ["serial,status,revoked_at", '"serial","status","revoked_at"', "\ufeffserial,status"]
)
def test_another_separator_is_called_by_its_name(desk: Desk, header: str, separator: str, called: str) -> None:
    finding = refusal(desk, f"{header}\n0a,good,\n".replace(",", separator).encode())

    assert finding.code == "file.separator"
    assert f"separated by {called}, and not by commas" in finding.message


def test_another_separator_within_a_name_or_a_value_is_part_of_it(desk: Desk) -> None:
    assert read(desk, b"serial,status,a;b|c\n0a,good,x;y\n0b,good,\t\n") == ([b"\x0a", b"\x0b"], {})


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_utf16_without_a_mark_is_refused_by_name(desk: Desk, encoding: str) -> None:
    finding = refusal(desk, "serial,status\n0a,good\n".encode(encoding))

    assert finding.code == "file.encoding"
    assert "UTF-16 without a mark" in finding.message


@functools.cache
def packed(octets: bytes, codec: Literal["gzip", "zstd"]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(octets)
    return sink.getvalue().to_pybytes()


PACKINGS = pytest.mark.parametrize(("codec", "suffix"), [("gzip", "gz"), ("zstd", "zst")])
MANY = 400_000  # rows, which are more than one block


@functools.cache
def rows(count: int = MANY) -> bytes:
    return b"serial,status\n" + b"".join(b"%06x,good\n" % (at + 0x10000) for at in range(count))


@PACKINGS
@pytest.mark.parametrize(("name", "count"), [("s.csv.{}", MANY), ("S.CSV.{}", 5), ("s.csv", 5)])
def test_packed_files_are_read_by_what_they_are(
    desk: Desk, codec: Literal["gzip", "zstd"], suffix: str, name: str, count: int
) -> None:
    path = desk.folder / "day" / name.format(suffix)
    path.parent.mkdir()
    path.write_bytes(packed(rows(count), codec))

    snapshot = desk.open(path.parent, HEX, as_of=AS_OF)

    batches = list(snapshot.batches())
    assert sum(map(len, batches)) == count
    first, last = batches[0].serial[0].as_py(), batches[-1].serial[-1].as_py()
    assert (first, last) == (b"\1\0\0", (0x10000 + count - 1).to_bytes(3, "big"))
    assert snapshot.findings() == ()
    assert snapshot.row_estimate > 1


@PACKINGS
def test_a_file_that_is_called_packed_and_is_not_is_read(
    desk: Desk, codec: Literal["gzip", "zstd"], suffix: str
) -> None:
    """Some HTTP clients unpack what they fetch and keep its name."""
    path = desk.folder / f"s.csv.{suffix}"
    path.write_bytes(b"serial,status\n0a,good\n")

    assert [len(batch) for batch in desk.open(path, HEX, as_of=AS_OF).batches()] == [1]


@PACKINGS
@pytest.mark.parametrize("at", [10, 40_000, -200, -1])
def test_packed_files_that_are_cut_off_are_damaged(
    desk: Desk, codec: Literal["gzip", "zstd"], suffix: str, at: int
) -> None:
    path = desk.folder / f"s.csv.{suffix}"
    path.write_bytes(packed(rows(), codec)[:at])

    with pytest.raises(InputError) as caught:
        list(desk.open(path, HEX, as_of=AS_OF).batches())

    assert [finding.code for finding in caught.value.findings] == ["file.damaged"]


@PACKINGS
@pytest.mark.parametrize("count", [MANY, 1])
def test_what_was_cut_off_before_it_was_packed_is_truncated(
    desk: Desk, codec: Literal["gzip", "zstd"], suffix: str, count: int
) -> None:
    path = desk.folder / f"s.csv.{suffix}"
    path.write_bytes(packed(rows(count)[:-3], codec))

    with pytest.raises(InputError) as caught:
        list(desk.open(path, HEX, as_of=AS_OF).batches())

    assert [finding.code for finding in caught.value.findings] == ["file.truncated"]


@PACKINGS
def test_the_other_mistakes_of_csv_are_found_in_packed_files_too(
    desk: Desk, codec: Literal["gzip", "zstd"], suffix: str
) -> None:
    path = desk.folder / f"s.csv.{suffix}"
    for octets, expected in (
        (b"serial;status\n0a;good\n", "file.separator"),
        ("serial,status\n0a,good\n".encode("utf-16"), "file.encoding"),
        (b'serial,status\n0a,"good\n', "file.truncated"),
        (b"serial,status\n0a\n", "file.damaged"),
        (b"", "file.damaged"),
    ):
        path.write_bytes(packed(octets, codec))
        with pytest.raises(InputError) as caught:
            list(desk.open(path, HEX, as_of=AS_OF).batches())
        assert [finding.code for finding in caught.value.findings] == [expected]


def test_several_members_of_gzip_are_one_file(desk: Desk) -> None:
    """`cat a.csv.gz b.csv.gz` makes them, and so do bgzip and some loggers."""
    path = desk.folder / "s.csv.gz"
    path.write_bytes(b"".join(packed(rows()[at : at + 1_000_000], "gzip") for at in range(0, len(rows()), 1_000_000)))

    assert sum(len(batch) for batch in desk.open(path, HEX, as_of=AS_OF).batches()) == MANY


def test_bytea_of_postgresql_is_hexadecimal(desk: Desk) -> None:
    serials, found = read(desk, b"serial,status\n\\x0a,good\n\\x00ff,good\n\\xff,good\n")
    assert (serials, found) == ([b"\x0a", b"\0\xff", b"\0\xff"], {})
    serials, found = read(desk, b"serial,status\n\\0a,good\n\\,good\n\\x,good\n0c,good\n")
    assert serials == [b"\x0c"]
    assert found["row.serial.not-hex"].count == 3


def test_truth_values_may_be_letters_as_postgresql_writes_them(desk: Desk) -> None:
    serials, found = read(desk, b"serial,status,needs_ocsp\n0a,good,t\n0b,good,f\n0c,good,\n")

    assert (serials, found) == ([b"\x0a", b"\x0c"], {})


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc", "s.csv"])
def test_a_column_of_which_there_are_two_is_refused(desk: Desk, name: str) -> None:
    data = table(2, serial=pa.array(["1", "2"]))
    data = data.append_column("status", data["status"])
    path = desk.folder / name
    if name == "s.csv":
        path.write_text("serial,status,status\n1,good,revoked\n")
    else:
        desk.write(name, data)

    error = desk.refusal(path, HEX)

    assert [finding.code for finding in error.findings if finding.code != "as-of.missing"] == ["column.duplicate"]
    assert "2 columns are called 'status'" in error.findings[0].message


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc"])
def test_columns_of_which_there_are_two_do_no_harm_where_they_are_not_read(desk: Desk, name: str) -> None:
    data = table(2).append_column("x", pa.array([1, 2])).append_column("x", pa.array(["a", "b"]))

    [batch] = desk.open(desk.write(name, data)).batches()

    assert len(batch) == 2


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc"])
@pytest.mark.parametrize("column", ["serial", "status", "revoked_at", "reason", "not_after", "issuer"])
def test_nested_columns_are_refused_where_they_are_read_and_only_there(desk: Desk, name: str, column: str) -> None:
    lists, structs = pa.array([[b"1"], [b"2"]]), pa.array([{"serial": b"1"}, {"serial": b"2"}])
    [batch] = desk.open(desk.write(name, table(2, tags=lists, more=structs))).batches()
    assert len(batch) == 2

    for nested in (lists, structs):
        error = desk.refusal(desk.write(name, table(2, **{column: nested})))
        assert [finding.code for finding in error.findings] == ["column.type"]
        assert f"column '{column}' is {str(nested.type).partition('<')[0]}<" in error.findings[0].message


@pytest.mark.parametrize("name", ["s.arrow", "s.ipc"])
def test_batches_without_rows_and_dictionaries_that_change_are_read(desk: Desk, name: str) -> None:
    types: list[pa.DataType] = [pa.dictionary(pa.int8(), pa.binary()), pa.dictionary(pa.int16(), pa.string())]
    schema = pa.schema(dict(zip(["serial", "status"], types, strict=True)))
    path = desk.folder / name

    def batch(serials: list[bytes], statuses: list[str]) -> pa.RecordBatch:
        arrays = [
            pa.array(serials, pa.binary()).dictionary_encode(),
            pa.array(statuses, pa.string()).dictionary_encode(),
        ]
        return pa.record_batch([one.cast(kind) for one, kind in zip(arrays, types, strict=True)], schema=schema)

    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True, unify_dictionaries=False)
    opener = pa.ipc.new_stream if name == "s.ipc" else pa.ipc.new_file
    first, second = batch([b"\1", b"\2"], ["good", "good"]), batch([b"\1", b"\2", b"\3"], ["good", "good", "unknown"])
    with opener(str(path), schema, options=options) as writer:
        for one in (first.slice(0, 0), first, first.slice(0, 0), second):
            writer.write_batch(one)

    batches = list(desk.open(path, as_of=AS_OF).batches())

    assert [one.serial.to_pylist() for one in batches] == [[b"\1", b"\2"], [b"\1", b"\2", b"\3"]]


def test_row_groups_without_rows_are_read(desk: Desk) -> None:
    path = desk.folder / "s.parquet"
    data = table(3)
    with pa.parquet.ParquetWriter(path, data.schema) as writer:
        for rows in (0, 2, 0, 1, 0):
            writer.write_table(data.slice(0, rows))

    batches = list(desk.open(path, as_of=AS_OF).batches())

    assert sum(map(len, batches)) == 3
    assert [row for batch in batches for row in batch.row.tolist()] == [0, 1, 2]
