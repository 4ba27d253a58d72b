r"""Serial numbers, as files write them, to the content octets of a DER INTEGER.

    binary           the content octets themselves; non-minimal ones are faults (X.690, 8.3.2), and read all the same
    unsigned-binary  a big-endian magnitude, leading zeros allowed
    hex              a number: optional sign and 0x (or \x, of PostgreSQL's bytea), either case, any count of digits,
                     with colons and spaces, or as UUIDs have hyphens
    decimal          a number: optional sign

Text may stand in columns of octets as well, as Impala and Hive write it.

Numbers become minimal two's complement: 00 stands before a magnitude whose top bit is set, and a number with a minus
is negative. Real serials have 1 to 21 octets (RFC 5280, 4.1.2.2 allows 20; a few have more), and one in ten thousand
is negative.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pregen.snapshot.octets import (
    ArrowArray,
    Fault,
    OctetColumn,
    binary_array,
    holds,
    nulls,
    octet_at,
    octets_of,
    tails,
    text_of,
    without,
    without_leading,
)
from storage.certid import MAX_SERIAL_BYTES

_TOP = 0x7F  # of the first octet of what is not negative
_NOT_HEX = 255
_NIBBLES = np.full(256, _NOT_HEX, np.uint8)
_NIBBLES[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_NIBBLES[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)

# A magnitude has one octet more than is allowed, so that one that is too long can be seen; so have the digits.
_WIDTH = MAX_SERIAL_BYTES + 1
_HEX_DIGITS = 2 * _WIDTH
_LIMB_DIGITS = 9
_LIMBS = 6  # 54 digits: 2**168 has 51
_WORDS = 6  # of 32 bits: 10**54 < 2**180
_PADDED_WIDTH = 64  # octets of the widest value whose superfluous ones are taken away
_UUID_TEXT, _UUID_HYPHENS = 36, (8, 13, 18, 23)
NOT_MINIMAL = "row.serial.not-minimal"
ROUNDED = "row.serial.rounded"
_SCIENTIFIC = r"^\s*[+-]?\d+(?:[.,]\d+[eE][+-]?\d+|[eE][+-]\d+)\s*$"  # 1E30 is a hexadecimal number


class Serials(NamedTuple):
    """A column of serials as content octets, and what is wrong with it.

    Attributes:
        values: one value a row; those of faulty rows mean nothing and may be null, except that what is `NOT_MINIMAL`
            and not null is the serial that was meant.
        faults: a row has one at most.
        negative: which are negative, bool[n]: by the first octet, which plain numbers may have as well, or by a minus,
            which programs write that take the first bit for a sign.
    """

    values: pa.BinaryArray
    faults: list[Fault]
    negative: NDArray[np.bool_]

    @property
    def negative_count(self) -> int:
        """How many are negative."""
        return int(np.count_nonzero(self.negative))


def read_serials(column: ArrowArray, encoding: str) -> Serials:
    """Return a column of serials, read as `encoding` says."""
    return _ENCODINGS[encoding](column)


def _binary(column: ArrowArray) -> Serials:
    values, null = octets_of(column), nulls(column)
    size = values.size
    empty = (size == 0) & ~null
    first = octet_at(values, values.start)
    # 00 and ff are the two octets that may be superfluous; few serials begin so
    suspect = np.flatnonzero((first + np.uint8(1) < np.uint8(2)) & (size > 1))
    padded = np.zeros(len(size), np.bool_)
    padded[suspect] = (first[suspect] ^ octet_at(values, values.start[suspect] + 1)) < 128
    padded &= ~null
    too_long = (size > MAX_SERIAL_BYTES) & ~padded & ~null
    faults = [
        Fault("row.serial.null", null),
        Fault("row.serial.empty", empty),
        Fault(NOT_MINIMAL, padded),
        Fault("row.serial.too-long", too_long),
    ]
    original = column
    if column.type != pa.binary():
        bad = null | padded | too_long
        if bad.any():  # such values go before the offsets get 32 bits, which they could overflow
            place = pa.array(np.cumsum(~bad) - 1, mask=bad)
            column = column.filter(pa.array(~bad)).cast(pa.binary()).take(place)
        column = column.cast(pa.binary())
    if padded.any():
        column = pc.replace_with_mask(column, pa.array(padded), _unpadded(original.filter(pa.array(padded))))
    assert isinstance(column, pa.BinaryArray)
    return Serials(column, faults, (first > _TOP) & ~(null | empty))


def _unpadded(column: ArrowArray) -> ArrowArray:
    """Return values that begin with superfluous octets without these; null where it is too long even so."""
    values = octets_of(column)
    sign = octet_at(values, values.start)
    wide = values.size > _PADDED_WIDTH
    matrix = tails(values, _PADDED_WIDTH)
    missing = np.arange(_PADDED_WIDTH) < (_PADDED_WIDTH - values.size)[:, None]
    octets, size = _minimal(np.where(missing, sign[:, None], matrix))
    places = pa.array(np.arange(len(size)), pa.int64(), mask=wide | (size > MAX_SERIAL_BYTES))
    return binary_array(octets, size).take(places)


def _unsigned_binary(column: ArrowArray) -> Serials:
    values, null = octets_of(column), nulls(column)
    digits = without_leading(values, 0) if (values.size > _WIDTH).any() else values
    none = np.zeros(len(column), np.bool_)
    serials, too_long = _der_integers(tails(digits, _WIDTH), none)
    too_long |= digits.size > _WIDTH
    return Serials(serials, _number_faults(null, values.size == 0, too_long, None, ""), none)


def _hex(column: ArrowArray) -> Serials:
    text, null = text_of(column), nulls(column)
    digits, negative = _signed(
        without(text, (text.data == ord(":")) | (text.data == ord(" ")) | _hyphens_of_uuids(text))
    )
    first = octet_at(digits, digits.start)
    prefixed = ((first == ord("0")) | (first == ord("\\"))) & (digits.size > 1)
    prefixed &= (octet_at(digits, digits.start + 1) | 0x20) == ord("x")
    digits = digits._replace(start=digits.start + 2 * prefixed)
    not_hex = holds(digits, _NIBBLES[digits.data] == _NOT_HEX) | (digits.size == 0)
    if (digits.size > _HEX_DIGITS).any():
        digits = without_leading(digits, ord("0"))

    nibbles = _NIBBLES[tails(digits, _HEX_DIGITS)]
    nibbles[nibbles == _NOT_HEX] = 0  # before the first digit, and in faulty rows
    serials, too_long = _der_integers((nibbles[:, 0::2] << np.uint8(4)) | nibbles[:, 1::2], negative)
    too_long |= digits.size > _HEX_DIGITS
    faults = _number_faults(null, text.size == 0, too_long, not_hex, "row.serial.not-hex")
    return Serials(serials, _with_rounded(faults, column), negative & ~null & ~not_hex)


def _decimal(column: ArrowArray) -> Serials:
    if pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        column = column.cast(pa.string())
    text, null = text_of(column), nulls(column)
    digits, negative = _signed(text)
    not_decimal = holds(digits, digits.data - np.uint8(ord("0")) > 9) | (digits.size == 0)
    width = _LIMBS * _LIMB_DIGITS
    if (digits.size > width).any():
        digits = without_leading(digits, ord("0"))

    figures = tails(digits, width) & 0x0F  # what stands in faulty rows does not matter
    powers = 10 ** np.arange(_LIMB_DIGITS - 1, -1, -1, dtype=np.uint64)
    limbs = figures.reshape(-1, _LIMBS, _LIMB_DIGITS).astype(np.uint64) @ powers
    serials, too_long = _der_integers(_octets_of_limbs(limbs), negative)
    too_long |= digits.size > width
    faults = _number_faults(null, text.size == 0, too_long, not_decimal, "row.serial.not-decimal")
    return Serials(serials, _with_rounded(faults, column), negative & ~null & ~not_decimal)


def _hyphens_of_uuids(text: OctetColumn) -> NDArray[np.bool_]:
    """Return which octets of the data are the hyphens of a UUID: 8-4-4-4-12 digits."""
    hyphens = np.zeros(len(text.data), np.bool_)
    if (text.size != _UUID_TEXT).all():
        return hyphens
    starts = text.start[text.size == _UUID_TEXT]
    places = starts[:, None] + np.array(_UUID_HYPHENS)
    is_uuid = (text.data[places] == ord("-")).all(axis=1)
    hyphens[places[is_uuid].ravel()] = True
    return hyphens


def _signed(text: OctetColumn) -> tuple[OctetColumn, NDArray[np.bool_]]:
    """Return the values without their signs, and which are negative."""
    first = np.where(text.size > 0, octet_at(text, text.start), np.uint8(0))
    negative = first == ord("-")
    return text._replace(start=text.start + (negative | (first == ord("+")))), negative


def _octets_of_limbs(limbs: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return numbers in base 10**9, uint64[n, limbs] with the highest first, as big-endian octets."""
    words = [np.zeros(len(limbs), np.uint64) for _ in range(_WORDS)]  # the lowest first
    for limb in limbs.T:
        carry = limb
        for at, word in enumerate(words):
            grown = word * np.uint64(10**_LIMB_DIGITS) + carry
            words[at] = grown & np.uint64(0xFFFFFFFF)
            carry = grown >> np.uint64(32)
    return np.stack(words[::-1], axis=1).astype(">u4").view(np.uint8)


