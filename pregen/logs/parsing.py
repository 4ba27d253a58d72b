"""Lines of the request log to columns, without a Python object for a line; what is no line of it is told by its number.

A block of lines is parsed at once by pyarrow. Where that fails, its lines are parsed in smaller groups, and those of
a group that fails one by one, so that one broken line costs itself alone.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
from numpy.typing import NDArray

from pregen.logs.log_files import LineBlock
from pregen.logs.stretches import Counters, WorkerStretch, joined

if TYPE_CHECKING:
    from pregen.snapshot.octets import ArrowArray

TIME: Final = pa.timestamp("ms", "UTC")
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("time", TIME),
    ("remote", pa.string()),
    ("method", pa.string()),
    ("http", pa.int32()),
    ("ocsp", pa.string()),
    ("outcome", pa.string()),
    ("status", pa.string()),
    ("hash", pa.string()),
    ("issuer_name_hash", pa.string()),
    ("issuer_key_hash", pa.string()),
    ("serial", pa.string()),
    ("generation", pa.int64()),
    ("bytes", pa.int64()),
    ("microseconds", pa.int64()),
    ("detail", pa.string()),
    ("alarm", pa.bool_()),
    ("worker", pa.string()),
    ("weight", pa.int64()),
]
REQUEST_FIELDS: Final = pa.schema(_FIELDS)
"""The columns of requests; `weight` is for how many requests a line stands, 1 but where lines are sampled."""

_LoggedColumn: TypeAlias = "pa.ChunkedArray[pa.Scalar[pa.DataType]]"
_COUNTS = ("requests", "lines", "lost", "sampled_out", "under_way")
_OTHERS = pa.schema(
    [
        ("host", pa.string()),
        ("counters", pa.struct([(name, pa.int64()) for name in _COUNTS])),
        ("sample", pa.int64()),
        ("began", pa.string()),
        ("ended", pa.bool_()),
        ("lost_lines", pa.int64()),  # the edge's own word that lines are missing here
        ("level", pa.string()),  # of the server's own log, where both go into one file
    ]
)
# Times are read as texts, for the parser of JSON would take one without a zone.
_LOGGED = pa.schema([(f.name, pa.string() if f.type == TIME else f.type) for f in (*REQUEST_FIELDS, *_OTHERS)])
_OPTIONS = pyarrow.json.ParseOptions(
    explicit_schema=_LOGGED, unexpected_field_behavior="ignore", newlines_in_values=False
)
_GROUP_LINES = 256
_SHOWN_OCTETS = 120
_NEWLINE, _RETURN, _OPEN, _CLOSE = b"\n\r{}"


class BrokenLine(NamedTuple):
    """A line that is none of the request log: its number in the file, and how it begins."""

    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What a block of lines says.

    Attributes:
        requests: one row for each request line, with the columns of `REQUEST_FIELDS`, in the order of the file.
        stretches: by worker, how many lines there are, and how many there should be.
        nameless: times of request lines that do not say which worker wrote them, the first and the last; None: none.
        lost_lines: lines that the edge says it has lost.
        broken: numbers of lines that are none of the log, int64.
        examples: the first of them.
    """

    requests: pa.Table
    stretches: dict[str, WorkerStretch]
    nameless: tuple[int, int] | None
    lost_lines: int
    broken: NDArray[np.int64]
    examples: tuple[BrokenLine, ...]


@dataclass(frozen=True, slots=True)
class _Lines:
    """Some lines of a block: line i is ``octets[start[i]:end[i]]``, its end included."""

    octets: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)

    def only(self, which: "NDArray[np.bool_] | NDArray[np.int64] | slice") -> "_Lines":
        return _Lines(self.octets, self.start[which], self.end[which])

    def joined(self) -> bytes:
        if not len(self):
            return b""
        if int((self.end - self.start).sum()) == len(self.octets):
            return self.octets.tobytes()
        return b"".join(self.octets[s:e].tobytes() for s, e in _runs(self.start, self.end))

    def text(self, at: int) -> str:
        octets = self.octets[self.start[at] : self.end[at]][:_SHOWN_OCTETS].tobytes()
        return octets.decode("utf-8", "backslashreplace").rstrip("\r\n")


def parse(block: LineBlock, examples: int) -> Parsed:
    """Return what a block of lines says.

    Args:
        block: whole lines.
        examples: how many broken lines are shown.
    """
    lines = _lines_of(block)
    good, blank = _looks(lines)
    tables, taken = _read_all(lines, np.flatnonzero(good))
    table = _timed(pa.concat_tables(tables)) if tables else _timed(_LOGGED.empty_table())
    is_request, is_counters, is_other = _kinds(table)
    broken = ~blank
    broken[taken[is_request | is_counters | is_other]] = False
    numbers = np.flatnonzero(broken)
    nameless = _ms(table["time"])[is_request & _is_null(table["worker"])]
    return Parsed(
        requests=_requests(table, is_request),
        stretches=joined(_stretches(table, is_request, is_counters)),
        nameless=(int(nameless.min()), int(nameless.max())) if len(nameless) else None,
        lost_lines=pc.sum(table["lost_lines"]).as_py() or 0,
        broken=numbers + block.first_line,
        examples=tuple(BrokenLine(int(at) + block.first_line, lines.text(at)) for at in numbers[:examples]),
    )


