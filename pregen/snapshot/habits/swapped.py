"""Serials whose octets stand in another order than in certificates: little-endian, or as some databases keep UUIDs.

A program that hands out numbers of its machine (.NET's `GetSerialNumber`), or a column of SQL Server's type
`uniqueidentifier`, swaps octets, and any order of them is a number. What a certificate has in one place tells:

    the sign   the top bit of the first octet is never set, as serials are positive (RFC 5280, 4.1.2.2). Where it is set
               as often as not, and another octet never has it, of `_LEAST` serials or more, that one was the first: by
               chance it would with 2 ** -`_LEAST`
    UUIDs      version and variant stand in certain places (RFC 9562, 4): six bits that are alike in all serials, and
               are so by chance with 2 ** -6 each time
    a prefix   that all serials share stands before what varies: one at the end is odd, and worth a warning; numbers
               that count have one, the octets that do not change yet

Numbers that count are not taken for swapped ones, since their first octets do not vary. Only serials of one issuer and
one length are compared, as each issuer has habits of its own. All is known from the bits that were ever set, and those
that always were, in each place.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pregen.errors import Finding
from pregen.snapshot.habits.scripts import SERIAL_ENCODING
from pregen.snapshot.octets import OctetColumn, octet_at, tails

ENDS_ALIKE = "serial.ends-alike"
_LEAST = 128  # serials, so that one octet that counts has gone round, or has been seen to count
_LEAST_UUIDS = 8
_SIZES = range(4, 21)  # shorter ones tell nothing; longer ones are none
_WIDTH = _SIZES[-1]
_TOP, _ALL = 0x80, 0xFF
_LEAST_SIZE = 8  # of serials whose sign is looked for: in shorter ones that count, octets in the middle look like one
_VARYING_BITS = 4  # of the octet with the sign: some programs set the bit below it, so that no number is short
_HIGH_SHARE = 4  # one serial in so many has the top bit set, where half of them are expected
_LITTLE = "in little-endian order, as .NET's GetSerialNumber gives them: reverse them"
_GUID = "as SQL Server keeps a uniqueidentifier, the first groups of 4, 2 and 2 octets reversed: reverse these"
_WORDS = "swapped within words of {} octets: reverse each word"
_UUID_SIZE, _VERSION_AT, _VARIANT_AT = 16, 6, 8
# Where version and variant of a UUID come to stand.
_UUIDS = (
    (7, 8, _GUID),
    (9, 7, _LITTLE),
    (7, 9, _WORDS.format(2)),
    (5, 11, _WORDS.format(4)),
    (1, 15, _WORDS.format(8)),
)


def _bits(value: int) -> NDArray[np.uint8]:
    return np.full((len(_SIZES), _WIDTH), value, np.uint8)


@dataclass(slots=True)
class Swapped:
    """What was seen of the serials of one issuer, by size (less an octet 00 for the sign) and place.

    Attributes:
        count: of serials, int64[sizes].
        high: of those whose first octet has the top bit set, int64[sizes].
        ever: bits that were set in any, uint8[sizes, 20]; the last octet is the last one.
        always: bits that were set in all.
    """

    count: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_SIZES), np.int64))
    high: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_SIZES), np.int64))
    ever: NDArray[np.uint8] = field(default_factory=lambda: _bits(0))
    always: NDArray[np.uint8] = field(default_factory=lambda: _bits(_ALL))

    def add(self, other: "Swapped") -> None:
        """Add what was seen elsewhere too."""
        self.count = self.count + other.count
        self.high = self.high + other.high
        self.ever = self.ever | other.ever
        self.always = self.always & other.always

    def note(self, values: OctetColumn) -> None:
        """Look at the content octets of serials."""
        signed = (octet_at(values, values.start) == 0) & (values.size > 1)
        plain = values._replace(start=values.start + signed)
        for at, size in enumerate(_SIZES):
            rows = np.flatnonzero(plain.size == size)
            if not len(rows):
                continue
            matrix = tails(OctetColumn(plain.data, plain.start[rows], plain.end[rows]), _WIDTH)
            self.count[at] += len(rows)
            self.high[at] += np.count_nonzero(matrix[:, _WIDTH - size] & _TOP)
            self.ever[at] |= np.bitwise_or.reduce(matrix)
            self.always[at] &= np.bitwise_and.reduce(matrix)

    def findings(self, name: str) -> tuple[Finding, ...]:
        """Return what to refuse, or to warn of; `name` is the column's name in the files."""
        for at in np.flatnonzero(self.count >= _LEAST_UUIDS).tolist():
            size, count = _SIZES[at], int(self.count[at])
            ever, always = (octets[at, _WIDTH - size :] for octets in (self.ever, self.always))
            is_signed_elsewhere = count >= _LEAST and int(self.high[at]) * _HIGH_SHARE >= count
            order = _order_of_uuids(ever, always)
            if not order and is_signed_elsewhere and size >= _LEAST_SIZE:
                order = _order_of_signs(ever, always)
                if order and _ends_alike(ever, always):
                    order = _LITTLE
            what = f"column {name!r}: {count:,} serials of {size} octets"
            if order:
                text = (
                    f"{what} stand {order} in the export, or write the numbers there as certificates have them; if "
                    f"they are right, say so by --accept {SERIAL_ENCODING}"
                )
                return (Finding(SERIAL_ENCODING, "error", text),)
            if is_signed_elsewhere and _ends_alike(ever, always):
                text = (
                    f"{what} end alike and begin with anything, as where octets stand in little-endian order (.NET's "
                    "GetSerialNumber): look whether certificates have them in this order"
                )
                return (Finding(ENDS_ALIKE, "warning", text),)
        return ()


def _order_of_uuids(ever: NDArray[np.uint8], always: NDArray[np.uint8]) -> str:
    """Return in which order UUIDs stand; empty: in the right one, or they are none."""
    if len(ever) != _UUID_SIZE or (ever[_VERSION_AT] ^ always[_VERSION_AT]) >> 4 == 0:
        return ""
    for version, variant, order in _UUIDS:
        is_alike = ever[version] >> 4 == always[version] >> 4
        if is_alike and 1 <= ever[version] >> 4 <= 8 and ever[variant] >> 6 == always[variant] >> 6 == 0b10:
            return order
    return ""


def _order_of_signs(ever: NDArray[np.uint8], always: NDArray[np.uint8]) -> str:
    """Return in which order octets stand where one alone never has the top bit; empty: it is none of ours, or many."""
    places = np.flatnonzero((ever & _TOP == 0) & (np.bitwise_count(ever ^ always) >= _VARYING_BITS)).tolist()
    if len(places) != 1:
        return ""
    [place], size = places, len(ever)
    if place == size - 1:
        return _LITTLE
    if place == 3 and size == _UUID_SIZE:
        return _GUID
    word = place + 1
    return _WORDS.format(word) if word in {2, 4, 8} and size % word == 0 else ""


def _ends_alike(ever: NDArray[np.uint8], always: NDArray[np.uint8]) -> bool:
    """Whether serials have all of the last octets in common, one at least, and nothing else."""
    alike = ever == always
    first = int(alike.argmax()) if alike.any() else len(alike)
    return bool(alike[first:].all()) and 0 < first < len(alike)