def _der_integers(
    magnitude: NDArray[np.uint8], negative: NDArray[np.bool_]
) -> tuple[pa.BinaryArray, NDArray[np.bool_]]:
    """Return big-endian magnitudes, uint8[n, width > 21], as minimal two's complement, and which are too long.

    What stands for one that is too long means nothing.
    """
    width = magnitude.shape[1]
    too_long = magnitude[:, : width - MAX_SERIAL_BYTES].any(axis=1)
    matrix = magnitude.copy()
    matrix[negative] = _negated(matrix[negative])

    # The first column is the sign, as no magnitude reaches it.
    octets, size = _minimal(matrix)
    return binary_array(octets, size), too_long | (size > MAX_SERIAL_BYTES)


def _minimal(matrix: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return two's complement numbers, uint8[n, width], in as few octets as they need: all of these, and their counts.

    The first column is the sign, 00 or ff; what repeats it is superfluous, except where the next octet's top bit says
    otherwise.
    """
    width = matrix.shape[1]
    significant = matrix != matrix[:, :1]
    first = significant.argmax(axis=1)
    flipped = (np.take_along_axis(matrix, first[:, None], axis=1)[:, 0] ^ matrix[:, 0]) >> 7
    size = np.where(first > 0, width - first + flipped, 1)
    return matrix[np.arange(width) >= (width - size)[:, None]], size


def _negated(matrix: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the two's complement of each row."""
    negated = ~matrix
    carry = np.ones(len(negated), np.bool_)
    for at in reversed(range(matrix.shape[1])):
        negated[:, at] += carry
        carry &= negated[:, at] == 0
    return negated


def _number_faults(
    null: NDArray[np.bool_],
    empty: NDArray[np.bool_],
    too_long: NDArray[np.bool_],
    malformed: NDArray[np.bool_] | None,
    code: str,
) -> list[Fault]:
    empty = empty & ~null
    faults = [Fault("row.serial.null", null), Fault("row.serial.empty", empty)]
    if malformed is not None:
        malformed = malformed & ~null & ~empty
        too_long = too_long & ~malformed
        faults.append(Fault(code, malformed))
    return [*faults, Fault("row.serial.too-long", too_long & ~null)]


def _with_rounded(faults: list[Fault], column: ArrowArray) -> list[Fault]:
    """Return the faults of texts, those apart that are in scientific notation, as a spreadsheet writes long numbers."""
    found = []
    for fault in faults:
        rows = np.flatnonzero(fault.rows) if fault.code.startswith("row.serial.not-") else ()
        if not len(rows) or not isinstance(column, pa.StringArray | pa.LargeStringArray):
            found.append(fault)
            continue
        matching = pc.match_substring_regex(column.take(rows), _SCIENTIFIC).to_numpy(zero_copy_only=False)
        rounded = np.zeros(len(column), np.bool_)
        rounded[rows[matching.astype(np.bool_)]] = True
        found += [Fault(fault.code, fault.rows & ~rounded), Fault(ROUNDED, rounded)]
    return found


_ENCODINGS: Mapping[str, Callable[[ArrowArray], Serials]] = MappingProxyType(
    {"binary": _binary, "unsigned-binary": _unsigned_binary, "hex": _hex, "decimal": _decimal}
)
