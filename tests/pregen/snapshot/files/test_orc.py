"""ORC is read like Parquet: the same columns, the same refusals, and times by the same rules."""

import os
import pickle
import signal
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.orc
import pytest

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.errors import Finding, InputError, WorkerError
from pregen.snapshot.files import BATCH_ROWS, open_file
from pregen.snapshot.files.orc import OrcFile
from pregen.snapshot.files.orc_tail import is_encrypted
from pregen.snapshot.files.sources import LocalSource
from tests.pregen.snapshot.desk import AS_OF, Desk, table

DENVER: dict[str, str | ColumnConfig] = {"not_after": ColumnConfig(zone="America/Denver", ambiguous="latest")}
DECIMAL: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="decimal")}


def usual(count: int = 3, **more: "pa.Array[pa.Scalar[pa.DataType]] | None") -> pa.Table:
    """Return good rows of types that ORC has."""
    return table(count, **{"status": pa.array([0] * count, pa.int8()), **more})


def write(desk: Desk, data: pa.Table, *, stripe_bytes: int = 64 << 20, compression: str = "uncompressed") -> Path:
    path = desk.folder / "s.orc"
    pa.orc.write_table(data, path, stripe_size=stripe_bytes, compression=compression)  # type: ignore[arg-type]
    return path


def refusal(desk: Desk, path: Path, columns: Mapping[str, str | ColumnConfig] | None = None) -> Finding:
    with pytest.raises(InputError) as caught:
        list(desk.open(path, columns, as_of=AS_OF).batches())
    [finding] = caught.value.findings
    return finding