def _lines_of(block: LineBlock) -> _Lines:
    octets = np.frombuffer(block.octets, np.uint8)
    end = np.flatnonzero(octets == _NEWLINE) + 1
    return _Lines(octets, np.concatenate([np.zeros(1, np.int64), end[:-1]]), end)


def _looks(lines: _Lines) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which lines begin and end as an object does, and which are empty.

    The parser of JSON would take an object that goes over several lines, and two on one.
    """
    last = lines.end - 2
    last -= (lines.octets[np.maximum(last, 0)] == _RETURN) & (last >= lines.start)
    blank = last < lines.start
    return (lines.octets[lines.start] == _OPEN) & (lines.octets[np.maximum(last, 0)] == _CLOSE) & ~blank, blank


def _runs(start: NDArray[np.int64], end: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield where lines lie that follow each other, as few pieces as there are."""
    breaks = np.flatnonzero(start[1:] != end[:-1])
    yield from zip(
        start[np.concatenate([[0], breaks + 1])].tolist(), end[np.concatenate([breaks, [-1]])].tolist(), strict=True
    )


def _read_all(lines: _Lines, which: NDArray[np.int64]) -> tuple[list[pa.Table], NDArray[np.int64]]:
    """Return the columns of those lines that can be read, and which these are."""
    tables, taken = list[pa.Table](), list[NDArray[np.int64]]()
    waiting = [which] if len(which) else []
    while waiting:
        group = waiting.pop()
        table = _read(lines.only(group))
        if table is not None:
            tables.append(table)
            taken.append(group)
        elif len(group) > 1:
            size = _GROUP_LINES if len(group) > _GROUP_LINES else 1
            starts = range(0, len(group), size)
            waiting += [group[at : at + size] for at in reversed(starts)]  # the first one is popped first
    return tables, np.concatenate(taken) if taken else np.zeros(0, np.int64)


def _read(lines: _Lines) -> pa.Table | None:
    """Return the columns of lines; None: at least one is not as lines of the log are."""
    octets = lines.joined()
    try:
        if not octets.isascii():
            octets.decode()
        options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(octets) + 1)
        table = pyarrow.json.read_json(io.BytesIO(octets), read_options=options, parse_options=_OPTIONS)
        for name in ("time", "began"):
            table[name].cast(TIME)
    except (ValueError, pa.ArrowException):
        return None
    return table if table.num_rows == len(lines) else None


def _timed(table: pa.Table) -> pa.Table:
    for name in ("time", "began"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(TIME))
    return table.combine_chunks()


def _kinds(table: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which rows are requests, which are counters, and which are other lines that edges write."""
    timed = _ms(table["time"]) >= 0
    is_request = timed & ~(_is_null(table["outcome"]) | _is_null(table["method"]))
    is_counters = timed & ~(is_request | _is_null(table["worker"]) | _is_null(table["began"]))
    for counts in table["counters"].flatten():
        is_counters &= ~_is_null(counts)
    is_other = timed & ~(_is_null(table["lost_lines"]) & _is_null(table["level"]))
    return is_request, is_counters, is_other & ~(is_request | is_counters)


def _is_null(column: "ArrowArray | _LoggedColumn") -> NDArray[np.bool_]:
    return np.asarray(column.is_null())


def _requests(table: pa.Table, is_request: NDArray[np.bool_]) -> pa.Table:
    rows = table.select(REQUEST_FIELDS.names)
    if not is_request.all():
        rows = rows.filter(pa.array(is_request))
    at = rows.schema.get_field_index("weight")
    return rows.set_column(at, "weight", pa.array(np.asarray(pc.fill_null(rows["weight"], pa.scalar(1)))))


def _stretches(
    table: pa.Table, is_request: NDArray[np.bool_], is_counters: NDArray[np.bool_]
) -> Iterator[WorkerStretch]:
    """Yield what each worker has written, in the order of the file."""
    rows = np.flatnonzero((is_request | is_counters) & ~_is_null(table["worker"]))
    if not len(rows):
        return
    names = table["worker"].combine_chunks().take(rows).dictionary_encode()
    codes = names.indices.to_numpy()
    times = _ms(table["time"])
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], np.arange(len(names.dictionary) + 1))
    for code, worker in enumerate(names.dictionary.to_pylist()):
        own = rows[order[first[code] : first[code + 1]]]
        marks = np.flatnonzero(is_counters[own])
        edges = np.concatenate([[0], marks, [len(own)]])
        written = table.take(own[marks]) if len(marks) else None
        yield WorkerStretch(
            worker=str(worker),
            host=None if written is None else written["host"][0].as_py(),
            first_ms=int(times[own].min()),
            last_ms=int(times[own].max()),
            seen=tuple(np.diff(edges).tolist()),
            counters=() if written is None else tuple(_counters(written)),
        ).condensed()


def _counters(written: pa.Table) -> Iterator[Counters]:
    times, begins = (_ms(written[name]).tolist() for name in ("time", "began"))
    for time_ms, began_ms, row in zip(times, begins, written.to_pylist(), strict=True):
        yield Counters(time_ms, began_ms, **row["counters"], sample=row["sample"] or 1, is_end=bool(row["ended"]))


def _ms(column: _LoggedColumn) -> NDArray[np.int64]:
    """Return times as milliseconds since 1970; -1 where there is none."""
    return np.asarray(pc.fill_null(column.cast(pa.int64()), pa.scalar(-1)))
