"""Arrow IPC, files and streams: cut off, or with buffers that contradict themselves."""

import struct
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.ipc
import pyarrow.orc
import pyarrow.parquet as pq

from tests.faults.damages.kinds import Damage, Make
from tests.pregen.cli.ca import Ca

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


def _same(table: pa.Table) -> pa.Table:
    return table


def _unharmed(octets: bytes) -> bytes:
    return octets


def written(
    *,
    stream: bool = False,
    change: Callable[[pa.Table], pa.Table] = _same,
    then: Callable[[bytes], bytes] = _unharmed,
    rows: int | None = None,
) -> Make:
    """Return what exports the usual rows as `day.arrow` or `day.ipc` instead, and then changes its octets."""

    def make(ca: Ca) -> None:
        table = pq.read_table(ca.snapshot)
        table = change(table).replace_schema_metadata(table.schema.metadata)
        path = ca.folder / ("day.ipc" if stream else "day.arrow")
        with (pa.ipc.new_stream if stream else pa.ipc.new_file)(str(path), table.schema) as file:
            file.write_table(table, max_chunksize=rows)
        path.write_bytes(then(path.read_bytes()))
        ca.configure(snapshot={"path": path.name})

    return make


def _issuer(table: pa.Table, column: "pa.Array[pa.Scalar[pa.DataType]]") -> pa.Table:
    return table.append_column("issuer", column)


def _of_buffers(kind: pa.DataType, offsets: Sequence[int], octets: bytes) -> "pa.Array[pa.Scalar[pa.DataType]]":
    """Return an array that nobody has looked at."""
    buffers = [None, pa.py_buffer(struct.pack(f"<{len(offsets)}i", *offsets)), pa.py_buffer(octets)]
    return pa.Array.from_buffers(kind, len(offsets) - 1, buffers)


def _wild_offset(table: pa.Table) -> pa.Table:
    return table.set_column(0, "serial", _of_buffers(pa.binary(), (0, 2, 400_000, 6), b"\1\1\2\2\3\3"))


def _falling_offset(table: pa.Table) -> pa.Table:
    return table.set_column(0, "serial", _of_buffers(pa.binary(), (0, 4, 2, 6), b"\1\1\2\2\3\3"))


def _wild_index(table: pa.Table) -> pa.Table:
    indices = pa.array([0, 9, 0], pa.int8())
    return _issuer(table, pa.DictionaryArray.from_arrays(indices, pa.array(["r1"]), safe=False))


def _dictionary_of_times(table: pa.Table) -> pa.Table:
    times = table["revoked_at"].combine_chunks()
    return table.set_column(2, "revoked_at", times.dictionary_encode())


def orc(then: Callable[[bytes], bytes] = _unharmed) -> Make:
    """Return what exports the usual rows as `day.orc` instead, and then changes its octets."""

    def make(ca: Ca) -> None:
        table = pq.read_table(ca.snapshot)
        table = table.set_column(1, "status", table["status"].cast(pa.int8()))
        path = ca.folder / "day.orc"
        pa.orc.write_table(table.append_column("issuer", pa.array(["r1"] * 3)), path, compression="UNCOMPRESSED")
        path.write_bytes(then(path.read_bytes()))
        ca.configure(snapshot={"path": path.name, "as_of": ca.now})

    return make


def _orc(name: str, then: Callable[[bytes], bytes], place: str = "", column: str = "") -> Damage:
    return Damage(
        name=name,
        make=orc(then),
        code="file.damaged",
        file="day.orc",
        place=place,
        column=column,
        remedy="export it again",
    )


ORC = [
    _orc("cut off", lambda data: data[:-40]),
    _orc("magic alone", lambda data: data[:3]),
    _orc("hole in the middle", lambda data: data[:20] + data[60:]),
    _orc("text that is no UTF-8", lambda data: data.replace(b"r1", b"r\xff"), "stripe 1", "column 'issuer'"),
    Damage(
        name="end without a beginning",
        make=orc(lambda data: data[-300:]),
        code="file.format",
        file="day.orc",
        remedy="is cut off: export it as Parquet, ORC",
    ),
]

ARROW = [
    Damage(
        name="file without its end",
        make=written(then=lambda data: data[:-20]),
        code="file.damaged",
        file="day.arrow",
        remedy="export it again",
    ),
    Damage(
        name="half of a file",
        make=written(then=lambda data: data[: len(data) // 2]),
        code="file.damaged",
        file="day.arrow",
        remedy="export it again",
    ),
    Damage(
        name="footer with a wild length",
        make=written(then=lambda data: data[:-10] + b"\xff\xff\xff\x7fARROW1"),
        code="file.damaged",
        file="day.arrow",
        remedy="export it again",
    ),
    Damage(
        name="stream without its end mark",
        make=written(stream=True, then=lambda data: data[:-8]),
        code="file.truncated",
        file="day.ipc",
        remedy="export it again",
    ),
    Damage(
        name="stream with a hole",
        make=written(stream=True, rows=2, then=lambda data: data[:-100] + _END_OF_STREAM),
        code="file.damaged",
        file="day.ipc",
        place="record batch 2",
        remedy="export it again",
    ),
    Damage(
        name="end mark alone",
        make=written(stream=True, then=lambda _: _END_OF_STREAM),
        code="file.damaged",
        file="day.ipc",
        remedy="export it again",
    ),
    Damage(
        name="schema of two gigabytes",
        make=written(stream=True, then=lambda data: data[:4] + b"\xff\xff\xff\x7f" + data[8:]),
        code="file.damaged",
        file="day.ipc",
        remedy="export it again",
    ),
    Damage(
        name="stream of no batch",
        make=written(stream=True, change=lambda table: table.slice(0, 0)),
        code="snapshot.no-rows",
        file="day.ipc",
        remedy="look whether the export worked",
    ),
    Damage(
        name="text that is no UTF-8",
        make=written(change=lambda table: _issuer(table, _of_buffers(pa.string(), (0, 2, 4, 6), b"r1r\xffr1"))),
        code="file.damaged",
        file="day.arrow",
        place="record batch 1",
        column="column 'issuer'",
        remedy="export it again",
    ),
    Damage(
        name="offset behind the end",
        make=written(change=_wild_offset),
        code="file.damaged",
        file="day.arrow",
        place="record batch 1",
        column="column 'serial'",
        value="400000 > 6",
        remedy="export it again",
    ),
    Damage(
        name="offset that goes back",
        make=written(stream=True, change=_falling_offset),
        code="file.damaged",
        file="day.ipc",
        place="record batch 1",
        column="column 'serial'",
        remedy="export it again",
    ),
    Damage(
        name="index without an entry",
        make=written(change=_wild_index),
        code="file.damaged",
        file="day.arrow",
        place="record batch 1",
        column="column 'issuer'",
        value="9",
        remedy="export it again",
    ),
    Damage(
        name="dictionary of times",
        make=written(change=_dictionary_of_times),
        code="column.type",
        file="day.arrow",
        column="column 'revoked_at' is dictionary<",
        remedy="export times as timestamps with zone UTC",
    ),
    Damage(
        name="null in a dictionary of issuers",
        make=written(
            change=lambda table: _issuer(
                table, pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["r1", None]))
            )
        ),
        code="row.issuer.null",
        file="day.arrow",
        place="row 2",
        column="issuer",
        value="null",
        remedy="export the issuer of every certificate",
    ),
    Damage(
        name="no column at all",
        make=written(change=lambda table: table.select([])),
        code="column.missing",
        file="day.arrow",
        value="columns here: none",
        remedy="Export it",
        also=("column.missing",),
    ),
]
