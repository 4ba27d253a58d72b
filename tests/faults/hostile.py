"""Tables, texts and configurations that nobody would write: what a snapshot could be, and mostly is not."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from hypothesis import strategies as st

from tests.pregen.cli.ca import Column, Value

Make: TypeAlias = "st.SearchStrategy[Column]"
Fitting: TypeAlias = "tuple[Column, Mapping[str, Value]]"

CANONICAL = ("issuer", "serial", "status", "revoked_at", "reason", "not_before", "not_after", "kind", "needs_ocsp")
TIMES = ("revoked_at", "not_before", "not_after")
_NAMES = (*CANONICAL, "STATUS", "notAfter", "sta\0tus", "", " ", "pregen.odd", "a.b", "é", "serial ")
_ISO = ("2026-01-02T03:04:05Z", "2026-01-02 03:04:05.9+05:30", "2025-10-26T02:30:00", "0000-01-01T00:00:00Z")
_TIME_TEXTS = (*_ISO, "9999-12-31T23:59:59-23:59", "260102030405Z", "99991231235959Z", "2026-02-30", "-1", "9" * 20, "")
_WORDS = ("good", "revoked", "unknown", "r1", "R1", "ca", "true", "0", "1", "keyCompromise", "8", "", " ", "\0", "ü")
_NUMBERS = ("11", "0x1:1", "-7f", "1234567890abcdef12", "ff", "+255", "0" * 60, "f" * 44, "--1", "0x", ":", "1e5", "")
_INSTANTS = (None, "2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", "", "2026")

_SERIALS = (b"\x11", b"\x124Vx\x90\xab\xcd\xef\x12", b"\x00\xff")  # those that are published
_UNITS: tuple[Literal["s", "ms", "us", "ns"], ...] = ("s", "ms", "us", "ns")
_TIMESTAMP_ZONES = (None, "UTC", "Asia/Kathmandu", "Mars", "")
_TIMESTAMPS: list[pa.DataType] = [pa.timestamp(unit, zone) for unit in _UNITS for zone in _TIMESTAMP_ZONES]
_ODD_TIMES: list[pa.DataType] = [pa.date64(), pa.duration("s"), pa.time64("us")]
_LOCAL: list[pa.DataType] = [pa.timestamp(unit) for unit in _UNITS]
_ZONES = ("UTC", "Europe/Berlin", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Casablanca")
NOW = "now"  # stands for the instant of the CA that is asked

_int64 = st.integers(-(2**63), 2**63 - 1)
_seconds = st.sampled_from([0, -1, 1_700_000_000, 2**32, 253_402_300_799, 253_402_300_800, -62_167_219_201])
_whole = _seconds | _int64
_times = _seconds.map(lambda second: second * 1_000) | _whole
_bits = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64()]


@dataclass(frozen=True, slots=True)
class Format:
    """How a table is written: the name of the file, and how many rows there are in a part of it."""

    name: str
    part_rows: int
    compression: Literal["zstd", "lz4"] | None
    dictionaries: bool


formats = st.builds(
    Format,
    st.sampled_from(["day.parquet", "day.arrow", "day.ipc"]),
    st.integers(1, 4),
    st.sampled_from([None, "zstd", "lz4"]),
    st.booleans(),
)


def written(table: pa.Table, form: Format) -> bytes:
    """Return the octets of a table.

    Raises:
        pa.ArrowException: the format has no such type.
    """
    out = io.BytesIO()
    if form.name.endswith(".parquet"):
        pq.write_table(
            table,
            out,
            row_group_size=form.part_rows,
            compression=form.compression or "none",
            use_dictionary=form.dictionaries,
        )
    else:
        options = pa.ipc.IpcWriteOptions(compression=form.compression)
        with (pa.ipc.new_file if form.name.endswith(".arrow") else pa.ipc.new_stream)(
            out, table.schema, options=options
        ) as file:
            file.write_table(table, max_chunksize=form.part_rows)
    return out.getvalue()


def _kind(kind: pa.DataType) -> pa.DataType:
    """Return a type; for the checker, kinds are all of one class."""
    return kind


def _cells(values: "st.SearchStrategy[object]", rows: int) -> "st.SearchStrategy[list[object]]":
    return st.lists(st.none() | values, min_size=rows, max_size=rows)


def _arrays(kind: pa.DataType, values: "st.SearchStrategy[object]", rows: int) -> Make:
    return _cells(values, rows).map(lambda cells: pa.array(cells, kind))


def _integers(rows: int) -> Make:
    def of(kind: pa.DataType) -> Make:
        least = 0 if pa.types.is_unsigned_integer(kind) else -(1 << (kind.bit_width - 1))
        some = st.integers(0, 10) | st.integers(least, least + (1 << kind.bit_width) - 1)
        return _arrays(kind, some, rows)

    return st.sampled_from(_bits).flatmap(of)


def _texts(values: Sequence[str], rows: int) -> Make:
    kinds = st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]).map(_kind)
    some = st.sampled_from(values) | st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=6)
    return kinds.flatmap(lambda kind: _arrays(kind, some, rows))


def _binaries(rows: int) -> Make:
    some = st.sampled_from(_SERIALS) | st.binary(max_size=24)
    kinds = st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]).map(_kind)
    fixed = st.integers(0, 24).flatmap(
        lambda width: _arrays(pa.binary(width), st.binary(min_size=width, max_size=width), rows)
    )
    return kinds.flatmap(lambda kind: _arrays(kind, some, rows)) | fixed


def _timestamps(rows: int) -> Make:
    kinds = st.sampled_from(_TIMESTAMPS)
    others = st.sampled_from(_ODD_TIMES)
    return (
        kinds.flatmap(lambda kind: _arrays(kind, _times, rows))
        | _arrays(pa.date32(), st.integers(-(2**31), 2**31 - 1), rows)
        | others.flatmap(lambda kind: _arrays(kind, st.integers(0, 86_399).map(lambda day: day * 86_400_000), rows))
    )


def _others(rows: int) -> Make:
    return st.one_of(
        _arrays(pa.null(), st.none(), rows),
        _arrays(pa.bool_(), st.booleans(), rows),
        _arrays(pa.float64(), st.floats(), rows),
        _arrays(pa.decimal128(38, 0), st.integers(-(10**37), 10**37).map(Decimal), rows),
        _arrays(pa.decimal128(5, 2), st.just(Decimal("1.50")), rows),
        _arrays(pa.list_(pa.int8()), st.lists(st.integers(0, 9), max_size=2), rows),
        _arrays(pa.struct([("serial", pa.binary())]), st.just({"serial": b"\1"}), rows),
    )


def columns_of(name: str, rows: int) -> Make:
    """Return a strategy for what may stand in a column of that name, mostly something that fits it a little."""
    if name == "serial":
        fitting = _binaries(rows) | _texts(_NUMBERS, rows) | _integers(rows)
    elif name in TIMES:
        fitting = _timestamps(rows) | _texts(_TIME_TEXTS, rows) | _integers(rows)
    else:
        fitting = _texts(_WORDS, rows) | _integers(rows)
    plain = fitting | fitting | _others(rows)
    return plain | plain.map(_dictionary)


def _dictionary(column: Column) -> Column:
    try:
        return column.dictionary_encode()
    except pa.ArrowException:  # there are none of such values
        return column


instants = st.just(NOW) | st.sampled_from((NOW, *_INSTANTS))


def column_configurations(name: str) -> "st.SearchStrategy[Mapping[str, Value] | str]":
    """Return a strategy for what a configuration says of a column, mostly something that is allowed."""
    fields: dict[str, st.SearchStrategy[Value]] = {"name": st.sampled_from(_NAMES) | st.just(name)}
    if name == "serial":
        fields["encoding"] = st.sampled_from(["binary", "unsigned-binary", "hex", "decimal", "asn1"])
    elif name in TIMES:
        encodings = ["timestamp", "date", "iso8601", "epoch-s", "epoch-ms", "epoch-ns", "utctime", "asn1", "hex"]
        fields["encoding"] = st.sampled_from(encodings)
        fields["zone"] = st.sampled_from([*_ZONES, "Mars", ""])
        fields["ambiguous"] = st.sampled_from(["error", "earliest", "latest", "never"])
        fields["nonexistent"] = st.sampled_from(["error", "shift-forward", "shift-backward"])
        fields["time_of_day"] = st.sampled_from(["00:00:00", "23:59:59", "24:00:00"])
    else:
        meanings = {"status": ["good", "revoked", "excluded"], "reason": ["absent", "1"], "kind": ["ca"]}
        keys = st.sampled_from(meanings.get(name, ["true"]))
        fields["values"] = st.dictionaries(keys, st.lists(st.sampled_from(_WORDS), max_size=3), max_size=2)
    return st.fixed_dictionaries({}, optional=fields) | st.sampled_from(_NAMES)


@st.composite
def snapshot_sections(draw: st.DrawFn) -> dict[str, Value]:
    """Draw fields of [snapshot], all but its path."""
    mapped = draw(st.lists(st.sampled_from(CANONICAL), max_size=3, unique=True))
    section: dict[str, Value] = {"columns": {name: draw(column_configurations(name)) for name in mapped}}
    if draw(st.booleans()):
        section["keep_expired"] = draw(st.sampled_from(["all", "0d", "36525d", "1", "36526d"]))
    return section


@dataclass(frozen=True, slots=True)
class Case:
    """A table, and the fields of [snapshot] with which it is read."""

    table: pa.Table
    section: Mapping[str, Value]


@st.composite
def wild_cases(draw: st.DrawFn) -> Case:
    """Draw a table of up to six rows, of any types, and any mapping: mostly refused before the first row."""
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(st.sampled_from(CANONICAL[1:4]) | st.sampled_from(_NAMES), max_size=7))
    names = ["serial", "status", *names] if draw(st.booleans()) else names
    if draw(st.integers(0, 9)):  # names that are there twice are refused at once
        names = list(dict.fromkeys(names))
    arrays = [draw(columns_of(name.strip(), rows)) for name in names]
    return Case(_table(arrays, names, draw(instants)), draw(snapshot_sections()))


@st.composite
def fitting_cases(draw: st.DrawFn) -> Case:
    """Draw a table of up to six rows whose types are what the mapping says: every row is looked at."""
    rows = draw(st.integers(1, 6))
    names = ["serial", *draw(st.lists(st.sampled_from(CANONICAL), max_size=5))]
    names = list(dict.fromkeys([*names, draw(st.sampled_from(["status", "revoked_at"]))]))
    columns = {name: draw(_fitting(name, rows)) for name in names}
    mapped = {name: declared for name, (_, declared) in columns.items() if declared}
    keep = {"keep_expired": draw(st.sampled_from(["all", "0d", "36525d"]))}
    arrays = [array for array, _ in columns.values()]
    return Case(_table(arrays, names, NOW), {"columns": mapped, **keep})


def _table(arrays: Sequence[Column], names: Sequence[str], as_of: str | None) -> pa.Table:
    metadata = {} if as_of is None else {"pregen.as_of": as_of}
    return pa.Table.from_arrays(list(arrays), names=list(names)).replace_schema_metadata(metadata)


def _fitting(name: str, rows: int) -> "st.SearchStrategy[Fitting]":
    """Return a strategy for a column, and what is said of it."""
    if name == "serial":
        return st.one_of(
            _declared(_binaries(rows), encoding=["binary", "unsigned-binary"]),
            _declared(_texts(_NUMBERS, rows), encoding=["hex", "decimal"]),
            _declared(_integers(rows), encoding=["decimal"]),
        )
    if name in TIMES:
        zoned = {"zone": _ZONES, "ambiguous": ["error", "earliest"], "nonexistent": ["error", "shift-forward"]}
        local = st.sampled_from(_LOCAL).flatmap(lambda kind: _arrays(kind, _times, rows))
        days = _arrays(pa.date32(), st.integers(-(2**31), 2**31 - 1) | st.integers(0, 30_000), rows)
        return st.one_of(
            _declared(_arrays(pa.timestamp("ms", "UTC"), _times, rows)),
            _declared(local, **zoned),
            _declared(days, time_of_day=["00:00:00", "23:59:59"], **zoned),
            _declared(_texts(_TIME_TEXTS, rows), encoding=["iso8601"], **zoned),
            _declared(_texts(_TIME_TEXTS, rows), encoding=["date"], time_of_day=["12:00:00"], **zoned),
            _declared(_texts(_TIME_TEXTS, rows), encoding=["asn1", "utctime", "epoch-s", "epoch-ns"]),
            _declared(_integers(rows), encoding=["epoch-s", "epoch-ms", "epoch-us", "epoch-ns"]),
        )
    if name == "issuer":
        return _declared(_arrays(pa.string(), st.just("r1"), rows) | _texts(["r1", "r2", ""], rows))
    return _declared(_texts(_WORDS, rows) | _integers(rows) | _arrays(pa.uint8(), st.integers(0, 3), rows))


def _declared(arrays: Make, **choices: Sequence[str]) -> "st.SearchStrategy[Fitting]":
    said = st.fixed_dictionaries({field: st.sampled_from(values) for field, values in choices.items()})
    return st.tuples(arrays, said)


_ALL_GATES = ("zone", "shrink", "growth", "issuer-missing", "unrevoke", "duplicate", "rows-invalid")
words = st.sampled_from(
    [
        [],
        [*(word for gate in _ALL_GATES for word in ("--accept", gate)), "--reason", "fuzz"],
        ["--accept", "rows-invalid", "--reason", "fuzz"],
        ["--accept", "time.no-anchor", "--reason", "fuzz"],
        ["--as-of", "9999-12-31T23:59:59Z"],
        ["--as-of", "0001-01-01T00:00:00Z"],
        ["--now", "1969-12-31T23:59:59Z"],
    ]
)


_cell = st.sampled_from((*_NUMBERS, *_WORDS, *_TIME_TEXTS)) | st.text(st.characters(max_codepoint=0xFF), max_size=8)


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """Draw a CSV file, mostly with as many fields in a row as in the header."""
    names = draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=5, unique=bool(draw(st.integers(0, 5)))))
    names = draw(st.permutations(["serial", "status", *(one for one in names if one not in {"serial", "status"})]))
    width = st.just(len(names)) if draw(st.integers(0, 5)) else st.integers(0, 6)
    rows = draw(st.lists(width.flatmap(lambda size: st.lists(_cell, min_size=size, max_size=size)), max_size=6))
    out = io.StringIO()
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    writer = csv.writer(
        out, lineterminator=line_end, quoting=csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL
    )
    writer.writerows([names, *rows])
    return out.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"])))


_field = st.sampled_from(["V", "R", "E", "#", "", "11", "FF", "-1", "260102030405Z", "20260102030405Z,keyCompromise"])
_line = st.lists(_field | _cell, min_size=4, max_size=4).map(lambda fields: "\t".join([*fields, "unknown", "/CN=a"]))
lines = st.lists(_line | _cell, max_size=8).map(lambda some: "".join(f"{line}\n" for line in some).encode())


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of a file: what, where (of 2**16), and how much."""

    kind: str
    place: int
    octet: int
    count: int

    def of(self, data: bytes) -> bytes:
        """Return changed octets."""
        at = self.place * len(data) >> 16
        match self.kind:
            case "flip":
                return data[:at] + bytes([data[at] ^ 1 << self.octet % 8]) + data[at + 1 :] if data else data
            case "set":
                return data[:at] + bytes([self.octet]) * self.count + data[at + self.count :]
            case "insert":
                return data[:at] + bytes([self.octet]) * self.count + data[at:]
            case "remove":
                return data[:at] + data[at + self.count :]
            case "repeat":
                return data[:at] + data[max(0, at - self.count) :]
            case _:
                return data[:at]


edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["flip", "flip", "flip", "set", "insert", "remove", "repeat", "cut"]),
        st.integers(0, 2**16 - 1),
        st.integers(0, 255),
        st.sampled_from([1, 2, 4, 8, 64]),
    ),
    min_size=1,
    max_size=3,
)
