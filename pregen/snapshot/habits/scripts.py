"""Whether serials are written otherwise than declared: decimal digits that are read as hex, text in a binary column.

Each of these can be read all the same, and gives another number. Which octets values are made of tells (`odds.py`):

    declared               they are made of                     chance of one octet   then they are
    hex                    decimal digits                       10/16                 decimal
    binary, unsigned-...   digits, a-f and what may separate    28/256                hex or decimal text
    binary, unsigned-...   letters, digits and - _ + / =        67/256                base64 text
    hex, decimal           (once decoded) digits and a-f        28/256                text that was encoded twice
    any                    02, the count of what follows, that  1/65536 a value       whole DER INTEGERs

What does not parse is a fault of its row; where a column of decimal numbers holds mostly hex ones, or base64, the rows
that parse are wrong as well, and leaving out the others would publish them: so that is refused as a whole, too.

An index.txt holds hex by definition, and numbers of integer types are numbers.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.errors import Finding
from pregen.snapshot.habits.odds import CHANCE, Likeness, chance_exponent, count_alike, no_likeness
from pregen.snapshot.octets import ArrowArray, OctetColumn, holds, octet_at, octets_of, text_of

SERIAL_ENCODING = "serial.encoding"
_SAMPLE_ROWS = 1_024  # of a batch
_COUNTING = 1.05  # octets by which neighbours differ where octets count; of digits that count, it is 1.07 or 1.11
_WHOLE = 3  # values that begin as an INTEGER of DER do, and would by chance one in 2 ** 16 each
_INTEGER_TAG = 2
_MIXED_COUNT, _MIXED_SHARE = 10, 10  # rows that are surely of another encoding, and one in so many


def _made_of(octets: bytes) -> NDArray[np.bool_]:
    mask = np.zeros(256, np.bool_)
    mask[np.frombuffer(octets, np.uint8)] = True
    return mask


_DIGITS = _made_of(b"0123456789")
_HEX = _made_of(b"0123456789abcdefABCDEF")
_HEX_TEXT = _HEX | _made_of(b": -+xX")
_BASE64 = _made_of(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/-_=")
_OF_DIGITS = 10 / 16
_OF_HEX_TEXT, _OF_BASE64 = _HEX_TEXT.sum() / 256, _BASE64.sum() / 256


@dataclass(slots=True)
class Scripts:
    """What was counted of the serials of one file, or of several.

    Attributes:
        digits: values of decimal digits alone, among all of a text column, or among the texts of a binary one.
        hex_text, base64: octets that are such text.
        whole: values that are DER INTEGERs with tag and length, rather than their content octets.
    hex_numbers, base64_numbers: texts that are no decimal, or no hex number, but that.
        rows: that were looked at.
    """

    digits: Likeness = field(default_factory=no_likeness)
    hex_text: Likeness = field(default_factory=no_likeness)
    base64: Likeness = field(default_factory=no_likeness)
    whole: int = 0
    hex_numbers: int = 0
    base64_numbers: int = 0
    rows: int = 0

    def add(self, other: "Scripts") -> None:
        """Count what was counted elsewhere too."""
        self.digits = self.digits.plus(other.digits)
        self.hex_text = self.hex_text.plus(other.hex_text)
        self.base64 = self.base64.plus(other.base64)
        self.whole += other.whole
        self.hex_numbers += other.hex_numbers
        self.base64_numbers += other.base64_numbers
        self.rows += other.rows

    def note(self, column: ArrowArray, encoding: str, serial: pa.BinaryArray, *, has_malformed: bool) -> None:
        """Count the serials of rows that are judged.

        Args:
            column: without nulls.
            encoding: the declared one.
            serial: what was read of it.
            has_malformed: whether some could not be read, for what they are made of.
        """
        if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
            return
        self.rows += len(column)
        self.whole += _count_whole(octets_of(serial))
        if encoding.endswith("binary"):
            self._note_octets(column)
            return
        self.hex_text = self.hex_text.plus(_counted(serial, _HEX_TEXT))
        if encoding == "hex":
            self.digits = self.digits.plus(_counted(column, _DIGITS))
        if has_malformed:
            self._note_malformed(text_of(column), encoding)

    def _note_octets(self, column: ArrowArray) -> None:
        hex_text = _counted(column, _HEX_TEXT)
        self.hex_text = self.hex_text.plus(hex_text)
        self.base64 = self.base64.plus(_counted(column, _BASE64))
        if hex_text.alike.any():
            text = text_of(column)
            is_text = ~holds(text, ~_HEX_TEXT[text.data]) & (text.size > 0)
            some = OctetColumn(text.data, text.start[is_text], text.end[is_text])
            self.digits = self.digits.plus(count_alike(some, ~holds(some, ~_DIGITS[some.data])))

    def _note_malformed(self, text: OctetColumn, encoding: str) -> None:
        wrong = holds(text, ~(_HEX_TEXT if encoding == "hex" else _DIGITS)[text.data])
        is_hex = wrong & ~holds(text, ~_HEX[text.data])
        self.hex_numbers += int(np.count_nonzero(is_hex))
        self.base64_numbers += int(np.count_nonzero(wrong & ~is_hex & ~holds(text, ~_BASE64[text.data])))

    def findings(self, name: str, encoding: str) -> tuple[Finding, ...]:
        """Return what to refuse; `name` is the column's name in the files, `encoding` the declared one."""
        return tuple(
            Finding(SERIAL_ENCODING, "error", f"column {name!r}: {text}") for text in self._texts(name, encoding)
        )

    def _texts(self, name: str, encoding: str) -> Iterator[str]:
        is_binary = encoding.endswith("binary")
        is_text = _is_so(self.hex_text, _OF_HEX_TEXT)
        if is_text and not is_binary:
            yield (
                f"{_counts(self.hex_text)} serials, once decoded from {encoding}, are text of hexadecimal digits: they "
                "were encoded twice; undo one of both in the export"
            )
        elif is_text:
            right, what = '"hex"', "hexadecimal digits"
            if _is_so(self.digits, _OF_DIGITS):
                right, what = '"decimal"', "decimal digits"
            elif int(self.digits.alike.sum()) == int(self.hex_text.alike.sum()):
                right, what = '"decimal" or "hex", as they are meant', "decimal digits"
            yield f"{_counts(self.hex_text)} serials are text of {what}, and no octets of a number: {_set(name, right)}"
        elif is_binary and _is_so(self.base64, _OF_BASE64):
            yield (
                f"{_counts(self.base64)} serials are text in base64, and no octets of a number: decode them in the "
                f"export, or write hex there and {_set(name, chr(34) + 'hex' + chr(34))}"
            )
        if self.whole >= _WHOLE and self.whole * 2 >= self.rows:
            yield (
                f"{self.whole:,} of {self.rows:,} serials begin with 02 and the count of the octets that follow, as "
                "whole DER INTEGERs do: export their content octets alone, without tag and length; if the serials "
                f"themselves begin so, say so by --accept {SERIAL_ENCODING}"
            )
        if encoding == "hex" and _is_so(self.digits, _OF_DIGITS):
            yield (
                f"{_counts(self.digits)} serials hold decimal digits alone, which hexadecimal numbers do by chance "
                f"with a probability below {CHANCE:g}: {_set(name, chr(34) + 'decimal' + chr(34))}; if they are "
                f"hexadecimal all the same (numbers made of dates), say so by --accept {SERIAL_ENCODING}"
            )
        if self._is_mixed(self.hex_numbers):
            yield (
                f"{self.hex_numbers:,} of {self.rows:,} serials are hexadecimal numbers, so the others are hardly "
                f"decimal: {_set(name, chr(34) + 'hex' + chr(34))}"
            )
        if self._is_mixed(self.base64_numbers):
            yield (
                f"{self.base64_numbers:,} of {self.rows:,} serials seem to be base64: write hex in the export, and "
                f"{_set(name, chr(34) + 'hex' + chr(34))}"
            )

    def _is_mixed(self, count: int) -> bool:
        return count >= _MIXED_COUNT and count * _MIXED_SHARE >= self.rows


