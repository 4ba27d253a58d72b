"""The rows of one batch while they are judged: what its columns hold, and which of them are bad so far."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.snapshot.codes import Codes
from pregen.snapshot.column import Column
from pregen.snapshot.findings import RowPlace
from pregen.snapshot.layouts import plain
from pregen.snapshot.octets import Fault
from pregen.snapshot.reading import Reading

Mask: TypeAlias = NDArray[np.bool_]


class BatchRows:
    """The n rows of one batch.

    Attributes:
        columns: which column is which.
        reading: what is noted of the file.
        first: where row 0 is.
        count: n.
        arrays: the columns that there are, by canonical name.
        judged: rows that are judged at all, bool[n].
        bad: rows that cannot be published, bool[n].
        codes: of the status; None: there is no such column, or it is not looked up yet.
        reasons: of revocation, likewise.
    """

    codes: Codes | None = None
    reasons: Codes | None = None

    def __init__(self, columns: Mapping[str, Column], reading: Reading, batch: pa.RecordBatch, first: RowPlace) -> None:
        self.columns = columns
        self.reading = reading
        self.first = first
        self.count = batch.num_rows
        names = set(batch.schema.names)
        self.arrays = {
            key: plain(batch.column(column.name), key) for key, column in columns.items() if column.name in names
        }
        self.judged = np.ones(self.count, np.bool_)
        self.bad = np.zeros(self.count, np.bool_)

    @property
    def sound(self) -> Mask:
        """Rows that are judged and good so far."""
        return self.judged & ~self.bad

    def note(self, canonical: str, faults: Iterable[Fault], among: Mask | None = None) -> None:
        """Note faulty rows and leave them out; only rows `among` are judged in this column."""
        for fault in faults:
            rows = fault.rows & self.judged if among is None else fault.rows & self.judged & among
            self.bad |= rows
            self.report(canonical, Fault(fault.code, rows))

    def report(self, canonical: str, fault: Fault) -> None:
        """Note faulty rows, and keep them."""
        name = self.columns[canonical].name
        self.reading.findings.note(fault, name, self.arrays.get(canonical), self.first)