COMPRESSIONS = ["uncompressed", "zlib", "snappy", "zstd", "lz4"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_all_rows_of_all_stripes_are_read_in_order(desk: Desk, compression: str) -> None:
    count = 2 * BATCH_ROWS + 7
    path = write(desk, usual(count), stripe_bytes=1 << 16, compression=compression)
    assert pa.orc.ORCFile(path).nstripes > 2

    snapshot = pickle.loads(pickle.dumps(desk.open(path, as_of=AS_OF)))
    batches = list(snapshot.batches())

    serials = [serial for batch in batches for serial in batch.serial.to_pylist()]
    assert serials == table(count)["serial"].to_pylist()
    assert max(map(len, batches)) <= BATCH_ROWS
    assert snapshot.row_estimate == snapshot.rows_in == count
    assert snapshot.findings() == ()


def test_orc_may_lie_in_a_folder_beside_other_formats_with_its_suffix_or_none(desk: Desk) -> None:
    (desk.folder / "day").mkdir()
    write(desk, usual()).rename(desk.folder / "day" / "a.orc")
    write(desk, usual()).rename(desk.folder / "day" / "000000_0")
    desk.write("day/b.parquet", table())
    (desk.folder / "day" / "ORCHESTRA").write_text("ORCHESTRA is a word.")

    snapshot = desk.open(desk.folder / "day", as_of=AS_OF)

    assert [str(path).rpartition("/")[2] for path in snapshot.files] == ["000000_0", "a.orc", "b.parquet"]
    assert [len(batch) for batch in snapshot.batches()] == [3, 3, 3]
    [finding] = snapshot.findings()
    assert finding.examples == (f"{desk.folder}/day/ORCHESTRA",)
    write(desk, usual()).rename(desk.folder / "day" / "c.old")
    assert [one.code for one in desk.refusal(desk.folder / "day").findings] == ["file.suffix"]


def test_a_csv_whose_first_column_is_called_so_is_csv(desk: Desk) -> None:
    path = desk.folder / "s.csv"
    path.write_bytes(b"ORC_ID,serial,status\n1,0a,good\n")

    assert [len(one) for one in desk.open(path, {"serial": ColumnConfig(encoding="hex")}, as_of=AS_OF).batches()] == [1]


def test_folders_are_columns_of_orc_too(desk: Desk) -> None:
    (desk.folder / "day" / "issuer=demo-r1").mkdir(parents=True)
    write(desk, usual()).rename(desk.folder / "day" / "issuer=demo-r1" / "a.orc")

    [batch] = desk.open(desk.folder / "day", config=SnapshotConfig(partitioning="hive"), as_of=AS_OF).batches()

    assert batch.issuer.tolist() == [3, 3, 3]


def test_an_instant_is_an_instant_whatever_the_zone_of_the_writer(desk: Desk) -> None:
    path = write(desk, usual(not_after=pa.array([1_800_000_000, None, 1_900_000_000], pa.timestamp("s", "UTC"))))
    for zone in (b"GMT", b"EST", b"PRC"):
        path.write_bytes(path.read_bytes().replace(b"GMT", zone))
        [batch] = desk.open(path, as_of=AS_OF).batches()
        assert batch.not_after.tolist() == [1_800_000_000, 2**62, 1_900_000_000]


@pytest.mark.parametrize("writer", [b"GMT", b"EST", b"PRC"])
def test_a_local_time_is_what_the_clock_showed_whatever_the_zone_of_the_writer(desk: Desk, writer: bytes) -> None:
    """2027-07-01 00:00 in Denver, and the second 01:30 of the night when clocks go back."""
    wall = pa.array(["2027-07-01T00:00:00", "2026-11-01T01:30:00"]).cast(pa.timestamp("s"))
    path = write(desk, usual(2, not_after=wall))
    path.write_bytes(path.read_bytes().replace(b"GMT", writer))

    assert refusal(desk, path).code == "column.naive"
    snapshot = desk.open(path, DENVER, as_of=AS_OF)
    [batch] = snapshot.batches()
    assert batch.not_after.tolist() == [1_814_421_600, 1_793_521_800]


@pytest.mark.parametrize("second", [253_402_300_799, -62_135_596_800, 9_223_372_037])
def test_times_beyond_nanoseconds_are_refused_and_never_wrap(desk: Desk, second: int) -> None:
    path = write(desk, usual(1, not_after=pa.array([second], pa.timestamp("s", "UTC"))))

    finding = refusal(desk, path)

    assert finding.code == "file.unsupported"
    assert "column 'not_after'" in finding.message
    assert "export them as dates or text, or as Parquet" in finding.message


def test_dates_reach_the_year_9999(desk: Desk) -> None:
    path = write(desk, usual(1, not_after=pa.array([2_932_896], pa.int32()).cast(pa.date32())))
    declared = ColumnConfig(zone="UTC", time_of_day="23:59:59")

    [batch] = desk.open(path, {"not_after": declared}, as_of=AS_OF).batches()

    assert batch.not_after.tolist() == [253_402_300_799]


def test_types_are_judged_as_in_other_formats(desk: Desk) -> None:
    decimal = pa.array([10**37, 1, 2], pa.decimal128(38, 0))
    [batch] = desk.open(
        write(desk, usual(serial=decimal, note=pa.array([{"x": 1}] * 3))), DECIMAL, as_of=AS_OF
    ).batches()
    assert int.from_bytes(batch.serial[0].as_py() or b"", "big") == 10**37

    floats = write(desk, usual(serial=pa.array([1.0, 2.0, 3.0])))
    assert refusal(desk, floats, DECIMAL).code == "column.type"


def test_damage_is_found_where_it_is(desk: Desk) -> None:
    path = write(desk, usual(40_000, issuer=pa.array(["demo-r1"] * 40_000)), stripe_bytes=1 << 14, compression="zlib")
    octets = path.read_bytes()
    for damaged in (octets[:-5], octets[:30], b"ORC", octets[:40] + octets[90:], octets[-400:]):
        path.write_bytes(damaged)
        assert refusal(desk, path).code in {"file.damaged", "file.format"}

    opened = pa.orc.ORCFile(pa.BufferReader(octets))
    assert opened.nstripes > 1
    broken = bytearray(octets)
    for at in range(opened.content_length // 2, opened.content_length // 2 + 200):
        broken[at] ^= 0xFF
    path.write_bytes(broken)
    finding = refusal(desk, path)
    assert finding.code == "file.damaged"
    assert "(stripe " in finding.message


def test_text_that_is_no_utf8_is_damage(desk: Desk) -> None:
    path = write(desk, usual(issuer=pa.array(["demo-r1", "demo-r1", "demo-rX"])))
    path.write_bytes(path.read_bytes().replace(b"rX", b"\xffX"))

    finding = refusal(desk, path)

    assert finding.code == "file.damaged"
    assert "(stripe 1: column 'issuer': " in finding.message


def test_a_name_that_is_no_utf8_is_damage(desk: Desk) -> None:
    path = write(desk, usual())
    path.write_bytes(path.read_bytes().replace(b"serial", b"se\xffial"))

    assert refusal(desk, path).code == "file.damaged"


def test_such_a_name_within_a_column_that_is_not_asked_for_does_no_harm(desk: Desk) -> None:
    path = write(desk, usual(more=pa.array([{"within": 1}] * 3)))
    path.write_bytes(path.read_bytes().replace(b"within", b"wi\xffhin"))

    [batch] = open_file(path).batches(["status"])
    assert batch.num_rows == 3


def test_a_zone_of_the_writer_that_is_none_is_refused(desk: Desk) -> None:
    path = write(desk, usual(1, not_after=pa.array([0], pa.timestamp("s"))))
    path.write_bytes(path.read_bytes().replace(b"GMT", b"XYZ"))

    finding = refusal(desk, path, DENVER)

    assert finding.code == "file.damaged"
    assert "Time zone file" in finding.message


def test_a_reader_that_aborts_or_never_returns_is_damage_and_not_the_end_of_the_run(desk: Desk) -> None:
    """Both by one flipped bit: a precision that cannot be, and lengths of which the reader sees no end."""
    path = write(desk, usual(2_000, serial=pa.array(range(1, 2_001), pa.decimal128(38, 0))))
    octets = path.read_bytes()
    at = octets.rindex(b"\x28\x26\x30\x00") + 1  # fields of the schema: precision 38, scale 0
    path.write_bytes(octets[:at] + bytes([octets[at] ^ 0x40]) + octets[at + 1 :])

    finding = refusal(desk, path, DECIMAL)

    assert finding.code == "file.crashed"
    assert "its reader was ended by SIGABRT" in finding.message
    assert "export it again" in finding.message


def readers() -> set[str]:
    """Return the readers among the processes that this one has started; the servers of other tests are no readers."""
    started = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {one for one in started if b"orc_child" in Path(f"/proc/{one}/cmdline").read_bytes()}


def test_one_reader_reads_all_files_and_is_not_left_behind_by_who_wants_no_more_rows(desk: Desk) -> None:
    before = readers()
    path = write(desk, usual(100_000), stripe_bytes=1 << 14)
    file = open_file(path)
    one = readers()
    for _ in range(3):
        assert sum(batch.num_rows for batch in file.batches(["serial"])) == 100_000
    assert readers() == one

    batches = file.batches(["serial"])
    assert len(next(batches)) > 0
    others = file.batches(["serial"])  # of the same file at the same time
    assert next(others).equals(next(open_file(path).batches(["serial"])))
    assert len(readers()) > len(one)
    batches.close()  # type: ignore[attr-defined]
    others.close()  # type: ignore[attr-defined]

    assert len(readers()) <= max(len(before), 1)


def test_a_reader_that_takes_too_long_is_ended(desk: Desk) -> None:
    path = write(desk, usual(3))
    file = OrcFile(LocalSource.at(path), patience_s=1)
    assert [batch.num_rows for batch in file.batches(["serial"])] == [3]

    path.write_bytes(Path(__file__).with_name("never_ending.orc").read_bytes())  # one flipped bit
    file = OrcFile(LocalSource.at(path), patience_s=1)
    with pytest.raises(InputError, match="did not come to an end of a part of it within 1 s"):
        list(file.batches(["serial", "status", "issuer", "t", "d"]))


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def with_footer_fields(octets: bytes, more: bytes) -> bytes:
    """Return a file with other fields at the end of its footer, which is stored unpacked, as any chunk may be."""
    opened = pa.orc.ORCFile(pa.BufferReader(octets))
    packed_size, postscript = opened.file_footer_length, octets[-1 - octets[-1] : -1]
    tail: bytes = opened.reader.serialized_file_tail()  # type: ignore[assignment]
    before = b"\x0a" + varint(len(postscript)) + postscript + b"\x12"
    after = b"\x18" + varint(opened.file_length) + b"\x20" + varint(len(postscript))
    assert tail.startswith(before + tail[len(before) : -len(after)])
    assert tail.endswith(after)
    footer = tail[len(before) : -len(after)]
    footer = footer[next(at for at, octet in enumerate(footer) if octet < 128) + 1 :] + more  # its length goes
    if opened.compression != "UNCOMPRESSED":
        footer = (len(footer) << 1 | 1).to_bytes(3, "little") + footer
    length = b"\x08" + varint(packed_size)
    assert postscript.startswith(length)
    postscript = b"\x08" + varint(len(footer)) + postscript[len(length) :]
    return octets[: -1 - octets[-1] - packed_size] + footer + postscript + bytes([len(postscript)])


@pytest.mark.parametrize(
    "compression",
    [
        "uncompressed",
        "zstd",
        *(pytest.param(one, marks=pytest.mark.slow) for one in COMPRESSIONS if one not in {"uncompressed", "zstd"}),
    ],
)
def test_encrypted_columns_are_refused_because_who_has_no_key_reads_nulls(desk: Desk, compression: str) -> None:
    """A revocation that is masked by null would be published as good."""
    path = write(desk, usual(300), compression=compression)
    octets = path.read_bytes()
    encryption = b"\x52\x04\x0a\x02\x08\x01"  # field 10, Encryption: with a mask
    stripe = b"\x1a\x04\x30\x01\x3a\x00"  # another StripeInformation, with encryptStripeId and encryptedLocalKeys
    for fields in (encryption, stripe):
        path.write_bytes(with_footer_fields(octets, fields))
        finding = refusal(desk, path)
        assert finding.code == "file.encrypted"
        assert "export it without encryption" in finding.message

    for fields in (b"", b"\x52\x00", b"\xa2\x06\x04\x52\x02\x08\x01"):  # nothing, nothing encrypted, of a later version
        path.write_bytes(with_footer_fields(octets, fields))
        [batch] = desk.open(path, as_of=AS_OF).batches()
        assert len(batch) == 300


def test_a_damaged_tail_is_damage(desk: Desk) -> None:
    for tail in (
        b"\x12\x02\x52",
        b"\x12\x01\x53",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x12\x01\xff",
    ):
        with pytest.raises(pa.ArrowInvalid, match="its tail is damaged"):
            is_encrypted(tail)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_reader_that_others_have_ended_is_no_fault_of_the_file(desk: Desk, number: signal.Signals) -> None:
    path = write(desk, usual(100_000), stripe_bytes=1 << 14)
    before = readers()
    open_file(path)
    file = open_file(path).batches(["serial"])
    next(file)
    for reader in readers() - before or before:
        os.kill(int(reader), number)

    with pytest.raises(WorkerError, match=f"the reader of .*s.orc was ended by {number.name}"):
        list(file)


def test_a_file_that_ends_its_reader_while_it_is_written_is_told_as_changed(desk: Desk) -> None:
    path = write(desk, usual(100_000), stripe_bytes=1 << 14)
    before = readers()
    file = open_file(path).batches(["serial"])
    next(file)
    path.write_bytes(path.read_bytes() + b"\0")
    for reader in readers() - before or before:
        os.kill(int(reader), signal.SIGSEGV)

    with pytest.raises(InputError) as caught:
        list(file)
    assert [finding.code for finding in caught.value.findings] == ["file.changed"]
