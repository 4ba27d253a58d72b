"""The few rules of DER that requests and responses need (X.690): definite lengths of up to four octets."""

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, OID, ENUMERATED, GENERALIZED_TIME = (
    0x30,
    0x02,
    0x03,
    0x04,
    0x06,
    0x0A,
    0x18,
)
BOOLEAN, NULL, UTC_TIME = 0x01, 0x05, 0x17

_PADDING = 0x80  # as an arc's first octet it adds nothing; below it an octet is the arc's last
_MAX_OID_OCTETS = 64


def length(size: int) -> bytes:
    """Return the length octets for a value of `size` octets.

    >>> length(5).hex(), length(200).hex(), length(300).hex()
    ('05', '81c8', '82012c')
    """
    if size < 0x80:
        return bytes((size,))
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def head(tag: int, size: int) -> bytes:
    """Return what stands before a value of `size` octets: tag and length.

    >>> head(SEQUENCE, 300).hex()
    '3082012c'
    """
    return bytes((tag,)) + length(size)


def tlv(tag: int, *parts: bytes | bytearray) -> bytes:
    r"""Return one element: tag, length and the parts as its value.

    >>> tlv(SEQUENCE, tlv(INTEGER, b"\x01")).hex()
    '3003020101'
    """
    value = b"".join(parts)
    return head(tag, len(value)) + value


def read(data: bytes, at: int, end: int) -> tuple[int, int, int]:
    """Return tag, start of the value and end of the value of the element at `at`, which must end by `end`.

    >>> read(bytes.fromhex("3003020101"), 0, 5)
    (48, 2, 5)

    Raises:
        ValueError: not DER: cut off, an indefinite or a non-minimal length, or a tag of several octets.
    """
    if at + 2 > end:
        raise ValueError(f"an element is cut off at octet {at}")
    tag, size, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise ValueError(f"a tag of several octets at octet {at}")
    if size >= 0x80:
        count = size & 0x7F
        if not 1 <= count <= 4 or start + count > end:
            raise ValueError(f"a bad length at octet {at}")
        size = int.from_bytes(data[start : start + count], "big")
        start += count
        if size < 0x80 or size >> (8 * count - 8) == 0:
            raise ValueError(f"a length that is not minimal at octet {at}")
    if start + size > end:
        raise ValueError(f"an element of {size} octets is cut off at octet {at}")
    return tag, start, start + size


def oid_text(octets: bytes) -> str:
    """Return the dotted form of an OID's content octets (X.690, 8.19).

    >>> oid_text(bytes.fromhex("2b0e03021a")), oid_text(bytes.fromhex("608648016503040201"))
    ('1.3.14.3.2.26', '2.16.840.1.101.3.4.2.1')

    Raises:
        ValueError: empty, cut off, not minimal, or longer than any OID in use.
    """
    if not 1 <= len(octets) <= _MAX_OID_OCTETS or octets[-1] & 0x80:
        raise ValueError("an OID that is empty, cut off or too long")
    arcs, arc = [], 0
    for octet in octets:
        if arc == 0 and octet == _PADDING:
            raise ValueError("an OID that is not minimal")
        arc = arc << 7 | octet & 0x7F
        if octet < _PADDING:
            arcs.append(arc)
            arc = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(map(str, (root, arcs[0] - 40 * root, *arcs[1:])))


class Cursor:
    r"""Reads the elements of one span of DER, in order; every step raises `ValueError` when the octets are not as told.

    >>> fields = Cursor(tlv(SEQUENCE, tlv(INTEGER, b"\x07"))).take(SEQUENCE)
    >>> fields.take(INTEGER).octets
    b'\x07'
    >>> fields.finish()
    """

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = at
        self._end = len(data) if end is None else end

    @property
    def octets(self) -> bytes:
        """What is left of the span."""
        return self._data[self._at : self._end]

    @property
    def at(self) -> int:
        """Where the span goes on, in the octets that it is a part of."""
        return self._at

    @property
    def end(self) -> int:
        """Where it ends."""
        return self._end

    def at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._at == self._end

    def take(self, tag: int) -> "Cursor":
        """Step over the next element, which must have this tag, and return a cursor over its value."""
        found, start, end = read(self._data, self._at, self._end)
        if found != tag:
            raise ValueError(f"tag {found:#04x} at octet {self._at} where {tag:#04x} is due")
        self._at = end
        return Cursor(self._data, start, end)

    def take_if(self, tag: int) -> "Cursor | None":
        """Do as `take` if the next element has this tag; else stay and return None."""
        if self._at == self._end or self._data[self._at] != tag:
            return None
        return self.take(tag)

    def skip(self) -> int:
        """Step over the next element, whatever it is, and return its tag."""
        tag, _, self._at = read(self._data, self._at, self._end)
        return tag

    def finish(self) -> None:
        """Refuse anything that is left."""
        if self._at != self._end:
            raise ValueError(f"{self._end - self._at} octets too many at octet {self._at}")