def _counted(column: ArrowArray, mask: NDArray[np.bool_]) -> Likeness:
    """Count values that are made of the octets of a mask alone; where a sample holds none, no others are sought."""
    step = max(1, len(column) // _SAMPLE_ROWS)
    if step > 1:
        sample = text_of(column.take(np.arange(0, len(column), step)))
        alike = ~holds(sample, ~mask[sample.data]) & (sample.size > 0)
        if not alike.any():
            return count_alike(sample, alike).times(step)
    text = text_of(column)
    return count_alike(text, ~holds(text, ~mask[text.data]))


def _count_whole(values: OctetColumn) -> int:
    """Count what begins with the tag of an INTEGER and the count of the octets after it."""
    size = values.size
    rows = np.flatnonzero((octet_at(values, values.start) == _INTEGER_TAG) & (size > _INTEGER_TAG))
    return int(np.count_nonzero(octet_at(values, values.start[rows] + 1) == size[rows] - 2))


def _is_so(found: Likeness, share: float) -> bool:
    return chance_exponent(found, float(share), 1.0 if share == _OF_DIGITS else _COUNTING) < math.log10(CHANCE)


def _counts(found: Likeness) -> str:
    return f"{int(found.alike.sum()):,} of {int(found.values.sum()):,}"


def _set(name: str, encoding: str) -> str:
    return f'set, in [snapshot.columns], serial = {{ name = "{name}", encoding = ... }} to {encoding}'
