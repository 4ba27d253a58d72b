"""What is unusual, and yet leaves no doubt."""

import gzip
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from tests.faults.damages.crls import crl, made, revoked
from tests.faults.damages.folders import spread
from tests.faults.damages.kinds import Make, Oddity, both, columns
from tests.faults.damages.streams import orc, written
from tests.faults.damages.tables import changed, exported
from tests.faults.damages.texts import csv, index_txt, put
from tests.pki import DAY
from tests.pregen.cli.ca import SERIALS, Ca, instants
from tests.pregen.cli.ca import octets as contents
from tests.pregen.snapshot.crls.authority import pem

_LISTED = ("good", "revoked", "good")  # sources that know no third status


def _zero_row_groups(ca: Ca) -> None:
    table = pq.read_table(ca.snapshot)
    with pq.ParquetWriter(ca.snapshot, table.schema) as file:
        for part in (table.slice(0, 0), table.slice(0, 1), table.slice(0, 0), table.slice(1), table.slice(0, 0)):
            file.write_table(part)


def _zero_row_batches(ca: Ca) -> None:
    table = pq.read_table(ca.snapshot)
    ca.configure(snapshot={"path": "day.arrow"})
    [batch] = table.combine_chunks().to_batches()
    with pa.ipc.new_file(str(ca.folder / "day.arrow"), table.schema) as file:
        for part in (batch.slice(0, 0), batch.slice(0, 1), batch.slice(0, 0), batch.slice(1)):
            file.write_batch(part)


def _dictionaries(table: pa.Table) -> pa.Table:
    texts = pa.array(["good", "revoked", "unknown"]).dictionary_encode()
    serials = table["serial"].combine_chunks().dictionary_encode()
    table = table.set_column(1, "status", texts).set_column(0, "serial", serials)
    return table.append_column("issuer", pa.array(["r1"] * 3).dictionary_encode())


def _views(table: pa.Table) -> pa.Table:
    table = table.set_column(0, "serial", table["serial"].cast(pa.binary_view()))
    return table.append_column("issuer", pa.array(["r1"] * 3, pa.string_view()))


def _beside(ca: Ca) -> None:
    """Columns that nobody asks for: nested, repeated, empty names, names of others within a struct."""
    table = pq.read_table(ca.snapshot)
    more = [pa.array([{"serial": b"\1"}] * 3), pa.array([[1], None, []]), pa.array(["x"] * 3), pa.array(["y"] * 3)]
    names = [*table.schema.names, "certificate", "list", "", ""]
    wide = pa.Table.from_arrays([*table.columns, *more], names=names)
    pq.write_table(wide.replace_schema_metadata(table.schema.metadata), ca.snapshot)


def _local(ca: Ca) -> None:
    """Times of a clock that is 5:30 ahead, by their texts."""
    at = ca.now - timedelta(hours=1) + timedelta(hours=5, minutes=30)
    ca.export(revoked_at=pa.array([None, f"{at:%Y-%m-%d %H:%M:%S}.999+05:30", ""]))


def _infinity(ca: Ca) -> None:
    """As DuckDB writes what PostgreSQL calls infinity."""
    ca.export(not_after=pa.array([2**63 - 1] * 3, pa.timestamp("us", "UTC")))


def _epoch(ca: Ca) -> None:
    ca.configure(snapshot={"columns": {"revoked_at": {"encoding": "epoch-us"}}})
    at = int((ca.now - timedelta(hours=1)).timestamp()) * 1_000_000
    ca.export(revoked_at=pa.array([None, at, None]))


def _hexadecimal(*texts: str) -> Make:
    return both(columns(serial={"encoding": "hex"}), exported(serial=pa.array(texts)))


def _comments(data: bytes) -> bytes:
    return b"# written by hand\n" + data.replace(b"\n", b"\n#\n", 1)


