r"""The database of `openssl ca`: one line a certificate, six fields between tabs.

    status      V valid, E expired (it was valid until then: `openssl ca -updatedb` writes it afterwards), R revoked
    expiry      UTCTime or GeneralizedTime
    revocation  empty unless revoked; else date[,reason[,argument]]
    serial      hexadecimal number, with a minus if it is negative
    file        not used
    subject     not used

The rules are those of OpenSSL's apps/ca.c (`unpack_revinfo`) and crypto/txt_db/txt_db.c: a line with another count of
fields, an empty one too, is refused; a tab after a backslash is part of its field; a line that begins with # is a
comment. Reasons are compared in any case, and three pseudo reasons have an argument: holdInstruction (an OID) means
certificateHold, keyTime and CAkeyTime (the time of compromise) mean keyCompromise and cACompromise. Instructions and
times of compromise have no place in a response. removeFromCRL contradicts R, so it is refused.

A row is a line, so that numbers of rows are numbers of lines: those of comments have the status `COMMENT`, odd ones
say in the column `ODD` what is wrong with them, and their other columns mean nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.config import ColumnConfig, SnapshotConfig
from pregen.reasons import REASONS
from pregen.snapshot.column import Column, columns_of
from pregen.snapshot.files.base import ODD, Undivided, slices, unusable
from pregen.snapshot.files.sources import Source, reading
from pregen.snapshot.location import Location
from pregen.snapshot.octets import ArrowArray, OctetColumn, holds, octet_at, octets_of

COMMENT = "#"
_SCHEMA = pa.schema([(name, pa.string()) for name in ("serial", "status", "revoked_at", "reason", "not_after")])
_STATUS_LETTERS = {"good": ["V"], "expired": ["E"], "revoked": ["R"], "excluded": [COMMENT]}
_FIELDS = 6
_COUNTS_SHOWN = 100
_BLOCK_BYTES = 4 << 20
_LONGEST_LINE_BYTES = 1 << 20
_USUAL_LINE_BYTES = 100
_TAB, _LINE_END, _BACKSLASH, _HASH, _COMMA = b"\t\n\\#,"
_PSEUDO_REASONS = {"holdInstruction": "certificateHold", "keyTime": "keyCompromise", "CAkeyTime": "cACompromise"}
_REASON_NAMES = {"": "", **{name.lower(): name for name in REASONS}}
_REASON_NAMES |= {name.lower(): reason for name, reason in _PSEUDO_REASONS.items()}
_WITH_ARGUMENT = [name.lower() for name in _PSEUDO_REASONS]

_RowMask = NDArray[np.bool_]


def index_txt_columns() -> Mapping[str, Column]:
    """Return which column of these files is which, and how it is written; folders alone can name an issuer."""
    own: dict[str, str | ColumnConfig] = {
        "serial": ColumnConfig(encoding="hex"),
        "status": ColumnConfig(values=_STATUS_LETTERS),
        "revoked_at": ColumnConfig(encoding="asn1"),
        "reason": ColumnConfig(),
        "not_after": ColumnConfig(encoding="asn1"),
    }
    return columns_of(SnapshotConfig(columns=own))


class IndexTxtFile(Undivided):
    """A database of `openssl ca`."""

    unit: Literal["line"] = "line"
    as_of = None
    schema = _SCHEMA

    def __init__(self, source: Source) -> None:
        """Look whether its last line is complete."""
        self._source = source
        self.path: Location = source.location
        self.row_estimate = max(1, source.size // _USUAL_LINE_BYTES)
        with reading(source) as file:
            file.seek(source.size - 1)
            if file.read() != b"\n":
                what = "its last line has no line end, so it may be cut off: copy it again"
                raise unusable("file.truncated", self.path, what)

    def batches(self, names: Sequence[str], categories: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the columns called `names`, and `ODD`."""
        del categories
        with reading(self._source) as file:
            for block in _blocks(file, self.path):
                yield from slices(_record_batch(block).select([*names, ODD]))


def _blocks(file: pa.NativeFile, place: Location) -> Iterator[bytes]:
    """Yield whole lines, some megabytes at a time."""
    left, lines = b"", 0
    while octets := file.read(_BLOCK_BYTES):
        end = octets.rfind(b"\n") + 1
        if end:
            lines += octets.count(b"\n")
            yield left + octets[:end]
            left = b""
        left += octets[end:]
        if len(left) > _LONGEST_LINE_BYTES:
            what = f"line {lines + 1:,} is longer than {_LONGEST_LINE_BYTES:,} octets: this is no index.txt"
            raise unusable("file.format", place, what)


