"""Parquet: files that are damaged, columns that are not what they should be, values that cannot be."""

import os
from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.damages.kinds import Damage, Make, both, columns, metadata, octets, snapshot
from tests.pregen.cli.ca import SERIALS, Ca, Column, instants
from tests.pregen.cli.ca import octets as contents

FILE = "snapshot.parquet"
USUAL = [serial.to_bytes(serial.bit_length() // 8 + 1, "big") for serial in SERIALS]
_UNSIGNED = {"encoding": "unsigned-binary"}


def changed(change: Callable[[pa.Table], pa.Table]) -> Make:
    """Return what writes another table, with the metadata of the usual one."""

    def make(ca: Ca) -> None:
        table = pq.read_table(ca.snapshot)
        pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), ca.snapshot)

    return make


def exported(**arrays: "Column | None") -> Make:
    """Return what replaces columns."""
    return lambda ca: ca.export(as_of=None, to=FILE, **arrays)


def serials(*values: bytes | None) -> Make:
    """Return what replaces the second serial; the others are the usual ones."""
    return exported(serial=pa.array([USUAL[0], *values, USUAL[2]], pa.binary()))


def revoked_at(milliseconds: int | None) -> Make:
    return exported(revoked_at=pa.array([None, milliseconds, None], pa.timestamp("ms", "UTC")))


def local(*times: datetime, **declared: str) -> Make:
    """Return what exports times of revocation without a zone, which is declared."""
    column = pa.array([None, *times, None], pa.timestamp("ms"))
    return both(columns(revoked_at={"zone": "Europe/Berlin", **declared}), exported(revoked_at=column))


def fifo(ca: Ca) -> None:
    ca.snapshot.unlink()
    os.mkfifo(ca.snapshot)


def damaged_page(ca: Ca) -> None:
    """Flip an octet in the second row group's serial; Parquet keeps a checksum of each page if it is asked to."""
    pq.write_table(
        pq.read_table(ca.snapshot), ca.snapshot, row_group_size=1, write_page_checksum=True, use_dictionary=False
    )
    chunk = pq.read_metadata(ca.snapshot).row_group(1).column(0)
    data = bytearray(ca.snapshot.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size - 1] ^= 0xFF
    ca.snapshot.write_bytes(data)


def damaged_codec(ca: Ca) -> None:
    """Overwrite compressed statuses of the third row group; there are no checksums but the codec's own."""
    pq.write_table(pq.read_table(ca.snapshot), ca.snapshot, row_group_size=1, compression="gzip", use_dictionary=False)
    chunk = pq.read_metadata(ca.snapshot).row_group(2).column(1)
    data = bytearray(ca.snapshot.read_bytes())
    end = chunk.data_page_offset + chunk.total_compressed_size
    data[end - 12 : end] = bytes(12)
    ca.snapshot.write_bytes(data)


def damaged_text(ca: Ca) -> None:
    ca.export(issuer=pa.array(["r1", "r1", "rone"]))
    table = pq.read_table(ca.snapshot)
    pq.write_table(
        table, ca.snapshot, row_group_size=2, compression="none", use_dictionary=False, write_statistics=False
    )
    ca.snapshot.write_bytes(ca.snapshot.read_bytes().replace(b"rone", b"ro\xffe"))


def three_files(ca: Ca) -> None:
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day"})
    for number, serial in enumerate(SERIALS):
        ca.export(to=f"day/{number}.parquet", serial=contents(serial, serial + 1, serial + 2))
    (ca.folder / "day" / "1.parquet").write_bytes((ca.folder / "day" / "1.parquet").read_bytes()[:-5])


def two_instants(ca: Ca) -> None:
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day"})
    ca.export(to="day/1.parquet")
    ca.export(to="day/2.parquet", as_of=ca.now - timedelta(minutes=1), serial=contents(4, 5, 6))


def other_suffix(ca: Ca) -> None:
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day"})
    ca.export(to="day/1.parquet")
    ca.export(to="day/2.parquet.old", serial=contents(4, 5, 6))


def status_in_one_file(ca: Ca) -> None:
    """The revoked certificate is in the file that cannot say so."""
    (ca.folder / "day").mkdir()
    ca.configure(snapshot={"path": "day"})
    ca.export(to="day/1.parquet")
    ca.export(to="day/2.parquet", status=None, serial=contents(4, 5, 6))


