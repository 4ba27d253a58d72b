"""Long numbers that a program has rounded: a spreadsheet, which keeps 15 digits, or floating point, with its 53 bits.

The rest are zeros then: decimal ones in 123456789012345000000 (15 digits, as a spreadsheet writes it) and
12345678901234567000 (17, as JavaScript does), binary ones where a float was made a whole number again. Numbers of few
digits before their zeros are no evidence: somebody may have begun to count at 10**20, or at 2**64. A number that is not
rounded ends in so many zeros by chance,

    digits   10 ** -(digits - 15), or 17 in place of 15, of decimal numbers of 17 digits and more, or of 19
    bits     2 ** -(bits - 53), of octets, in steps of 8

so as many as are seen, or more, have at most the chance exp(k - e) * (e / k) ** k (Chernoff), e being how many are
expected. A column is refused below `CHANCE`: one number of 39 digits is enough, or two of 20 in a hundred thousand.

What is written as 1.23E+30 is no number that could be read at all, and a fault of its row (``row.serial.rounded``).
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.findings import RowPlace, located, shown
from pregen.snapshot.habits.odds import CHANCE, Occurrences
from pregen.snapshot.octets import ArrowArray, OctetColumn, octet_at, octets_of, tails, text_of

SERIAL_ROUNDED = "serial.rounded"
_KEPT_DIGITS = (15, 17)
_FLOAT_BITS = 53
_ZEROS = 2  # as many at least, since one is common
_LEAST_DIGITS, _LEAST_BITS = 10, 40  # before the zeros
_TOP = 0x7F  # of the first octet of what is not negative
_LENGTHS = 64


def _none() -> Occurrences:
    return np.zeros(_LENGTHS, np.int64)


@dataclass(slots=True)
class Rounded:
    """What was counted of the serials of one file, or of several; all arrays are int64[64], by length.

    Attributes:
        texts: decimal texts, by digits.
        octets: content octets, by their count.
        by_digits: how many of the texts have 15, or 17, digits at most before their zeros.
        by_bits: how many octets have 53 bits at most before their zeros.
        examples: of both.
    """

    texts: Occurrences = field(default_factory=_none)
    octets: Occurrences = field(default_factory=_none)
    by_digits: list[int] = field(default_factory=lambda: [0] * len(_KEPT_DIGITS))
    by_bits: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Rounded") -> None:
        """Count what was counted elsewhere too."""
        self.texts = self.texts + other.texts
        self.octets = self.octets + other.octets
        self.by_digits = [mine + others for mine, others in zip(self.by_digits, other.by_digits, strict=True)]
        self.by_bits += other.by_bits
        self.examples += other.examples[: MAX_EXAMPLES - len(self.examples)]

    def note(
        self,
        column: ArrowArray,
        serial: pa.BinaryArray,
        name: str,
        at: RowPlace,
        *,
        is_text: bool,
        places: NDArray[np.intp] | None = None,
    ) -> None:
        """Count serials of one batch: what the file holds, as text or otherwise, and what was read of it.

        `places` are their rows in the batch, whose row 0 is the row `at`; None: they are all of its rows.
        """
        values = octets_of(serial)
        self.octets += np.bincount(np.minimum(values.size, _LENGTHS - 1), minlength=_LENGTHS)
        rows = _rounded_octets(values)
        self.by_bits += len(rows)
        if is_text:
            rows = np.union1d(rows, self._note_texts(column))
        for row in rows[: MAX_EXAMPLES - len(self.examples)].tolist():
            place = row if places is None else int(places[row])
            self.examples.append(f"{located(at.path, at.row + place, at.unit)}, {name}, {shown(column[row])}")

    def _note_texts(self, column: ArrowArray) -> NDArray[np.int64]:
        """Count texts, and return the rows of those that are rounded."""
        text = text_of(column.cast(pa.string()) if pa.types.is_decimal(column.type) else column)
        self.texts += np.bincount(np.minimum(text.size, _LENGTHS - 1), minlength=_LENGTHS)
        rows = np.flatnonzero((text.size >= _KEPT_DIGITS[0] + _ZEROS) & (text.size < _LENGTHS))
        for back in range(1, _ZEROS + 1):
            rows = rows[octet_at(text, text.end[rows] - back) == ord("0")]
        if not len(rows):
            return rows
        some = OctetColumn(text.data, text.start[rows], text.end[rows])
        matrix = tails(some, _LENGTHS)
        digits = (matrix != ord("0")) & (matrix != 0)
        zeros = digits[:, ::-1].argmax(axis=1)
        significant = some.size - zeros
        plain = ((matrix == 0) | (matrix - np.uint8(ord("0")) < 10)).all(axis=1)
        plain &= significant >= _LEAST_DIGITS
        for which, kept in enumerate(_KEPT_DIGITS):
            is_long = some.size >= kept + _ZEROS
            self.by_digits[which] += int(np.count_nonzero(plain & (significant <= kept) & is_long))
        found: Occurrences = rows[plain & (significant <= _KEPT_DIGITS[-1])]
        return found

    def findings(self, name: str) -> tuple[Finding, ...]:
        """Return what to refuse; `name` is the column's name in the files."""
        lengths = np.arange(_LENGTHS)
        most_first = sorted(zip(self.by_digits, _KEPT_DIGITS, strict=True), key=lambda one: (-one[0], one[1]))
        for count, kept in most_first:
            long = lengths >= kept + _ZEROS
            expected = float(self.texts[long] @ 10.0 ** -(lengths[long] - kept))
            if count and _exponent(count, expected) < math.log10(CHANCE):
                return (self._finding(name, count, f"have {kept} digits at most and zeros after them"),)
        bits = 8 * lengths
        long = bits > _FLOAT_BITS + 8
        expected = float(self.octets[long] @ 2.0 ** -(bits[long] - 8 - _FLOAT_BITS))
        if self.by_bits and _exponent(self.by_bits, expected) < math.log10(CHANCE):
            what = f"have {_FLOAT_BITS} bits at most and zeros after them, as floating point keeps them"
            return (self._finding(name, self.by_bits, what),)
        return ()

    def _finding(self, name: str, count: int, what: str) -> Finding:
        text = (
            f"column {name!r}: {count:,} of {int(self.octets.sum()):,} serials {what}: a spreadsheet or another "
            "program has rounded them, and what they were is lost; export them again as text, and open that in no "
            f"spreadsheet; if they are right, say so by --accept {SERIAL_ROUNDED}"
        )
        return Finding(SERIAL_ROUNDED, "error", text, count, tuple(self.examples))


def _rounded_octets(values: OctetColumn) -> NDArray[np.int64]:
    """Return the rows of numbers that have 53 bits at most before their zeros; only those that end in 00 are sought."""
    rows = np.flatnonzero((octet_at(values, values.end - 1) == 0) & (values.size > _FLOAT_BITS // 8 + 2))
    if not len(rows):
        return rows
    some = OctetColumn(values.data, values.start[rows], values.end[rows])
    width = int(some.size.max())
    bits = np.unpackbits(tails(some, width), axis=1)
    negative = octet_at(some, some.start) > _TOP
    first, last = bits.argmax(axis=1), 8 * width - 1 - bits[:, ::-1].argmax(axis=1)
    significant = last - first + 1
    fits = bits.any(axis=1) & (significant >= _LEAST_BITS) & (significant <= _FLOAT_BITS)
    found: Occurrences = rows[fits & ~negative]
    return found


def _exponent(count: int, expected: float) -> float:
    """Return the decimal logarithm of the chance of so many or more, where fewer are expected."""
    if count <= expected:
        return 0.0
    return (count - expected + count * math.log(max(expected, 1e-300) / count)) / math.log(10)