def _record_batch(block: bytes) -> pa.RecordBatch:
    """Return whole lines as rows of `_SCHEMA` and `ODD`."""
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _LINE_END)
    lines = OctetColumn(data, np.append(0, ends[:-1] + 1), ends)
    tabs = np.flatnonzero(data == _TAB)
    tabs = tabs[octet_at(lines, tabs - 1) != _BACKSLASH]
    first_tab = np.searchsorted(tabs, lines.start)
    fields = np.searchsorted(tabs, lines.end) - first_tab + 1

    comment = (lines.size > 0) & (octet_at(lines, lines.start) == _HASH)
    whole = (fields == _FIELDS) & ~comment
    # lines of another form get fields without any octet
    edges = tabs[first_tab[whole, None] + np.arange(_FIELDS - 1)]
    starts, stops = (np.repeat(lines.start[:, None], _FIELDS, axis=1) for _ in range(2))
    starts[whole, 1:], stops[whole, :-1], stops[whole, -1] = edges + 1, edges, lines.end[whole]

    used = OctetColumn(data, lines.start, stops[:, 3])  # status, expiry, revocation and serial
    unclean = holds(used, (data < 0x20) & (data != _TAB) & (data != _LINE_END) | (data > 0x7E)) | holds(
        lines, data == 0
    )
    sound = whole & ~unclean
    stops[~sound] = starts[~sound]
    status, expiry, revocation, serial = (_texts(OctetColumn(data, starts[:, at], stops[:, at])) for at in range(4))
    date, reason, argument = _revocation_parts(revocation)
    columns = [serial, _with_comments(status, comment), date, _canonical(reason), expiry]
    odd = _odd(_Line(fields, comment, sound, unclean & whole, status, revocation, date, reason, argument))
    return pa.record_batch([*columns, odd], schema=_SCHEMA.append(pa.field(ODD, odd.type)))


def _texts(values: OctetColumn) -> pa.StringArray:
    """Return values, which lie in order, as a column of their own."""
    marks = np.zeros(len(values.data) + 1, np.int8)
    # every value begins and ends at places of its own, unless it is empty
    full = values.size > 0
    marks[values.start[full]] += 1
    marks[values.end[full]] -= 1
    octets = values.data[np.cumsum(marks[:-1], dtype=np.int8).view(np.bool_)]
    offsets = np.append(0, np.cumsum(values.size)).astype(np.int32)
    return pa.StringArray.from_buffers(len(values.size), pa.py_buffer(offsets.data), pa.py_buffer(octets.data))


def _revocation_parts(revocation: pa.StringArray) -> tuple[pa.StringArray, pa.StringArray, pa.StringArray]:
    """Return date, reason and argument; what is absent is empty."""
    values = octets_of(revocation)
    commas = np.append(np.flatnonzero(values.data == _COMMA), [len(values.data)] * 2)
    at = np.searchsorted(commas[:-2], values.start)
    first = np.minimum(commas[at], values.end)
    second = np.where(first < values.end, np.minimum(commas[at + 1], values.end), values.end)
    after_first, after_second = np.minimum(first + 1, values.end), np.minimum(second + 1, values.end)
    return (
        _texts(values._replace(end=first)),
        _texts(values._replace(start=after_first, end=second)),
        _texts(values._replace(start=after_second)),
    )


def _with_comments(status: pa.StringArray, comment: _RowMask) -> ArrowArray:
    return pc.if_else(pa.array(comment), COMMENT, status) if comment.any() else status


def _canonical(reason: pa.StringArray) -> ArrowArray:
    """Return reasons by their names in RFC 5280; unknown ones are empty, and their lines odd."""
    encoded = pc.utf8_lower(reason).dictionary_encode()
    assert isinstance(encoded, pa.DictionaryArray)
    names = pa.array([_REASON_NAMES.get(text or "", "") for text in encoded.dictionary.to_pylist()], pa.string())
    return names.take(encoded.indices)


class _Line(NamedTuple):
    """What is known of n lines; the texts of those that are not `sound` are empty."""

    fields: NDArray[np.int64]
    comment: _RowMask
    sound: _RowMask
    unclean: _RowMask
    status: pa.StringArray
    revocation: pa.StringArray
    date: pa.StringArray
    reason: pa.StringArray
    argument: pa.StringArray


def _odd(line: _Line) -> ArrowArray:
    """Return what is wrong with each line, null where nothing is; text[n]."""
    lower = pc.utf8_lower(line.reason)
    revoked = _is_in(line.status, ["R"])
    faults = {
        "octets that are neither printable nor ASCII": line.unclean,
        "the status is none of V, E and R": line.sound & ~_is_in(line.status, ["V", "E", "R"]),
        "revoked without a time of revocation": revoked & _is_in(line.date, [""]),
        "a time of revocation, but not revoked": line.sound & ~revoked & ~_is_in(line.revocation, [""]),
        "removeFromCRL means that it is not revoked, R that it is": _is_in(lower, ["removefromcrl"]),
        "an unknown reason of revocation": ~_is_in(lower, [*_REASON_NAMES, "removefromcrl"]),
        "a reason without its argument": _is_in(lower, _WITH_ARGUMENT) & _is_in(line.argument, [""]),
    }
    what = np.zeros(len(line.fields), np.int64)
    for number, rows in reversed(list(enumerate(faults.values(), 1))):
        what[rows] = number
    texts = [None, *faults]
    counts = np.where(line.comment | line.sound | line.unclean, 0, line.fields)
    for count in np.unique(counts[counts > 0])[:_COUNTS_SHOWN].tolist():
        what[counts == count] = len(texts)
        texts.append(f"{count} field(s) instead of {_FIELDS}" if count > 1 else f"no tab, so no {_FIELDS} fields")
    what[(counts > 0) & (what == 0)] = len(texts)
    texts.append(f"other than {_FIELDS} fields")
    return pa.array(texts, pa.string()).take(pa.array(what, pa.int64()))


def _is_in(column: ArrowArray, texts: list[str]) -> _RowMask:
    return pc.is_in(column, value_set=pa.array(texts, pa.string())).to_numpy(zero_copy_only=False)