def repeated(ca: Ca) -> None:
    count = 200
    serial = pa.array([*USUAL, *[USUAL[0]] * count], pa.binary())
    status = pa.array([0, 1, 2, *[0] * count], pa.uint8())
    times = instants(None, ca.now - timedelta(hours=1), *[None] * (count + 1))
    ca.export(serial=serial, status=status, revoked_at=times, reason=None)


def _doubled(table: pa.Table, name: str) -> pa.Table:
    return pa.Table.from_arrays([*table.columns, table[name]], names=[*table.schema.names, name])


FILES = [
    Damage(
        name="missing file", make=lambda ca: ca.snapshot.unlink(), code="file.missing", file=FILE, remedy="export it"
    ),
    Damage(
        name="folder without a file",
        make=snapshot(path="spool"),
        code="file.missing",
        file="spool",
        value="(.parquet, .orc, .arrow, .feather, .ipc, .csv, .csv.gz, .csv.zst)",
        remedy="correct the path",
    ),
    Damage(
        name="half of an export under another suffix",
        make=other_suffix,
        code="file.suffix",
        file="day/2.parquet.old",
        remedy="move away what does not",
    ),
    Damage(name="fifo", make=fifo, code="file.unreadable", file=FILE, remedy="export the snapshot to a file"),
    Damage(
        name="no path",
        make=snapshot(path=""),
        code="snapshot.no-path",
        remedy="set path in [snapshot], or give --snapshot PATH",
    ),
    Damage(name="no octet", make=octets(FILE, lambda _: b""), code="file.empty", file=FILE, remedy="export it again"),
    Damage(
        name="another format",
        make=octets(FILE, lambda _: b"<xml/> 12345"),
        code="file.format",
        file=FILE,
        remedy="export it as Parquet, ORC, Arrow IPC (file or stream), or CSV",
    ),
    Damage(
        name="magic alone",
        make=octets(FILE, lambda _: b"PAR1"),
        code="file.damaged",
        file=FILE,
        remedy="export it again",
    ),
    Damage(
        name="cut off",
        make=octets(FILE, lambda data: data[:-40]),
        code="file.damaged",
        file=FILE,
        remedy="export it again",
    ),
    Damage(
        name="end without a beginning",
        make=octets(FILE, lambda data: data[-200:]),
        code="file.format",
        file=FILE,
        remedy="is cut off: export it as Parquet",
    ),
    Damage(
        name="hole in the middle",
        make=octets(FILE, lambda data: data[:20] + data[-60:]),
        code="file.damaged",
        file=FILE,
        remedy="export it again",
    ),
    Damage(
        name="footer of two gigabytes",
        make=octets(FILE, lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1"),
        code="file.damaged",
        file=FILE,
        remedy="export it again",
    ),
    Damage(
        name="encrypted footer",
        make=octets(FILE, lambda data: b"PARE" + data[4:-4] + b"PARE"),
        code="file.encrypted",
        file=FILE,
        value="encrypted",
        remedy="export it without encryption",
    ),
    Damage(
        name="page with a wrong checksum",
        make=damaged_page,
        code="file.damaged",
        file=FILE,
        place="row group 2",
        column="column 'serial'",
        remedy="export it again",
    ),
    Damage(
        name="page that does not unpack",
        make=damaged_codec,
        code="file.damaged",
        file=FILE,
        place="row group 3",
        column="column 'status'",
        remedy="export it again",
    ),
    Damage(
        name="text that is no UTF-8",
        make=damaged_text,
        code="file.damaged",
        file=FILE,
        place="row group 2",
        column="column 'issuer'",
        remedy="export it again",
    ),
    Damage(
        name="one file of three",
        make=three_files,
        code="file.damaged",
        file="day/1.parquet",
        remedy="export it again",
    ),
    Damage(
        name="zero rows in zero row groups",
        make=changed(lambda table: table.slice(0, 0)),
        code="snapshot.no-rows",
        file=FILE,
        remedy="look whether the export worked",
    ),
    Damage(
        name="no as_of",
        make=metadata(None),
        code="as-of.missing",
        value="pregen.as_of",
        remedy="give --as-of, set as_of in [snapshot]",
    ),
    Damage(
        name="as_of that is none",
        make=metadata(b"yester\xffday"),
        code="as-of.malformed",
        file=FILE,
        value="yester",
        remedy="write RFC 3339, or give --as-of",
    ),
    Damage(
        name="as_of without a zone",
        make=metadata(b"2026-11-24T00:00:00"),
        code="as-of.malformed",
        file=FILE,
        value="2026-11-24T00:00:00",
        remedy="write RFC 3339, or give --as-of",
    ),
    Damage(
        name="two as_of",
        make=two_instants,
        code="as-of.differs",
        file="day/2.parquet",
        remedy="export them together, or give --as-of",
    ),
    Damage(
        name="as_of in the future",
        make=lambda ca: ca.export(as_of=ca.now + timedelta(hours=1)),
        code="as-of.future",
        remedy="correct as_of, or the clock",
    ),
]

SCHEMAS = [
    Damage(
        name="no column of serials",
        make=exported(serial=None),
        code="column.missing",
        file=FILE,
        column="no column 'serial'",
        value="columns here: 'status', 'revoked_at', 'reason'",
        remedy="name the right column in [snapshot.columns]: serial = ...",
    ),
    Damage(
        name="configured column that is not there",
        make=columns(status="STATE"),
        code="column.missing",
        file=FILE,
        column="no column 'STATE', which the configuration names",
        remedy="name the right column in [snapshot.columns]: status = ...",
    ),
    Damage(
        name="neither status nor time",
        make=exported(status=None, revoked_at=None),
        code="column.missing",
        file=FILE,
        column="'revoked_at'",
        remedy="Export it",
    ),
    Damage(
        name="status in another case",
        make=changed(lambda table: table.rename_columns(["serial", "STATUS", "revoked_at", "reason"])),
        code="column.similar",
        file=FILE,
        column="column 'STATUS'",
        remedy='in [snapshot.columns], status = "STATUS"',
    ),
    Damage(
        name="status in one file of two",
        make=status_in_one_file,
        code="column.differs",
        file="day/2.parquet",
        column="no column 'status'",
        remedy="Export it in every file",
    ),
    Damage(
        name="two columns of one name",
        make=changed(lambda table: _doubled(table, "serial")),
        code="column.duplicate",
        file=FILE,
        column="2 columns are called 'serial'",
        remedy="export it once",
    ),
    Damage(
        name="nested serial",
        make=exported(serial=pa.array([{"value": b"\1"}] * 3)),
        code="column.type",
        file=FILE,
        column="column 'serial' is struct<value: binary>",
        remedy="export serials as octets (binary)",
    ),
    Damage(
        name="list of serials",
        make=exported(serial=pa.array([[b"\1"]] * 3)),
        code="column.type",
        file=FILE,
        column="column 'serial' is list<",
        remedy="export serials as octets (binary)",
    ),
    Damage(
        name="nested column that is mapped by its path",
        make=both(
            columns(serial="certificate.serial"),
            exported(serial=None, certificate=pa.array([{"serial": b"\1"}] * 3)),
        ),
        code="column.missing",
        file=FILE,
        column="'certificate.serial'",
        remedy="name the right column",
    ),
    Damage(
        name="serials as integers",
        make=exported(serial=pa.array([1, 2, 3])),
        code="column.type",
        file=FILE,
        column="column 'serial' is int64",
        remedy='encoding = ... } to "decimal"',
    ),
    Damage(
        name="serials as floats",
        make=exported(serial=pa.array([1.0, 2.0, 3.0])),
        code="column.type",
        file=FILE,
        column="column 'serial' is double",
        remedy="or as hexadecimal or decimal text",
    ),
    Damage(
        name="serials as text without an encoding",
        make=exported(serial=pa.array(["11", "12", "13"])),
        code="column.type",
        file=FILE,
        column="column 'serial' is string",
        remedy='to "hex" or "decimal"',
    ),
    Damage(
        name="status as floats",
        make=exported(status=pa.array([0.0, 1.0, 2.0])),
        code="column.type",
        file=FILE,
        column="column 'status' is double",
        remedy="export the status as integers or text",
    ),
    Damage(
        name="issuer as a number",
        make=exported(issuer=pa.array([1, 1, 1])),
        code="column.type",
        file=FILE,
        column="column 'issuer' is int64",
        remedy="export the issuers' names as text",
    ),
    Damage(
        name="reason as floats",
        make=exported(reason=pa.array([None, 1.0, None])),
        code="column.type",
        file=FILE,
        column="column 'reason' is double",
        remedy="export reasons as integers",
    ),
    Damage(
        name="time without a zone",
        make=exported(revoked_at=pa.array([None, 0, None], pa.timestamp("ms"))),
        code="column.naive",
        file=FILE,
        column="column 'revoked_at' is timestamp[ms]",
        remedy='zone = "<IANA zone, such as Europe/Berlin>"',
    ),
    Damage(
        name="zone of times that are instants",
        make=columns(revoked_at={"zone": "America/Denver"}),
        code="column.zone",
        file=FILE,
        column="column 'revoked_at' is timestamp[ms, tz=UTC]",
        remedy="leave zone out",
    ),
    Damage(
        name="date without a time of day",
        make=exported(not_after=pa.array([20_000] * 3, pa.date32())),
        code="column.type",
        file=FILE,
        column="column 'not_after' is date32[day]",
        remedy="time_of_day and zone",
    ),
    Damage(
        name="time of day without a date",
        make=exported(not_after=pa.array([1] * 3, pa.time64("us"))),
        code="column.type",
        file=FILE,
        column="column 'not_after' is time64[us]",
        remedy="export times as timestamps with zone UTC",
    ),
    Damage(
        name="integer as a time without a unit",
        make=exported(not_before=pa.array([1] * 3)),
        code="column.type",
        file=FILE,
        column="column 'not_before' is int64",
        remedy="one of epoch-s, epoch-ms, epoch-us, epoch-ns",
    ),
]

VALUES = [
    Damage(
        name="null serial",
        make=serials(None),
        code="row.serial.null",
        file=FILE,
        place="row 2",
        column="serial",
        value="null",
        remedy="map the status of such rows to `excluded`",
    ),
    Damage(
        name="empty serial",
        make=serials(b""),
        code="row.serial.empty",
        file=FILE,
        place="row 2",
        column="serial",
        value="",
        remedy="export a serial for every certificate",
    ),
    Damage(
        name="serial of 22 octets",
        make=serials(b"\1" * 22),
        code="row.serial.too-long",
        file=FILE,
        place="row 2",
        column="serial",
        value="01" * 22,
        remedy="look for another kind of serial",
    ),
    Damage(
        name="magnitude of 22 octets",
        make=both(columns(serial=_UNSIGNED), serials(b"\x80" + b"\1" * 20)),
        code="row.serial.too-long",
        file=FILE,
        place="row 2",
        column="serial",
        value="80" + "01" * 20,
        remedy="look for another kind of serial",
    ),
    Damage(
        name="serial with a superfluous zero",
        make=serials(b"\0\2"),
        code="row.serial.not-minimal",
        file=FILE,
        place="row 2",
        column="serial",
        value="0002",
        remedy='serial.encoding = "unsigned-binary"',
    ),
    Damage(
        name="unknown status",
        make=exported(status=pa.array([0, 1, 7], pa.uint8())),
        code="row.status.unknown",
        file=FILE,
        place="row 3",
        column="status",
        value="7",
        remedy="(7): map them",
    ),
    Damage(
        name="null status",
        make=exported(status=pa.array([0, 1, None], pa.uint8())),
        code="row.status.null",
        file=FILE,
        place="row 3",
        column="status",
        value="null",
        remedy="export the status of every certificate",
    ),
    Damage(
        name="reason 7",
        make=exported(reason=pa.array([None, 7, None], pa.int8())),
        code="row.reason.unknown",
        file=FILE,
        place="row 2",
        column="reason",
        value="7",
        remedy="7 is unused",
    ),
    Damage(
        name="reason 8",
        make=exported(reason=pa.array([None, 8, None], pa.int8())),
        code="row.reason.unknown",
        file=FILE,
        place="row 2",
        column="reason",
        value="8",
        remedy="8, removeFromCRL, means that the certificate is good again",
    ),
    Damage(
        name="reason in other words",
        make=exported(reason=pa.array([None, "stolen", None])),
        code="row.reason.unknown",
        file=FILE,
        place="row 2",
        column="reason",
        value="'stolen'",
        remedy="map others in [snapshot.columns], reason.values",
    ),
    Damage(
        name="revoked without a time",
        make=revoked_at(None),
        code="row.revoked.no-time",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="null",
        remedy="export when each certificate was revoked",
    ),
    Damage(
        name="revoked before 1970",
        make=revoked_at(-1),
        code="row.revoked.out-of-range",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="1969-12-31T23:59:59.999Z",
        remedy="correct the time of revocation",
    ),
    Damage(
        name="revoked a second too late for 32 bits",
        make=revoked_at(2**32 * 1_000),
        code="row.revoked.out-of-range",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="2106-02-07T06:28:16.000Z",
        remedy="correct the time of revocation",
    ),
    Damage(
        name="revoked in the year 37648",
        make=revoked_at(2**50),
        code="row.time.out-of-range",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="37648-05-06T22:07:22.624Z",
        remedy="look whether its unit is the declared one",
    ),
    Damage(
        name="expiry in the year 146140482",
        make=exported(not_after=pa.array([None, 2**62, None], pa.timestamp("ms", "UTC"))),
        code="row.time.out-of-range",
        file=FILE,
        place="row 2",
        column="not_after",
        value="146140482-04-24T15:36:27.904Z",
        remedy="or export null",
    ),
    Damage(
        name="revoked after as_of",
        make=lambda ca: ca.export(revoked_at=instants(None, ca.now + timedelta(minutes=5, seconds=1), None)),
        code="row.revoked.after-as-of",
        file=FILE,
        place="row 2",
        column="revoked_at",
        remedy="these times are read in a wrong zone",
    ),
    Damage(
        name="local time that is there twice",
        make=local(datetime(2025, 10, 26, 2, 30)),  # noqa: DTZ001 - that is what is wrong
        code="row.time.ambiguous",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="2025-10-26T02:30:00.000",
        remedy='ambiguous = "earliest" or "latest"',
        also=("time.no-anchor",),
    ),
    Damage(
        name="local time that no clock showed",
        make=local(datetime(2025, 3, 30, 2, 30)),  # noqa: DTZ001 - that is what is wrong
        code="row.time.nonexistent",
        file=FILE,
        place="row 2",
        column="revoked_at",
        value="2025-03-30T02:30:00.000",
        remedy='nonexistent = "shift-forward"',
        also=("time.no-anchor",),
    ),
    Damage(
        name="kind without a meaning",
        make=exported(kind=pa.array(["ca", "root", None])),
        code="row.kind.unknown",
        file=FILE,
        place="row 2",
        column="kind",
        value="'root'",
        remedy="map them to ca, end-entity or precertificate",
    ),
    Damage(
        name="need of OCSP that is neither true nor false",
        make=exported(needs_ocsp=pa.array(["true", "maybe", None])),
        code="row.needs-ocsp.unknown",
        file=FILE,
        place="row 2",
        column="needs_ocsp",
        value="'maybe'",
        remedy="map them in [snapshot.columns], needs_ocsp.values",
    ),
    Damage(
        name="revoked CA certificate without a reason",
        make=exported(kind=pa.array(["ca"] * 3), reason=None),
        code="row.reason.missing",
        file=FILE,
        place="row 2",
        column="reason",
        value="null",
        remedy="export it, other than unspecified",
        error="gate",
    ),
    Damage(
        name="issuer that is not configured",
        make=exported(issuer=pa.array(["r1", "r2", "r1"])),
        code="row.issuer.unknown",
        file=FILE,
        place="row 2",
        column="issuer",
        value="'r2'",
        remedy="add [[issuer]]",
    ),
    Damage(
        name="null issuer",
        make=exported(issuer=pa.array(["r1", None, "r1"])),
        code="row.issuer.null",
        file=FILE,
        place="row 2",
        column="issuer",
        value="null",
        remedy="export the issuer of every certificate",
    ),
    Damage(
        name="revoked and good",
        make=exported(serial=contents(SERIALS[0], SERIALS[0], SERIALS[2])),
        code="row.conflict",
        file=FILE,
        place="row 2",
        column="column serial",
        value="11: contradicts",
        remedy="decide at the source which one is right",
    ),
]

GATES = [
    Damage(
        name="rows that repeat others",
        make=repeated,
        code="row.repeated",
        file=FILE,
        place="row 4",
        column="column serial",
        value="11: repeats",
        remedy="200 of 203 rows repeat another one (0.01 of them and 100 are allowed): look whether files are there "
        "twice",
        error="gate",
    ),
    Damage(
        name="serials of another issuer's",
        make=exported(serial=contents(1, 2, 3)),
        code="shrink.vanished",
        value="1234567890abcdef12 of r1",
        remedy="look for rows that the export lost",
        error="gate",
        also=("revocation.lost",),
    ),
    Damage(
        name="revoked certificate that is good again",
        make=exported(status=pa.array([0, 0, 2], pa.uint8()), revoked_at=None, reason=None),
        code="revocation.undone",
        value="1234567890abcdef12",
        remedy="look whether the export lost the statuses, or maps them wrongly",
        error="gate",
    ),
]