ODDITIES = [
    Oddity(name="parquet: row groups of zero rows", make=_zero_row_groups),
    Oddity(name="parquet: dictionaries", make=changed(_dictionaries)),
    Oddity(name="parquet: columns that nobody asks for", make=_beside),
    Oddity(name="parquet: columns in another order", make=changed(lambda table: table.select([3, 2, 1, 0]))),
    Oddity(
        name="parquet: nanoseconds of another zone",
        make=lambda ca: ca.export(revoked_at=instants(None, ca.now, None).cast(pa.timestamp("ns", "Asia/Kathmandu"))),
    ),
    Oddity(name="parquet: expiry at infinity", make=_infinity),
    Oddity(
        name="parquet: expiry in the year 9999",
        make=lambda ca: ca.export(not_after=instants(*[datetime.fromisoformat("9999-12-31T23:59:59Z")] * 3)),
    ),
    Oddity(name="parquet: times as texts with an offset", make=_local),
    Oddity(name="parquet: times as microseconds since 1970", make=_epoch),
    Oddity(
        name="parquet: magnitudes with zeros before them",
        make=both(
            columns(serial={"encoding": "unsigned-binary"}),
            exported(serial=pa.array([serial.to_bytes(40, "big") for serial in SERIALS], pa.binary(40))),
        ),
    ),
    Oddity(
        name="parquet: hex with colons, spaces, 0x, in either case and of odd length",
        make=_hexadecimal("0x1:1", " 12:34:56:78:90:AB:cd:ef:12 ", "0X0 F f"),
    ),
    Oddity(
        name="parquet: decimal with a sign",
        make=both(
            columns(serial={"encoding": "decimal"}),
            exported(serial=pa.array([f"+{SERIALS[0]}", f"{SERIALS[1]}", f"000{SERIALS[2]}"])),
        ),
    ),
    Oddity(
        name="parquet: a time of revocation in a good row",
        make=lambda ca: ca.export(revoked_at=instants(ca.now, ca.now - timedelta(hours=1), None)),
        warnings=("row.revoked.ignored",),
    ),
    Oddity(
        name="parquet: expiry under another name",
        make=exported(notAfter=pa.array(["x"] * 3)),
        warnings=("column.similar",),
    ),
    Oddity(
        name="parquet: rows twice",
        make=lambda ca: ca.export(
            serial=contents(*SERIALS, *SERIALS),
            status=pa.array([0, 1, 2] * 2, pa.uint8()),
            revoked_at=instants(*[None, ca.now - timedelta(hours=1), None] * 2),
            reason=None,
        ),
    ),
    Oddity(name="arrow: batches of zero rows", make=_zero_row_batches),
    Oddity(name="arrow: dictionaries", make=written(change=_dictionaries)),
    Oddity(name="arrow: views", make=written(change=_views)),
    Oddity(name="arrow: a stream of many batches", make=written(stream=True, rows=1)),
    Oddity(name="orc: as it is", make=orc()),
    Oddity(name="csv: BOM", make=csv(lambda data: b"\xef\xbb\xbf" + data)),
    Oddity(name="csv: mixed line ends", make=csv(lambda data: data.replace(b"\n", b"\r\n", 2))),
    Oddity(name="csv: CR alone", make=csv(lambda data: data.replace(b"\n", b"\r"))),
    Oddity(name="csv: empty lines", make=csv(lambda data: data.replace(b"\n", b"\n\n"))),
    Oddity(
        name="csv: line ends, quotation marks and Latin-1 in a column that nobody asks for",
        make=csv(lambda data: data.replace(b"\n", b',"a ""\xf6""\r\n,b"\n').replace(b"\xf6", b"o", 1)),
    ),
    Oddity(
        name="csv: quoted everywhere",
        make=csv(lambda data: b'"' + data.replace(b",", b'","').replace(b"\n", b'"\n"')[:-1]),
    ),
    Oddity(name="csv: a time in UTC by name", make=csv(put(b"T03:04:05Z", b" 03:04:05.678 UTC"))),
    Oddity(name="csv: a space before the offset", make=csv(put(b"T03:04:05Z", b" 05:04:05 +0200"))),
    Oddity(name="csv: revocations at infinity", make=csv(put(b"11,good,", b"11,good,infinity"))),
    Oddity(name="csv: packed by gzip", make=csv(gzip.compress)),
    Oddity(
        name="csv: packed by gzip in two members",
        make=csv(lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
    ),
    Oddity(name="csv: bytea of PostgreSQL", make=csv(put(b"\n11,good,", b"\n\\x0011,good,"))),
    Oddity(name="csv: blanks around values", make=csv(put(b"\n11,good,", b"\n 11 , GOOD ,"))),
    Oddity(name="index.txt: CR and LF", make=index_txt(lambda data: data.replace(b"\n", b"\r\n")), statuses=_LISTED),
    Oddity(name="index.txt: comments", make=index_txt(_comments), statuses=_LISTED),
    Oddity(
        name="index.txt: GeneralizedTime",
        make=index_txt(put(b"\t260102030405Z", b"\t20260102030405Z")),
        statuses=_LISTED,
    ),
    Oddity(
        name="index.txt: pseudo reason",
        make=index_txt(put(b"keyCompromise", b"keyTime,20260101000000Z")),
        statuses=_LISTED,
    ),
    Oddity(
        name="index.txt: subject that is no UTF-8", make=index_txt(put(b"/CN=b", b"/CN=\xff\\\t")), statuses=_LISTED
    ),
    Oddity(name="folders: percent-encoded", make=spread("issuer=%721", "issuer=r1")),
    Oddity(name="folders: by place", make=spread("r1/x", partitioning="directory", partition_columns=["issuer", "x"])),
    Oddity(name="crl: PEM", make=crl(lambda ca: b"CRL of today\n" + pem(made(ca))), statuses=_LISTED),
    Oddity(name="crl: an encoded default", make=crl(lambda ca: made(ca, encoded_default=True)), statuses=_LISTED),
    Oddity(
        name="crl: SHA-1",
        make=crl(lambda ca: made(ca, digest="sha1")),
        statuses=_LISTED,
        warnings=("crl.weak-signature",),
    ),
    Oddity(
        name="crl: without nextUpdate",
        make=crl(lambda ca: made(ca, next_update=None)),
        statuses=_LISTED,
        warnings=("crl.no-next-update",),
    ),
    Oddity(
        name="crl: an older base beside it",
        make=crl(made, delta=lambda ca: made(ca, number=6, this_update=ca.now - DAY)),
        statuses=_LISTED,
        warnings=("crl.superseded",),
    ),
    Oddity(
        name="crl: an entry without a row",
        make=crl(lambda ca: made(ca, revoked(ca), revoked(ca, serial=0x4711))),
        statuses=_LISTED,
        warnings=("crl.not-issued",),
    ),
]
