"""Request lines as Parquet by day, each file sorted by serial, however many lines a day has.

Lines come in their own order. So many as fit into memory are sorted and spilled as a *run*, a file for each day that
they are of; at the end, the runs of a day are merged, a range of serials at a time. Row groups are small and lie in the
order of serials, so that a reader of one serial reads one of them.

A serial that has more lines than a row group is a range of its own, whose lines need no sorting, and so are the lines
without one. So memory is bounded by what is merged at once, whatever clients ask for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pregen import clock
from pregen.logs.parsing import REQUEST_FIELDS

LINES_SORTED_AT_ONCE: Final = 131_072
"""So many lines are sorted in memory."""

LINES_IN_GROUP: Final = 16_384
"""Of a row group; a reader of one serial reads about so many."""

DAY_FILE: Final = "requests.parquet"
_DAY_MS = clock.DAY_S * 1000
_LAST = "~"  # greater than every serial in hex: where lines without one are
_NEXT = "!"  # what a serial ends with in the text that follows it, for no character of one is less


class _RunGroup(NamedTuple):
    """A row group of a run: where it is, and between which serials it lies."""

    path: Path
    number: int
    rows: int
    least: str
    greatest: str


@dataclass(slots=True)
class DaySorter:
    """Takes tables of request lines, and makes a file of each day in `folder`; runs are spilled into `spill`."""

    folder: Path
    spill: Path
    _waiting: list[pa.Table] = field(default_factory=list)
    _rows: int = 0
    _runs: dict[str, list[Path]] = field(default_factory=dict)

    def take(self, table: pa.Table) -> None:
        """Take some lines."""
        if table.num_rows:
            self._waiting.append(table)
            self._rows += table.num_rows
        if self._rows >= LINES_SORTED_AT_ONCE:
            self._spill()

    def finish(self) -> dict[str, int]:
        """Write all days; return how many lines each has."""
        self._spill()
        return {day: self._merge(day, runs) for day, runs in sorted(self._runs.items())}

    def _spill(self) -> None:
        if not self._rows:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting, self._rows = [], 0
        days = table["time"].cast(pa.int64()).to_numpy() // _DAY_MS
        for number in np.unique(days).tolist():
            day = clock.text(number * clock.DAY_S)[:10]
            runs = self._runs.setdefault(day, [])
            path = self.spill / f"{day}-{len(runs)}"
            rows = _sorted(table if (days == number).all() else table.filter(pa.array(days == number)))
            pq.write_table(rows, path, row_group_size=LINES_IN_GROUP, compression="lz4", write_statistics=["serial"])
            runs.append(path)

    def _merge(self, day: str, runs: list[Path]) -> int:
        groups = [group for path in runs for group in _groups(path)]
        folder = self.folder / f"day={day}"
        folder.mkdir()
        with pq.ParquetWriter(folder / DAY_FILE, REQUEST_FIELDS, compression="zstd") as writer:
            for table in _merged(groups):
                writer.write_table(table, row_group_size=LINES_IN_GROUP)
        for path in runs:
            path.unlink()
        return sum(group.rows for group in groups)


def _sorted(table: pa.Table) -> pa.Table:
    table = table.combine_chunks()
    return table.take(pc.sort_indices(table, [("serial", "ascending")]))


def _groups(path: Path) -> Iterator[_RunGroup]:
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            least, greatest, has_none = serials_of(file, number)
            yield _RunGroup(
                path, number, file.metadata.row_group(number).num_rows, least, _LAST if has_none else greatest
            )


def serials_of(file: pq.ParquetFile, number: int) -> tuple[str, str, bool]:
    """Return between which serials the lines of a row group lie, and whether some have none."""
    column = file.schema_arrow.get_field_index("serial")
    known = file.metadata.row_group(number).column(column).statistics
    assert known is not None  # both runs and imports are written with them
    if not known.has_min_max:
        return _LAST, _LAST, True
    return str(known.min), str(known.max), bool(known.null_count)


def _merged(groups: list[_RunGroup]) -> Iterator[pa.Table]:
    """Yield the lines of sorted row groups, sorted: a range of serials after another, from `first` up to `end`."""
    cuts = _cuts(groups)
    for first, end in pairwise([*cuts, _LAST + _NEXT]):
        found = [group for group in groups if group.least < end and group.greatest >= first]
        parts = (_within(group, first, end) for group in found)
        if end == first + _NEXT:  # all are of one serial
            yield from parts
        elif found:
            yield _sorted(pa.concat_tables(parts))


def _cuts(groups: list[_RunGroup]) -> list[str]:
    """Return where ranges begin, so that each has about `LINES_SORTED_AT_ONCE` lines, or one serial alone."""
    cuts, rows = {"", _LAST}, 0
    for group in sorted(groups, key=lambda group: group.least):
        if group.least == group.greatest:
            cuts |= {group.least, group.least + _NEXT}
            continue
        rows += group.rows
        if rows > LINES_SORTED_AT_ONCE:
            cuts.add(group.least)
            rows = group.rows
    return sorted(cuts - {_LAST + _NEXT})


def _within(group: _RunGroup, first: str, end: str) -> pa.Table:
    """Return the lines of a row group whose serials lie in a range."""
    with pq.ParquetFile(group.path) as file:
        table = file.read_row_group(group.number)
    if first <= group.least and group.greatest < end:
        return table
    serial = pc.fill_null(table["serial"], pa.scalar(_LAST))
    is_within = pc.and_(pc.greater_equal(serial, pa.scalar(first)), pc.less(serial, pa.scalar(end)))
    return table.filter(pa.array(np.asarray(is_within)))
