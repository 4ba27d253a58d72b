"""Rows that are left out on purpose: of a status that is mapped to `excluded`, or of certificates without OCSP."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pregen.snapshot.codes import CodeTable, look_up
from pregen.snapshot.octets import Fault
from pregen.snapshot.rows import BatchRows, Mask

EXCLUDED_BY_STATUS = "status"
EXCLUDED_NO_OCSP = "no-ocsp"


def leave_out_no_ocsp(rows: BatchRows, truths: CodeTable) -> Fault:
    """Judge no row of a certificate without an OCSP URL; return the rows where that is unclear.

    TLS Baseline Requirements, 4.9.9. They can be noted only when the status has excluded rows, too.
    """
    unclear = np.zeros(rows.count, np.bool_)
    if "needs_ocsp" in rows.arrays:
        codes = look_up(rows.arrays["needs_ocsp"], truths)
        rows.judged &= ~codes.known | (codes.number != 0)
        unclear = ~codes.known & ~codes.blank
    return Fault("row.needs-ocsp.unknown", unclear)


def count_excluded(rows: BatchRows, by_status: Mask) -> Counter[str]:
    """Return how many rows are left out on purpose, by reason, and note for which values."""
    of_status = by_status & ~rows.bad
    rest = ~rows.judged & ~rows.bad & ~by_status
    if of_status.any():
        _note_values(rows, "status", of_status)
    if rest.any() and "needs_ocsp" in rows.arrays:
        _note_values(rows, "needs_ocsp", rest)
    return Counter(
        {EXCLUDED_BY_STATUS: int(np.count_nonzero(of_status)), EXCLUDED_NO_OCSP: int(np.count_nonzero(rest))}
    )


def _note_values(rows: BatchRows, canonical: str, which: Mask) -> None:
    """Count the values for which rows are left out; they are few, since the configuration or we name each of them.

    Only their names tell an operator that a 40 which means revoked is not mapped to excluded.
    """
    name = rows.columns[canonical].name
    counted = pc.value_counts(rows.arrays[canonical].filter(pa.array(which)))
    values, counts = counted.field("values").to_pylist(), counted.field("counts").to_pylist()
    for value, count in zip(values, counts, strict=True):
        rows.reading.excluded_values[name, str(value)] += count or 0
